//! Payments and refunds: looking at them, and what can be done with the money.

use port::{PaymentId, RefundId};

use super::list;
use crate::domain::view;
use crate::http::answer::Answer;
use crate::http::call::ApiRequest;
use crate::http::idempotency::CommandOutcome;
use crate::http::input::{self, Query};
use crate::http::problem::{Code, Problem};
use crate::orders::{MoneyRequest, Outcome};
use crate::store::{OrderLocator, Page, PaymentFilter};

pub(in crate::http) async fn list_all(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let filter = PaymentFilter {
        merchant: request.merchant.to_string(),
        status: query.word("status"),
        account: query.text("account").map(ToOwned::to_owned),
        order: query.parsed("orderId", "the id of an order"),
        page: query.page(),
    };
    let filter = query.finish(filter)?;
    let limit = filter.page.limit;
    let page = Page { limit: limit + 1, ..filter.page };
    let rows = request.state().reads().payments(&PaymentFilter { page, ..filter }).await?;
    let shown: Vec<_> = rows.iter().filter_map(|(id, order)| Some((order, order.payment(*id)?))).collect();
    list(
        &shown,
        limit,
        |(_, payment)| payment.id.to_string(),
        |(order, payment)| view::payment(order, payment),
    )
}

pub(in crate::http) async fn read(request: ApiRequest) -> Result<Answer, Problem> {
    Query::none(request.raw.request.query_string())?;
    let id: PaymentId = request.id("payment")?;
    let order = request.order_of(OrderLocator::Payment(id)).await?;
    let payment = order.payment(id).ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&view::payment(&order, payment))?.version(payment.version))
}

pub(in crate::http) async fn list_refunds(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let page = query.page();
    let page = query.finish(page)?;
    let id: PaymentId = request.id("payment")?;
    let order = request.order_of(OrderLocator::Payment(id)).await?;
    let mut refunds: Vec<_> = order.refunds.iter().filter(|refund| refund.payment == id).collect();
    refunds.sort_by_key(|refund| std::cmp::Reverse(refund.id.to_string()));
    if let Some(before) = page.before {
        refunds.retain(|refund| refund.id.to_string() < before);
    }
    list(&refunds, page.limit, |refund| refund.id.to_string(), |refund| view::refund(&order, refund))
}

pub(in crate::http) async fn get_refund(request: ApiRequest) -> Result<Answer, Problem> {
    Query::none(request.raw.request.query_string())?;
    let id: RefundId = request.id("refund")?;
    let order = request.order_of(OrderLocator::Refund(id)).await?;
    let refund = order.refund(id).ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&view::refund(&order, refund))?.version(refund.version))
}

pub(in crate::http) async fn capture(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    needs_key(request)?;
    let amount = request.read(input::part)?;
    operate(request, &MoneyRequest::Capture { amount }).await
}

pub(in crate::http) async fn void(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    request.read_nothing()?;
    operate(request, &MoneyRequest::Void).await
}

pub(in crate::http) async fn create_refund(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    needs_key(request)?;
    let (amount, reason, reference) = request.read(input::refund)?;
    operate(request, &MoneyRequest::Refund { amount, reason, reference }).await
}

async fn operate(request: &ApiRequest, operation: &MoneyRequest) -> Result<CommandOutcome, Problem> {
    let payment: PaymentId = request.id("payment")?;
    let order = request.order_of(OrderLocator::Payment(payment)).await?.id();
    let operated =
        request.state().orders().operate(&request.command_context(), order, payment, operation).await?;
    let (refused, pending) = match operated.outcome {
        Outcome::Done => (None, false),
        Outcome::Pending => (None, true),
        Outcome::Refused(failure) => (Some(failure), false),
    };
    let (payment, refund) = (Some(operated.payment), operated.refund);
    Ok(CommandOutcome { payment, refund, refused, pending, ..CommandOutcome::order(operated.order) })
}

/// What moves money has to be told apart from a repeat of it.
fn needs_key(request: &ApiRequest) -> Result<(), Problem> {
    if request.in_flight.is_some() {
        return Ok(());
    }
    let detail = "This moves money: send an `Idempotency-Key` header, so that a repeat counts once.";
    Err(Problem::new(Code::IdempotencyKeyMissing, detail))
}
