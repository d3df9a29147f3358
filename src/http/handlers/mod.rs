//! One function for each route: read the request, call one use case, say what came of it.

pub(super) mod attention;
pub(super) mod checkout;
pub(super) mod orders;
pub(super) mod payments;
pub(super) mod problems;
pub(super) mod profiles;
pub(super) mod sessions;
pub(super) mod show;
pub(super) mod webhooks;

use serde::Serialize;

use super::answer::Answer;
use super::input::cursor;
use super::problem::Problem;

/// A page of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

/// Answers a page of rows of which one more than `limit` was asked for; `key` is what the next page begins after.
fn list<'r, R, T: Serialize>(
    rows: &'r [R],
    limit: u32,
    key: impl Fn(&R) -> String,
    view: impl Fn(&'r R) -> T,
) -> Result<Answer, Problem> {
    let shown = rows.iter().take(limit as usize);
    let last = shown.clone().last().filter(|_| rows.len() > limit as usize);
    Answer::ok(&List {
        data: shown.map(view).collect::<Vec<_>>(),
        next_cursor: last.map(|row| cursor(&key(row))),
    })
}
