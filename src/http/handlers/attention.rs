//! What needs a person: looking at it, and deciding.

use port::AttentionId;

use super::list;
use crate::domain::{Actor, AttentionDecision, Outcome, view};
use crate::http::answer::Answer;
use crate::http::problem::Problem;
use crate::http::request::{ApiRequest, order_id_of};
use crate::store::AttentionFilter;

pub(in crate::http) async fn list_all(
    request: &ApiRequest,
    filter: AttentionFilter,
) -> Result<Answer, Problem> {
    let limit = filter.limit;
    let filter = AttentionFilter { limit: limit + 1, ..filter };
    let rows = request.state().store().attention(&filter).await?;
    let orders = request.load_orders_of(rows.iter().map(|row| row.id)).await?;
    let shown = orders
        .iter()
        .zip(&rows)
        .filter_map(|(order, row)| Some((*row, order, order.attention(AttentionId::from_uuid(row.id))?)));
    let shown: Vec<_> = shown.collect();
    list(&shown, limit, |(row, ..)| row.text(), |(_, order, attention)| view::AttentionView(order, attention))
}

pub(in crate::http) async fn resolve(
    request: &ApiRequest,
    (decision, note): (AttentionDecision, Option<String>),
) -> Result<Outcome, Problem> {
    let id: AttentionId = request.id("attention")?;
    let (orders, command) = (request.state().orders(), request.command_of(Actor::Operator));
    let order = orders.on(&request.merchant, &command, order_id_of(id.uuid()));
    Ok(order.resolve(id, decision, note).await?)
}
