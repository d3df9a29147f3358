//! The HTTP API: reads requests strictly, calls one use case each, and renders the result. It has no business rules.
//!
//! Start at `routes`, the table of all routes. Every request goes through `serve`, which gives it an id and a span,
//! authenticates it, reads its body, and renders every error as a [`problem::Problem`]. A handler of the API gets an
//! [`ApiRequest`] and returns an `Answer`; a page without an API key gets a [`RawRequest`] and returns a response.

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
mod phone;
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
mod unicode;

pub use input::schema;
pub use request::{ApiRequest, RawRequest};
pub use routes::{Route, api_routes, configure};
pub use server::{Server, listen, serve};
pub use state::{Common, State};
