//! One event of every kind, with every field that it can have; and one more where a field may be absent.

use port::{
    AdapterState, Address, AttentionId, EndpointId, LinkDelivery, PaymentId, PaymentMethod,
    PaymentMethodType, ProfileId, ProfileSessionId, RefundId,
};

use super::super::*;

fn part(number: u64) -> Uuid {
    part_of(subject_id(1), number)
}

fn text(text: &str) -> Erasable<String> {
    Erasable::new(text.to_owned(), [7; 16])
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn metadata() -> Metadata {
    Metadata::from([("cart".to_owned(), "7".to_owned())])
}

pub(super) fn adapter_state() -> Erasable<AdapterState> {
    Erasable::new(AdapterState::from([("step".to_owned(), "two".to_owned())]), [7; 16])
}

pub(super) fn nexts() -> [Erasable<Next>; 3] {
    let widget = BTreeMap::from([("token".to_owned(), "t".to_owned())]);
    [Next::Page("https://pay.example/1".to_owned()), Next::Widget(widget), Next::Nothing]
        .map(|next| Erasable::new(next, [7; 16]))
}

pub(super) fn personal() -> Erasable<PersonalData> {
    let customer = Customer {
        id: some("ann"),
        email: some("ann@shop.example"),
        phone: some("37120000000"),
        first_name: some("Ann"),
        last_name: some("Lee"),
    };
    let address = Address { name: some("Ann Lee"), city: some("Riga"), ..Address::default() };
    let (billing_address, shipping_address) = (Some(address), Some(Address::default()));
    Erasable::new(PersonalData { customer, billing_address, shipping_address, metadata: metadata() }, [7; 16])
}

pub(super) fn external() -> Erasable<ExternalPayment> {
    let external = ExternalPayment {
        reference: "r-1".to_owned(),
        receipt_description: some("cash"),
        receipt_url: some("https://shop.example/r-1"),
        received_at: at(0),
    };
    Erasable::new(external, [7; 16])
}

fn return_urls() -> ReturnUrls {
    ReturnUrls { success: some("https://shop.example/ok"), in_progress: None, failure: None, cancel: None }
}

pub(super) fn session_request() -> Erasable<SessionRequest> {
    let request = SessionRequest {
        return_urls: return_urls(),
        link_delivery: LinkDelivery::default(),
        language: some("lv"),
        save_payment_profile: true,
        payment_methods: vec![PaymentMethodType::Card],
        max_attempts: Some(3),
        payment_profile_id: Some(ProfileId::from_uuid(subject_id(2))),
        profile_reference: some("card-1"),
        metadata: metadata(),
    };
    Erasable::new(request, [7; 16])
}

pub(super) fn profile_session_request() -> Erasable<ProfileSessionRequest> {
    let request = ProfileSessionRequest {
        customer_id: "ann".to_owned(),
        return_urls: return_urls(),
        language: some("lv"),
        metadata: metadata(),
    };
    Erasable::new(request, [7; 16])
}

pub(super) fn profile_details() -> Erasable<ProfileDetails> {
    let details = ProfileDetails {
        customer_id: "ann".to_owned(),
        reference: "card-1".to_owned(),
        kind: "CARD".to_owned(),
        display_name: some("Visa 4242"),
        expires_at: some("2030-01-31"),
        metadata: metadata(),
    };
    Erasable::new(details, [7; 16])
}

pub(super) fn secret() -> Erasable<EndpointSecret> {
    Erasable::new(EndpointSecret::new("whsec_a".to_owned()), [7; 16])
}

fn items() -> Vec<LineItem> {
    let recurring = Some(Recurring { interval: Interval::Month, count: 3 });
    vec![LineItem { sku: some("sku-1"), recurring, ..item(2, 50, "8.25", 5) }, item(1, 5, "0", 0)]
}

fn totals() -> Price {
    let (subtotal, discount, tax, shipping, total) = (105, 5, 8, 4, 112);
    Price { subtotal, discount, tax, shipping, total, currency: currency("EUR"), calculated_at: at(1) }
}

fn needs() -> Requirements {
    Requirements {
        requires_payment: Requirement::Required,
        requires_payment_profile: Requirement::Optional,
        requires_signing: Requirement::NotRequired,
    }
}

fn header() -> OrderHeader {
    OrderHeader {
        reference: some("cart-7"),
        content: Content { personal: personal(), ..order(items()).content },
        price: Some(totals()),
        requirements: Some(needs()),
        signature: Some(signature()),
        external_payment: Some(external()),
        external_payment_id: Some(PaymentId::from_uuid(part(1))),
        payment_proof: Some(PaymentProof::External("r-1".to_owned())),
        profile_session: Some(ProfileSessionId::from_uuid(subject_id(3))),
        submitted_at: Some(at(2)),
        completed_at: Some(at(3)),
        fulfilment: Some(text("sent")),
        ..order(items())
    }
}

fn failure() -> Failure {
    Failure { code: some("51"), text: some("insufficient funds") }
}

fn state() -> PaymentState {
    let reported = ReportedStatus { terminal: true, as_of: at(2), status: PaymentStatus::Failed };
    let (stage, amount) = (DisputeStage::Chargeback, Some(30));
    PaymentState {
        reported_status: Some(reported),
        authorized: 100,
        captured: 60,
        authorization: Some(Authorization { as_of: at(3), gone: true }),
        refunded: Refunded { stated: vec![(at(5), 10), (at(4), 20)], lowered_at: Some(at(4)) },
        dispute: Some(DisputeReport { as_of: at(6), stage, amount, opened_at: at(5) }),
        dispute_closed: Some(DisputeClosed { as_of: at(7), lost: true }),
    }
}

fn operation(kind: OperationKind) -> Operation {
    let refund = Some(RefundId::from_uuid(part(1)));
    Operation {
        kind,
        amount: Some(40),
        refund,
        before: 10,
        since: at(8),
        unanswered_since: Some(at(9)),
        unsent: true,
    }
}

fn plain_operation(kind: OperationKind) -> Operation {
    Operation { amount: None, refund: None, unanswered_since: None, unsent: false, ..operation(kind) }
}

pub(super) fn method() -> Erasable<PaymentMethod> {
    let paid_with = PaymentMethod {
        kind: Some(PaymentMethodType::Card),
        brand: some("VISA"),
        last4: some("4242"),
        wallet: some("APPLE_PAY"),
        country: some("LV"),
    };
    Erasable::new(paid_with, [7; 16])
}

fn payment() -> Payment {
    Payment {
        id: PaymentId::from_uuid(part(1)),
        session: Some(SessionId::from_uuid(part(1))),
        attempt: Some(AttemptId::from_uuid(part(1))),
        money: eur(100),
        capture: CaptureMode::Manual,
        capabilities: PaymentCapabilities { poll_after_capture_days: 180, ..HOLDS },
        authorization_expires_at: Some(at(9)),
        state: state(),
        provider_status: Some(ProviderStatus::new("order", "paid")),
        detail: Some(Detail::PaidExternally),
        failure: Some(failure()),
        method: Some(method()),
        reported_at: at(6),
        capture_requested: Some(60),
        operation: Some(operation(OperationKind::Refund)),
        external: false,
        created_at: at(1),
        updated_at: at(7),
        version: 4,
    }
}

fn plain_payment() -> Payment {
    Payment {
        session: None,
        attempt: None,
        capabilities: TAKES,
        authorization_expires_at: None,
        state: PaymentState::default(),
        provider_status: None,
        detail: None,
        failure: None,
        method: None,
        capture_requested: None,
        operation: None,
        external: true,
        ..payment()
    }
}

fn refund() -> Refund {
    Refund {
        id: RefundId::from_uuid(part(1)),
        payment: PaymentId::from_uuid(part(1)),
        money: eur(40),
        status: RefundStatus::Failed,
        reason: Some(text("broken")),
        reference: some("credit-1"),
        origin: RefundOrigin::Api,
        failure: Some(failure()),
        created_at: at(1),
        updated_at: at(2),
        version: 2,
    }
}

fn attention() -> Attention {
    Attention {
        id: AttentionId::from_uuid(part(1)),
        code: AttentionCode::AmountMismatch,
        payment: PaymentId::from_uuid(part(1)),
        detail: "asked for 1.00 EUR, the provider states 0.90 EUR".to_owned(),
        stated: Some(eur(90)),
        raised_at: at(5),
        resolved_at: Some(at(6)),
        resolution: Some(Resolution { decision: AttentionDecision::Keep, note: Some(text("called")) }),
    }
}

fn routing() -> Routing {
    let tried = vec![RouteAttempt { account: "other".to_owned(), outcome: "busy".to_owned() }];
    Routing { rule: "2".to_owned(), reason: "EUR goes to `first`".to_owned(), tried }
}

fn new_session() -> Session {
    Session {
        id: SessionId::from_uuid(part(1)),
        payment: PaymentId::from_uuid(part(1)),
        attempt: AttemptId::from_uuid(part(1)),
        approach: Approach::Hosted,
        capture: CaptureMode::Automatic,
        money: eur(100),
        status: SessionStatus::Pending,
        failure: None,
        closing: None,
        used: false,
        profile_found: None,
        created_at: at(0),
        updated_at: at(0),
        version: 0,
        routing: routing(),
        fallback: vec!["second".to_owned()],
        request: session_request(),
        charge: Some(ProfileId::from_uuid(subject_id(2))),
        expires_at: at(3_600),
    }
}

fn new_attempt() -> NewAttempt {
    NewAttempt {
        attempt: AttemptId::from_uuid(part(1)),
        account: "first".to_owned(),
        provider: "tester".to_owned(),
        capabilities: HOLDS,
        submits_order: true,
    }
}

fn session_failure() -> SessionFailure {
    let (message, provider_code) = (some("insufficient funds"), some("51"));
    SessionFailure { code: FailureCode::Declined, message, provider_code, retryable: true }
}

fn events_of_the_order() -> Vec<Event> {
    let content = Box::new(header().content);
    let (from, to) = (OrderState::Pending, OrderState::Expired);
    let proof = Some(ProfileSessionId::from_uuid(subject_id(3)));
    let source = |source, profile_session| Event::PaymentProofUsed { source, profile_session };
    vec![
        Event::OrderCreated(Box::new(header())),
        Event::OrderCreated(Box::new(order(Vec::new()))),
        Event::OrderEdited { content, only_metadata: true },
        Event::OrderPriced { price: totals(), requirements: needs() },
        Event::OrderSigned(signature()),
        Event::ExternalPaymentRecorded { external: external(), payment: Box::new(plain_payment()) },
        Event::OrderStateChanged { from, to, reason: some("cancelled") },
        Event::OrderStateChanged { from, to, reason: None },
        Event::FulfilmentReported(text("sent")),
        source(PaymentProof::Nothing, None),
        source(PaymentProof::External("r-1".to_owned()), proof),
        source(PaymentProof::Session(SessionId::from_uuid(part(1))), None),
        source(PaymentProof::Profile(ProfileId::from_uuid(subject_id(2))), None),
        source(PaymentProof::ProfileSession(ProfileSessionId::from_uuid(subject_id(3))), proof),
        Event::PersonalDataErased,
        Event::AttentionRaised(attention()),
        Event::AttentionRaised(Attention {
            stated: None,
            resolved_at: None,
            resolution: None,
            ..attention()
        }),
        Event::AttentionResolved {
            attention: AttentionId::from_uuid(part(1)),
            decision: AttentionDecision::Refund,
            note: Some(text("called")),
        },
        Event::AttentionResolved {
            attention: AttentionId::from_uuid(part(1)),
            decision: AttentionDecision::Dismiss,
            note: None,
        },
    ]
}

fn events_of_sessions() -> Vec<Event> {
    let (session, attempt) = (SessionId::from_uuid(part(1)), AttemptId::from_uuid(part(1)));
    let [page, widget, _] = nexts();
    let (from, to) = (SessionStatus::Pending, SessionStatus::Failed);
    let reference = || "theirs".to_owned();
    vec![
        Event::SessionCreated(Box::new(new_session())),
        Event::SessionCreated(Box::new(Session { fallback: vec![], charge: None, ..new_session() })),
        Event::AttemptStarted { session, attempt: new_attempt() },
        Event::AttemptStarted {
            session,
            attempt: NewAttempt { capabilities: TAKES, submits_order: false, ..new_attempt() },
        },
        Event::AdapterStateSaved { attempt, adapter_state: adapter_state() },
        Event::AttemptCreated {
            attempt,
            reference: reference(),
            next: page,
            adapter_state: Some(adapter_state()),
        },
        Event::AttemptCreated { attempt, reference: reference(), next: widget, adapter_state: None },
        Event::StartUnknown { attempt },
        Event::AnswerUnreadable { attempt },
        Event::AnswerReadable { attempt },
        Event::AttemptAbandoned { attempt, orphaned: true, failure: StartFailure::OutcomeUnknown },
        Event::SessionStatusChanged { session, from, to, failure: Some(session_failure()) },
        Event::SessionStatusChanged { session, from, to, failure: None },
        Event::ProfilesSynced { session, found: true },
        Event::ProviderOrderSubmitted { attempt },
    ]
}

fn events_of_payments() -> Vec<Event> {
    let (id, attempt) = (PaymentId::from_uuid(part(1)), AttemptId::from_uuid(part(1)));
    let updated = |detail, failure: Option<Failure>| Event::PaymentUpdated {
        payment: id,
        attempt,
        from: PaymentStatus::Pending,
        to: PaymentStatus::Disputed,
        state: state(),
        provider_status: ProviderStatus::new("order", "charged_back"),
        detail,
        method: failure.is_some().then(method),
        failure,
        reported_at: at(6),
    };
    let refunded = |failure| Event::RefundStatusChanged {
        refund: RefundId::from_uuid(part(1)),
        to: RefundStatus::Reversed,
        failure,
    };
    let requested = |operation, closing| Event::OperationRequested { payment: id, operation, closing };
    let finished = |operation, declined| Event::OperationFinished { payment: id, operation, declined };
    let disputed = |lost| Event::DisputeUpdated { payment: id, stage: DisputeStage::Retrieval, lost };
    vec![
        updated(Some(Detail::RefundReversed), Some(failure())),
        updated(None, None),
        Event::PaymentNotStarted { payment: id },
        Event::LatePaymentFound(Box::new(payment())),
        requested(operation(OperationKind::Close), Some(FailureCode::Cancelled)),
        requested(plain_operation(OperationKind::Capture), None),
        Event::OperationUnanswered { payment: id, unsent: true },
        finished(operation(OperationKind::Refund), Some(failure())),
        finished(plain_operation(OperationKind::Void), None),
        Event::RefundCreated(Box::new(refund())),
        Event::RefundCreated(Box::new(Refund { reason: None, reference: None, failure: None, ..refund() })),
        refunded(Some(failure())),
        refunded(None),
        disputed(Some(false)),
        disputed(None),
    ]
}

pub(super) fn order_events() -> Vec<Event> {
    [events_of_the_order(), events_of_sessions(), events_of_payments()].concat()
}

pub(super) fn profile_session_events() -> Vec<ProfileSessionEvent> {
    let [page, _, nothing] = nexts();
    let reference = || "theirs".to_owned();
    let start = ProfileStart {
        attempt: ProfileSession::next_attempt_id(ProfileSessionId::from_uuid(subject_id(3)), 0),
        account: "first".to_owned(),
        provider: "tester".to_owned(),
    };
    let changed = |to, failure, profile| ProfileSessionEvent::StatusChanged { to, failure, profile };
    vec![
        ProfileSessionEvent::Created {
            id: ProfileSessionId::from_uuid(subject_id(3)),
            merchant: "shop".to_owned(),
            approach: Approach::Embedded,
            routing: routing(),
            fallback: vec!["second".to_owned()],
            request: profile_session_request(),
            expires_at: at(3_600),
        },
        ProfileSessionEvent::AttemptStarted(start),
        ProfileSessionEvent::AdapterStateSaved(adapter_state()),
        ProfileSessionEvent::AttemptCreated {
            reference: reference(),
            next: page,
            adapter_state: Some(adapter_state()),
        },
        ProfileSessionEvent::AttemptCreated { reference: reference(), next: nothing, adapter_state: None },
        ProfileSessionEvent::AttemptAbandoned { failure: StartFailure::NotSent },
        ProfileSessionEvent::CloseRequested { code: FailureCode::Cancelled },
        changed(SessionStatus::Failed, Some(session_failure()), None),
        changed(SessionStatus::Completed, None, Some(ProfileId::from_uuid(subject_id(2)))),
        ProfileSessionEvent::PersonalDataErased,
    ]
}

pub(super) fn profile_events() -> Vec<ProfileEvent> {
    vec![
        ProfileEvent::Stored {
            id: ProfileId::from_uuid(subject_id(2)),
            merchant: "shop".to_owned(),
            account: "first".to_owned(),
            provider: "tester".to_owned(),
            status: ProfileStatus::RequiresAction,
            details: profile_details(),
        },
        ProfileEvent::Deleted,
        ProfileEvent::Detached,
        ProfileEvent::PersonalDataErased,
    ]
}

pub(super) fn endpoint_events() -> Vec<EndpointEvent> {
    let (url, types) = ("https://shop.example/hook".to_owned(), vec!["payment.*".to_owned()]);
    let settings = EndpointSettings { url, types, description: some("till") };
    vec![
        EndpointEvent::Created {
            id: EndpointId::from_uuid(subject_id(4)),
            merchant: "shop".to_owned(),
            settings: settings.clone(),
            secret: secret(),
        },
        EndpointEvent::Edited(settings),
        EndpointEvent::SecretRotated(secret()),
        EndpointEvent::Enabled,
        EndpointEvent::Disabled { reason: DisabledReason::Failing },
        EndpointEvent::RedeliveryRequested { count: 3 },
        EndpointEvent::Deleted,
    ]
}
