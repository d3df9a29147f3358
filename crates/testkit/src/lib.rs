//! Tests adapters: recordings of their providers' answers, a world in which every run is the same, and the
//! [`contract`] that all of them must keep.
//!
//! Nothing here opens a socket or reads a clock. `README.md` beside this crate describes the recordings.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail"))]

pub mod contract;
mod facts;
mod play;
mod recording;
pub mod scaffold;
mod world;

pub use facts::facts;
pub use paymux_providers::ALL;
pub use play::{Played, World, at_once};
pub use recording::{Evidence, Operation, Recording, RecordingError, RecordingOptions, Step, load};
pub use world::{
    Answer, FixedSource, Memory, Script, attempt, checkout, euros, generated_order, setting_value, settings,
};
