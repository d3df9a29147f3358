//! What recordings cannot show: orders that do not fit the wire, and a secret that cannot be one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use std::time::Duration;

use paymux_port::{
    AdapterSettings, AdapterState, Address, Approach, Attempt, AttemptId, CaptureMode, Customer, Decimal,
    LineItem, LinkDelivery, Money, OrderId, PaymentRequest, ProviderError, RedirectUrls, Secret,
    SettingsError, Timestamp, Uuid,
};
use serde_json::{Value, json};

use super::{ABOUT, request};

const STARTED_AT: i64 = 1_767_225_600;

#[test]
fn a_webhook_secret_that_verifies_nothing_or_that_anybody_knows_is_refused_at_the_start() {
    let build = |secret: &str| {
        let values = [("api_key", "k"), ("api_secret", "s"), ("webhook_secret", secret)];
        let values = values.map(|(key, value)| (key.to_owned(), Secret::from(value)));
        (ABOUT.build)(&AdapterSettings::new(values)).err()
    };
    for secret in
        ["whsec_not base64", "whsec_", "whsec_YQ==", "YQ==", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="]
    {
        let refused = build(secret);
        assert!(
            matches!(refused, Some(SettingsError::Invalid("webhook_secret", _))),
            "{secret}: {refused:?}"
        );
    }
    assert_eq!(build("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"), None);
}

fn money(minor: i64, code: &str) -> Money {
    Money::new(minor, code.parse().unwrap())
}

fn attempt(amount: Money) -> Attempt {
    Attempt {
        id: AttemptId::from_uuid(Uuid::nil()),
        order: OrderId::from_uuid(Uuid::nil()),
        money: amount,
        approach: Approach::Link,
        capture: CaptureMode::Automatic,
        started_at: Timestamp::from_seconds(STARTED_AT),
        reference: None,
        adapter_state: AdapterState::new(),
    }
}

/// An order of two lines with tax in the prices, and without a customer.
fn payment_request(unit_price: i64) -> PaymentRequest {
    let line = |title: &str, quantity| LineItem {
        sku: None,
        title: title.to_owned(),
        quantity,
        unit_price,
        discount: 0,
        tax: 50,
        tax_rate: Decimal::whole(5),
    };
    PaymentRequest {
        description: "Museum tickets".to_owned(),
        reference: None,
        items: vec![line("Day ticket", 2), line("Guide", 1)],
        subtotal: 3 * unit_price,
        discount: 0,
        tax: 100,
        shipping: 0,
        tax_included: true,
        customer: Customer::default(),
        billing_address: Some(Address { city: Some("Dubai".to_owned()), ..Address::default() }),
        shipping_address: None,
        urls: RedirectUrls {
            in_progress: "https://pay.example.com/return/t".to_owned(),
            ..RedirectUrls::default()
        },
        link_delivery: LinkDelivery::default(),
        language: Some("en-GB".to_owned()),
        expires_at: Timestamp::from_seconds(STARTED_AT + 3_601),
        payment_methods: Vec::new(),
        max_attempts: None,
        save_profile: false,
        profile: None,
    }
}

fn link(amount: Money, request: &PaymentRequest) -> Value {
    serde_json::to_value(request::link(&attempt(amount), request).unwrap()).unwrap()
}

#[test]
fn a_link_needs_nobody_and_leaves_out_what_is_incomplete() {
    let sent = link(money(3_150, "AED"), &payment_request(1_050));
    for absent in ["customer", "billingAddress", "deliveryAddress", "returnUrl"] {
        assert_eq!(sent.get(absent), None, "{absent}");
    }
    assert_eq!(sent["expiresIn"], 61);
    assert_eq!(sent["language"], "en");
    assert_eq!((&sent["sendSms"], &sent["sendEmail"]), (&json!(false), &json!(false)));
}

#[test]
fn the_life_of_a_link_stays_within_what_can_be_asked() {
    let of = |span| {
        let lasting = PaymentRequest {
            expires_at: Timestamp::from_seconds(STARTED_AT).plus(span),
            ..payment_request(1_050)
        };
        link(money(3_150, "AED"), &lasting)["expiresIn"].clone()
    };
    assert_eq!(of(Duration::ZERO), 15);
    assert_eq!(of(Duration::from_secs(604_800)), 10_080);
    assert_eq!(of(Duration::MAX), 10_080);
}

#[test]
fn a_link_is_not_sent_for_delivery_to_nobody() {
    let delivered =
        PaymentRequest { link_delivery: LinkDelivery { email: true, sms: false }, ..payment_request(1_050) };
    let outcome = request::link(&attempt(money(3_150, "AED")), &delivered).err();
    assert!(matches!(outcome, Some(ProviderError::NotSent(_))), "{outcome:?}");
}

#[test]
fn a_telephone_number_is_sent_as_the_digits_that_are_dialled_from_abroad() {
    let table = [
        ("+971 (0)50 - 000 00 01", Some("971500000001")),
        ("00971\u{a0}50 0000001", Some("971500000001")),
        ("971500000001", Some("971500000001")),
        ("-", None),
    ];
    for (given, sent) in table {
        let customer = Customer {
            phone: Some(given.to_owned()),
            email: Some("ann@example.test".to_owned()),
            first_name: Some("Ann".to_owned()),
            last_name: Some("Berg".to_owned()),
            ..Customer::default()
        };
        let named = PaymentRequest { customer, ..payment_request(1_050) };
        let phone = link(money(3_150, "AED"), &named)["customer"].get("phone").cloned();
        assert_eq!(phone, sent.map(|digits| json!(digits)), "{given}");
    }
}

#[test]
fn what_is_longer_than_the_provider_takes_rules_it_out_before_anything_is_sent() {
    let capabilities = &ABOUT.capabilities;
    let against = |request: &PaymentRequest| {
        capabilities.ineligible_because(money(3_150, "AED"), Approach::Link, CaptureMode::Automatic, request)
    };
    let town = |town: &str| Some(Address { city: Some(town.to_owned()), ..Address::default() });
    let mut request = payment_request(1_050);
    request.customer.email = Some(format!("{}@department.example", "a".repeat(31)));
    request.customer.phone = Some("+971 (0)50 - 000 00 01, +971 (0)4".to_owned());
    request.billing_address = town(&"\u{fc}".repeat(50));
    assert!(against(&request).is_empty(), "{:?}", against(&request));
    request.customer.email = Some(format!("{}@department.example", "a".repeat(32)));
    request.shipping_address = town("Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch");
    let expected = [
        "takes no customer.email of more than 50 characters",
        "takes no shippingAddress.city of more than 50 characters",
    ];
    assert_eq!(against(&request), expected);
}

#[test]
fn the_merchants_reference_is_the_order_id_unless_it_is_too_long() {
    let named =
        |reference: &str| PaymentRequest { reference: Some(reference.to_owned()), ..payment_request(1_050) };
    let order_id = |request: &PaymentRequest| link(money(3_150, "AED"), request)["orderId"].clone();
    assert_eq!(order_id(&named("INV-20417")), "INV-20417");
    let own = OrderId::from_uuid(Uuid::nil()).to_string();
    assert_eq!(order_id(&named(&"x".repeat(51))), own);
    assert_eq!(order_id(&payment_request(1_050)), own);
}

#[test]
fn totals_add_up_with_tax_in_the_prices() {
    let sent =
        serde_json::to_string(&request::web(&attempt(money(3_150, "AED")), &payment_request(1_050)).unwrap())
            .unwrap();
    assert!(sent.contains(r#""amount":31.50"#), "{sent}");
    assert!(sent.contains(r#""subtotal":30.50,"tax":1.00"#), "{sent}");
    assert!(sent.contains(r#""quantity":2,"unitprice":10.50,"linetotal":21.00"#), "{sent}");
    assert!(sent.contains(r#""returnUrl":"https://pay.example.com/return/t""#), "{sent}");
}

#[test]
fn a_third_decimal_in_a_part_is_not_shown_and_in_the_amount_is_refused() {
    let whole =
        serde_json::to_string(&request::web(&attempt(money(3_690, "KWD")), &payment_request(1_234)).unwrap())
            .unwrap();
    assert!(
        whole.contains(r#""name":"Museum tickets","quantity":1,"unitprice":3.69,"linetotal":3.69"#),
        "{whole}"
    );
    assert!(!whole.contains("totals"), "{whole}");
    let outcome = request::web(&attempt(money(3_702, "KWD")), &payment_request(1_234)).err();
    assert!(matches!(outcome, Some(ProviderError::NotSent(_))), "{outcome:?}");
}
