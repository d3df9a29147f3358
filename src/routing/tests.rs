use std::collections::BTreeMap;

use port::{
    Address, Approach, CaptureMode, Customer, LinkDelivery, Money, PaymentRequest, RedirectUrls, Timestamp,
};
use proptest::prelude::*;

use super::*;
use crate::config::DEMO_ROUTING;

const ACCOUNTS: [&str; 4] = ["decta", "paymennt", "telness", "spare"];

fn parse(text: &str) -> Rules {
    Rules::parse("routing.toml", text, &ACCOUNTS).unwrap()
}

fn faults(text: &str) -> Vec<String> {
    let faults = Rules::parse("routing.toml", text, &ACCOUNTS).unwrap_err();
    faults.0.iter().map(|fault| fault.to_string()).collect()
}

fn money(minor: i64, code: &str) -> Money {
    Money::new(minor, code.parse().unwrap())
}

fn request(metadata: &BTreeMap<String, String>) -> Request<'_> {
    Request {
        merchant: "shop",
        money: money(1999, "EUR"),
        country: Some("SE"),
        approach: Approach::Hosted,
        capture: CaptureMode::Automatic,
        metadata,
        pin: None,
        stored_at: None,
    }
}

/// All accounts, those of `objected` with an objection.
fn facts<'a>(objected: &[&str]) -> Vec<AccountFacts<'a>> {
    let one = |account: &'static str| AccountFacts {
        account,
        ineligible_because: objected
            .iter()
            .filter(|name| **name == account)
            .map(|_| "no LINK checkout".to_owned())
            .collect(),
    };
    ACCOUNTS.into_iter().map(one).collect()
}

fn out(ruled_out: &[RuledOut]) -> Vec<String> {
    ruled_out.iter().map(|one| format!("{}: {}", one.account, one.why.join(", "))).collect()
}

/// The candidates, or the kind of the error and why each account is ruled out.
fn outcome(request: &Request<'_>, rules: &Rules, facts: &[AccountFacts<'_>]) -> String {
    match decide(request, rules, facts, 0) {
        Ok(decision) => format!("{} > {}", decision.rule, decision.candidates.join(" ")),
        Err(RouteError::NoRoute { ruled_out, .. }) => format!("no route | {}", out(&ruled_out).join(" | ")),
        Err(other) => other.to_string(),
    }
}

#[test]
fn a_rule_fits_only_if_everything_it_names_fits() {
    let table = [
        ("", None),
        ("currency = \"EUR\"", None),
        ("currency = [\"AED\", \"USD\"]", Some("currency")),
        ("country = [\"NO\", \"SE\"]", None),
        ("country = \"NO\"", Some("country")),
        ("min_amount = \"19.99 EUR\"", None),
        ("min_amount = \"20.00 EUR\"", Some("minAmount")),
        ("max_amount = \"19.99 EUR\"", None),
        ("max_amount = \"19.98 EUR\"", Some("maxAmount")),
        ("min_amount = \"1.00 USD\"", Some("minAmount")),
        ("approach = \"HOSTED\"", None),
        ("approach = [\"LINK\", \"EMBEDDED\"]", Some("approach")),
        ("capture_mode = \"MANUAL\"", Some("captureMode")),
        ("merchant = \"shop\"", None),
        ("merchant = \"kiosk\"", Some("merchant")),
        ("metadata = { channel = \"web\" }", None),
        ("metadata = { channel = \"web\", till = \"2\" }", Some("metadata")),
        ("currency = \"EUR\"\ncountry = \"NO\"", Some("country")),
    ];
    let metadata = BTreeMap::from([("channel".to_owned(), "web".to_owned())]);
    for (conditions, misfit) in table {
        let rules = parse(&format!("[[rules]]\nname = \"one\"\naccounts = \"decta\"\n{conditions}"));
        assert_eq!(rules.rules[0].when.unmet_condition(&request(&metadata)), misfit, "{conditions}");
    }
}

#[test]
fn an_unknown_country_fits_no_rule_with_a_country() {
    let rules = parse("[[rules]]\nname = \"one\"\naccounts = \"decta\"\ncountry = \"SE\"");
    let metadata = BTreeMap::new();
    let nowhere = Request { country: None, ..request(&metadata) };
    assert_eq!(rules.rules[0].when.unmet_condition(&nowhere), Some("country"));
}

#[test]
fn the_country_is_that_of_the_bill_else_of_the_delivery() {
    let address =
        |code: Option<&str>| Some(Address { country: code.map(str::to_owned), ..Address::default() });
    let request = |billing_address, shipping_address| PaymentRequest {
        description: String::new(),
        reference: None,
        items: Vec::new(),
        subtotal: 0,
        discount: 0,
        tax: 0,
        shipping: 0,
        tax_included: false,
        customer: Customer::default(),
        billing_address,
        shipping_address,
        urls: RedirectUrls::default(),
        link_delivery: LinkDelivery::default(),
        language: None,
        expires_at: Timestamp::default(),
        payment_methods: Vec::new(),
        max_attempts: None,
        save_profile: false,
        profile: None,
    };
    let table = [
        (address(Some("SE")), address(Some("NO")), Some("SE")),
        (address(None), address(Some("NO")), Some("NO")),
        (None, address(Some("NO")), Some("NO")),
        (address(None), None, None),
    ];
    for (billing, shipping, expected) in table {
        assert_eq!(Request::country_of(&request(billing, shipping)), expected);
    }
}

#[test]
fn the_first_rule_that_fits_decides_and_no_later_one() {
    let rules = parse(
        "[[rules]]\nname = \"dollars\"\ncurrency = \"USD\"\naccounts = \"telness\"\n\
         [[rules]]\nname = \"small\"\nmax_amount = \"50 EUR\"\naccounts = \"decta\"\nfallback = [\"spare\"]\n\
         [[rules]]\nname = \"rest\"\naccounts = \"paymennt\"",
    );
    let metadata = BTreeMap::new();
    let request = request(&metadata);
    assert_eq!(outcome(&request, &rules, &facts(&[])), "small > decta spare");
    assert_eq!(outcome(&request, &rules, &facts(&["decta"])), "small > spare");
    assert_eq!(
        outcome(&request, &rules, &facts(&["decta", "spare"])),
        "no route | decta: no LINK checkout | paymennt: rule `small` does not name it | \
         telness: rule `small` does not name it | spare: no LINK checkout"
    );
    let francs = Request { money: money(1999, "CHF"), ..request };
    assert_eq!(outcome(&francs, &rules, &facts(&[])), "rest > paymennt");
}

#[test]
fn where_no_rule_fits_there_is_no_route() {
    let rules = parse("[[rules]]\nname = \"dollars\"\ncurrency = \"USD\"\naccounts = \"telness\"");
    let metadata = BTreeMap::new();
    let text = outcome(&request(&metadata), &rules, &facts(&["decta"]));
    assert!(text.starts_with("no route | decta: no rule fits this checkout | paymennt: no rule"), "{text}");
    let error = decide(&request(&metadata), &rules, &facts(&[]), 0).unwrap_err();
    assert_eq!(error.to_string(), "no account can take this checkout");
    assert_eq!(error.about("charge").to_string(), "no account can take this charge");
}

#[test]
fn pins_and_payment_profiles_pass_by_the_rules_but_not_by_what_an_account_can_do() {
    let text = "[[rules]]\nname = \"rest\"\naccounts = \"paymennt\"";
    let (closed, open) = (parse(text), parse(&format!("pins = true\n{text}")));
    let metadata = BTreeMap::new();
    let pin = |pin| Request { pin: Some(pin), ..request(&metadata) };
    let stored = |stored_at, pin| Request { stored_at: Some(stored_at), pin, ..request(&metadata) };
    let all = facts(&[]);
    assert_eq!(outcome(&pin("spare"), &open, &all), "pinned > spare");
    assert_eq!(outcome(&pin("spare"), &closed, &all), RouteError::PinsNotAllowed.to_string());
    assert_eq!(outcome(&pin("nobody"), &open, &all), "there is no account `nobody`");
    assert_eq!(outcome(&stored("spare", None), &closed, &all), "stored-method > spare");
    assert_eq!(outcome(&stored("spare", Some("spare")), &open, &all), "stored-method > spare");
    let apart = outcome(&stored("spare", Some("decta")), &open, &all);
    assert!(apart.starts_with("no route | decta: the payment profile belongs to spare"), "{apart}");
    let objected = outcome(&pin("spare"), &open, &facts(&["spare"]));
    assert!(objected.starts_with("no route | decta: the checkout is pinned to spare"), "{objected}");
    assert!(objected.ends_with("| spare: no LINK checkout"), "{objected}");
    let gone = outcome(&stored("gone", None), &open, &all);
    assert!(
        gone.starts_with("no route") && gone.ends_with("| gone: it is not configured any more"),
        "{gone}"
    );
}

#[test]
fn the_reason_explains_the_first_account() {
    let text = "pins = true\n[[rules]]\nname = \"rest\"\naccounts = { decta = 30, telness = 70 }\nfallback = \"spare\"\n";
    let rules = parse(text);
    let metadata = BTreeMap::new();
    let reason =
        |request: Request<'_>, facts: &[AccountFacts<'_>]| decide(&request, &rules, facts, 0).unwrap().reason;
    let plain = request(&metadata);
    assert_eq!(reason(plain, &facts(&[])), "rule `rest` drew decta, which has 30 of 100 parts");
    assert_eq!(
        reason(plain, &facts(&["decta", "telness"])),
        "rule `rest` falls back to spare: none of its accounts can take the checkout"
    );
    assert_eq!(reason(Request { pin: Some("spare"), ..plain }, &facts(&[])), "the checkout names spare");
    let one = parse("[[rules]]\nname = \"one\"\naccounts = \"decta\"");
    assert_eq!(decide(&plain, &one, &facts(&[]), 9).unwrap().reason, "rule `one` names decta");
}

#[test]
fn every_fault_of_the_rules_is_reported_at_once_with_its_line() {
    let text = "pin = true\n\
                [[rules]]\nname = \"one\"\ncurrency = [\"EUR\", \"eur\"]\ncountry = \"Sweden\"\naccounts = [\"dectra\"]\n\
                [[rules]]\naccounts = \"decta\"\n\
                [[rules]]\nname = \"one\"\nmin_amount = \"10 EUR\"\nmax_amount = \"5.005 EUR\"\n\
                [[rules]]\nname = \"all\"\napproach = \"HOSTD\"\naccounts = { decta = 0 }\nfallback = [\"nobody\"]\n\
                [[rules]]\nname = \"pinned\"\ncapture_mode = 5\nmetadata = { a = 1 }\naccounts = {}\n\
                [[rules]]\nname = \"rest\"\naccounts = [\"decta\", \"decta\"]\n\
                [[rules]]\nname = \"never\"\nmin_amount = \"10 EUR\"\nmax_amount = \"5 EUR\"\naccounts = \"decta\"\n";
    let expected = [
        ":1: pin: is not a known key; did you mean `pins`?",
        ":4: rules.one.currency: not an ISO 4217 currency code",
        ":5: rules.one.country: must be an ISO 3166 code",
        ":6: rules.one.accounts: there is no account `dectra`; did you mean `decta`?",
        ":7: rules[1]: `name` is missing",
        ":9: rules.one: `accounts` is missing",
        ":10: rules.one.name: is the name of another rule",
        ":12: rules.one.max_amount: must be an amount and its currency, such as \"10.00 EUR\"",
        ":15: rules.all.approach: unknown variant `HOSTD`, expected one of `HOSTED`, `EMBEDDED`, `LINK`",
        ":16: rules.all.accounts.decta: must be a whole number from 1 to 1000",
        ":17: rules.all.fallback: there is no account `nobody`",
        ":19: rules.pinned.name: is the name for checkouts that no rule decides",
        ":20: rules.pinned.capture_mode: must be text in quotes",
        ":21: rules.pinned.metadata.a: must be text in quotes",
        ":22: rules.pinned.accounts: must name at least one",
        ":25: rules.rest.accounts: names `decta` twice",
        ":29: rules.never.max_amount: must be in the currency of `min_amount`, and not less",
    ];
    let found = faults(text);
    for wanted in expected {
        assert!(found.iter().any(|fault| fault.contains(wanted)), "{wanted} is not in {found:#?}");
    }
    let never: Vec<_> = found.iter().filter(|fault| fault.contains("is never reached")).collect();
    assert_eq!(never, ["routing.toml:26: rules.never: is never reached: rule `rest` fits every checkout"]);
    assert_eq!(found.len(), expected.len() + never.len(), "{found:#?}");
}

#[test]
fn a_rule_behind_one_that_fits_everything_is_a_fault() {
    let all = "[[rules]]\nname = \"all\"\naccounts = \"decta\"\n";
    assert_eq!(
        faults(&format!("{all}[[rules]]\nname = \"more\"\ncurrency = \"EUR\"\naccounts = \"decta\"")),
        ["routing.toml:4: rules.more: is never reached: rule `all` fits every checkout"]
    );
    assert_eq!(faults(""), ["routing.toml:1: has no rule"]);
}

#[test]
fn the_demo_sends_dirhams_to_one_account_and_shares_the_rest_out() {
    let names = ["decta-demo", "paymennt-demo", "telness-demo"];
    let fact = |account| AccountFacts { account, ineligible_because: Vec::new() };
    let facts = names.map(fact);
    let metadata = BTreeMap::new();
    let first = |text: &str, code: &str, draw: u64| {
        let rules = Rules::parse("config/routing.toml", text, &names).unwrap();
        let requested = Request { money: money(1999, code), ..request(&metadata) };
        decide(&requested, &rules, &facts, draw).unwrap().candidates[0].clone()
    };
    assert_eq!(first(DEMO_ROUTING, "AED", 7), "paymennt-demo");
    let shared: Vec<_> = (0..100).map(|draw| first(DEMO_ROUTING, "EUR", draw)).collect();
    assert_eq!(shared.iter().filter(|name| *name == "telness-demo").count(), 50);
    assert!(!shared.contains(&"paymennt-demo".to_owned()));
    let changed = DEMO_ROUTING.replace("accounts = [\"paymennt-demo\"]", "accounts = [\"decta-demo\"]");
    assert_eq!(first(&changed, "AED", 7), "decta-demo");
    assert!(Rules::parse("config/routing.toml", DEMO_ROUTING, &names).unwrap().pins);
}

#[test]
fn the_hash_names_the_text() {
    let text = "[[rules]]\nname = \"all\"\naccounts = \"decta\"\n";
    assert_eq!(parse(text).hash.len(), 64);
    assert_ne!(parse(text).hash, parse(&format!("{text}#")).hash);
}

fn rules_strategy() -> impl Strategy<Value = Rules> {
    let shares = prop::collection::btree_map(prop::sample::select(ACCOUNTS.to_vec()), 1u32..=1_000, 1..=4);
    let fallback = prop::sample::subsequence(ACCOUNTS.to_vec(), 0..=4).prop_shuffle();
    (shares, fallback).prop_map(|(shares, fallback)| {
        let accounts =
            shares.into_iter().map(|(account, weight)| Share { account: account.to_owned(), weight });
        let fallback = fallback.into_iter().map(str::to_owned).collect();
        let rule = Rule {
            name: "all".to_owned(),
            when: Conditions::default(),
            accounts: accounts.collect(),
            fallback,
        };
        Rules { hash: String::new(), pins: false, rules: vec![rule] }
    })
}

fn some_accounts() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(ACCOUNTS.to_vec(), 0..=4)
}

proptest! {
    #[test]
    fn decisions_are_repeatable_and_hold_only_who_can_take_it(
        rules in rules_strategy(), objected in some_accounts(), draw: u64,
    ) {
        let metadata = BTreeMap::new();
        let (request, facts) = (request(&metadata), facts(&objected));
        let decided = decide(&request, &rules, &facts, draw);
        prop_assert_eq!(&decided, &decide(&request, &rules, &facts, draw));
        let rule = &rules.rules[0];
        let shared = |name: &str| rule.accounts.iter().any(|share| share.account == name);
        let fine = |name: &str| !objected.contains(&name);
        let named = |name: &str| shared(name) || rule.fallback.iter().any(|other| other == name);
        match decided {
            Ok(decision) => {
                let expected = ACCOUNTS.iter().filter(|name| named(name) && fine(name)).count();
                prop_assert_eq!(decision.candidates.len(), expected);
                prop_assert!(decision.candidates.iter().all(|name| named(name) && fine(name)));
                prop_assert_eq!(decision.candidates.len() + decision.ruled_out.len(), ACCOUNTS.len());
                prop_assert!(decision.ruled_out.iter().all(|one| !one.why.is_empty()));
                let sharing = decision.candidates.iter().filter(|name| shared(name)).count();
                prop_assert!(decision.candidates[..sharing].iter().all(|name| shared(name)));
                let place = |name: &String| rule.fallback.iter().position(|other| other == name);
                prop_assert!(decision.candidates[sharing..].is_sorted_by_key(place));
            }
            Err(RouteError::NoRoute { .. }) => {
                prop_assert!(!ACCOUNTS.iter().any(|name| named(name) && fine(name)));
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    /// Over one whole round of draws each account comes first exactly as often as its weight requires, whichever are ruled out.
    #[test]
    fn weights_are_kept_exactly_among_those_who_can_take_it(rules in rules_strategy(), objected in some_accounts()) {
        let metadata = BTreeMap::new();
        let (request, facts) = (request(&metadata), facts(&objected));
        let able = rules.rules[0].accounts.iter().filter(|share| !objected.contains(&share.account.as_str()));
        let able: Vec<_> = able.collect();
        let round: u32 = able.iter().map(|share| share.weight).sum();
        let mut firsts: BTreeMap<String, u32> = BTreeMap::new();
        for draw in 0..u64::from(round) {
            let decision = decide(&request, &rules, &facts, draw).unwrap();
            *firsts.entry(decision.candidates[0].clone()).or_default() += 1;
        }
        for share in able {
            prop_assert_eq!(firsts.get(&share.account), Some(&share.weight));
        }
    }
}
