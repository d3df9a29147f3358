//! Tests of whole modules through their public interface, in one binary.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test fails by panicking and exports nothing")]

mod api;
mod crash;
mod store;
mod webhooks;
