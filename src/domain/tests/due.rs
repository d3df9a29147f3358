//! When a provider is asked again, and what a file makes due.

use super::open::fail_over;
use super::*;

/// In the middle of the jitter.
const MIDDLE: u64 = 100;

/// Seconds until the next read of the newest payment; `-` if there is none.
fn wait_of(scenario: &Scenario) -> String {
    let next = next_read(&scenario.order, scenario.payment(), scenario.now, MIDDLE);
    next.map_or("-".to_owned(), |at| at.since(scenario.now).as_secs().to_string())
}

#[test]
fn a_provider_is_asked_soon_then_ever_less_often_by_what_is_waited_for() {
    let table = "
        # words                        | seconds after them | seconds until the next read
        PENDING                        | 0     | 7
        PENDING                        | 6     | 7
        PENDING                        | 7     | 10
        PENDING                        | 50    | 10
        PENDING                        | 100   | 20
        PENDING                        | 1000  | 200
        # The end of the session, an hour after it was opened, is a moment of its own.
        PENDING                        | 3400  | 200
        PENDING                        | 3595  | 10
        PENDING                        | 9000  | 1800
        PENDING                        | 90000 | 3600
        REQUIRES_ACTION                | 1000  | 200
        FAILED                         | 1000  | 200
        # What nobody knows is asked about for ever.
        PROCESSING                     | 0     | 7
        PROCESSING                     | 1000  | 200
        PROCESSING                     | 9000  | 1800
        PROCESSING                     | 900000 | 21600
        AUTHORIZED                     | 0     | 21600
        AUTHORIZED                     | 900000 | 21600
        # 28 days are 2 419 200 s; the hold is asked about an hour before.
        AUTHORIZED                     | 2405000 | 10600
        AUTHORIZED                     | 2415600 | 21600
        AUTHORIZED                     | 2500000 | 21600
        PAID; DISPUTED CHARGEBACK      | 1000  | 86400
        PAID                           | 1000  | -
        PAID; FROM_AMOUNTS refunded=40 | 1000  | -
        PAID; REFUNDED                 | 1000  | -
        FAILED last                    | 1000  | -
        CANCELLED                      | 1000  | -
        EXPIRED                        | 1000  | -
        # What was not believed is asked about again, by the age of the doubt.
        PAID; PAID total=90            | 1000  | 199
        PAID; UNMAPPED                 | 1000  | 199
        PAID; FAILED                   | 1000  | 199
        PAID; PAID total=90            | 900000 | 86400
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Manual, HOLDS);
        for word in row[0].split(';') {
            scenario.see(word);
            scenario.now = scenario.now.plus(Duration::from_millis(1));
        }
        scenario.now = at(row[1].parse().unwrap());
        assert_eq!(wait_of(&scenario), row[2], "{row:?}");
    }
}

#[test]
fn an_operation_of_unknown_outcome_is_asked_about_by_its_own_age_for_ever() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.see("PAID");
    scenario.wait(100_000).refund(Some(40)).unwrap();
    scenario.refund(Some(30)).unwrap();
    for (age, wait) in [(0, "7"), (10, "10"), (1_000, "200"), (900_000, "21600")] {
        assert_eq!(wait_of(scenario.clone().wait(age)), wait, "after {age} s");
    }
    scenario.wait(5).see("FROM_AMOUNTS refunded=40");
    assert_eq!(wait_of(scenario.wait(1_000)), "200", "a refund waits behind it");
}

#[test]
fn where_nobody_tells_of_refunds_and_disputes_what_was_paid_is_asked_about_daily_for_a_while() {
    const DAY: u64 = 24 * 3_600;
    let watches = PaymentCapabilities { poll_after_capture_days: 180, ..HOLDS };
    for word in ["PAID", "FROM_AMOUNTS refunded=40", "REFUNDED"] {
        let mut scenario = Scenario::session(CaptureMode::Automatic, watches);
        scenario.wait(10).see(word);
        assert_eq!(wait_of(&scenario), "86400", "{word}");
        assert_eq!(wait_of(scenario.wait(179 * DAY)), "86400", "{word}");
        assert_eq!(wait_of(scenario.wait(DAY)), "-", "{word}");
    }
    let mut unpaid = Scenario::session(CaptureMode::Automatic, watches);
    unpaid.wait(10).see("CANCELLED last");
    assert_eq!(wait_of(&unpaid), "-");
}

#[test]
fn after_its_session_nobody_waits_for_the_customer_and_outside_money_is_never_asked_about() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, TAKES);
    scenario.see("PENDING");
    scenario.close(FailureCode::Expired).unwrap();
    let events = operate::closed_by_gateway(&scenario.order, scenario.payment().id);
    scenario.record(events);
    assert_eq!((scenario.payment_state().as_str(), wait_of(&scenario).as_str()), ("PENDING 0/0/0", "-"));
    scenario.submit(&orders::external("r1"));
    assert_eq!(wait_of(&scenario), "-");
}

#[test]
fn what_was_not_believed_is_left_alone_once_a_person_has_looked() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.see("PAID");
    scenario.see("PAID total=90");
    assert_ne!(wait_of(&scenario), "-");
    scenario.resolve_all();
    assert_eq!(wait_of(&scenario), "-");
}

#[test]
fn reads_spread_by_a_tenth_either_way() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.see("PENDING");
    scenario.wait(1_000);
    let waits =
        (0..1_000).map(|draw| next_read(&scenario.order, scenario.payment(), scenario.now, draw).unwrap());
    let waits: Vec<u128> = waits.map(|at| at.since(scenario.now).as_millis()).collect();
    assert_eq!((waits.iter().min(), waits.iter().max()), (Some(&180_000), Some(&220_000)));
}

/// Every kind that is due, with the seconds after the tests began: `close_session 3600, expire_order 604800`.
fn due(scenario: &Scenario) -> String {
    let mut due: Vec<String> = jobs(&scenario.order)
        .into_iter()
        .map(|(kind, _, moment)| format!("{} {}", kind.as_str(), moment.since(at(0)).as_secs()))
        .collect();
    due.sort();
    due.join(", ")
}

#[test]
fn a_file_makes_due_what_is_open_in_it() {
    let table = "
        # steps, ten seconds apart  | due
                                    | expire_order 604800
        start                       | close_session 3600, expire_order 604800, resolve_start 45
        start; begun                | close_session 3600, expire_order 604810
        start; over                 | close_orphan 45, close_session 3600, expire_order 604810, resolve_start 55
        start; begun; close         | expire_order 604820, resume_operation 65
        start; begun; close; CANCELLED | expire_order 604830
        start; begun; FAILED last   | expire_order 604820
        # Paid and not submitted: a day later a person is told.
        start; begun; PAID          | expire_order 86420
        start; begun; PAID; refund  | expire_order 86430, resume_operation 75
        start; begun; PAID; refund 40; refund 30; FROM_AMOUNTS refunded=40 | expire_order 86450, resume_operation 40
        start; begun; PAID; submit  |
        start; begun; AUTHORIZED; submit; capture | resume_operation 85
        cancel                      |
    ";
    for row in rows(table) {
        let mut scenario = Scenario::cart(|header| header.auto_submit = false);
        for step in row[0].split(';').filter(|step| !step.is_empty()) {
            step_of(&mut scenario, step.trim());
        }
        assert_eq!(due(&scenario), row[1], "{row:?}");
    }
}

fn step_of(scenario: &mut Scenario, step: &str) {
    match step {
        "start" => drop(scenario.start_checkout(CaptureMode::Manual, HOLDS, &["second"])),
        "begun" => {
            let newest = scenario.order.attempts.last().unwrap().id;
            scenario.wait(10).created(newest);
        }
        "over" => drop(scenario.wait(10).fail_over(true, HOLDS)),
        "close" => drop(scenario.wait(10).close(FailureCode::Expired).unwrap()),
        "submit" => {
            let session = Some(scenario.the_session().id);
            scenario.wait(10).submit(&super::submit::Submission { session, ..Default::default() });
        }
        "cancel" => drop(scenario.act("cancel")),
        step => scenario.step(step),
    }
}

#[test]
fn a_providers_own_order_is_handed_over_once_ours_was_submitted() {
    let mut scenario = Scenario::cart(|_| ());
    scenario.start_checkout(CaptureMode::Automatic, HOLDS, &["second"]);
    let (session, left) = (scenario.the_session().clone(), scenario.order.attempts[0].clone());
    let new_attempt = NewAttempt { submits_order: true, ..scenario.start("second", HOLDS) };
    let attempt = new_attempt.attempt;
    scenario.record(fail_over(&left, false, "unavailable", &session, new_attempt, scenario.now));
    scenario.created(attempt);
    assert!(!due(&scenario).contains("submit_provider_order"));
    scenario.wait(10).see("PAID");
    assert_eq!(due(&scenario), "submit_provider_order 10");
    scenario.record(vec![Event::ProviderOrderSubmitted { attempt }]);
    assert_eq!(due(&scenario), "");
}

#[test]
fn of_late_money_that_is_kept_the_order_behind_the_paid_attempt_is_handed_over_and_no_other() {
    let mut scenario = Scenario::cart(|_| ());
    scenario.start_checkout(CaptureMode::Automatic, HOLDS, &["second"]);
    let (session, left) = (scenario.the_session().clone(), scenario.order.attempts[0].clone());
    let new_attempt =
        |scenario: &mut Scenario| NewAttempt { submits_order: true, ..scenario.start("second", HOLDS) };
    let (second, third) = (new_attempt(&mut scenario), new_attempt(&mut scenario));
    let (orphan, attempt) = (second.attempt, third.attempt);
    scenario.record(fail_over(&left, false, "unavailable", &session, second, scenario.now));
    let left = scenario.order.attempt(orphan).unwrap().clone();
    scenario.record(fail_over(&left, true, "unknown", &session, third, scenario.now));
    scenario.created(attempt);
    // The one before it is found and closed, with an order of its own behind it.
    scenario.created(orphan);
    scenario.record(vec![Event::AttemptAbandoned {
        attempt: orphan,
        orphaned: false,
        why: "closed".to_owned(),
    }]);
    scenario.wait(10).see_of(attempt, "FAILED last");
    scenario.wait(10).see_of(attempt, "PAID");
    assert_eq!((scenario.state(), scenario.attention().as_str()), ("PENDING", "LATE_PAYMENT"));
    assert!(!due(&scenario).contains("submit_provider_order"));
    scenario.decide(AttentionDecision::Keep).unwrap();
    let due: Vec<_> = jobs(&scenario.order).into_iter().map(|(kind, subject, _)| (kind, subject)).collect();
    assert_eq!(due, [(JobKind::SubmitProviderOrder, attempt.to_string())]);
    scenario.record(vec![Event::ProviderOrderSubmitted { attempt }]);
    assert_eq!(jobs(&scenario.order), []);
}

#[test]
fn a_person_who_was_told_of_unsubmitted_money_is_not_told_again() {
    let mut scenario = Scenario::cart(|header| header.auto_submit = false);
    scenario.checkout(CaptureMode::Manual, HOLDS);
    scenario.see("PAID");
    assert_eq!(due(&scenario), "expire_order 86400");
    scenario.wait(86_400).act("expire");
    assert_eq!(
        (due(&scenario).as_str(), scenario.attention().as_str()),
        ("apply_refund_policy 86400", "PAID_NOT_SUBMITTED")
    );
    scenario.resolve_all();
    assert_eq!(due(&scenario), "");
    // Another payment of the order is other money.
    scenario.wait(10).see("REFUNDED");
    scenario.checkout(CaptureMode::Manual, HOLDS);
    scenario.wait(10).see("PAID");
    assert_eq!(due(&scenario), "expire_order 172820");
}

#[test]
fn of_two_payments_that_nobody_submits_a_person_is_told_of_each() {
    let mut scenario = Scenario::cart(|header| header.auto_submit = false);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    let first = scenario.the_session().attempt;
    scenario.wait(10).see("EXPIRED");
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID");
    scenario.wait(86_400).act("expire");
    scenario.resolve_all();
    scenario.wait(10).see_of(first, "PAID");
    scenario.wait(86_400).act("expire");
    assert_eq!(scenario.attention(), "DUPLICATE_PAYMENT PAID_NOT_SUBMITTED");
}

#[test]
fn a_policy_about_unsubmitted_money_leaves_an_order_alone_that_was_submitted_before_its_turn() {
    let mut scenario = Scenario::cart(|header| header.auto_submit = false);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    scenario.see("PAID");
    scenario.wait(86_400).act("expire");
    assert_eq!(
        (due(&scenario).as_str(), is_decidable(&scenario.order, &scenario.order.attention[0])),
        ("apply_refund_policy 86400", true)
    );
    let session = Some(scenario.the_session().id);
    scenario.submit(&super::submit::Submission { session, ..Default::default() });
    assert_eq!(
        (due(&scenario).as_str(), is_decidable(&scenario.order, &scenario.order.attention[0])),
        ("", false)
    );
    assert_eq!(scenario.attention(), "PAID_NOT_SUBMITTED", "a person may still look");
}

#[test]
fn every_kind_of_due_has_a_word_of_its_own() {
    for kind in JobKind::ALL {
        assert_eq!(JobKind::from_word(kind.as_str()), Some(kind));
    }
    assert_eq!(JobKind::from_word("nothing"), None);
}

#[test]
fn a_person_is_told_once_of_a_start_that_stays_unsure() {
    const LIMIT: Duration = Duration::from_secs(900);
    let mut scenario = Scenario::cart(|_| ());
    scenario.start_checkout(CaptureMode::Automatic, HOLDS, &[]);
    let tell = |scenario: &mut Scenario| {
        let (attempt, made) = (scenario.order.attempts[0].id, &mut scenario.made);
        let events = observe::unsure_start(&scenario.order, attempt, LIMIT, scenario.now, &mut ids(made));
        scenario.record(events)
    };
    assert_eq!(tell(scenario.wait(899)), 0);
    assert_eq!((tell(scenario.wait(1)), scenario.attention().as_str()), (1, "OUTCOME_UNKNOWN"));
    assert_eq!(tell(scenario.wait(900)), 0);
    scenario.resolve_all();
    assert_eq!(tell(scenario.wait(900)), 0);
    let mut known = Scenario::session(CaptureMode::Automatic, HOLDS);
    assert_eq!(tell(known.wait(900)), 0);
}

#[test]
fn a_person_is_told_of_an_operation_that_stays_unsure() {
    let limit = Duration::from_secs(900);
    let mut scenario = Scenario::paid(CaptureMode::Automatic, HOLDS, "PAID");
    let payment = scenario.payment().id;
    scenario.refund(Some(40)).unwrap();
    for (seconds, told) in [(899, 0), (1, 1), (60, 0)] {
        scenario.wait(seconds);
        let events =
            observe::unsure(&scenario.order, payment, limit, scenario.now, &mut ids(&mut scenario.made));
        assert_eq!(scenario.record(events), told);
    }
    assert_eq!(scenario.attention(), "OUTCOME_UNKNOWN");
}
