//! Behaviour of the rules. Every change goes through [`Scenario::record`], which checks after each one what must
//! always hold of a file; the tables say the rest, one line for a case.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod deciding;
mod disputes;
mod due;
mod fold_laws;
mod fold_table;
mod operations;
mod orders;
mod pricing;
mod profiles;
mod replay;
mod sessions;

use std::collections::BTreeMap;
use std::time::Duration;

use port::{
    AttemptId, CaptureMode, Currency, Customer, Detail, DisputeStage, Failure, ItemId, LinkDelivery, Money,
    Next, Observation, OrderId, PaymentId, PaymentStatus, ProviderStatus, SessionId, StatusMapping,
    Timestamp, Uuid,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::observe::{Expected, observe};
use super::open::{NewAttempt, NewSession, open, payable};
use super::*;

/// A moment, `seconds` after the tests begin.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn eur(minor: i64) -> Money {
    Money::new(minor, currency("EUR"))
}

/// Ids that count up.
fn ids(made: &mut u128) -> impl FnMut() -> Uuid + '_ {
    move || {
        *made += 1;
        Uuid::from_u128(*made)
    }
}

/// Holds first, captures once; can do all the rest.
const HOLDS: PaymentCapabilities = PaymentCapabilities {
    authorizes: true,
    one_capture: true,
    closes: true,
    voids: true,
    refunds: true,
    partial_refunds: true,
    authorization_seconds: Some(28 * 24 * 3_600),
    poll_after_capture_days: 0,
};

/// Holds first, and captures until nothing is left.
const HOLDS_FOR_MANY: PaymentCapabilities = PaymentCapabilities { one_capture: false, ..HOLDS };

/// Takes at once, and can only be asked.
const TAKES: PaymentCapabilities = PaymentCapabilities {
    authorizes: false,
    one_capture: false,
    closes: false,
    voids: false,
    refunds: false,
    partial_refunds: false,
    authorization_seconds: None,
    poll_after_capture_days: 0,
};

/// One line: `1 × 100`, untaxed.
fn item(quantity: i64, unit_price: i64, rate: &str, discount: i64) -> LineItem {
    LineItem {
        id: ItemId::from_uuid(Uuid::from_u128(7)),
        sku: None,
        title: "Thing".to_owned(),
        quantity,
        unit_price,
        tax_rate: rate.parse().unwrap(),
        discount,
        recurring: None,
    }
}

/// An order that nobody has priced.
fn order(items: Vec<LineItem>) -> OrderHeader {
    OrderHeader {
        id: OrderId::from_uuid(Uuid::from_u128(1)),
        merchant: "shop".to_owned(),
        reference: None,
        currency: currency("EUR"),
        state: OrderState::Pending,
        items,
        shipping: 0,
        tax_included: false,
        requires_signing: Requirement::NotRequired,
        requires_approval: false,
        auto_submit: true,
        personal: Erasable::new(PersonalData::default(), [1; 16]),
        price: None,
        requirements: None,
        signature: None,
        external_payment: None,
        fulfilment: None,
        external_payment_id: None,
        payment_source: None,
        created_at: at(0),
        updated_at: at(0),
        idle_seconds: 7 * 24 * 3_600,
        expires_at: at(7 * 24 * 3_600),
        submitted_at: None,
        completed_at: None,
    }
}

fn signature() -> Erasable<Signature> {
    let text = || "x".to_owned();
    Erasable::new(Signature { signer: text(), method: text(), reference: text(), signed_at: at(0) }, [2; 16])
}

/// An order file, every event that made it, and the hands that change it.
#[derive(Clone)]
struct Scenario {
    order: OrderAggregate,
    events: Vec<RecordedEvent>,
    now: Timestamp,
    actor: Actor,
    made: u128,
}

impl Scenario {
    fn create(header: OrderHeader) -> Self {
        let placed = Event::OrderCreated(Box::new(header));
        let order = OrderAggregate::create(&placed).unwrap();
        let mut scenario =
            Self { order, events: Vec::new(), now: at(0), actor: Actor::Merchant, made: 1_000 };
        scenario.record(vec![placed]);
        scenario
    }

    /// A priced order over 1.00 EUR, after `with`.
    fn cart(with: impl FnOnce(&mut OrderHeader)) -> Self {
        let mut header = order(vec![item(1, 100, "0", 0)]);
        with(&mut header);
        let mut scenario = Self::create(header);
        scenario.price();
        scenario
    }

    /// A session over 1.00 EUR that the customer may pay.
    fn session(capture: CaptureMode, capabilities: PaymentCapabilities) -> Self {
        let mut scenario = Self::cart(|_| ());
        scenario.checkout(capture, capabilities);
        scenario
    }

    fn price(&mut self) {
        let priced = cart::price_order(&self.order.header, self.now).unwrap();
        self.record(vec![priced]);
    }

    fn checkout(&mut self, capture: CaptureMode, capabilities: PaymentCapabilities) {
        let attempt = self.start_checkout(capture, capabilities, &[]);
        self.created(attempt);
    }

    /// Opens a session and leaves its start without an answer.
    fn start_checkout(
        &mut self,
        capture: CaptureMode,
        capabilities: PaymentCapabilities,
        fallback: &[&str],
    ) -> AttemptId {
        let money = payable(&self.order).unwrap();
        let request = SessionRequest {
            return_urls: ReturnUrls::default(),
            link_delivery: LinkDelivery::default(),
            language: None,
            save_payment_profile: false,
            payment_profile_id: None,
            profile_reference: None,
            metadata: Metadata::new(),
        };
        let new_session = NewSession {
            session: SessionId::from_uuid(self.uuid()),
            payment: PaymentId::from_uuid(self.uuid()),
            approach: Approach::Hosted,
            capture,
            charge: None,
            request: Erasable::new(request, [3; 16]),
            expires_at: self.now.plus(Duration::from_secs(3_600)),
        };
        let new_attempt = self.start("first", capabilities);
        let attempt = new_attempt.attempt;
        let fallback = fallback.iter().map(|&name| name.to_owned()).collect();
        self.record(open(new_session, new_attempt, money, Routing::default(), fallback, self.now));
        attempt
    }

    fn start(&mut self, account: &str, capabilities: PaymentCapabilities) -> NewAttempt {
        NewAttempt {
            attempt: AttemptId::from_uuid(self.uuid()),
            account: account.to_owned(),
            provider: "tester".to_owned(),
            capabilities,
            submits_order: false,
            return_hash: "00".to_owned(),
        }
    }

    fn created(&mut self, attempt: AttemptId) {
        let next = Erasable::new(Next::Page("https://pay.example/1".to_owned()), [4; 16]);
        self.record(vec![Event::AttemptCreated {
            attempt,
            reference: "theirs".to_owned(),
            next,
            adapter_state: None,
        }]);
    }

    fn uuid(&mut self) -> Uuid {
        ids(&mut self.made)()
    }

    /// Writes the facts down, and answers how many there were.
    fn record(&mut self, events: Vec<Event>) -> usize {
        let cause = Cause { actor: self.actor, request: None };
        let meta = EventMeta { at: self.now, cause: &cause };
        let before = self.shown();
        let events = self.order.record(events, &meta, &mut ids(&mut self.made)).unwrap();
        let told = events.len();
        self.events.extend(events);
        self.check();
        let after = self.shown();
        for (id, was) in before {
            let is = &after[&id];
            assert!(
                was == *is || was["version"] != is["version"],
                "changed behind its version: {was} to {is}"
            );
        }
        told
    }

    /// Everything that has a version, as it is shown, by its id.
    fn shown(&self) -> BTreeMap<String, Value> {
        let (order, qr_url) = (&self.order, |_| String::new());
        let sessions = order.sessions.iter().map(|session| json!(view::session(order, session, &qr_url)));
        let payments = order.payments.iter().map(|payment| json!(view::payment(order, payment)));
        let refunds = order.refunds.iter().map(|refund| json!(view::refund(order, refund)));
        let parts = sessions.chain(payments).chain(refunds).chain([json!(view::order(order))]);
        parts.map(|shown| (shown["id"].to_string(), shown)).collect()
    }

    /// What must always hold.
    fn check(&self) {
        let places: Vec<u64> = self.events.iter().map(|event| event.sequence).collect();
        assert_eq!(places, (1..=self.order.sequence).collect::<Vec<_>>());
        let notices: Vec<u64> = self.events.iter().filter_map(|event| event.public_sequence).collect();
        assert_eq!(notices, (1..=self.order.public_sequence).collect::<Vec<_>>());
        assert_eq!(OrderAggregate::replay(&self.events).unwrap(), self.order);
        for payment in &self.order.payments {
            let state = &payment.state;
            let (taken, back) = (state.captured, state.refunded());
            assert!(0 <= back && back <= taken && taken <= payment.money.minor, "{state:?}");
            assert!(state.authorized <= payment.money.minor, "{state:?}");
            assert!(!payment.capabilities.authorizes || taken <= state.authorized, "{state:?}");
            let of_payment = self.order.refunds.iter().filter(|refund| refund.payment == payment.id);
            let succeeded = of_payment.filter(|refund| refund.status == RefundStatus::Succeeded);
            assert_eq!(succeeded.map(|refund| refund.money.minor).sum::<i64>(), back);
        }
        let open: Vec<_> = self.order.sessions.iter().filter(|session| session.status.is_open()).collect();
        assert!(open.len() <= 1);
        let state = self.order.header.state;
        assert!(open.is_empty() || state == OrderState::PendingPayment || state.is_final());
    }

    /// Lets the provider of the newest attempt say something now, and answers how many facts followed.
    fn see(&mut self, says: &str) -> usize {
        let attempt = self.order.attempts.last().unwrap().id;
        self.see_of(attempt, says)
    }

    fn see_of(&mut self, attempt: AttemptId, says: &str) -> usize {
        let seen = seen(says, self.now);
        self.observe(attempt, &seen)
    }

    fn observe(&mut self, attempt: AttemptId, seen: &Observation) -> usize {
        let expected = Expected { is_test: false };
        let events = observe(&self.order, attempt, seen, expected, self.now, &mut ids(&mut self.made));
        self.record(events)
    }

    /// Lets time pass.
    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self
    }

    fn payment(&self) -> &Payment {
        self.order.payments.last().unwrap()
    }

    fn the_session(&self) -> &Session {
        self.order.sessions.last().unwrap()
    }

    /// The codes of the attention that nobody has looked at, or `none`.
    fn attention(&self) -> String {
        let open = self.order.attention.iter().filter(|attention| attention.resolved_at.is_none());
        let codes: Vec<&str> = open.map(|attention| attention.code.as_str()).collect();
        if codes.is_empty() { "none".to_owned() } else { codes.join(" ") }
    }

    /// A person has looked at everything.
    fn resolve_all(&mut self) {
        let open = self.order.attention.iter().filter(|attention| attention.resolved_at.is_none());
        let resolved = open.map(|attention| Event::AttentionResolved {
            attention: attention.id,
            decision: AttentionDecision::Keep,
            note: None,
        });
        let events = resolved.collect();
        self.record(events);
    }

    /// `AUTHORIZED 100/0/0`: the payment's status, with what was held, taken and given back.
    fn payment_state(&self) -> String {
        shown(&self.payment().state)
    }

    /// `FAILED DECLINED`: the session's word, and its failure; `again` where the customer may try again.
    fn session_status(&self) -> String {
        let session = self.the_session();
        let failure = session.failure.as_ref().map(|failure| {
            let code = serde_json::to_string(&failure.code).unwrap().replace('"', "");
            let again = if failure.retryable { " again" } else { "" };
            format!(" {code}{again}")
        });
        format!("{}{}", session.status.as_str(), failure.unwrap_or_default())
    }

    fn state(&self) -> &'static str {
        self.order.header.state.as_str()
    }
}

fn shown(state: &PaymentState) -> String {
    let status = state.status().as_str();
    format!("{status} {}/{}/{}", state.authorized, state.captured, state.refunded())
}

/// A word of the API's as the type that it names.
fn named<T: DeserializeOwned>(word: &str) -> T {
    serde_json::from_str(&format!("\"{word}\"")).unwrap_or_else(|_| panic!("`{word}` is no word"))
}

/// An observation in words: `PAID captured=60`, `FAILED last why=51`, `FROM_AMOUNTS REFUND_FAILED refunded=0`,
/// `DISPUTED CHARGEBACK`, `UNMAPPED`; `place=` says when in seconds after the tests begin, else it is `place`.
fn seen(says: &str, as_of: Timestamp) -> Observation {
    let mut words = says.split_whitespace();
    let first = words.next().unwrap();
    let mut seen = Observation {
        says: if first == "UNMAPPED" { StatusMapping::Unmapped } else { named(first) },
        terminal: false,
        detail: None,
        stage: None,
        provider_status: ProviderStatus::new("order", first.to_lowercase()),
        total: None,
        authorized: None,
        captured: None,
        refunded: None,
        disputed: None,
        merchant_reference: None,
        is_test: None,
        failure: None,
        as_of,
    };
    for word in words {
        match word.split_once('=') {
            None if word == "last" => seen.terminal = true,
            None if word == "test" => seen.is_test = Some(true),
            None => match serde_json::from_str::<DisputeStage>(&format!("\"{word}\"")) {
                Ok(stage) => seen.stage = Some(stage),
                Err(_) => seen.detail = Some(named::<Detail>(word)),
            },
            Some(("ours", other)) => seen.merchant_reference = Some(other.to_owned()),
            Some(("why", code)) => {
                seen.failure =
                    Some(Failure { code: Some(code.to_owned()), text: Some(format!("text {code}")) });
            }
            Some(("currency", code)) => seen.captured = Some(Money::new(100, currency(code))),
            Some((name, number)) => set_number(&mut seen, name, number.parse().unwrap()),
        }
    }
    // Two shades of one status are two words of the provider's.
    seen.provider_status.status = says.split(" place=").next().unwrap().to_lowercase();
    seen
}

fn set_number(seen: &mut Observation, name: &str, number: i64) {
    let field = match name {
        "place" => {
            seen.as_of = at(number);
            return;
        }
        "total" => &mut seen.total,
        "authorized" => &mut seen.authorized,
        "captured" => &mut seen.captured,
        "refunded" => &mut seen.refunded,
        "disputed" => &mut seen.disputed,
        other => panic!("`{other}` is no field"),
    };
    *field = Some(eur(number));
}

/// The columns of each line of a table, trimmed.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split('|').map(str::trim).collect())
}
