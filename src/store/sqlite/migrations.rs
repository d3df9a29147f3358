//! Migrations: numbered from 1, each run once, all at opening. They only add; dropping takes two releases.

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// Name and statements; the place is the number.
const STEPS: [(&str, &str); 7] = [
    ("start", include_str!("../migrations/sqlite/0001_start.sql")),
    ("webhooks", include_str!("../migrations/sqlite/0002_webhooks.sql")),
    ("audit", include_str!("../migrations/sqlite/0003_audit.sql")),
    ("profiles", include_str!("../migrations/sqlite/0004_profiles.sql")),
    ("attention", include_str!("../migrations/sqlite/0005_attention.sql")),
    ("keys", include_str!("../migrations/sqlite/0006_keys.sql")),
    ("told again", include_str!("../migrations/sqlite/0007_told_again.sql")),
];

/// Brings the database to the tables that this program knows, or leaves it as it is.
pub(super) fn run(db: &mut Connection) -> Result<(), OpenError> {
    let whole = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    whole.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
    )?;
    let last: u32 =
        whole.query_row("SELECT coalesce(max(number), 0) FROM migrations", [], |row| row.get(0))?;
    let found = last as usize;
    if found > STEPS.len() {
        return Err(OpenError::Newer { found, known: STEPS.len() });
    }
    for (number, (name, statements)) in (1u32..).zip(STEPS).skip(found) {
        whole.execute_batch(statements)?;
        whole.execute("INSERT INTO migrations VALUES (?1, ?2)", (number, name))?;
    }
    Ok(whole.commit()?)
}
