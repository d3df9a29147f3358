//! Migrations: numbered from 1, each run once, all at opening. They only add; dropping takes two releases.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::OpenError;

/// Name and statements; the position in the list is the number.
const STEPS: [(&str, &str); 1] = [("first tables", include_str!("../migrations/sqlite/0001_start.sql"))];

/// Runs all missing migrations in one transaction.
pub(super) fn run(db: &mut Connection) -> Result<(), OpenError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = found(&transaction)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_steps (number INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
    )?;
    for (number, (name, statements)) in (1u32..).zip(STEPS).skip(found) {
        transaction.execute_batch(statements)?;
        transaction.execute("INSERT INTO schema_steps VALUES (?1, ?2)", (number, name))?;
    }
    Ok(transaction.commit()?)
}

/// Refuses a database whose tables are not those of this release.
///
/// # Errors
/// [`OpenError::NoTables`], [`OpenError::Older`], [`OpenError::Newer`], [`OpenError::Prerelease`], and that it cannot be
/// read.
pub(super) fn check(db: &Connection) -> Result<(), OpenError> {
    match found(db)? {
        0 => Err(OpenError::NoTables),
        found if found < STEPS.len() => Err(OpenError::Older),
        _ => Ok(()),
    }
}

/// How many migrations a database has had.
fn found(db: &Connection) -> Result<usize, OpenError> {
    // Releases before the first kept their steps in this table.
    if db.table_exists(None, "migrations")? {
        return Err(OpenError::Prerelease);
    }
    if !db.table_exists(None, "schema_steps")? {
        return Ok(0);
    }
    let last: u32 =
        db.query_row("SELECT coalesce(max(number), 0) FROM schema_steps", [], |row| row.get(0))?;
    let found = last as usize;
    if found > STEPS.len() {
        return Err(OpenError::Newer { found, known: STEPS.len() });
    }
    let first = db.query_row("SELECT name FROM schema_steps WHERE number = 1", [], |row| row.get(0));
    if first.optional()?.is_some_and(|name: String| name != STEPS[0].0) {
        return Err(OpenError::Prerelease);
    }
    Ok(found)
}
