//! Orders: making, changing, pricing, signing, submitting, ending, and looking at them.

use port::{ItemId, OrderId};

use super::list;
use crate::domain::view;
use crate::domain::{LineItem, OrderAggregate};
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::idempotency::Done;
use crate::http::input::{self, Defaults, Outcome, Query};
use crate::http::problem::{Code, Problem};
use crate::orders::{Edit, Finish, OrderError};
use crate::store::{OrderFilter, Page};

/// How often a change is merged anew because the order was changed meanwhile.
const MOST_MERGES: u32 = 8;

/// Seconds in a day.
const DAY_S: u64 = 86_400;

impl Call {
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
        ItemId::from_uuid(self.state().source().uuid())
    }

    fn order_id(&self) -> Result<OrderId, Problem> {
        self.id("order")
    }
}

pub(in crate::http) async fn create(call: &Call) -> Result<Done, Problem> {
    let draft = call.with_defaults(|defaults| call.read(|body| input::draft(body, defaults)))?;
    Ok(Done::order(call.state().orders().place(&call.asked(), draft).await?))
}

pub(in crate::http) async fn read(call: Call) -> Result<Answer, Problem> {
    Query::none(call.incoming.request.query_string())?;
    let order = call.shown(call.order_id()?).await?;
    Ok(Answer::ok(&view::order(&order))?.version(order.sequence))
}

pub(in crate::http) async fn list_all(call: Call) -> Result<Answer, Problem> {
    let query = Query::of(call.incoming.request.query_string());
    let filter = OrderFilter {
        merchant: call.merchant.to_string(),
        state: query.word("state"),
        reference: query.text("reference").map(ToOwned::to_owned),
        created_after: query.parsed("createdAfter", "an RFC 3339 time"),
        created_before: query.parsed("createdBefore", "an RFC 3339 time"),
        page: query.page(),
    };
    let filter = query.finish(filter)?;
    let limit = filter.page.limit;
    let page = Page { limit: limit + 1, ..filter.page };
    let files = call.state().reads().orders(&OrderFilter { page, ..filter }).await?;
    list(&files, limit, |order| order.id().to_string(), view::order)
}

/// Changes an order by what the request says, merged with what is there. A change that came between is merged
/// with too, unless the request expects a version.
async fn merge(
    call: &Call,
    edit: impl Fn(&OrderAggregate) -> Result<Option<Edit>, Problem>,
) -> Result<Done, Problem> {
    let id = call.order_id()?;
    let mut asked = call.asked();
    for _ in 0..MOST_MERGES {
        let order = call.file(id).await?;
        let change = edit(&order)?;
        let version = asked.expects.filter(|version| *version != order.sequence);
        if version.is_some() && call.expects.is_some() {
            return Err(OrderError::VersionMismatch { actual: order.sequence }.into());
        }
        let Some(change) = change else { return Ok(Done::order(order)) };
        asked.expects = Some(order.sequence);
        match call.state().orders().edit(&asked, id, change).await {
            Err(OrderError::VersionMismatch { .. }) if call.expects.is_none() => {}
            other => return Ok(Done::order(other?)),
        }
    }
    Err(crate::store::StoreError::Busy.into())
}

pub(in crate::http) async fn change(call: &Call) -> Result<Done, Problem> {
    merge(call, |order| {
        let changes = call.read(|body| input::changes(body, order.header.currency))?;
        let fields = changes.onto(order.header.personal.value());
        Ok(fields.map(|fields| Edit::Fields(Box::new(fields))))
    })
    .await
}

pub(in crate::http) async fn add_item(call: &Call) -> Result<Done, Problem> {
    let order = call.order_id()?;
    let currency = call.file(order).await?.header.currency;
    let id = call.new_item_id();
    let item = call.read(|body| input::item(body, id, None, Some(currency)))?;
    Ok(Done::order(call.state().orders().edit(&call.asked(), order, Edit::AddItem(item)).await?))
}

pub(in crate::http) async fn change_item(call: &Call) -> Result<Done, Problem> {
    let id = call.id::<ItemId>("item")?;
    merge(call, |order| {
        let known = |item: &&LineItem| item.id == id;
        let before = order.header.items.iter().find(known).ok_or_else(Problem::not_found)?;
        let item = call.read(|body| input::item(body, id, Some(before), Some(order.header.currency)))?;
        Ok((item != *before).then_some(Edit::ChangeItem(item)))
    })
    .await
}

pub(in crate::http) async fn remove_item(call: &Call) -> Result<Done, Problem> {
    call.read_nothing()?;
    let edit = Edit::RemoveItem(call.id("item")?);
    Ok(Done::order(call.state().orders().edit(&call.asked(), call.order_id()?, edit).await?))
}

pub(in crate::http) async fn price(call: &Call) -> Result<Done, Problem> {
    call.read_nothing()?;
    Ok(Done::order(call.state().orders().price(&call.asked(), call.order_id()?).await?))
}

pub(in crate::http) async fn sign(call: &Call) -> Result<Done, Problem> {
    let signature = call.read(input::signature)?;
    Ok(Done::order(call.state().orders().sign(&call.asked(), call.order_id()?, signature).await?))
}

pub(in crate::http) async fn submit(call: &Call) -> Result<Done, Problem> {
    let now = call.state().now();
    let submission = call.read(|body| input::submission(body, now))?;
    if submission.profile.is_some() && call.turn.is_none() {
        let detail = "Charging a stored payment method moves money: send an `Idempotency-Key` header.";
        return Err(Problem::new(Code::IdempotencyKeyMissing, detail));
    }
    let order = call.order_id()?;
    if let Some(profile) = submission.profile {
        let charged = call.state().orders().charge(&call.asked(), order, profile).await?;
        return Ok(Done { session: charged.session, ..Done::order(charged.order) });
    }
    Ok(Done::order(call.state().orders().submit(&call.asked(), order, &submission).await?))
}

pub(in crate::http) async fn approve(call: &Call) -> Result<Done, Problem> {
    call.read_nothing()?;
    finish(call, Finish::Approve).await
}

pub(in crate::http) async fn reject(call: &Call) -> Result<Done, Problem> {
    call.read_nothing()?;
    finish(call, Finish::Reject).await
}

pub(in crate::http) async fn cancel(call: &Call) -> Result<Done, Problem> {
    call.read_nothing()?;
    finish(call, Finish::Cancel).await
}

pub(in crate::http) async fn fulfil(call: &Call) -> Result<Done, Problem> {
    let (outcome, detail) = call.read(input::outcome)?;
    finish(call, Finish::Fulfil { completed: outcome == Outcome::Completed, detail }).await
}

async fn finish(call: &Call, how: Finish) -> Result<Done, Problem> {
    Ok(Done::order(call.state().orders().finish(&call.asked(), call.order_id()?, &how).await?))
}

pub(in crate::http) async fn timeline(call: Call) -> Result<Answer, Problem> {
    let query = Query::of(call.incoming.request.query_string());
    let page = query.page();
    let after = page.before.as_deref().map(str::parse::<u64>).transpose();
    if after.is_err() {
        query.bad_cursor();
    }
    let page = query.finish(page)?;
    let order = call.file(call.order_id()?).await?;
    let after = after.ok().flatten().unwrap_or(0);
    let events = call.state().reads().events(order.id(), after, page.limit + 1).await?;
    list(&events, page.limit, |event| event.sequence.to_string(), |event| view::timeline_entry(&order, event))
}
