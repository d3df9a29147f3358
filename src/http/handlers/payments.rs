//! Payments and refunds: looking at them, and what can be done with the money.

use port::{PaymentId, RefundId};

use super::list;
use crate::domain::view;
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::idempotency::Done;
use crate::http::input::{self, Query};
use crate::http::problem::{Code, Problem};
use crate::orders::{MoneyAsk, Outcome};
use crate::store::{Handle, Page, PaymentFilter};

pub(in crate::http) async fn list_all(call: Call) -> Result<Answer, Problem> {
    let query = Query::of(call.incoming.request.query_string());
    let filter = PaymentFilter {
        merchant: call.merchant.to_string(),
        status: query.word("status"),
        account: query.text("account").map(ToOwned::to_owned),
        order: query.parsed("orderId", "the id of an order"),
        page: query.page(),
    };
    let filter = query.finish(filter)?;
    let limit = filter.page.limit;
    let page = Page { limit: limit + 1, ..filter.page };
    let rows = call.state().reads().payments(&PaymentFilter { page, ..filter }).await?;
    let shown: Vec<_> = rows.iter().filter_map(|(id, order)| Some((order, order.payment(*id)?))).collect();
    list(
        &shown,
        limit,
        |(_, payment)| payment.id.to_string(),
        |(order, payment)| view::payment(order, payment),
    )
}

pub(in crate::http) async fn read(call: Call) -> Result<Answer, Problem> {
    Query::none(call.incoming.request.query_string())?;
    let id: PaymentId = call.id("payment")?;
    let order = call.file_of(Handle::Payment(id)).await?;
    let payment = order.payment(id).ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&view::payment(&order, payment))?.version(payment.version))
}

pub(in crate::http) async fn refunds(call: Call) -> Result<Answer, Problem> {
    let query = Query::of(call.incoming.request.query_string());
    let page = query.page();
    let page = query.finish(page)?;
    let id: PaymentId = call.id("payment")?;
    let order = call.file_of(Handle::Payment(id)).await?;
    let mut refunds: Vec<_> = order.refunds.iter().filter(|refund| refund.payment == id).collect();
    refunds.sort_by_key(|refund| std::cmp::Reverse(refund.id.to_string()));
    if let Some(before) = page.before {
        refunds.retain(|refund| refund.id.to_string() < before);
    }
    list(&refunds, page.limit, |refund| refund.id.to_string(), |refund| view::refund(&order, refund))
}

pub(in crate::http) async fn refund(call: Call) -> Result<Answer, Problem> {
    Query::none(call.incoming.request.query_string())?;
    let id: RefundId = call.id("refund")?;
    let order = call.file_of(Handle::Refund(id)).await?;
    let refund = order.refund(id).ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&view::refund(&order, refund))?.version(refund.version))
}

pub(in crate::http) async fn capture(call: &Call) -> Result<Done, Problem> {
    needs_key(call)?;
    let amount = call.read(input::part)?;
    operate(call, &MoneyAsk::Capture { amount }).await
}

pub(in crate::http) async fn void(call: &Call) -> Result<Done, Problem> {
    call.read_nothing()?;
    operate(call, &MoneyAsk::Void).await
}

pub(in crate::http) async fn give_back(call: &Call) -> Result<Done, Problem> {
    needs_key(call)?;
    let (amount, reason, reference) = call.read(input::refund)?;
    operate(call, &MoneyAsk::Refund { amount, reason, reference }).await
}

async fn operate(call: &Call, ask: &MoneyAsk) -> Result<Done, Problem> {
    let payment: PaymentId = call.id("payment")?;
    let order = call.file_of(Handle::Payment(payment)).await?.id();
    let operated = call.state().orders().operate(&call.asked(), order, payment, ask).await?;
    let (refused, pending) = match operated.outcome {
        Outcome::Done => (None, false),
        Outcome::Pending => (None, true),
        Outcome::Refused(failure) => (Some(failure), false),
    };
    let (payment, refund) = (Some(operated.payment), operated.refund);
    Ok(Done { payment, refund, refused, pending, ..Done::order(operated.order) })
}

/// What moves money has to be told apart from a repeat of it.
fn needs_key(call: &Call) -> Result<(), Problem> {
    if call.turn.is_some() {
        return Ok(());
    }
    let detail = "This moves money: send an `Idempotency-Key` header, so that a repeat counts once.";
    Err(Problem::new(Code::IdempotencyKeyMissing, detail))
}
