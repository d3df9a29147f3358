//! Operations on money: one at a time, every amount reserved, and refunds that add up to what the provider says.

use super::operate::{NewRefund, capturable, declined, next_refund, refund, refundable};
use super::*;

impl Scenario {
    /// A payment that has taken or held money, after the statements of a line.
    pub(super) fn paid(capture: CaptureMode, capabilities: PaymentCapabilities, line: &str) -> Self {
        let mut scenario = Self::session(capture, capabilities);
        scenario.see_all(line);
        scenario
    }

    pub(super) fn refund(&mut self, amount: Option<i64>) -> Result<(), DomainError> {
        let mut context = self.context();
        let reason = Some(Erasable::new("broken".to_owned(), context.salt()));
        let new_refund = NewRefund { amount, reason, reference: None, origin: RefundOrigin::Api };
        let events = refund(&mut context, self.payment().id, new_refund)?;
        self.record(events);
        Ok(())
    }

    pub(super) fn capture(&mut self, amount: Option<i64>) -> Result<(), DomainError> {
        let events = operate::capture(&self.order, self.payment().id, amount, self.now)?;
        self.record(events);
        Ok(())
    }

    pub(super) fn void(&mut self) -> Result<(), DomainError> {
        let events = operate::void(&self.order, self.payment().id, self.now)?;
        self.record(events);
        Ok(())
    }

    pub(super) fn send_next(&mut self) -> bool {
        let next = next_refund(&mut self.context(), self.payment().id);
        self.record(next) > 0
    }

    fn left(&self) -> (i64, i64) {
        (capturable(self.payment()), refundable(&self.order, self.payment()))
    }

    /// The provider declines the capture under way.
    pub(super) fn capture_is_declined(&mut self) {
        let payment = self.payment().id;
        let mut events = operate::declined(&self.order, payment, Failure::default());
        events.extend(attention::capture_declined(&mut self.context(), payment));
        self.record(events);
    }

    /// `40 SUCCEEDED API, 60 PENDING API`.
    fn refunds(&self) -> String {
        let shown = self.order.refunds.iter().map(|refund| {
            let origin = serde_json::to_string(&refund.origin).unwrap().replace('"', "");
            format!("{} {} {origin}", refund.money.minor, refund.status.as_str())
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// The operation under way, as `REFUND 60`.
    fn under_way(&self) -> String {
        let operation = self.payment().operation.as_ref();
        operation.map_or("none".to_owned(), |operation| match operation.amount {
            Some(amount) => format!("{} {amount}", operation.kind.as_str()),
            None => operation.kind.as_str().to_owned(),
        })
    }

    /// Does what a line of a table says: a refund, a capture, a void, the next refund, a decline, or a statement of
    /// the provider's.
    pub(super) fn step(&mut self, step: &str) {
        self.wait(10);
        let parts: Vec<&str> = step.split_whitespace().collect();
        let amount = parts.get(1).and_then(|part| part.parse().ok());
        match parts[0] {
            "refund" => self.refund(amount).unwrap(),
            "capture" => self.capture(amount).unwrap(),
            "void" => self.void().unwrap(),
            "next" => assert!(self.send_next()),
            "declined" => {
                let why = Failure { code: Some("05".to_owned()), text: None };
                self.record(declined(&self.order, self.payment().id, why));
            }
            _ => {
                self.see(step);
            }
        }
    }
}

#[test]
fn an_operation_is_refused_where_the_state_the_amount_or_the_provider_forbids_it() {
    let many = PaymentCapabilities { partial_refunds: false, ..HOLDS_FOR_MANY };
    let table: [(&str, &str, Result<(), DomainError>, PaymentCapabilities); 29] = [
        ("AUTHORIZED", "capture", Ok(()), HOLDS),
        ("AUTHORIZED", "capture 60", Ok(()), HOLDS),
        ("AUTHORIZED", "capture 101", Err(DomainError::ExceedsAuthorized { remaining: 100 }), HOLDS),
        ("AUTHORIZED", "capture 0", Err(DomainError::NotPositive), HOLDS),
        ("AUTHORIZED", "capture -5", Err(DomainError::NotPositive), HOLDS),
        ("AUTHORIZED; PAID captured=60", "capture 1", too_late("the payment has nothing to capture"), HOLDS),
        (
            "AUTHORIZED; PAID captured=60",
            "capture 41",
            Err(DomainError::ExceedsAuthorized { remaining: 40 }),
            many,
        ),
        ("AUTHORIZED; PAID captured=60", "capture 40", Ok(()), many),
        ("PENDING", "capture", too_late("the payment has nothing to capture"), HOLDS),
        ("AUTHORIZED; CANCELLED", "capture", too_late("the payment has nothing to capture"), HOLDS),
        ("AUTHORIZED", "void", Ok(()), HOLDS),
        ("AUTHORIZED captured=60", "capture 1", too_late("the payment has nothing to capture"), HOLDS),
        ("AUTHORIZED; PAID captured=60", "void", Ok(()), many),
        (
            "AUTHORIZED",
            "void",
            Err(DomainError::Unsupported("void")),
            PaymentCapabilities { voids: false, ..HOLDS },
        ),
        ("PAID", "void", too_late("the payment has no authorization to void"), HOLDS),
        ("PAID", "refund", Ok(()), HOLDS),
        ("PAID", "refund 100", Ok(()), many),
        ("PAID", "refund 60", Err(DomainError::Unsupported("refund a part")), many),
        ("PAID", "refund", Err(DomainError::Unsupported("refund")), TAKES),
        ("PAID", "refund 0", Err(DomainError::NotPositive), HOLDS),
        ("PAID", "refund -5", Err(DomainError::NotPositive), HOLDS),
        ("PAID", "refund 101", Err(DomainError::ExceedsCaptured { remaining: 100 }), HOLDS),
        ("PAID; REFUNDED", "refund", Err(DomainError::ExceedsCaptured { remaining: 0 }), HOLDS),
        ("AUTHORIZED", "refund", too_late("the payment has no captured money to refund"), HOLDS),
        ("PAID; DISPUTED CHARGEBACK", "refund", Err(DomainError::Disputed), HOLDS),
        ("PAID; DISPUTED REPRESENTATION", "refund 10", Err(DomainError::Disputed), HOLDS),
        ("PAID; DISPUTED RETRIEVAL", "refund 10", Ok(()), HOLDS),
        ("PAID PAID_OUTSIDE", "refund", Err(DomainError::ExternalPayment), HOLDS),
        ("PAID PAID_OUTSIDE", "capture", Err(DomainError::ExternalPayment), HOLDS),
    ];
    for (line, requested, outcome, capabilities) in table {
        let mut scenario = Scenario::paid(CaptureMode::Manual, capabilities, line);
        let (action, amount) = requested.split_once(' ').unwrap_or((requested, ""));
        let amount = amount.parse().ok();
        let came = match action {
            "capture" => scenario.capture(amount),
            "void" => scenario.void(),
            _ => scenario.refund(amount),
        };
        assert_eq!(came, outcome, "{line}: {requested}");
    }
}

fn too_late(why: &'static str) -> Result<(), DomainError> {
    Err(DomainError::TooLate(why))
}

#[test]
fn beside_an_operation_under_way_a_capture_or_void_waits_for_the_merchant_and_a_refund_for_its_turn() {
    let mut scenario = Scenario::paid(CaptureMode::Manual, HOLDS, "AUTHORIZED");
    scenario.capture(Some(60)).unwrap();
    assert_eq!(
        (scenario.capture(None), scenario.void()),
        (Err(DomainError::OperationPending), Err(DomainError::OperationPending))
    );
    assert_eq!(scenario.left(), (0, 0));

    let mut scenario = Scenario::paid(CaptureMode::Automatic, HOLDS, "PAID");
    scenario.refund(Some(60)).unwrap();
    assert_eq!(scenario.refund(Some(60)), Err(DomainError::ExceedsCaptured { remaining: 40 }));
    scenario.refund(Some(30)).unwrap();
    assert_eq!(scenario.refund(Some(20)), Err(DomainError::ExceedsCaptured { remaining: 10 }));
    assert_eq!((scenario.under_way().as_str(), scenario.left()), ("REFUND 60", (0, 10)));
    assert!(!scenario.send_next(), "one is under way");
    scenario.wait(10).see("FROM_AMOUNTS refunded=60");
    assert_eq!(scenario.refunds(), "60 SUCCEEDED API, 30 PENDING API");
    assert!(scenario.send_next());
    assert_eq!(scenario.under_way(), "REFUND 30");
    scenario.wait(10).see("FROM_AMOUNTS refunded=90");
    assert_eq!(scenario.refunds(), "60 SUCCEEDED API, 30 SUCCEEDED API");
    assert_eq!((scenario.under_way().as_str(), scenario.left()), ("none", (0, 10)));
    assert!(!scenario.send_next());
}

#[test]
fn an_operation_ends_when_its_effect_is_seen_or_cannot_come_any_more() {
    let table = "
        # captures | steps                                         | state                | under way
        once | AUTHORIZED; capture; AUTHORIZED                   | AUTHORIZED 100/0/0   | CAPTURE 100
        once | AUTHORIZED; capture; PENDING                      | AUTHORIZED 100/0/0   | CAPTURE 100
        once | AUTHORIZED; capture; PAID                         | PAID 100/100/0       | none
        once | AUTHORIZED; capture 60; PAID                      | PAID 100/60/0        | none
        once | AUTHORIZED; capture 60; PAID captured=60          | PAID 100/60/0        | none
        once | AUTHORIZED; capture 60; PAID captured=20          | PAID 100/20/0        | CAPTURE 60
        once | AUTHORIZED; capture; CANCELLED                    | CANCELLED 100/0/0    | none
        once | AUTHORIZED; capture 60; declined; PAID             | PAID 100/100/0       | none
        many | AUTHORIZED; capture 60; PAID captured=60          | PAID 100/60/0        | none
        many | AUTHORIZED; capture 60; PAID captured=60; capture 40; PAID captured=60 | PAID 100/60/0 | CAPTURE 40
        many | AUTHORIZED; capture 60; PAID captured=60; capture 40; PAID captured=100 | PAID 100/100/0 | none
        many | AUTHORIZED; capture 60; PAID captured=60; capture 40; CANCELLED | PAID 100/60/0 | none
        once | AUTHORIZED; void; AUTHORIZED                      | AUTHORIZED 100/0/0   | VOID
        once | AUTHORIZED; void; CANCELLED                       | CANCELLED 100/0/0    | none
        once | AUTHORIZED; void; EXPIRED                         | EXPIRED 100/0/0      | none
        once | AUTHORIZED; void; REVERSED REVERSED               | CANCELLED 100/0/0    | none
        once | AUTHORIZED; void; PAID                            | PAID 100/100/0       | none
        many | AUTHORIZED; PAID captured=60; void; PAID captured=60 | PAID 100/60/0     | VOID
        many | AUTHORIZED; PAID captured=60; void; CANCELLED     | PAID 100/60/0        | none
        once | PAID; refund 40; PAID                             | PAID 100/100/0       | REFUND 40
        once | PAID; refund 40; UNCHANGED REFUND_PENDING refunded=0 | PAID 100/100/0    | REFUND 40
        once | PAID; refund 40; FROM_AMOUNTS refunded=40         | PARTIALLY_REFUNDED 100/100/40 | none
        once | PAID; refund; REFUNDED                            | REFUNDED 100/100/100 | none
        once | PAID; refund 40; FROM_AMOUNTS refunded=40; refund 30; FROM_AMOUNTS refunded=40 | PARTIALLY_REFUNDED 100/100/40 | REFUND 30
        once | PAID; refund 40; FROM_AMOUNTS REFUND_FAILED refunded=0 | PAID 100/100/0  | none
        once | PAID; refund 40; UNMAPPED                         | PAID 100/100/0       | REFUND 40
    ";
    for row in rows(table) {
        let capabilities = if row[0] == "once" { HOLDS } else { HOLDS_FOR_MANY };
        let mut scenario = Scenario::session(CaptureMode::Manual, capabilities);
        row[1].split(';').for_each(|step| scenario.step(step));
        assert_eq!(
            (scenario.payment_state().as_str(), scenario.under_way().as_str()),
            (row[2], row[3]),
            "{row:?}"
        );
    }
}

#[test]
fn a_hold_that_was_released_on_request_is_not_lost() {
    let mut scenario = Scenario::paid(CaptureMode::Manual, HOLDS, "AUTHORIZED");
    scenario.void().unwrap();
    scenario.wait(10).see("CANCELLED");
    assert_eq!((scenario.state(), scenario.attention().as_str()), ("PROCESSING", "none"));
}

#[test]
fn how_an_operation_ended_is_recorded_with_the_decline_if_it_was_declined() {
    let table = "
        AUTHORIZED; capture; PAID                   | took effect
        AUTHORIZED; capture; CANCELLED              | declined
        AUTHORIZED; void; CANCELLED                 | took effect
        AUTHORIZED; void; PAID                      | declined
        AUTHORIZED; capture; declined                | declined
        PAID; refund; FROM_AMOUNTS refunded=100     | took effect
        PAID; refund; FROM_AMOUNTS REFUND_FAILED refunded=0 | declined
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Manual, HOLDS);
        row[0].split(';').for_each(|step| scenario.step(step));
        let ended = scenario.events().iter().find_map(|event| match &event.event {
            Event::OperationFinished { declined, .. } => Some(declined.is_some()),
            _ => None,
        });
        assert_eq!(ended, Some(row[1] == "declined"), "{row:?}");
    }
}

#[test]
fn refunds_that_succeeded_always_add_up_to_what_the_provider_states() {
    let table = "
        PAID; FROM_AMOUNTS refunded=40                     | 40 SUCCEEDED PROVIDER
        PAID; REFUNDED                                     | 100 SUCCEEDED PROVIDER
        PAID; REVERSED REVERSED                            | 100 SUCCEEDED PROVIDER
        PAID; refund 40; FROM_AMOUNTS refunded=40          | 40 SUCCEEDED API
        PAID; refund 40; FROM_AMOUNTS refunded=70          | 40 SUCCEEDED API, 30 SUCCEEDED PROVIDER
        PAID; refund 40; FROM_AMOUNTS refunded=20          | 40 PENDING API, 20 SUCCEEDED PROVIDER
        PAID; refund 40; FROM_AMOUNTS refunded=20; FROM_AMOUNTS refunded=60 | 40 SUCCEEDED API, 20 SUCCEEDED PROVIDER
        PAID; refund 40; declined                           | 40 FAILED API
        PAID; refund 40; declined; FROM_AMOUNTS refunded=40 | 40 FAILED API, 40 SUCCEEDED PROVIDER
        PAID; refund 40; FROM_AMOUNTS REFUND_FAILED refunded=0 | 40 FAILED API
        PAID; refund 40; FROM_AMOUNTS refunded=40; FROM_AMOUNTS REFUND_REVERSED refunded=0 | 40 REVERSED API
        PAID; refund 40; FROM_AMOUNTS refunded=40; FROM_AMOUNTS REFUND_FAILED refunded=0 | 40 REVERSED API
        # The one that fits is the one that came back, whichever is newer.
        PAID; FROM_AMOUNTS refunded=50; FROM_AMOUNTS refunded=80; FROM_AMOUNTS REFUND_REVERSED refunded=30 | 50 REVERSED PROVIDER, 30 SUCCEEDED PROVIDER
        PAID; FROM_AMOUNTS refunded=50; FROM_AMOUNTS refunded=80; FROM_AMOUNTS REFUND_REVERSED refunded=50 | 50 SUCCEEDED PROVIDER, 30 REVERSED PROVIDER
        # None fits: the newest came back, and the rest of it was given back in the portal.
        PAID; FROM_AMOUNTS refunded=50; FROM_AMOUNTS refunded=80; FROM_AMOUNTS REFUND_REVERSED refunded=60 | 50 SUCCEEDED PROVIDER, 30 REVERSED PROVIDER, 10 SUCCEEDED PROVIDER
        PAID; FROM_AMOUNTS refunded=50; FROM_AMOUNTS refunded=80; FROM_AMOUNTS REFUND_REVERSED refunded=10 | 50 REVERSED PROVIDER, 30 REVERSED PROVIDER, 10 SUCCEEDED PROVIDER
        # A lagging read takes nothing back.
        PAID; refund 40; FROM_AMOUNTS refunded=40; FROM_AMOUNTS refunded=10 | 40 SUCCEEDED API
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
        row[0].split(';').for_each(|step| scenario.step(step));
        assert_eq!(scenario.refunds(), row[1], "{row:?}");
    }
}

#[test]
fn a_statement_from_before_a_refund_says_nothing_of_how_that_refund_went() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    let failed = "FROM_AMOUNTS REFUND_FAILED refunded=0";
    for step in ["PAID", "refund 40", failed, "refund 30", failed] {
        scenario.step(step);
    }
    assert_eq!(scenario.refunds(), "40 FAILED API, 30 PENDING API");
    for step in ["UNCHANGED REFUND_PENDING refunded=0", failed] {
        scenario.step(step);
    }
    assert_eq!(scenario.refunds(), "40 FAILED API, 30 FAILED API");
    assert_eq!(scenario.left(), (0, 100));
}

#[test]
fn a_refund_that_waits_is_not_sent_while_the_bank_contests_the_money() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    for step in ["PAID", "refund 40", "refund 30", "FROM_AMOUNTS refunded=40", "DISPUTED CHARGEBACK"] {
        scenario.step(step);
    }
    assert!(!scenario.send_next());
    assert!(!scenario.jobs().iter().any(|(job, _)| matches!(job, Job::ResumeOperation(_))));
    scenario.step("PAID");
    assert!(scenario.jobs().iter().any(|(job, _)| matches!(job, Job::ResumeOperation(_))));
    assert!(scenario.send_next());
}

#[test]
fn a_refund_that_no_longer_fits_is_never_sent() {
    let table = "
        # what the provider states   | after the next in the queue                                   | under way
        FROM_AMOUNTS refunded=40     | 40 SUCCEEDED API, 50 PENDING API, 10 PENDING API               | REFUND 50
        FROM_AMOUNTS refunded=80     | 40 SUCCEEDED API, 50 FAILED API, 10 PENDING API, 40 SUCCEEDED PROVIDER | REFUND 10
        REFUNDED                     | 40 SUCCEEDED API, 50 FAILED API, 10 FAILED API, 60 SUCCEEDED PROVIDER | none
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
        for step in ["PAID", "refund 40", "refund 50", "refund 10", row[0]] {
            scenario.step(step);
        }
        scenario.send_next();
        assert_eq!((scenario.refunds().as_str(), scenario.under_way().as_str()), (row[1], row[2]), "{row:?}");
    }
}

#[test]
fn an_ended_order_whose_waiting_refund_no_longer_fits_needs_a_person() {
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    for step in ["PAID", "refund 10", "refund 90"] {
        scenario.step(step);
    }
    scenario.act("cancel");
    scenario.step("FROM_AMOUNTS refunded=30");
    scenario.send_next();
    assert_eq!((scenario.left(), scenario.attention().as_str()), ((0, 70), "REFUND_NEEDED"));

    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
    scenario.checkout(CaptureMode::Automatic, HOLDS);
    for step in ["PAID", "refund 10", "refund 80"] {
        scenario.step(step);
    }
    scenario.act("cancel");
    scenario.step("FROM_AMOUNTS refunded=30");
    scenario.send_next();
    assert_eq!(
        (scenario.under_way().as_str(), scenario.attention().as_str()),
        ("REFUND 10", "REFUND_NEEDED")
    );
}

/// What cancelling or rejecting an order gives back at once.
#[test]
fn an_order_that_ends_gives_back_what_it_holds_or_raises_attention() {
    let outside = PaymentCapabilities { refunds: false, voids: false, ..HOLDS };
    let table: [(&str, PaymentCapabilities, &str, &str, &str); 14] = [
        ("PENDING", HOLDS, "CLOSE", "", "none"),
        ("FAILED last", HOLDS, "none", "", "none"),
        ("AUTHORIZED", HOLDS, "VOID", "", "none"),
        ("AUTHORIZED", outside, "none", "", "REFUND_NEEDED"),
        ("PAID", HOLDS, "REFUND 100", "100 PENDING POLICY", "none"),
        ("PAID", outside, "none", "", "REFUND_NEEDED"),
        (
            "PAID; FROM_AMOUNTS refunded=40",
            HOLDS,
            "REFUND 60",
            "40 SUCCEEDED PROVIDER, 60 PENDING POLICY",
            "none",
        ),
        ("PAID; refund 40", HOLDS, "REFUND 40", "40 PENDING API, 60 PENDING POLICY", "none"),
        ("PAID; refund", HOLDS, "REFUND 100", "100 PENDING API", "none"),
        ("PAID; refund 40; refund 60", HOLDS, "REFUND 40", "40 PENDING API, 60 PENDING API", "none"),
        ("AUTHORIZED; void", HOLDS, "VOID", "", "none"),
        ("AUTHORIZED; PAID captured=60; void", HOLDS_FOR_MANY, "VOID", "60 PENDING POLICY", "none"),
        ("PAID; REFUNDED", HOLDS, "none", "100 SUCCEEDED PROVIDER", "none"),
        ("PAID; DISPUTED CHARGEBACK", HOLDS, "none", "", "DISPUTE REFUND_NEEDED"),
    ];
    for (steps, capabilities, under_way, refunds, attention) in table {
        let mut scenario = Scenario::cart(|header| header.content.requires_approval = true);
        scenario.checkout(CaptureMode::Manual, capabilities);
        steps.split(';').for_each(|step| scenario.step(step));
        scenario.act("cancel");
        assert_eq!(scenario.state(), "CANCELLED");
        let came = [scenario.under_way(), scenario.refunds(), scenario.attention()];
        assert_eq!(came, [under_way, refunds, attention], "{steps}");
    }
}

#[test]
fn a_hold_that_nobody_asked_for_is_taken_once_and_is_a_persons_task_if_the_provider_declines() {
    let mut scenario = Scenario::paid(CaptureMode::Automatic, HOLDS, "AUTHORIZED");
    assert_eq!((scenario.under_way().as_str(), scenario.attention().as_str()), ("CAPTURE 100", "none"));
    scenario.wait(10).see("AUTHORIZED");
    assert_eq!(scenario.session_status(), "PENDING");
    let taken = {
        let mut taken = scenario.clone();
        taken.wait(10).see("PAID");
        (taken.session_status(), taken.state(), taken.under_way(), taken.attention())
    };
    assert_eq!(taken, ("COMPLETED".to_owned(), "PROCESSING", "none".to_owned(), "none".to_owned()));
    scenario.capture_is_declined();
    assert_eq!(scenario.attention(), "UNEXPECTED_HOLD");
    scenario.wait(10).see("AUTHORIZED");
    assert_eq!((scenario.under_way().as_str(), scenario.attention().as_str()), ("none", "UNEXPECTED_HOLD"));
}

#[test]
fn a_hold_that_nobody_waits_for_or_that_cannot_be_taken_is_left_to_a_person() {
    let authorized = |capabilities, before: &dyn Fn(&mut Scenario)| {
        let mut scenario = Scenario::session(CaptureMode::Automatic, capabilities);
        before(&mut scenario);
        scenario.wait(10).see("AUTHORIZED");
        scenario.wait(10).see("AUTHORIZED");
        (scenario.under_way(), scenario.attention())
    };
    let person = |code: &str| ("none".to_owned(), code.to_owned());
    assert_eq!(authorized(TAKES, &|_| ()), person("UNEXPECTED_HOLD"));
    let cancelled = |scenario: &mut Scenario| drop(scenario.act("cancel"));
    assert_eq!(authorized(HOLDS, &cancelled), person("LATE_PAYMENT UNEXPECTED_HOLD"));
    let closing = |scenario: &mut Scenario| drop(scenario.close(FailureCode::Cancelled));
    assert_eq!(authorized(HOLDS, &closing), person("UNEXPECTED_HOLD"));
    let ended = |scenario: &mut Scenario| assert!(scenario.wait(10).see("FAILED last") > 0);
    assert_eq!(authorized(HOLDS, &ended), person("LATE_PAYMENT UNEXPECTED_HOLD"));
}

#[test]
fn a_hold_that_nobody_asked_for_is_voided_with_its_order_and_its_session_ends_cancelled() {
    let mut scenario = Scenario::paid(CaptureMode::Automatic, HOLDS, "AUTHORIZED");
    scenario.capture_is_declined();
    let events = finish::cancel(&mut scenario.context()).unwrap();
    let requested = events.iter().filter(|event| matches!(event, Event::OperationRequested { .. }));
    assert_eq!(requested.count(), 1, "one operation at a time");
    scenario.record(events);
    assert_eq!(scenario.under_way(), "VOID");
    scenario.wait(10).see("CANCELLED");
    assert_eq!(
        (scenario.session_status().as_str(), scenario.under_way().as_str()),
        ("FAILED CANCELLED", "none")
    );
}

#[test]
fn the_merchants_own_collection_is_for_a_person_to_give_back() {
    let mut scenario = Scenario::cart(|header| header.content.requires_approval = true);
    scenario.submit(&orders::external("r1"));
    scenario.act("reject");
    assert_eq!((scenario.state(), scenario.attention().as_str()), ("CANCELLED", "REFUND_NEEDED"));
}

#[test]
fn fulfilment_that_fails_moves_no_money_and_raises_attention_if_there_is_any() {
    for (steps, attention) in
        [("PAID", "PAID_NOT_FULFILLED"), ("AUTHORIZED", "PAID_NOT_FULFILLED"), ("PAID; REFUNDED", "none")]
    {
        let mut scenario = Scenario::paid(CaptureMode::Manual, HOLDS, steps);
        scenario.act("fail");
        assert_eq!(
            (scenario.state(), scenario.attention().as_str(), scenario.under_way().as_str()),
            ("FAILED", attention, "none")
        );
    }
}

/// After it was submitted an order does not follow a refund or a dispute.
#[test]
fn an_order_that_was_submitted_stays_where_it_is_whatever_happens_to_its_money() {
    for says in ["REFUNDED", "DISPUTED CHARGEBACK", "REVERSED REVERSED", "FROM_AMOUNTS refunded=40"] {
        let mut scenario = Scenario::paid(CaptureMode::Automatic, HOLDS, "PAID");
        scenario.wait(10).see(says);
        assert_eq!(
            (scenario.state(), scenario.session_status().as_str()),
            ("PROCESSING", "COMPLETED"),
            "{says}"
        );
    }
}

#[test]
fn money_that_went_back_without_a_figure_is_a_persons_task_and_read_again() {
    for says in ["PARTIALLY_REFUNDED", "FROM_AMOUNTS"] {
        let mut scenario = Scenario::paid(CaptureMode::Automatic, HOLDS, "PAID");
        scenario.wait(10).see(says);
        assert_eq!(
            (scenario.payment_state(), scenario.attention()),
            ("PAID 100/100/0".to_owned(), "CONTRADICTION".to_owned())
        );
        assert!(next_read(&scenario.order, scenario.payment(), scenario.now, 0).is_some(), "{says}");
        scenario.wait(10).see("PARTIALLY_REFUNDED refunded=40");
        assert_eq!(scenario.refunds(), "40 SUCCEEDED PROVIDER");
    }
    let mut ours = Scenario::paid(CaptureMode::Automatic, HOLDS, "PAID");
    ours.refund(Some(40)).unwrap();
    ours.wait(10).see("FROM_AMOUNTS");
    assert_eq!(ours.attention(), "none", "it is read until it is seen");
}
