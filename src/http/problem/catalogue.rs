//! Every error code of the API, with its status and the text of its page.

use serde::Serialize;

/// Declares [`Code`] with the status, text, title and help of each.
macro_rules! codes {
    ($($code:ident = $status:literal $text:literal, $title:literal, $help:literal;)*) => {
        /// A stable error code. Codes may be added; none changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, strum::EnumString, strum::IntoStaticStr)]
        pub enum Code {
            $(#[doc = $title] #[serde(rename = $text)] #[strum(serialize = $text)] $code,)*
        }

        impl Code {
            /// All codes, in the order of their statuses.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            pub fn status(self) -> u16 {
                match self { $(Self::$code => $status,)* }
            }

            pub fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }

            /// What to do about it, for its page.
            pub fn help(self) -> &'static str {
                match self { $(Self::$code => $help,)* }
            }

            /// As the API writes it.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }
    };
}

codes! {
    MalformedJson = 400 "malformed_json", "The body is not JSON",
        "The request body could not be read as one JSON object in UTF-8. Nothing else was checked.";
    ValidationFailed = 400 "validation_failed", "The request has several errors",
        "`errors` lists every error that was found, each with a JSON pointer, a code and a text. A pointer that begins \
         with `?` names a query parameter, one that begins with `header:` a header.";
    UnknownField = 400 "unknown_field", "A field is not known",
        "The request has a field that this operation does not take. Check its spelling; nothing was changed.";
    DuplicateField = 400 "duplicate_field", "A field is given twice",
        "An object of the request has the same name twice, so it is not clear which value is meant.";
    FieldMissing = 400 "field_missing", "A field is missing",
        "The request lacks a field that this operation needs.";
    WrongType = 400 "wrong_type", "A value has the wrong type",
        "The value has another JSON type than the field, for example a text in place of a number.";
    InvalidValue = 400 "invalid_value", "A value cannot be used",
        "The value has the right type but not the right form: a text that is not one of those allowed, an invalid \
         address, an identifier of another kind.";
    NotAnInteger = 400 "not_an_integer", "A number is not a whole number",
        "Amounts and quantities are whole numbers written with digits only: amounts in minor units, so 19.99 EUR is \
         1999. `1.0` and `1e3` are refused too, since they invite rounding.";
    OutOfRange = 400 "out_of_range", "A number is outside its range",
        "The number is smaller or larger than the field allows. The error's text gives the range.";
    AmountNegative = 400 "amount_negative", "An amount is negative",
        "Amounts are zero or more. A reduction goes into `discount`; money goes back by a refund.";
    AmountTooLarge = 400 "amount_too_large", "An amount is too large",
        "An amount, or a sum that follows from the request, does not fit 63 bits of minor units.";
    CurrencyUnknown = 400 "currency_unknown", "The currency is not known",
        "A currency is an ISO 4217 code of three capital letters that has a minor unit.";
    CurrencyMismatch = 400 "currency_mismatch", "An amount is in another currency",
        "Every amount of an order is in the order's own currency.";
    DiscountExceedsPrice = 400 "discount_exceeds_price", "A discount is larger than its line",
        "The discount of a line is at most quantity times unit price.";
    TooLong = 400 "too_long", "A value is too long",
        "The text or list is longer than the field allows. The error's text gives the limit.";
    TooManyItems = 400 "too_many_items", "The order has too many items",
        "An order has at most 200 items.";
    IdempotencyKeyMissing = 400 "idempotency_key_missing", "The Idempotency-Key header is missing",
        "This operation moves money, so it needs an `Idempotency-Key` header of 1 to 255 visible ASCII characters.";
    IdempotencyKeyInvalid = 400 "idempotency_key_invalid", "The Idempotency-Key header cannot be used",
        "An idempotency key has 1 to 255 visible ASCII characters and may be in double quotes.";
    SeveralPaymentProofs = 400 "several_payment_proofs", "More than one payment proof is given",
        "An order is submitted with exactly one of `externalPayment`, `paymentSessionId` and `paymentProfileId`.";
    Unauthenticated = 401 "unauthenticated", "The API key is missing or not valid",
        "Send `Authorization: Bearer <api key>` with a key that has not been revoked.";
    AuthenticationRequired = 402 "authentication_required", "The bank requires the customer",
        "Nothing was captured. Open a checkout with this `paymentProfileId`, so that the customer can confirm.";
    ProviderDeclined = 402 "provider_declined", "The provider declined",
        "`providerCode` and `providerMessage` give the provider's own code and message, if it sent any.";
    ScopeMissing = 403 "scope_missing", "The API key may not do this",
        "The key is valid but lacks the scope that this operation needs; `scope` names it.";
    NotFound = 404 "not_found", "Nothing is at this address",
        "The address is wrong, or what is at it belongs to another merchant.";
    MethodNotAllowed = 405 "method_not_allowed", "The method is not allowed here",
        "The address exists and takes other methods: the `Allow` header lists them.";
    RequestTimeout = 408 "request_timeout", "The request took too long to arrive",
        "The body did not arrive in time. Nothing was done; send it again.";
    InvalidState = 409 "invalid_state", "The state does not allow this",
        "The state of the order, session or payment does not allow this. Where it is the order's, `state` gives it and \
         `allowedStates` the states that allow it.";
    OrderLocked = 409 "order_locked", "The order is locked while it is being paid",
        "A payment session is open. Cancel it first; then the order is a cart again and can be changed.";
    OrderNotPriced = 409 "order_not_priced", "The order has no price",
        "Price the order first. Any change of its content, save of `metadata`, clears the price.";
    PaymentNotRequired = 409 "payment_not_required", "There is nothing to pay",
        "The order's total is zero: it is submitted without a payment proof.";
    PaymentSessionOpen = 409 "payment_session_open", "A payment session is open",
        "Cancel the open session, or submit the order with it.";
    ReferenceTaken = 409 "reference_taken", "The reference is in use",
        "Another order of yours has this reference. References are unique where they are given.";
    IdempotencyKeyInUse = 409 "idempotency_key_in_use", "A request with this key is running",
        "The first request with this idempotency key has not been answered yet. Send it again after `Retry-After`.";
    OperationPending = 409 "operation_pending", "An operation on this payment is under way",
        "Money operations on one payment go to the provider one at a time. Wait until `pendingOperation` is null.";
    ExternalPayment = 409 "external_payment", "The money was collected outside the gateway",
        "No provider of the gateway has this money, so it cannot be captured, voided or refunded here.";
    PaymentDisputed = 409 "payment_disputed", "The payment is disputed",
        "The customer's bank contests the payment. A refund now could pay the customer twice.";
    TooManyEndpoints = 409 "too_many_endpoints", "There are too many webhook endpoints",
        "A merchant has at most 20 webhook endpoints. Delete one that is not used any more.";
    VersionMismatch = 412 "version_mismatch", "The version is different",
        "The resource has changed since the version that `If-Match` names. Read it again and decide again.";
    RequirementUnmet = 412 "requirement_unmet", "A requirement is not met",
        "The order cannot be submitted yet: `unmet` names each requirement without a proof.";
    PaymentSessionUnusable = 412 "payment_session_unusable", "The payment session is no payment proof",
        "The session belongs to another order, is not COMPLETED, was used already, or its money was returned.";
    PaymentProfileUnusable = 412 "payment_profile_unusable", "The payment profile cannot be used",
        "There is no usable payment profile with this identifier.";
    BodyTooLarge = 413 "body_too_large", "The body is too large",
        "The body is larger than this address takes; `limit` gives the bytes.";
    UnsupportedMediaType = 415 "unsupported_media_type", "The body is not sent as JSON",
        "Send the body with `Content-Type: application/json`, in UTF-8 and without a content encoding.";
    IdempotencyKeyReused = 422 "idempotency_key_reused", "The idempotency key belongs to another request",
        "This key was sent before with another method, path or body. Use a new key for a new request.";
    CardDataRefused = 422 "card_data_refused", "The request contains a card number",
        "Card numbers must never reach the gateway: customers enter them at the provider. The value was neither \
         stored nor logged. If a number of yours has a card's first digits, length and check digit, put letters before \
         it.";
    NoRoute = 422 "no_route", "No account can take this",
        "`routing.tried` says for each account which rule or capability ruled it out.";
    AccountNotAllowed = 422 "account_not_allowed", "A checkout may not name its account",
        "The routing of this installation does not allow a checkout to choose its account. Leave `account` out.";
    AccountUnknown = 422 "account_unknown", "There is no such account",
        "The checkout names an account that is not configured.";
    UnpaidOrdersNotAllowed = 422 "unpaid_orders_not_allowed", "The merchant may not sell without a payment",
        "The operator allows it with the setting `unpaid_orders` of the merchant. Leave `requiresPayment` out.";
    NotifyAddressMissing = 422 "notify_address_missing", "The customer has no address to notify",
        "The link is to be sent by `notify`, and the order's customer has no such address. Add it to the order first.";
    RangeTooLarge = 422 "range_too_large", "The range has too many events",
        "One request sends at most 10000 events again. Request a shorter time.";
    AmountExceedsAuthorized = 422 "amount_exceeds_authorized", "More than is authorized",
        "`remaining` says how much can still be captured, in minor units.";
    AmountExceedsCaptured = 422 "amount_exceeds_captured", "More than can be refunded",
        "`remaining` says how much can still be refunded, in minor units.";
    AmountNotPositive = 422 "amount_not_positive", "The amount is not positive",
        "What is captured or refunded is at least one minor unit.";
    UnsupportedByProvider = 422 "unsupported_by_provider", "The provider cannot do this",
        "`capability` names what the payment's provider cannot do.";
    RateLimited = 429 "rate_limited", "Too many requests",
        "Slow down, and try again after `Retry-After`.";
    Internal = 500 "internal", "Something went wrong in the gateway",
        "The error was recorded under `requestId`. A repeat with the same idempotency key is safe.";
    ProvidersUnavailable = 503 "providers_unavailable", "No provider can be reached",
        "Every account that could take this is down. Nothing is lost: try again after `Retry-After`, with the same \
         idempotency key. Without `Retry-After` the accounts refuse the gateway's own credentials: its operator has to \
         mend them first.";
    Overloaded = 503 "overloaded", "The gateway is busy",
        "Too much is waiting to be written, or the disk is full. Repeat the request after `Retry-After`, with the same \
         idempotency key so that nothing happens twice.";
}
