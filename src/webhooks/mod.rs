//! Telling merchants: what happens to their orders goes to their endpoints, signed, in order for each order, and
//! again until it is taken.
//!
//! What is to be delivered is written by the change that caused it
//! ([`EndpointRegistry`](crate::store::EndpointRegistry)), so an event and its delivery exist together or not at all.
//! [`WebhookDispatcher`] delivers: each order to each endpoint in a stream of its own, so that one that fails holds up
//! nothing but itself. [`Endpoints`] is what merchants do with their endpoints. The
//! room changes no order, and never says or logs a secret, an address's answer or a body.

mod decide;
mod deliver;
mod endpoints;
mod message;
mod secret;
mod types;

pub use deliver::{QrUrl, WebhookDispatcher};
pub use endpoints::{EndpointCommand, EndpointFields, Endpoints, MAX_ENDPOINTS, MAX_REPLAYED};
pub use types::{ALL_TYPES, is_type};
