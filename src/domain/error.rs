//! Why something cannot be done with an order as it stands.

use port::{Failure, OrderId};

use super::order::OrderState;

/// A request that the stored state forbids. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// The order is in a state that does not allow it.
    #[error("an order in {} cannot be {action}", state.as_str())]
    InvalidState {
        /// What was to be done, as a participle.
        action: &'static str,
        /// Where the order is.
        state: OrderState,
        /// Where it would have to be.
        allowed: &'static [OrderState],
    },
    /// A session or payment is past the point.
    #[error("{0}")]
    TooLate(&'static str),
    /// The items are locked while a payment is under way.
    #[error("the order is locked while a payment is under way; cancel its session first")]
    OrderLocked,
    /// It has no price.
    #[error("the order is not priced; POST its /price first")]
    NotPriced,
    /// There is nothing to pay.
    #[error("the order needs no payment")]
    PaymentNotRequired,
    /// A proof is missing.
    #[error("a requirement is not met: {}", .0.join(", "))]
    RequirementUnmet(Vec<&'static str>),
    /// A proof is given that nothing asks for.
    #[error("the order needs no payment, so it takes no proof of one")]
    PaymentSourceNotWanted,
    /// The session does not prove what it should.
    #[error("the session cannot be used: {0}")]
    SessionUnusable(&'static str),
    /// The stored method cannot be used for this.
    #[error("the stored payment method cannot be used: {0}")]
    ProfileUnusable(&'static str),
    /// Another proof beside an open session.
    #[error("a payment session is open; cancel it before submitting with another proof")]
    SessionOpen,
    /// Totals past 63 bits.
    #[error("an amount is too large")]
    AmountTooLarge,
    /// No such line.
    #[error("no such item")]
    NoSuchItem,
    /// More than 200 lines.
    #[error("an order has at most 200 items")]
    TooManyItems,
    /// The money is not at a provider of ours.
    #[error("the money was collected outside the gateway")]
    ExternalPayment,
    /// Another operation is under way on the payment.
    #[error("an operation on this payment is under way")]
    OperationPending,
    /// More than is held.
    #[error("more than is authorised: {remaining} minor units are left")]
    ExceedsAuthorized {
        /// What is left.
        remaining: i64,
    },
    /// More than was taken and not given back.
    #[error("more than was captured: {remaining} minor units are left")]
    ExceedsCaptured {
        /// What is left.
        remaining: i64,
    },
    /// Nothing, or less than that.
    #[error("an amount must be more than nothing")]
    NotPositive,
    /// The provider has no such call.
    #[error("the provider cannot {0}")]
    Unsupported(&'static str),
    /// Contested money.
    #[error("the payment is disputed; a refund now could pay twice")]
    Disputed,
    /// The bank wants the customer to be there.
    #[error("the bank wants the customer: open a checkout with this stored method")]
    AuthenticationRequired,
    /// The provider said no.
    #[error("the provider declined")]
    Declined(Failure),
    /// Another endpoint than the merchant may have.
    #[error("a merchant has at most {max} webhook endpoints")]
    TooManyEndpoints {
        /// The most.
        max: usize,
    },
    /// An event that the endpoint was never to get.
    #[error("the endpoint does not take this event")]
    EventNotTaken,
    /// More events than one replay sends.
    #[error("a replay sends at most {max} events; narrow the time or the types")]
    ReplayTooLarge {
        /// The most.
        max: usize,
    },
    /// The stored events do not fit together.
    #[error("the order {0} is damaged")]
    Damaged(OrderId),
}
