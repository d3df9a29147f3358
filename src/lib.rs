//! paymux: a payment gateway that a merchant integrates once.
//!
//! Rooms, from the ground up; each may use only those below it (`tests/tidy.rs` holds the exact table):
//! `domain`, `config`, `metrics` and `crash` at the bottom; then `routing`, `store` and `outbound`; then
//! `payments` and `webhooks`; then `orders` and `reconcile`; then `http`; and `app`, which wires them.
pub mod app;
pub mod config;
pub mod crash;
pub mod domain;
pub mod http;
pub mod metrics;
pub mod orders;
pub mod outbound;
pub mod payments;
pub mod reconcile;
pub mod routing;
pub mod store;
pub mod webhooks;
