//! Reads `routing.toml`.

use std::collections::BTreeSet;
use std::path::Path;

use port::{Currency, Decimal, Money};
use sha2::{Digest, Sha256};

use super::decide::{PINNED, STORED};
use super::rules::{Conditions, Rule, Rules, Share};
use crate::config::document::{Document, ListItem, Section};
use crate::config::{ConfigErrors, Kind, Setting, did_you_mean, is_name};

/// Rules are compared one after the other, and each is a metric label.
const MAX_RULES: usize = 200;

/// The conditions that a rule may have, with their help; a rule without any fits every checkout.
const CONDITIONS: [(&str, Kind, &str); 8] = [
    ("currency", Kind::List, "\"AED\", or a list: [\"AED\", \"SAR\"]"),
    ("country", Kind::List, "of the billing address, else of the shipping address: \"SE\", or a list"),
    ("min_amount", Kind::Text, "\"10.00 EUR\": this much or more, in this currency"),
    ("max_amount", Kind::Text, "\"500.00 EUR\": this much or less, in this currency"),
    ("approach", Kind::List, "\"HOSTED\", \"EMBEDDED\" or \"LINK\", or a list"),
    ("capture_mode", Kind::List, "\"AUTOMATIC\" or \"MANUAL\""),
    ("merchant", Kind::List, "the merchant's name, or a list"),
    ("metadata", Kind::Table, "{ channel = \"web\" }: every pair must be in the checkout's metadata"),
];

/// The other keys of a rule.
const OTHERS: [(&str, Kind, &str); 3] = [
    ("name", Kind::Text, "its own, shown with each checkout that it decides"),
    ("accounts", Kind::Table, "one of these; a list shares evenly, a table by weight (1 to 1000)"),
    ("fallback", Kind::List, "tried in this order if none of `accounts` can be reached"),
];

impl Rules {
    pub fn described() -> Vec<Setting> {
        let whether = "whether a checkout may name its account and so bypass the rules";
        let pins =
            Setting { key: "pins".to_owned(), kind: Kind::Flag, default: Some(false.into()), help: whether };
        let of_rule = CONDITIONS.into_iter().chain(OTHERS).map(|(key, kind, help)| Setting {
            key: format!("rules.*.{key}"),
            kind,
            default: None,
            help,
        });
        of_rule.chain([pins]).collect()
    }

    /// # Errors
    /// Every fault of the file.
    pub fn load(path: &Path, accounts: &[&str]) -> Result<Self, ConfigErrors> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|why| ConfigErrors::unreadable(&file, &why))?;
        Self::parse(&file, &text, accounts)
    }

    /// `accounts` are the configured accounts.
    pub fn parse(file: &str, text: &str, accounts: &[&str]) -> Result<Self, ConfigErrors> {
        let document = Document::parse(file, text)?;
        let root = document.root();
        root.only(&["pins", "rules"]);
        let pins = root.flag("pins").unwrap_or(false);
        let sections = root.list("rules");
        match sections.len() {
            0 => root.fault("has no rule"),
            many if many > MAX_RULES => root.fault(&format!("has more than {MAX_RULES} rules")),
            _ => {}
        }
        let mut rules: Vec<Rule> = Vec::new();
        let mut fits_all = None;
        for section in &sections {
            let Some(rule) = read_rule(section, accounts) else { continue };
            if let Some(before) = &fits_all {
                section.fault(&format!("is never reached: rule `{before}` fits every checkout"));
            }
            if rules.iter().any(|before| before.name == rule.name) {
                section.fault_at("name", "is the name of another rule");
            }
            if !CONDITIONS.iter().any(|(key, ..)| section.has(key)) {
                fits_all.get_or_insert_with(|| rule.name.clone());
            }
            rules.push(rule);
        }
        drop(sections);
        drop(root);
        document.finish(Self { hash: hex::encode(Sha256::digest(text)), pins, rules })
    }
}

fn read_rule(section: &Section<'_>, accounts: &[&str]) -> Option<Rule> {
    let known = CONDITIONS.iter().chain(&OTHERS).map(|(key, ..)| *key);
    section.only(&known.collect::<Vec<_>>());
    let name = section.need_text("name")?;
    if !is_name(name) {
        section.fault_at("name", "must have small letters, digits, `-` and `_`, 40 at most");
    }
    if [PINNED, STORED].contains(&name) {
        section.fault_at("name", "is the name for checkouts that no rule decides");
    }
    Some(Rule {
        name: name.to_owned(),
        when: conditions(section),
        accounts: shares(section, accounts),
        fallback: fallback(section, accounts),
    })
}

fn conditions(section: &Section<'_>) -> Conditions {
    let texts = |key| section.items(key).unwrap_or_default();
    let country = texts("country");
    for item in country.iter().filter(|item| !is_country(item.text)) {
        section.fault_of("country", *item, "must be an ISO 3166 code of two capital letters");
    }
    let (min_amount, max_amount) = (amount(section, "min_amount"), amount(section, "max_amount"));
    if let (Some(min), Some(max)) = (min_amount, max_amount)
        && (min.currency != max.currency || min.minor > max.minor)
    {
        section.fault_at("max_amount", "must be in the currency of `min_amount`, and not less");
    }
    Conditions {
        currency: section.items_as("currency"),
        country: owned(country),
        min_amount,
        max_amount,
        approach: section.items_as("approach"),
        capture_mode: section.items_as("capture_mode"),
        merchant: owned(texts("merchant")),
        metadata: section.section("metadata").map(|pairs| pairs.texts()).unwrap_or_default(),
    }
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// An amount such as `10.00 EUR`.
fn amount(section: &Section<'_>, key: &str) -> Option<Money> {
    let text = section.text(key)?;
    let read = text.split_once(' ').and_then(|(number, code)| {
        let currency: Currency = code.parse().ok()?;
        Money::from_major(number.parse::<Decimal>().ok()?, currency).ok()
    });
    if read.is_none() {
        section.fault_at(key, "must be an amount and its currency, such as \"10.00 EUR\"");
    }
    read
}

fn shares(section: &Section<'_>, known: &[&str]) -> Vec<Share> {
    if !section.has("accounts") {
        section.fault("`accounts` is missing");
    }
    let mut seen = BTreeSet::new();
    let mut shares = Vec::new();
    for (item, weight) in section.weights("accounts", 1..=1_000) {
        check_account(section, "accounts", item, known);
        if !seen.insert(item.text) {
            section.fault_of("accounts", item, &format!("names `{}` twice", item.text));
        }
        shares.push(Share { account: item.text.to_owned(), weight });
    }
    shares
}

/// An account that is also among the rule's `accounts` is allowed, so that one name can be changed at a time.
fn fallback(section: &Section<'_>, known: &[&str]) -> Vec<String> {
    let items = section.items("fallback").unwrap_or_default();
    items.iter().for_each(|item| check_account(section, "fallback", *item, known));
    owned(items)
}

fn owned(items: Vec<ListItem<'_>>) -> Vec<String> {
    items.into_iter().map(|item| item.text.to_owned()).collect()
}

fn check_account(section: &Section<'_>, key: &str, account: ListItem<'_>, known: &[&str]) {
    let name = account.text;
    if !known.contains(&name) {
        let hint = did_you_mean(name, known.iter().copied());
        section.fault_of(key, account, &format!("there is no account `{name}`{hint}"));
    }
}
