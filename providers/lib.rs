//! One folder for each payment provider.
//!
//! Every adapter is written against `paymux-port` and nothing else: it cannot name the database, the web server
//! or an HTTP client. Adding one is a folder and two lines here: its `mod` and its entry in [`ALL`].
#![warn(
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod decta;
mod paymennt;
mod telness;

use paymux_port::About;

/// Every adapter of this build, by name.
pub const ALL: &[&About] = &[
    // A line each, so that one more is one line more.
    &decta::ABOUT,
    &paymennt::ABOUT,
    &telness::ABOUT,
];
