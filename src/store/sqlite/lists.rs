//! Lists: by keyset, newest first, so that rows added meanwhile move no page.

use port::{AttentionId, NotificationId, OrderId, PaymentId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::reads::{all, moment, one, order, word};
use crate::domain::OrderAggregate;
use crate::store::{AttentionFilter, InboxFilter, OrderFilter, Page, PaymentFilter, StoreError};

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

    fn page(self, page: Page) -> Self {
        let mut list = self.only("id < ?", page.before);
        list.sql.push_str(" ORDER BY id DESC LIMIT ?");
        list.values.push(page.limit.into());
        list
    }

    fn read<T>(
        self,
        db: &Connection,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        all(db, &self.sql, params_from_iter(self.values), read)
    }
}

fn list_of_orders(filter: OrderFilter) -> List {
    List::of("SELECT id FROM orders WHERE merchant = ?", filter.merchant)
        .only("state = ?", filter.state.map(|state| state.as_str().to_owned()))
        .only("reference = ?", filter.reference)
        .only("created_at >= ?", filter.created_after.map(Timestamp::micros))
        .only("created_at < ?", filter.created_before.map(Timestamp::micros))
        .page(filter.page)
}

fn list_of_payments(filter: PaymentFilter) -> List {
    // The plus keeps SQLite from walking all of a merchant's payments to find the few of an order.
    let sql = match filter.order {
        Some(_) => "SELECT id, order_id FROM payments WHERE +merchant = ?",
        None => "SELECT id, order_id FROM payments WHERE merchant = ?",
    };
    List::of(sql, filter.merchant)
        .only("status = ?", filter.status.map(|status| status.as_str().to_owned()))
        .only("account = ?", filter.account)
        .only("order_id = ?", filter.order.map(|order| order.to_string()))
        .page(filter.page)
}

fn list_of_attention(filter: AttentionFilter) -> List {
    List::of("SELECT id, order_id FROM attention WHERE merchant = ?", filter.merchant)
        .only("open = ?", filter.open)
        .only("code = ?", filter.code.map(|code| code.as_str().to_owned()))
        .only("account = ?", filter.account)
        .page(filter.page)
}

/// A merchant's orders.
pub(super) fn orders(db: &Connection, filter: OrderFilter) -> Result<Vec<OrderAggregate>, StoreError> {
    let ids: Vec<OrderId> = list_of_orders(filter).read(db, |row| word(row, 0))?;
    ids.into_iter().filter_map(|id| order(db, id).transpose()).collect()
}

/// A merchant's payments, each with its order.
pub(super) fn payments(
    db: &Connection,
    filter: PaymentFilter,
) -> Result<Vec<(PaymentId, OrderAggregate)>, StoreError> {
    let ids: Vec<(PaymentId, OrderId)> =
        list_of_payments(filter).read(db, |row| Ok((word(row, 0)?, word(row, 1)?)))?;
    let files = ids.into_iter().map(|(id, of)| Ok(order(db, of)?.map(|order| (id, order))));
    files.filter_map(Result::transpose).collect()
}

/// Why people should look at a merchant's money, each with its order.
pub(super) fn attention(
    db: &Connection,
    filter: AttentionFilter,
) -> Result<Vec<(AttentionId, OrderAggregate)>, StoreError> {
    let ids: Vec<(AttentionId, OrderId)> =
        list_of_attention(filter).read(db, |row| Ok((word(row, 0)?, word(row, 1)?)))?;
    let files = ids.into_iter().map(|(id, of)| Ok(order(db, of)?.map(|order| (id, order))));
    files.filter_map(Result::transpose).collect()
}

const NOTES: &str = "SELECT received_at, id FROM inbox
     WHERE (received_at, id) > (?1, ?2) AND received_at < ?3 AND (?4 IS NULL OR account = ?4)
     ORDER BY received_at, id LIMIT ?5";

/// The notifications of a range of time after a place.
pub(super) fn notifications(
    db: &Connection,
    filter: InboxFilter,
    after: Option<(Timestamp, NotificationId)>,
    limit: u32,
) -> Result<Vec<(Timestamp, NotificationId)>, StoreError> {
    // No id comes before the empty text, so the first page begins with all of its first moment.
    let (at, id) = after.map_or((filter.from, String::new()), |(at, id)| (at, id.to_string()));
    let values = (at.micros(), id, filter.to.micros(), filter.account, limit);
    all(db, NOTES, values, |row| Ok((moment(row, 0)?, word(row, 1)?)))
}

const OLDEST_OPEN_PAYMENT: &str = "SELECT json_extract(body, '$.created_at') FROM payments
     WHERE account = ?1 AND unsettled = 1 ORDER BY id LIMIT 1";

/// When the oldest payment of an account was made that somebody still waits for.
pub(super) fn oldest_open_payment(db: &Connection, account: &str) -> Result<Option<Timestamp>, StoreError> {
    one(db, OLDEST_OPEN_PAYMENT, [account], |row| word(row, 0))
}

#[cfg(test)]
mod tests {
    use port::PaymentStatus;

    use super::*;
    use crate::domain::OrderState;
    use crate::store::sqlite::migrations;

    const PAGE: Page = Page { before: None, limit: 50 };

    fn index_of(list: List) -> String {
        let mut db = Connection::open_in_memory().expect("memory is there");
        migrations::run(&mut db).expect("the tables can be made");
        let list = List { sql: format!("EXPLAIN QUERY PLAN {}", list.sql), ..list };
        let plan = list.read(&db, |row| Ok(row.get::<_, String>("detail")?)).expect("a plan").join("; ");
        let (_, index) = plan.split_once("INDEX ").unwrap_or(("", &plan));
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
        index.split(' ').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn every_list_walks_along_the_index_that_was_made_for_it() {
        let orders = |state, reference: Option<&str>, time| {
            index_of(list_of_orders(OrderFilter {
                merchant: "acme".to_owned(),
                state,
                reference: reference.map(str::to_owned),
                created_after: time,
                created_before: time,
                page: PAGE,
            }))
        };
        let now = Some(Timestamp::from_seconds(0));
        for time in [None, now] {
            assert_eq!(orders(None, None, time), "orders_newest");
            assert_eq!(orders(Some(OrderState::Failed), None, time), "orders_state");
            assert_eq!(orders(Some(OrderState::Failed), Some("A-1"), time), "orders_reference");
        }
        let payments = |status, account: Option<&str>, order| {
            index_of(list_of_payments(PaymentFilter {
                merchant: "acme".to_owned(),
                status,
                account: account.map(str::to_owned),
                order,
                page: PAGE,
            }))
        };
        let (paid, order) = (Some(PaymentStatus::Paid), Some(OrderId::from_uuid(port::Uuid::nil())));
        assert_eq!(payments(None, None, None), "payments_newest");
        assert_eq!(payments(paid, None, None), "payments_status");
        assert_eq!(payments(None, Some("main"), None), "payments_account");
        assert_eq!(payments(paid, Some("main"), order), "payments_order");
        let attention = |open, account: Option<&str>| {
            let (merchant, account) = ("acme".to_owned(), account.map(str::to_owned));
            index_of(list_of_attention(AttentionFilter { merchant, open, code: None, account, page: PAGE }))
        };
        assert_eq!(attention(None, Some("main")), "attention_newest");
        assert_eq!(attention(Some(true), None), "attention_open");
        let none = || Value::Null;
        let notes = List {
            sql: NOTES.to_owned(),
            values: vec![0.into(), String::new().into(), none(), none(), 1.into()],
        };
        assert_eq!(index_of(notes), "inbox_received");
        let list = List::of(OLDEST_OPEN_PAYMENT, "main".to_owned());
        assert_eq!(index_of(list), "payments_unsettled");
    }
}
