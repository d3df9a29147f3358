//! Bytes in, bytes out: the HTTP surface. It reads requests strictly, calls one use case each, and renders what
//! came of it; it has no rules of its own.
//!
//! Start at `routes`: the whole surface as one table. Every request goes through `serve`, which gives it an id
//! and a span, knows its caller, reads its body, and answers every fault as a [`problem::Problem`]. A handler of
//! the API gets an [`ApiRequest`] and answers an `Answer`; a page without an API key gets a [`RawRequest`] and answers
//! a response of its own.

mod answer;
mod auth;
mod body;
mod card;
mod connections;
mod handlers;
mod idempotency;
mod in_flight;
mod input;
mod notifications;
pub mod ops;
mod pages;
pub mod problem;
mod qr;
mod rate;
mod request;
mod returning;
mod routes;
mod serve;
mod server;
mod state;
mod stream;

pub use input::schema;
pub use request::{ApiRequest, RawRequest};
pub use routes::{Route, api_routes, configure};
pub use server::{Server, listen, serve};
pub use state::{Common, State};
