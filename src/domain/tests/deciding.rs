//! What follows from a decision about money that needed a look.

use super::observe::unsure;
use super::resolve::{not_refunded, resolve};
use super::*;

/// How long an operation stays unsure before a person is told.
const LIMIT: Duration = Duration::from_secs(900);

impl Scenario {
    /// Decides about the oldest open attention.
    pub(super) fn decide(&mut self, decision: AttentionDecision) -> Result<(), DomainError> {
        let open = self.order.attention.iter().find(|attention| attention.resolved_at.is_none());
        let open = open.or(self.order.attention.last()).ok_or(DomainError::TooLate("there is none"))?.id;
        let with = Resolution { decision, note: Some(Erasable::new("Ann called".to_owned(), [9; 16])) };
        let events = resolve(&self.order, open, &with, self.now, &mut ids(&mut self.made))?;
        self.record(events);
        Ok(())
    }

    /// A cart again, whose first session was paid after it had ended.
    fn paid_late(words: &str, with: impl FnOnce(&mut OrderHeader)) -> Self {
        let mut scenario = Self::cart(with);
        scenario.checkout(CaptureMode::Manual, HOLDS);
        scenario.wait(10).see("FAILED last");
        assert_eq!(scenario.state(), "PENDING");
        for word in words.split(';') {
            scenario.wait(10).see(word);
        }
        scenario
    }

    fn operation(&self) -> Option<&'static str> {
        self.payment().operation.as_ref().map(|operation| operation.kind.as_str())
    }

    fn tell_if_unsure(&mut self) {
        let events = unsure(&self.order, self.payment().id, LIMIT, self.now, &mut ids(&mut self.made));
        self.record(events);
    }
}

#[test]
fn late_money_that_is_kept_submits_the_order_that_still_waits_for_it() {
    for word in ["PAID", "AUTHORIZED"] {
        let mut scenario = Scenario::paid_late(word, |_| ());
        assert_eq!((scenario.state(), &*scenario.attention()), ("PENDING", "LATE_PAYMENT"));
        scenario.decide(AttentionDecision::Keep).unwrap();
        assert_eq!((scenario.state(), &*scenario.attention()), ("PROCESSING", "none"), "{word}");
        assert!(scenario.the_session().used && scenario.the_session().status == SessionStatus::Failed);
        assert_eq!(
            scenario.decide(AttentionDecision::Keep),
            Err(DomainError::TooLate("it was decided already"))
        );
    }
}

#[test]
fn late_money_that_is_not_the_price_or_not_alone_is_kept_and_submits_nothing() {
    let mut dearer = Scenario::paid_late("PAID", |_| ());
    let header = &dearer.order.header;
    let content = Content {
        items: vec![item(2, 100, "0", 0)],
        shipping: 0,
        tax_included: false,
        requires_signing: Requirement::NotRequired,
        requires_approval: false,
        auto_submit: true,
        personal: header.personal.clone(),
        only_metadata: false,
    };
    dearer.record(vec![Event::OrderEdited(Box::new(content))]);
    dearer.price();
    let gone = Scenario::paid_late("PAID; REFUNDED", |_| ());
    for mut scenario in [dearer, gone] {
        scenario.decide(AttentionDecision::Keep).unwrap();
        assert_eq!((scenario.state(), &*scenario.attention()), ("PENDING", "none"));
    }
}

#[test]
fn late_money_cannot_be_kept_while_another_session_is_open_or_a_signature_is_missing() {
    let mut scenario = Scenario::paid_late("PENDING", |_| ());
    let first = scenario.order.attempts[0].id;
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see_of(first, "PAID");
    assert_eq!(scenario.decide(AttentionDecision::Keep), Err(DomainError::SessionOpen));
    assert_eq!(scenario.attention(), "LATE_PAYMENT");

    let mut scenario = Scenario::paid_late("PAID", |header| header.requires_signing = Requirement::Required);
    assert_eq!(
        scenario.decide(AttentionDecision::Keep),
        Err(DomainError::RequirementUnmet(vec!["requiresSigning"]))
    );
    scenario.record(vec![Event::OrderSigned(signature())]);
    scenario.decide(AttentionDecision::Keep).unwrap();
    assert_eq!(scenario.state(), "PROCESSING");
}

#[test]
fn what_is_to_go_back_is_refunded_or_released_and_once() {
    for (words, operation) in [("PAID", "REFUND"), ("AUTHORIZED", "VOID")] {
        let mut scenario = Scenario::paid_late(words, |_| ());
        scenario.decide(AttentionDecision::Refund).unwrap();
        assert_eq!((scenario.operation(), &*scenario.attention()), (Some(operation), "none"), "{words}");
        assert_eq!(scenario.state(), "PENDING");
        let policy = |refund: &Refund| refund.origin == RefundOrigin::Policy;
        assert!(scenario.order.refunds.iter().all(policy));
        let decided = scenario.decide(AttentionDecision::Refund);
        assert_eq!(decided, Err(DomainError::TooLate("it was decided already")));
    }
}

#[test]
fn what_cannot_go_back_leaves_the_attention_open() {
    let nothing = DomainError::TooLate("the payment holds no money that could be given back");
    let other = DomainError::TooLate("what is stated has to be given back at the provider itself");
    for (words, error) in [
        ("PAID; REFUNDED", nothing),
        ("PAID; DISPUTED CHARGEBACK", DomainError::Disputed),
        ("PAID currency=USD", other),
    ] {
        let mut scenario = Scenario::paid_late(words, |_| ());
        let open = scenario.attention();
        assert_eq!(scenario.decide(AttentionDecision::Refund), Err(error), "{words}");
        assert_eq!(scenario.attention(), open);
    }
    let mut scenario = Scenario::session(CaptureMode::Automatic, TAKES);
    scenario.wait(10).see("FAILED last");
    scenario.wait(10).see("PAID");
    assert_eq!(scenario.decide(AttentionDecision::Refund), Err(DomainError::Unsupported("refund")));
}

#[test]
fn money_over_another_amount_goes_back_exactly_as_stated_and_counts_for_nothing() {
    for seen_back in ["FROM_AMOUNTS total=130 captured=130 refunded=130", "REFUNDED total=130"] {
        let mut scenario = Scenario::paid_late("PAID total=130", |_| ());
        assert_eq!(scenario.attention(), "AMOUNT_MISMATCH");
        scenario.decide(AttentionDecision::Refund).unwrap();
        let operation = scenario.payment().operation.clone().unwrap();
        assert_eq!((operation.kind, operation.amount), (OperationKind::Refund, Some(130)));
        scenario.wait(10).see("PAID total=130");
        scenario.wait(10).see("FROM_AMOUNTS total=130 captured=130 refunded=129");
        assert_eq!(scenario.operation(), Some("REFUND"));
        scenario.wait(10).see(seen_back);
        assert_eq!((scenario.operation(), scenario.order.refunds.len()), (None, 0));
        assert_eq!(
            (scenario.payment_state(), scenario.attention()),
            ("FAILED 0/0/0".to_owned(), "none".to_owned())
        );
    }
}

#[test]
fn another_amount_that_nobody_has_paid_is_told_and_what_was_taken_of_it_goes_back() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PENDING total=130");
    let none = DomainError::TooLate("the provider has stated no money that it took");
    assert_eq!(scenario.decide(AttentionDecision::Refund), Err(none));
    scenario.wait(10).see("PENDING total=130");
    assert_eq!(scenario.attention(), "AMOUNT_MISMATCH");
    scenario.wait(10).see("PAID total=130 captured=120");
    assert_eq!(scenario.attention(), "AMOUNT_MISMATCH AMOUNT_MISMATCH");
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    scenario.decide(AttentionDecision::Refund).unwrap();
    assert_eq!(scenario.payment().operation.as_ref().unwrap().amount, Some(120));
}

#[test]
fn money_over_another_amount_that_the_provider_refuses_to_give_back_needs_a_person_again() {
    let mut scenario = Scenario::paid_late("PAID total=130", |_| ());
    scenario.decide(AttentionDecision::Refund).unwrap();
    let payment = scenario.payment().id;
    let mut events = operate::refused(&scenario.order, payment, Failure::default());
    events.extend(not_refunded(&scenario.order, payment, scenario.now, &mut ids(&mut scenario.made)));
    scenario.record(events);
    assert_eq!((scenario.attention(), scenario.operation()), ("REFUND_NEEDED".to_owned(), None));
}

#[test]
fn an_operation_that_is_dismissed_was_not_done_until_it_shows_after_all() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(Some(40)).unwrap();
    scenario.wait(899).tell_if_unsure();
    assert_eq!(scenario.attention(), "none");
    scenario.wait(1).tell_if_unsure();
    assert_eq!(scenario.attention(), "OUTCOME_UNKNOWN");
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!((scenario.attention(), scenario.operation()), ("none".to_owned(), None));
    assert_eq!(scenario.order.refunds[0].status, RefundStatus::Failed);
    assert_eq!(scenario.order.reserved(scenario.payment().id), 0);

    scenario.wait(10).see("FROM_AMOUNTS refunded=40");
    let found = scenario.order.refunds.last().unwrap();
    assert_eq!((found.origin, found.status), (RefundOrigin::Provider, RefundStatus::Succeeded));
    assert_eq!(scenario.order.refunds[0].status, RefundStatus::Failed);
}

#[test]
fn a_close_that_is_dismissed_leaves_its_session_open_until_its_time_or_the_providers_word() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.close(FailureCode::Cancelled).unwrap();
    scenario.wait(900).tell_if_unsure();
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!((scenario.operation(), scenario.session_status().as_str()), (None, "PENDING"));
    let ends = scenario.the_session().expires_at;
    let close = |scenario: &Scenario| {
        jobs(&scenario.order).into_iter().find(|(kind, ..)| *kind == JobKind::CloseSession).map(|(.., at)| at)
    };
    assert_eq!(close(&scenario), Some(ends));
    for (word, session, order) in [
        ("CANCELLED last", "FAILED CANCELLED", "PENDING"),
        ("PAID", "COMPLETED", "PROCESSING"),
        ("FAILED why=51", "PENDING DECLINED again", "PENDING_PAYMENT"),
    ] {
        let mut scenario = scenario.clone();
        scenario.wait(10).see(word);
        assert_eq!((scenario.session_status().as_str(), scenario.state()), (session, order));
    }
    scenario.now = ends;
    scenario.close(FailureCode::Expired).unwrap();
    assert_eq!((scenario.operation(), close(&scenario)), (Some("CLOSE"), None));
    scenario.wait(10).see("CANCELLED last");
    assert_eq!((scenario.session_status().as_str(), scenario.state()), ("FAILED EXPIRED", "PENDING"));
}

#[test]
fn an_operation_that_somebody_keeps_waiting_for_is_not_told_of_again_but_the_next_one_is() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(Some(40)).unwrap();
    scenario.wait(900).tell_if_unsure();
    scenario.decide(AttentionDecision::Keep).unwrap();
    assert_eq!(scenario.operation(), Some("REFUND"));
    scenario.wait(900).tell_if_unsure();
    assert_eq!(scenario.attention(), "none");
    scenario.wait(10).see("FROM_AMOUNTS refunded=40");
    scenario.refund(Some(10)).unwrap();
    scenario.wait(900).tell_if_unsure();
    assert_eq!(scenario.attention(), "OUTCOME_UNKNOWN");
}

#[test]
fn dismissing_ends_no_operation_that_is_younger_than_what_was_told() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(Some(40)).unwrap();
    scenario.wait(900).tell_if_unsure();
    scenario.wait(10).see("FROM_AMOUNTS refunded=40");
    scenario.wait(10);
    scenario.refund(Some(10)).unwrap();
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!(scenario.operation(), Some("REFUND"));
}

#[test]
fn money_that_the_provider_refuses_to_give_back_needs_a_person_again() {
    for (words, says) in [("PAID", "REFUND_NEEDED"), ("AUTHORIZED", "REFUND_NEEDED")] {
        let mut scenario = Scenario::paid_late(words, |_| ());
        scenario.decide(AttentionDecision::Refund).unwrap();
        let payment = scenario.payment().id;
        let events = not_refunded(&scenario.order, payment, scenario.now, &mut ids(&mut scenario.made));
        scenario.record(events);
        assert_eq!(scenario.attention(), says);
    }
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(Some(40)).unwrap();
    let events =
        not_refunded(&scenario.order, scenario.payment().id, scenario.now, &mut ids(&mut scenario.made));
    assert_eq!(events, [], "the merchant is told by the answer to its own request");
}

#[test]
fn a_cancelled_order_that_counted_on_a_refund_which_is_refused_needs_a_person() {
    let mut scenario = Scenario::cart(|header| header.auto_submit = false);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(None).unwrap();
    let events = super::finish::cancel(&scenario.order, scenario.now, &mut ids(&mut scenario.made)).unwrap();
    scenario.record(events);
    assert_eq!((scenario.state(), scenario.order.refunds.len()), ("CANCELLED", 1));
    let payment = scenario.payment().id;
    let mut events = operate::refused(&scenario.order, payment, Failure::default());
    events.extend(not_refunded(&scenario.order, payment, scenario.now, &mut ids(&mut scenario.made)));
    scenario.record(events);
    assert_eq!((scenario.attention(), scenario.operation()), ("REFUND_NEEDED".to_owned(), None));
}

#[test]
fn the_policy_is_due_as_long_as_nobody_has_decided() {
    let mut scenario = Scenario::paid_late("PAID", |_| ());
    let due = |scenario: &Scenario| {
        let remedies =
            jobs(&scenario.order).into_iter().filter(|(kind, ..)| *kind == JobKind::ApplyRefundPolicy);
        remedies.map(|(_, subject, at)| (subject, at)).collect::<Vec<_>>()
    };
    let attention = scenario.order.attention[0].clone();
    assert_eq!(due(&scenario), [(attention.id.to_string(), attention.raised_at)]);
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!(due(&scenario), []);
}

#[test]
fn a_note_is_kept_beside_the_events() {
    let mut scenario = Scenario::paid_late("PAID", |_| ());
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    let event = scenario.events.last().unwrap();
    assert!(!event.text.contains("Ann"), "{}", event.text);
    let (digest, body) = event.record.event.erasable().pop().unwrap();
    let mut order = OrderAggregate::replay(&scenario.events).unwrap();
    let slot = order.slots().into_iter().find(|slot| slot.digest() == &*digest).unwrap();
    slot.fill(body);
    let note = order.attention[0].resolution.as_ref().unwrap().note.as_ref().unwrap();
    assert_eq!(note.value().unwrap(), "Ann called");
}

#[test]
fn a_hold_that_is_taken_while_it_is_to_be_released_for_an_ended_order_is_a_persons_task() {
    let mut scenario = Scenario::cart(|header| header.requires_approval = true);
    scenario.checkout(CaptureMode::Manual, HOLDS);
    scenario.wait(10).see("AUTHORIZED");
    let ended = finish::cancel(&scenario.order, scenario.now, &mut ids(&mut scenario.made)).unwrap();
    scenario.record(ended);
    assert_eq!((scenario.state(), scenario.operation()), ("CANCELLED", Some("VOID")));
    scenario.wait(10).see("PAID");
    assert_eq!((scenario.payment_state(), scenario.operation()), ("PAID 100/100/0".to_owned(), None));
    assert_eq!(scenario.attention(), "REFUND_NEEDED");
}

#[test]
fn money_that_is_on_its_way_back_pays_for_no_order() {
    let unusable = DomainError::SessionUnusable("its money was given back, lost or is contested");
    for (capture, words, gives_back) in
        [(CaptureMode::Automatic, "PAID", "refund"), (CaptureMode::Manual, "AUTHORIZED", "void")]
    {
        let mut scenario = Scenario::cart(|header| header.requires_signing = Requirement::Required);
        scenario.checkout(capture, HOLDS);
        scenario.wait(10).see(words);
        scenario.step(gives_back);
        let signed = cart::sign(&scenario.order, signature()).unwrap();
        scenario.record(signed);
        assert_eq!(scenario.state(), "PENDING_PAYMENT", "{words}");
        let with = submit::Submission { session: Some(scenario.the_session().id), ..Default::default() };
        let (payment, now) = (PaymentId::from_uuid(scenario.uuid()), scenario.now);
        let refused =
            submit::submit(&scenario.order, &with, payment, [0; 16], now, &mut ids(&mut scenario.made)).err();
        assert_eq!(refused, Some(unusable.clone()), "{words}");
    }
}
