//! Routes of orders.

use port::ItemId;

use super::list;
use crate::domain::submit::Submission;
use crate::domain::view;
use crate::domain::{Event, LineItem, OrderAggregate, Outcome, RecordedEvent, Signature};
use crate::http::answer::Answer;
use crate::http::input::Reader;
use crate::http::problem::{Code, Problem};
use crate::http::request::ApiRequest;
use crate::orders::{Edit, NewOrder, OrderAction, OrderFields};
use crate::store::OrderFilter;

pub(crate) async fn create(request: &ApiRequest, new: NewOrder) -> Result<Outcome, Problem> {
    Ok(request.state().orders.create(&request.merchant, &request.command, new).await?)
}

pub(crate) async fn read(request: &ApiRequest) -> Result<Answer, Problem> {
    let order = request.order(request.id("order")?).await?;
    Ok(Answer::ok(&view::OrderView(&order))?.version(order.version()))
}

pub(crate) async fn list_all(request: &ApiRequest, filter: OrderFilter) -> Result<Answer, Problem> {
    let ids = request.state().store().orders(&filter).await?;
    let orders = request.load_all::<OrderAggregate>(ids.iter().map(|id| id.uuid())).await?;
    list(&orders, filter.page.limit, |order| order.id().to_string(), |order| view::OrderView(order))
}

pub(crate) async fn change(
    request: &ApiRequest,
    body: Reader<Option<OrderFields>>,
) -> Result<Outcome, Problem> {
    let change = |order: &OrderAggregate| {
        let fields = request.read_change(order, None, body)?;
        Ok(fields.map(|fields| Edit::Fields(Box::new(fields))))
    };
    request.on(request.id("order")?).edit(change).await
}

pub(crate) async fn add_item(request: &ApiRequest, body: Reader<LineItem>) -> Result<Outcome, Problem> {
    let add = |order: &OrderAggregate| Ok(Some(Edit::AddItem(request.read_change(order, None, body)?)));
    request.on(request.id("order")?).edit(add).await
}

pub(crate) async fn change_item(request: &ApiRequest, body: Reader<LineItem>) -> Result<Outcome, Problem> {
    let id = request.id::<ItemId>("item")?;
    let change = |order: &OrderAggregate| {
        let known = |item: &&LineItem| item.id == id;
        let before = order.header.content.items.iter().find(known).ok_or_else(Problem::not_found)?;
        let item = request.read_change(order, Some(before), body)?;
        Ok((item != *before).then_some(Edit::ChangeItem(item)))
    };
    request.on(request.id("order")?).edit(change).await
}

pub(crate) async fn remove_item(request: &ApiRequest) -> Result<Outcome, Problem> {
    let id = request.id("item")?;
    request.on(request.id("order")?).edit(|_| Ok(Some(Edit::RemoveItem(id)))).await
}

pub(crate) async fn price(request: &ApiRequest) -> Result<Outcome, Problem> {
    Ok(request.on(request.id("order")?).price().await?)
}

pub(crate) async fn sign(request: &ApiRequest, signature: Signature) -> Result<Outcome, Problem> {
    Ok(request.on(request.id("order")?).sign(signature).await?)
}

pub(crate) async fn submit(request: &ApiRequest, submission: Submission) -> Result<Outcome, Problem> {
    if submission.profile.is_some() && request.command.key.is_none() {
        let detail = "Charging a payment profile moves money: send an `Idempotency-Key` header.";
        return Err(Problem::new(Code::IdempotencyKeyMissing, detail));
    }
    let order = request.on(request.id("order")?);
    Ok(match submission.profile {
        Some(profile) => order.charge(profile).await?,
        None => order.submit(&submission).await?,
    })
}

pub(crate) async fn approve(request: &ApiRequest) -> Result<Outcome, Problem> {
    finish(request, OrderAction::Approve).await
}

pub(crate) async fn reject(request: &ApiRequest) -> Result<Outcome, Problem> {
    finish(request, OrderAction::Reject).await
}

pub(crate) async fn cancel(request: &ApiRequest) -> Result<Outcome, Problem> {
    finish(request, OrderAction::Cancel).await
}

pub(crate) async fn finish(request: &ApiRequest, how: OrderAction) -> Result<Outcome, Problem> {
    Ok(request.on(request.id("order")?).perform(&how).await?)
}

pub(crate) async fn timeline(
    request: &ApiRequest,
    (after, limit): (Option<u64>, u32),
) -> Result<Answer, Problem> {
    let (order, after) = (request.order(request.id("order")?).await?, after.unwrap_or(0));
    let mut events: Vec<RecordedEvent<Event>> = Vec::new();
    for change in request.state().store().changes_of(order.id().uuid(), after, limit).await? {
        let change = change.read::<OrderAggregate>()?;
        events.extend(change.recorded_events().filter(|event| event.sequence > after));
    }
    list(&events, limit, |event| event.sequence.to_string(), |event| view::timeline_entry(&order, event))
}
