//! The interface between adapters and the gateway.
//!
//! An adapter is written against this crate alone: it describes itself ([`About`]), implements [`Provider`], and
//! reports what its provider said as a [`ProviderView`]. The crate does no I/O and reads no clock; everything an
//! operation may use is given to it in [`Ctx`].
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
mod field;
mod hidden;
mod id;
mod json;
mod money;
mod provider;
mod read;
pub mod sign;
mod status;
mod time;
mod vault;

pub use about::{
    About, AdapterSettings, AmountLimits, CancelSupport, Capabilities, CaptureSupport, Captures, Currencies,
    Lookup, NotificationAuth, RefundSupport, Repeat, Repeats, Setting, SettingsError, VaultSupport,
};
pub use call::{HeaderValue, HttpRequest, HttpResponse, Method, Transport, TransportError, encoded};
pub use checkout::{
    AdapterState, Address, Approach, Attempt, CaptureMode, Customer, LineItem, LinkDelivery, PaymentMethod,
    PaymentMethodType, PaymentRequest, RedirectUrls, RefundRequest,
};
pub use ctx::{Complaint, Ctx, StateStore, StateStoreError};
pub use error::{Advice, ProviderError};
pub use field::{AddressPart, Field};
pub use id::{
    AttemptId, AttentionId, EndpointId, EventId, ItemId, NotificationId, OrderId, PaymentId, ProfileId,
    ProfileSessionId, RefundId, SessionId,
};
pub use json::JsonObject;
pub use money::{Currency, Decimal, Money, MoneyError};
pub use provider::{
    CreatedPayment, Failure, Next, Notification, NotificationError, NotificationTarget, Provider,
    ProviderView, Result,
};
pub use read::{Fields, Flag, Given, Moment, Side, Text};
pub use secrecy::{ExposeSecret, SecretString as Secret};
pub use status::{
    Detail, DisputeStage, Evidence, Observation, PaymentStatus, ProfileStatus, ProviderOrderStatus,
    ProviderStatus, Row, StatusMapping, StatusTable, TableError, translate,
};
pub use time::{BadTimestamp, Env, Timestamp};
pub use uuid::Uuid;
pub use vault::{CreatedProfileSession, StoreAttempt, StoreRequest, StoredProfile, Vault, VaultView};
