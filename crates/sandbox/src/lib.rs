//! The providers' own servers, imitated well enough that an adapter cannot tell.
//!
//! Three dialects (Telness Connect, paymennt, DECTA), each written from its wire reference and never from the
//! adapter, share one ledger, one set of hosted pages, one fault switchboard and one control API. At the heart is
//! a plain function, [`Sandbox::answer`]: it does no I/O (but for its journal) and reads no clock, so that
//! [`serve`] can put it on a socket and a simulation can call it without one.
//!
//! This crate knows money from `paymux-port` and nothing else of the gateway; it must never learn more.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail"))]

mod calls;
mod context;
mod control;
mod dialect;
mod doc;
mod exact;
mod faults;
mod http;
mod ids;
mod journal;
mod ledger;
mod listener;
mod notify;
mod object;
mod pages;
mod sandbox;

#[cfg(test)]
mod tests;

pub use http::{Answer, Outgoing, Request, Response};
pub use journal::JournalError;
pub use listener::{Options, Running, ServeError, serve};
pub use sandbox::Sandbox;
