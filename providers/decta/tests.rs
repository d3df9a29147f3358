//! Tables of answers, where a recording each would say less.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use paymux_port::{CaptureMode, OrderId, Uuid};

use super::*;

/// An attempt over 12.50 EUR.
fn attempt() -> Attempt {
    Attempt {
        id: paymux_port::AttemptId::from_uuid(Uuid::nil()),
        order: OrderId::from_uuid(Uuid::nil()),
        money: Money::new(1250, "EUR".parse().unwrap()),
        approach: Approach::Hosted,
        capture: CaptureMode::Automatic,
        started_at: Timestamp::default(),
        reference: Some("d1".to_owned()),
        adapter_state: AdapterState::new(),
    }
}

#[test]
fn an_amount_counts_whether_or_not_its_currency_is_said() {
    let table = [
        (r#""currency":"EUR","total":12.5,"amount_refunded":5"#, Ok((Some("12.50 EUR"), Some("5.00 EUR")))),
        (r#""total":12.5,"amount_refunded":"5.00""#, Ok((Some("12.50 EUR"), Some("5.00 EUR")))),
        (r#""total":1.25"#, Ok((Some("1.25 EUR"), None))),
        (r#""currency":"USD","total":12.5"#, Ok((Some("12.50 USD"), None))),
        (r#""currency":"EUR""#, Ok((None, None))),
        (r#""currency":"euro","total":12.5"#, Err("an unknown currency".to_owned())),
    ];
    for (amounts, expected) in table {
        let order: Order =
            serde_json::from_str(&format!(r#"{{"id":"d1","status":"paid",{amounts}}}"#)).unwrap();
        let stated = snapshot(&order, &attempt()).map(|view| {
            (view.total.map(|money| money.to_string()), view.refunded.map(|money| money.to_string()))
        });
        let expected =
            expected.map(|(total, refunded)| (total.map(str::to_owned), refunded.map(str::to_owned)));
        assert_eq!(stated, expected, "{amounts}");
    }
}
