//! API keys: made, listed, withdrawn. Only their hashes are kept.

use port::{Env as _, sign};

use super::build::BuildError;
use super::system_env::SystemEnv;
use crate::store::{ApiKeyRow, Change, Store, StoreError, Write};

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Scope {
    /// Orders, checkout, refunds, webhook endpoints.
    Payments,
    /// Nothing yet: kept for reports.
    Finance,
    /// Attention, replay of events.
    Ops,
}

impl Scope {
    fn word(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Finance => "finance",
            Self::Ops => "ops",
        }
    }
}

/// How much of a key is kept in clear, to tell keys apart.
const HINT_LETTERS: usize = 14;

/// Makes a key for a merchant and stores its hash. The text is shown once and cannot be found again.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn make(
    store: &dyn Store,
    merchant: &str,
    scopes: &[Scope],
    test: bool,
) -> Result<String, StoreError> {
    let kind = if test { "test" } else { "live" };
    let text = format!("pmx_{kind}_{}", sign::hex(&[SystemEnv.nonce(), SystemEnv.nonce()].concat()));
    let words = scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>();
    put(store, &text, merchant, &words).await?;
    Ok(text)
}

/// Stores the hash of a key.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn put(
    store: &dyn Store,
    text: &str,
    merchant: &str,
    scopes: &[&str],
) -> Result<(), StoreError> {
    let row = ApiKeyRow {
        hash: hash(text),
        hint: text.chars().take(HINT_LETTERS.min(text.len() / 2)).collect(),
        merchant: merchant.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        created_at: SystemEnv.now(),
        revoked_at: None,
    };
    store.commit(Change::plain("api key", vec![Write::ApiKey(row)])).await
}

/// The hash that a key is stored and looked up by. Keys are random, so a plain hash cannot be reversed.
pub(super) fn hash(text: &str) -> String {
    sign::hex(&sign::sha256(&[text.as_bytes()]))
}

/// Withdraws the key whose text or hint is given, as it is listed. False if there is none, or more than one.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn revoke(store: &dyn Store, key: &str) -> Result<bool, StoreError> {
    let known = store.api_keys().await?;
    let hint = key.trim_end_matches('…');
    let mut named = known.into_iter().filter(|row| row.hash == hash(key) || row.hint == hint);
    let (Some(row), None) = (named.next(), named.next()) else { return Ok(false) };
    let revoked = ApiKeyRow { revoked_at: Some(SystemEnv.now()), ..row };
    store.commit(Change::plain("api key", vec![Write::ApiKey(revoked)])).await?;
    Ok(true)
}

/// Every key, a line each.
///
/// # Errors
/// [`BuildError::Store`].
pub(super) async fn list(store: &dyn Store) -> Result<String, BuildError> {
    let rows = store.api_keys().await?;
    let line = |row: &ApiKeyRow| {
        let state = row.revoked_at.map_or_else(|| "active".to_owned(), |at| format!("revoked {at}"));
        format!(
            "{}…  {}  {}  made {}  {state}\n",
            row.hint,
            row.merchant,
            row.scopes.join(","),
            row.created_at
        )
    };
    Ok(rows.iter().map(line).collect())
}
