//! paymux: a payment gateway that a merchant integrates once.
//!
//! Rooms, from the ground up; each may use only those below it (`tests/tidy.rs` holds the exact table): `domain`,
//! `config`, `metrics`, `bucket` and `crash`; then `store`, `routing` and `outbound`; then `engine`, on which everything changes;
//! then `payments` and `webhooks`; then `orders`, `inbox` and `audit`; then `jobs`; then `http`; and `app`, which wires
//! them.
pub mod app;
pub mod audit;
pub mod bucket;
pub mod config;
pub mod crash;
pub mod domain;
pub mod engine;
pub mod http;
pub mod inbox;
pub mod jobs;
pub mod metrics;
pub mod orders;
pub mod outbound;
pub mod payments;
pub mod routing;
pub mod store;
pub mod webhooks;
