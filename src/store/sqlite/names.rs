//! Numbers for the names of merchants and accounts: one table, which the writer caches.

use std::collections::HashMap;

use rusqlite::Connection;

use super::statement::{self, one};
use crate::domain::{Lane, Lookup};
use crate::store::{Change, Store, StoreError, Write};

/// The number of the general lane; the lane of an account has the number of its name.
pub(super) const GENERAL_LANE: i64 = 0;

/// The names that the writer knows.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<String, i64>,
    /// Those added since the last commit; they are lost if the transaction is rolled back.
    new: Vec<String>,
}

impl Names {
    /// Gives numbers to the names that a change writes.
    pub(super) fn ensure(&mut self, db: &Connection, change: &Change) -> Result<(), StoreError> {
        if let Some(subject) = &change.subject {
            self.ensure_name(db, &subject.merchant)?;
            let lookups = subject.added.iter().chain(&subject.gone);
            for name in
                lookups.filter_map(account).chain(subject.schedule.iter().filter_map(|(lane, _)| of(lane)))
            {
                self.ensure_name(db, name)?;
            }
        }
        for write in &change.writes {
            let name = match write {
                Write::IdempotencyKey(row) => Some(row.merchant.as_str()),
                Write::Wake(wake) => of(&wake.lane),
                Write::Reschedule(done) => of(&done.job.lane),
                _ => None,
            };
            name.map_or(Ok(()), |name| self.ensure_name(db, name))?;
        }
        Ok(())
    }

    fn ensure_name(&mut self, db: &Connection, name: &str) -> Result<(), StoreError> {
        if self.known.contains_key(name) {
            return Ok(());
        }
        statement::run(db, "INSERT INTO names (name) VALUES (?1) ON CONFLICT DO NOTHING", [name])?;
        let id = number(db, name)?.ok_or_else(|| StoreError::Failed("a name was not stored".to_owned()))?;
        self.known.insert(name.to_owned(), id);
        self.new.push(name.to_owned());
        Ok(())
    }

    /// The number of a name that was ensured.
    pub(super) fn number(&self, name: &str) -> Result<i64, StoreError> {
        let known = self.known.get(name).copied();
        known.ok_or_else(|| StoreError::Failed(format!("the name `{name}` has no number")))
    }

    /// The number of a lane whose name was ensured.
    pub(super) fn lane(&self, lane: &Lane) -> Result<i64, StoreError> {
        of(lane).map_or(Ok(GENERAL_LANE), |name| self.number(name))
    }

    /// A transaction has ended: what a rolled back one has added is gone.
    pub(super) fn end(&mut self, committed: bool) {
        for name in self.new.drain(..).filter(|_| !committed) {
            self.known.remove(&name);
        }
    }
}

impl dyn Store + '_ {
    /// Runs a query with the number of a merchant's or account's name; nothing is found for an unknown one.
    pub(super) async fn read_of<T: Default + Send + 'static>(
        &self,
        name: &str,
        query: impl FnOnce(&Connection, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let name = name.to_owned();
        self.read(move |db| number(db, &name)?.map_or_else(|| Ok(T::default()), |number| query(db, number)))
            .await
    }

    /// Runs a query with the number of a lane; nothing is found in an unknown one.
    pub(super) async fn read_lane<T: Default + Send + 'static>(
        &self,
        lane: &Lane,
        query: impl FnOnce(&Connection, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match of(lane) {
            Some(name) => self.read_of(name, query).await,
            None => self.read(move |db| query(db, GENERAL_LANE)).await,
        }
    }
}

fn of(lane: &Lane) -> Option<&str> {
    match lane {
        Lane::General => None,
        Lane::Account(name) => Some(name),
    }
}

fn account(lookup: &Lookup) -> Option<&str> {
    match lookup {
        Lookup::ProviderReference { account, .. }
        | Lookup::Payment { account, .. }
        | Lookup::Attention { account, .. }
        | Lookup::ProfileReference { account, .. } => Some(account),
        Lookup::OrderReference(_) | Lookup::CustomerProfile { .. } | Lookup::ProfileSessionUsed(_) => None,
    }
}

/// The number of a name, for a reader; none if nothing with this name was ever written.
pub(super) fn number(db: &Connection, name: &str) -> Result<Option<i64>, StoreError> {
    one(db, "SELECT id FROM names WHERE name = ?1", [name], |row| Ok(row.get(0)?))
}

/// The numbers of all accounts at which a merchant has payments, and that of external payments.
pub(super) fn accounts_of_payments(db: &Connection, merchant: i64) -> Result<Vec<i64>, StoreError> {
    // Skips from one account to the next along the key, however many payments each has.
    const NEXT: &str =
        "SELECT account FROM payments WHERE merchant = ?1 AND account > ?2 ORDER BY account LIMIT 1";
    let mut found = Vec::new();
    loop {
        let last = found.last().copied().unwrap_or(i64::MIN);
        let Some(next) = one(db, NEXT, (merchant, last), |row| Ok(row.get(0)?))? else { return Ok(found) };
        found.push(next);
    }
}
