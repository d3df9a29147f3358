//! paymux: a payment gateway that a merchant integrates once.
//!
//! The modules, from the lowest layer up; each may use only those below it (the table `LAYERS` in `tests/tidy.rs` is
//! the exact list): `domain`, `config`, `metrics`, `bucket`, `crash` and `loops`; then `store`, `routing` and
//! `outbound`; then `engine`, the only path of a change; then `payments` and `webhooks`; then `orders`, `inbox` and
//! `audit`; then `jobs`; then `http`; and `app`, which wires them.
#![warn(clippy::print_stdout, clippy::print_stderr)]
#![allow(
    missing_docs,
    reason = "inside one program a name with its type often says it all; the port, which adapters are written against, is \
              documented in full"
)]
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
pub mod loops;
pub mod metrics;
pub mod orders;
pub mod outbound;
pub mod payments;
pub mod routing;
pub mod store;

pub mod webhooks;
