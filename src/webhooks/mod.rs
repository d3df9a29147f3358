//! Webhooks: events of orders go to the merchant's endpoints, signed, in sequence for each order, and again until the
//! endpoint accepts them.
//!
//! The change that causes a delivery also writes it ([`EndpointRegistry`](crate::store::EndpointRegistry)), so an event
//! and its delivery exist together or not at all. [`WebhookDispatcher`] sends the events of each order to each endpoint
//! in a stream of its own, so that a failing one delays only itself. [`Endpoints`] manages a merchant's endpoints. The
//! module changes no order, and never shows or logs a secret, an endpoint's answer or a body.

mod decide;
mod deliver;
mod endpoints;
mod message;
mod secret;
mod types;

pub use deliver::{QrUrl, WebhookDispatcher};
pub use endpoints::{EndpointCommand, EndpointFields, Endpoints, MAX_ENDPOINTS, MAX_REPLAYED};
pub use types::{ALL_TYPES, is_type};
