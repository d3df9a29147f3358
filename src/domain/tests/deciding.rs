//! What follows from a decision about money that needed a look.

use super::observe::unsure;
use super::resolve::{not_refunded, resolve};
use super::*;

/// How long an operation stays unsure before a person is told.
const LIMIT: Duration = Duration::from_secs(900);

impl Desk {
    /// Decides about the oldest open attention.
    pub(super) fn decide(&mut self, decision: AttentionDecision) -> Result<(), DomainError> {
        let open = self.order.attention.iter().find(|attention| attention.resolved_at.is_none());
        let open = open.or(self.order.attention.last()).ok_or(DomainError::TooLate("there is none"))?.id;
        let with = Resolution { decision, note: Some(Erasable::new("Ann called".to_owned(), [9; 16])) };
        let events = resolve(&self.order, open, &with, self.now, &mut ids(&mut self.made))?;
        self.tell(events);
        Ok(())
    }

    /// A cart again, whose first session was paid after it had ended.
    fn paid_late(words: &str, with: impl FnOnce(&mut OrderHeader)) -> Self {
        let mut desk = Self::cart(with);
        desk.checkout(CaptureMode::Manual, HOLDS);
        desk.wait(10).see("FAILED last");
        assert_eq!(desk.state(), "PENDING");
        for word in words.split(';') {
            desk.wait(10).see(word);
        }
        desk
    }

    fn operation(&self) -> Option<&'static str> {
        self.payment().operation.as_ref().map(|operation| operation.kind.as_str())
    }

    fn tell_if_unsure(&mut self) {
        let events = unsure(&self.order, self.payment().id, LIMIT, self.now, &mut ids(&mut self.made));
        self.tell(events);
    }
}

#[test]
fn late_money_that_is_kept_submits_the_order_that_still_waits_for_it() {
    for word in ["PAID", "AUTHORIZED"] {
        let mut desk = Desk::paid_late(word, |_| ());
        assert_eq!((desk.state(), &*desk.attention()), ("PENDING", "LATE_PAYMENT"));
        desk.decide(AttentionDecision::Keep).unwrap();
        assert_eq!((desk.state(), &*desk.attention()), ("PROCESSING", "none"), "{word}");
        assert!(desk.the_session().used && desk.the_session().status == SessionStatus::Failed);
        assert_eq!(desk.decide(AttentionDecision::Keep), Err(DomainError::TooLate("it was decided already")));
    }
}

#[test]
fn late_money_that_is_not_the_price_or_not_alone_is_kept_and_submits_nothing() {
    let mut dearer = Desk::paid_late("PAID", |_| ());
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
    dearer.tell(vec![Event::OrderEdited(Box::new(content))]);
    dearer.price();
    let gone = Desk::paid_late("PAID; REFUNDED", |_| ());
    for mut desk in [dearer, gone] {
        desk.decide(AttentionDecision::Keep).unwrap();
        assert_eq!((desk.state(), &*desk.attention()), ("PENDING", "none"));
    }
}

#[test]
fn late_money_cannot_be_kept_while_another_session_is_open_or_a_signature_is_missing() {
    let mut desk = Desk::paid_late("PENDING", |_| ());
    let first = desk.order.attempts[0].id;
    desk.checkout(CaptureMode::Automatic, HOLDS);
    desk.wait(10).see_of(first, "PAID");
    assert_eq!(desk.decide(AttentionDecision::Keep), Err(DomainError::SessionOpen));
    assert_eq!(desk.attention(), "LATE_PAYMENT");

    let mut desk = Desk::paid_late("PAID", |header| header.requires_signing = Requirement::Required);
    assert_eq!(
        desk.decide(AttentionDecision::Keep),
        Err(DomainError::RequirementUnmet(vec!["requiresSigning"]))
    );
    desk.tell(vec![Event::OrderSigned(signature())]);
    desk.decide(AttentionDecision::Keep).unwrap();
    assert_eq!(desk.state(), "PROCESSING");
}

#[test]
fn what_is_to_go_back_is_refunded_or_released_and_once() {
    for (words, operation) in [("PAID", "REFUND"), ("AUTHORIZED", "VOID")] {
        let mut desk = Desk::paid_late(words, |_| ());
        desk.decide(AttentionDecision::Refund).unwrap();
        assert_eq!((desk.operation(), &*desk.attention()), (Some(operation), "none"), "{words}");
        assert_eq!(desk.state(), "PENDING");
        let policy = |refund: &Refund| refund.origin == RefundOrigin::Policy;
        assert!(desk.order.refunds.iter().all(policy));
        let decided = desk.decide(AttentionDecision::Refund);
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
        let mut desk = Desk::paid_late(words, |_| ());
        let open = desk.attention();
        assert_eq!(desk.decide(AttentionDecision::Refund), Err(error), "{words}");
        assert_eq!(desk.attention(), open);
    }
    let mut desk = Desk::session(CaptureMode::Automatic, TAKES);
    desk.wait(10).see("FAILED last");
    desk.wait(10).see("PAID");
    assert_eq!(desk.decide(AttentionDecision::Refund), Err(DomainError::Unsupported("refund")));
}

#[test]
fn money_over_another_amount_goes_back_exactly_as_stated_and_counts_for_nothing() {
    for seen_back in ["FROM_AMOUNTS total=130 captured=130 refunded=130", "REFUNDED total=130"] {
        let mut desk = Desk::paid_late("PAID total=130", |_| ());
        assert_eq!(desk.attention(), "AMOUNT_MISMATCH");
        desk.decide(AttentionDecision::Refund).unwrap();
        let operation = desk.payment().operation.clone().unwrap();
        assert_eq!((operation.kind, operation.amount), (OperationKind::Refund, Some(130)));
        desk.wait(10).see("PAID total=130");
        desk.wait(10).see("FROM_AMOUNTS total=130 captured=130 refunded=129");
        assert_eq!(desk.operation(), Some("REFUND"));
        desk.wait(10).see(seen_back);
        assert_eq!((desk.operation(), desk.order.refunds.len()), (None, 0));
        assert_eq!((desk.standing(), desk.attention()), ("FAILED 0/0/0".to_owned(), "none".to_owned()));
    }
}

#[test]
fn another_amount_that_nobody_has_paid_is_told_and_what_was_taken_of_it_goes_back() {
    let mut desk = Desk::session(CaptureMode::Automatic, HOLDS);
    desk.wait(10).see("PENDING total=130");
    let none = DomainError::TooLate("the provider has stated no money that it took");
    assert_eq!(desk.decide(AttentionDecision::Refund), Err(none));
    desk.wait(10).see("PENDING total=130");
    assert_eq!(desk.attention(), "AMOUNT_MISMATCH");
    desk.wait(10).see("PAID total=130 captured=120");
    assert_eq!(desk.attention(), "AMOUNT_MISMATCH AMOUNT_MISMATCH");
    desk.decide(AttentionDecision::Dismiss).unwrap();
    desk.decide(AttentionDecision::Refund).unwrap();
    assert_eq!(desk.payment().operation.as_ref().unwrap().amount, Some(120));
}

#[test]
fn money_over_another_amount_that_the_provider_refuses_to_give_back_needs_a_person_again() {
    let mut desk = Desk::paid_late("PAID total=130", |_| ());
    desk.decide(AttentionDecision::Refund).unwrap();
    let payment = desk.payment().id;
    let mut events = operate::refused(&desk.order, payment, Failure::default());
    events.extend(not_refunded(&desk.order, payment, desk.now, &mut ids(&mut desk.made)));
    desk.tell(events);
    assert_eq!((desk.attention(), desk.operation()), ("REFUND_NEEDED".to_owned(), None));
}

#[test]
fn an_operation_that_is_dismissed_was_not_done_until_it_shows_after_all() {
    let mut desk = Desk::session(CaptureMode::Automatic, HOLDS);
    desk.wait(10).see("PAID");
    desk.refund(Some(40)).unwrap();
    desk.wait(899).tell_if_unsure();
    assert_eq!(desk.attention(), "none");
    desk.wait(1).tell_if_unsure();
    assert_eq!(desk.attention(), "OUTCOME_UNKNOWN");
    desk.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!((desk.attention(), desk.operation()), ("none".to_owned(), None));
    assert_eq!(desk.order.refunds[0].status, RefundStatus::Failed);
    assert_eq!(desk.order.reserved(desk.payment().id), 0);

    desk.wait(10).see("FROM_AMOUNTS refunded=40");
    let found = desk.order.refunds.last().unwrap();
    assert_eq!((found.origin, found.status), (RefundOrigin::Provider, RefundStatus::Succeeded));
    assert_eq!(desk.order.refunds[0].status, RefundStatus::Failed);
}

#[test]
fn a_close_that_is_dismissed_leaves_its_session_open_until_its_time_or_the_providers_word() {
    let mut desk = Desk::session(CaptureMode::Automatic, HOLDS);
    desk.close(FailureCode::Cancelled).unwrap();
    desk.wait(900).tell_if_unsure();
    desk.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!((desk.operation(), desk.session_word().as_str()), (None, "PENDING"));
    let ends = desk.the_session().expires_at;
    let close = |desk: &Desk| {
        jobs(&desk.order).into_iter().find(|(kind, ..)| *kind == JobKind::CloseSession).map(|(.., at)| at)
    };
    assert_eq!(close(&desk), Some(ends));
    for (word, session, order) in [
        ("CANCELLED last", "FAILED CANCELLED", "PENDING"),
        ("PAID", "COMPLETED", "PROCESSING"),
        ("FAILED why=51", "PENDING DECLINED again", "PENDING_PAYMENT"),
    ] {
        let mut desk = desk.clone();
        desk.wait(10).see(word);
        assert_eq!((desk.session_word().as_str(), desk.state()), (session, order));
    }
    desk.now = ends;
    desk.close(FailureCode::Expired).unwrap();
    assert_eq!((desk.operation(), close(&desk)), (Some("CLOSE"), None));
    desk.wait(10).see("CANCELLED last");
    assert_eq!((desk.session_word().as_str(), desk.state()), ("FAILED EXPIRED", "PENDING"));
}

#[test]
fn an_operation_that_somebody_keeps_waiting_for_is_not_told_of_again_but_the_next_one_is() {
    let mut desk = Desk::session(CaptureMode::Automatic, HOLDS);
    desk.wait(10).see("PAID");
    desk.refund(Some(40)).unwrap();
    desk.wait(900).tell_if_unsure();
    desk.decide(AttentionDecision::Keep).unwrap();
    assert_eq!(desk.operation(), Some("REFUND"));
    desk.wait(900).tell_if_unsure();
    assert_eq!(desk.attention(), "none");
    desk.wait(10).see("FROM_AMOUNTS refunded=40");
    desk.refund(Some(10)).unwrap();
    desk.wait(900).tell_if_unsure();
    assert_eq!(desk.attention(), "OUTCOME_UNKNOWN");
}

#[test]
fn dismissing_ends_no_operation_that_is_younger_than_what_was_told() {
    let mut desk = Desk::session(CaptureMode::Automatic, HOLDS);
    desk.wait(10).see("PAID");
    desk.refund(Some(40)).unwrap();
    desk.wait(900).tell_if_unsure();
    desk.wait(10).see("FROM_AMOUNTS refunded=40");
    desk.wait(10);
    desk.refund(Some(10)).unwrap();
    desk.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!(desk.operation(), Some("REFUND"));
}

#[test]
fn money_that_the_provider_refuses_to_give_back_needs_a_person_again() {
    for (words, says) in [("PAID", "REFUND_NEEDED"), ("AUTHORIZED", "REFUND_NEEDED")] {
        let mut desk = Desk::paid_late(words, |_| ());
        desk.decide(AttentionDecision::Refund).unwrap();
        let payment = desk.payment().id;
        let events = not_refunded(&desk.order, payment, desk.now, &mut ids(&mut desk.made));
        desk.tell(events);
        assert_eq!(desk.attention(), says);
    }
    let mut desk = Desk::session(CaptureMode::Automatic, HOLDS);
    desk.wait(10).see("PAID");
    desk.refund(Some(40)).unwrap();
    let events = not_refunded(&desk.order, desk.payment().id, desk.now, &mut ids(&mut desk.made));
    assert_eq!(events, [], "the merchant is told by the answer to its own request");
}

#[test]
fn a_cancelled_order_that_counted_on_a_refund_which_is_refused_needs_a_person() {
    let mut desk = Desk::cart(|header| header.auto_submit = false);
    desk.checkout(CaptureMode::Automatic, HOLDS);
    desk.wait(10).see("PAID");
    desk.refund(None).unwrap();
    let events = super::finish::cancel(&desk.order, desk.now, &mut ids(&mut desk.made)).unwrap();
    desk.tell(events);
    assert_eq!((desk.state(), desk.order.refunds.len()), ("CANCELLED", 1));
    let payment = desk.payment().id;
    let mut events = operate::refused(&desk.order, payment, Failure::default());
    events.extend(not_refunded(&desk.order, payment, desk.now, &mut ids(&mut desk.made)));
    desk.tell(events);
    assert_eq!((desk.attention(), desk.operation()), ("REFUND_NEEDED".to_owned(), None));
}

#[test]
fn the_policy_is_due_as_long_as_nobody_has_decided() {
    let mut desk = Desk::paid_late("PAID", |_| ());
    let due = |desk: &Desk| {
        let remedies = jobs(&desk.order).into_iter().filter(|(kind, ..)| *kind == JobKind::ApplyRefundPolicy);
        remedies.map(|(_, subject, at)| (subject, at)).collect::<Vec<_>>()
    };
    let attention = desk.order.attention[0].clone();
    assert_eq!(due(&desk), [(attention.id.to_string(), attention.raised_at)]);
    desk.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!(due(&desk), []);
}

#[test]
fn a_note_is_kept_beside_the_events() {
    let mut desk = Desk::paid_late("PAID", |_| ());
    desk.decide(AttentionDecision::Dismiss).unwrap();
    let event = desk.events.last().unwrap();
    assert!(!event.text.contains("Ann"), "{}", event.text);
    let (digest, body) = event.record.event.erasable().pop().unwrap();
    let mut order = OrderAggregate::replay(&desk.events).unwrap();
    let slot = order.slots().into_iter().find(|slot| slot.digest() == &*digest).unwrap();
    slot.fill(body);
    let note = order.attention[0].resolution.as_ref().unwrap().note.as_ref().unwrap();
    assert_eq!(note.value().unwrap(), "Ann called");
}

#[test]
fn a_hold_that_is_taken_while_it_is_to_be_released_for_an_ended_order_is_a_persons_task() {
    let mut desk = Desk::cart(|header| header.requires_approval = true);
    desk.checkout(CaptureMode::Manual, HOLDS);
    desk.wait(10).see("AUTHORIZED");
    let ended = finish::cancel(&desk.order, desk.now, &mut ids(&mut desk.made)).unwrap();
    desk.tell(ended);
    assert_eq!((desk.state(), desk.operation()), ("CANCELLED", Some("VOID")));
    desk.wait(10).see("PAID");
    assert_eq!((desk.standing(), desk.operation()), ("PAID 100/100/0".to_owned(), None));
    assert_eq!(desk.attention(), "REFUND_NEEDED");
}

#[test]
fn money_that_is_on_its_way_back_pays_for_no_order() {
    let unusable = DomainError::SessionUnusable("its money was given back, lost or is contested");
    for (capture, words, gives_back) in
        [(CaptureMode::Automatic, "PAID", "refund"), (CaptureMode::Manual, "AUTHORIZED", "void")]
    {
        let mut desk = Desk::cart(|header| header.requires_signing = Requirement::Required);
        desk.checkout(capture, HOLDS);
        desk.wait(10).see(words);
        desk.step(gives_back);
        let signed = cart::sign(&desk.order, signature()).unwrap();
        desk.tell(signed);
        assert_eq!(desk.state(), "PENDING_PAYMENT", "{words}");
        let with = submit::Submission { session: Some(desk.the_session().id), ..Default::default() };
        let (payment, now) = (PaymentId::from_uuid(desk.uuid()), desk.now);
        let refused =
            submit::submit(&desk.order, &with, payment, [0; 16], now, &mut ids(&mut desk.made)).err();
        assert_eq!(refused, Some(unusable.clone()), "{words}");
    }
}
