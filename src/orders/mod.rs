//! From cart to fulfilment: placing, changing, checking out, submitting, ending.
//!
//! Each use case looks at the order's file, lets the domain decide, and commits; where money is involved it
//! then goes on in [`payments`](crate::payments). Nothing here knows HTTP.

mod cart;
mod checkout;
mod finish;
mod money;
mod resolve;
mod submit;

pub use cart::{Draft, Edit, Fields};
pub use checkout::{CheckoutOutcome, CloseOutcome};
pub use finish::Finish;
pub use money::{MoneyRequest, OperationResult, Outcome};

use std::sync::Arc;

use port::OrderId;

use crate::domain::{Cause, DomainError, OrderAggregate};
use crate::payments::{Effects, PaymentError, Payments};
use crate::routing::RouteError;
use crate::store::{KeyRow, StoreError, Unique, Write};

/// The use cases of orders.
#[derive(Clone)]
pub struct Orders {
    /// The money behind them.
    pub payments: Payments,
}

/// Who asks for something, and under which conditions.
#[derive(Clone, Debug)]
pub struct CommandContext {
    /// The merchant; only its own orders exist for it.
    pub merchant: Arc<str>,
    /// Who and which request, for the events.
    pub cause: Cause,
    /// The idempotency key, if one was sent.
    pub key: Option<Key>,
    /// The version that the order must still have.
    pub expects: Option<u64>,
}

/// An idempotency key with what it was sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The merchant's text.
    pub text: String,
    /// A hash of method, path and body.
    pub fingerprint: String,
    /// Where the key stands already, if what it stood for had no effect.
    pub replaces: Option<u64>,
}

impl CommandContext {
    /// The row that makes a change idempotent. `first` is the place of the change's first event.
    fn key_row(&self, order: OrderId, first: u64, now: port::Timestamp) -> Vec<Write> {
        let row = self.key.as_ref().map(|key| KeyRow {
            merchant: self.merchant.to_string(),
            key: key.text.clone(),
            fingerprint: key.fingerprint.clone(),
            order,
            sequence: first,
            at: now,
            replaces: key.replaces,
        });
        row.map(Write::Key).into_iter().collect()
    }
}

/// Why a use case did not get through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// There is no such thing, or it is another merchant's.
    #[error("not found")]
    NotFound,
    /// The merchant expected another version.
    #[error("the version is {actual}")]
    VersionMismatch {
        /// What it is.
        actual: u64,
    },
    /// The merchant's reference is in use.
    #[error("the reference is in use")]
    ReferenceTaken,
    /// The idempotency key was used meanwhile.
    #[error("the idempotency key is in use")]
    KeyTaken,
    /// The state forbids it.
    #[error(transparent)]
    Refused(#[from] DomainError),
    /// There is nowhere to go; the order stays as it was, or was placed.
    #[error("{error}")]
    Route {
        /// Why.
        error: RouteError,
        /// The order that waits.
        order: OrderId,
    },
    /// Every account is down; the order is a cart.
    #[error("no provider can be reached")]
    ProvidersUnavailable {
        /// The order that waits.
        order: OrderId,
        /// When to come back.
        retry_after: Option<std::time::Duration>,
    },
    /// The money part did not work.
    #[error(transparent)]
    Payment(PaymentError),
    /// The store did not work.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for OrderError {
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::Taken(Unique::Reference) => Self::ReferenceTaken,
            StoreError::Taken(Unique::Key) => Self::KeyTaken,
            other => Self::Store(other),
        }
    }
}

impl From<PaymentError> for OrderError {
    fn from(fault: PaymentError) -> Self {
        match fault {
            PaymentError::Refused(error) => Self::Refused(error),
            PaymentError::Store(fault) => fault.into(),
            other => Self::Payment(other),
        }
    }
}

impl Orders {
    /// The merchant's order.
    ///
    /// # Errors
    /// [`OrderError::NotFound`], also for another merchant's.
    pub async fn order(
        &self,
        context: &CommandContext,
        order: OrderId,
    ) -> Result<OrderAggregate, OrderError> {
        let found = self.payments.shared.store.order(order).await?;
        found.filter(|order| *order.header.merchant == *context.merchant).ok_or(OrderError::NotFound)
    }

    /// Decides on the merchant's order and commits, with its idempotency key. Answers the place of the change's
    /// first event; `None` if there was nothing to change.
    async fn change<D: Into<Effects>>(
        &self,
        name: &'static str,
        context: &CommandContext,
        order: &mut OrderAggregate,
        mut decide: impl FnMut(&OrderAggregate, port::Timestamp) -> Result<D, OrderError>,
    ) -> Result<Option<u64>, OrderError> {
        let mut first = None;
        let effects = |order: &OrderAggregate, now| {
            check_version(context, order)?;
            let mut effects: Effects = decide(order, now)?.into();
            first = (!effects.events.is_empty()).then_some(order.sequence + 1);
            effects
                .writes
                .extend(first.map(|first| context.key_row(order.id(), first, now)).unwrap_or_default());
            Ok::<_, OrderError>(effects)
        };
        self.payments.shared.change(name, order, &context.cause, effects).await?;
        Ok(first)
    }
}

fn check_version(context: &CommandContext, order: &OrderAggregate) -> Result<(), OrderError> {
    match context.expects {
        Some(version) if version != order.sequence => {
            Err(OrderError::VersionMismatch { actual: order.sequence })
        }
        _ => Ok(()),
    }
}
