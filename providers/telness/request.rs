//! What is sent. Names are those of the current reference, but for two: the fields of an `EXTERNAL_ITEM`, which
//! are not documented, and the addresses of a link are assumed.

use std::time::Duration;

use paymux_port::{
    AdapterState, Address, Approach, Attempt, AttemptId, Currency, Customer, Decimal, HttpRequest,
    JsonObject, Money, PaymentRequest, ProviderError, Result, StoreAttempt, StoreRequest, Timestamp, encoded,
};

/// Connect knows a key for 24 hours (idempotency page); the last of them is left for clocks and slow answers.
const KEY_LIFE: Duration = Duration::from_secs(23 * 3600);

/// What pays a provider's order or stores a payment method with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Session,
    Link,
    ProfileSession,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Session, Self::Link, Self::ProfileSession];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Session => "/payment-sessions",
            Self::Link => "/payment-links",
            Self::ProfileSession => "/payment-profiles/sessions",
        }
    }

    /// The section of `statuses.toml` with its statuses.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Link => "payment_link",
            Self::ProfileSession => "profile_session",
        }
    }

    /// The member that names it, in answers and notifications.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Session => "paymentSessionId",
            Self::Link => "paymentLinkId",
            Self::ProfileSession => "paymentProfileSessionId",
        }
    }
}

/// A session, link or profile session with the attempt that it belongs to. Starting, reading and cancelling them is
/// done in one manner.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) kind: Kind,
    pub(super) approach: Approach,
    pub(super) state: &'a AdapterState,
    pub(super) reference: Option<&'a str>,
    attempt: AttemptId,
    started_at: Timestamp,
}

impl<'a> From<&'a Attempt> for Target<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            kind: if attempt.approach == Approach::Link { Kind::Link } else { Kind::Session },
            approach: attempt.approach,
            state: &attempt.adapter_state,
            reference: attempt.reference.as_deref(),
            attempt: attempt.id,
            started_at: attempt.started_at,
        }
    }
}

impl<'a> From<&'a StoreAttempt> for Target<'a> {
    fn from(attempt: &'a StoreAttempt) -> Self {
        Self {
            kind: Kind::ProfileSession,
            approach: attempt.approach,
            state: &attempt.adapter_state,
            reference: attempt.reference.as_deref(),
            attempt: attempt.id,
            started_at: attempt.started_at,
        }
    }
}

impl Target<'_> {
    /// Where it is read.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`] while its id is not known.
    pub(super) fn path(&self) -> Result<String> {
        let reference = self.reference.ok_or(ProviderError::NotFound)?;
        Ok(format!("{}/{}", self.kind.path(), encoded(reference)))
    }

    /// A write whose repeats the provider recognises: the same attempt, step and body make the same bytes, which is what
    /// Connect compares for 24 hours (idempotency page).
    pub(super) fn post(&self, step: &str, path: &str, body: &str) -> HttpRequest {
        HttpRequest::post(path)
            .header("X-Idempotency-Key", format!("{}.{step}", self.attempt))
            .json_bytes(body.as_bytes().to_vec())
    }

    /// Whether something was sent so long ago that its repeat could make a second one.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        !self.state.is_empty() && now.since(self.started_at) > KEY_LIFE
    }
}

/// The body that submits an order, with the completed session that paid it. There is no field for a link: its order
/// needs no further proof.
pub(super) fn submit(target: &Target<'_>) -> JsonObject {
    JsonObject::new().given(Kind::Session.id(), target.reference.filter(|_| target.kind == Kind::Session))
}

/// The body of `POST /orders` that an attempt pays: its customer, its lines, and delivery as one more line.
pub(super) fn order_to_pay(attempt: &Attempt, request: &PaymentRequest) -> JsonObject {
    let customer = &request.customer;
    let (billing, shipping) = (request.billing_address.as_ref(), request.shipping_address.as_ref());
    JsonObject::new()
        .given("customer", (*customer != Customer::default()).then(|| consumer(customer)))
        .given("billing", billing.map(|address| party(address, "email", customer.email.as_deref())))
        .given("shipping", shipping.map(|address| party(address, "msisdn", customer.phone.as_deref())))
        .put("lineItems", items(attempt.currency(), request))
        .put("metadata", paid_for(attempt).given("merchantReference", request.reference.as_deref()))
}

/// The body of `POST /orders` for one that only carries the storing of a method. Without a line it has no price, and a
/// line has a currency: it has one that is worth nothing, in any.
pub(super) fn order_to_store(attempt: &StoreAttempt, request: &StoreRequest) -> JsonObject {
    let customer = Customer { id: Some(request.customer_id.clone()), ..Customer::default() };
    let nothing = external_item("Payment method", 1, Decimal::whole(0)).put("currency", "EUR");
    JsonObject::new()
        .put("customer", consumer(&customer))
        .put("lineItems", [nothing])
        .put("metadata", stored_by(attempt))
}

/// Our ids, echoed in answers and notifications: that of the attempt, and of the order it pays.
fn paid_for(attempt: &Attempt) -> JsonObject {
    JsonObject::new().put("attempt", attempt.id.to_string()).put("order", attempt.order.to_string())
}

/// Our ids of an attempt to store a method: its own, and that of its session.
fn stored_by(attempt: &StoreAttempt) -> JsonObject {
    JsonObject::new().put("attempt", attempt.id.to_string()).put("session", attempt.session.to_string())
}

fn consumer(customer: &Customer) -> JsonObject {
    let names = [&customer.first_name, &customer.last_name].into_iter().flatten();
    let name = names.map(String::as_str).collect::<Vec<_>>().join(" ");
    let contact = JsonObject::new()
        .given("email", customer.email.as_deref())
        .given("msisdn", customer.phone.as_deref());
    JsonObject::new()
        .put("customerType", "CONSUMER")
        .given("referenceId", customer.id.as_deref())
        .given("name", Some(name).filter(|name| !name.is_empty()))
        .put("contact", contact)
}

/// Whom a bill or a parcel goes to.
fn party(address: &Address, reached_by: &str, reach: Option<&str>) -> JsonObject {
    let postal = JsonObject::new()
        .given("city", address.city.as_deref())
        .given("country", address.country.as_deref())
        .given("region", address.region.as_deref())
        .given("street1", address.line1.as_deref())
        .given("street2", address.line2.as_deref())
        .given("zip", address.postal_code.as_deref());
    JsonObject::new().given(reached_by, reach).given("name", address.name.as_deref()).put("address", postal)
}

/// The lines as free-priced goods. Amounts in major units; the discount is of the whole line.
fn items(currency: Currency, request: &PaymentRequest) -> Vec<JsonObject> {
    let major = |minor| Money::new(minor, currency).to_major();
    let item = |name: &str, quantity: i64, unit_price, discount, tax_rate: Decimal| {
        external_item(name, quantity, major(unit_price))
            .put("discount", major(discount))
            .put("taxRate", tax_rate)
            .put("taxIncluded", request.tax_included)
            .put("currency", currency)
    };
    let goods = request.items.iter();
    let goods =
        goods.map(|line| item(&line.title, line.quantity, line.unit_price, line.discount, line.tax_rate));
    let shipping =
        (request.shipping > 0).then(|| item("Shipping", 1, request.shipping, 0, Decimal::whole(0)));
    goods.chain(shipping).collect()
}

fn external_item(name: &str, quantity: i64, unit_price: Decimal) -> JsonObject {
    JsonObject::new()
        .put("type", "EXTERNAL_ITEM")
        .put("name", name)
        .put("quantity", quantity)
        .put("unitPrice", unit_price)
}

/// The body of `POST /payment-sessions`. It has one address to come back to whatever happened, and "arriving there is
/// not proof of payment" (orders-and-payments page), so it gets the one for an open outcome.
pub(super) fn session(
    attempt: &Attempt,
    request: &PaymentRequest,
    order: &str,
    payment_provider: &str,
) -> JsonObject {
    JsonObject::new()
        .put("cancelUrl", &request.urls.cancel)
        .put("orderId", order)
        .given("paymentProfileId", request.profile.as_deref())
        .put("paymentProvider", payment_provider)
        .put("returnUrl", &request.urls.in_progress)
        .put("hosted", attempt.approach == Approach::Hosted)
        .put("savePaymentProfile", request.save_profile)
        .put("metadata", paid_for(attempt))
}

/// The body of `POST /payment-links`.
pub(super) fn link(attempt: &Attempt, request: &PaymentRequest, order: &str) -> JsonObject {
    JsonObject::new()
        .put("cancelUrl", &request.urls.cancel)
        .put("description", &request.description)
        .put("orderId", order)
        .given("paymentProfileId", request.profile.as_deref())
        .put("successUrl", &request.urls.success)
        .put("savePaymentProfile", request.save_profile)
        .put("metadata", paid_for(attempt))
}

/// The body of `POST /payment-profiles/sessions`.
pub(super) fn profile_session(attempt: &StoreAttempt, order: &str, payment_provider: &str) -> JsonObject {
    JsonObject::new()
        .put("orderId", order)
        .put("paymentProvider", payment_provider)
        .put("metadata", stored_by(attempt))
}
