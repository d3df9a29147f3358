//! The test world of every recording: always the same order, customer, clock and answers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use paymux_port::{
    About, AdapterSettings, AdapterState, Address, Approach, Attempt, CaptureMode, Currency, Customer,
    Decimal, Env, HttpRequest, HttpResponse, LineItem, LinkDelivery, Money, PaymentRequest, RedirectUrls,
    Secret, StateStore, StateStoreError, Timestamp, Transport, TransportError, Uuid,
};

/// The time of every recording in seconds since 1970: 2026-01-01T00:00:00Z.
pub(crate) const NOW: i64 = 1_767_225_600;
pub(crate) const ATTEMPT: &str = "att_01kdvdna00e008000000000001";
pub(crate) const ORDER: &str = "ord_01kdvdna00e008000000000002";
pub(crate) const PROFILE_SESSION: &str = "pps_01kdvdna00e008000000000004";
pub(crate) const REFUND: &str = "ref_01kdvdna00e008000000000003";
pub(crate) const REFERENCE: &str = "0d5c3f0e-7a41-4c55-9a3b-5f2f6f1f7a10";
pub(crate) const EMAIL: &str = "ann@example.test";
pub(crate) const PHONE: &str = "37120000000";

/// An amount of cents in euros.
pub fn euros(minor: i64) -> Money {
    Money::new(minor, currency("EUR"))
}

pub(crate) fn currency(code: &str) -> Currency {
    code.parse().expect("a code of ISO 4217")
}

/// The attempt of every recording: EUR 12.50, hosted, captured at once, not yet known to the provider.
pub fn attempt() -> Attempt {
    Attempt {
        id: ATTEMPT.parse().expect("a TypeID"),
        order: ORDER.parse().expect("a TypeID"),
        money: euros(1250),
        approach: Approach::Hosted,
        capture: CaptureMode::Automatic,
        started_at: Timestamp::from_seconds(NOW),
        reference: None,
        adapter_state: AdapterState::new(),
    }
}

/// What is paid for: two lines and shipping, EUR 12.50 in all, prices including 25 % tax. Another amount has one
/// line of that price.
pub fn checkout(money: Money) -> PaymentRequest {
    let line = |sku: &str, title: &str, quantity, unit_price, tax| LineItem {
        sku: Some(sku.to_owned()),
        title: title.to_owned(),
        quantity,
        unit_price,
        discount: 0,
        tax,
        tax_rate: Decimal::whole(25),
    };
    let usual = money == euros(1250);
    let lines = if usual {
        vec![line("BEANS-250", "Coffee beans", 2, 400, 160), line("PAPER-2", "Filter papers", 1, 300, 60)]
    } else {
        vec![LineItem { tax_rate: Decimal::whole(0), ..line("BEANS-250", "Coffee beans", 1, money.minor, 0) }]
    };
    PaymentRequest {
        description: "Order 1001".to_owned(),
        reference: None,
        items: lines,
        subtotal: if usual { 1100 } else { money.minor },
        discount: 0,
        tax: if usual { 220 } else { 0 },
        shipping: if usual { 150 } else { 0 },
        tax_included: true,
        customer: Customer {
            id: Some("customer-7".to_owned()),
            email: Some(EMAIL.to_owned()),
            phone: Some(PHONE.to_owned()),
            first_name: Some("Ann".to_owned()),
            last_name: Some("Berg".to_owned()),
        },
        billing_address: Some(address()),
        shipping_address: Some(address()),
        urls: back_urls(),
        link_delivery: LinkDelivery::default(),
        language: Some("en-GB".to_owned()),
        expires_at: Timestamp::from_seconds(NOW).plus(Duration::from_secs(3600)),
        payment_methods: Vec::new(),
        max_attempts: None,
        save_profile: false,
        profile: None,
    }
}

fn address() -> Address {
    Address {
        name: Some("Ann Berg".to_owned()),
        line1: Some("1 Harbour Street".to_owned()),
        line2: None,
        city: Some("Riga".to_owned()),
        region: None,
        postal_code: Some("LV-1050".to_owned()),
        country: Some("LV".to_owned()),
    }
}

fn back_urls() -> RedirectUrls {
    let back = |end: &str| format!("https://pay.shop.test/return/{end}");
    RedirectUrls {
        success: back("success"),
        in_progress: back("in-progress"),
        failure: back("failure"),
        cancel: back("cancel"),
    }
}

/// A random order from a seed. As in the gateway, lines, discounts, taxes and shipping add up to the amount.
pub fn generated_order(seed: u64, currency: Currency) -> (Money, PaymentRequest) {
    let mut state = seed;
    let mut below = |bound: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(state >> 33).expect("31 bits fit") % bound
    };
    let tax_included = below(2) == 0;
    let discounted = below(3) == 0;
    let count = 1 + below(4) + if below(8) == 0 { 60 } else { 0 };
    let lines: Vec<LineItem> = (0..count)
        .map(|number| {
            let (quantity, unit_price) = (1 + below(3), 1 + below(100_000));
            LineItem {
                sku: Some(format!("SKU-{number}")),
                title: format!("Item {number}"),
                quantity,
                unit_price,
                discount: if discounted { below(quantity * unit_price) } else { 0 },
                tax: below(quantity * unit_price),
                tax_rate: Decimal::new(825, 2),
            }
        })
        .collect();
    let sum = |part: fn(&LineItem) -> i64| lines.iter().map(part).sum::<i64>();
    let (subtotal, discount, tax) =
        (sum(|line| line.quantity * line.unit_price), sum(|line| line.discount), sum(|line| line.tax));
    let shipping = below(2) * below(2_000);
    let total = subtotal - discount + shipping + if tax_included { 0 } else { tax };
    let money = Money::new(total, currency);
    (
        money,
        PaymentRequest { items: lines, subtotal, discount, tax, shipping, tax_included, ..checkout(money) },
    )
}

/// The value that a setting has in every recording: base64, and long enough to be also a key where one must be.
pub fn setting_value(key: &str) -> String {
    STANDARD.encode(format!("the test's {key}"))
}

/// The settings of every recording: what is required, what is secret, and `changes` to them.
pub fn settings(about: &About, changes: &[(String, Option<String>)]) -> AdapterSettings {
    let usual = about.settings.iter().filter(|setting| setting.required || setting.secret);
    let mut values: AdapterState =
        usual.map(|usual| (usual.key.to_owned(), setting_value(usual.key))).collect();
    for (key, value) in changes {
        match value {
            Some(value) => values.insert(key.clone(), value.clone()),
            None => values.remove(key),
        };
    }
    AdapterSettings::new(values.into_iter().map(|(key, value)| (key, Secret::from(value))))
}

/// A source whose clock stands still and whose ids are numbered.
pub struct FixedSource {
    now: Timestamp,
    ids: AtomicU64,
}

impl FixedSource {
    /// A source whose clock stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { now, ids: AtomicU64::new(0) }
    }
}

impl Env for FixedSource {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn uuid(&self) -> Uuid {
        // Subjects differ in the upper bits; the low 24 bits number the parts of a subject.
        Uuid::from_u128(u128::from(self.ids.fetch_add(1, Ordering::Relaxed)) << 24)
    }

    fn nonce(&self) -> [u8; 16] {
        u128::from(self.ids.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }
}

/// A state store in memory, or one that fails.
#[derive(Default)]
pub struct Memory {
    saved: Mutex<AdapterState>,
    broken: bool,
}

impl Memory {
    /// One that saves nothing.
    pub fn broken() -> Self {
        Self { broken: true, ..Self::default() }
    }

    /// What has been saved.
    pub fn saved(&self) -> AdapterState {
        self.saved.lock().expect("no holder panics").clone()
    }
}

#[async_trait]
impl StateStore for Memory {
    async fn save_state(&self, pairs: &[(&str, &str)]) -> Result<(), StateStoreError> {
        if self.broken {
            return Err(StateStoreError);
        }
        let owned = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.saved.lock().expect("no holder panics").extend(owned);
        Ok(())
    }
}

/// The answer to one call.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A response.
    Reply(HttpResponse),
    /// The call was not sent.
    NotSent,
    /// The call was sent, and no answer came.
    Lost,
}

impl Answer {
    /// A reply without `Retry-After`.
    pub fn reply(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Reply(HttpResponse { status, retry_after: None, body: body.into() })
    }
}

/// A transport that gives its answers one after the other for any calls, and records the calls.
pub struct Script {
    answers: Vec<Answer>,
    calls: Mutex<Vec<HttpRequest>>,
}

impl Script {
    /// After the last of `answers` no call can be sent.
    pub fn new(answers: Vec<Answer>) -> Self {
        Self { answers, calls: Mutex::default() }
    }

    /// The calls that were sent.
    pub fn calls(&self) -> Vec<HttpRequest> {
        self.calls.lock().expect("no holder panics").clone()
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, _: &str, http_request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let mut calls = self.calls.lock().expect("no holder panics");
        let answer = self.answers.get(calls.len());
        calls.push(http_request.clone());
        match answer {
            Some(Answer::Reply(response)) => Ok(response.clone()),
            Some(Answer::Lost) => Err(TransportError::Lost("no answer came".to_owned())),
            Some(Answer::NotSent) => Err(TransportError::NotSent("no connection".to_owned())),
            None => Err(TransportError::NotSent("the recording has no answer left".to_owned())),
        }
    }
}
