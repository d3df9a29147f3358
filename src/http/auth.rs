//! Authentication: looks up the API key by its hash.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use moka::future::Cache;
use port::{Timestamp, sign};

use super::problem::{Code, Problem};
use super::request::header;
use crate::metrics::CacheMetrics;
use crate::store::{ApiKeyRow, Store, StoreError};

/// How long a key is cached.
const CACHE_TTL: Duration = Duration::from_secs(5);

/// The most cached keys, valid or not.
const MAX_KEYS: u64 = 10_000;

/// The longest key, in characters.
const MAX_KEY: usize = 200;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Scope {
    Payments,
    Ops,
}

/// The merchant and scopes of a request.
pub(super) struct Caller {
    /// The hash of the key, for the rate limit.
    pub(super) key: Arc<str>,
    pub(super) merchant: Arc<str>,
    scopes: Vec<String>,
}

impl Caller {
    pub(super) fn needs(&self, scope: Scope) -> Result<(), Problem> {
        let name: &str = scope.into();
        if self.scopes.iter().any(|own| own == name) {
            return Ok(());
        }
        let detail = format!("This API key does not have the scope `{name}`.");
        Err(Problem::new(Code::ScopeMissing, detail).with("scope", name))
    }
}

/// A cache of API keys; concurrent lookups of one key share one query.
pub(super) struct ApiKeys {
    store: Arc<dyn Store>,
    /// By the generation in which the lookup began, so that one that began before a key was revoked is not used after.
    known: Cache<(u64, Arc<str>), Option<Arc<ApiKeyRow>>>,
    generation: AtomicU64,
    metrics: CacheMetrics,
}

impl ApiKeys {
    pub(super) fn new(store: Arc<dyn Store>, metrics: CacheMetrics) -> Self {
        let known = Cache::builder().max_capacity(MAX_KEYS).time_to_live(CACHE_TTL).build();
        Self { store, known, generation: AtomicU64::default(), metrics }
    }

    /// Looks every key up again: for keys that were created or revoked.
    pub(super) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// The caller of a request. The text of `unauthenticated` does not say what is wrong with the key.
    pub(super) async fn caller(&self, request: &HttpRequest, now: Timestamp) -> Result<Caller, Problem> {
        let text = bearer(request).ok_or_else(unauthenticated)?;
        let hash: Arc<str> = hex::encode(sign::sha256(&[text.as_bytes()])).into();
        let row = self.row(&hash).await?.ok_or_else(unauthenticated)?;
        if row.revoked_at.is_some_and(|at| at <= now) {
            return Err(unauthenticated());
        }
        Ok(Caller { key: hash, merchant: row.merchant.as_str().into(), scopes: row.scopes.clone() })
    }

    async fn row(&self, hash: &Arc<str>) -> Result<Option<Arc<ApiKeyRow>>, Problem> {
        let key = (self.generation.load(Ordering::SeqCst), hash.clone());
        if let Some(known) = self.known.get(&key).await {
            self.metrics.hit();
            return Ok(known);
        }
        self.metrics.miss();
        let query = async { Ok::<_, StoreError>(self.store.api_key(hash).await?.map(Arc::new)) };
        let found = self.known.try_get_with(key, query).await;
        found.map_err(|fault| Problem::from((*fault).clone()))
    }
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = header(request, "Authorization")?;
    let (scheme, text) = value.split_once(' ')?;
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && plain && (1..=MAX_KEY).contains(&text.len())).then_some(text)
}

fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated, "Send a valid API key as `Authorization: Bearer <api key>`.")
}
