//! The card form's rules and the scenarios behind its cards.

use std::collections::BTreeMap;

use crate::context::Outcome;

/// What a customer can play.
pub(super) struct Scenario {
    /// The value that its button sends.
    pub name: &'static str,
    /// The card number that plays it too; empty where no card does.
    pub number: &'static str,
    pub title: &'static str,
    pub text: &'static str,
    pub outcome: Option<Outcome>,
}

/// The scenario of a customer who pays without a card.
pub(super) const TRANSFER: &str = "transfer";

/// Every scenario, the ordinary success first.
pub(super) const SCENARIOS: [Scenario; 8] = [
    Scenario {
        name: "paid",
        number: "4242 4242 4242 4242",
        title: "Pay",
        text: "Goes through at once.",
        outcome: Some(Outcome::Paid),
    },
    Scenario {
        name: "declined",
        number: "4000 0000 0000 0002",
        title: "Decline",
        text: "The bank says no; you may try again.",
        outcome: Some(Outcome::Declined),
    },
    Scenario {
        name: "declined_final",
        number: "4000 0000 0000 0069",
        title: "Decline for good",
        text: "The bank says no and the payment is over.",
        outcome: Some(Outcome::DeclinedFinal),
    },
    Scenario {
        name: "challenge",
        number: "4000 0000 0000 3220",
        title: "3-D Secure challenge",
        text: "The bank asks before it pays.",
        outcome: Some(Outcome::ActionRequired),
    },
    Scenario {
        name: "slow",
        number: "4000 0000 0000 0077",
        title: "Slow",
        text: "The bank answers after five seconds.",
        outcome: Some(Outcome::Slow),
    },
    Scenario {
        name: TRANSFER,
        number: "",
        title: "Bank transfer",
        text: "Without a card; arrives after a quarter of a minute.",
        outcome: Some(Outcome::Transfer),
    },
    Scenario {
        name: "cancel",
        number: "",
        title: "Customer cancels",
        text: "Goes back to the shop without paying.",
        outcome: Some(Outcome::Cancelled),
    },
    Scenario {
        name: "close",
        number: "",
        title: "Customer closes the tab",
        text: "Nobody hears anything; the payment stays open.",
        outcome: None,
    },
];

/// A typed card's faults by field name; empty if the card is acceptable.
pub(super) type Faults = BTreeMap<&'static str, &'static str>;

/// The scenario that a typed card plays, or what is wrong with the fields.
pub(super) fn read(form: &BTreeMap<String, String>) -> Result<&'static Scenario, Faults> {
    let field = |name: &str| form.get(name).map_or("", |value| value.trim());
    let digits: String =
        field("number").chars().filter(|character| !matches!(character, ' ' | '-')).collect();
    let mut faults = Faults::new();
    let played =
        SCENARIOS.iter().find(|scenario| !digits.is_empty() && scenario.number.replace(' ', "") == digits);
    if played.is_none() {
        faults.insert("number", "Enter one of the test cards shown on this page");
    }
    if !is_expiry(field("expiry")) {
        faults.insert("expiry", "Enter 12/25, or a date to come as MM/YY");
    }
    if field("cvv") != "100" {
        faults.insert("cvv", "The test cards' CVV is 100");
    }
    if !field("name").eq_ignore_ascii_case("test user") {
        faults.insert("name", "The test cards' holder is TEST USER");
    }
    if field("terms").is_empty() {
        faults.insert("terms", "Please accept the terms to go on");
    }
    played.filter(|_| faults.is_empty()).ok_or(faults)
}

/// The published 12/25 is in the past and accepted nevertheless, as is any later month.
fn is_expiry(text: &str) -> bool {
    let Some((month, year)) = text.split_once('/') else { return false };
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let number = |part: &str| part.trim().parse::<u8>().ok().filter(|_| two_digits(part.trim()));
    match (number(month), number(year)) {
        (Some(month), Some(year)) => (1..=12).contains(&month) && (year, month) >= (25, 12),
        _ => false,
    }
}
