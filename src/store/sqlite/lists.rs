//! Lists: by keyset, newest first, so that rows added meanwhile move no page.

use port::{OrderId, PaymentId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::reads::{all, order, word};
use crate::domain::OrderFile;
use crate::store::{OrderFilter, Page, PaymentFilter, StoreError};

/// A query that is narrowed step by step.
struct List {
    sql: String,
    values: Vec<Value>,
}

impl List {
    fn of(sql: &str, merchant: String) -> Self {
        Self { sql: sql.to_owned(), values: vec![merchant.into()] }
    }

    fn only(mut self, condition: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(value.into());
        }
        self
    }

    fn page<T>(
        self,
        db: &Connection,
        page: Page,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let Self { mut sql, mut values } = self.only("id < ?", page.before);
        sql.push_str(" ORDER BY id DESC LIMIT ?");
        values.push(page.limit.into());
        all(db, &sql, params_from_iter(values), read)
    }
}

/// A merchant's orders.
pub(super) fn orders(db: &Connection, filter: OrderFilter) -> Result<Vec<OrderFile>, StoreError> {
    let ids = List::of("SELECT id FROM orders WHERE merchant = ?", filter.merchant)
        .only("state = ?", filter.state.map(|state| state.as_str().to_owned()))
        .only("reference = ?", filter.reference)
        .only("created_at >= ?", filter.created_after.map(Timestamp::micros))
        .only("created_at < ?", filter.created_before.map(Timestamp::micros))
        .page(db, filter.page, |row| word(row, 0))?;
    ids.into_iter().filter_map(|id| order(db, id).transpose()).collect()
}

/// A merchant's payments, each with its order.
pub(super) fn payments(
    db: &Connection,
    filter: PaymentFilter,
) -> Result<Vec<(PaymentId, OrderFile)>, StoreError> {
    // The plus keeps the planner from walking all of a merchant's payments to find the few of an order.
    let sql = match filter.order {
        Some(_) => "SELECT id, order_id FROM payments WHERE +merchant = ?",
        None => "SELECT id, order_id FROM payments WHERE merchant = ?",
    };
    let ids = List::of(sql, filter.merchant)
        .only("status = ?", filter.status.map(|status| status.as_str().to_owned()))
        .only("account = ?", filter.account)
        .only("order_id = ?", filter.order.map(|order| order.to_string()))
        .page(db, filter.page, |row| Ok((word::<PaymentId>(row, 0)?, word::<OrderId>(row, 1)?)))?;
    let files = ids.into_iter().map(|(id, of)| Ok(order(db, of)?.map(|file| (id, file))));
    files.filter_map(Result::transpose).collect()
}
