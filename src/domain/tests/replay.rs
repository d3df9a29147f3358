//! Events are all there is: read back from their text they make the same file, and nothing else changes one.

use proptest::prelude::*;

use super::*;

/// Paid, partly refunded and fulfilled, after a decline.
fn a_story() -> Scenario {
    let mut scenario = Scenario::cart(|header| {
        let customer = Customer { email: Some("a@b.example".to_owned()), ..Customer::default() };
        header.personal = Erasable::new(PersonalData { customer, ..PersonalData::default() }, [9; 16]);
        header.requires_signing = Requirement::Required;
    });
    scenario.act("sign");
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    for word in ["FAILED why=51", "PAID", "FROM_AMOUNTS refunded=40", "DISPUTED RETRIEVAL", "PAID"] {
        scenario.wait(10).see(word);
    }
    scenario.act("fulfil");
    scenario
}

/// The events as they are stored: their text, and the columns beside it.
fn stored(events: &[RecordedEvent]) -> Vec<RecordedEvent> {
    let reread = |event: &RecordedEvent| RecordedEvent {
        record: serde_json::from_str(&event.text).unwrap(),
        ..event.clone()
    };
    events.iter().map(reread).collect()
}

#[test]
fn a_file_is_made_again_from_the_text_of_its_events_and_the_bodies_beside_them() {
    let scenario = a_story();
    let mut order = OrderAggregate::replay(&stored(&scenario.events)).unwrap();
    assert_eq!(order, scenario.order);
    assert!(order.slots().len() == 4, "customer, signature, what was asked, what the customer needs");
    assert!(order.header.personal.value().is_none() && order.sessions[0].request.value().is_none());

    let bodies: Vec<_> = scenario.events.iter().flat_map(|event| event.record.event.erasable()).collect();
    for slot in order.slots() {
        let (_, body) = bodies.iter().find(|(digest, _)| **digest == *slot.digest()).unwrap();
        slot.fill(body.clone());
    }
    assert_eq!(order.header.personal.value(), scenario.order.header.personal.value());
    assert_eq!(order.header.personal.row(), scenario.order.header.personal.row());
    assert_eq!(order.sessions[0].request.value(), scenario.order.sessions[0].request.value());
    assert_eq!(
        order.attempts[0].next.as_ref().unwrap().value(),
        scenario.order.attempts[0].next.as_ref().unwrap().value()
    );
}

#[test]
fn what_was_erased_stays_erased_and_a_body_that_is_not_the_right_one_is_not_taken() {
    let scenario = a_story();
    let mut order = OrderAggregate::replay(&stored(&scenario.events)).unwrap();
    for slot in order.slots() {
        slot.fill("{\"salt\":\"00\",\"value\":{}}".into());
    }
    assert!(order.header.personal.value().is_none());
    assert_eq!(order, scenario.order, "only the digest is part of the order");
}

#[test]
fn no_event_holds_a_name_an_address_or_what_the_customer_pays_with() {
    for event in a_story().events {
        for secret in ["a@b.example", "https://pay.example"] {
            assert!(!event.text.contains(secret), "{}", event.text);
        }
    }
}

#[test]
fn what_a_merchant_writes_stands_beside_the_events_and_is_shown_until_it_is_erased() {
    let words = |text: &str| Some(Erasable::new(text.to_owned(), [8; 16]));
    let mut refunded = Scenario::session(CaptureMode::Automatic, HOLDS);
    refunded.wait(10).see("PAID");
    let id = port::RefundId::from_uuid(refunded.uuid());
    let (reason, origin) = (words("Ann broke it"), RefundOrigin::Api);
    let new_refund = operate::NewRefund { id, amount: Some(40), reason, reference: None, origin };
    let events = operate::refund(&refunded.order, refunded.payment().id, new_refund, refunded.now).unwrap();
    refunded.record(events);
    let detail = words("Ann took it with her");
    let events = finish::fulfil(&refunded.order, true, detail, refunded.now, &mut ids(&mut refunded.made));
    refunded.record(events.unwrap());
    let mut external = Scenario::cart(|_| ());
    let mut with = super::orders::external("r-1");
    with.external.as_mut().unwrap().receipt_description = Some("Ann paid in cash".to_owned());
    let payment = PaymentId::from_uuid(external.uuid());
    let mut made = 7_000;
    let mut ids = ids(&mut made);
    let events = submit::submit(&external.order, &with, payment, [8; 16], external.now, &mut ids);
    external.record(events.unwrap());
    for (scenario, shown) in
        [(refunded, ["Ann broke it", "Ann took it with her"].as_slice()), (external, &["r-1"])]
    {
        assert!(scenario.events.iter().all(|event| !event.text.contains("Ann")));
        let told = |order: &OrderAggregate| {
            let details = scenario.events.iter().map(|event| view::timeline_entry(order, event));
            let details = details.map(|entry| serde_json::to_value(entry).unwrap()["detail"].take());
            let all: Vec<_> = details.filter_map(|detail| Some(detail.as_str()?.to_owned())).collect();
            shown.iter().all(|words| all.iter().any(|detail| detail == words))
        };
        assert!(told(&scenario.order));
        let mut order = OrderAggregate::replay(&stored(&scenario.events)).unwrap();
        assert!(!told(&order), "erased");
        let bodies: Vec<_> = scenario.events.iter().flat_map(|event| event.record.event.erasable()).collect();
        for slot in order.slots() {
            let (_, body) = bodies.iter().find(|(digest, _)| **digest == *slot.digest()).unwrap();
            slot.fill(body.clone());
        }
        assert!(told(&order) && order == scenario.order);
    }
}

#[test]
fn every_event_is_chained_to_the_one_before() {
    let scenario = a_story();
    let chained = scenario.events.iter().fold(Hash::default(), |head, event| {
        assert_eq!(event.hash, head.chain(&event.text));
        event.hash
    });
    assert_eq!(chained, scenario.order.head);
    assert_ne!(Hash::default().chain("a"), Hash::default().chain("b"));
    assert_eq!(chained.to_string().parse::<Hash>(), Ok(chained));
}

#[test]
fn events_that_do_not_follow_each_other_make_no_file() {
    let events = a_story().events;
    let error = |events: &[RecordedEvent]| OrderAggregate::replay(events).unwrap_err();
    assert_eq!(error(&[]), ReplayError("there are none"));
    assert_eq!(error(&events[1..]), ReplayError("the first is no new order"));
    let gap: Vec<_> = events.iter().filter(|event| event.sequence != 3).cloned().collect();
    assert_eq!(error(&gap), ReplayError("it is not the next one"));
    let twice: Vec<_> = events[..1].iter().chain(&events[..1]).cloned().collect();
    assert_eq!(error(&twice), ReplayError("it is not the next one"));
}

#[test]
fn parts_stand_in_the_order_of_their_ids_whichever_was_written_first() {
    let mut scenario = Scenario::cart(|_| {});
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.see("PAID");
    let payment = scenario.order.payments[0].id;
    let [earlier, later] = [1 << 100, 2 << 100].map(|id| port::RefundId::from_uuid(Uuid::from_u128(id)));
    for id in [later, earlier] {
        let origin = RefundOrigin::Api;
        let new_refund = operate::NewRefund { id, amount: Some(1), reason: None, reference: None, origin };
        let events = operate::refund(&scenario.order, payment, new_refund, scenario.now).unwrap();
        scenario.record(events);
    }
    let stand: Vec<_> = scenario.order.refunds.iter().map(|refund| refund.id).collect();
    assert_eq!(stand, [earlier, later]);
    assert_eq!(OrderAggregate::replay(&scenario.events).unwrap(), scenario.order);
}

#[test]
fn a_fact_about_something_unknown_is_a_defect_and_is_told_as_one() {
    let unknown = Uuid::from_u128(99);
    let events = [
        Event::AttemptAbandoned {
            attempt: AttemptId::from_uuid(unknown),
            orphaned: false,
            why: String::new(),
        },
        Event::PaymentSourceUsed(PaymentSource::Session(SessionId::from_uuid(unknown))),
        Event::DisputeUpdated {
            payment: PaymentId::from_uuid(unknown),
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
    let cause = Cause { actor: Actor::Merchant, request: None };
    for event in events {
        let meta = EventMeta { at: scenario.now, cause: &cause };
        let told = scenario.order.clone().record(vec![event], &meta, &mut || Uuid::from_u128(1));
        assert!(told.is_err());
    }
}

#[test]
fn the_events_that_merchants_are_told_of_are_numbered_for_themselves() {
    let scenario = a_story();
    let told: Vec<String> = scenario
        .events
        .iter()
        .filter_map(|event| event.record.event.public_event())
        .map(|public_event| format!("{} {}", public_event.noun, public_event.change))
        .collect();
    let expected = "order PENDING, paymentSession PENDING, order PENDING_PAYMENT, payment FAILED, payment PAID, \
                    paymentSession COMPLETED, order SUBMITTED, order PROCESSING, payment PARTIALLY_REFUNDED, \
                    refund SUCCEEDED, payment DISPUTED, dispute RETRIEVAL, attention RAISED, \
                    payment PARTIALLY_REFUNDED, dispute WON, order COMPLETED";
    assert_eq!(told.join(", "), expected);
    let names: Vec<_> = scenario.events.iter().map(|event| event.record.event.name()).take(3).collect();
    assert_eq!(names, ["order.placed", "order.priced", "order.signed"]);
}

#[test]
fn the_events_of_one_change_say_that_more_follows_but_the_last() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    let before = scenario.events.len();
    scenario.see("PAID");
    let more: Vec<bool> = scenario.events[before..].iter().map(|event| event.record.continues).collect();
    let (last, rest) = more.split_last().unwrap();
    assert!(!last && rest.iter().all(|more| *more) && !rest.is_empty());
}

const STEPS: [&str; 41] = [
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
    "refused",
    "KEEP",
    "REFUND",
    "DISMISS",
];

/// One step of anybody's; one that is refused changes nothing.
fn walk(scenario: &mut Scenario, step: &str, amount: i64, orphan: bool) {
    scenario.wait(3_600);
    let some = Some(amount).filter(|amount| *amount < 90);
    match step {
        "open" if payable(&scenario.order).is_ok() => scenario.checkout(CaptureMode::Manual, HOLDS_FOR_MANY),
        "open" => {}
        "close" | "capture" | "void" | "refund" | "next" | "refused"
            if scenario.order.sessions.is_empty() => {}
        "close" => drop(scenario.close(FailureCode::Cancelled)),
        "capture" => drop(scenario.capture(some)),
        "void" => drop(scenario.void()),
        "refund" => drop(scenario.refund(some)),
        "next" => drop(scenario.send_next()),
        "refused" => {
            let events = operate::refused(&scenario.order, scenario.payment().id, Failure::default());
            scenario.record(events);
        }
        "KEEP" | "REFUND" | "DISMISS" => drop(scenario.decide(named(step))),
        action if action.chars().all(char::is_lowercase) => drop(scenario.act(action)),
        word => {
            let attempts = &scenario.order.attempts;
            let attempt = if orphan { attempts.first() } else { attempts.last() };
            let Some(attempt) = attempt.map(|attempt| attempt.id) else { return };
            scenario.see_of(attempt, word);
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

/// What the events of a file may say one after the other.
fn check_history(events: &[RecordedEvent]) -> Result<(), TestCaseError> {
    let mut state = OrderState::Pending;
    let mut under_way = std::collections::BTreeSet::new();
    let mut ended = std::collections::BTreeSet::new();
    for event in events {
        match &event.record.event {
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

    /// `Scenario::record` checks after every step what must always hold of the file.
    #[test]
    fn whatever_is_done_in_whatever_order_the_file_keeps_its_laws(
        capture in prop_oneof![Just(CaptureMode::Automatic), Just(CaptureMode::Manual)],
        capabilities in prop_oneof![Just(HOLDS), Just(HOLDS_FOR_MANY), Just(TAKES)],
        settings in any::<[bool; 3]>(),
        steps in prop::collection::vec((0..STEPS.len(), 1i64..120, prop::bool::weighted(0.2)), 1..25),
    ) {
        let mut scenario = Scenario::cart(|header| {
            header.auto_submit = settings[0];
            header.requires_approval = settings[1];
            header.requires_signing = if settings[2] { Requirement::Required } else { Requirement::NotRequired };
        });
        scenario.start_checkout(capture, capabilities, &["second"]);
        let newest = scenario.order.attempts[0].id;
        scenario.created(newest);
        for (step, amount, orphan) in steps {
            walk(&mut scenario, STEPS[step], amount, orphan);
        }
        check_history(&scenario.events)?;
        prop_assert_eq!(OrderAggregate::replay(&stored(&scenario.events)).unwrap(), scenario.order);
    }
}
