//! The routing decision.

use std::collections::BTreeMap;

use port::{Approach, CaptureMode, Money, PaymentRequest};

use super::rules::{Rule, Rules, Share};

/// A checkout to be routed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub merchant: &'a str,
    pub money: Money,
    /// The customer's, see [`Request::country_of`].
    pub country: Option<&'a str>,
    pub approach: Approach,
    pub capture: CaptureMode,
    pub metadata: &'a BTreeMap<String, String>,
    /// The account that the checkout names.
    pub pin: Option<&'a str>,
    /// The account of the payment profile that is used; no other can charge it.
    pub stored_at: Option<&'a str>,
}

impl Request<'_> {
    /// The country that rules compare: that of the billing address, else that of the shipping address.
    pub fn country_of(request: &PaymentRequest) -> Option<&str> {
        [&request.billing_address, &request.shipping_address]
            .into_iter()
            .flatten()
            .find_map(|address| address.country.as_deref())
    }
}

/// What routing knows of a configured account.
#[derive(Clone, Debug)]
pub struct AccountFacts<'a> {
    pub account: &'a str,
    /// Why it cannot take this checkout, from [`Capabilities`](port::Capabilities::ineligible_because).
    pub ineligible_because: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteDecision {
    /// The rule that fitted; [`PINNED`] or [`STORED`] where no rule was needed.
    pub rule: String,
    /// Why the first candidate is the first.
    pub reason: String,
    /// The accounts to try, in this order. Never empty, no account twice.
    pub candidates: Vec<String>,
    pub ruled_out: Vec<RuledOut>,
}

/// Shown as the rule where the checkout names its account. No rule has this name.
pub const PINNED: &str = "pinned";

/// Shown as the rule where a payment profile decides. No rule has this name.
pub(super) const STORED: &str = "stored-method";

/// What is routed where nothing else is said.
const CHECKOUT: &str = "checkout";

/// An account that will not be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuledOut {
    pub account: String,
    /// Each reason, in terms that a merchant understands.
    pub why: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("no account can take this {of}")]
    NoRoute {
        /// What was to be routed, such as `checkout`.
        of: &'static str,
        ruled_out: Vec<RuledOut>,
    },
    #[error("the routing does not allow a request to name its account")]
    PinsNotAllowed,
    #[error("there is no account `{0}`")]
    UnknownAccount(String),
}

impl RouteError {
    /// The same for what is no checkout.
    #[must_use]
    pub fn about(self, of: &'static str) -> Self {
        match self {
            Self::NoRoute { ruled_out, .. } => Self::NoRoute { of, ruled_out },
            other => other,
        }
    }
}

/// Decides which accounts to try for `request`, in which order. `facts` has every configured account once; `draw` is
/// uniformly random and decides between accounts that share a rule. The same arguments give the same decision.
///
/// Only the first rule that fits counts: if none of its accounts can take the checkout, there is no route. A payment
/// profile overrides rules and pins, a pin overrides rules.
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
    let belongs = |account: &str| format!("the payment profile belongs to {account}");
    match (request.stored_at, request.pin) {
        (Some(account), Some(pin)) if pin != account => rank("", &[], &belongs(account), facts, belongs),
        (Some(account), _) => rank(STORED, &[account], &belongs(account), facts, belongs),
        (None, Some(account)) => {
            let pinned = format!("the checkout is pinned to {account}");
            rank(PINNED, &[account], &pinned, facts, |first| format!("the checkout names {first}"))
        }
        (None, None) => match rules.first_match(request) {
            Some(rule) => {
                let other = format!("rule `{}` does not name it", rule.name);
                rank(&rule.name, &in_order(rule, facts, draw), &other, facts, |first| reason(rule, first))
            }
            None => rank("", &[], "no rule fits this checkout", facts, str::to_owned),
        },
    }
}

/// The rule's eligible accounts in random order, then its fallback, then the rest.
fn in_order<'a>(rule: &'a Rule, facts: &[AccountFacts<'_>], draw: u64) -> Vec<&'a str> {
    let eligible =
        |share: &&Share| facts.iter().any(|facts| facts.account == share.account && facts.eligible());
    let mut order = shuffled(rule.accounts.iter().filter(eligible).collect(), draw);
    let rest = rule.accounts.iter().map(|share| share.account.as_str());
    for account in rule.fallback.iter().map(String::as_str).chain(rest) {
        if !order.contains(&account) {
            order.push(account);
        }
    }
    order
}

/// Rules out the accounts that are not eligible, and those not `named`, which are ruled out because of `other`.
fn rank(
    rule: &str,
    named: &[&str],
    other: &str,
    facts: &[AccountFacts<'_>],
    reason: impl Fn(&str) -> String,
) -> Result<RouteDecision, RouteError> {
    let known = |account: &&str| facts.iter().find(|facts| facts.account == *account);
    let eligible = named.iter().filter_map(known).filter(|facts| facts.eligible());
    let candidates: Vec<_> = eligible.map(|facts| facts.account.to_owned()).collect();
    let others = facts.iter().filter(|facts| !candidates.iter().any(|name| name == facts.account));
    // Only a payment profile can name an account that is not there: rules and pins are checked.
    let gone = named.iter().filter(|account| known(account).is_none());
    let gone = gone.map(|account| RuledOut {
        account: (*account).to_owned(),
        why: vec!["it is not configured any more".to_owned()],
    });
    let ruled_out = others
        .map(|facts| RuledOut {
            account: facts.account.to_owned(),
            why: match named.contains(&facts.account) {
                true => facts.ineligible_because.clone(),
                false => vec![other.to_owned()],
            },
        })
        .chain(gone)
        .collect();
    match candidates.first() {
        Some(first) => {
            Ok(RouteDecision { rule: rule.to_owned(), reason: reason(first), candidates, ruled_out })
        }
        None => Err(RouteError::NoRoute { of: CHECKOUT, ruled_out }),
    }
}

/// Why an account is a rule's first.
fn reason(rule: &Rule, first: &str) -> String {
    let (name, shares) = (&rule.name, &rule.accounts);
    let total: u32 = shares.iter().map(|share| share.weight).sum();
    match shares.iter().find(|share| share.account == first) {
        Some(_) if shares.len() == 1 => format!("rule `{name}` names {first}"),
        Some(share) => format!("rule `{name}` drew {first}, which has {} of {total} parts", share.weight),
        None => format!("rule `{name}` falls back to {first}: none of its accounts can take the checkout"),
    }
}

impl AccountFacts<'_> {
    fn eligible(&self) -> bool {
        self.ineligible_because.is_empty()
    }
}

/// Draws the shares one after the other, each by its part of what is left. One number is enough for all: a draw uses the
/// remainder of dividing by the sum of weights, and the next draw the quotient.
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
