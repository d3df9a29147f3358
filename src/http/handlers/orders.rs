//! Orders: making, changing, pricing, signing, submitting, ending, and looking at them.

use port::{ItemId, OrderId};

use super::list;
use crate::domain::view;
use crate::domain::{LineItem, OrderAggregate};
use crate::http::answer::Answer;
use crate::http::call::ApiRequest;
use crate::http::idempotency::CommandOutcome;
use crate::http::input::{self, Defaults, Outcome, Query};
use crate::http::problem::{Code, Problem};
use crate::orders::{Edit, Finish, OrderError};
use crate::store::{OrderFilter, Page};

/// How often a change is merged anew because the order was changed meanwhile.
const MAX_MERGES: u32 = 8;

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
}

pub(in crate::http) async fn create(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    let draft = request.with_defaults(|defaults| request.read(|body| input::draft(body, defaults)))?;
    Ok(CommandOutcome::order(request.state().orders().create(&request.command_context(), draft).await?))
}

pub(in crate::http) async fn read(request: ApiRequest) -> Result<Answer, Problem> {
    Query::none(request.raw.request.query_string())?;
    let order = request.shown(request.order_id()?).await?;
    Ok(Answer::ok(&view::order(&order))?.version(order.sequence))
}

pub(in crate::http) async fn list_all(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let filter = OrderFilter {
        merchant: request.merchant.to_string(),
        state: query.word("state"),
        reference: query.text("reference").map(ToOwned::to_owned),
        created_after: query.parsed("createdAfter", "an RFC 3339 time"),
        created_before: query.parsed("createdBefore", "an RFC 3339 time"),
        page: query.page(),
    };
    let filter = query.finish(filter)?;
    let limit = filter.page.limit;
    let page = Page { limit: limit + 1, ..filter.page };
    let files = request.state().reads().orders(&OrderFilter { page, ..filter }).await?;
    list(&files, limit, |order| order.id().to_string(), view::order)
}

/// Changes an order by what the request says, merged with what is there. A change that came between is merged
/// with too, unless the request expects a version.
async fn merge(
    request: &ApiRequest,
    edit: impl Fn(&OrderAggregate) -> Result<Option<Edit>, Problem>,
) -> Result<CommandOutcome, Problem> {
    let id = request.order_id()?;
    let mut context = request.command_context();
    for _ in 0..MAX_MERGES {
        let order = request.order(id).await?;
        let change = edit(&order)?;
        let version = context.expects.filter(|version| *version != order.sequence);
        if version.is_some() && request.expects.is_some() {
            return Err(OrderError::VersionMismatch { actual: order.sequence }.into());
        }
        let Some(change) = change else { return Ok(CommandOutcome::order(order)) };
        context.expects = Some(order.sequence);
        match request.state().orders().edit(&context, id, change).await {
            Err(OrderError::VersionMismatch { .. }) if request.expects.is_none() => {}
            other => return Ok(CommandOutcome::order(other?)),
        }
    }
    Err(crate::store::StoreError::Busy.into())
}

pub(in crate::http) async fn change(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    merge(request, |order| {
        let changes = request.read(|body| input::changes(body, order.header.currency))?;
        let fields = changes.onto(order.header.personal.value());
        Ok(fields.map(|fields| Edit::Fields(Box::new(fields))))
    })
    .await
}

pub(in crate::http) async fn add_item(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    let order = request.order_id()?;
    let currency = request.order(order).await?.header.currency;
    let id = request.new_item_id();
    let item = request.read(|body| input::item(body, id, None, Some(currency)))?;
    Ok(CommandOutcome::order(
        request.state().orders().edit(&request.command_context(), order, Edit::AddItem(item)).await?,
    ))
}

pub(in crate::http) async fn change_item(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    let id = request.id::<ItemId>("item")?;
    merge(request, |order| {
        let known = |item: &&LineItem| item.id == id;
        let before = order.header.items.iter().find(known).ok_or_else(Problem::not_found)?;
        let item = request.read(|body| input::item(body, id, Some(before), Some(order.header.currency)))?;
        Ok((item != *before).then_some(Edit::ChangeItem(item)))
    })
    .await
}

pub(in crate::http) async fn remove_item(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    request.read_nothing()?;
    let edit = Edit::RemoveItem(request.id("item")?);
    Ok(CommandOutcome::order(
        request.state().orders().edit(&request.command_context(), request.order_id()?, edit).await?,
    ))
}

pub(in crate::http) async fn price(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    request.read_nothing()?;
    Ok(CommandOutcome::order(
        request.state().orders().price(&request.command_context(), request.order_id()?).await?,
    ))
}

pub(in crate::http) async fn sign(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    let signature = request.read(input::signature)?;
    Ok(CommandOutcome::order(
        request.state().orders().sign(&request.command_context(), request.order_id()?, signature).await?,
    ))
}

pub(in crate::http) async fn submit(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    let now = request.state().now();
    let submission = request.read(|body| input::submission(body, now))?;
    if submission.profile.is_some() && request.in_flight.is_none() {
        let detail = "Charging a stored payment method moves money: send an `Idempotency-Key` header.";
        return Err(Problem::new(Code::IdempotencyKeyMissing, detail));
    }
    let order = request.order_id()?;
    if let Some(profile) = submission.profile {
        let charged = request.state().orders().charge(&request.command_context(), order, profile).await?;
        return Ok(CommandOutcome { session: charged.session, ..CommandOutcome::order(charged.order) });
    }
    Ok(CommandOutcome::order(
        request.state().orders().submit(&request.command_context(), order, &submission).await?,
    ))
}

pub(in crate::http) async fn approve(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    request.read_nothing()?;
    finish(request, Finish::Approve).await
}

pub(in crate::http) async fn reject(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    request.read_nothing()?;
    finish(request, Finish::Reject).await
}

pub(in crate::http) async fn cancel(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    request.read_nothing()?;
    finish(request, Finish::Cancel).await
}

pub(in crate::http) async fn fulfil(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    let (outcome, detail) = request.read(input::outcome)?;
    finish(request, Finish::Fulfil { completed: outcome == Outcome::Completed, detail }).await
}

async fn finish(request: &ApiRequest, how: Finish) -> Result<CommandOutcome, Problem> {
    Ok(CommandOutcome::order(
        request.state().orders().finish(&request.command_context(), request.order_id()?, &how).await?,
    ))
}

pub(in crate::http) async fn timeline(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let page = query.page();
    let after = page.before.as_deref().map(str::parse::<u64>).transpose();
    if after.is_err() {
        query.bad_cursor();
    }
    let page = query.finish(page)?;
    let order = request.order(request.order_id()?).await?;
    let after = after.ok().flatten().unwrap_or(0);
    let events = request.state().reads().events(order.id(), after, page.limit + 1).await?;
    list(&events, page.limit, |event| event.sequence.to_string(), |event| view::timeline_entry(&order, event))
}
