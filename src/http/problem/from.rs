//! What each fault of the rooms below is to a client. Every match is exhaustive, so that a new fault is decided here.

use std::time::Duration;

use port::{Failure, OrderId, ProviderError};
use serde_json::{Value, json};

use super::{Code, Problem};
use crate::domain::DomainError;
use crate::engine::CommandError;
use crate::payments::PaymentError;
use crate::routing::{RouteError, RuledOut};
use crate::store::{StoreError, Unique};

/// When to come back if nobody knows better.
const SOON: Duration = Duration::from_secs(1);

/// When to come back if providers are down and none has said.
const PROVIDER_BACK: Duration = Duration::from_secs(10);

impl From<CommandError> for Problem {
    fn from(fault: CommandError) -> Self {
        match fault {
            CommandError::NotFound => Self::not_found(),
            CommandError::VersionMismatch { actual } => {
                Self::new(Code::VersionMismatch, format!("The version is {actual}.")).with("version", actual)
            }
            CommandError::ReferenceTaken => {
                Self::new(Code::ReferenceTaken, "Another of your orders has this reference.")
            }
            CommandError::KeyTaken => Self::key_in_use(),
            CommandError::Rejected(error) => error.into(),
            CommandError::Store(fault) => fault.into(),
        }
    }
}

impl From<PaymentError> for Problem {
    fn from(fault: PaymentError) -> Self {
        match fault {
            PaymentError::Command(fault) => fault.into(),
            PaymentError::Route { error, order } => Self::from(error).about(order),
            PaymentError::ProvidersUnavailable { order, retry_after } => Self::down(retry_after).about(order),
            PaymentError::Provider(fault) => fault.into(),
            PaymentError::AccountNotConfigured(name) => {
                Self::internal(format!("the account `{name}` is not configured"))
            }
        }
    }
}

impl Problem {
    /// No provider that could take it can be reached.
    pub(in crate::http) fn down(retry_after: Option<Duration>) -> Self {
        let detail = "No provider that could take this can be reached. Nothing is lost; try again later.";
        Self::new(Code::ProvidersUnavailable, detail).retry_after(retry_after.unwrap_or(PROVIDER_BACK))
    }

    /// A request with the same idempotency key is running.
    pub(in crate::http) fn key_in_use() -> Self {
        let detail = "A request with this idempotency key is running; its answer is not known yet.";
        Self::new(Code::IdempotencyKeyInUse, detail).retry_after(SOON)
    }

    /// About an order that stays as it was.
    fn about(self, order: Option<OrderId>) -> Self {
        match order {
            Some(order) => self.with("orderId", order.to_string()),
            None => self,
        }
    }
}

impl From<DomainError> for Problem {
    fn from(error: DomainError) -> Self {
        let says = sentence(&error.to_string());
        match error {
            DomainError::InvalidState { state, allowed, .. } => {
                let states: Vec<_> = allowed.iter().map(|state| state.as_str()).collect();
                let detail = format!("{says} That is possible in {}.", states.join(", "));
                Self::new(Code::InvalidState, detail)
                    .with("state", state.as_str())
                    .with("allowedStates", states)
            }
            DomainError::TooLate(_) => Self::new(Code::InvalidState, says),
            DomainError::OrderLocked => Self::new(Code::OrderLocked, says),
            DomainError::NotPriced => Self::new(Code::OrderNotPriced, says),
            DomainError::PaymentNotRequired | DomainError::PaymentSourceNotWanted => {
                Self::new(Code::PaymentNotRequired, says)
            }
            DomainError::RequirementUnmet(names) => {
                Self::new(Code::RequirementUnmet, says).with("unmet", names)
            }
            DomainError::SessionUnusable(_) => Self::new(Code::PaymentSessionUnusable, says),
            DomainError::ProfileUnusable(_) => Self::new(Code::PaymentProfileUnusable, says),
            DomainError::AuthenticationRequired => Self::new(Code::AuthenticationRequired, says),
            DomainError::SessionOpen => Self::new(Code::PaymentSessionOpen, says),
            DomainError::AmountTooLarge => Self::new(Code::AmountTooLarge, says),
            DomainError::NoSuchItem => Self::not_found(),
            DomainError::TooManyItems => Self::new(Code::TooManyItems, says),
            DomainError::ExternalPayment => Self::new(Code::ExternalPayment, says),
            DomainError::OperationPending => Self::new(Code::OperationPending, says).retry_after(SOON),
            DomainError::ExceedsAuthorized { remaining } => {
                Self::new(Code::AmountExceedsAuthorized, says).with("remaining", remaining)
            }
            DomainError::ExceedsCaptured { remaining } => {
                Self::new(Code::AmountExceedsCaptured, says).with("remaining", remaining)
            }
            DomainError::NotPositive => Self::new(Code::AmountNotPositive, says),
            DomainError::Unsupported(what) => {
                Self::new(Code::UnsupportedByProvider, says).with("capability", what)
            }
            DomainError::Disputed => Self::new(Code::PaymentDisputed, says),
            DomainError::Declined(failure) => declined(failure),
            DomainError::TooManyEndpoints { .. } => Self::new(Code::TooManyEndpoints, says),
            DomainError::EventNotTaken => Self::new(Code::InvalidState, says),
            DomainError::ReplayTooLarge { .. } => Self::new(Code::RangeTooLarge, says),
            DomainError::Damaged(order) => Self::internal(format!("the order {order} is damaged")),
        }
    }
}

fn declined(failure: Failure) -> Problem {
    Problem::new(Code::ProviderDeclined, "The provider declined.")
        .with("providerCode", failure.code)
        .with("providerMessage", failure.text)
}

impl From<ProviderError> for Problem {
    fn from(fault: ProviderError) -> Self {
        match fault {
            ProviderError::Declined { code, text } | ProviderError::Rejected { code, text } => {
                declined(Failure { code, text })
            }
            ProviderError::Unsupported(what) => {
                Self::new(Code::UnsupportedByProvider, sentence(&fault.to_string())).with("capability", what)
            }
            ProviderError::Busy { retry_after } => Self::down(retry_after),
            ProviderError::NotSent(_)
            | ProviderError::Misconfigured
            | ProviderError::Unavailable(_)
            | ProviderError::AmountDiffers(_)
            | ProviderError::NotFound
            | ProviderError::OutcomeUnknown(_) => Self::down(None).caused_by(fault),
        }
    }
}

impl From<RouteError> for Problem {
    fn from(fault: RouteError) -> Self {
        let says = sentence(&fault.to_string());
        match fault {
            RouteError::NoRoute { ruled_out } => {
                Self::new(Code::NoRoute, says).with("routing", tried(&ruled_out))
            }
            RouteError::PinsNotAllowed => Self::new(Code::AccountNotAllowed, says),
            RouteError::UnknownAccount(_) => Self::new(Code::AccountUnknown, says),
        }
    }
}

/// What became of each account, in the shape that a session has too.
fn tried(ruled_out: &[RuledOut]) -> Value {
    let entry = |out: &RuledOut| json!({"account": out.account, "outcome": out.why.join("; ")});
    json!({"tried": ruled_out.iter().map(entry).collect::<Vec<_>>()})
}

impl From<StoreError> for Problem {
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::Busy | StoreError::Conflict => {
                let detail = "Too much is waiting to be written. Nothing was done; try again later.";
                Self::new(Code::Overloaded, detail).retry_after(SOON).caused_by(fault)
            }
            StoreError::Taken(Unique::Key | Unique::OrderReference | Unique::ProfileSession) => {
                CommandError::from(fault).into()
            }
            StoreError::Taken(Unique::Notification | Unique::ProfileReference)
            | StoreError::Failed(_)
            | StoreError::Corrupt(_) => Self::internal(fault),
        }
    }
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().map(char::to_uppercase).into_iter().flatten().collect();
    format!("{first}{}.", letters.as_str())
}
