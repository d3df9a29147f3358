//! The rules: what an order, its sessions and its payments are, and how they move.
//!
//! Pure: no I/O, no clock, no chance; the moment and new ids are arguments. A decision looks at an
//! [`OrderAggregate`] and returns [`Event`]s or a [`DomainError`]; [`OrderAggregate::record`] turns facts into events and
//! applies them, and nothing else changes a file.
//!
//! Start at [`OrderAggregate`], then [`observe`](observe::observe): where every word of a provider ends up.
#![warn(
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod aggregate;
pub mod cart;
mod erasable;
mod error;
mod event;
pub mod finish;
mod jobs;
pub mod observe;
pub mod open;
pub mod operate;
mod order;
mod payment;
mod payment_state;
mod price;
mod profile;
pub mod resolve;
mod schedule;
mod session;
pub mod submit;
#[cfg(test)]
mod tests;
pub mod view;

pub use aggregate::{OrderAggregate, ReplayError};
pub use erasable::{Erasable, ErasableSlot};
pub use error::DomainError;
pub use event::{Actor, Cause, Content, Event, EventMeta, Hash, Ids, PublicEvent, Record, RecordedEvent};
pub use jobs::{CALL_DEADLINE, JobKind, UNSUBMITTED_LIMIT, is_decidable, jobs, needs_provider_order};
pub use order::{
    ExternalPayment, Interval, LineItem, Metadata, OrderHeader, OrderState, PaymentSource, PersonalData,
    Price, Recurring, Requirement, Requirements, Signature, TaxRate, UnknownWord,
};
pub use payment::{
    Attention, AttentionCode, AttentionDecision, Operation, OperationKind, Payment, PaymentCapabilities,
    Refund, RefundOrigin, RefundStatus, Resolution,
};
pub use payment_state::{
    Authorization, DisputeClosed, DisputeReport, FoldTerms, OutOfBounds, PaymentState, Refunded,
    ReportedStatus,
};
pub(crate) use payment_state::{leaves_open, takes_nothing};
pub(crate) use port::{Approach, AttemptId};
pub use price::{AmountTooLarge, LinePrice, price, price_line, requirements};
pub use profile::{Owner, Profile, ProfileRequest, ProfileSession, ProfileStart, ProfileStatus};
pub use schedule::{is_open, next_read};
pub use session::{
    Attempt, AttemptState, FailureCode, ReturnUrls, RouteAttempt, Routing, Session, SessionFailure,
    SessionRequest, SessionStatus,
};
