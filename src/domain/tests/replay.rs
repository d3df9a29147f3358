//! Events are all there is: read back from their text they make the same order, and nothing else changes one.

use proptest::prelude::*;

use super::*;

/// Paid, partly refunded and fulfilled, after a decline.
fn a_story() -> Scenario {
    let mut scenario = Scenario::cart(|header| {
        let customer = Customer { email: Some("a@b.example".to_owned()), ..Customer::default() };
        header.content.personal =
            Erasable::new(PersonalData { customer, ..PersonalData::default() }, [9; 16]);
        header.content.requires_signing = Requirement::Required;
    });
    scenario.act("sign");
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    for says in ["FAILED why=51", "PAID", "FROM_AMOUNTS refunded=40", "DISPUTED RETRIEVAL", "PAID"] {
        scenario.wait(10).see(says);
    }
    scenario.act("fulfil");
    scenario
}

/// The changes as they are read back from their stored text.
pub(super) fn reread(changes: &[Recorded<Event>]) -> Vec<Recorded<Event>> {
    let read = |change: &Recorded<Event>| {
        let Recorded { subject, first, public_before, text, hash, .. } = change;
        Recorded::read(*subject, *first, *public_before, text.clone(), *hash).unwrap()
    };
    changes.iter().map(read).collect()
}

fn replayed(changes: &[Recorded<Event>]) -> OrderAggregate {
    replay(&reread(changes)).unwrap()
}

/// Fills in every personal value that the events of these changes have.
fn fill(order: &mut OrderAggregate, changes: &[Recorded<Event>]) {
    let bodies: Vec<Body> =
        changes.iter().flat_map(|change| change.events.iter().flat_map(Event::personal)).collect();
    for slot in order.erasables() {
        let body = bodies.iter().find(|body| *body.digest == *slot.digest()).unwrap();
        slot.fill(body.text.clone());
    }
}

#[test]
fn an_order_is_made_again_from_the_text_of_its_changes_and_the_values_beside_them() {
    let scenario = a_story();
    let mut order = replayed(&scenario.changes);
    assert_eq!(order, scenario.order);
    assert!(order.erasables().len() == 4, "customer, signature, what was requested, what the customer needs");
    assert!(order.header.content.personal.value().is_none() && order.sessions[0].request.value().is_none());

    fill(&mut order, &scenario.changes);
    assert_eq!(order.header.content.personal.value(), scenario.order.header.content.personal.value());
    assert_eq!(order.header.content.personal.body(), scenario.order.header.content.personal.body());
    assert_eq!(order.sessions[0].request.value(), scenario.order.sessions[0].request.value());
    assert_eq!(
        order.attempts[0].next.as_ref().unwrap().value(),
        scenario.order.attempts[0].next.as_ref().unwrap().value()
    );
}

#[test]
fn what_was_erased_stays_erased_and_a_value_that_is_not_the_right_one_is_not_taken() {
    let scenario = a_story();
    let mut order = replayed(&scenario.changes);
    for slot in order.erasables() {
        slot.fill("{\"salt\":\"00\",\"value\":{}}".into());
    }
    assert!(order.header.content.personal.value().is_none());
    assert_eq!(order, scenario.order, "only the digest is part of the order");
}

#[test]
fn erasing_takes_every_personal_value_away_for_good_and_leaves_the_rest() {
    let mut scenario = a_story();
    scenario.refund(Some(10)).unwrap();
    let before = scenario.order.clone();
    scenario.wait(10).record(vec![Event::PersonalDataErased]);
    let mut again = replayed(&scenario.changes);
    for order in [&scenario.order, &again] {
        assert!(
            order.header.content.personal.value().is_none() && order.sessions[0].request.value().is_none()
        );
        assert_eq!((&order.payments, &order.attempts), (&before.payments, &before.attempts));
        assert!(
            order
                .refunds
                .iter()
                .all(|refund| refund.reason.as_ref().is_none_or(|reason| reason.value().is_none()))
        );
    }
    assert_eq!(again.erasables().len(), scenario.order.erasables().len());
}

#[test]
fn no_event_holds_a_name_an_address_or_what_the_customer_pays_with() {
    for change in a_story().changes {
        for secret in ["a@b.example", "https://pay.example"] {
            assert!(!change.text.contains(secret), "{}", change.text);
        }
    }
}

#[test]
fn what_a_merchant_writes_stands_beside_the_events_and_is_shown_until_it_is_erased() {
    let text = |text: &str| Some(Erasable::new(text.to_owned(), [8; 16]));
    let mut refunded = Scenario::session(CaptureMode::Automatic, HOLDS);
    refunded.wait(10).see("PAID");
    let (reason, origin) = (text("Ann broke it"), RefundOrigin::Api);
    let new_refund = operate::NewRefund { amount: Some(40), reason, reference: None, origin };
    let events = operate::refund(&mut refunded.context(), refunded.payment().id, new_refund).unwrap();
    refunded.record(events);
    let detail = text("Ann took it with her");
    let events = finish::fulfil(&mut refunded.context(), true, detail);
    refunded.record(events.unwrap());
    let mut external = Scenario::cart(|_| ());
    let mut with = super::orders::external("r-1");
    with.external.as_mut().unwrap().receipt_description = Some("Ann paid in cash".to_owned());
    let events = submit::submit(&mut external.context(), &with);
    external.record(events.unwrap());
    for (scenario, shown) in
        [(refunded, ["Ann broke it", "Ann took it with her"].as_slice()), (external, &["r-1"])]
    {
        assert!(scenario.changes.iter().all(|change| !change.text.contains("Ann")));
        let events = scenario.events();
        let is_shown = |order: &OrderAggregate| {
            let details = events.iter().map(|event| view::timeline_entry(order, event));
            let details = details.map(|entry| serde_json::to_value(entry).unwrap()["detail"].take());
            let all: Vec<_> = details.filter_map(|detail| Some(detail.as_str()?.to_owned())).collect();
            shown.iter().all(|text| all.iter().any(|detail| detail == text))
        };
        assert!(is_shown(&scenario.order));
        let mut order = replayed(&scenario.changes);
        assert!(!is_shown(&order), "erased");
        fill(&mut order, &scenario.changes);
        assert!(is_shown(&order) && order == scenario.order);
    }
}

#[test]
fn every_change_is_chained_to_the_one_before() {
    let scenario = a_story();
    let chained = scenario.changes.iter().fold(Hash::default(), |head, change| {
        assert_eq!(change.hash, head.chain(change.text.as_bytes()));
        change.hash
    });
    assert_eq!(chained, scenario.order.head.hash);
    assert_eq!(serde_json::from_value::<Hash>(json!(chained)).unwrap(), chained);
}

#[test]
fn changes_that_do_not_follow_each_other_make_no_order() {
    let changes = a_story().changes;
    let error = |changes: &[Recorded<Event>]| replay::<OrderAggregate>(changes).unwrap_err().0;
    assert_eq!(error(&[]), "there are no changes");
    assert_eq!(error(&changes[1..]), "the first event makes no subject");
    let gap: Vec<_> = changes.iter().filter(|change| change.first != 3).cloned().collect();
    assert_eq!(error(&gap), "a change is not the next one");
    let twice: Vec<_> = changes[..1].iter().chain(&changes[..1]).cloned().collect();
    assert_eq!(error(&twice), "a change is not the next one");
}

#[test]
fn an_event_about_something_unknown_is_refused_as_a_defect() {
    let unknown = Uuid::from_u128(99);
    let events = [
        Event::AttemptAbandoned {
            attempt: AttemptId::from_uuid(unknown),
            orphaned: false,
            failure: StartFailure::Busy,
        },
        Event::PaymentProofUsed {
            source: PaymentProof::Session(SessionId::from_uuid(unknown)),
            profile_session: None,
        },
        Event::DisputeUpdated {
            payment: port::PaymentId::from_uuid(unknown),
            stage: DisputeStage::Chargeback,
            lost: None,
        },
        Event::RefundStatusChanged {
            refund: port::RefundId::from_uuid(unknown),
            to: RefundStatus::Failed,
            failure: None,
        },
        Event::AttentionResolved {
            attention: port::AttentionId::from_uuid(unknown),
            decision: AttentionDecision::Keep,
            note: None,
        },
    ];
    let scenario = a_story();
    for event in events {
        let meta = ChangeMeta { at: scenario.now, cause: Cause { actor: Actor::Merchant, request: None } };
        assert!(record(&mut scenario.order.clone(), vec![event], meta).is_err());
    }
}

#[test]
fn the_events_that_merchants_are_told_of_are_numbered_for_themselves() {
    let scenario = a_story();
    let events = scenario.events();
    let public = events.iter().filter_map(|event| event.event.public());
    let public: Vec<String> = public.map(|event| format!("{} {}", event.noun, event.change)).collect();
    let expected = "order PENDING, paymentSession PENDING, order PENDING_PAYMENT, payment FAILED, payment PAID, \
                    paymentSession COMPLETED, order SUBMITTED, order PROCESSING, payment PARTIALLY_REFUNDED, \
                    refund SUCCEEDED, payment DISPUTED, dispute RETRIEVAL, attention RAISED, \
                    payment PARTIALLY_REFUNDED, dispute WON, order COMPLETED";
    assert_eq!(public.join(", "), expected);
    let names: Vec<_> = events.iter().map(|event| event.event.name()).take(3).collect();
    assert_eq!(names, ["order.created", "order.priced", "order.signed"]);
}

#[test]
fn the_events_of_one_change_say_that_more_follows_but_the_last() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    let before = scenario.events().len();
    scenario.see("PAID");
    let more: Vec<bool> = scenario.events()[before..].iter().map(|event| event.continues).collect();
    let (last, rest) = more.split_last().unwrap();
    assert!(!last && rest.iter().all(|more| *more) && !rest.is_empty());
}

pub(super) const STEPS: [&str; 41] = [
    "PENDING",
    "PROCESSING",
    "REQUIRES_ACTION",
    "AUTHORIZED",
    "PAID",
    "PAID captured=60",
    "FAILED why=51",
    "FAILED last",
    "CANCELLED",
    "EXPIRED",
    "REFUNDED",
    "FROM_AMOUNTS refunded=40",
    "FROM_AMOUNTS refunded=60",
    "FROM_AMOUNTS REFUND_FAILED refunded=0",
    "FROM_AMOUNTS REFUND_REVERSED refunded=20",
    "REVERSED REVERSED",
    "DISPUTED RETRIEVAL",
    "DISPUTED CHARGEBACK",
    "UNMAPPED",
    "PAID total=90",
    "sign",
    "checkout",
    "submit",
    "approve",
    "reject",
    "fulfil",
    "fail",
    "cancel",
    "expire",
    "edit",
    "price",
    "open",
    "close",
    "capture",
    "void",
    "refund",
    "next",
    "declined",
    "KEEP",
    "REFUND",
    "DISMISS",
];

/// One step of anybody's; one that is refused changes nothing.
pub(super) fn walk(scenario: &mut Scenario, step: &str, amount: i64, orphan: bool) {
    scenario.wait(3_600);
    let some = Some(amount).filter(|amount| *amount < 90);
    match step {
        "open" if payable(&scenario.order).is_ok() => scenario.checkout(CaptureMode::Manual, HOLDS_FOR_MANY),
        "open" => {}
        "close" | "capture" | "void" | "refund" | "next" | "declined"
            if scenario.order.sessions.is_empty() => {}
        "close" => drop(scenario.close(FailureCode::Cancelled)),
        "capture" => drop(scenario.capture(some)),
        "void" => drop(scenario.void()),
        "refund" => drop(scenario.refund(some)),
        "next" => drop(scenario.send_next()),
        "declined" => {
            let events = operate::declined(&scenario.order, scenario.payment().id, Failure::default());
            scenario.record(events);
        }
        "KEEP" | "REFUND" | "DISMISS" => drop(scenario.decide(named(step))),
        action if action.chars().all(char::is_lowercase) => drop(scenario.act(action)),
        says => {
            let attempts = &scenario.order.attempts;
            let attempt = if orphan { attempts.first() } else { attempts.last() };
            let Some(attempt) = attempt.map(|attempt| attempt.id) else { return };
            scenario.see_of(attempt, says);
        }
    }
}

/// Whether the contract has this step of an order.
fn is_a_transition(from: OrderState, to: OrderState) -> bool {
    use OrderState::{
        Cancelled, Completed, Expired, Failed, Pending, PendingApproval, PendingPayment, Processing,
        Submitted,
    };
    matches!(
        (from, to),
        (Pending, PendingPayment | Submitted | Expired | Cancelled)
            | (PendingPayment, Pending | Submitted | Expired | Cancelled)
            | (Submitted, PendingApproval | Processing | Cancelled)
            | (PendingApproval, Processing | Cancelled)
            | (Processing, Completed | Failed)
    )
}

/// What the events of an order may say one after the other.
fn check_history(events: &[RecordedEvent<Event>]) -> Result<(), TestCaseError> {
    let mut state = OrderState::Pending;
    let mut under_way = std::collections::BTreeSet::new();
    let mut ended = std::collections::BTreeSet::new();
    for event in events {
        match &event.event {
            Event::OrderStateChanged { from, to, .. } => {
                prop_assert!(*from == state && is_a_transition(*from, *to), "{from:?} {to:?}");
                state = *to;
            }
            Event::SessionStatusChanged { session, to, .. } => {
                prop_assert!(!ended.contains(session), "a session that ended moved");
                if !to.is_open() {
                    ended.insert(*session);
                }
            }
            Event::OperationRequested { payment, .. } => {
                prop_assert!(under_way.insert(*payment), "two at a time")
            }
            Event::OperationFinished { payment, .. } => prop_assert!(under_way.remove(payment)),
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// `Scenario::record` checks after every step what must always hold of the order.
    #[test]
    fn whatever_is_done_in_whatever_order_the_order_keeps_its_laws(
        capture in prop_oneof![Just(CaptureMode::Automatic), Just(CaptureMode::Manual)],
        capabilities in prop_oneof![Just(HOLDS), Just(HOLDS_FOR_MANY), Just(TAKES)],
        settings in any::<[bool; 3]>(),
        steps in prop::collection::vec((0..STEPS.len(), 1i64..120, prop::bool::weighted(0.2)), 1..25),
    ) {
        let mut scenario = Scenario::cart(|header| {
            header.content.auto_submit = settings[0];
            header.content.requires_approval = settings[1];
            header.content.requires_signing = if settings[2] { Requirement::Required } else { Requirement::NotRequired };
        });
        scenario.start_checkout(capture, capabilities, &["second"]);
        let newest = scenario.order.attempts[0].id;
        scenario.created(newest);
        for (step, amount, orphan) in steps {
            walk(&mut scenario, STEPS[step], amount, orphan);
        }
        check_history(&scenario.events())?;
        prop_assert_eq!(replayed(&scenario.changes), scenario.order);
    }
}
