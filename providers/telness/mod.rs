//! Telness Connect: orders at the provider, payment sessions and links on them, stored payment methods.
//!
//! A payment is an order of the provider's own, its price, and a session or link on it (`begin`); what we send
//! stands in `request`, what they answer in `wire`. Sessions state no amount, so the price is compared before one is
//! opened. There is no refund and no capture by hand in this API, and none may be imitated here.

mod begin;
mod opened;
mod request;
#[cfg(test)]
mod tests;
mod vault;
mod wire;

use async_trait::async_trait;
use paymux_port::{
    About, AdapterSettings, AmountLimits, Approach, Attempt, CancelSupport, Capabilities, CaptureSupport,
    CreatedPayment, Ctx, Currencies, HttpRequest, HttpResponse, Lookup, Notification, NotificationAuth,
    NotificationError, NotificationTarget, PaymentRequest, Provider, ProviderError, ProviderStatus,
    ProviderView, RefundSupport, Repeat, Repeats, Result, Secret, Setting, SettingsError, Truth, Vault,
    encoded, sign,
};
use serde::de::DeserializeOwned;

use opened::{Kind, Opened};
use wire::{Envelope, Order};

/// Telness Connect, by its current reference; answers of the earlier one are read too.
pub(crate) static ABOUT: About = About {
    name: "telness",
    title: "Telness Connect",
    base_url: "https://connect.telnesstech.com/api/v2",
    capabilities: Capabilities {
        approaches: &[Approach::Hosted, Approach::Embedded, Approach::Link],
        capture: CaptureSupport::Automatic,
        cancel: CancelSupport::Unpaid,
        refund: RefundSupport::None,
        lookup: Lookup::ByProviderReference,
        repeat: Repeats {
            create: Repeat::Deduplicated,
            capture: Repeat::Unsafe,
            cancel: Repeat::Deduplicated,
            refund: Repeat::Unsafe,
        },
        notification_auth: NotificationAuth::SharedKey,
        truth: Truth::Fetch,
        create_moves_money: false,
        delivers_links: false,
        currencies: Currencies { only: &[], max_decimals: 4 },
        limits: AmountLimits {
            min_minor: 1,
            max_minor: i64::MAX,
            authorization_lifetime: None,
            page_lifetime: None,
        },
        needs: &[],
    },
    settings: &[
        Setting {
            key: "api_key",
            required: true,
            secret: true,
            help: "API key of the organisation, made in the Connect portal; one for each environment",
        },
        Setting {
            key: "payment_provider",
            required: false,
            secret: false,
            help: "paymentProvider of the sessions: who processes the cards behind Connect; STRIPE if absent",
        },
        Setting {
            key: "webhook_key",
            required: false,
            secret: true,
            help: "shared key that notifications carry in X-Api-Key; without it their address must carry notify_key",
        },
    ],
    statuses: include_str!("statuses.toml"),
    build,
};

fn build(settings: &AdapterSettings) -> std::result::Result<Box<dyn Provider>, SettingsError> {
    let payment_provider = settings.text("payment_provider").filter(|name| !name.is_empty());
    Ok(Box::new(Telness {
        api_key: settings.secret("api_key")?,
        payment_provider: payment_provider.unwrap_or_else(|| "STRIPE".to_owned()),
        webhook_key: settings.optional_secret("webhook_key"),
    }))
}

/// One account at Telness Connect.
struct Telness {
    api_key: Secret,
    payment_provider: String,
    webhook_key: Option<Secret>,
}

/// The body of a write that says everything by its path.
const NOTHING_TO_SAY: &str = "{}";

#[async_trait]
impl Provider for Telness {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn create(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment> {
        self.start(ctx, attempt, request, Kind::of(attempt.approach)).await
    }

    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        let kind = Kind::of(attempt.approach);
        Ok(snapshot(kind, &self.read(ctx, attempt, kind).await?))
    }

    /// Closes the session or the link. The provider's order is left to expire by itself: nothing on it can be
    /// paid any more, and a second write would only make a certain answer uncertain.
    async fn cancel(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        let kind = Kind::of(attempt.approach);
        Ok(snapshot(kind, &self.close(ctx, attempt, kind).await?))
    }

    fn submits_order(&self) -> bool {
        true
    }

    /// Submits the provider's order. It may already have done so by itself ("submitted automatically once every
    /// requirement is met", submit-order page), so a refusal is checked against the order. A link has no field
    /// in the submit body: its order needs no further proof.
    async fn submit_provider_order(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<()> {
        let order = attempt.adapter_state.get(begin::ORDER_ID).ok_or(ProviderError::NotFound)?;
        let order = format!("/orders/{}", encoded(order));
        let proof = match Kind::of(attempt.approach) {
            Kind::Session => request::submit(Some(attempt.provider_reference()?))?,
            Kind::Link | Kind::ProfileSession => request::submit(None)?,
        };
        let response = self.answer(ctx, keyed(attempt, "submit", &format!("{order}/submit"), &proof)).await?;
        match understood::<Order>(&response, false) {
            Err(refusal @ ProviderError::Rejected { .. }) if matches!(response.status, 409 | 412) => {
                let order: Order = self.send(ctx, HttpRequest::get(order)).await?;
                if order.was_submitted() { Ok(()) } else { Err(refusal) }
            }
            done => done.map(|_| ()),
        }
    }

    fn read_notification(
        &self,
        notification: &Notification<'_>,
    ) -> std::result::Result<Vec<NotificationTarget>, NotificationError> {
        let proven = match &self.webhook_key {
            Some(key) => {
                notification.header("x-api-key").is_some_and(|sent| sign::same_secret(key, sent.as_bytes()))
            }
            None => notification.address_key,
        };
        if !proven {
            return Err(NotificationError::Unverified);
        }
        let envelope: Envelope =
            serde_json::from_slice(notification.body).map_err(|_| NotificationError::Unreadable)?;
        Ok(envelope.hint().into_iter().collect())
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

impl Telness {
    /// Reads the attempt's session, link or profile session.
    async fn read(&self, ctx: &Ctx<'_>, attempt: &Attempt, kind: Kind) -> Result<Opened> {
        let path = format!("{}/{}", kind.path(), encoded(attempt.provider_reference()?));
        self.send(ctx, HttpRequest::get(path)).await
    }

    /// Cancels it. An answer that shows the object is believed; one that does not is followed by a read.
    async fn close(&self, ctx: &Ctx<'_>, attempt: &Attempt, kind: Kind) -> Result<Opened> {
        let path = format!("{}/{}/cancel", kind.path(), encoded(attempt.provider_reference()?));
        let response = self.answer(ctx, keyed(attempt, "cancel", &path, NOTHING_TO_SAY)).await?;
        match understood(&response, false) {
            Err(_) if response.ok() => self.read(ctx, attempt, kind).await,
            done => done,
        }
    }

    /// A write whose repeats the provider recognises.
    async fn post<T: DeserializeOwned>(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        step: &str,
        path: &str,
        body: &str,
    ) -> Result<T> {
        self.send(ctx, keyed(attempt, step, path, body)).await
    }

    async fn send<T: DeserializeOwned>(&self, ctx: &Ctx<'_>, http_request: HttpRequest) -> Result<T> {
        let reads_only = http_request.reads_only;
        understood(&self.answer(ctx, http_request).await?, reads_only)
    }

    /// Whatever answer comes.
    async fn answer(&self, ctx: &Ctx<'_>, http_request: HttpRequest) -> Result<HttpResponse> {
        ctx.send_raw(http_request.header_secret("X-Api-Key", &self.api_key)).await
    }
}

/// An answer's content, or what its refusal proves.
fn understood<T: DeserializeOwned>(response: &HttpResponse, reads_only: bool) -> Result<T> {
    if !response.ok() {
        return Err(wire::refusal(response, reads_only));
    }
    response.json().map_err(|why| Ctx::unreadable(reads_only, why))
}

/// The same attempt, step and body make the same bytes, which is what Connect compares for 24 hours
/// (idempotency page).
fn keyed(attempt: &Attempt, step: &str, path: &str, body: &str) -> HttpRequest {
    HttpRequest::post(path)
        .header("X-Idempotency-Key", format!("{}.{step}", attempt.id))
        .json_bytes(body.as_bytes().to_vec())
}

/// Sessions and links state no amounts and no reasons. Their `updatedAt` is not taken as the time of the state:
/// nobody says that every change of the state moves it.
fn snapshot(kind: Kind, shown: &Opened) -> ProviderView {
    ProviderView {
        provider_status: ProviderStatus::new(kind.section(), &shown.status),
        merchant_reference: shown.ours(),
        ..ProviderView::default()
    }
}
