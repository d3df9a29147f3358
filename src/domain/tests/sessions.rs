//! How a session is started, declined, closed and ended, and what becomes of money that comes after it.

use super::operate::close;
use super::session_end::closed_by_gateway;
use super::session_start::{StartResult, abandon, accept_start, fail_over};
use super::*;
use port::{Advice, ProviderError};

impl Scenario {
    pub(super) fn close(&mut self, code: FailureCode) -> Result<usize, DomainError> {
        let events = close(&self.order, self.the_session().id, code, self.now)?;
        Ok(self.record(events))
    }

    /// Leaves the newest attempt for an account called `second`, and answers the attempt that was left.
    pub(super) fn fail_over(&mut self, orphaned: bool, capabilities: PaymentCapabilities) -> AttemptId {
        let new_attempt = self.start("second", capabilities);
        let left = self.order.attempts.last().unwrap().clone();
        self.record(fail_over(&left, orphaned, StartFailure::OutcomeUnknown, new_attempt));
        left.id
    }

    /// The session's failure as `CODE code text`, with `-` for what is absent.
    fn failure(&self) -> String {
        let Some(failure) = &self.the_session().failure else { return "none".to_owned() };
        let or_dash = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
        let code = serde_json::to_string(&failure.code).unwrap().replace('"', "");
        format!("{code} {} {}", or_dash(&failure.provider_code), or_dash(&failure.message))
    }
}

#[test]
fn a_failure_says_how_it_ended_and_keeps_the_last_decline() {
    let table = "
        FAILED why=51                            | PENDING | DECLINED 51 text 51
        FAILED why=51; PROCESSING                | PENDING | DECLINED 51 text 51
        FAILED why=51; FAILED why=05             | PENDING | DECLINED 05 text 05
        FAILED why=51; REQUIRES_ACTION           | REQUIRES_ACTION | DECLINED 51 text 51
        FAILED                                   | PENDING | DECLINED - -
        FAILED last why=51                       | FAILED  | DECLINED 51 text 51
        FAILED why=51; FAILED last               | FAILED  | DECLINED 51 text 51
        FAILED why=51; EXPIRED                   | FAILED  | EXPIRED 51 text 51
        FAILED why=51; PENDING; EXPIRED          | FAILED  | EXPIRED 51 text 51
        EXPIRED                                  | FAILED  | EXPIRED - -
        FAILED why=51; CANCELLED                 | FAILED  | DECLINED 51 text 51
        FAILED; CANCELLED                        | FAILED  | DECLINED - -
        CANCELLED why=51                         | FAILED  | DECLINED 51 text 51
        CANCELLED                                | FAILED  | CANCELLED_BY_CUSTOMER - -
        FAILED why=51; CANCELLED CUSTOMER_REJECTED | FAILED | CANCELLED_BY_CUSTOMER 51 text 51
        FAILED why=51; PAID                      | COMPLETED | none
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
        scenario.see_all(row[0]);
        let session = scenario.the_session();
        let again = session.failure.as_ref().is_some_and(|failure| failure.retryable);
        assert_eq!((session.status.as_str(), scenario.failure().as_str()), (row[1], row[2]), "{row:?}");
        assert_eq!(again, session.status.is_open(), "{row:?}");
    }
}

#[test]
fn a_customer_who_came_back_by_cancel_gives_a_failure_its_reason_where_the_provider_gives_none() {
    let table = "
        FAILED last                 | FAILED    | CANCELLED_BY_CUSTOMER - -
        PENDING; FAILED last        | FAILED    | CANCELLED_BY_CUSTOMER - -
        FAILED last why=51          | FAILED    | DECLINED 51 text 51
        FAILED why=51; FAILED last  | FAILED    | DECLINED 51 text 51
        FAILED; FAILED last         | FAILED    | DECLINED - -
        FAILED                      | PENDING   | DECLINED - -
        EXPIRED                     | FAILED    | EXPIRED - -
        PENDING                     | PENDING   | none
        PAID                        | COMPLETED | none
        AUTHORIZED; CANCELLED       | FAILED    | CANCELLED_BY_CUSTOMER - -
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
        scenario.customer_left = true;
        scenario.see_all(row[0]);
        let status = scenario.the_session().status.as_str();
        assert_eq!((status, scenario.failure().as_str()), (row[1], row[2]), "{row:?}");
    }
}

#[test]
fn a_closed_session_ends_as_it_was_requested_once_the_provider_ends_it_unless_it_was_paid() {
    let table = "
        # why closed | before; then the answer | session                   | operation
        CANCELLED | CANCELLED                  | FAILED CANCELLED - -      | none
        CANCELLED | EXPIRED                    | FAILED CANCELLED - -      | none
        CANCELLED | FAILED last                | FAILED CANCELLED - -      | none
        EXPIRED   | CANCELLED                  | FAILED EXPIRED - -        | none
        EXPIRED   | CANCELLED CUSTOMER_REJECTED | FAILED EXPIRED - -       | none
        CANCELLED | PENDING                    | PENDING none              | CLOSE
        CANCELLED | FAILED                     | PENDING DECLINED - -      | CLOSE
        CANCELLED | UNMAPPED                   | PENDING none              | CLOSE
        CANCELLED | PAID                       | COMPLETED none            | none
        EXPIRED   | PAID                       | COMPLETED none            | none
        EXPIRED   | AUTHORIZED                 | PENDING none              | none
        # What is not as it was asked is closed all the same, and then it is over.
        PROVIDER_ERROR | PENDING total=90      | PENDING none              | CLOSE
        PROVIDER_ERROR | CANCELLED total=90    | FAILED PROVIDER_ERROR - - | none
        PROVIDER_ERROR | CANCELLED test        | FAILED PROVIDER_ERROR - - | none
        PROVIDER_ERROR | PAID total=90         | PENDING none              | CLOSE
        PROVIDER_ERROR | CANCELLED ours=other  | PENDING none              | CLOSE
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
        assert_eq!(scenario.wait(10).close(named(row[0])), Ok(1));
        scenario.wait(10).see(row[1]);
        let operation =
            scenario.payment().operation.as_ref().map_or("none", |operation| operation.kind.as_str());
        let session = format!("{} {}", scenario.the_session().status.as_str(), scenario.failure());
        assert_eq!((session.as_str(), operation), (row[2], row[3]), "{row:?}");
        assert_eq!(scenario.state() == "PENDING", scenario.session_status().starts_with("FAILED"), "{row:?}");
    }
}

#[test]
fn a_decline_before_the_close_stays_beside_how_it_ended() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("FAILED why=51");
    scenario.close(FailureCode::Expired).unwrap();
    scenario.wait(10).see("CANCELLED");
    assert_eq!(scenario.failure(), "EXPIRED 51 text 51");
}

#[test]
fn closing_is_asked_once_and_an_ended_session_is_not_closed() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    assert_eq!(
        (scenario.close(FailureCode::Cancelled), scenario.close(FailureCode::Expired)),
        (Ok(1), Ok(0))
    );
    assert_eq!(scenario.the_session().closing, Some(FailureCode::Cancelled));
    scenario.wait(10).see("CANCELLED");
    assert_eq!(scenario.close(FailureCode::Cancelled), Ok(0));
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.see("PAID");
    assert!(matches!(scenario.close(FailureCode::Cancelled), Err(DomainError::TooLate(_))));
}

#[test]
fn where_nothing_can_be_closed_the_gateway_ends_the_session_once_a_read_shows_no_money() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, TAKES);
    scenario.see("FAILED why=51");
    let payment = scenario.payment().id;
    assert_eq!(closed_by_gateway(&scenario.order, payment), vec![], "nobody has asked for it");
    scenario.close(FailureCode::Expired).unwrap();
    let events = closed_by_gateway(&scenario.order, payment);
    scenario.record(events);
    assert_eq!((scenario.failure().as_str(), scenario.state()), ("EXPIRED 51 text 51", "PENDING"));
    assert!(scenario.payment().operation.is_none());
    // Paid on the page that nobody could close.
    scenario.wait(10).see("PAID");
    assert_eq!((scenario.session_status().as_str(), scenario.state()), ("FAILED EXPIRED", "PENDING"));
    assert_eq!(
        (scenario.payment_state().as_str(), scenario.attention().as_str()),
        ("PAID 0/100/0", "LATE_PAYMENT")
    );
}

#[test]
fn a_start_that_fails_moves_on_to_the_next_account_or_ends_the_session() {
    let mut scenario = Scenario::cart(|_| ());
    let first = scenario.start_checkout(CaptureMode::Automatic, HOLDS, &["second", "third"]);
    assert_eq!(scenario.fail_over(false, TAKES), first);
    let session = scenario.the_session();
    assert_eq!(session.fallback, ["third"]);
    assert_eq!(session.routing.tried[0].account, "first");
    assert_eq!(scenario.order.attempt(first).unwrap().state, AttemptState::Ended);
    assert_eq!((scenario.payment().capabilities, scenario.payment().attempt), (TAKES, Some(session.attempt)));

    let failure = SessionFailure {
        code: FailureCode::ProviderError,
        message: None,
        provider_code: None,
        retryable: false,
    };
    let left = scenario.order.attempts.last().unwrap().clone();
    scenario.record(abandon(&scenario.order, &left, StartFailure::Unavailable, failure));
    assert_eq!(
        (scenario.payment().status(), scenario.payment().state.is_final()),
        (PaymentStatus::Failed, true)
    );
    assert_eq!((scenario.session_status().as_str(), scenario.state()), ("FAILED PROVIDER_ERROR", "PENDING"));
    assert!(scenario.order.attempts.iter().all(|attempt| attempt.state == AttemptState::Ended));
}

#[test]
fn a_start_that_is_answered_after_it_was_given_up_is_left_to_be_closed() {
    let created = |attempt| {
        let next = Erasable::new(Next::Nothing, [4; 16]);
        [Event::AttemptCreated { attempt, reference: "theirs".to_owned(), next, adapter_state: None }]
    };
    for orphaned in [true, false] {
        let mut scenario = Scenario::cart(|_| ());
        let first = scenario.start_checkout(CaptureMode::Automatic, HOLDS, &["second"]);
        let accepted = StartResult::Accepted(created(first).into());
        assert_eq!(accept_start(&scenario.order, first, &created(first)), accepted);
        scenario.fail_over(orphaned, HOLDS);
        let StartResult::Abandoned(events) = accept_start(&scenario.order, first, &created(first)) else {
            panic!("accepted")
        };
        scenario.record(events);
        assert_eq!(scenario.order.attempt(first).unwrap().state, AttemptState::Orphaned);
        assert_eq!(accept_start(&scenario.order, first, &created(first)), StartResult::Abandoned(Vec::new()));

        // The same answer twice, and once more after the page was closed.
        let second = scenario.the_session().attempt;
        scenario.created(second);
        assert_eq!(
            accept_start(&scenario.order, second, &created(second)),
            StartResult::Accepted(Vec::new())
        );
        scenario.wait(10).see("EXPIRED");
        assert_eq!(
            accept_start(&scenario.order, second, &created(second)),
            StartResult::Abandoned(Vec::new())
        );
    }
}

#[test]
fn an_attempt_that_was_given_up_and_paid_all_the_same_gets_a_payment_of_its_own() {
    let table = "
        # the orphan | while the newer one is | state of the newest payment | attention
        PAID         | PENDING | PAID 100/100/0 | LATE_PAYMENT
        AUTHORIZED   | PENDING | AUTHORIZED 100/0/0 | LATE_PAYMENT
        PAID         | PAID    | PAID 100/100/0 | DUPLICATE_PAYMENT
        FROM_AMOUNTS refunded=40 | PAID | PARTIALLY_REFUNDED 100/100/40 | DUPLICATE_PAYMENT
        REFUNDED     | PAID    | PAID 0/100/0   | none
        PENDING      | PAID    | PAID 0/100/0   | none
        CANCELLED    | PENDING | PENDING 0/0/0  | none
        PAID captured=110 | PAID | PAID 0/100/0 | CONTRADICTION
        PAID total=90 | PAID   | PAID 0/100/0   | AMOUNT_MISMATCH
    ";
    for row in rows(table) {
        let mut scenario = Scenario::cart(|_| ());
        scenario.start_checkout(CaptureMode::Manual, HOLDS, &["second"]);
        let orphan = scenario.fail_over(true, TAKES);
        let newer = scenario.the_session().attempt;
        scenario.created(newer);
        scenario.wait(10).see(row[1]);
        let session = scenario.session_status();
        scenario.wait(10).see_of(orphan, row[0]);
        assert_eq!(
            (scenario.payment_state(), scenario.attention()),
            (row[2].to_owned(), row[3].to_owned()),
            "{row:?}"
        );
        assert_eq!(scenario.session_status(), session, "the session goes on as it was");
        let before = scenario.order.clone();
        scenario.see_of(orphan, row[0]);
        assert_eq!(scenario.order, before, "{row:?}");
    }
}

#[test]
fn a_found_payment_lives_on_like_any_other() {
    let mut scenario = Scenario::cart(|_| ());
    scenario.start_checkout(CaptureMode::Manual, HOLDS, &["second"]);
    let orphan = scenario.fail_over(true, TAKES);
    let newer = scenario.the_session().attempt;
    scenario.created(newer);
    scenario.wait(10).see_of(orphan, "AUTHORIZED");
    let found = scenario.payment().clone();
    assert_eq!(
        (found.attempt, found.capabilities, found.session),
        (Some(orphan), HOLDS, Some(scenario.the_session().id))
    );
    let month = 28 * 24 * 3_600;
    assert_eq!(found.authorization_expires_at, Some(at(10 + month)));
    scenario.record(operate::void(&scenario.order, found.id, scenario.now).unwrap());
    assert_eq!(scenario.the_session().closing, None, "the session stands on another attempt");
    scenario.wait(10).see_of(orphan, "CANCELLED");
    assert_eq!(scenario.payment_state(), "CANCELLED 100/0/0");
    assert_eq!(scenario.session_status(), "PENDING");
}

#[test]
fn a_hold_of_an_abandoned_attempt_is_not_captured_beside_the_session_that_goes_on() {
    let mut scenario = Scenario::cart(|_| ());
    scenario.start_checkout(CaptureMode::Automatic, HOLDS, &["second"]);
    let orphan = scenario.fail_over(true, HOLDS);
    let newer = scenario.the_session().attempt;
    scenario.created(newer);
    for _ in 0..2 {
        scenario.wait(10).see_of(orphan, "AUTHORIZED");
        assert_eq!(
            (scenario.payment_state().as_str(), &scenario.payment().operation),
            ("AUTHORIZED 100/0/0", &None)
        );
    }
    assert_eq!(scenario.attention(), "LATE_PAYMENT UNEXPECTED_HOLD");
}

#[test]
fn money_where_no_open_session_waits_is_late_or_a_duplicate() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    let first = scenario.order.attempts[0].id;
    scenario.wait(10).see("EXPIRED");
    scenario.wait(10).checkout(CaptureMode::Automatic, HOLDS);

    // Waiting on a newer session.
    let mut waiting = scenario.clone();
    waiting.wait(10).see_of(first, "PAID");
    assert_eq!((waiting.attention().as_str(), waiting.state()), ("LATE_PAYMENT", "PENDING_PAYMENT"));

    // The newer one was paid.
    scenario.wait(10).see("PAID");
    scenario.wait(10).see_of(first, "PAID");
    assert_eq!((scenario.attention().as_str(), scenario.state()), ("DUPLICATE_PAYMENT", "PROCESSING"));
    assert_eq!(scenario.order.sessions[0].status, SessionStatus::Failed);

    // The merchant has collected it.
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("EXPIRED");
    scenario.submit(&orders::external("r1"));
    scenario.wait(10).see("PAID");
    assert_eq!((scenario.attention().as_str(), scenario.state()), ("DUPLICATE_PAYMENT", "PROCESSING"));
}

#[test]
fn money_after_the_order_was_cancelled_is_late_even_on_a_session_that_was_still_open() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.act("cancel");
    scenario.wait(10).see("PAID");
    assert_eq!((scenario.session_status().as_str(), scenario.state()), ("COMPLETED", "CANCELLED"));
    assert_eq!(scenario.attention(), "LATE_PAYMENT");
}

#[test]
fn a_hold_that_comes_back_after_the_order_was_a_cart_again_is_late() {
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
    scenario.checkout(CaptureMode::Manual, HOLDS);
    for says in ["AUTHORIZED", "CANCELLED", "AUTHORIZED"] {
        scenario.wait(10).see(says);
    }
    assert_eq!((scenario.session_status().as_str(), scenario.state()), ("COMPLETED", "PENDING"));
    assert_eq!(scenario.attention(), "LATE_PAYMENT");
}

#[test]
fn a_refund_that_comes_back_is_no_late_payment() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.wait(10).see("FROM_AMOUNTS refunded=100");
    scenario.act("fulfil");
    scenario.wait(10).see("FROM_AMOUNTS REFUND_REVERSED refunded=0");
    assert_eq!((scenario.attention().as_str(), scenario.state()), ("REFUND_FAILED", "COMPLETED"));
}

#[test]
fn what_a_provider_says_leaves_a_payment_open_or_not_and_may_say_that_nothing_was_taken() {
    let table = "
        # statement     | leaves it open | leaves it unpaid
        PENDING         | true  | true
        REQUIRES_ACTION | true  | true
        PROCESSING      | true  | false
        FAILED          | true  | true
        FAILED last     | false | true
        CANCELLED       | false | true
        EXPIRED         | false | true
        AUTHORIZED      | false | false
        PAID            | false | false
        FROM_AMOUNTS    | false | false
        DISPUTED CHARGEBACK | false | false
        REVERSED        | false | false
        UNCHANGED       | true  | false
        UNMAPPED        | true  | false
    ";
    for row in rows(table) {
        let seen = seen(row[0], at(0));
        let judged = (leaves_open(&seen), leaves_unpaid(&seen));
        assert_eq!(judged, (row[1] == "true", row[2] == "true"), "{row:?}");
    }
}

#[test]
fn a_failed_start_is_stored_and_shown_by_the_name_that_its_error_has_in_the_metrics() {
    let all = [
        ProviderError::NotSent(String::new()),
        ProviderError::Busy { retry_after: None },
        ProviderError::Misconfigured,
        ProviderError::Unavailable(String::new()),
        ProviderError::declined(None, None),
        ProviderError::rejected(None, None),
        ProviderError::AmountDiffers(String::new()),
        ProviderError::NotFound,
        ProviderError::Unsupported("pay"),
        ProviderError::OutcomeUnknown(String::new()),
    ];
    for error in all {
        let failure = StartFailure::from(&error);
        assert_eq!((failure.as_str(), json!(failure)), (error.label(), json!(error.label())), "{error}");
        let nothing_left = !matches!(error.advice(), Advice::Stop | Advice::ResolveUnknown);
        let had_no_effect = nothing_left || error == ProviderError::NotFound;
        assert_eq!(failure.had_no_effect(), had_no_effect, "{error}");
    }
}

/// A report of what the customer paid with.
fn paid_with(scenario: &Scenario, says: &str, last4: &str) -> Observation {
    let method = port::PaymentMethod {
        kind: Some(port::PaymentMethodType::Card),
        last4: Some(last4.to_owned()),
        ..port::PaymentMethod::default()
    };
    Observation { method: Some(method), ..seen(says, scenario.now) }
}

#[test]
fn what_the_customer_paid_with_is_kept_beside_the_record_and_gone_with_the_customer() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    let attempt = scenario.order.attempts[0].id;
    let shown =
        |scenario: &Scenario| json!(view::PaymentView(&scenario.order, scenario.payment()))["method"].clone();
    let report = paid_with(scenario.wait(10), "FAILED", "1111");
    assert_eq!(scenario.observe(attempt, &report), 2, "the payment and its session");
    assert_eq!(scenario.observe(attempt, &report), 0, "it is no news");
    scenario.wait(10).see("PENDING");
    assert_eq!(shown(&scenario)["last4"], "1111", "a report that says nothing of it takes nothing away");
    let report = paid_with(scenario.wait(10), "PAID", "4242");
    scenario.observe(attempt, &report);
    let card = json!({"type": "CARD", "brand": null, "last4": "4242", "wallet": null, "country": null});
    assert_eq!(shown(&scenario), card);
    let records = scenario.changes.iter().map(|change| &*change.text).collect::<String>();
    assert!(!records.contains("4242") && !records.contains("1111"));
    scenario.record(vec![Event::PersonalDataErased]);
    let report = paid_with(scenario.wait(10), "PAID", "4242");
    assert_eq!(scenario.observe(attempt, &report), 0);
    assert_eq!(shown(&scenario), Value::Null);
}
