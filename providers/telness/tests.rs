//! Tables of answers, where a recording each would say less.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use paymux_port::{AttemptId, CaptureMode, Money, Next, OrderId, StatusTable, Timestamp, Uuid};

use super::*;

#[test]
fn the_checkout_address_is_found_wherever_it_is() {
    let table = [
        (r#""checkoutUrl":"https://a","url":"https://z""#, Some("https://a")),
        (r#""provider":{"checkoutUrl":"https://a","url":"https://z"}"#, Some("https://a")),
        (r#""provider":{"url":"https://a"},"url":"https://z""#, Some("https://a")),
        (r#""checkoutUrl":"","provider":null,"url":"https://a""#, Some("https://a")),
        (r#""provider":{"checkoutUrl":7}"#, None),
    ];
    let attempt = Attempt {
        id: AttemptId::from_uuid(Uuid::nil()),
        order: OrderId::from_uuid(Uuid::nil()),
        money: Money::new(1250, "EUR".parse().unwrap()),
        approach: Approach::Hosted,
        capture: CaptureMode::Automatic,
        started_at: Timestamp::default(),
        reference: None,
        adapter_state: AdapterState::new(),
    };
    for (places, expected) in table {
        let shown: Opened = serde_json::from_str(&format!(r#"{{"status":"PENDING",{places}}}"#)).unwrap();
        let next = shown.next(&Target::from(&attempt), "STRIPE");
        assert_eq!(next, expected.map(|url| Next::Page(url.to_owned())), "{places}");
    }
}

#[test]
fn an_order_is_submitted_in_both_references_words_from_submitted_on() {
    let table = [
        (r#"{"orderId":"o1","state":"SUBMITTED"}"#, true),
        (r#"{"orderId":"o1","status":"COMPLETED"}"#, true),
        (r#"{"order":{"orderId":"o1","state":"FAILED"}}"#, true),
        (r#"{"orderId":"o1","state":"PENDING_PAYMENT","status":"SUBMITTED"}"#, false),
        (r#"{"orderId":"o1","status":"CONFIGURED"}"#, false),
        (r#"{"orderId":"o1","state":"CANCELLED"}"#, false),
    ];
    let statuses = StatusTable::parse(ABOUT.statuses).unwrap();
    for (order, submitted) in table {
        let state = serde_json::from_str::<Order>(order).unwrap().state;
        let read = statuses.provider_order(&state) == Some(ProviderOrderStatus::Submitted);
        assert_eq!(read, submitted, "{order}");
    }
    for other in ["{}", "[]", r#"{"orderId":"o1"}"#, r#"{"orderId":"","state":"SUBMITTED"}"#] {
        assert!(serde_json::from_str::<Order>(other).is_err(), "{other}");
    }
}

#[test]
fn a_price_is_money_only_if_its_currency_can_hold_it() {
    let table = [
        ("10", "EUR", Some(1000)),
        ("10.000", "EUR", Some(1000)),
        ("10.001", "EUR", None),
        ("19.990000000000002", "eur", Some(1999)),
        ("10", "Euro", None),
    ];
    for (total, currency, minor) in table {
        let json = format!(r#"{{"pricing":{{"total":{total},"currency":"{currency}"}}}}"#);
        let priced: Priced = serde_json::from_str(&json).unwrap();
        assert_eq!(priced.money().map(|money| money.minor), minor, "{json}");
    }
}
