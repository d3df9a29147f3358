//! The cardholder's bank: what a dispute is about, how it ended, and when its money may leave twice.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// From the asking stages to the taking ones.
const STAGES: [&str; 9] = [
    "RETRIEVAL",
    "FRAUD_ADVICE",
    "PRE_COMPLIANCE",
    "COMPLIANCE",
    "CHARGEBACK",
    "REPRESENTATION",
    "PRE_ARBITRATION",
    "ARBITRATION",
    "GOOD_FAITH",
];

/// How many of the stages only ask.
const INQUIRIES: usize = 3;

impl Scenario {
    fn shown_payment(&self) -> Value {
        serde_json::to_value(view::PaymentView(&self.order, self.payment())).unwrap()
    }
}

/// What was paid, after the statements of a line.
fn after(line: &str) -> Scenario {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.see_all(line);
    scenario
}

#[test]
fn an_ended_dispute_shows_what_it_was_about() {
    let table = "
        PAID; DISPUTED CHARGEBACK; PAID                              | CHARGEBACK | 100 | WON
        PAID; DISPUTED CHARGEBACK disputed=30; PAID                  | CHARGEBACK | 30  | WON
        PAID; FROM_AMOUNTS refunded=40; DISPUTED CHARGEBACK; FROM_AMOUNTS refunded=40  | CHARGEBACK | 60 | WON
        PAID; FROM_AMOUNTS refunded=40; DISPUTED CHARGEBACK; FROM_AMOUNTS refunded=100 | CHARGEBACK | 60 | LOST
        PAID; FROM_AMOUNTS refunded=40; DISPUTED CHARGEBACK; REVERSED REVERSED         | CHARGEBACK | 60 | LOST
        PAID; REFUNDED; DISPUTED CHARGEBACK; REFUNDED                | CHARGEBACK | 0   | LOST
        PAID; DISPUTED RETRIEVAL; PAID                               | RETRIEVAL  | 0   | WON
        PAID; DISPUTED CHARGEBACK; DISPUTED GOOD_FAITH; REFUNDED     | GOOD_FAITH | 100 | LOST
    ";
    for row in rows(table) {
        let dispute = after(row[0]).shown_payment()["dispute"].take();
        let amount = row[2].parse::<i64>().unwrap();
        assert_eq!(
            (&dispute["stage"], &dispute["amount"], &dispute["outcome"]),
            (&json!(row[1]), &json!(amount), &json!(row[3])),
            "{}",
            row[0]
        );
        assert!(dispute["closedAt"].is_string());
    }
}

#[test]
fn attention_is_raised_when_disputed_money_was_given_back_whichever_came_first() {
    let table = "
        PAID; DISPUTED RETRIEVAL                                      | DISPUTE
        PAID; FROM_AMOUNTS refunded=40; DISPUTED CHARGEBACK           | DISPUTE
        PAID; FROM_AMOUNTS refunded=40; DISPUTED CHARGEBACK disputed=60 | DISPUTE
        # More is contested than is left.
        PAID; FROM_AMOUNTS refunded=40; DISPUTED CHARGEBACK disputed=100 | DISPUTE_AFTER_REFUND
        PAID; REFUNDED; DISPUTED CHARGEBACK                           | DISPUTE_AFTER_REFUND
        # Given back as an answer to the bank's question, and taken all the same.
        PAID; DISPUTED RETRIEVAL; DISPUTED RETRIEVAL refunded=100     | DISPUTE
        PAID; DISPUTED RETRIEVAL; DISPUTED RETRIEVAL refunded=100; DISPUTED CHARGEBACK | DISPUTE DISPUTE_AFTER_REFUND
        PAID; DISPUTED RETRIEVAL; REFUNDED; DISPUTED CHARGEBACK       | DISPUTE DISPUTE_AFTER_REFUND
        # A refund that was under way when the bank took it.
        PAID; DISPUTED CHARGEBACK; DISPUTED CHARGEBACK refunded=100   | DISPUTE DISPUTE_AFTER_REFUND
        # Each is raised once.
        PAID; REFUNDED; DISPUTED CHARGEBACK; DISPUTED ARBITRATION     | DISPUTE_AFTER_REFUND
    ";
    for row in rows(table) {
        assert_eq!(after(row[0]).attention(), row[1], "{}", row[0]);
    }
}

#[test]
fn attention_that_was_resolved_is_raised_again_when_the_bank_takes_the_money() {
    let mut scenario = after("PAID; DISPUTED RETRIEVAL");
    scenario.resolve_all();
    scenario.wait(10).see("DISPUTED FRAUD_ADVICE");
    assert_eq!(scenario.attention(), "none");
    scenario.wait(10).see("DISPUTED CHARGEBACK");
    assert_eq!(scenario.attention(), "DISPUTE");
    scenario.resolve_all();
    scenario.wait(10).see("DISPUTED ARBITRATION");
    assert_eq!(scenario.attention(), "none");
}

/// What happens to a paid order.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The bank moves the dispute to this stage.
    Stage(usize),
    Won,
    Lost,
    /// The merchant wants so much back.
    Refund(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..STAGES.len()).prop_map(Step::Stage),
        1 => Just(Step::Won),
        1 => Just(Step::Lost),
        2 => (1i64..=100).prop_map(Step::Refund),
    ]
}

proptest! {
    /// Along any ladder: a refund is refused exactly while the bank has the money, the bounds hold, the stages are
    /// recorded as they come, and what the dispute was about does not change by its end.
    #[test]
    fn along_any_ladder_the_money_is_contested_or_refundable_and_never_both(
        steps in proptest::collection::vec(step(), 1..12)
    ) {
        let mut scenario = after("PAID");
        let (mut stage, mut about, mut recorded) = (None, 0, Vec::new());
        for step in steps {
            let back = scenario.payment().state.refunded();
            let before = scenario.order.head.sequence;
            scenario.wait(10);
            match step {
                Step::Stage(next) => {
                    scenario.see(&format!("DISPUTED {} refunded={back}", STAGES[next]));
                    if stage != Some(next) {
                        recorded.push(STAGES[next].to_owned());
                    }
                    stage = Some(next);
                    about = if next < INQUIRIES { 0 } else { 100 - back };
                    prop_assert_eq!(scenario.payment().state.disputed(), about);
                }
                Step::Won | Step::Lost => {
                    let lost = matches!(step, Step::Lost) || back == 100;
                    scenario.see(&format!("FROM_AMOUNTS refunded={}", if lost { 100 } else { back }));
                    let outcome = if lost { "LOST" } else { "WON" };
                    if stage.take().is_some() {
                        recorded.push(outcome.to_owned());
                        let shown = scenario.shown_payment();
                        prop_assert_eq!(&shown["dispute"]["amount"], &json!(about));
                        prop_assert_eq!(&shown["dispute"]["outcome"], &json!(outcome));
                    }
                }
                Step::Refund(amount) => {
                    let contested = stage.is_some_and(|stage| stage >= INQUIRIES);
                    match scenario.refund(Some(amount)) {
                        Err(DomainError::Disputed) => prop_assert!(contested),
                        Err(DomainError::ExceedsCaptured { remaining }) => {
                            prop_assert!(!contested && remaining == 100 - back && amount > remaining);
                        }
                        Err(other) => return Err(TestCaseError::fail(other.to_string())),
                        Ok(()) => {
                            prop_assert!(!contested);
                            let says = stage.map_or("FROM_AMOUNTS".to_owned(), |stage| format!("DISPUTED {}", STAGES[stage]));
                            scenario.wait(10).see(&format!("{says} refunded={}", back + amount));
                            prop_assert_eq!(scenario.payment().operation.as_ref(), None);
                        }
                    }
                }
            }
            prop_assert_eq!(scenario.payment().status() == PaymentStatus::Disputed, stage.is_some(), "{:?}", step);
            prop_assert!(scenario.order.head.sequence >= before && scenario.state() == "PROCESSING");
        }
        let events = scenario.events();
        let moved = events.iter().filter_map(|event| match event.event {
            Event::DisputeUpdated { stage, lost, .. } => {
                Some(lost.map_or(stage.as_str(), |lost| if lost { "LOST" } else { "WON" }).to_owned())
            }
            _ => None,
        });
        prop_assert_eq!(moved.collect::<Vec<_>>(), recorded);
    }
}
