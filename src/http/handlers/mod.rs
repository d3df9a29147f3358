//! One function for each route: reads the request, calls one use case, shows the result.

pub(super) mod attention;
pub(super) mod checkout;
pub(super) mod orders;
pub(super) mod payments;
pub(super) mod profiles;
pub(super) mod sessions;
pub(super) mod show;
pub(super) mod webhooks;

use std::sync::Arc;

use futures_util::future::try_join_all;
use port::Uuid;
use serde::Serialize;

use super::answer::Answer;
use super::input::cursor;
use super::problem::Problem;
use super::request::{ApiRequest, order_id_of};
use crate::domain::{OrderAggregate, Subject};

/// A page of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

/// A page of `rows`. `limit` is one more than the page has, as the reader of the query gives it, so that the last row
/// shows whether another page follows; `key` gives the cursor of a row.
fn list<'r, R, T: Serialize>(
    rows: &'r [R],
    limit: u32,
    key: impl Fn(&R) -> String,
    view: impl Fn(&'r R) -> T,
) -> Result<Answer, Problem> {
    let page = &rows[..rows.len().min(limit as usize - 1)];
    let last = page.last().filter(|_| rows.len() > page.len());
    let next_cursor = last.map(|row| cursor(&key(row)));
    Answer::ok(&List { data: page.iter().map(view).collect::<Vec<_>>(), next_cursor })
}

impl ApiRequest {
    /// The subjects of a list.
    async fn load_all<S: Subject>(
        &self,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<Arc<S>>, Problem> {
        let engine = self.state().engine();
        let loaded = try_join_all(ids.into_iter().map(|id| engine.existing::<S>(id))).await?;
        Ok(loaded.iter().map(|subject| subject.current().clone()).collect())
    }

    /// The orders of payments or attention in a list.
    async fn load_orders_of(
        &self,
        parts: impl Iterator<Item = Uuid>,
    ) -> Result<Vec<Arc<OrderAggregate>>, Problem> {
        self.load_all(parts.map(|part| order_id_of(part).uuid())).await
    }
}
