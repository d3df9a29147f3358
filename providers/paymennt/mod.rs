//! paymennt, a gateway of the United Arab Emirates: hosted checkouts, payment links and stored cards.
//!
//! Start at [`ABOUT`]. A checkout is the source of truth and is read back after every notification; its states are
//! in `statuses.toml` and the oddities in the README. This module must not judge a state.

mod order;
#[cfg(test)]
mod tests;
mod vault;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use paymux_port::sign::{self, SignatureError};
use paymux_port::{
    About, AdapterSettings, AmountLimits, Approach, Attempt, CancelSupport, Capabilities, CaptureSupport,
    CreatedPayment, Ctx, Currencies, Field, HttpRequest, HttpResponse, Lookup, Next, Notification,
    NotificationAuth, NotificationError, NotificationTarget, PaymentRequest, Provider, ProviderError,
    ProviderView, RefundRequest, RefundSupport, Repeat, Repeats, Result, Secret, Setting, SettingsError,
    Truth, Vault, encoded,
};
use serde::de::DeserializeOwned;

use order::{LINK_MINUTES, MAX_DECIMALS};
use wire::{created, snapshot};

/// The face of the adapter.
pub(crate) static ABOUT: About = About {
    name: "paymennt",
    title: "paymennt",
    base_url: "https://api.paymennt.com/mer/v2.0",
    capabilities: Capabilities {
        approaches: &[Approach::Hosted, Approach::Link],
        // Capturing needs a payment's id, and neither a page nor a link ever tells one.
        capture: CaptureSupport::Automatic,
        cancel: CancelSupport::Unpaid,
        refund: RefundSupport::Partial,
        lookup: Lookup::ByMerchantReference,
        repeat: Repeats {
            // A request id is used once. What a second one is answered while the first lives is not known, so
            // looking for the first one before is no mere courtesy.
            create: Repeat::SelfLimiting,
            capture: Repeat::Unsafe,
            cancel: Repeat::SelfLimiting,
            refund: Repeat::Unsafe,
        },
        notification_auth: NotificationAuth::Signed,
        truth: Truth::Fetch,
        create_moves_money: false,
        delivers_links: true,
        currencies: Currencies { only: &[], max_decimals: MAX_DECIMALS },
        limits: AmountLimits {
            min_minor: 1,
            max_minor: i64::MAX,
            authorization_lifetime: None,
            page_lifetime: Some((
                Duration::from_secs(LINK_MINUTES.0 * 60),
                Duration::from_secs(LINK_MINUTES.1 * 60),
            )),
        },
        needs: &[(
            Approach::Hosted,
            &[
                Field::Email,
                Field::FirstName,
                Field::LastName,
                Field::BillingName,
                Field::BillingLine1,
                Field::BillingCity,
                Field::BillingCountry,
                Field::Items,
            ],
        )],
    },
    settings: &[
        Setting {
            key: "api_key",
            required: true,
            secret: true,
            help: "API key: requested in the paymennt app under Payment products, Integrations",
        },
        Setting {
            key: "api_secret",
            required: true,
            secret: true,
            help: "API secret: comes with the API key",
        },
        Setting {
            key: "webhook_secret",
            required: false,
            secret: true,
            help: "whsec_… of the webhook endpoint in the Merchant Portal, Developer, Webhooks; without it every \
                   notification is refused and payments are followed by polling",
        },
    ],
    statuses: include_str!("statuses.toml"),
    build,
};

/// How far a notification's own time may be from ours, seconds; the vendor's advice.
const MAX_CLOCK_DIFFERENCE_S: u64 = 300;

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
        return Err(SettingsError::Invalid("webhook_secret", "is not base64 after whsec_"));
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
            Approach::Hosted => HttpRequest::post("/checkout/web").json(&order::web(attempt, request)?)?,
            Approach::Link => HttpRequest::post("/checkout/link").json(&order::link(attempt, request)?)?,
            Approach::Embedded => return Err(ProviderError::Unsupported("show a widget")),
        };
        let created = created(self.send(ctx, http_request).await?, false)?;
        if created.next == Next::Nothing {
            return Err(Ctx::unreadable(false, "a new checkout without its page".to_owned()));
        }
        Ok(created)
    }

    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        let path = format!("/checkout/{}", encoded(attempt.provider_reference()?));
        let stands = snapshot(&self.send(ctx, HttpRequest::get(path)).await?, true)?;
        match attempt.adapter_state.get(vault::PAYMENT) {
            Some(payment) if stands.provider_status.status.eq_ignore_ascii_case("PENDING") => {
                self.fetch_charge(ctx, payment, stands).await
            }
            _ => Ok(stands),
        }
    }

    async fn find_by_reference(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<Option<CreatedPayment>> {
        let ours = attempt.id.to_string();
        let found: wire::Listed<wire::Checkout> =
            self.send(ctx, HttpRequest::get(format!("/checkout?requestId={ours}"))).await?;
        if found.content.is_empty() {
            return Ok(None);
        }
        let checkout = found.content.into_iter().find(|one| one.request_id.as_deref() == Some(&ours));
        // Others in the place of ours mean that the search did not look for it, not that there is none.
        let checkout = checkout.ok_or_else(|| ProviderError::Unavailable("found only others".to_owned()))?;
        created(checkout, true).map(Some)
    }

    async fn cancel(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        let path = format!("/checkout/{}/cancel", encoded(attempt.provider_reference()?));
        snapshot(&self.send(ctx, HttpRequest::post(path)).await?, false)
    }

    async fn refund(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &RefundRequest,
    ) -> Result<ProviderView> {
        let reason = request.reason.as_deref().filter(|reason| !reason.trim().is_empty()).unwrap_or("Refund");
        let path = format!(
            "/checkout/{}/refund?amount={}&currency={}&note={}&referenceId={}",
            encoded(attempt.provider_reference()?),
            order::major(request.money)?,
            request.money.currency,
            encoded(reason),
            request.id,
        );
        snapshot(&self.send(ctx, HttpRequest::post(path)).await?, false)
    }

    fn read_notification(
        &self,
        notification: &Notification<'_>,
    ) -> std::result::Result<Vec<NotificationTarget>, NotificationError> {
        let event = self.verified(notification).ok_or(NotificationError::Unverified)?;
        let body: wire::NotificationBody =
            serde_json::from_slice(notification.body).map_err(|_| NotificationError::Unreadable)?;
        Ok(vec![NotificationTarget {
            reference: body.id,
            merchant_reference: body.reference_id,
            event: Some(event.to_owned()),
        }])
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

impl Paymennt {
    /// Sends a call with our keys and reads its result.
    async fn send<T: DeserializeOwned>(&self, ctx: &Ctx<'_>, http_request: HttpRequest) -> Result<T> {
        let reads_only = http_request.reads_only;
        let response = self.send_for_success(ctx, http_request).await?;
        let answer: wire::Answer<T> = response.json().map_err(|why| Ctx::unreadable(reads_only, why))?;
        Ok(answer.result)
    }

    /// Sends a call with our keys. Errors carry a text and no code, and "not found" is a 400 like any other:
    /// an error is a rejection and its text is never matched. A read that fails inside a 200 is not documented.
    async fn send_for_success(&self, ctx: &Ctx<'_>, http_request: HttpRequest) -> Result<HttpResponse> {
        let reads_only = http_request.reads_only;
        let http_request = http_request
            .header_secret("X-Paymennt-Api-Key", &self.api_key)
            .header_secret("X-Paymennt-Api-Secret", &self.api_secret);
        let response = ctx.send_raw(http_request).await?;
        match response.json::<wire::Envelope>() {
            envelope if !response.ok() => {
                Err(response.into_error(reads_only, envelope.ok().map(|envelope| (None, envelope.error))))
            }
            Ok(wire::Envelope { success: true, .. }) => Ok(response),
            Ok(_) if reads_only => Err(ProviderError::Unavailable("an error inside a 200".to_owned())),
            Ok(envelope) => Err(ProviderError::rejected(None, envelope.error.as_deref())),
            Err(why) => Err(Ctx::unreadable(reads_only, why)),
        }
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
