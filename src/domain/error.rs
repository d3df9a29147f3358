//! Errors for requests that the current state does not allow.

use port::{Failure, OrderId};

use super::cart::MAX_ITEMS;
use super::order::OrderState;

/// A request that the current state does not allow. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    #[error("an order in {} cannot be {action}", state.as_str())]
    InvalidState {
        /// A participle, such as `submitted`.
        action: &'static str,
        state: OrderState,
        allowed: &'static [OrderState],
    },
    /// A session, payment or attention is in a state that does not allow it.
    #[error("{0}")]
    TooLate(&'static str),
    #[error("the order is locked while a payment is under way; cancel its session first")]
    OrderLocked,
    #[error("the order is not priced; POST its /price first")]
    NotPriced,
    #[error("the order needs no payment")]
    PaymentNotRequired,
    #[error("a requirement is not met: {}", .0.join(", "))]
    RequirementUnmet(Vec<&'static str>),
    #[error("the order needs no payment, so it takes no proof of one")]
    PaymentProofNotWanted,
    #[error("the session cannot be used: {0}")]
    SessionUnusable(&'static str),
    #[error("the payment profile cannot be used: {0}")]
    ProfileUnusable(&'static str),
    #[error("a payment session is open; cancel it before submitting with another proof")]
    SessionOpen,
    #[error("an amount is too large")]
    AmountTooLarge,
    #[error("no such item")]
    NoSuchItem,
    #[error("an order has at most {MAX_ITEMS} items")]
    TooManyItems,
    #[error("the money was collected outside the gateway")]
    ExternalPayment,
    #[error("an operation on this payment is pending")]
    OperationPending,
    #[error("more than is authorized: {remaining} minor units are left")]
    ExceedsAuthorized { remaining: i64 },
    #[error("more than was captured: {remaining} minor units are left")]
    ExceedsCaptured { remaining: i64 },
    #[error("an amount must be greater than zero")]
    NotPositive,
    #[error("the provider cannot {0}")]
    Unsupported(&'static str),
    #[error("the payment is disputed; a refund now could pay twice")]
    Disputed,
    #[error("the bank requires the customer to authenticate: open a checkout with this payment profile")]
    AuthenticationRequired,
    #[error("the provider declined")]
    Declined(Failure),
    #[error("a merchant has at most {max} webhook endpoints")]
    TooManyEndpoints { max: usize },
    #[error("the endpoint does not subscribe to this event")]
    NotSubscribed,
    #[error("the endpoint is disabled; enable it first")]
    EndpointDisabled,
    #[error("a replay sends at most {max} events; choose a shorter time range")]
    ReplayTooLarge { max: usize },
    /// The stored order is inconsistent: a defect.
    #[error("the order {0} is damaged")]
    Damaged(OrderId),
}
