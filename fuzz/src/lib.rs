//! What must hold whatever bytes come in: one function for each door, which panics if it does not.
//!
//! The fuzzer calls these with bytes of its own making, and `tests/hostile_input` with the corpus and mutations of
//! it; this is the only place where the properties stand. Nothing here opens a socket or waits.

mod config;
mod gateway;
mod ids;
mod message;
mod notifications;
mod replies;
mod requests;

pub use config::config;
pub use ids::ids;
pub use notifications::notifications;
pub use replies::replies;
pub use requests::requests;
