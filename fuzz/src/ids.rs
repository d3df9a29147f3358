//! Everything small that is read from text: ids, decimals, currencies, times, tax rates, tokens and words.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use paymux::domain::TaxRate;
use paymux::payments::Returns;
use port::{
    AttemptId, AttentionId, Currency, Decimal, EndpointId, EventId, ItemId, Money, NotificationId, OrderId,
    PaymentId, ProfileId, ProfileSessionId, ProviderStatus, RefundId, SessionId, Timestamp,
};

use super::message::{TABLES, exact};

/// Longer decimals are refused, bytes; with its exponent written out, one can take a little more.
const MAX_TAKEN: usize = 36;
const MAX_PRINTED: usize = 80;

/// More lines than this are not read: a long input would only be slow.
const MAX_LINES: usize = 50;

/// Each line is refused, or read as exactly what it says, and printed as it was read.
pub fn ids(input: &[u8]) {
    for text in String::from_utf8_lossy(input).split('\n').take(MAX_LINES) {
        every_id(text);
        decimal(text);
        if let Ok(currency) = text.parse::<Currency>() {
            assert_eq!(currency.code(), text);
        }
        if let Some(time) = printed_again::<Timestamp>(text) {
            assert_eq!(time.to_string().len(), "2026-01-01T00:00:00.000Z".len());
        }
        rate(text);
        return_token(text);
        statuses(text);
    }
}

fn every_id(text: &str) {
    let mut readings = 0;
    let mut only = |spelling: Option<String>| {
        readings += usize::from(spelling.is_some());
        assert!(spelling.is_none_or(|spelling| spelling == text), "`{text}` is another spelling of an id");
    };
    only(text.parse().ok().map(|id: OrderId| id.to_string()));
    only(text.parse().ok().map(|id: ItemId| id.to_string()));
    only(text.parse().ok().map(|id: SessionId| id.to_string()));
    only(text.parse().ok().map(|id: AttemptId| id.to_string()));
    only(text.parse().ok().map(|id: PaymentId| id.to_string()));
    only(text.parse().ok().map(|id: RefundId| id.to_string()));
    only(text.parse().ok().map(|id: ProfileId| id.to_string()));
    only(text.parse().ok().map(|id: ProfileSessionId| id.to_string()));
    only(text.parse().ok().map(|id: EventId| id.to_string()));
    only(text.parse().ok().map(|id: EndpointId| id.to_string()));
    only(text.parse().ok().map(|id: AttentionId| id.to_string()));
    only(text.parse().ok().map(|id: NotificationId| id.to_string()));
    assert!(readings <= 1, "`{text}` is an id of {readings} things");
}

/// What the text is read as, if its print is read as the same.
fn printed_again<T: FromStr<Err: Debug> + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    let read: T = text.parse().ok()?;
    assert_eq!(read.to_string().parse::<T>().as_ref().ok(), Some(&read), "`{text}` is printed as {read}");
    Some(read)
}

fn decimal(text: &str) {
    let in_json: Option<Decimal> = serde_json::from_str(text).ok();
    let bare = text.trim().trim_matches('"');
    // A longer one is cut where a provider states it.
    if let Some(read) = in_json.filter(|_| bare.len() <= MAX_TAKEN) {
        assert_eq!(bare.parse(), Ok(read), "as JSON and as text");
    }
    let Ok(read) = text.parse::<Decimal>() else { return };
    let printed = read.to_string();
    assert!(printed.len() <= MAX_PRINTED, "`{text}` is printed with {} bytes", printed.len());
    assert_eq!(exact(&printed), exact(text), "`{text}` is printed as `{printed}`");
    let again = serde_json::from_str::<Decimal>(&printed);
    assert!(printed.len() > MAX_TAKEN || again.is_ok_and(|again| again == read), "`{printed}`");
    for code in ["JPY", "EUR", "KWD", "CLF"] {
        let currency: Currency = code.parse().expect("a code of ISO 4217");
        let Ok(money) = Money::from_major(read, currency) else { continue };
        assert_eq!(exact(&money.to_major().to_string()), exact(text), "`{text}` {code} is {money}");
        assert_eq!(Money::from_major(money.to_major(), currency), Ok(money));
    }
}

/// A token is read only if it is the one that we make for what it says.
fn return_token(text: &str) {
    let returns = Returns::new([7; 32], "https://pay.test");
    if let Some(read) = returns.read(text) {
        assert_eq!(returns.token(read.attempt, read.redirect), text);
    }
}

fn rate(text: &str) {
    let Ok(read) = text.parse::<TaxRate>() else { return };
    let kept = serde_json::to_string(&read).expect("a rate can be kept");
    assert_eq!(exact(kept.trim_matches('"')), exact(text), "`{text}` is kept as {kept}");
    assert_eq!(serde_json::from_str::<TaxRate>(&kept).ok(), Some(read));
}

/// A word of a provider's means something only if its table has it, but for case, blanks and dashes.
fn statuses(text: &str) {
    let spelt = text.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    for table in TABLES.iter() {
        let sections: BTreeSet<&str> = table.rows().map(|(of, _, _)| of).collect();
        for of in sections {
            let means = table.row(&ProviderStatus::new(of, text)).is_some();
            let known = table.rows().any(|(section, word, _)| section == of && word == spelt);
            assert_eq!(means, known, "`{text}` of {of}");
        }
    }
}
