//! Turns errors of the modules below into problems. Every match is exhaustive, so that a new error must be handled here.

use std::time::Duration;

use port::{Failure, OrderId, ProviderError};
use serde_json::{Value, json};

use super::{Code, Problem};
use crate::domain::DomainError;
use crate::engine::CommandError;
use crate::payments::PaymentError;
use crate::routing::{RouteError, RuledOut};
use crate::store::{StoreError, Unique};

/// What holds of every change that could not be written, since an earlier one of the same request may have been.
const REPEAT: &str = "Repeat the request later with the same Idempotency-Key, so that nothing happens twice; without a key, \
                      look first at what has happened.";

/// The `Retry-After` if the disk is full: a person has to make room.
const DISK_BACK: Duration = Duration::from_secs(30);

/// The default `Retry-After`.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// The `Retry-After` if providers are down and none has given one.
const PROVIDER_BACK: Duration = Duration::from_secs(10);

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NotFound => Self::not_found(),
            CommandError::VersionMismatch { actual } => {
                Self::new(Code::VersionMismatch, format!("The version is {actual}.")).with("version", actual)
            }
            CommandError::ReferenceTaken => {
                Self::new(Code::ReferenceTaken, "Another of your orders has this reference.")
            }
            CommandError::IdempotencyKeyTaken => Self::key_in_use(),
            CommandError::Rejected(error) => error.into(),
            CommandError::Store(error) => error.into(),
        }
    }
}

impl From<PaymentError> for Problem {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::Command(error) => error.into(),
            PaymentError::Route { error, order } => Self::from(error).about(order),
            PaymentError::ProvidersUnavailable { order, retry_after } => Self::down(retry_after).about(order),
            PaymentError::CredentialsRefused { order } => Self::credentials_refused().about(order),
            PaymentError::Provider(error) => error.into(),
            PaymentError::AccountNotConfigured { .. } => {
                Self::new(Code::UnsupportedByProvider, sentence(&error))
            }
        }
    }
}

impl Problem {
    /// No provider that could take it can be reached.
    pub(crate) fn down(retry_after: Option<Duration>) -> Self {
        let detail = "No provider that could take this can be reached. Nothing is lost; try again later.";
        Self::new(Code::ProvidersUnavailable, detail).retry_after(retry_after.unwrap_or(PROVIDER_BACK))
    }

    /// Every account that could take it refuses the gateway's own credentials, which only its operator can mend.
    pub(crate) fn credentials_refused() -> Self {
        let detail = "Every provider account that could take this refuses the gateway's own credentials. Nothing is \
                      lost, and a retry does not help until the operator of the gateway has mended them.";
        Self::new(Code::ProvidersUnavailable, detail)
    }

    pub(crate) fn key_in_use() -> Self {
        let detail = "A request with this idempotency key is running; its answer is not known yet.";
        Self::new(Code::IdempotencyKeyInUse, detail).retry_after(RETRY_SOON)
    }

    /// With the order, which is unchanged.
    fn about(self, order: Option<OrderId>) -> Self {
        match order {
            Some(order) => self.with("orderId", order.to_string()),
            None => self,
        }
    }

    fn declined(Failure { code, text }: Failure) -> Self {
        Self::new(Code::ProviderDeclined, "The provider declined.")
            .with("providerCode", code)
            .with("providerMessage", text)
    }
}

impl From<DomainError> for Problem {
    fn from(error: DomainError) -> Self {
        use DomainError as E;
        let detail = sentence(&error);
        let problem = |code| Self::new(code, detail.clone());
        match error {
            E::InvalidState { state, allowed, .. } => {
                let states: Vec<_> = allowed.iter().map(|state| state.as_str()).collect();
                let detail = format!("{detail} That is possible in {}.", states.join(", "));
                Self::new(Code::InvalidState, detail)
                    .with("state", state.as_str())
                    .with("allowedStates", states)
            }
            E::TooLate(_) | E::NotSubscribed | E::EndpointDisabled => problem(Code::InvalidState),
            E::OrderLocked => problem(Code::OrderLocked),
            E::NotPriced => problem(Code::OrderNotPriced),
            E::PaymentNotRequired | E::PaymentProofNotWanted => problem(Code::PaymentNotRequired),
            E::RequirementUnmet(names) => problem(Code::RequirementUnmet).with("unmet", names),
            E::SessionUnusable(_) => problem(Code::PaymentSessionUnusable),
            E::ProfileUnusable(_) => problem(Code::PaymentProfileUnusable),
            E::AuthenticationRequired => problem(Code::AuthenticationRequired),
            E::SessionOpen => problem(Code::PaymentSessionOpen),
            E::AmountTooLarge => problem(Code::AmountTooLarge),
            E::NoSuchItem => Self::not_found(),
            E::TooManyItems => problem(Code::TooManyItems),
            E::ExternalPayment => problem(Code::ExternalPayment),
            E::OperationPending => problem(Code::OperationPending).retry_after(RETRY_SOON),
            E::ExceedsAuthorized { remaining } => {
                problem(Code::AmountExceedsAuthorized).with("remaining", remaining)
            }
            E::ExceedsCaptured { remaining } => {
                problem(Code::AmountExceedsCaptured).with("remaining", remaining)
            }
            E::NotPositive => problem(Code::AmountNotPositive),
            E::Unsupported(what) => problem(Code::UnsupportedByProvider).with("capability", what),
            E::Disputed => problem(Code::PaymentDisputed),
            E::Declined(failure) => Self::declined(failure),
            E::TooManyEndpoints { .. } => problem(Code::TooManyEndpoints),
            E::ReplayTooLarge { .. } => problem(Code::RangeTooLarge),
            E::Damaged(order) => Self::internal(format!("the order {order} is damaged")),
        }
    }
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Declined { code, text } | ProviderError::Rejected { code, text } => {
                Self::declined(Failure { code, text })
            }
            ProviderError::Unsupported(what) => {
                Self::new(Code::UnsupportedByProvider, sentence(&error)).with("capability", what)
            }
            ProviderError::Busy { retry_after } => Self::down(retry_after),
            ProviderError::Misconfigured => Self::credentials_refused().caused_by(error),
            ProviderError::NotSent(_)
            | ProviderError::Unavailable(_)
            | ProviderError::Unreadable(_)
            | ProviderError::AmountDiffers(_)
            | ProviderError::NotFound
            | ProviderError::OutcomeUnknown(_) => Self::down(None).caused_by(error),
        }
    }
}

impl From<RouteError> for Problem {
    fn from(error: RouteError) -> Self {
        let problem = |code| Self::new(code, sentence(&error));
        match &error {
            RouteError::NoRoute { ruled_out, .. } => problem(Code::NoRoute).with("routing", tried(ruled_out)),
            RouteError::PinsNotAllowed => problem(Code::AccountNotAllowed),
            RouteError::UnknownAccount(_) => problem(Code::AccountUnknown),
        }
    }
}

/// The result for each account, in the form of a session's `routing`.
fn tried(ruled_out: &[RuledOut]) -> Value {
    let entry = |out: &RuledOut| json!({"account": out.account, "outcome": out.why.join("; ")});
    json!({"tried": ruled_out.iter().map(entry).collect::<Vec<_>>()})
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Conflict => {
                let detail = format!("Too much is waiting to be written. {REPEAT}");
                Self::new(Code::Overloaded, detail).retry_after(RETRY_SOON).caused_by(error)
            }
            StoreError::Disk(_) => {
                let detail = format!("The gateway cannot write to its database at present. {REPEAT}");
                Self::new(Code::Overloaded, detail).retry_after(DISK_BACK).caused_by(error)
            }
            StoreError::Taken(Unique::IdempotencyKey | Unique::OrderReference | Unique::ProfileSession) => {
                CommandError::from(error).into()
            }
            StoreError::Taken(Unique::Notification | Unique::ProfileReference)
            | StoreError::Failed(_)
            | StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

/// An error's text as a sentence.
fn sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first: String = letters.next().map(char::to_uppercase).into_iter().flatten().collect();
    format!("{first}{}.", letters.as_str())
}
