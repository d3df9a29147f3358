//! What follows from a decision about money that needed a look.

use super::attention::{report_unknown, return_declined};
use super::operate::next_refund;
use super::resolve::resolve;
use super::*;

impl Scenario {
    /// Decides about the oldest open attention.
    pub(super) fn decide(&mut self, decision: AttentionDecision) -> Result<(), DomainError> {
        let open = self.order.attention.iter().find(|attention| attention.resolved_at.is_none());
        let open = open.or(self.order.attention.last()).ok_or(DomainError::TooLate("there is none"))?.id;
        let with = Resolution { decision, note: Some(Erasable::new("Ann called".to_owned(), [9; 16])) };
        let events = resolve(&mut self.context(), open, &with)?;
        self.record(events);
        Ok(())
    }

    /// A cart again, whose first session was paid after it had ended.
    pub(super) fn paid_late(line: &str, with: impl FnOnce(&mut OrderHeader)) -> Self {
        let mut scenario = Self::cart(with);
        scenario.checkout(CaptureMode::Manual, HOLDS);
        scenario.wait(10).see("FAILED last");
        assert_eq!(scenario.state(), "PENDING");
        scenario.see_all(line);
        scenario
    }

    fn operation(&self) -> Option<&'static str> {
        self.payment().operation.as_ref().map(|operation| operation.kind.as_str())
    }

    fn raise_if_unknown(&mut self) {
        let events = report_unknown(&mut self.context(), self.payment().id);
        self.record(events);
    }
}

#[test]
fn late_money_that_is_kept_submits_the_order_that_still_waits_for_it() {
    for says in ["PAID", "AUTHORIZED"] {
        let mut scenario = Scenario::paid_late(says, |_| ());
        assert_eq!((scenario.state(), &*scenario.attention()), ("PENDING", "LATE_PAYMENT"));
        scenario.decide(AttentionDecision::Keep).unwrap();
        assert_eq!((scenario.state(), &*scenario.attention()), ("PROCESSING", "none"), "{says}");
        assert!(scenario.the_session().used && scenario.the_session().status == SessionStatus::Failed);
        assert_eq!(
            scenario.decide(AttentionDecision::Keep),
            Err(DomainError::TooLate("it is resolved already"))
        );
    }
}

#[test]
fn late_money_that_is_not_the_price_or_not_alone_is_kept_and_submits_nothing() {
    let mut dearer = Scenario::paid_late("PAID", |_| ());
    let items = vec![item(2, 100, "0", 0)];
    let content = Box::new(Content { items, ..dearer.order.header.content.clone() });
    dearer.record(vec![Event::OrderEdited { content, only_metadata: false }]);
    dearer.price();
    let gone = Scenario::paid_late("PAID; REFUNDED", |_| ());
    let mut going = Scenario::paid_late("PAID", |_| ());
    going.refund(None).unwrap();
    let mut beside = Scenario::paid_late("PENDING", |header| header.content.auto_submit = false);
    let first = beside.the_session().attempt;
    beside.checkout(CaptureMode::Manual, HOLDS);
    beside.wait(10).see("PAID");
    beside.wait(10).see_of(first, "PAID");
    let mut ended = Scenario::paid_late("PENDING", |_| ());
    ended.act("cancel");
    ended.wait(10).see("PAID");
    for (mut scenario, state) in [
        (dearer, "PENDING"),
        (gone, "PENDING"),
        (going, "PENDING"),
        (beside, "PENDING_PAYMENT"),
        (ended, "CANCELLED"),
    ] {
        assert_ne!(scenario.attention(), "none");
        scenario.decide(AttentionDecision::Keep).unwrap();
        assert_eq!((scenario.state(), &*scenario.attention()), (state, "none"));
    }
}

#[test]
fn a_late_hold_that_was_to_be_captured_at_once_is_not_kept_before_it_is_captured() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.see_all("FAILED last; AUTHORIZED");
    let open = "LATE_PAYMENT UNEXPECTED_HOLD";
    assert_eq!(scenario.attention(), open);
    let only_held = DomainError::TooLate("the money is only authorized; capture it first");
    assert_eq!(scenario.decide(AttentionDecision::Keep), Err(only_held));
    assert_eq!((scenario.state(), &*scenario.attention()), ("PENDING", open));
}

#[test]
fn a_late_hold_that_was_kept_and_comes_back_is_not_late_again() {
    let mut scenario = Scenario::paid_late("AUTHORIZED", |_| ());
    scenario.decide(AttentionDecision::Keep).unwrap();
    scenario.see_all("CANCELLED; AUTHORIZED");
    assert_eq!((scenario.state(), &*scenario.attention()), ("PROCESSING", "AUTHORIZATION_LOST"));
}

#[test]
fn late_money_cannot_be_kept_while_another_session_is_open_or_a_signature_is_missing() {
    let mut scenario = Scenario::paid_late("PENDING", |_| ());
    let first = scenario.order.attempts[0].id;
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see_of(first, "PAID");
    assert_eq!(scenario.decide(AttentionDecision::Keep), Err(DomainError::SessionOpen));
    assert_eq!(scenario.attention(), "LATE_PAYMENT");

    let mut scenario =
        Scenario::paid_late("PAID", |header| header.content.requires_signing = Requirement::Required);
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
    for (line, operation) in [("PAID", "REFUND"), ("AUTHORIZED", "VOID")] {
        let mut scenario = Scenario::paid_late(line, |_| ());
        scenario.decide(AttentionDecision::Refund).unwrap();
        assert_eq!((scenario.operation(), &*scenario.attention()), (Some(operation), "none"), "{line}");
        assert_eq!(scenario.state(), "PENDING");
        let policy = |refund: &Refund| refund.origin == RefundOrigin::Policy;
        assert!(scenario.order.refunds.iter().all(policy));
        let decided = scenario.decide(AttentionDecision::Refund);
        assert_eq!(decided, Err(DomainError::TooLate("it is resolved already")));
    }
    // The merchant was faster.
    for (line, requested, operation) in [("PAID", "refund", "REFUND"), ("AUTHORIZED", "void", "VOID")] {
        let mut scenario = Scenario::paid_late(line, |_| ());
        scenario.step(requested);
        let refunds = scenario.order.refunds.clone();
        scenario.decide(AttentionDecision::Refund).unwrap();
        assert_eq!((scenario.operation(), &scenario.order.refunds), (Some(operation), &refunds), "{line}");
    }
}

#[test]
fn a_refund_that_waits_is_sent_on_its_own_payment_and_no_other() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    let first = (scenario.the_session().attempt, scenario.payment().id);
    scenario.wait(10).see("EXPIRED");
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.wait(10).see_of(first.0, "PAID");
    scenario.refund(Some(40)).unwrap();
    scenario.refund(Some(30)).unwrap();
    assert_eq!(next_refund(&mut scenario.context(), first.1), []);
    let free = scenario.order.payment(first.1).unwrap();
    assert_eq!(operate::refundable(&scenario.order, free), 100);
}

#[test]
fn what_cannot_go_back_leaves_the_attention_open() {
    let nothing = DomainError::TooLate("the payment has no money to refund or void");
    let other = DomainError::TooLate("the stated amount has to be refunded at the provider itself");
    for (line, error) in [
        ("PAID; REFUNDED", nothing),
        ("PAID; DISPUTED CHARGEBACK", DomainError::Disputed),
        ("PAID currency=USD", other.clone()),
        ("PAID total=130 captured=0", other),
    ] {
        let mut scenario = Scenario::paid_late(line, |_| ());
        let open = scenario.attention();
        assert_eq!(scenario.decide(AttentionDecision::Refund), Err(error), "{line}");
        assert_eq!(scenario.attention(), open);
    }
    let mut scenario = Scenario::session(CaptureMode::Automatic, TAKES);
    scenario.wait(10).see("FAILED last");
    scenario.wait(10).see("PAID");
    assert_eq!(scenario.decide(AttentionDecision::Refund), Err(DomainError::Unsupported("refund")));
    let mut scenario = Scenario::session(CaptureMode::Automatic, TAKES);
    scenario.see_all("FAILED last; PAID total=130");
    assert_eq!(scenario.decide(AttentionDecision::Refund), Err(DomainError::Unsupported("refund")));
}

#[test]
fn the_same_number_in_another_currency_is_another_amount() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    let attempt = scenario.the_session().attempt;
    let dollars = Some(Money::new(100, currency("USD")));
    scenario.observe(attempt, &Observation { total: dollars, ..seen("PAID", at(10)) });
    let came = (scenario.payment_state(), scenario.attention());
    assert_eq!(came, ("PENDING 0/0/0".to_owned(), "AMOUNT_MISMATCH".to_owned()));
    // Only what was captured is stated as captured.
    for (status, stated) in [("AUTHORIZED", None), ("PAID", dollars)] {
        let mut scenario = Scenario::session(CaptureMode::Manual, HOLDS);
        let attempt = scenario.the_session().attempt;
        let observation = Observation { authorized: dollars, captured: stated, ..seen(status, at(10)) };
        scenario.observe(attempt, &observation);
        assert_eq!(scenario.order.attention[0].stated, stated, "{status}");
    }
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
fn another_amount_that_nobody_has_paid_raises_attention_and_what_was_taken_of_it_goes_back() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PENDING total=130");
    let none = DomainError::TooLate("the provider states no captured money");
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
fn money_over_another_amount_goes_back_by_itself_only_alone_and_once() {
    // The payment itself was paid as it should be.
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.see_all("PAID; PAID total=130");
    let other = DomainError::TooLate("the stated amount has to be refunded at the provider itself");
    assert_eq!(scenario.decide(AttentionDecision::Refund), Err(other));
    // It is on its way back already.
    let mut scenario = Scenario::paid_late("PAID total=130", |_| ());
    scenario.decide(AttentionDecision::Refund).unwrap();
    scenario.wait(10).see("PAID total=140");
    assert_eq!(scenario.attention(), "AMOUNT_MISMATCH");
    assert_eq!(scenario.decide(AttentionDecision::Refund), Err(DomainError::OperationPending));
    assert_eq!(scenario.payment().operation.as_ref().unwrap().amount, Some(130));
}

#[test]
fn money_over_another_amount_that_the_provider_declines_to_give_back_needs_a_person_again() {
    let mut scenario = Scenario::paid_late("PAID total=130", |_| ());
    scenario.decide(AttentionDecision::Refund).unwrap();
    let payment = scenario.payment().id;
    let mut events = operate::declined(&scenario.order, payment, Failure::default());
    events.extend(return_declined(&mut scenario.context(), payment));
    scenario.record(events);
    assert_eq!((scenario.attention(), scenario.operation()), ("REFUND_NEEDED".to_owned(), None));
}

#[test]
fn an_operation_that_is_dismissed_was_not_done_until_it_shows_after_all() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(Some(40)).unwrap();
    scenario.wait(899).raise_if_unknown();
    assert_eq!(scenario.attention(), "none");
    scenario.wait(1).raise_if_unknown();
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
fn a_close_that_is_dismissed_leaves_its_session_open_until_its_time_or_the_provider_ends_it() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.close(FailureCode::Cancelled).unwrap();
    scenario.wait(900).raise_if_unknown();
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!((scenario.operation(), scenario.session_status().as_str()), (None, "PENDING"));
    let ends = scenario.the_session().expires_at;
    let close = |scenario: &Scenario| {
        let jobs = scenario.jobs();
        jobs.into_iter().find(|(job, _)| matches!(job, Job::CloseSession(_))).map(|(_, at)| at)
    };
    assert_eq!(close(&scenario), Some(ends));
    for (says, session, order) in [
        ("CANCELLED last", "FAILED CANCELLED", "PENDING"),
        ("PAID", "COMPLETED", "PROCESSING"),
        ("FAILED why=51", "PENDING DECLINED again", "PENDING_PAYMENT"),
    ] {
        let mut scenario = scenario.clone();
        scenario.wait(10).see(says);
        assert_eq!((scenario.session_status().as_str(), scenario.state()), (session, order));
    }
    scenario.now = ends;
    scenario.close(FailureCode::Expired).unwrap();
    assert_eq!((scenario.operation(), close(&scenario)), (Some("CLOSE"), None));
    scenario.wait(10).see("CANCELLED last");
    assert_eq!((scenario.session_status().as_str(), scenario.state()), ("FAILED EXPIRED", "PENDING"));
}

#[test]
fn an_operation_that_a_person_keeps_waiting_for_raises_no_attention_again_but_the_next_one_does() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(Some(40)).unwrap();
    scenario.wait(900).raise_if_unknown();
    scenario.decide(AttentionDecision::Keep).unwrap();
    assert_eq!(scenario.operation(), Some("REFUND"));
    scenario.wait(900).raise_if_unknown();
    assert_eq!(scenario.attention(), "none");
    scenario.wait(10).see("FROM_AMOUNTS refunded=40");
    scenario.refund(Some(10)).unwrap();
    scenario.wait(900).raise_if_unknown();
    assert_eq!(scenario.attention(), "OUTCOME_UNKNOWN");
}

#[test]
fn dismissing_ends_no_operation_that_is_younger_than_the_attention() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(Some(40)).unwrap();
    scenario.wait(900).raise_if_unknown();
    scenario.wait(10).see("FROM_AMOUNTS refunded=40");
    scenario.wait(10);
    scenario.refund(Some(10)).unwrap();
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!(scenario.operation(), Some("REFUND"));
}

#[test]
fn dismissing_something_else_ends_no_operation() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(Some(40)).unwrap();
    scenario.wait(10).see("DISPUTED RETRIEVAL");
    assert_eq!(scenario.attention(), "DISPUTE");
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!((scenario.operation(), &*scenario.attention()), (Some("REFUND"), "none"));
}

#[test]
fn money_that_the_provider_declines_to_give_back_needs_a_person_again() {
    for (line, says) in [("PAID", "REFUND_NEEDED"), ("AUTHORIZED", "REFUND_NEEDED")] {
        let mut scenario = Scenario::paid_late(line, |_| ());
        scenario.decide(AttentionDecision::Refund).unwrap();
        let payment = scenario.payment().id;
        let events = return_declined(&mut scenario.context(), payment);
        scenario.record(events);
        assert_eq!(scenario.attention(), says);
    }
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(Some(40)).unwrap();
    let events = return_declined(&mut scenario.context(), scenario.payment().id);
    assert_eq!(events, None, "the answer to its own request says so to the merchant");
    let mut scenario = Scenario::paid(CaptureMode::Manual, HOLDS, "AUTHORIZED");
    scenario.capture(None).unwrap();
    scenario.capture_is_declined();
    assert_eq!(scenario.attention(), "none", "so does that to a capture");
}

#[test]
fn a_cancelled_order_that_counted_on_a_refund_which_is_declined_needs_a_person() {
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.refund(None).unwrap();
    scenario.act("cancel");
    assert_eq!((scenario.state(), scenario.order.refunds.len()), ("CANCELLED", 1));
    let payment = scenario.payment().id;
    let mut events = operate::declined(&scenario.order, payment, Failure::default());
    events.extend(return_declined(&mut scenario.context(), payment));
    scenario.record(events);
    assert_eq!((scenario.attention(), scenario.operation()), ("REFUND_NEEDED".to_owned(), None));
}

#[test]
fn the_policy_is_due_as_long_as_nobody_has_decided() {
    let mut scenario = Scenario::paid_late("PAID", |_| ());
    let due = |scenario: &Scenario| {
        let jobs = scenario.jobs().into_iter();
        jobs.filter(|(job, _)| matches!(job, Job::ApplyRefundPolicy(_))).collect::<Vec<_>>()
    };
    let attention = scenario.order.attention[0].clone();
    assert_eq!(due(&scenario), [(Job::ApplyRefundPolicy(attention.id), attention.raised_at)]);
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    assert_eq!(due(&scenario), []);
}

#[test]
fn a_note_is_kept_beside_the_events() {
    let mut scenario = Scenario::paid_late("PAID", |_| ());
    scenario.decide(AttentionDecision::Dismiss).unwrap();
    let change = scenario.changes.last().unwrap();
    assert!(!change.text.contains("Ann"), "{}", change.text);
    let body = change.events[0].personal().pop().unwrap();
    let mut order: OrderAggregate = replay(&replay::reread(&scenario.changes)).unwrap();
    let slot = order.erasables().into_iter().find(|slot| *slot.digest() == *body.digest).unwrap();
    slot.fill(body.text);
    let note = order.attention[0].resolution.as_ref().unwrap().note.as_ref().unwrap();
    assert_eq!(note.value().unwrap(), "Ann called");
}

#[test]
fn a_hold_that_is_taken_while_it_is_to_be_released_for_an_ended_order_is_a_persons_task() {
    let mut scenario = Scenario::cart(|header| header.content.requires_approval = true);
    scenario.checkout(CaptureMode::Manual, HOLDS);
    scenario.wait(10).see("AUTHORIZED");
    scenario.act("cancel");
    assert_eq!((scenario.state(), scenario.operation()), ("CANCELLED", Some("VOID")));
    scenario.wait(10).see("AUTHORIZED");
    assert_eq!(scenario.attention(), "none", "it may still be released");
    scenario.wait(10).see("PAID");
    assert_eq!((scenario.payment_state(), scenario.operation()), ("PAID 100/100/0".to_owned(), None));
    assert_eq!(scenario.attention(), "REFUND_NEEDED");
}

#[test]
fn money_that_is_on_its_way_back_pays_for_no_order() {
    let unusable = DomainError::SessionUnusable("its money was refunded, lost or is disputed");
    for (capture, line, gives_back) in
        [(CaptureMode::Automatic, "PAID", "refund"), (CaptureMode::Manual, "AUTHORIZED", "void")]
    {
        let mut scenario = Scenario::cart(|header| header.content.requires_signing = Requirement::Required);
        scenario.checkout(capture, HOLDS);
        scenario.wait(10).see(line);
        scenario.step(gives_back);
        let signed = cart::sign(&scenario.order, signature()).unwrap();
        scenario.record(signed);
        assert_eq!(scenario.state(), "PENDING_PAYMENT", "{line}");
        // Nor does another report that it is still there.
        scenario.wait(10).see(line);
        assert_eq!(scenario.state(), "PENDING_PAYMENT", "{line} again");
        let with = submit::Submission { session: Some(scenario.the_session().id), ..Default::default() };
        let refused = submit::submit(&mut scenario.context(), &with).err();
        assert_eq!(refused, Some(unusable.clone()), "{line}");
    }
}

#[test]
fn an_order_that_has_or_may_have_money_never_expires() {
    let mut starting = Scenario::cart(|_| ());
    starting.start_checkout(CaptureMode::Automatic, HOLDS, &[]);
    let processing = Scenario::paid(CaptureMode::Automatic, HOLDS, "PROCESSING");
    let mut going_back = Scenario::paid_late("PAID total=130", |_| ());
    going_back.decide(AttentionDecision::Refund).unwrap();
    let mut contested = Scenario::cart(|header| header.content.auto_submit = false);
    contested.checkout(CaptureMode::Automatic, HOLDS);
    contested.see_all("PAID; REFUNDED; DISPUTED CHARGEBACK");
    for mut scenario in [starting, processing, going_back, contested] {
        let before = scenario.order.clone();
        scenario.wait(8 * 24 * 3_600).act("expire");
        assert_eq!(scenario.order, before);
    }
}

#[test]
fn an_ended_order_whose_waiting_refunds_return_all_that_is_left_needs_nobody() {
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    ["PAID", "refund 10", "refund 50", "refund 40"].iter().for_each(|step| scenario.step(step));
    scenario.act("cancel");
    scenario.step("FROM_AMOUNTS refunded=60");
    assert!(scenario.send_next());
    let operation = scenario.payment().operation.as_ref().unwrap();
    assert_eq!((operation.amount, &*scenario.attention()), (Some(40), "none"));
}
