//! Routes of payments and refunds.

use std::cmp::Reverse;

use port::{OrderId, PaymentId, RefundId};

use super::list;
use crate::domain::{Outcome, Payment, view};
use crate::http::answer::Answer;
use crate::http::problem::{Code, Problem};
use crate::http::request::{ApiRequest, order_id_of};
use crate::orders::MoneyRequest;
use crate::store::{Cursor, Page, PaymentFilter};

pub(crate) async fn list_all(
    request: &ApiRequest,
    (filter, order): (PaymentFilter, Option<OrderId>),
) -> Result<Answer, Problem> {
    let rows = match order {
        Some(order) => payments_of(request, order, &filter).await?,
        None => request.state().store().payments(&filter).await?,
    };
    let orders = request.load_orders_of(rows.iter().map(|row| row.id)).await?;
    let shown = orders
        .iter()
        .zip(&rows)
        .filter_map(|(order, row)| Some((*row, order, order.payment(PaymentId::from_uuid(row.id))?)));
    let (shown, limit) = (shown.collect::<Vec<_>>(), filter.limit);
    list(&shown, limit, |(row, ..)| row.text(), |(_, order, payment)| view::PaymentView(order, payment))
}

/// The payments of one order, newest first.
async fn payments_of(
    request: &ApiRequest,
    order: OrderId,
    filter: &PaymentFilter,
) -> Result<Vec<Cursor>, Problem> {
    let found = request.state().store().order(order).await?;
    let Some(order) = found.filter(|order| order.header.merchant == filter.merchant) else {
        return Ok(Vec::new());
    };
    let wanted = |payment: &&Payment| {
        filter.status.is_none_or(|status| payment.status() == status)
            && filter.account.as_deref().is_none_or(|name| order.account_of_payment(payment) == Some(name))
    };
    let payments = order.payments.iter().filter(wanted);
    let rows = payments.map(|payment| Cursor { at: payment.created_at, id: payment.id.uuid() });
    let mut rows: Vec<_> = rows.filter(|row| filter.before.is_none_or(|before| *row < before)).collect();
    rows.sort_unstable_by_key(|row| Reverse(*row));
    Ok(rows)
}

pub(crate) async fn read(request: &ApiRequest) -> Result<Answer, Problem> {
    let id: PaymentId = request.id("payment")?;
    let order = request.order_of(id.uuid()).await?;
    let payment = order.payment(id).ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&view::PaymentView(&order, payment))?.version(payment.version))
}

pub(crate) async fn list_refunds(
    request: &ApiRequest,
    Page { before, limit }: Page,
) -> Result<Answer, Problem> {
    let id: PaymentId = request.id("payment")?;
    let order = request.order_of(id.uuid()).await?;
    if order.payment(id).is_none() {
        return Err(Problem::not_found());
    }
    let mut refunds: Vec<_> = order.refunds.iter().filter(|refund| refund.payment == id).collect();
    refunds.sort_by_key(|refund| Reverse(refund.id.to_string()));
    if let Some(before) = before {
        refunds.retain(|refund| refund.id.to_string() < before);
    }
    list(&refunds, limit, |refund| refund.id.to_string(), |refund| view::RefundView(&order, refund))
}

pub(crate) async fn get_refund(request: &ApiRequest) -> Result<Answer, Problem> {
    let id: RefundId = request.id("refund")?;
    let order = request.order_of(id.uuid()).await?;
    let refund = order.refund(id).ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&view::RefundView(&order, refund))?.version(refund.version))
}

pub(crate) async fn capture(request: &ApiRequest, amount: Option<i64>) -> Result<Outcome, Problem> {
    require_key(request)?;
    operate(request, &MoneyRequest::Capture { amount }).await
}

pub(crate) async fn void(request: &ApiRequest) -> Result<Outcome, Problem> {
    operate(request, &MoneyRequest::Void).await
}

pub(crate) async fn create_refund(request: &ApiRequest, refund: MoneyRequest) -> Result<Outcome, Problem> {
    require_key(request)?;
    operate(request, &refund).await
}

async fn operate(request: &ApiRequest, operation: &MoneyRequest) -> Result<Outcome, Problem> {
    let payment: PaymentId = request.id("payment")?;
    Ok(request.on(order_id_of(payment.uuid())).operate(payment, operation).await?)
}

/// Requires an idempotency key, which makes a repeat safe.
fn require_key(request: &ApiRequest) -> Result<(), Problem> {
    if request.command.key.is_some() {
        return Ok(());
    }
    let detail = "This moves money: send an `Idempotency-Key` header, so that a repeat counts once.";
    Err(Problem::new(Code::IdempotencyKeyMissing, detail))
}
