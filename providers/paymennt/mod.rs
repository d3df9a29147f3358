//! paymennt, a gateway of the United Arab Emirates: hosted checkouts, payment links and stored cards.
//!
//! Start at [`ABOUT`]. A checkout is the source of truth and is read back after every notification; its states are in
//! `statuses.toml` and the oddities in the README. This module must not interpret a status.

mod request;
mod response;
#[cfg(test)]
mod tests;
mod vault;

use std::time::Duration;

use async_trait::async_trait;
use paymux_port::sign::{self, SignatureError};
use paymux_port::{
    About, AdapterSettings, AddressPart, AmountLimits, Approach, Attempt, CancelSupport, Capabilities,
    CreatedPayment, Ctx, Currencies, Field, HttpRequest, HttpResponse, Lookup, Next, Notification,
    NotificationAuth, NotificationError, NotificationTarget, PaymentMethodType, PaymentRequest,
    PaymentStatus, Provider, ProviderError, ProviderView, RefundRequest, RefundSupport, Repeat, Repeats,
    Result, Secret, Setting, SettingsError, Side, Vault, VaultSupport, encoded,
};
use serde::de::DeserializeOwned;

use request::LINK_MINUTES;
use response::{Answer, Checkout, Envelope, Listed, NotificationBody};

/// paymennt, as routing and the contract suite see it.
pub(crate) static ABOUT: About = About {
    name: "paymennt",
    title: "paymennt",
    base_url: "https://api.paymennt.com/mer/v2.0",
    capabilities: Capabilities {
        approaches: &[Approach::Hosted, Approach::Link],
        // There is no manual capture: it needs a payment's id, which neither a page nor a link returns.
        cancel: CancelSupport::Unpaid,
        refund: RefundSupport::Partial,
        lookup: Lookup::ByMerchantReference,
        repeat: Repeats {
            // A request id is used once. What a second one is answered while the first lives is not known, so the first
            // one must be looked up before.
            create: Repeat::SelfLimiting,
            cancel: Repeat::SelfLimiting,
            ..Repeats::UNSAFE
        },
        notification_auth: NotificationAuth::Signed,
        delivers_links: true,
        // The vendor's own client refuses a third decimal, and nothing says what its server does with one.
        currencies: Currencies { only: &[], max_decimals: 2 },
        limits: AmountLimits {
            page_lifetime: Some((
                Duration::from_secs(LINK_MINUTES.0 * 60),
                Duration::from_secs(LINK_MINUTES.1 * 60),
            )),
            ..AmountLimits::NONE
        },
        needs: &[(
            Approach::Hosted,
            &[
                Field::Email,
                Field::FirstName,
                Field::LastName,
                Field::Billing(AddressPart::Name),
                Field::Billing(AddressPart::Line1),
                Field::Billing(AddressPart::City),
                Field::Billing(AddressPart::Country),
                Field::Items,
            ],
        )],
        restricts_to: &[
            PaymentMethodType::Card,
            PaymentMethodType::Wallet,
            PaymentMethodType::BuyNowPayLater,
        ],
        // From the vendor's Java client; a name or a town that is cut could be another one.
        longest: &[
            (Field::CustomerId, 50),
            (Field::Email, 50),
            (Field::Phone, 20),
            (Field::FirstName, 60),
            (Field::LastName, 40),
            (Field::Billing(AddressPart::Name), 100),
            (Field::Billing(AddressPart::City), 50),
            (Field::Billing(AddressPart::Region), 50),
            (Field::Billing(AddressPart::PostalCode), 20),
            (Field::Shipping(AddressPart::Name), 100),
            (Field::Shipping(AddressPart::City), 50),
            (Field::Shipping(AddressPart::Region), 50),
            (Field::Shipping(AddressPart::PostalCode), 20),
        ],
        vault: Some(VaultSupport {
            approaches: &[],
            // Cards are stored by the frame in a merchant's own page only.
            payments_store: false,
            lists: true,
            charges: true,
            detaches: true,
        }),
        ..Capabilities::NONE
    },
    settings: &[
        Setting::secret(
            "api_key",
            "API key: requested in the paymennt app under Payment products, Integrations",
        ),
        Setting::secret("api_secret", "API secret: comes with the API key"),
        Setting::notification_secret(
            "webhook_secret",
            "whsec_… of the webhook endpoint in the Merchant Portal, Developer, Webhooks; without it every \
             notification is refused and payments are followed by polling",
        ),
    ],
    statuses: include_str!("statuses.toml"),
    build,
};

/// The largest allowed difference between a notification's time and the clock, seconds; the vendor's recommendation.
const MAX_CLOCK_DIFFERENCE_S: u64 = 300;

const UNUSABLE_SECRET: &str = "is not base64 of 24 bytes at least after whsec_, so anybody could guess it and sign \
                               notifications: copy it whole from the Merchant Portal";

struct Paymennt {
    api_key: Secret,
    api_secret: Secret,
    webhook_secret: Option<Secret>,
}

fn build(settings: &AdapterSettings) -> std::result::Result<Box<dyn Provider>, SettingsError> {
    let webhook_secret = settings.optional_secret("webhook_secret");
    let unusable =
        |secret| sign::check_webhook_signature(secret, b"", b"", b"", "") == Err(SignatureError::BadSecret);
    if webhook_secret.as_ref().is_some_and(unusable) {
        return Err(SettingsError::Invalid("webhook_secret", UNUSABLE_SECRET));
    }
    let (api_key, api_secret) = (settings.secret("api_key")?, settings.secret("api_secret")?);
    Ok(Box::new(Paymennt { api_key, api_secret, webhook_secret }))
}

#[async_trait]
impl Provider for Paymennt {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn create(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment> {
        let http_request = match attempt.approach {
            Approach::Hosted => HttpRequest::post("/checkout/web").json(request::web(attempt, request)?)?,
            Approach::Link => HttpRequest::post("/checkout/link").json(request::link(attempt, request)?)?,
            Approach::Embedded => return Err(ProviderError::Unsupported("show a widget")),
        };
        let checkout: Checkout = self.send(ctx, http_request).await?;
        let created = checkout.created(ctx)?;
        ctx.require(Some(created).filter(|created| created.next != Next::Nothing), "a page")
    }

    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        let reference = attempt.provider_reference()?;
        let get = HttpRequest::get(format!("/checkout/{}", encoded(reference)));
        let view = self.checkout(ctx, reference, get).await?;
        match attempt.adapter_state.get(vault::PAYMENT) {
            Some(payment) if ctx.statuses().means(&view.provider_status, PaymentStatus::Pending) => {
                self.fetch_charge(ctx, payment, view).await
            }
            _ => Ok(view),
        }
    }

    async fn find_by_reference(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<Option<CreatedPayment>> {
        let reference = attempt.id.to_string();
        // One that cannot be read is one all the same.
        let found: Listed<Side<Checkout>> =
            self.send(ctx, HttpRequest::get(format!("/checkout?requestId={reference}"))).await?;
        if found.content.is_empty() {
            return Ok(None);
        }
        let mut listed = found.content.into_iter().filter_map(|one| one.0);
        let checkout = listed.find(|one| one.request_id.as_deref() == Some(reference.as_str()));
        // If the list contains only other payments, the search has ignored the filter; that does not prove that
        // this one does not exist.
        let checkout = checkout.ok_or_else(|| ProviderError::Unavailable("found only others".to_owned()))?;
        checkout.created(ctx).map(Some)
    }

    async fn cancel(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        let reference = attempt.provider_reference()?;
        let path = format!("/checkout/{}/cancel", encoded(reference));
        self.checkout(ctx, reference, HttpRequest::post(path)).await
    }

    async fn refund(&self, ctx: &Ctx<'_>, attempt: &Attempt, refund: &RefundRequest) -> Result<ProviderView> {
        let reason = refund.reason.as_deref().filter(|reason| !reason.trim().is_empty()).unwrap_or("Refund");
        let reference = attempt.provider_reference()?;
        let path = format!(
            "/checkout/{}/refund?amount={}&currency={}&note={}&referenceId={}",
            encoded(reference),
            request::major(refund.money)?,
            refund.money.currency,
            encoded(reason),
            refund.id,
        );
        self.checkout(ctx, reference, HttpRequest::post(path)).await
    }

    fn read_notification(
        &self,
        notification: &Notification<'_>,
    ) -> std::result::Result<Vec<NotificationTarget>, NotificationError> {
        let event = self.verified(notification).ok_or(NotificationError::Unverified)?;
        let NotificationBody { id, reference_id } = notification.json()?;
        if id.is_none() && reference_id.is_none() {
            return Err(NotificationError::Unreadable);
        }
        Ok(vec![NotificationTarget {
            status: None,
            reference: id.0.map(String::from),
            merchant_reference: reference_id.0.map(String::from),
            event: Some(event.to_owned()),
        }])
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

impl Paymennt {
    /// Sends a request whose response is the checkout with this id, and returns its view.
    async fn checkout(
        &self,
        ctx: &Ctx<'_>,
        reference: &str,
        http_request: HttpRequest,
    ) -> Result<ProviderView> {
        let checkout: Checkout = self.send(ctx, http_request).await?;
        checkout.view(ctx, Some(reference))
    }

    /// Sends a call with our keys and reads its result.
    async fn send<T: DeserializeOwned>(&self, ctx: &Ctx<'_>, http_request: HttpRequest) -> Result<T> {
        let answer: Answer<T> = ctx.json(&self.send_for_success(ctx, http_request).await?)?;
        Ok(answer.result)
    }

    /// Sends a call with our keys. "Not found" is a 400 like any other: an error is a rejection and its text is never
    /// matched. A read that fails inside a 200 is not documented.
    async fn send_for_success(&self, ctx: &Ctx<'_>, http_request: HttpRequest) -> Result<HttpResponse> {
        let http_request = http_request
            .header_secret("X-Paymennt-Api-Key", &self.api_key)
            .header_secret("X-Paymennt-Api-Secret", &self.api_secret);
        let response = ctx.send_raw(http_request).await?;
        ctx.ensure_ok(&response, response::complaint)?;
        let envelope: Envelope = ctx.json(&response)?;
        if envelope.success.0 { Ok(response) } else { Err(ctx.refusal_in_success(envelope.complaint())) }
    }

    /// The id of a notification that was signed with the account's secret and is not old.
    fn verified<'n>(&self, sent: &'n Notification<'_>) -> Option<&'n str> {
        let secret = self.webhook_secret.as_ref()?;
        let (event, sent_at) = (sent.header("message-id")?, sent.header("message-timestamp")?);
        let signature = sent.header("message-signature")?;
        sign::check_webhook_signature(secret, event.as_bytes(), sent_at.as_bytes(), sent.body, signature)
            .ok()?;
        let away = sent.received_at.seconds().abs_diff(sent_at.parse().ok()?);
        (away <= MAX_CLOCK_DIFFERENCE_S).then_some(event)
    }
}
