//! The HTTP client for all outgoing calls. For each failure it says whether the request may have been sent.
//!
//! [`Outbound`] carries calls to providers ([`port::Transport`]) and events to merchants. It does not retry, does not
//! follow redirects, keeps no cookies and no proxies, and reads no more of an answer than its limit. Private addresses
//! are refused when the connection is made ([`guard`]), after the name was looked up, so that no name can resolve to an
//! internal address. Addresses, headers and bodies never appear in an error.
//!
//! # Why no request is sent twice
//!
//! reqwest 0.13 repeats a request that an HTTP/2 server has refused; that is switched off (`retry::never`), and only
//! HTTP/1.1 is spoken. Below it, hyper-util puts a request on another connection if the pooled one turns out to be
//! closed *before the connection has taken the request from its queue*: not one byte of it was written then. A request
//! that was taken is never repeated, and its failure is [`Lost`](port::TransportError::Lost). To make that rare, idle
//! connections are closed sooner than servers usually close them.

mod client;
mod guard;
#[cfg(test)]
mod tests;
pub mod trace;

pub use client::{Options, Outbound, OutboundError};
