//! The rules, and whether one fits.

use std::collections::BTreeMap;

use port::{Approach, CaptureMode, Currency, Money};
use serde::Serialize;

use super::decide::Request;

/// The routing rules, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// SHA-256 of the file's text in hexadecimal.
    pub hash: String,
    /// Whether a checkout may name its account.
    pub pins: bool,
    /// In the order in which they are compared; names are unique.
    pub rules: Vec<Rule>,
}

impl Rules {
    /// The first rule that fits the request.
    pub fn first_match(&self, request: &Request<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.when.unmet_condition(request).is_none())
    }

    /// Every account that the merchant's rules name, once each, in the order of the rules: for sessions without an amount,
    /// which no rule can decide.
    pub fn accounts_for(&self, merchant: &str) -> Vec<&str> {
        let applies = |rule: &&Rule| {
            let merchants = &rule.when.merchant;
            merchants.is_empty() || merchants.iter().any(|name| name == merchant)
        };
        let mut accounts = Vec::new();
        for rule in self.rules.iter().filter(applies) {
            let shares = rule.accounts.iter().map(|share| share.account.as_str());
            for account in shares.chain(rule.fallback.iter().map(String::as_str)) {
                if !accounts.contains(&account) {
                    accounts.push(account);
                }
            }
        }
        accounts
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Also a metric label.
    pub name: String,
    #[serde(flatten)]
    pub when: Conditions,
    /// Never empty.
    pub accounts: Vec<Share>,
    /// Tried after all of these, in this order.
    pub fallback: Vec<String>,
}

/// An account's part of a rule's checkouts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    pub account: String,
    /// In proportion to the others', 1 to 1000.
    pub weight: u32,
}

/// What a checkout must meet for a rule to fit. An empty list is met by all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub currency: Vec<Currency>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub country: Vec<String>,
    /// Also a condition on the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_amount: Option<Money>,
    /// Also a condition on the currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_amount: Option<Money>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approach: Vec<Approach>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capture_mode: Vec<CaptureMode>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merchant: Vec<String>,
    /// The checkout's metadata have each of these pairs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Conditions {
    /// The name of the first condition that the request does not meet; `None` if the rule fits.
    pub fn unmet_condition(&self, request: &Request<'_>) -> Option<&'static str> {
        let money = request.money;
        let country_fits = |country: &String| request.country == Some(country.as_str());
        let enough = |least: Money| least.currency == money.currency && money.minor >= least.minor;
        let little = |most: Money| most.currency == money.currency && money.minor <= most.minor;
        let pair_fits = |(key, value): (&String, &String)| request.metadata.get(key) == Some(value);
        let checks = [
            ("currency", self.currency.is_empty() || self.currency.contains(&money.currency)),
            ("country", self.country.is_empty() || self.country.iter().any(country_fits)),
            ("minAmount", self.min_amount.is_none_or(enough)),
            ("maxAmount", self.max_amount.is_none_or(little)),
            ("approach", self.approach.is_empty() || self.approach.contains(&request.approach)),
            ("captureMode", self.capture_mode.is_empty() || self.capture_mode.contains(&request.capture)),
            (
                "merchant",
                self.merchant.is_empty() || self.merchant.iter().any(|name| name == request.merchant),
            ),
            ("metadata", self.metadata.iter().all(pair_fits)),
        ];
        checks.into_iter().find(|(_, fits)| !fits).map(|(name, _)| name)
    }
}
