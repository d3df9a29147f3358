//! Which account gets a checkout: [`decide()`], a pure function of the request, the rules, what is known of the accounts,
//! and a random number. It calls nobody, reads no clock and draws no random number of its own, so a decision can be
//! shown, explained and repeated.
//!
//! Start at [`decide()`]; [`Rules`] are read from `routing.toml`, whose annotated example says what a rule may name.
#![cfg_attr(
    not(test),
    warn(
        clippy::float_arithmetic,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )
)]

mod decide;
mod parse;
mod rules;
#[cfg(test)]
mod tests;

pub use decide::{AccountFacts, Request, RouteDecision, RouteError, RuledOut, decide};
pub use rules::{Conditions, Rule, Rules, Share};
