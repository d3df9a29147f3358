//! Order files as a shop makes them, change by change, with the domain's own facts.

use std::sync::atomic::{AtomicU64, Ordering};

use paymux::domain::{
    Actor, AttemptRecord, AttemptState, Attention, AttentionCode, Cause, Decision, Fact, Item, Metadata,
    Order, OrderFile, OrderState, Payment, Personal, Powers, Proof, Rate, Recurring, Refund, RefundOrigin,
    RefundStatus, Refunded, Requirement, ReturnUrls, Routing, Sealed, Session, SessionAsk, SessionStatus,
    Stamp, Standing, Tried,
};
use paymux::store::Change;
use port::{
    Approach, AttemptId, AttentionId, CaptureMode, Currency, Customer, ItemId, Money, Next, Notify, OrderId,
    PaymentId, PaymentStatus, RefundId, SessionId, StatusWord, Timestamp, Uuid,
};

/// Where time and ids come from: each look at the clock is a second later than the one before.
pub struct Shop {
    ticks: AtomicU64,
}

/// Whose orders these are.
pub const MERCHANT: &str = "acme";

impl Shop {
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

    fn seal<T: serde::Serialize>(&self, value: T) -> Sealed<T> {
        Sealed::new(value, self.uuid().into_bytes())
    }

    /// A change of a file, which is then as it will be.
    pub fn change(&self, name: &'static str, file: &mut OrderFile, facts: Vec<Fact>) -> Change {
        let cause = Cause { actor: Actor::Merchant, request: Some("req_1".into()) };
        let stamp = Stamp { at: self.now(), cause: &cause };
        Change::of(name, file, facts, &stamp, &mut || self.uuid()).unwrap()
    }

    /// A new order of two lines.
    pub fn place(&self, reference: Option<&str>) -> (OrderFile, Change) {
        let placed = Fact::OrderPlaced(Box::new(self.order(reference)));
        let mut file = OrderFile::open(&placed).unwrap();
        let change = self.change("place", &mut file, vec![placed]);
        (file, change)
    }

    fn order(&self, reference: Option<&str>) -> Order {
        let now = self.now();
        Order {
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
            personal: self.seal(Personal {
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
            proof: None,
            created_at: now,
            updated_at: now,
            idle_seconds: 3_600,
            expires_at: now,
            submitted_at: None,
            completed_at: None,
        }
    }

    fn item(&self, title: &str, recurring: Option<Recurring>) -> Item {
        Item {
            id: ItemId::from_uuid(self.uuid()),
            sku: Some(format!("sku-{title}")),
            title: title.into(),
            quantity: 2,
            unit_price: 1_250,
            tax_rate: "8.25".parse::<Rate>().unwrap(),
            discount: 0,
            recurring,
        }
    }

    /// A session of an order, with its payment and its first attempt.
    pub fn checkout(&self, file: &mut OrderFile, account: &str) -> Change {
        let (session, payment) = (SessionId::from_uuid(self.uuid()), PaymentId::from_uuid(self.uuid()));
        let attempt = self.attempt(session, payment, account);
        let opened = Fact::SessionOpened {
            session: Box::new(self.session(session, &attempt)),
            payment: Box::new(self.payment(payment, Some(session))),
        };
        let from = file.order.state;
        let moved = Fact::OrderMoved { from, to: OrderState::PendingPayment, why: None };
        self.change("checkout", file, vec![opened, Fact::AttemptStarted(Box::new(attempt)), moved])
    }

    fn session(&self, id: SessionId, attempt: &AttemptRecord) -> Session {
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
                tried: vec![Tried { account: "other".into(), outcome: "too small".into() }],
            },
            fallback: vec!["reserve".into()],
            ask: self.seal(SessionAsk {
                return_urls: ReturnUrls {
                    success: Some("https://shop.example/paid".into()),
                    ..ReturnUrls::default()
                },
                notify: Notify::default(),
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
            powers: powers(),
            authorization_expires_at: None,
            standing: Standing::default(),
            word: None,
            detail: None,
            failure: None,
            seen_at: now,
            capture_asked: None,
            operation: None,
            external: false,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    fn attempt(&self, session: SessionId, payment: PaymentId, account: &str) -> AttemptRecord {
        let id = AttemptId::from_uuid(self.uuid());
        AttemptRecord {
            id,
            session: Some(session),
            payment,
            account: account.into(),
            provider: "decta".into(),
            powers: powers(),
            money: total(),
            approach: Approach::Hosted,
            capture: CaptureMode::Automatic,
            state: AttemptState::Started,
            reference: None,
            theirs: None,
            next: None,
            ended_by: None,
            handed_over: false,
            hands_over: false,
            return_hash: Some(format!("hash of {id}")),
            started_at: self.now(),
        }
    }

    /// The customer is sent elsewhere: the open attempt is left, another one starts.
    pub fn fail_over(&self, file: &mut OrderFile, account: &str) -> Change {
        let left = file.open_attempt().unwrap().clone();
        let next = self.attempt(left.session.unwrap(), left.payment, account);
        let left = Fact::AttemptLeft { attempt: left.id, orphaned: true, why: "timeout".into() };
        self.change("fail over", file, vec![left, Fact::AttemptStarted(Box::new(next))])
    }

    /// The provider has the object; its id there is `reference`.
    pub fn begun(&self, file: &mut OrderFile, reference: &str) -> Change {
        let attempt = file.open_attempt().unwrap().id;
        let begun = Fact::AttemptBegun {
            attempt,
            reference: reference.into(),
            next: self.seal(Next::Page(format!("https://pay.example/{reference}"))),
            theirs: Some(self.seal([("basket".to_owned(), reference.to_owned())].into())),
        };
        self.change("begun", file, vec![begun])
    }

    /// The provider says that it is paid, and the order is submitted with it.
    pub fn paid(&self, file: &mut OrderFile) -> Change {
        let attempt = file.open_attempt().unwrap().clone();
        let session = attempt.session.unwrap();
        let standing = Standing {
            authorized: total().minor,
            captured: total().minor,
            refunded: Refunded::default(),
            ..Standing::default()
        };
        let from = file.order.state;
        let facts = vec![
            Fact::PaymentObserved {
                payment: attempt.payment,
                attempt: attempt.id,
                from: PaymentStatus::Pending,
                to: standing.status(),
                standing,
                word: StatusWord { of: "order".into(), word: "paid".into() },
                detail: None,
                failure: None,
                seen_at: self.now(),
            },
            Fact::SessionMoved {
                session,
                from: SessionStatus::Pending,
                to: SessionStatus::Completed,
                failure: None,
            },
            Fact::ProofUsed(Proof::Session(session)),
            Fact::OrderMoved { from, to: OrderState::Submitted, why: None },
        ];
        self.change("paid", file, facts)
    }

    /// A part goes back, and a person should look.
    pub fn refund(&self, file: &mut OrderFile) -> Change {
        let (now, payment) = (self.now(), file.payments.first().unwrap().id);
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
        let facts = vec![Fact::RefundMade(Box::new(refund)), Fact::AttentionRaised(attention)];
        self.change("refund", file, facts)
    }

    /// The refund went through and the person has looked.
    pub fn refunded(&self, file: &mut OrderFile) -> Change {
        let (refund, attention) = (file.refunds.first().unwrap().id, file.attention.first().unwrap().id);
        let facts = vec![
            Fact::RefundMoved { refund, to: RefundStatus::Succeeded, failure: None },
            Fact::AttentionResolved { attention, decision: Decision::Dismiss, note: None },
        ];
        self.change("refunded", file, facts)
    }
}

/// Of every amount here.
pub fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn powers() -> Powers {
    Powers { refunds: true, partial_refunds: true, ..Powers::default() }
}

fn total() -> Money {
    Money::new(5_490, eur())
}
