//! Orders: creating, changing, pricing, signing, submitting, ending, and looking at them.

use port::{ItemId, OrderId};

use super::list;
use crate::domain::submit::Submission;
use crate::domain::view;
use crate::domain::{Event, LineItem, OrderAggregate, Outcome, RecordedEvent, Signature};
use crate::http::answer::Answer;
use crate::http::input::{OrderChanges, Reader};
use crate::http::problem::{Code, Problem};
use crate::http::request::ApiRequest;
use crate::orders::{Edit, Finish, NewOrder};
use crate::store::OrderFilter;

impl ApiRequest {
    fn order_id(&self) -> Result<OrderId, Problem> {
        self.id("order")
    }

    /// Changes the order's content, merged with what is there.
    async fn edit(
        &self,
        change: impl Fn(&OrderAggregate) -> Result<Option<Edit>, Problem>,
    ) -> Result<Outcome, Problem> {
        self.state().orders().on(&self.merchant, &self.command(), self.order_id()?).edit(change).await
    }

    async fn finish(&self, how: Finish) -> Result<Outcome, Problem> {
        let orders = self.state().orders();
        Ok(orders.on(&self.merchant, &self.command(), self.order_id()?).finish(&how).await?)
    }
}

pub(in crate::http) async fn create(request: &ApiRequest, new: NewOrder) -> Result<Outcome, Problem> {
    Ok(request.state().orders().create(&request.merchant, &request.command(), new).await?)
}

pub(in crate::http) async fn read(request: &ApiRequest) -> Result<Answer, Problem> {
    let order = request.order(request.order_id()?).await?;
    Ok(Answer::ok(&view::OrderView(&order))?.version(order.version()))
}

pub(in crate::http) async fn list_all(
    request: &ApiRequest,
    mut filter: OrderFilter,
) -> Result<Answer, Problem> {
    let limit = filter.page.limit;
    filter.page.limit += 1;
    let ids = request.state().store().orders(&filter).await?;
    let orders = request.load_all::<OrderAggregate>(ids.iter().map(|id| id.uuid())).await?;
    list(&orders, limit, |order| order.id().to_string(), |order| view::OrderView(order))
}

pub(in crate::http) async fn change(
    request: &ApiRequest,
    body: Reader<OrderChanges>,
) -> Result<Outcome, Problem> {
    let change = |order: &OrderAggregate| {
        let changes = request.read_change(order, None, body)?;
        let fields = changes.onto(order.header.content.personal.value());
        Ok(fields.map(|fields| Edit::Fields(Box::new(fields))))
    };
    request.edit(change).await
}

pub(in crate::http) async fn add_item(
    request: &ApiRequest,
    body: Reader<LineItem>,
) -> Result<Outcome, Problem> {
    let add = |order: &OrderAggregate| Ok(Some(Edit::AddItem(request.read_change(order, None, body)?)));
    request.edit(add).await
}

pub(in crate::http) async fn change_item(
    request: &ApiRequest,
    body: Reader<LineItem>,
) -> Result<Outcome, Problem> {
    let id = request.id::<ItemId>("item")?;
    let change = |order: &OrderAggregate| {
        let known = |item: &&LineItem| item.id == id;
        let before = order.header.content.items.iter().find(known).ok_or_else(Problem::not_found)?;
        let item = request.read_change(order, Some(before), body)?;
        Ok((item != *before).then_some(Edit::ChangeItem(item)))
    };
    request.edit(change).await
}

pub(in crate::http) async fn remove_item(request: &ApiRequest) -> Result<Outcome, Problem> {
    let id = request.id("item")?;
    request.edit(|_| Ok(Some(Edit::RemoveItem(id)))).await
}

pub(in crate::http) async fn price(request: &ApiRequest) -> Result<Outcome, Problem> {
    let orders = request.state().orders();
    Ok(orders.on(&request.merchant, &request.command(), request.order_id()?).price().await?)
}

pub(in crate::http) async fn sign(request: &ApiRequest, signature: Signature) -> Result<Outcome, Problem> {
    let orders = request.state().orders();
    Ok(orders.on(&request.merchant, &request.command(), request.order_id()?).sign(signature).await?)
}

pub(in crate::http) async fn submit(
    request: &ApiRequest,
    submission: Submission,
) -> Result<Outcome, Problem> {
    if submission.profile.is_some() && request.in_flight.is_none() {
        let detail = "Charging a stored payment method moves money: send an `Idempotency-Key` header.";
        return Err(Problem::new(Code::IdempotencyKeyMissing, detail));
    }
    let command = request.command();
    let order = request.state().orders().on(&request.merchant, &command, request.order_id()?);
    Ok(match submission.profile {
        Some(profile) => order.charge(profile).await?,
        None => order.submit(&submission).await?,
    })
}

pub(in crate::http) async fn approve(request: &ApiRequest) -> Result<Outcome, Problem> {
    request.finish(Finish::Approve).await
}

pub(in crate::http) async fn reject(request: &ApiRequest) -> Result<Outcome, Problem> {
    request.finish(Finish::Reject).await
}

pub(in crate::http) async fn cancel(request: &ApiRequest) -> Result<Outcome, Problem> {
    request.finish(Finish::Cancel).await
}

pub(in crate::http) async fn fulfil(request: &ApiRequest, how: Finish) -> Result<Outcome, Problem> {
    request.finish(how).await
}

pub(in crate::http) async fn timeline(
    request: &ApiRequest,
    (after, limit): (Option<u64>, u32),
) -> Result<Answer, Problem> {
    let (order, after) = (request.order(request.order_id()?).await?, after.unwrap_or(0));
    let mut events: Vec<RecordedEvent<Event>> = Vec::new();
    for change in request.state().store().changes_of(order.id().uuid(), after, limit + 1).await? {
        let change = change.read::<OrderAggregate>()?;
        events.extend(change.recorded_events().filter(|event| event.sequence > after));
    }
    list(&events, limit, |event| event.sequence.to_string(), |event| view::timeline_entry(&order, event))
}
