//! When a payment is read again, and what an order makes due.

use super::session_start::fail_over;
use super::*;

/// In the middle of the jitter.
const MIDDLE: u64 = 2;

/// Seconds until the next read of the newest payment; `-` if there is none.
fn wait_of(scenario: &Scenario) -> String {
    let next = next_read(&scenario.order, scenario.payment(), scenario.now, MIDDLE);
    next.map_or("-".to_owned(), |at| at.since(scenario.now).as_secs().to_string())
}

#[test]
fn a_payment_is_read_soon_then_ever_less_often_by_what_is_waited_for() {
    let table = "
        # statements                   | seconds after them | seconds until the next read
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
        # An unknown outcome is read for ever.
        PROCESSING                     | 0     | 7
        PROCESSING                     | 1000  | 200
        PROCESSING                     | 9000  | 1800
        PROCESSING                     | 900000 | 21600
        AUTHORIZED                     | 0     | 21600
        AUTHORIZED                     | 900000 | 21600
        # 28 days are 2 419 200 s; the authorization is read an hour before it ends.
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
        # What was not believed is read again, by the age of the doubt.
        PAID; PAID total=90            | 1000  | 199
        PAID; UNMAPPED                 | 1000  | 199
        PAID; FAILED                   | 1000  | 199
        PAID; PAID total=90            | 900000 | 86400
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Manual, HOLDS);
        for says in row[0].split(';') {
            scenario.see(says);
            scenario.now = scenario.now.plus(Duration::from_millis(1));
        }
        scenario.now = at(row[1].parse().unwrap());
        assert_eq!(wait_of(&scenario), row[2], "{row:?}");
    }
}

#[test]
fn the_second_read_keeps_its_distance_however_early_the_first_one_was() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    let first =
        (0..5).map(|draw| next_read(&scenario.order, scenario.payment(), scenario.now, draw).unwrap());
    for first in first.collect::<Vec<_>>() {
        scenario.now = first;
        assert_eq!(wait_of(&scenario), "10", "after {:?}", first.since(at(0)));
    }
}

#[test]
fn an_operation_of_unknown_outcome_is_read_by_its_own_age_for_ever() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.see("PAID");
    scenario.wait(100_000).refund(Some(40)).unwrap();
    scenario.refund(Some(30)).unwrap();
    for (age, wait) in [(0, "7"), (10, "10"), (1_000, "200"), (900_000, "21600")] {
        assert_eq!(wait_of(scenario.clone().wait(age)), wait, "after {age} s");
    }
    let mut reported = scenario.clone();
    let payment = reported.wait(900).payment().id;
    let raised = attention::report_unknown(&mut reported.context(), payment);
    assert_eq!(reported.record(raised), 1);
    assert_eq!(wait_of(reported.wait(100)), "200", "attention makes it no younger");
    scenario.wait(5).see("FROM_AMOUNTS refunded=40");
    assert_eq!(wait_of(scenario.wait(1_000)), "200", "a refund waits behind it");
}

#[test]
fn where_refunds_and_disputes_are_not_notified_what_was_paid_is_read_daily_for_a_while() {
    const DAY: u64 = 24 * 3_600;
    let watches = PaymentCapabilities { poll_after_capture_days: 180, ..HOLDS };
    for says in ["PAID", "FROM_AMOUNTS refunded=40", "REFUNDED"] {
        let mut scenario = Scenario::session(CaptureMode::Automatic, watches);
        scenario.wait(10).see(says);
        assert_eq!(wait_of(&scenario), "86400", "{says}");
        assert_eq!(wait_of(scenario.wait(179 * DAY)), "86400", "{says}");
        assert_eq!(wait_of(scenario.wait(DAY)), "-", "{says}");
    }
    let mut unpaid = Scenario::session(CaptureMode::Automatic, watches);
    unpaid.wait(10).see("CANCELLED last");
    assert_eq!(wait_of(&unpaid), "-");
}

#[test]
fn after_its_session_nobody_waits_for_the_customer_and_money_collected_elsewhere_is_never_read() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, TAKES);
    scenario.see("PENDING");
    scenario.close(FailureCode::Expired).unwrap();
    let events = session_end::closed_by_gateway(&scenario.order, scenario.payment().id);
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

/// Every job that is due, with the seconds after the tests began: `close_session 3600, expire_order 604800`.
fn due(scenario: &Scenario) -> String {
    let name = |job: Job| <&str>::from(JobKind::from(job));
    let shown = |(job, moment): (Job, Timestamp)| format!("{} {}", name(job), moment.since(at(0)).as_secs());
    let mut due: Vec<String> = scenario.jobs().into_iter().map(shown).collect();
    due.sort();
    due.join(", ")
}

#[test]
fn an_order_makes_due_what_is_open_in_it() {
    let table = "
        # steps, ten seconds apart  | due
                                    | expire_order 604800
        start                       | close_session 3600, expire_order 604800, report_unknown 900, resolve_start 45
        # Known to be unknown, it is looked for as soon as a payment is first read.
        start; lost                 | close_session 3600, expire_order 604810, report_unknown 900, resolve_start 17
        start; created              | close_session 3600, expire_order 604810
        start; created; unreadable  | close_session 3600, expire_order 604820, report_unknown 920
        start; created; unreadable; readable | close_session 3600, expire_order 604830
        start; over                 | close_orphan 45, close_session 3600, expire_order 604810, report_unknown 910, resolve_start 55
        start; created; close       | expire_order 604820, report_unknown 920, resume_operation 65
        # A call that ended without an answer need not be waited for.
        start; created; close; unanswered | expire_order 604830, report_unknown 920, resume_operation 37
        start; created; close; CANCELLED | expire_order 604830
        start; created; FAILED last | expire_order 604820
        # Paid and not submitted: a day later attention is raised.
        start; created; PAID        | expire_order 86420
        start; created; PAID; refund | expire_order 86430, report_unknown 930, resume_operation 75
        start; created; PAID; refund 40; refund 30; FROM_AMOUNTS refunded=40 | expire_order 86450, resume_operation 40
        start; created; PAID; submit |
        start; created; AUTHORIZED; submit; capture | report_unknown 940, resume_operation 85
        cancel                      |
    ";
    for row in rows(table) {
        let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
        for step in row[0].split(';').filter(|step| !step.is_empty()) {
            step_of(&mut scenario, step.trim());
        }
        assert_eq!(due(&scenario), row[1], "{row:?}");
    }
}

#[test]
fn what_was_sent_in_the_future_is_due_at_once() {
    let mut scenario = Scenario::cart(|_| ());
    scenario.start_checkout(CaptureMode::Manual, HOLDS, &[]);
    scenario.now = at(-86_400);
    let due = scenario.jobs();
    let resolved = due.iter().find(|(job, _)| matches!(job, Job::ResolveStart(_)));
    assert_eq!(resolved.map(|(_, at)| *at), Some(scenario.now));
}

impl Scenario {
    /// Takes note of an answer about the newest attempt, and says how many events that made.
    fn answers(&mut self, readable: bool) -> usize {
        let attempt = self.order.attempts.last().unwrap().id;
        self.record(attention::readability(&self.order, attempt, readable))
    }
}

fn step_of(scenario: &mut Scenario, step: &str) {
    match step {
        "start" => drop(scenario.start_checkout(CaptureMode::Manual, HOLDS, &["second"])),
        "created" => {
            let newest = scenario.order.attempts.last().unwrap().id;
            scenario.wait(10).created(newest);
        }
        "lost" => {
            let attempt = scenario.order.attempts.last().unwrap().id;
            scenario.wait(10).record(vec![Event::StartUnknown { attempt }]);
        }
        "unanswered" => {
            let payment = scenario.payment().id;
            scenario.wait(10).record(vec![Event::OperationUnanswered { payment, unsent: false }]);
        }
        "unreadable" | "readable" => drop(scenario.wait(10).answers(step == "readable")),
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
fn a_providers_own_order_is_submitted_once_ours_was() {
    let mut scenario = Scenario::cart(|_| ());
    scenario.start_checkout(CaptureMode::Automatic, HOLDS, &["second"]);
    let left = scenario.order.attempts[0].clone();
    let new_attempt = NewAttempt { submits_order: true, ..scenario.start("second", HOLDS) };
    let attempt = new_attempt.attempt;
    scenario.record(fail_over(&left, false, StartFailure::Unavailable, new_attempt));
    scenario.created(attempt);
    assert!(!due(&scenario).contains("submit_provider_order"));
    scenario.wait(10).see("PAID");
    assert_eq!(due(&scenario), "submit_provider_order 10");
    scenario.record(vec![Event::ProviderOrderSubmitted { attempt }]);
    assert_eq!(due(&scenario), "");
}

#[test]
fn of_late_money_that_is_kept_the_order_behind_the_paid_attempt_is_submitted_and_no_other() {
    let mut scenario = Scenario::cart(|_| ());
    scenario.start_checkout(CaptureMode::Automatic, HOLDS, &["second"]);
    let over = |scenario: &mut Scenario, orphaned, why| {
        let left = scenario.order.attempts.last().unwrap().clone();
        let next = NewAttempt { submits_order: true, ..scenario.start("second", HOLDS) };
        let attempt = next.attempt;
        scenario.record(fail_over(&left, orphaned, why, next));
        attempt
    };
    let orphan = over(&mut scenario, false, StartFailure::Unavailable);
    let attempt = over(&mut scenario, true, StartFailure::OutcomeUnknown);
    scenario.created(attempt);
    // The one before it is found and closed, with an order of its own behind it.
    scenario.created(orphan);
    scenario.record(vec![Event::AttemptAbandoned {
        attempt: orphan,
        orphaned: false,
        failure: StartFailure::Closed,
    }]);
    scenario.wait(10).see_of(attempt, "FAILED last");
    scenario.wait(10).see_of(attempt, "PAID");
    assert_eq!((scenario.state(), scenario.attention().as_str()), ("PENDING", "LATE_PAYMENT"));
    assert!(!due(&scenario).contains("submit_provider_order"));
    scenario.decide(AttentionDecision::Keep).unwrap();
    let due: Vec<_> = scenario.jobs().into_iter().map(|(job, _)| job).collect();
    assert_eq!(due, [Job::SubmitProviderOrder(attempt)]);
    scenario.record(vec![Event::ProviderOrderSubmitted { attempt }]);
    assert_eq!(scenario.jobs(), []);
}

#[test]
fn unsubmitted_money_raises_attention_once_for_each_payment() {
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
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
fn of_two_payments_that_nobody_submits_each_raises_attention() {
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
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
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
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
fn every_kind_of_job_has_a_name_of_its_own() {
    use strum::VariantArray as _;

    let names: std::collections::BTreeSet<&str> = JobKind::VARIANTS.iter().map(<&str>::from).collect();
    assert_eq!(names.len(), JobKind::VARIANTS.len());
}

#[test]
fn a_job_that_asks_a_provider_waits_in_its_accounts_lane_and_an_unknown_outcome_goes_first() {
    let table = "
        # steps                      | jobs with their lanes and urgency
                                     | expire_order general scheduled
        start                        | close_session first scheduled, expire_order general scheduled, report_unknown first unknown_outcome, resolve_start first unknown_outcome
        start; created; PROCESSING   | close_session first scheduled, expire_order general scheduled, fetch_status first unknown_outcome
        start; created; AUTHORIZED; submit | fetch_status first scheduled
        start; created; PAID; submit; refund | fetch_status first unknown_outcome, report_unknown first unknown_outcome, resume_operation first unknown_outcome
    ";
    for row in rows(table) {
        let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
        row[0]
            .split(';')
            .filter(|step| !step.is_empty())
            .for_each(|step| step_of(&mut scenario, step.trim()));
        let shown = |due: DueJob| {
            let (job, urgency): (&str, &str) = (JobKind::from(due.job).into(), due.urgency.into());
            let lane = match due.lane {
                Lane::General => "general".to_owned(),
                Lane::Account(account) => account,
            };
            format!("{job} {lane} {urgency}")
        };
        let mut due: Vec<_> = scenario.order.due(scenario.now, MIDDLE).into_iter().map(shown).collect();
        due.sort();
        assert_eq!(due.join(", "), row[1], "{row:?}");
    }
}

#[test]
fn a_start_whose_outcome_stays_unknown_raises_attention_once() {
    let mut scenario = Scenario::cart(|_| ());
    scenario.start_checkout(CaptureMode::Automatic, HOLDS, &[]);
    let raise = |scenario: &mut Scenario| {
        let payment = scenario.payment().id;
        let events = attention::report_unknown(&mut scenario.context(), payment);
        scenario.record(events)
    };
    assert_eq!(raise(scenario.wait(899)), 0);
    assert_eq!((raise(scenario.wait(1)), scenario.attention().as_str()), (1, "OUTCOME_UNKNOWN"));
    assert_eq!(raise(scenario.wait(900)), 0);
    scenario.resolve_all();
    assert_eq!(raise(scenario.wait(900)), 0);
    let mut known = Scenario::session(CaptureMode::Automatic, HOLDS);
    assert_eq!(raise(known.wait(900)), 0);
}

#[test]
fn an_operation_whose_outcome_stays_unknown_raises_attention_once() {
    let mut scenario = Scenario::paid(CaptureMode::Automatic, HOLDS, "PAID");
    let payment = scenario.payment().id;
    scenario.refund(Some(40)).unwrap();
    for (seconds, raised) in [(899, 0), (1, 1), (60, 0)] {
        scenario.wait(seconds);
        let events = attention::report_unknown(&mut scenario.context(), payment);
        assert_eq!(scenario.record(events), raised);
    }
    assert_eq!(scenario.attention(), "OUTCOME_UNKNOWN");
    // While nobody has looked, the next one needs no attention of its own.
    scenario.wait(10).see("FROM_AMOUNTS refunded=40");
    scenario.refund(Some(10)).unwrap();
    assert!(!scenario.jobs().iter().any(|(job, _)| matches!(job, Job::ReportUnknown(_))));
}

#[test]
fn answers_that_stay_unreadable_raise_attention_once_and_again_after_a_person_has_looked() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    let payment = scenario.payment().id;
    let raise = |scenario: &mut Scenario| {
        let events = attention::report_unknown(&mut scenario.context(), payment);
        scenario.record(events)
    };
    assert_eq!((scenario.answers(true), scenario.answers(false), scenario.answers(false)), (0, 1, 0));
    assert_eq!(raise(scenario.wait(899)), 0);
    assert_eq!((raise(scenario.wait(1)), scenario.attention().as_str()), (1, "UNREADABLE_ANSWER"));
    assert_eq!(raise(scenario.wait(900)), 0);
    scenario.resolve_all();
    assert_eq!(raise(scenario.wait(899)), 0);
    assert_eq!(raise(scenario.wait(1)), 1);
    scenario.resolve_all();
    assert_eq!((scenario.answers(true), raise(scenario.wait(900))), (1, 0));
}
