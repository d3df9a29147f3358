//! What the rules are, and whether one fits.

use std::collections::BTreeMap;

use port::{Approach, CaptureMode, Currency, Money};
use serde::Serialize;

use super::decide::Request;

/// The active routing: made by [`Rules::parse`], shown by the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    /// SHA-256 of the file's text in hexadecimal.
    pub hash: String,
    /// Whether a checkout may name its account.
    pub pins: bool,
    /// In the order in which they are tried; names are unique.
    pub rules: Vec<Rule>,
}

impl Rules {
    /// The first rule that fits the request.
    pub fn first_match(&self, request: &Request<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.when.unmet_condition(request).is_none())
    }

    /// Every account that a rule of the merchant's names, once each, in the order of the rules: for what has no
    /// amount, which no rule can decide.
    pub fn accounts_for(&self, merchant: &str) -> Vec<&str> {
        let theirs = |rule: &&Rule| {
            let merchants = &rule.when.merchant;
            merchants.is_empty() || merchants.iter().any(|name| name == merchant)
        };
        let mut accounts = Vec::new();
        for rule in self.rules.iter().filter(theirs) {
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

/// One rule: when it fits, and where it sends the checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Its name, also a metric label.
    pub name: String,
    /// What must fit.
    #[serde(flatten)]
    pub when: Conditions,
    /// Who shares its checkouts; never empty.
    pub accounts: Vec<Share>,
    /// Who is tried after all of these, in this order.
    pub fallback: Vec<String>,
}

/// An account's part of a rule's checkouts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The account.
    pub account: String,
    /// Its part, in proportion to the others', 1 to 1000.
    pub weight: u32,
}

/// What a rule asks of a checkout. An empty list asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    /// The amount's currency is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub currency: Vec<Currency>,
    /// The country is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub country: Vec<String>,
    /// The amount is in this currency and not less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_amount: Option<Money>,
    /// The amount is in this currency and not more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_amount: Option<Money>,
    /// The approach is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approach: Vec<Approach>,
    /// The capture mode is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capture_mode: Vec<CaptureMode>,
    /// The merchant is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merchant: Vec<String>,
    /// The metadata hold each of these pairs.
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
