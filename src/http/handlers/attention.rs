//! Routes of attention: list and resolve.

use port::AttentionId;

use super::list;
use crate::domain::{Actor, AttentionDecision, Cause, Outcome, view};
use crate::engine::Command;
use crate::http::answer::Answer;
use crate::http::problem::Problem;
use crate::http::request::{ApiRequest, order_id_of};
use crate::store::AttentionFilter;

pub(crate) async fn list_all(request: &ApiRequest, filter: AttentionFilter) -> Result<Answer, Problem> {
    let rows = request.state().store().attention(&filter).await?;
    let orders = request.load_orders_of(rows.iter().map(|row| row.id)).await?;
    let shown = orders
        .iter()
        .zip(&rows)
        .filter_map(|(order, row)| Some((*row, order, order.attention(AttentionId::from_uuid(row.id))?)));
    let shown: Vec<_> = shown.collect();
    list(
        &shown,
        filter.limit,
        |(row, ..)| row.text(),
        |(_, order, attention)| view::AttentionView(order, attention),
    )
}

pub(crate) async fn resolve(
    request: &ApiRequest,
    (decision, note): (AttentionDecision, Option<String>),
) -> Result<Outcome, Problem> {
    let id: AttentionId = request.id("attention")?;
    let cause = Cause { actor: Actor::Operator, ..request.command.cause.clone() };
    let command = Command { cause, ..request.command.clone() };
    let order = request.state().orders.on(&request.merchant, &command, order_id_of(id.uuid()));
    Ok(order.resolve(id, decision, note).await?)
}
