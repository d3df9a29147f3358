//! The decision.

use std::collections::BTreeMap;

use port::{Approach, CaptureMode, Money, PaymentRequest};
use serde::Serialize;

use super::rules::{Rule, Rules, Share};

/// What is to be routed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Whose order it is.
    pub merchant: &'a str,
    /// How much.
    pub money: Money,
    /// Where the customer is, see [`Request::country_of`].
    pub country: Option<&'a str>,
    /// How the customer pays.
    pub approach: Approach,
    /// When the money is taken.
    pub capture: CaptureMode,
    /// The merchant's own pairs.
    pub metadata: &'a BTreeMap<String, String>,
    /// The account that the checkout names, if it names one.
    pub pin: Option<&'a str>,
    /// The account that a stored payment method belongs to, if one is used. No other can charge it.
    pub stored_at: Option<&'a str>,
}

impl Request<'_> {
    /// The country that rules look at: that of the billing address, else that of the shipping address.
    pub fn country_of(request: &PaymentRequest) -> Option<&str> {
        [&request.billing_address, &request.shipping_address]
            .into_iter()
            .flatten()
            .find_map(|address| address.country.as_deref())
    }
}

/// What is known of one configured account.
#[derive(Clone, Debug)]
pub struct AccountFacts<'a> {
    /// Its name.
    pub account: &'a str,
    /// Why it cannot take this checkout, from [`Capabilities`](port::Capabilities::ineligible_because).
    pub ineligible_because: Vec<String>,
}

/// Where the checkout goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteDecision {
    /// The rule that fitted; [`PINNED`] or [`STORED`] where no rule was asked.
    pub rule: String,
    /// Why the first candidate is the first.
    pub reason: String,
    /// The accounts to try, in this order. Never empty, no account twice.
    pub candidates: Vec<String>,
    /// Every other configured account, and why it is not among them.
    pub ruled_out: Vec<RuledOut>,
}

/// What stands for a rule when the checkout names its account. No rule has this name.
pub(super) const PINNED: &str = "pinned";

/// What stands for a rule when a stored payment method decides. No rule has this name.
pub(super) const STORED: &str = "stored-method";

/// An account that will not be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuledOut {
    /// Its name.
    pub account: String,
    /// Each reason, as a merchant understands it.
    pub why: Vec<String>,
}

/// Why there is nowhere to go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No account can take this checkout.
    #[error("no account can take this checkout")]
    NoRoute {
        /// Every configured account, and why it cannot.
        ruled_out: Vec<RuledOut>,
    },
    /// The checkout names an account, and the routing does not allow that.
    #[error("the routing does not allow a checkout to name its account")]
    PinsNotAllowed,
    /// The checkout names an account that is not configured.
    #[error("there is no account `{0}`")]
    UnknownAccount(String),
}

/// Decides which accounts to try for `request`, in which order. `facts` names every configured account once; `draw` is
/// uniformly random and decides between accounts that share a rule. The same arguments give the same decision.
///
/// Only the first rule that fits is asked: if none of its accounts can take the checkout, there is no route. A stored
/// payment method overrides rules and pins, a pin overrides rules.
///
/// # Errors
/// [`RouteError`], where there is nowhere to go.
pub fn decide(
    request: &Request<'_>,
    rules: &Rules,
    facts: &[AccountFacts<'_>],
    draw: u64,
) -> Result<RouteDecision, RouteError> {
    if request.pin.is_some() && !rules.pins {
        return Err(RouteError::PinsNotAllowed);
    }
    if let Some(account) = request.pin.filter(|pin| facts.iter().all(|facts| facts.account != *pin)) {
        return Err(RouteError::UnknownAccount(account.to_owned()));
    }
    let choice = match (request.stored_at, request.pin) {
        (Some(account), pin) if pin.is_none_or(|pin| pin == account) => Choice::only(STORED, account),
        (Some(account), _) => Choice::no_route(format!("the stored payment method belongs to {account}")),
        (None, Some(account)) => Choice::only(PINNED, account),
        (None, None) => match rules.first_match(request) {
            Some(rule) => Choice::by(rule, facts, draw),
            None => Choice::no_route("no rule fits this checkout".to_owned()),
        },
    };
    choice.rank(facts)
}

/// The accounts that are meant, in order, before anything is held against them.
struct Choice<'a> {
    rule: &'a str,
    order: Vec<&'a str>,
    /// What makes the first one the first.
    shares: &'a [Share],
    /// What is held against every other account.
    against_others: String,
}

impl<'a> Choice<'a> {
    fn only(rule: &'a str, account: &'a str) -> Self {
        let against_others = match rule {
            STORED => format!("the stored payment method belongs to {account}"),
            _ => format!("the checkout is pinned to {account}"),
        };
        Self { rule, order: vec![account], shares: &[], against_others }
    }

    fn no_route(why: String) -> Self {
        Self { rule: "", order: Vec::new(), shares: &[], against_others: why }
    }

    /// The rule's accounts by chance, those first that can be tried at all, then its fallback.
    fn by(rule: &'a Rule, facts: &[AccountFacts<'_>], draw: u64) -> Self {
        let can =
            |share: &&Share| facts.iter().any(|facts| facts.account == share.account && facts.eligible());
        let mut order = shuffled(rule.accounts.iter().filter(can).collect(), draw);
        let rest = rule.accounts.iter().map(|share| share.account.as_str());
        for account in rule.fallback.iter().map(String::as_str).chain(rest) {
            if !order.contains(&account) {
                order.push(account);
            }
        }
        let against_others = format!("rule `{}` does not name it", rule.name);
        Self { rule: &rule.name, order, shares: &rule.accounts, against_others }
    }

    /// Leaves out whom something is held against.
    fn rank(self, facts: &[AccountFacts<'_>]) -> Result<RouteDecision, RouteError> {
        let known = |account: &&str| facts.iter().find(|facts| facts.account == *account);
        let meant: Vec<_> = self.order.iter().filter_map(known).collect();
        let candidates: Vec<_> =
            meant.iter().filter(|facts| facts.eligible()).map(|facts| facts.account.to_owned()).collect();
        let others = facts.iter().filter(|facts| !candidates.iter().any(|name| name == facts.account));
        let ruled_out = others
            .map(|facts| {
                let named = self.order.contains(&facts.account);
                let why =
                    if named { facts.ineligible_because.clone() } else { vec![self.against_others.clone()] };
                RuledOut { account: facts.account.to_owned(), why }
            })
            .collect();
        let Some(first) = candidates.first() else {
            return Err(RouteError::NoRoute { ruled_out });
        };
        Ok(RouteDecision { rule: self.rule.to_owned(), reason: self.reason(first), candidates, ruled_out })
    }

    fn reason(&self, first: &str) -> String {
        let total: u32 = self.shares.iter().map(|share| share.weight).sum();
        match self.shares.iter().find(|share| share.account == first) {
            Some(_) if self.shares.len() == 1 => format!("rule `{}` names {first}", self.rule),
            Some(share) => {
                format!("rule `{}` drew {first}, which has {} of {total} parts", self.rule, share.weight)
            }
            None => match self.rule {
                PINNED => format!("the checkout names {first}"),
                STORED => format!("the stored payment method belongs to {first}"),
                rule => {
                    format!("rule `{rule}` falls back to {first}: none of its accounts can take the checkout")
                }
            },
        }
    }
}

impl AccountFacts<'_> {
    fn eligible(&self) -> bool {
        self.ineligible_because.is_empty()
    }
}

/// Draws the shares one after the other, each by its part of what is left. One number is enough for all: a draw uses up
/// the remainder of dividing by the sum of weights, and leaves the quotient to the next.
fn shuffled(mut shares: Vec<&Share>, mut draw: u64) -> Vec<&str> {
    let mut order = Vec::with_capacity(shares.len());
    while !shares.is_empty() {
        let total: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
        let total = total.max(1);
        let mut point = draw % total;
        draw /= total;
        let falls_here = |share: &&Share| {
            let weight = u64::from(share.weight);
            let here = point < weight;
            point = point.saturating_sub(weight);
            here
        };
        let drawn = shares.iter().position(falls_here).unwrap_or(0);
        order.push(shares.remove(drawn).account.as_str());
    }
    order
}
