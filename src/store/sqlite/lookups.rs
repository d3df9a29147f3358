//! The tables of lookup rows, which lead from an id or a list to a subject.

use port::Uuid;
use rusqlite::{ToSql, params};

use super::statement::blob;
use crate::domain::Lookup;
use crate::store::StoreError;

/// The statements of one table. Those that insert, delete and find a row take the same values.
pub(super) struct LookupTable {
    pub(super) insert: &'static str,
    pub(super) delete: &'static str,
    pub(super) find: &'static str,
    pub(super) count: &'static str,
}

macro_rules! lookup_tables {
    ($($constant:ident = $table:literal ($columns:literal) ($values:literal) $($on_conflict:literal)?;)*) => {
        $(const $constant: &LookupTable = &LookupTable {
            insert: concat!("INSERT INTO ", $table, " (", $columns, ") VALUES (", $values, ")" $(, $on_conflict)?),
            delete: concat!("DELETE FROM ", $table, " WHERE (", $columns, ") = (", $values, ")"),
            find: concat!("SELECT 1 FROM ", $table, " WHERE (", $columns, ") = (", $values, ")"),
            count: concat!("SELECT count(*) FROM ", $table),
        };)*

        pub(super) const LOOKUP_TABLES: &[&LookupTable] = &[$($constant),*];
    };
}

lookup_tables! {
    ORDER_REFERENCES = "order_references" ("merchant, reference, subject") ("?1, ?2, ?3");
    // Two attempts of an order may have the same id at their provider.
    PROVIDER_REFERENCES = "provider_references" ("account, reference, subject") ("?1, ?2, ?3") " ON CONFLICT DO NOTHING";
    PAYMENTS = "payments" ("merchant, account, status, created_at, id, open") ("?1, ?2, ?3, ?4, ?5, ?6");
    ATTENTION = "attention" ("merchant, open, raised_at, id, account, code") ("?1, ?2, ?3, ?4, ?5, ?6");
    CUSTOMER_PROFILES = "customer_profiles" ("merchant, customer, id") ("?1, ?2, ?3");
    PROFILE_REFERENCES = "profile_references" ("account, reference, subject") ("?1, ?2, ?3");
    USED_PROFILE_SESSIONS = "used_profile_sessions" ("session, subject") ("?1, ?2");
}

/// Calls `run` with the table of a lookup row and the row's values. `number` gives the number of an account's name.
pub(super) fn with_row<T>(
    lookup: &Lookup,
    subject: Uuid,
    merchant: i64,
    number: impl Fn(&str) -> Result<i64, StoreError>,
    run: impl FnOnce(&LookupTable, &[&dyn ToSql]) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let subject = blob(subject);
    match lookup {
        Lookup::OrderReference(reference) => run(ORDER_REFERENCES, params![merchant, reference, subject]),
        Lookup::ProviderReference { account, reference } => {
            run(PROVIDER_REFERENCES, params![number(account)?, reference, subject])
        }
        Lookup::Payment { id, account, status, open, created_at } => {
            let (account, id) = (number(account)?, blob(id.uuid()));
            run(PAYMENTS, params![merchant, account, status.as_str(), created_at.micros(), id, open])
        }
        Lookup::Attention { id, account, code, open, raised_at } => {
            let (account, id) = (number(account)?, blob(id.uuid()));
            run(ATTENTION, params![merchant, open, raised_at.micros(), id, account, code.as_str()])
        }
        Lookup::CustomerProfile { customer_id, id } => {
            run(CUSTOMER_PROFILES, params![merchant, customer_id, blob(id.uuid())])
        }
        Lookup::ProfileReference { account, reference } => {
            run(PROFILE_REFERENCES, params![number(account)?, reference, subject])
        }
        Lookup::ProfileSessionUsed(session) => {
            run(USED_PROFILE_SESSIONS, params![blob(session.uuid()), subject])
        }
    }
}
