//! Telness Connect: orders at the provider, payment sessions and links on them, payment profiles.
//!
//! A payment is an order of the provider's own, its price, and a session or link on it. Sessions state no amount, so the
//! price is compared before one is opened. There is no refund and no manual capture in this API, and none may be
//! imitated here.

mod request;
mod response;
#[cfg(test)]
mod tests;
mod vault;

use async_trait::async_trait;
use paymux_port::{
    About, AdapterSettings, AdapterState, Advice, Approach, Attempt, CancelSupport, Capabilities,
    CreatedPayment, Ctx, Currencies, HttpRequest, HttpResponse, JsonObject, Lookup, Notification,
    NotificationAuth, NotificationError, NotificationTarget, PaymentRequest, Provider, ProviderError,
    ProviderOrderStatus, ProviderView, Repeat, Repeats, Result, Secret, Setting, SettingsError, Vault,
    VaultSupport, encoded,
};
use serde::de::DeserializeOwned;

use request::{Kind, Target};
use response::{NotificationBody, Opened, Order, Priced};

/// Telness Connect, by its current reference; answers of the earlier one are read too.
pub(crate) static ABOUT: About = About {
    name: "telness",
    title: "Telness Connect",
    base_url: "https://connect.telnesstech.com/api/v2",
    capabilities: Capabilities {
        approaches: &[Approach::Hosted, Approach::Embedded, Approach::Link],
        cancel: CancelSupport::Unpaid,
        lookup: Lookup::ByProviderReference,
        repeat: Repeats { create: Repeat::Deduplicated, cancel: Repeat::Deduplicated, ..Repeats::UNSAFE },
        notification_auth: NotificationAuth::SharedKey,
        currencies: Currencies { only: &[], max_decimals: 4 },
        vault: Some(VaultSupport {
            approaches: &[Approach::Hosted, Approach::Embedded],
            payments_store: true,
            lists: true,
            charges: false,
            detaches: false,
        }),
        submits_order: true,
        ..Capabilities::NONE
    },
    settings: &[
        Setting::secret(
            "api_key",
            "API key of the organisation, made in the Connect portal; one for each environment",
        ),
        Setting::optional_text(
            "payment_provider",
            "paymentProvider of the sessions: who processes the cards behind Connect; STRIPE if absent",
        ),
        Setting::notification_secret(
            "webhook_key",
            "shared key that notifications carry in X-Api-Key; without it their address must carry notify_key",
        ),
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

/// In the adapter state: the exact body that creates the provider's order.
const ORDER_BODY: &str = "order_body";
/// In the adapter state: the provider's id of the order.
const ORDER_ID: &str = "order_id";
/// In the adapter state: the exact body that opens a session or link.
const OPEN_BODY: &str = "open_body";

/// The body of a write that says everything by its path.
const NOTHING_TO_SAY: &str = "{}";

#[async_trait]
impl Provider for Telness {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// Creates the order, compares its price with the request, and opens a session or link. What has to be the same
    /// on a repeat is saved before it is sent, so that a start that was cut off anywhere is simply repeated.
    async fn create(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment> {
        let target = Target::from(attempt);
        let order = self.order(ctx, &target, request::order_to_pay(attempt, request)).await?;
        let price =
            target.post("price", &format!("/orders/{}/calculate-price", encoded(&order)), NOTHING_TO_SAY);
        let priced: Priced = self.send(ctx, price).await?;
        if priced.money() != Some(attempt.money) {
            let text = format!("priced at {priced}, asked for {}", attempt.money);
            return Err(self.give_up(ctx, &target, &order, ProviderError::AmountDiffers(text)).await);
        }
        let payable = match target.kind {
            Kind::Link => request::link(attempt, request, &order),
            _ => request::session(attempt, request, &order, &self.payment_provider),
        };
        let opened = self.open(ctx, &target, &order, payable).await?;
        Ok(CreatedPayment {
            reference: ctx.require(opened.id(target.kind), "an id")?,
            next: ctx.require(opened.next(&target, &self.payment_provider), "a way to pay")?,
            // The price was compared, so what was asked for is what is to be paid.
            view: ProviderView { total: Some(attempt.money), ..opened.view(target.kind) },
            adapter_state: AdapterState::new(),
        })
    }

    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        let target = Target::from(attempt);
        Ok(self.read(ctx, &target).await?.view(target.kind))
    }

    /// Closes the session or the link. The provider's order is left to expire by itself: nothing on it can be
    /// paid any more, and a second write would only make a certain answer uncertain.
    async fn cancel(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        let target = Target::from(attempt);
        Ok(self.close(ctx, &target).await?.view(target.kind))
    }

    /// Submits the provider's order. It may already have done so by itself ("submitted automatically once every
    /// requirement is met", submit-order page), so a refusal is checked against the order.
    async fn submit_provider_order(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<()> {
        let target = Target::from(attempt);
        let order = attempt.adapter_state.get(ORDER_ID).ok_or(ProviderError::NotFound)?;
        let order = format!("/orders/{}", encoded(order));
        let submit =
            target.post("submit", &format!("{order}/submit"), &request::submit(&target).into_text()?);
        let response = self.answer(ctx, submit).await?;
        match understood::<Order>(ctx, &response) {
            Err(refusal @ ProviderError::Rejected { .. }) if matches!(response.status, 409 | 412) => {
                let order: Order = self.send(ctx, HttpRequest::get(order)).await?;
                let status = ctx.statuses().provider_order(&order.state);
                if status == Some(ProviderOrderStatus::Submitted) { Ok(()) } else { Err(refusal) }
            }
            done => done.map(drop),
        }
    }

    fn read_notification(
        &self,
        notification: &Notification<'_>,
    ) -> std::result::Result<Vec<NotificationTarget>, NotificationError> {
        if !notification.has_shared_key("x-api-key", self.webhook_key.as_ref()) {
            return Err(NotificationError::Unverified);
        }
        let body: NotificationBody = notification.json()?;
        Ok(body.target().into_iter().collect())
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

impl Telness {
    /// The provider's id of the order, from an earlier try or made now.
    async fn order(&self, ctx: &Ctx<'_>, target: &Target<'_>, order: JsonObject) -> Result<String> {
        let known = target.state.get(ORDER_ID);
        if target.is_forgotten(ctx.now()) {
            let why = ProviderError::rejected(Some("start_too_old"), Some("too old to be repeated"));
            return Err(match known {
                Some(order) => self.give_up(ctx, target, order, why).await,
                // A session is opened only after the order's id was saved: there is nothing to close.
                None => why,
            });
        }
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let body = saved(ctx, target, ORDER_BODY, order, None).await?;
        let order: Order = self.send(ctx, target.post("order", "/orders", &body)).await?;
        Ok(order.id)
    }

    /// Opens the session, link or profile session on the order.
    async fn open(
        &self,
        ctx: &Ctx<'_>,
        target: &Target<'_>,
        order: &str,
        payable: JsonObject,
    ) -> Result<Opened> {
        let body = saved(ctx, target, OPEN_BODY, payable, Some((ORDER_ID, order))).await?;
        self.send(ctx, target.post("open", target.kind.path(), &body)).await
    }

    /// Closes the provider's order, so that nothing on it can ever be paid, and says why the start ends.
    async fn give_up(
        &self,
        ctx: &Ctx<'_>,
        target: &Target<'_>,
        order: &str,
        why: ProviderError,
    ) -> ProviderError {
        let path = format!("/orders/{}/cancel", encoded(order));
        let cancel = self.answer(ctx, target.post("cancel_order", &path, NOTHING_TO_SAY)).await;
        let closed = cancel.and_then(|response| ensure_ok(ctx, &response));
        closed.err().filter(|unsure| unsure.advice() != Advice::Stop).unwrap_or(why)
    }

    async fn read(&self, ctx: &Ctx<'_>, target: &Target<'_>) -> Result<Opened> {
        opened(ctx, target, &self.answer(ctx, HttpRequest::get(target.path()?)).await?)
    }

    /// Cancels it. An answer with the object is used; one without it is followed by a read.
    async fn close(&self, ctx: &Ctx<'_>, target: &Target<'_>) -> Result<Opened> {
        let path = format!("{}/cancel", target.path()?);
        let response = self.answer(ctx, target.post("cancel", &path, NOTHING_TO_SAY)).await?;
        match opened(ctx, target, &response) {
            Err(_) if response.ok() => self.read(ctx, target).await,
            done => done,
        }
    }

    async fn send<T: DeserializeOwned>(&self, ctx: &Ctx<'_>, http_request: HttpRequest) -> Result<T> {
        understood(ctx, &self.answer(ctx, http_request).await?)
    }

    /// Whatever answer comes.
    async fn answer(&self, ctx: &Ctx<'_>, http_request: HttpRequest) -> Result<HttpResponse> {
        ctx.send_raw(http_request.header_secret("X-Api-Key", &self.api_key)).await
    }
}

/// An answer's content, or what its refusal proves.
fn understood<T: DeserializeOwned>(ctx: &Ctx<'_>, response: &HttpResponse) -> Result<T> {
    ensure_ok(ctx, response)?;
    ctx.json(response)
}

/// The session, link or profile session that was asked for.
fn opened(ctx: &Ctx<'_>, target: &Target<'_>, response: &HttpResponse) -> Result<Opened> {
    let opened: Opened = understood(ctx, response)?;
    let (id, view) = (opened.id(target.kind), opened.view(target.kind));
    ctx.ensure_about(target.reference, id.as_deref(), view.merchant_reference.as_deref())?;
    Ok(opened)
}

fn ensure_ok(ctx: &Ctx<'_>, response: &HttpResponse) -> Result<()> {
    if response::is_locked(response) {
        return Err(ProviderError::Busy { retry_after: response.retry_after });
    }
    ctx.ensure_ok(response, response::complaint)
}

/// The text of a body as an earlier try has saved it, else as it is now, saved under `name` together with `more`.
async fn saved(
    ctx: &Ctx<'_>,
    target: &Target<'_>,
    name: &str,
    body: JsonObject,
    more: Option<(&str, &str)>,
) -> Result<String> {
    if let Some(saved) = target.state.get(name) {
        return Ok(saved.clone());
    }
    let written = body.into_text()?;
    let pairs: Vec<_> = more.into_iter().chain([(name, written.as_str())]).collect();
    ctx.save_state(&pairs).await?;
    Ok(written)
}
