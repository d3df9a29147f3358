//! Starting in several steps: the provider's order, its price, the session on it.
//!
//! What has to be the same on a repeat is kept before it is sent, so that a start that was cut off anywhere is
//! simply made again: kept bytes and ids win over whatever would be written today.

use std::time::Duration;

use paymux_port::{
    AdapterState, Attempt, CreatedPayment, Ctx, PaymentRequest, ProviderError, ProviderView, Result,
    Timestamp,
};

use super::opened::{Kind, Opened};
use super::request::{self, NewOrder, NewPayable};
use super::wire::{Order, Priced, refusal};
use super::{NOTHING_TO_SAY, Telness, encoded, keyed, snapshot};

/// In `theirs`: the exact body that makes the provider's order.
pub(super) const ORDER_BODY: &str = "order_body";
/// In `theirs`: the provider's id of the order.
pub(super) const ORDER_ID: &str = "order_id";
/// In `theirs`: the exact body that opens the session or link.
const OPEN_BODY: &str = "open_body";

/// Connect knows a key for 24 hours (idempotency page); the last of them is left for clocks and slow answers.
const KEY_LIFE: Duration = Duration::from_secs(23 * 3600);

impl Telness {
    /// Makes the order, compares its price with what is asked, and opens a session, link or profile session.
    pub(super) async fn start(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
        kind: Kind,
    ) -> Result<CreatedPayment> {
        if is_forgotten(attempt, ctx.now()) {
            let order = attempt.adapter_state.get(ORDER_ID).map(String::as_str);
            let why = ProviderError::rejected(Some("start_too_old"), Some("too old to be repeated"));
            return self.give_up(ctx, attempt, order, why).await;
        }
        let order = self.order(ctx, attempt, request, kind).await?;
        if kind != Kind::ProfileSession {
            let priced = self.price(ctx, attempt, &order).await?;
            if priced.money() != Some(attempt.money) {
                let text = format!("priced at {priced}, asked for {}", attempt.money);
                return self.give_up(ctx, attempt, Some(&order), ProviderError::AmountDiffers(text)).await;
            }
        }
        let opened = self.open(ctx, attempt, request, kind, &order).await?;
        self.created(attempt, kind, &opened)
    }

    /// The provider's id of the order, from an earlier try or made now.
    async fn order(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
        kind: Kind,
    ) -> Result<String> {
        if let Some(known) = attempt.adapter_state.get(ORDER_ID) {
            return Ok(known.clone());
        }
        let body = match attempt.adapter_state.get(ORDER_BODY) {
            Some(kept) => kept.clone(),
            None => {
                let written = request::written(&NewOrder::new(kind, attempt, request))?;
                ctx.save_state(&[(ORDER_BODY, &written)]).await?;
                written
            }
        };
        let order: Order = self.post(ctx, attempt, "order", "/orders", &body).await?;
        Ok(order.id)
    }

    async fn price(&self, ctx: &Ctx<'_>, attempt: &Attempt, order: &str) -> Result<Priced> {
        let path = format!("/orders/{}/calculate-price", encoded(order));
        self.post(ctx, attempt, "price", &path, NOTHING_TO_SAY).await
    }

    /// Opens the session or link on the order. One write keeps both the order's id and the body.
    async fn open(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
        kind: Kind,
        order: &str,
    ) -> Result<Opened> {
        let body = match attempt.adapter_state.get(OPEN_BODY) {
            Some(kept) => kept.clone(),
            None => {
                let written = request::written(&NewPayable::new(
                    kind,
                    order,
                    &self.payment_provider,
                    attempt,
                    request,
                ))?;
                ctx.save_state(&[(ORDER_ID, order), (OPEN_BODY, &written)]).await?;
                written
            }
        };
        self.post(ctx, attempt, "open", kind.path(), &body).await
    }

    /// The answer in the port's words. The price was compared, so what was asked is what is to be paid; storing a
    /// method costs nothing.
    fn created(&self, attempt: &Attempt, kind: Kind, opened: &Opened) -> Result<CreatedPayment> {
        let next = opened.next(kind, attempt.approach, &self.payment_provider);
        let total = (kind != Kind::ProfileSession).then_some(attempt.money);
        Ok(CreatedPayment {
            reference: opened.id(kind).ok_or_else(|| incomplete("an id"))?.to_owned(),
            next: next.ok_or_else(|| incomplete("a way to pay"))?,
            view: ProviderView { total, ..snapshot(kind, opened) },
            adapter_state: AdapterState::new(),
        })
    }

    /// Closes the provider's order, so that nothing on it can ever be paid, and ends the start. Without a known
    /// order there is nothing to close: a session is opened only after its id was kept.
    async fn give_up(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        order: Option<&str>,
        why: ProviderError,
    ) -> Result<CreatedPayment> {
        if let Some(order) = order {
            let path = format!("/orders/{}/cancel", encoded(order));
            let response = self.answer(ctx, keyed(attempt, "cancel_order", &path, NOTHING_TO_SAY)).await?;
            let refusal = (!response.ok()).then(|| refusal(&response, false));
            if let Some(unsure @ (ProviderError::Busy { .. } | ProviderError::OutcomeUnknown(_))) = refusal {
                return Err(unsure);
            }
        }
        Err(why)
    }
}

/// An answer to a write that leaves its outcome open.
fn incomplete(what: &str) -> ProviderError {
    Ctx::unreadable(false, format!("an answer without {what}"))
}

/// Whether something was sent so long ago that its repeat could make a second one.
fn is_forgotten(attempt: &Attempt, now: Timestamp) -> bool {
    !attempt.adapter_state.is_empty() && now.since(attempt.started_at) > KEY_LIFE
}
