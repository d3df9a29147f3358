//! The rules: what an order, its sessions and its payments are, and how they move.
//!
//! Pure: no I/O, no clock, no chance; the moment and new ids are arguments. A decision looks at an
//! [`OrderFile`] and returns [`Fact`]s or a [`Refusal`]; [`OrderFile::record`] turns facts into events and
//! applies them, and nothing else changes a file.
//!
//! Start at [`OrderFile`], then [`observe`](observe::observe): where every word of a provider ends up.
#![warn(
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod agenda;
pub mod cart;
mod event;
mod file;
pub mod finish;
pub mod observe;
pub mod open;
pub mod operate;
mod order;
mod payment;
mod price;
mod profile;
mod refusal;
pub mod resolve;
mod schedule;
mod sealed;
mod session;
mod standing;
pub mod submit;
#[cfg(test)]
mod tests;
pub mod view;

pub use agenda::{CALL_DEADLINE, DueKind, UNSUBMITTED_LIMIT, agenda, is_decidable, is_to_hand_over};
pub use event::{Actor, Cause, Content, Event, Fact, Hash, Ids, Notice, Record, Stamp};
pub use file::{Misfit, OrderFile};
pub use order::{
    ExternalPayment, Interval, Item, Metadata, Order, OrderState, Personal, Price, Proof, Rate, Recurring,
    Requirement, Requirements, Signature, UnknownWord,
};
pub use payment::{
    Attention, AttentionCode, Decision, Operation, OperationKind, Payment, Powers, Refund, RefundOrigin,
    RefundStatus, Resolution,
};
pub(crate) use port::{Approach, AttemptId};
pub use price::{AmountTooLarge, LinePrice, price, price_line, requirements};
pub use profile::{Owner, Profile, ProfileAsk, ProfileSession, ProfileStart, ProfileStatus};
pub use refusal::Refusal;
pub use schedule::{is_unsettled, next_read};
pub use sealed::{Sealed, Slot};
pub use session::{
    AttemptRecord, AttemptState, FailureCode, ReturnUrls, Routing, Session, SessionAsk, SessionFailure,
    SessionStatus, Tried,
};
pub use standing::{Calm, DisputeWord, Heard, Hold, OutOfBounds, Refunded, Standing, Terms};
pub(crate) use standing::{leaves_open, takes_nothing};
