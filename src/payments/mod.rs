//! Money use cases: starting a payment, fetching its status, and operations on it.
//!
//! [`Providers::call`] is the only caller of adapters, and [`Payments::observe`] the only place where what a provider
//! reports reaches an order. Nothing is sent before the intent is committed; nothing that may have worked is sent again
//! before the payment was read.

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
mod task;

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

/// The money use cases. Each worker has its own, with an HTTP client of its own; everything else is shared.
#[derive(Clone)]
pub struct Payments {
    pub engine: Engine,
    pub providers: Providers,
    pub routing: Arc<Routing>,
    pub fetches: Arc<FetchLog>,
}

/// The routing rules.
pub struct Routing {
    /// Read at the start.
    pub rules: ArcSwap<Rules>,
    /// Whether a start of unknown outcome may be followed by one at another account.
    pub failover_after_unknown: bool,
}

impl Routing {
    pub fn new(rules: Rules, failover_after_unknown: bool) -> Self {
        Self { rules: ArcSwap::from_pointee(rules), failover_after_unknown }
    }
}

/// Why a money use case was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    #[error(transparent)]
    Command(#[from] CommandError),
    /// No account can take it; an existing order is unchanged.
    #[error("{error}")]
    Route { error: RouteError, order: Option<OrderId> },
    /// No suitable account can be reached; an existing order is a cart again.
    #[error("no provider can be reached")]
    ProvidersUnavailable { order: Option<OrderId>, retry_after: Option<Duration> },
    /// Every suitable account refuses our credentials; an existing order is a cart again.
    #[error("every account refuses the gateway's credentials")]
    CredentialsRefused { order: Option<OrderId> },
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The account that something belongs to is not configured any more.
    #[error("the account `{account}` of this {of} is not configured any more")]
    AccountNotConfigured { account: String, of: &'static str },
}

pub type Result<T, E = PaymentError> = std::result::Result<T, E>;

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
    /// Names the order that stays as it was.
    #[must_use]
    pub fn about(self, id: OrderId) -> Self {
        match self {
            Self::Route { error, .. } => Self::Route { error, order: Some(id) },
            other => other,
        }
    }
}
