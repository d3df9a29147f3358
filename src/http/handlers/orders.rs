//! Orders: creating, changing, pricing, signing, submitting, ending, and looking at them.

use port::{ItemId, OrderId};

use super::list;
use crate::domain::view;
use crate::domain::{Event, LineItem, OrderAggregate, Outcome, RecordedEvent};
use crate::http::answer::Answer;
use crate::http::input::{self, Defaults};
use crate::http::problem::{Code, Problem};
use crate::http::request::ApiRequest;
use crate::orders::{Edit, Finish};
use crate::store::{OrderFilter, Page};

/// Seconds in a day.
const DAY_S: u64 = 86_400;

impl ApiRequest {
    /// Reads a body that holds a new order.
    pub(super) fn with_defaults<T>(
        &self,
        reader: impl FnOnce(&Defaults<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let settings = self.state().settings();
        let item_id = || self.new_item_id();
        reader(&Defaults {
            merchant: settings.merchant(&self.merchant),
            idle_seconds: u64::from(settings.orders.expire_after_days) * DAY_S,
            item_id: &item_id,
        })
    }

    fn new_item_id(&self) -> ItemId {
        ItemId::from_uuid(self.state().env().uuid())
    }

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

pub(in crate::http) async fn create(request: &ApiRequest) -> Result<Outcome, Problem> {
    let new = request.with_defaults(|defaults| request.read(|body| input::new_order(body, defaults)))?;
    Ok(request.state().orders().create(&request.merchant, &request.command(), new).await?)
}

pub(in crate::http) async fn read(request: ApiRequest) -> Result<Answer, Problem> {
    request.no_query()?;
    let order = request.order(request.order_id()?).await?;
    Ok(Answer::ok(&view::OrderView(&order))?.version(order.version()))
}

pub(in crate::http) async fn list_all(request: ApiRequest) -> Result<Answer, Problem> {
    let query = request.query();
    let Page { before, limit } = query.page();
    let filter = OrderFilter {
        merchant: request.merchant.to_string(),
        state: query.enum_value("state"),
        reference: query.text("reference").map(ToOwned::to_owned),
        created_after: query.parsed("createdAfter", "an RFC 3339 time"),
        created_before: query.parsed("createdBefore", "an RFC 3339 time"),
        page: Page { before, limit: limit + 1 },
    };
    let ids = request.state().store().orders(&query.finish(filter)?).await?;
    let orders = request.load_all::<OrderAggregate>(ids.iter().map(|id| id.uuid())).await?;
    list(&orders, limit, |order| order.id().to_string(), |order| view::OrderView(order))
}

pub(in crate::http) async fn change(request: &ApiRequest) -> Result<Outcome, Problem> {
    let change = |order: &OrderAggregate| {
        let changes = request.read(|body| input::order_changes(body, order.header.currency))?;
        let fields = changes.onto(order.header.personal.value());
        Ok(fields.map(|fields| Edit::Fields(Box::new(fields))))
    };
    request.edit(change).await
}

pub(in crate::http) async fn add_item(request: &ApiRequest) -> Result<Outcome, Problem> {
    let id = request.new_item_id();
    let add = |order: &OrderAggregate| {
        let item = request.read(|body| input::item(body, id, None, Some(order.header.currency)))?;
        Ok(Some(Edit::AddItem(item)))
    };
    request.edit(add).await
}

pub(in crate::http) async fn change_item(request: &ApiRequest) -> Result<Outcome, Problem> {
    let id = request.id::<ItemId>("item")?;
    let change = |order: &OrderAggregate| {
        let known = |item: &&LineItem| item.id == id;
        let before = order.header.items.iter().find(known).ok_or_else(Problem::not_found)?;
        let item = request.read(|body| input::item(body, id, Some(before), Some(order.header.currency)))?;
        Ok((item != *before).then_some(Edit::ChangeItem(item)))
    };
    request.edit(change).await
}

pub(in crate::http) async fn remove_item(request: &ApiRequest) -> Result<Outcome, Problem> {
    request.read_nothing()?;
    let id = request.id("item")?;
    request.edit(|_| Ok(Some(Edit::RemoveItem(id)))).await
}

pub(in crate::http) async fn price(request: &ApiRequest) -> Result<Outcome, Problem> {
    request.read_nothing()?;
    let orders = request.state().orders();
    Ok(orders.on(&request.merchant, &request.command(), request.order_id()?).price().await?)
}

pub(in crate::http) async fn sign(request: &ApiRequest) -> Result<Outcome, Problem> {
    let signature = request.read(input::signature)?;
    let orders = request.state().orders();
    Ok(orders.on(&request.merchant, &request.command(), request.order_id()?).sign(signature).await?)
}

pub(in crate::http) async fn submit(request: &ApiRequest) -> Result<Outcome, Problem> {
    let now = request.state().now();
    let submission = request.read(|body| input::submission(body, now))?;
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
    request.read_nothing()?;
    request.finish(Finish::Approve).await
}

pub(in crate::http) async fn reject(request: &ApiRequest) -> Result<Outcome, Problem> {
    request.read_nothing()?;
    request.finish(Finish::Reject).await
}

pub(in crate::http) async fn cancel(request: &ApiRequest) -> Result<Outcome, Problem> {
    request.read_nothing()?;
    request.finish(Finish::Cancel).await
}

pub(in crate::http) async fn fulfil(request: &ApiRequest) -> Result<Outcome, Problem> {
    let (completed, detail) = request.read(input::fulfilment)?;
    request.finish(Finish::Fulfil { completed, detail }).await
}

pub(in crate::http) async fn timeline(request: ApiRequest) -> Result<Answer, Problem> {
    let query = request.query();
    let (after, limit) = query.page_after(|text| text.parse::<u64>().ok());
    query.finish(())?;
    let (order, after) = (request.order(request.order_id()?).await?, after.unwrap_or(0));
    let mut events: Vec<RecordedEvent<Event>> = Vec::new();
    for change in request.state().store().changes_of(order.id().uuid(), after, limit + 1).await? {
        let change = change.read::<OrderAggregate>()?;
        events.extend(change.recorded_events().filter(|event| event.sequence > after));
    }
    list(&events, limit, |event| event.sequence.to_string(), |event| view::timeline_entry(&order, event))
}
