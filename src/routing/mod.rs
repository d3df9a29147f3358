//! Which account gets a checkout: [`decide()`], a pure function of the request, the rules, what each account can take,
//! and a random number. It does no I/O, reads no clock and draws no number of its own, so a decision can be explained and
//! repeated. [`Rules`] are read from `routing.toml`, whose annotated example lists what a rule may have.
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

pub use decide::{AccountFacts, PINNED, Request, RouteDecision, RouteError, RuledOut, decide};
pub use rules::{Conditions, Rule, Rules, Share};
