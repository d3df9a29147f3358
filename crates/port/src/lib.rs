//! The words that adapters and the gateway share.
//!
//! An adapter is written against this crate alone: it describes itself ([`About`]), implements [`Provider`], and
//! reports what its provider said as a [`Snapshot`]. The crate does no I/O and reads no clock; whatever an
//! operation may touch comes to it through [`Ctx`].
//!
//! Start at [`Provider`]; then [`ProviderError`], whose question is always "what may be done next?".
#![cfg_attr(
    not(test),
    warn(
        clippy::float_arithmetic,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )
)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail"))]

mod about;
mod call;
mod checkout;
mod ctx;
mod error;
mod id;
mod money;
mod provider;
pub mod sign;
mod time;
mod words;

pub use about::{
    About, Cancel, Capabilities, Capture, Captures, Currencies, Field, Limits, Lookup, Notices, Refund,
    Repeat, Repeats, Setting, Settings, SettingsError, Truth,
};
pub use call::{Call, HeaderValue, Method, Reply, Transport, TransportError, encoded};
pub use checkout::{
    Address, Approach, Attempt, BackUrls, CaptureMode, Checkout, Customer, Line, Notify, RefundAsk, Theirs,
};
pub use ctx::{Complaint, Ctx, KeepError, Keeper};
pub use error::{Advice, ProviderError};
pub use id::{
    AttemptId, AttentionId, EndpointId, EventId, ItemId, NoteId, OrderId, PaymentId, ProfileId,
    ProfileSessionId, RefundId, SessionId,
};
pub use money::{Currency, Decimal, Money, MoneyError};
pub use provider::{
    Begun, Failure, Hint, Next, Notification, NotificationError, Provider, Result, SavedSnapshot, Snapshot,
    StoredProfile, Vault,
};
pub use secrecy::{ExposeSecret, SecretString as Secret};
pub use time::{BadTimestamp, Source, Timestamp};
pub use uuid::Uuid;
pub use words::{
    Detail, DisputeStage, Observation, PaymentStatus, Proof, Row, Says, StatusTable, StatusWord, TableError,
    translate,
};
