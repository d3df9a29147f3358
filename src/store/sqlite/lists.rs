//! Lists: newest first, paged by key, so that new rows do not shift a page.
//!
//! A list without a filter on state or account is merged from the lists of all of them: a few short index scans cost
//! less than another index that each write has to maintain.

use std::slice;
use std::str::FromStr;
use std::time::Duration;

use port::{EndpointId, NotificationId, OrderId, PaymentStatus, ProfileId, Timestamp, Uuid};
use rusqlite::{Connection, Row};
use strum::VariantArray as _;

use super::load::stored_change;
use super::names::{accounts_of_payments, number};
use super::statement::{all, blob, count, integer, maybe_time, one, time, uuid};
use crate::domain::{OrderState, SubjectKind, WebhookEndpoint};
use crate::store::{
    AttentionFilter, Cursor, InboxFilter, OpenWork, OrderFilter, Page, PaymentFilter, ProfileFilter,
    PublicFilter, Store, StoreError, StoredChange,
};

const ORDERS: &str = "SELECT id FROM subjects
     WHERE merchant = ?1 AND kind = ?2 AND state = ?3 AND id < ?4 AND id >= ?5
         AND (?6 IS NULL OR created_at >= ?6) AND (?7 IS NULL OR created_at < ?7)
     ORDER BY id DESC LIMIT ?8";
const WITH_REFERENCE: &str = "SELECT id FROM order_references JOIN subjects ON id = subject
     WHERE order_references.merchant = ?1 AND reference = ?2 AND id < ?3 AND (?4 IS NULL OR state = ?4)
         AND (?5 IS NULL OR created_at >= ?5) AND (?6 IS NULL OR created_at < ?6)";
const PAYMENTS: &str = "SELECT created_at, id FROM payments
     WHERE merchant = ?1 AND account = ?2 AND status = ?3 AND (created_at, id) < (?4, ?5)
     ORDER BY created_at DESC, id DESC LIMIT ?6";
const ATTENTION: &str = "SELECT raised_at, id FROM attention
     WHERE merchant = ?1 AND open = ?2 AND (raised_at, id) < (?3, ?4)
         AND (?5 IS NULL OR code = ?5) AND (?6 IS NULL OR account = ?6)
     ORDER BY raised_at DESC, id DESC LIMIT ?7";
const PROFILES: &str = "SELECT id FROM customer_profiles
     WHERE merchant = ?1 AND customer = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
const PUBLIC: &str = "SELECT position, subject, sequence, public_before, record, hash FROM changes
     WHERE merchant = ?1 AND public > 0 AND position <= ?2 AND (?3 IS NULL OR at >= ?3)
         AND (?4 IS NULL OR at < ?4)
     ORDER BY position DESC LIMIT ?5";
const INBOX: &str = "SELECT received_at, id, account FROM inbox
     WHERE (received_at, id) > (?1, ?2) AND received_at < ?3 AND (?4 IS NULL OR account = ?4)
     ORDER BY received_at, id LIMIT ?5";
const OLDEST_OPEN: &str =
    "SELECT created_at FROM payments WHERE account = ?1 AND open = 1 ORDER BY created_at LIMIT 1";

/// What is still open at each account: its open payments by kind, and the subjects with a job in its lane.
///
/// `pairs` steps along the key of `payments` from one merchant and account to the next, so that the payments in
/// between are not read.
const OPEN_WORK: &str = "WITH RECURSIVE
     pairs(merchant, account) AS (
         SELECT * FROM (SELECT merchant, account FROM payments ORDER BY merchant, account LIMIT 1)
         UNION ALL
         SELECT (SELECT merchant FROM payments AS next WHERE (next.merchant, next.account) > (pairs.merchant, pairs.account)
                 ORDER BY next.merchant, next.account LIMIT 1),
                (SELECT account FROM payments AS next WHERE (next.merchant, next.account) > (pairs.merchant, pairs.account)
                 ORDER BY next.merchant, next.account LIMIT 1)
         FROM pairs WHERE merchant IS NOT NULL),
     work(account, unpaid, authorized, disputed, waiting) AS (
         SELECT account, count(*), 0, 0, 0 FROM payments WHERE open = 1 GROUP BY account
         UNION ALL
         SELECT account, 0, status = 'AUTHORIZED', status = 'DISPUTED', 0
         FROM pairs CROSS JOIN payments USING (merchant, account) WHERE status IN ('AUTHORIZED', 'DISPUTED')
         UNION ALL
         SELECT lane, 0, 0, 0, count(*) FROM jobs WHERE lane > 0 GROUP BY lane)
     SELECT names.name, sum(unpaid), sum(authorized), sum(disputed), sum(waiting)
     FROM work JOIN names ON names.id = account GROUP BY account ORDER BY names.name";

/// One index scan per merchant. There are few endpoints, and this runs only when one changes or is listed.
const ENDPOINTS: &str = "SELECT subjects.id, since FROM names
     JOIN subjects ON merchant = names.id AND kind = ?1 AND state = ?2
     LEFT JOIN failing_endpoints ON endpoint = subjects.id
     WHERE ?3 IS NULL OR names.name = ?3 ORDER BY subjects.id";

impl dyn Store + '_ {
    /// A merchant's orders, newest first.
    pub async fn orders(&self, filter: &OrderFilter) -> Result<Vec<OrderId>, StoreError> {
        let of = filter.clone();
        self.read_of(&filter.merchant, move |db, merchant| orders(db, merchant, &of)).await
    }

    /// A merchant's payments, newest first, each with what the next page begins after.
    pub async fn payments(&self, filter: &PaymentFilter) -> Result<Vec<Cursor>, StoreError> {
        let of = filter.clone();
        self.read_of(&filter.merchant, move |db, merchant| payments(db, merchant, &of)).await
    }

    /// A merchant's attention, newest first, each with what the next page begins after.
    pub async fn attention(&self, filter: &AttentionFilter) -> Result<Vec<Cursor>, StoreError> {
        let of = filter.clone();
        self.read_of(&filter.merchant, move |db, merchant| attention(db, merchant, &of)).await
    }

    /// A customer's payment profiles, newest first.
    pub async fn profiles(&self, filter: &ProfileFilter) -> Result<Vec<ProfileId>, StoreError> {
        let ProfileFilter { merchant, customer_id, page } = filter.clone();
        let Some(before) = before_id(&page, |id: ProfileId| id.uuid()) else { return Ok(Vec::new()) };
        self.read_of(&merchant, move |db, merchant| {
            let values = (merchant, customer_id, before, page.limit);
            all(db, PROFILES, values, |row| Ok(ProfileId::from_uuid(uuid(row, 0)?)))
        })
        .await
    }

    /// The endpoints of a merchant, or all, that were not deleted, oldest first, and since when their deliveries fail.
    pub async fn endpoints(
        &self,
        merchant: Option<&str>,
    ) -> Result<Vec<(EndpointId, Option<Timestamp>)>, StoreError> {
        let merchant = merchant.map(str::to_owned);
        let values = (SubjectKind::WebhookEndpoint as u8, WebhookEndpoint::KEPT, merchant);
        let read = |row: &Row<'_>| Ok((EndpointId::from_uuid(uuid(row, 0)?), maybe_time(row, 1)?));
        self.read(move |db| all(db, ENDPOINTS, values, read)).await
    }

    /// A merchant's changes that have public events, newest first.
    pub async fn public_changes(&self, filter: &PublicFilter) -> Result<Vec<StoredChange>, StoreError> {
        let PublicFilter { merchant, from, to, up_to, limit } = filter.clone();
        let (up_to, from, to) = (up_to.map_or(i64::MAX, integer), micros(from), micros(to));
        self.read_of(&merchant, move |db, merchant| {
            all(db, PUBLIC, (merchant, up_to, from, to, limit), stored_change)
        })
        .await
    }

    /// The subjects with a provider reference at an account, newest first: with the same one, else with the same in small
    /// or capital letters.
    pub async fn with_provider_reference(
        &self,
        account: &str,
        reference: &str,
    ) -> Result<Vec<Uuid>, StoreError> {
        const MAX_SUBJECTS: u32 = 20;
        const SQL: &str = "SELECT subject FROM provider_references WHERE account = ?1 AND reference = ?2
             ORDER BY subject DESC LIMIT ?3";
        let spellings =
            [reference.to_owned(), reference.to_ascii_lowercase(), reference.to_ascii_uppercase()];
        self.read_of(account, move |db, account| {
            for spelling in spellings {
                let found = all(db, SQL, (account, spelling, MAX_SUBJECTS), |row| uuid(row, 0))?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            Ok(Vec::new())
        })
        .await
    }

    /// The payment profile that a provider knows by this reference, deleted or not.
    pub async fn profile_with_reference(
        &self,
        account: &str,
        reference: &str,
    ) -> Result<Option<ProfileId>, StoreError> {
        const SQL: &str = "SELECT subject FROM profile_references WHERE account = ?1 AND reference = ?2";
        let reference = reference.to_owned();
        self.read_of(account, move |db, account| {
            one(db, SQL, (account, reference), |row| Ok(ProfileId::from_uuid(uuid(row, 0)?)))
        })
        .await
    }

    /// Notifications of a time range after a position, oldest first.
    pub async fn notifications(
        &self,
        filter: &InboxFilter,
    ) -> Result<Vec<(Timestamp, NotificationId, String)>, StoreError> {
        let InboxFilter { from, to, account, after, limit } = filter.clone();
        let (at, id) = after.map_or((from.micros() - 1, LAST_ID), |(at, id)| (at.micros(), blob(id.uuid())));
        let values = (at, id, to.micros(), account, limit);
        let read = |row: &Row<'_>| Ok((time(row, 0)?, NotificationId::from_uuid(uuid(row, 1)?), row.get(2)?));
        self.read(move |db| all(db, INBOX, values, read)).await
    }

    /// When the oldest payment of an account was created whose outcome is awaited.
    pub async fn oldest_open_payment(&self, account: &str) -> Result<Option<Timestamp>, StoreError> {
        let oldest = |db: &Connection, account| one(db, OLDEST_OPEN, [account], |row| time(row, 0));
        self.read_of(account, oldest).await
    }

    /// The accounts at which something is still open.
    pub async fn open_work(&self) -> Result<Vec<OpenWork>, StoreError> {
        self.read(open_work).await
    }
}

/// The accounts at which something is still open.
pub(super) fn open_work(db: &Connection) -> Result<Vec<OpenWork>, StoreError> {
    all(db, OPEN_WORK, [], |row| {
        Ok(OpenWork {
            account: row.get(0)?,
            unpaid: count(row, 1)?,
            authorized: count(row, 2)?,
            disputed: count(row, 3)?,
            waiting: count(row, 4)?,
        })
    })
}

/// The greatest id there can be.
const LAST_ID: [u8; 16] = [0xff; 16];

/// The smallest id that can have been created at a time: ids start with their millisecond.
fn first_id_at(at: Timestamp) -> [u8; 16] {
    let millis = u128::try_from(at.micros() / 1_000).unwrap_or(0);
    (millis << 80).to_be_bytes()
}

/// The id that a page starts before; `None` for an invalid cursor.
fn before_id<T: FromStr>(page: &Page, uuid: impl Fn(T) -> Uuid) -> Option<[u8; 16]> {
    match &page.before {
        None => Some(LAST_ID),
        Some(id) => id.parse().ok().map(|id| blob(uuid(id))),
    }
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::micros)
}

fn orders(db: &Connection, merchant: i64, filter: &OrderFilter) -> Result<Vec<OrderId>, StoreError> {
    // After a clock change ids and times may differ a little, so the times are compared too.
    const SLACK: Duration = Duration::from_secs(1);
    let OrderFilter { state, reference, created_after, created_before, page, .. } = filter;
    let Some(before) = before_id(page, |id: OrderId| id.uuid()) else { return Ok(Vec::new()) };
    let (after, until) = (micros(*created_after), micros(*created_before));
    let order_id = |row: &Row<'_>| Ok(OrderId::from_uuid(uuid(row, 0)?));
    if let Some(reference) = reference {
        let state = state.map(OrderState::as_str);
        return all(db, WITH_REFERENCE, (merchant, reference, before, state, after, until), order_id);
    }
    let first = created_after.map_or([0; 16], |at| first_id_at(at.minus(SLACK)));
    let last = created_before.map_or(LAST_ID, |at| first_id_at(at.plus(SLACK))).min(before);
    let mut found = Vec::new();
    for state in state.as_ref().map_or(OrderState::VARIANTS, slice::from_ref) {
        let (kind, state) = (SubjectKind::Order as u8, state.as_str());
        let values = (merchant, kind, state, last, first, after, until, page.limit);
        found.extend(all(db, ORDERS, values, order_id)?);
    }
    Ok(newest(found, page.limit))
}

/// The page of a list that is merged from several, each newest first.
fn newest<T: Ord>(mut rows: Vec<T>, limit: u32) -> Vec<T> {
    rows.sort_unstable_by(|one, other| other.cmp(one));
    rows.truncate(limit as usize);
    rows
}

/// The row that a page starts before.
fn before(cursor: Option<Cursor>) -> (i64, [u8; 16]) {
    cursor.map_or((i64::MAX, LAST_ID), |cursor| (cursor.at.micros(), blob(cursor.id)))
}

fn payments(db: &Connection, merchant: i64, filter: &PaymentFilter) -> Result<Vec<Cursor>, StoreError> {
    let accounts = match &filter.account {
        Some(account) => number(db, account)?.into_iter().collect(),
        None => accounts_of_payments(db, merchant)?,
    };
    let statuses = filter.status.as_ref().map_or(PaymentStatus::VARIANTS, slice::from_ref);
    let (at, id) = before(filter.before);
    let mut rows = Vec::new();
    for account in accounts {
        for status in statuses {
            let values = (merchant, account, status.as_str(), at, id, filter.limit);
            rows.extend(all(db, PAYMENTS, values, cursor)?);
        }
    }
    Ok(newest(rows, filter.limit))
}

fn cursor(row: &Row<'_>) -> Result<Cursor, StoreError> {
    Ok(Cursor { at: time(row, 0)?, id: uuid(row, 1)? })
}

fn attention(db: &Connection, merchant: i64, filter: &AttentionFilter) -> Result<Vec<Cursor>, StoreError> {
    let account = filter.account.as_deref().map(|account| number(db, account)).transpose()?;
    if account == Some(None) {
        return Ok(Vec::new());
    }
    let code = filter.code.map(|code| code.as_str());
    let (at, id) = before(filter.before);
    let mut rows = Vec::new();
    for open in filter.open.as_ref().map_or(&[true, false] as &[bool], slice::from_ref) {
        let values = (merchant, open, at, id, code, account.flatten(), filter.limit);
        rows.extend(all(db, ATTENTION, values, cursor)?);
    }
    Ok(newest(rows, filter.limit))
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;

    use super::*;
    use crate::store::sqlite::migrations;

    #[test]
    fn every_list_walks_along_a_key_and_sorts_nothing() {
        let mut db = Connection::open_in_memory().expect("memory is there");
        migrations::run(&mut db).expect("the tables can be made");
        for sql in [ORDERS, WITH_REFERENCE, PAYMENTS, ATTENTION, PROFILES, PUBLIC, INBOX, OLDEST_OPEN] {
            let values = vec![Value::Null; sql.matches('?').count()];
            let highest = (1..=9).rev().find(|number| sql.contains(&format!("?{number}"))).unwrap_or(0);
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let values = rusqlite::params_from_iter(values.into_iter().take(highest));
            let plan = all(&db, &explain, values, |row| Ok(row.get::<_, String>("detail")?)).expect("a plan");
            let plan = plan.join("; ");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
    }

    #[test]
    fn what_is_open_is_found_without_reading_the_rest() {
        let mut db = Connection::open_in_memory().expect("memory is there");
        migrations::run(&mut db).expect("the tables can be made");
        let explain = format!("EXPLAIN QUERY PLAN {OPEN_WORK}");
        let plan = all(&db, &explain, [], |row| Ok(row.get::<_, String>("detail")?)).expect("a plan");
        let reads: Vec<_> =
            plan.iter().filter(|step| step.contains("payments") || step.contains("next")).collect();
        // Of the whole table only the first row is read.
        let whole = reads.iter().filter(|step| step.starts_with("SCAN") && !step.contains("payments_open"));
        assert_eq!(whole.count(), 1, "{plan:#?}");
        assert!(plan.iter().any(|step| step.contains("merchant=? AND account=? AND status=?")), "{plan:#?}");
    }
}
