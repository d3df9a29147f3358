//! Subjects as a shop makes them, change by change, with the domain's own events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paymux::domain::cart::price_order;
use paymux::domain::observe::{Expected, observe};
use paymux::domain::{
    Actor, Attention, AttentionCode, AttentionDecision, Cause, ChangeMeta, Content, Context, EndpointEvent,
    EndpointSecret, EndpointSettings, Erasable, Event, FailureCode, LineItem, Metadata, NewAttempt,
    OrderAggregate, OrderHeader, OrderState, PaymentCapabilities, PaymentProof, PaymentState, PersonalData,
    Profile, ProfileDetails, ProfileEvent, ProfileSession, ProfileSessionEvent, ProfileSessionRequest,
    ProfileStart, Recurring, Refund, RefundOrigin, RefundStatus, Refunded, Requirement, ReturnUrls,
    RouteAttempt, Routing, Session, SessionRequest, SessionStatus, StartFailure, Subject, TaxRate,
    WebhookEndpoint, record, subject_of,
};
use paymux::store::{Change, SubjectChange};
use port::{
    AdapterState, Approach, CaptureMode, Currency, Customer, EndpointId, Env, ItemId, Money, Next, OrderId,
    PaymentStatus, ProfileId, ProfileSessionId, ProfileStatus, ProviderStatus, ProviderView, StatusTable,
    Timestamp, Uuid, translate,
};

/// Where time and ids come from: each look at the clock is a millisecond later than the one before.
pub struct Shop {
    ticks: AtomicU64,
}

/// Whose subjects these are.
pub const MERCHANT: &str = "acme";

/// Whose order the customer's is.
pub const CUSTOMER: &str = "customer-1";

const BEGINNING: u64 = 1_767_225_600_000;

impl Env for Shop {
    /// A moment later than any before.
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from((BEGINNING + self.tick()) * 1_000).unwrap())
    }

    /// An id later than any before.
    fn uuid(&self) -> Uuid {
        let tick = u128::from(self.tick());
        Uuid::from_u128((u128::from(BEGINNING) + tick) << 80 | 0x7 << 76 | 0b10 << 62 | tick)
    }

    fn nonce(&self) -> [u8; 16] {
        self.uuid().into_bytes()
    }
}

impl Shop {
    pub fn new() -> Self {
        Self { ticks: AtomicU64::new(1) }
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }

    /// The id of a new subject.
    pub fn id(&self) -> Uuid {
        subject_of(self.uuid())
    }

    /// A personal value.
    pub fn personal<T: serde::Serialize>(&self, value: T) -> Erasable<T> {
        Erasable::new(value, self.nonce())
    }

    fn meta(&self) -> ChangeMeta {
        let cause = Cause { actor: Actor::Merchant, request: Some("req_1".into()) };
        ChangeMeta { at: self.now(), cause }
    }

    /// A new subject, and the change that creates it.
    pub fn create<S: Subject>(&self, name: &'static str, events: Vec<S::Event>) -> (Arc<S>, Change) {
        let meta = self.meta();
        let mut subject = S::open(&events[0], &meta).unwrap();
        let change = record(&mut subject, events, meta).unwrap();
        let subject = Arc::new(subject);
        let change = SubjectChange::of(None, &subject, &change, 0).unwrap();
        (subject, Change::of(name, change))
    }

    /// A change of a subject, which is then as it will be.
    pub fn change<S: Subject>(
        &self,
        name: &'static str,
        subject: &mut Arc<S>,
        events: Vec<S::Event>,
    ) -> Change {
        let before = subject.clone();
        let change = record(Arc::make_mut(subject), events, self.meta()).unwrap();
        Change::of(name, SubjectChange::of(Some(&*before), subject, &change, 0).unwrap())
    }

    /// A new order of two lines.
    pub fn order(&self, reference: Option<&str>) -> (Arc<OrderAggregate>, Change) {
        self.order_of(MERCHANT, reference)
    }

    /// The same of a merchant.
    pub fn order_of(&self, merchant: &str, reference: Option<&str>) -> (Arc<OrderAggregate>, Change) {
        self.create("create order", vec![Event::OrderCreated(Box::new(self.header(merchant, reference)))])
    }

    /// A new order that is proved by a profile session.
    pub fn proved_order(&self, session: ProfileSessionId) -> (Arc<OrderAggregate>, Change) {
        let source = PaymentProof::ProfileSession(session);
        let used = Event::PaymentProofUsed { source, profile_session: Some(session) };
        self.create("submit", vec![Event::OrderCreated(Box::new(self.header(MERCHANT, None))), used])
    }

    fn header(&self, merchant: &str, reference: Option<&str>) -> OrderHeader {
        let (id, now) = (self.id(), self.now());
        let month = Recurring { interval: paymux::domain::Interval::Month, count: 3 };
        OrderHeader {
            id: OrderId::from_uuid(id),
            merchant: merchant.into(),
            reference: reference.map(str::to_owned),
            currency: eur(),
            state: OrderState::Pending,
            content: Content {
                items: vec![self.item("Tea", None), self.item("Cups", Some(month))],
                shipping: 490,
                tax_included: true,
                requires_signing: Requirement::NotRequired,
                requires_approval: false,
                payment_optional: false,
                profile_required: false,
                auto_submit: true,
                personal: self.personal(PersonalData {
                    customer: Customer {
                        id: Some(CUSTOMER.into()),
                        first_name: Some("Ada".into()),
                        ..Customer::default()
                    },
                    metadata: Metadata::from([("table".into(), "7".into())]),
                    ..PersonalData::default()
                }),
            },
            price: None,
            requirements: None,
            signature: None,
            external_payment: None,
            external_payment_id: None,
            payment_proof: None,
            profile_session: None,
            fulfilment: None,
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

    /// Computes the order's totals and what it needs.
    pub fn price(&self, order: &mut Arc<OrderAggregate>) -> Change {
        let priced = price_order(&order.header, self.now()).unwrap();
        self.change("price", order, vec![priced])
    }

    /// A session of an order, with its payment and its first attempt.
    pub fn checkout(&self, order: &mut Arc<OrderAggregate>, account: &str) -> Change {
        self.session(order, account, None)
    }

    /// The same, which charges a payment profile without the customer.
    pub fn charge(&self, order: &mut Arc<OrderAggregate>, account: &str, profile: ProfileId) -> Change {
        self.session(order, account, Some(profile))
    }

    fn session(&self, order: &mut Arc<OrderAggregate>, account: &str, charge: Option<ProfileId>) -> Change {
        let mut context = Context::of(order, self.now(), self.nonce());
        let (session, attempt) = (context.session_id(), self.attempt(&mut context, account));
        let request = SessionRequest {
            return_urls: ReturnUrls {
                success: Some("https://shop.example/paid".into()),
                ..ReturnUrls::default()
            },
            language: Some("en".into()),
            ..SessionRequest::default()
        };
        let now = self.now();
        let created = Event::SessionCreated(Box::new(Session {
            id: session,
            payment: context.payment_id(),
            attempt: attempt.attempt,
            approach: Approach::Hosted,
            capture: CaptureMode::Automatic,
            money: total(),
            status: SessionStatus::Pending,
            failure: None,
            closing: None,
            used: false,
            profile_found: None,
            created_at: now,
            updated_at: now,
            version: 0,
            routing: routing(),
            fallback: vec!["reserve".into()],
            request: self.personal(request),
            charge,
            expires_at: self.now().plus(std::time::Duration::from_secs(1_800)),
        }));
        let (from, to) = (order.header.state, OrderState::PendingPayment);
        let moved = Event::OrderStateChanged { from, to, reason: None };
        self.change("checkout", order, vec![created, Event::AttemptStarted { session, attempt }, moved])
    }

    fn attempt(&self, context: &mut Context<'_>, account: &str) -> NewAttempt {
        NewAttempt {
            attempt: context.attempt_id(),
            account: account.into(),
            provider: "decta".into(),
            capabilities: PaymentCapabilities {
                refunds: true,
                partial_refunds: true,
                ..PaymentCapabilities::default()
            },
            submits_order: false,
        }
    }

    /// The customer is sent elsewhere: the open attempt is abandoned, another one starts.
    pub fn fail_over(&self, order: &mut Arc<OrderAggregate>, account: &str) -> Change {
        let (session, left) = (order.open_session().unwrap().id, order.open_session().unwrap().attempt);
        let attempt = self.attempt(&mut Context::of(order, self.now(), self.nonce()), account);
        let failure = StartFailure::Unavailable;
        let left = Event::AttemptAbandoned { attempt: left, orphaned: true, failure };
        self.change("fail over", order, vec![left, Event::AttemptStarted { session, attempt }])
    }

    /// The provider has the object; its id there is `reference`.
    pub fn created(&self, order: &mut Arc<OrderAggregate>, reference: &str) -> Change {
        let attempt = order.open_session().unwrap().attempt;
        let created = Event::AttemptCreated {
            attempt,
            reference: reference.into(),
            next: self.page(reference),
            adapter_state: Some(self.adapter_state(reference)),
        };
        self.change("created", order, vec![created])
    }

    fn page(&self, reference: &str) -> Erasable<Next> {
        self.personal(Next::Page(format!("https://pay.example/{reference}")))
    }

    /// What an adapter remembers.
    pub fn adapter_state(&self, reference: &str) -> Erasable<AdapterState> {
        self.personal(AdapterState::from([("basket".to_owned(), reference.to_owned())]))
    }

    /// DECTA reports a status with the whole amount taken, and what follows from it follows.
    pub fn observe(&self, order: &mut Arc<OrderAggregate>, status: &str) -> Change {
        let decta = paymux_providers::ALL.iter().find(|about| about.name == "decta").unwrap();
        let table = StatusTable::parse(decta.statuses).unwrap();
        let (provider_status, captured) = (ProviderStatus::new("order", status), Some(total()));
        let view = ProviderView { provider_status, captured, ..ProviderView::default() };
        let (seen, expected) =
            (translate(&table, view, self.now()), Expected { is_test: false, customer_left: false });
        let attempt = order.attempts.last().unwrap().id;
        let mut context = Context::of(order, self.now(), self.nonce());
        let events = observe(&mut context, attempt, &seen, expected);
        self.change("observe", order, events)
    }

    /// The provider says that it is paid, and the order is submitted with it.
    pub fn paid(&self, order: &mut Arc<OrderAggregate>) -> Change {
        let (session, attempt) = (
            order.open_session().unwrap().id,
            order.attempt(order.open_session().unwrap().attempt).unwrap().clone(),
        );
        let (authorized, captured) = (total().minor, total().minor);
        let state =
            PaymentState { authorized, captured, refunded: Refunded::default(), ..PaymentState::default() };
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
                method: None,
                reported_at: self.now(),
            },
            Event::SessionStatusChanged {
                session,
                from: SessionStatus::Pending,
                to: SessionStatus::Completed,
                failure: None,
            },
            Event::PaymentProofUsed { source: PaymentProof::Session(session), profile_session: None },
            Event::OrderStateChanged { from, to: OrderState::Submitted, reason: None },
        ];
        self.change("paid", order, events)
    }

    /// A part goes back, and a person should look.
    pub fn refund(&self, order: &mut Arc<OrderAggregate>) -> Change {
        let (now, payment) = (self.now(), order.payments.first().unwrap().id);
        let mut context = Context::of(order, now, self.nonce());
        let refund = Refund {
            id: context.refund_id(),
            payment,
            money: Money::new(1_000, eur()),
            status: RefundStatus::Pending,
            reason: Some(self.personal("a broken cup".into())),
            reference: None,
            origin: RefundOrigin::Api,
            failure: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let attention = Attention {
            id: context.attention_id(),
            code: AttentionCode::RefundNeeded,
            payment,
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
    pub fn refunded(&self, order: &mut Arc<OrderAggregate>) -> Change {
        let (refund, attention) = (order.refunds.last().unwrap().id, order.attention.last().unwrap().id);
        let note = Some(self.personal("Ada was called".into()));
        let events = vec![
            Event::RefundStatusChanged { refund, to: RefundStatus::Succeeded, failure: None },
            Event::AttentionResolved { attention, decision: AttentionDecision::Dismiss, note },
        ];
        self.change("refunded", order, events)
    }

    /// A session in which a customer stores a method, with its first attempt.
    pub fn profile_session(&self) -> (Arc<ProfileSession>, Change) {
        let id = ProfileSessionId::from_uuid(self.id());
        let request = ProfileSessionRequest {
            customer_id: CUSTOMER.into(),
            return_urls: ReturnUrls::default(),
            language: None,
            metadata: Metadata::new(),
        };
        let created = ProfileSessionEvent::Created {
            id,
            merchant: MERCHANT.into(),
            approach: Approach::Hosted,
            routing: routing(),
            fallback: Vec::new(),
            request: self.personal(request),
            expires_at: self.now(),
        };
        let started = ProfileSessionEvent::AttemptStarted(ProfileStart {
            attempt: ProfileSession::next_attempt_id(id, 0),
            account: "main".into(),
            provider: "decta".into(),
        });
        self.create("create profile session", vec![created, started])
    }

    /// What becomes of a profile session, one change after the other.
    pub fn profile_session_life(&self) -> Vec<Vec<ProfileSessionEvent>> {
        let (next, adapter_state) = (self.page("S-1"), None);
        vec![
            vec![ProfileSessionEvent::AdapterStateSaved(self.adapter_state("S-1"))],
            vec![ProfileSessionEvent::AttemptCreated { reference: "S-1".into(), next, adapter_state }],
            vec![ProfileSessionEvent::CloseRequested { code: FailureCode::Cancelled }],
            vec![ProfileSessionEvent::StatusChanged {
                to: SessionStatus::Completed,
                failure: None,
                profile: Some(ProfileId::from_uuid(self.id())),
            }],
        ]
    }

    /// A payment profile that its provider knows by a reference.
    pub fn profile(&self, reference: &str) -> (Arc<Profile>, Change) {
        self.profile_of(MERCHANT, reference)
    }

    /// The same of any merchant.
    pub fn profile_of(&self, merchant: &str, reference: &str) -> (Arc<Profile>, Change) {
        let details = ProfileDetails {
            customer_id: CUSTOMER.into(),
            reference: reference.into(),
            kind: "CARD".into(),
            display_name: Some("Visa 4242".into()),
            expires_at: None,
            metadata: Metadata::new(),
        };
        let stored = ProfileEvent::Stored {
            id: ProfileId::from_uuid(self.id()),
            merchant: merchant.into(),
            account: "main".into(),
            provider: "decta".into(),
            status: ProfileStatus::Active,
            details: self.personal(details),
        };
        self.create("store profile", vec![stored])
    }

    /// A webhook endpoint that takes every event.
    pub fn endpoint(&self) -> (Arc<WebhookEndpoint>, Change) {
        let created = EndpointEvent::Created {
            id: EndpointId::from_uuid(self.id()),
            merchant: MERCHANT.into(),
            settings: EndpointSettings {
                url: "https://shop.example/events".into(),
                types: Vec::new(),
                description: None,
            },
            secret: self.secret("whsec_1"),
        };
        self.create("create endpoint", vec![created])
    }

    /// A secret of an endpoint.
    pub fn secret(&self, text: &str) -> Erasable<EndpointSecret> {
        self.personal(EndpointSecret::new(text.into()))
    }
}

fn routing() -> Routing {
    Routing {
        rule: "cards".into(),
        reason: "euro cards".into(),
        tried: vec![RouteAttempt { account: "other".into(), outcome: "too small".into() }],
    }
}

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn total() -> Money {
    Money::new(5_490, eur())
}
