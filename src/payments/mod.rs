//! Money use cases: starting a payment, asking how it stands, and acting on it.
//!
//! [`Providers::call`] is the only caller of adapters, and [`Payments::observe`] the only place where what a provider
//! said reaches an order. Nothing is sent before the intent is committed; nothing that may have worked is sent again
//! before the provider was asked.

mod accept;
mod accounts;
mod fetch;
mod observe;
mod operate;
mod profiles;
mod providers;
mod read_limiter;
mod refund_policy;
mod resolve_unknown;
mod returns;
mod start;

pub use accounts::{Account, Accounts};
pub use fetch::FetchLog;
pub use profiles::NewProfileSession;
pub use providers::Providers;
pub use read_limiter::{MAX_PAUSE, ReadLimiter, ReadPass};
pub use refund_policy::RefundPolicies;
pub use returns::{Redirect, ReturnToken, Returns};
pub use start::{CheckoutRequest, StartOutcome};

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use port::{OrderId, ProviderError};

use crate::domain::DomainError;
use crate::engine::{CommandError, Engine};
use crate::routing::{RouteError, Rules};
use crate::store::StoreError;

/// The money use cases. One for each worker: its own way out, everything else shared.
#[derive(Clone)]
pub struct Payments {
    /// How subjects change.
    pub engine: Engine,
    /// The accounts, and the way to their providers.
    pub providers: Providers,
    /// Which account takes a checkout.
    pub routing: Arc<Routing>,
    /// Which reads of providers were made or are under way.
    pub fetches: Arc<FetchLog>,
}

/// Which account takes a checkout.
pub struct Routing {
    /// The active rules.
    pub rules: ArcSwap<Rules>,
    /// Whether a hosted page whose start was never answered may be opened at another account.
    pub failover_after_unknown: bool,
}

impl Routing {
    /// By rules that can be replaced while the gateway runs.
    pub fn new(rules: Rules, failover_after_unknown: bool) -> Self {
        Self { rules: ArcSwap::from_pointee(rules), failover_after_unknown }
    }
}

/// Why a money use case was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// The request, the state or the store is in the way.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// No account can take it; the order, if there is one, stays as it was.
    #[error("{error}")]
    Route {
        /// Why.
        error: RouteError,
        /// The order that waits.
        order: Option<OrderId>,
    },
    /// Every account that could take it is down; the order, if there is one, is a cart.
    #[error("no provider can be reached")]
    ProvidersUnavailable {
        /// The order that waits.
        order: Option<OrderId>,
        /// When to come back.
        retry_after: Option<Duration>,
    },
    /// The provider did not work.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The account of an attempt is not configured any more.
    #[error("the account `{0}` is not configured")]
    AccountNotConfigured(String),
}

impl From<StoreError> for PaymentError {
    fn from(fault: StoreError) -> Self {
        Self::Command(fault.into())
    }
}

impl From<DomainError> for PaymentError {
    fn from(error: DomainError) -> Self {
        Self::Command(error.into())
    }
}

impl From<RouteError> for PaymentError {
    fn from(error: RouteError) -> Self {
        Self::Route { error, order: None }
    }
}

impl PaymentError {
    /// About an order that stays as it was.
    #[must_use]
    pub fn about(self, id: OrderId) -> Self {
        match self {
            Self::Route { error, .. } => Self::Route { error, order: Some(id) },
            Self::ProvidersUnavailable { retry_after, .. } => {
                Self::ProvidersUnavailable { order: Some(id), retry_after }
            }
            other => other,
        }
    }
}
