//! Order files as a shop makes them, change by change, with the domain's own facts.

use std::sync::atomic::{AtomicU64, Ordering};

use paymux::domain::{
    Actor, Attempt, AttemptState, Attention, AttentionCode, AttentionDecision, Cause, Erasable, Event,
    EventMeta, LineItem, Metadata, OrderAggregate, OrderHeader, OrderState, Payment, PaymentCapabilities,
    PaymentSource, PaymentState, PersonalData, Recurring, Refund, RefundOrigin, RefundStatus, Refunded,
    Requirement, ReturnUrls, RouteAttempt, Routing, Session, SessionRequest, SessionStatus, TaxRate,
};
use paymux::store::Change;
use port::{
    Approach, AttemptId, AttentionId, CaptureMode, Currency, Customer, ItemId, LinkDelivery, Money, Next,
    OrderId, PaymentId, PaymentStatus, ProviderStatus, RefundId, SessionId, Timestamp, Uuid,
};

/// Where time and ids come from: each look at the clock is a second later than the one before.
pub struct OrderFactory {
    ticks: AtomicU64,
}

/// Whose orders these are.
pub const MERCHANT: &str = "acme";

impl OrderFactory {
    pub fn new() -> Self {
        Self { ticks: AtomicU64::new(1) }
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }

    /// A moment later than any before.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_767_225_600 + i64::try_from(self.tick()).unwrap())
    }

    /// An id later than any before.
    pub fn uuid(&self) -> Uuid {
        let tick = u128::from(self.tick());
        Uuid::from_u128((1_767_225_600_000 + tick) << 80 | 0x7 << 76 | 0b10 << 62 | tick)
    }

    fn seal<T: serde::Serialize>(&self, value: T) -> Erasable<T> {
        Erasable::new(value, self.uuid().into_bytes())
    }

    /// A change of a file, which is then as it will be.
    pub fn change(&self, name: &'static str, order: &mut OrderAggregate, events: Vec<Event>) -> Change {
        let cause = Cause { actor: Actor::Merchant, request: Some("req_1".into()) };
        let meta = EventMeta { at: self.now(), cause: &cause };
        Change::of(name, order, events, &meta, &mut || self.uuid()).unwrap()
    }

    /// A new order of two lines.
    pub fn place(&self, reference: Option<&str>) -> (OrderAggregate, Change) {
        let placed = Event::OrderCreated(Box::new(self.order(reference)));
        let mut order = OrderAggregate::create(&placed).unwrap();
        let change = self.change("place", &mut order, vec![placed]);
        (order, change)
    }

    fn order(&self, reference: Option<&str>) -> OrderHeader {
        let now = self.now();
        OrderHeader {
            id: OrderId::from_uuid(self.uuid()),
            merchant: MERCHANT.into(),
            reference: reference.map(str::to_owned),
            currency: eur(),
            state: OrderState::Pending,
            items: vec![
                self.item("Tea", None),
                self.item("Cups", Some(Recurring { interval: paymux::domain::Interval::Month, count: 3 })),
            ],
            shipping: 490,
            tax_included: true,
            requires_signing: Requirement::NotRequired,
            requires_approval: false,
            auto_submit: true,
            personal: self.seal(PersonalData {
                customer: Customer {
                    email: Some("ada@example.com".into()),
                    first_name: Some("Ada".into()),
                    ..Customer::default()
                },
                billing_address: None,
                shipping_address: None,
                metadata: Metadata::from([("table".into(), "7".into())]),
            }),
            price: None,
            requirements: None,
            signature: None,
            external_payment: None,
            external_payment_id: None,
            fulfilment: None,
            payment_source: None,
            created_at: now,
            updated_at: now,
            idle_seconds: 3_600,
            expires_at: now,
            submitted_at: None,
            completed_at: None,
        }
    }

    fn item(&self, title: &str, recurring: Option<Recurring>) -> LineItem {
        LineItem {
            id: ItemId::from_uuid(self.uuid()),
            sku: Some(format!("sku-{title}")),
            title: title.into(),
            quantity: 2,
            unit_price: 1_250,
            tax_rate: "8.25".parse::<TaxRate>().unwrap(),
            discount: 0,
            recurring,
        }
    }

    /// A session of an order, with its payment and its first attempt.
    pub fn checkout(&self, order: &mut OrderAggregate, account: &str) -> Change {
        let (session, payment) = (SessionId::from_uuid(self.uuid()), PaymentId::from_uuid(self.uuid()));
        let attempt = self.attempt(session, payment, account);
        let opened = Event::SessionCreated {
            session: Box::new(self.session(session, &attempt)),
            payment: Box::new(self.payment(payment, Some(session))),
        };
        let from = order.header.state;
        let moved = Event::OrderStateChanged { from, to: OrderState::PendingPayment, why: None };
        self.change("checkout", order, vec![opened, Event::AttemptStarted(Box::new(attempt)), moved])
    }

    fn session(&self, id: SessionId, attempt: &Attempt) -> Session {
        let now = self.now();
        Session {
            id,
            payment: attempt.payment,
            attempt: attempt.id,
            approach: attempt.approach,
            capture: attempt.capture,
            money: attempt.money,
            status: SessionStatus::Pending,
            failure: None,
            routing: Routing {
                rule: "cards".into(),
                reason: "euro cards".into(),
                tried: vec![RouteAttempt { account: "other".into(), outcome: "too small".into() }],
            },
            fallback: vec!["reserve".into()],
            request: self.seal(SessionRequest {
                return_urls: ReturnUrls {
                    success: Some("https://shop.example/paid".into()),
                    ..ReturnUrls::default()
                },
                link_delivery: LinkDelivery::default(),
                language: Some("en".into()),
                save_payment_profile: false,
                payment_profile_id: None,
                profile_reference: None,
                metadata: Metadata::new(),
            }),
            charge: None,
            closing: None,
            used: false,
            created_at: now,
            updated_at: now,
            expires_at: now,
            version: 1,
        }
    }

    /// A payment of 54.90 EUR.
    pub fn payment(&self, id: PaymentId, session: Option<SessionId>) -> Payment {
        let now = self.now();
        Payment {
            id,
            session,
            attempt: None,
            money: total(),
            capture: CaptureMode::Automatic,
            capabilities: powers(),
            authorization_expires_at: None,
            state: PaymentState::default(),
            provider_status: None,
            detail: None,
            failure: None,
            reported_at: now,
            capture_requested: None,
            operation: None,
            external: false,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    fn attempt(&self, session: SessionId, payment: PaymentId, account: &str) -> Attempt {
        let id = AttemptId::from_uuid(self.uuid());
        Attempt {
            id,
            session: Some(session),
            payment,
            account: account.into(),
            provider: "decta".into(),
            capabilities: powers(),
            money: total(),
            approach: Approach::Hosted,
            capture: CaptureMode::Automatic,
            state: AttemptState::Started,
            reference: None,
            adapter_state: None,
            next: None,
            start_failure: None,
            provider_order_submitted: false,
            submits_order: false,
            return_hash: Some(format!("hash of {id}")),
            started_at: self.now(),
        }
    }

    /// The customer is sent elsewhere: the open attempt is left, another one starts.
    pub fn fail_over(&self, order: &mut OrderAggregate, account: &str) -> Change {
        let left = order.open_attempt().unwrap().clone();
        let next = self.attempt(left.session.unwrap(), left.payment, account);
        let left = Event::AttemptAbandoned { attempt: left.id, orphaned: true, why: "timeout".into() };
        self.change("fail over", order, vec![left, Event::AttemptStarted(Box::new(next))])
    }

    /// The provider has the object; its id there is `reference`.
    pub fn begun(&self, order: &mut OrderAggregate, reference: &str) -> Change {
        let attempt = order.open_attempt().unwrap().id;
        let begun = Event::AttemptCreated {
            attempt,
            reference: reference.into(),
            next: self.seal(Next::Page(format!("https://pay.example/{reference}"))),
            adapter_state: Some(self.seal([("basket".to_owned(), reference.to_owned())].into())),
        };
        self.change("begun", order, vec![begun])
    }

    /// The provider says that it is paid, and the order is submitted with it.
    pub fn paid(&self, order: &mut OrderAggregate) -> Change {
        let attempt = order.open_attempt().unwrap().clone();
        let session = attempt.session.unwrap();
        let state = PaymentState {
            authorized: total().minor,
            captured: total().minor,
            refunded: Refunded::default(),
            ..PaymentState::default()
        };
        let from = order.header.state;
        let events = vec![
            Event::PaymentUpdated {
                payment: attempt.payment,
                attempt: attempt.id,
                from: PaymentStatus::Pending,
                to: state.status(),
                state,
                provider_status: ProviderStatus { object: "order".into(), status: "paid".into() },
                detail: None,
                failure: None,
                reported_at: self.now(),
            },
            Event::SessionStatusChanged {
                session,
                from: SessionStatus::Pending,
                to: SessionStatus::Completed,
                failure: None,
            },
            Event::PaymentSourceUsed(PaymentSource::Session(session)),
            Event::OrderStateChanged { from, to: OrderState::Submitted, why: None },
        ];
        self.change("paid", order, events)
    }

    /// A part goes back, and a person should look.
    pub fn refund(&self, order: &mut OrderAggregate) -> Change {
        let (now, payment) = (self.now(), order.payments.first().unwrap().id);
        let refund = Refund {
            id: RefundId::from_uuid(self.uuid()),
            payment,
            money: Money::new(1_000, eur()),
            status: RefundStatus::Pending,
            reason: Some(self.seal("a broken cup".into())),
            reference: None,
            origin: RefundOrigin::Api,
            failure: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let attention = Attention {
            id: AttentionId::from_uuid(self.uuid()),
            code: AttentionCode::RefundNeeded,
            payment: Some(payment),
            detail: "by hand".into(),
            stated: None,
            raised_at: now,
            resolved_at: None,
            resolution: None,
        };
        let events = vec![Event::RefundCreated(Box::new(refund)), Event::AttentionRaised(attention)];
        self.change("refund", order, events)
    }

    /// The refund went through and the person has looked.
    pub fn refunded(&self, order: &mut OrderAggregate) -> Change {
        let (refund, attention) = (order.refunds.first().unwrap().id, order.attention.first().unwrap().id);
        let events = vec![
            Event::RefundStatusChanged { refund, to: RefundStatus::Succeeded, failure: None },
            Event::AttentionResolved { attention, decision: AttentionDecision::Dismiss, note: None },
        ];
        self.change("refunded", order, events)
    }
}

/// Of every amount here.
pub fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn powers() -> PaymentCapabilities {
    PaymentCapabilities { refunds: true, partial_refunds: true, ..PaymentCapabilities::default() }
}

fn total() -> Money {
    Money::new(5_490, eur())
}
