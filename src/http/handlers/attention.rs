//! What needs a person: looking at it, and deciding.

use port::AttentionId;

use super::list;
use crate::domain::{Actor, view};
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::idempotency::Done;
use crate::http::input::{self, Query};
use crate::http::problem::Problem;
use crate::orders::Asked;
use crate::store::{AttentionFilter, Handle, Page};

pub(in crate::http) async fn list_all(call: Call) -> Result<Answer, Problem> {
    let query = Query::of(call.incoming.request.query_string());
    let filter = AttentionFilter {
        merchant: call.merchant.to_string(),
        open: query.parsed("open", "true or false"),
        code: query.word("code"),
        account: query.text("account").map(ToOwned::to_owned),
        page: query.page(),
    };
    let filter = query.finish(filter)?;
    let limit = filter.page.limit;
    let page = Page { limit: limit + 1, ..filter.page };
    let rows = call.state().reads().attention(&AttentionFilter { page, ..filter }).await?;
    let shown: Vec<_> = rows.iter().filter_map(|(id, order)| Some((order, order.attention(*id)?))).collect();
    list(
        &shown,
        limit,
        |(_, attention)| attention.id.to_string(),
        |(order, attention)| view::attention(order, attention),
    )
}

pub(in crate::http) async fn resolve(call: &Call) -> Result<Done, Problem> {
    let (decision, note) = call.read(input::decision)?;
    let id: AttentionId = call.id("attention")?;
    let order = call.file_of(Handle::Attention(id)).await?.id();
    let asked = Asked { cause: call.incoming.cause(Actor::Operator), ..call.asked() };
    let order = call.state().orders().resolve(&asked, order, id, decision, note).await?;
    Ok(Done { attention: Some(id), ..Done::order(order) })
}
