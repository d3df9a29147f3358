//! Behaviour of the rules. Every change goes through [`Scenario::record`], which checks after each one what must
//! always hold of an order; the tables say the rest, one line for a case.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail")]

mod deciding;
mod disputes;
mod due;
mod endpoints;
mod fold_laws;
mod fold_table;
mod ids;
mod limits;
mod operations;
mod orders;
mod outcomes;
mod pricing;
mod profiles;
mod replay;
mod required_profiles;
mod sessions;
mod stored_texts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use port::{
    Approach, AttemptId, CaptureMode, Currency, Customer, Detail, DisputeStage, Failure, ItemId, Money, Next,
    Observation, OrderId, PaymentStatus, ProfileStatus, ProviderStatus, SessionId, StatusMapping, Timestamp,
    Uuid,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::observe::{Expected, observe};
use super::session_start::{create_session, payable};
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

/// A subject's id: a UUID of version 7 whose low bits are free for the numbers of its parts.
fn subject_id(number: u64) -> Uuid {
    subject_of(Uuid::from_u128(0x0198_a000_0000_7000_8000_0000_0000_0000 | (u128::from(number) << 24)))
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

/// Takes at once, and can only be read.
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
        id: OrderId::from_uuid(subject_id(1)),
        merchant: "shop".to_owned(),
        reference: None,
        currency: currency("EUR"),
        state: OrderState::Pending,
        content: Content {
            items,
            shipping: 0,
            tax_included: false,
            requires_signing: Requirement::NotRequired,
            requires_approval: false,
            payment_optional: false,
            profile_required: false,
            auto_submit: true,
            personal: Erasable::new(PersonalData::default(), [1; 16]),
        },
        price: None,
        requirements: None,
        signature: None,
        external_payment: None,
        fulfilment: None,
        external_payment_id: None,
        payment_proof: None,
        profile_session: None,
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

/// An order, every change that made it, and the means to change it.
#[derive(Clone)]
struct Scenario {
    order: OrderAggregate,
    changes: Vec<Recorded<Event>>,
    now: Timestamp,
    actor: Actor,
    /// Whether its sessions are asked to store the method.
    saves_method: bool,
    /// Whether the customer came back by the cancel redirect.
    customer_left: bool,
}

impl Scenario {
    /// The jobs that are scheduled, as of now.
    fn jobs(&self) -> Vec<(Job, Timestamp)> {
        scheduled(&self.order, self.now)
    }

    fn create(header: OrderHeader) -> Self {
        let (now, actor) = (at(0), Actor::Merchant);
        let created = Event::OrderCreated(Box::new(header));
        let meta = ChangeMeta { at: now, cause: Cause { actor, request: None } };
        let order = OrderAggregate::open(&created, &meta).unwrap();
        let mut scenario =
            Self { order, changes: Vec::new(), now, actor, saves_method: false, customer_left: false };
        scenario.record(vec![created]);
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

    /// Creates a session and leaves its start without an answer.
    fn start_checkout(
        &mut self,
        capture: CaptureMode,
        capabilities: PaymentCapabilities,
        fallback: &[&str],
    ) -> AttemptId {
        let mut context = self.context();
        let attempt = self.start("first", capabilities);
        let id = attempt.attempt;
        let session = Session {
            id: context.session_id(),
            payment: context.payment_id(),
            attempt: id,
            approach: Approach::Hosted,
            capture,
            money: payable(&self.order).unwrap(),
            status: SessionStatus::Pending,
            failure: None,
            closing: None,
            used: false,
            profile_found: None,
            created_at: self.now,
            updated_at: self.now,
            version: 0,
            routing: Routing::default(),
            fallback: fallback.iter().map(|&name| name.to_owned()).collect(),
            request: Erasable::new(
                SessionRequest { save_payment_profile: self.saves_method, ..SessionRequest::default() },
                context.salt(),
            ),
            charge: None,
            expires_at: self.now.plus(Duration::from_secs(3_600)),
        };
        self.record(create_session(session, attempt));
        id
    }

    /// The next start, at an account.
    fn start(&self, account: &str, capabilities: PaymentCapabilities) -> NewAttempt {
        NewAttempt {
            attempt: self.context().attempt_id(),
            account: account.to_owned(),
            provider: "tester".to_owned(),
            capabilities,
            submits_order: false,
        }
    }

    /// The provider has what an attempt started.
    fn created(&mut self, attempt: AttemptId) {
        let next = Erasable::new(Next::Page("https://pay.example/1".to_owned()), [4; 16]);
        self.record(vec![Event::AttemptCreated {
            attempt,
            reference: "theirs".to_owned(),
            next,
            adapter_state: None,
        }]);
    }

    fn context(&self) -> Context<'_> {
        Context::of(&self.order, self.now, u128::from(self.order.head.sequence).to_le_bytes())
    }

    /// Records events as one change, and answers how many there were.
    fn record(&mut self, events: impl IntoIterator<Item = Event>) -> usize {
        let events: Vec<Event> = events.into_iter().collect();
        if events.is_empty() {
            return 0;
        }
        let meta = ChangeMeta { at: self.now, cause: Cause { actor: self.actor, request: None } };
        let (before, recorded) = (self.shown(), events.len());
        self.changes.push(record(&mut self.order, events, meta).unwrap());
        self.check();
        let after = self.shown();
        for (id, was) in before {
            let is = &after[&id];
            assert!(
                was == *is || was["version"] != is["version"],
                "changed behind its version: {was} to {is}"
            );
        }
        recorded
    }

    /// All events, each in its place.
    fn events(&self) -> Vec<RecordedEvent<Event>> {
        self.changes.iter().flat_map(Recorded::recorded_events).collect()
    }

    /// Everything that has a version, as it is shown, by its id.
    fn shown(&self) -> BTreeMap<String, Value> {
        let (order, qr_url) = (&self.order, |_| String::new());
        let sessions = order.sessions.iter().map(|session| json!(view::SessionView(order, session, &qr_url)));
        let payments = order.payments.iter().map(|payment| json!(view::PaymentView(order, payment)));
        let refunds = order.refunds.iter().map(|refund| json!(view::RefundView(order, refund)));
        let parts = sessions.chain(payments).chain(refunds).chain([json!(view::OrderView(order))]);
        parts.map(|shown| (shown["id"].to_string(), shown)).collect()
    }

    /// What must always hold.
    fn check(&self) {
        let events = self.events();
        let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, (1..=self.order.head.sequence).collect::<Vec<_>>());
        let public: Vec<u64> = events.iter().filter_map(|event| event.public_sequence).collect();
        assert_eq!(public, (1..=self.order.head.public_sequence).collect::<Vec<_>>());
        assert_eq!(replay::<OrderAggregate>(&self.changes).unwrap(), self.order);
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

    /// Lets the provider of the newest attempt say something now, and answers how many events followed.
    fn see(&mut self, says: &str) -> usize {
        let attempt = self.order.attempts.last().unwrap().id;
        self.see_of(attempt, says)
    }

    /// The same for each statement of a line, ten seconds apart.
    fn see_all(&mut self, line: &str) {
        for says in line.split(';') {
            self.wait(10).see(says);
        }
    }

    fn see_of(&mut self, attempt: AttemptId, says: &str) -> usize {
        let seen = seen(says, self.now);
        self.observe(attempt, &seen)
    }

    fn observe(&mut self, attempt: AttemptId, seen: &Observation) -> usize {
        let expected = Expected { is_test: false, customer_left: self.customer_left };
        let events = observe(&mut self.context(), attempt, seen, expected);
        self.record(events)
    }

    /// The methods stored by the newest session were read.
    fn profiles_synced(&mut self, found: bool) {
        let session = self.the_session().id;
        let events = submit::profiles_synced(&mut self.context(), session, found);
        self.record(events);
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
        let events: Vec<_> = resolved.collect();
        self.record(events);
    }

    /// `AUTHORIZED 100/0/0`: the payment's status, with what was held, taken and given back.
    fn payment_state(&self) -> String {
        shown(&self.payment().state)
    }

    /// `FAILED DECLINED`: the session's status, and its failure; `again` where the customer may try again.
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

/// A name as the API writes it, as the value that it stands for.
fn named<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&format!("\"{name}\"")).unwrap_or_else(|_| panic!("`{name}` is no name"))
}

/// An observation in short: `PAID captured=60`, `FAILED last why=51`, `FROM_AMOUNTS REFUND_FAILED refunded=0`,
/// `DISPUTED CHARGEBACK`, `UNMAPPED`; `at=` says when in seconds after the tests begin, else it is `as_of`.
fn seen(says: &str, as_of: Timestamp) -> Observation {
    let mut parts = says.split_whitespace();
    let first = parts.next().unwrap();
    let mut seen = Observation {
        meaning: if first == "UNMAPPED" { StatusMapping::Unmapped } else { named(first) },
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
        method: None,
        as_of,
    };
    for part in parts {
        match part.split_once('=') {
            None if part == "last" => seen.terminal = true,
            None if part == "test" => seen.is_test = Some(true),
            None => match serde_json::from_str::<DisputeStage>(&format!("\"{part}\"")) {
                Ok(stage) => seen.stage = Some(stage),
                Err(_) => seen.detail = Some(named::<Detail>(part)),
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
    // Two details of one status are two statuses of the provider's.
    seen.provider_status.status = says.split(" at=").next().unwrap().to_lowercase();
    seen
}

fn set_number(seen: &mut Observation, name: &str, number: i64) {
    let field = match name {
        "at" => {
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
