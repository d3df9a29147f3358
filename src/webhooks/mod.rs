//! Telling merchants: what happens to their orders goes to their endpoints, signed, in order for each order, and
//! again until it is taken.
//!
//! What is owed is written by the change that caused it ([`Outbox`](crate::store::Outbox)), so an event and its
//! delivery exist together or not at all. [`Courier`] delivers: each order to each endpoint in a lane of its own, so
//! that one that fails holds up nothing but itself. [`Endpoints`] is what merchants do with their endpoints. The
//! room changes no order, and never says or logs a secret, an address's answer or a body.

mod courier;
mod decide;
mod deliver;
mod endpoints;
mod message;
mod secret;
mod types;

pub use courier::{Courier, Turn};
pub use deliver::{Means, QrUrl};
pub use endpoints::{Draft, Edit, EndpointError, Endpoints, Key, MOST_ENDPOINTS, MOST_REPLAYED};
pub use types::{ALL_TYPES, is_type};
