//! What needs a person: looking at it, and deciding.

use port::AttentionId;

use super::list;
use crate::domain::{Actor, view};
use crate::http::answer::Answer;
use crate::http::call::ApiRequest;
use crate::http::idempotency::CommandOutcome;
use crate::http::input::{self, Query};
use crate::http::problem::Problem;
use crate::orders::CommandContext;
use crate::store::{AttentionFilter, OrderLocator, Page};

pub(in crate::http) async fn list_all(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let filter = AttentionFilter {
        merchant: request.merchant.to_string(),
        open: query.parsed("open", "true or false"),
        code: query.word("code"),
        account: query.text("account").map(ToOwned::to_owned),
        page: query.page(),
    };
    let filter = query.finish(filter)?;
    let limit = filter.page.limit;
    let page = Page { limit: limit + 1, ..filter.page };
    let rows = request.state().reads().attention(&AttentionFilter { page, ..filter }).await?;
    let shown: Vec<_> = rows.iter().filter_map(|(id, order)| Some((order, order.attention(*id)?))).collect();
    list(
        &shown,
        limit,
        |(_, attention)| attention.id.to_string(),
        |(order, attention)| view::attention(order, attention),
    )
}

pub(in crate::http) async fn resolve(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    let (decision, note) = request.read(input::decision)?;
    let id: AttentionId = request.id("attention")?;
    let order = request.order_of(OrderLocator::Attention(id)).await?.id();
    let context = CommandContext { cause: request.raw.cause(Actor::Operator), ..request.command_context() };
    let order = request.state().orders().resolve(&context, order, id, decision, note).await?;
    Ok(CommandOutcome { attention: Some(id), ..CommandOutcome::order(order) })
}
