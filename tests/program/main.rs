//! The real program: started, used over its sockets, killed at a random moment, started again.
//!
//! The sandbox runs as a process of its own, since a provider does not die with the gateway; its ledger is the
//! independent witness of what really happened to the money.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "a test")]

mod admin;
mod agreement;
mod amounts;
mod charge;
mod check;
mod crash;
mod demo;
mod disputes;
mod forged;
mod holds;
mod hostile;
mod keys;
mod mixed;
mod operating;
mod paid;
mod profiles;
mod provider_order;
mod races;
mod readme;
mod records;
mod routing;
mod running;
mod sale;
mod secrecy;
mod shop;
mod together;
mod webhooks;
mod wire;
