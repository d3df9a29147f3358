//! The business rules: orders, sessions, payments, payment profiles and endpoints, and how they change.
//!
//! Pure: no I/O, no clock, no randomness; the time and new ids are arguments. A decision takes a [`Subject`], such as
//! an [`OrderAggregate`], and returns its events or a [`DomainError`]; [`record`] makes a change of them and applies
//! it, and nothing else changes a subject.
//!
//! Start at [`OrderAggregate`], then [`observe`](observe::observe()): the only function that changes a payment from a
//! provider's report.
#![warn(
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

/// Implements `as_str` for enums that `strum` turns into the text of the API, of records and of metric labels.
macro_rules! as_str {
    ($($name:ty),*) => {
        $(impl $name {
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        })*
    };
}
as_str!(
    OrderState,
    SessionStatus,
    StartFailure,
    OperationKind,
    RefundStatus,
    AttentionCode,
    AttentionDecision
);

mod aggregate;
mod apply;
pub mod attention;
pub mod cart;
mod context;
mod endpoint;
mod erasable;
mod error;
mod event;
pub mod finish;
mod hash;
mod ids;
mod jobs;
mod lookup;
pub mod observe;
pub mod operate;
mod order;
mod outcome;
mod payment;
mod payment_proof;
mod payment_state;
mod price;
mod profile;
mod profile_session;
pub mod resolve;
mod schedule;
mod session;
pub mod session_end;
pub mod session_start;
pub mod stored;
mod subject;
pub mod submit;
#[cfg(test)]
mod tests;
pub mod view;

pub use aggregate::OrderAggregate;
pub use context::Context;
pub use endpoint::*;
pub use erasable::*;
pub use error::DomainError;
pub use event::{Actor, Cause, Event};
pub use hash::Hash;
pub use ids::*;
pub use jobs::*;
pub use lookup::*;
pub use order::{
    Content, ExternalPayment, Interval, InvalidTaxRate, LineItem, Metadata, OrderHeader, OrderState,
    PaymentProof, PersonalData, Price, Recurring, Requirement, Requirements, Signature, TaxRate,
};
pub use outcome::*;
pub use payment::{
    Attention, AttentionCode, AttentionDecision, Operation, OperationKind, Payment, PaymentCapabilities,
    Refund, RefundOrigin, RefundStatus, Resolution,
};
pub use payment_state::{
    Authorization, DisputeClosed, DisputeReport, FoldTerms, OutOfBounds, PaymentState, Refunded,
    ReportedStatus,
};
pub(crate) use payment_state::{leaves_open, leaves_unpaid};
pub use price::{LinePrice, price, price_line, requirements};
pub use profile::*;
pub use profile_session::*;
pub use schedule::{is_open, next_read};
pub use session::{
    Attempt, AttemptState, FailureCode, NewAttempt, ReturnUrls, RouteAttempt, Routing, Session,
    SessionFailure, SessionRequest, SessionStatus, StartFailure,
};
pub use subject::*;
