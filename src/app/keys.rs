//! Creates, lists and revokes API keys. Only their hashes are stored.

use port::sign;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::store::{ApiKeyRow, Change, StoreError, Write};

/// What a key may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, strum::IntoStaticStr, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(super) enum Scope {
    /// Orders, checkout, refunds, webhook endpoints.
    Payments,
    /// Not used yet.
    Finance,
    /// Attention, replay of events.
    Ops,
}

/// How many characters of a key are stored in clear, to distinguish keys.
const HINT_LENGTH: usize = 14;

/// Creates a key for a merchant and stores its hash. Returns its text, which cannot be found again.
pub(super) async fn create(
    engine: &Engine,
    merchant: &str,
    scopes: &[Scope],
    test: bool,
) -> Result<String, StoreError> {
    let kind = if test { "test" } else { "live" };
    let secret = [engine.env.nonce(), engine.env.nonce()].concat();
    let text = format!("pmx_{kind}_{}", hex::encode(secret));
    let scopes = scopes.iter().map(<&str>::from).collect::<Vec<_>>();
    put(engine, &text, merchant, &scopes).await?;
    Ok(text)
}

/// Stores the hash of a key.
pub(super) async fn put(
    engine: &Engine,
    text: &str,
    merchant: &str,
    scopes: &[&str],
) -> Result<(), StoreError> {
    let row = ApiKeyRow {
        hash: hash(text),
        hint: text.chars().take(HINT_LENGTH.min(text.len() / 2)).collect(),
        merchant: merchant.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        created_at: engine.now(),
        revoked_at: None,
    };
    engine.commit(Change::plain("api key", vec![Write::ApiKey(row)])).await
}

/// The hash that a key is stored and looked up by. Keys are random, so a plain hash cannot be reversed.
pub(super) fn hash(text: &str) -> String {
    hex::encode(sign::sha256(&[text.as_bytes()]))
}

/// Revokes the key whose text or hint is given, as it is listed. False if there is none, or more than one.
pub(super) async fn revoke(engine: &Engine, key: &str) -> Result<bool, StoreError> {
    let known = engine.store.api_keys().await?;
    let hint = key.trim_end_matches('…');
    let mut named = known.into_iter().filter(|row| row.hash == hash(key) || row.hint == hint);
    let (Some(row), None) = (named.next(), named.next()) else { return Ok(false) };
    let revoked = ApiKeyRow { revoked_at: Some(engine.now()), ..row };
    engine.commit(Change::plain("api key", vec![Write::ApiKey(revoked)])).await?;
    Ok(true)
}

/// All keys as text, one per line.
pub(super) async fn list(engine: &Engine) -> Result<String, StoreError> {
    let rows = engine.store.api_keys().await?;
    let line = |row: &ApiKeyRow| {
        let state = row.revoked_at.map_or_else(|| "active".to_owned(), |at| format!("revoked {at}"));
        format!(
            "{}…  {}  {}  created {}  {state}\n",
            row.hint,
            row.merchant,
            row.scopes.join(","),
            row.created_at
        )
    };
    Ok(rows.iter().map(line).collect())
}
