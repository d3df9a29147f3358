//! What a request came to: the same for the request itself and for each repeat of it, whenever that is made.

use proptest::prelude::*;

use super::replay::{STEPS, reread, walk};
use super::*;

/// The changes with the order after each.
fn steps(changes: &[Recorded<Event>]) -> Vec<Step<OrderAggregate>> {
    let mut order: OrderAggregate = open(&changes[0]).unwrap();
    let step = |change: &Recorded<Event>| {
        apply(&mut order, change).unwrap();
        Step { change: Arc::new(change.clone()), after: Arc::new(order.clone()) }
    };
    changes.iter().map(step).collect()
}

/// What the request that made the change with this index came to, as of a later one.
fn outcome(steps: &[Step<OrderAggregate>], index: usize, until: usize) -> Outcome {
    Outcome::of(&steps[index..=until], steps[until].after.clone())
}

/// Plays steps, and answers what the one marked with `>` came to.
fn played(line: &str) -> (Scenario, Outcome) {
    let mut scenario = Scenario::cart(|header| header.content.auto_submit = false);
    let mut request = 0;
    for step in line.split(';').map(str::trim) {
        if step.starts_with('>') {
            request = scenario.changes.len();
        }
        match step.trim_start_matches('>') {
            "start" => drop(scenario.start_checkout(CaptureMode::Manual, HOLDS, &["second"])),
            "created" => {
                let newest = scenario.order.attempts.last().unwrap().id;
                scenario.created(newest);
            }
            "over" => drop(scenario.fail_over(false, HOLDS)),
            "close" => drop(scenario.close(FailureCode::Cancelled).unwrap()),
            "decide" => scenario.decide(AttentionDecision::Dismiss).unwrap(),
            abandoned if abandoned.starts_with("abandon ") => {
                let failure = named(abandoned.trim_start_matches("abandon "));
                let (code, message, provider_code) = (FailureCode::ProviderError, None, None);
                let ends = SessionFailure { code, message, provider_code, retryable: false };
                let left = scenario.order.attempts.last().unwrap().clone();
                let events = session_start::abandon(&scenario.order, &left, failure, ends);
                scenario.record(events);
            }
            other => scenario.step(other),
        }
    }
    let steps = steps(&scenario.changes);
    let outcome = outcome(&steps, request, steps.len() - 1);
    (scenario, outcome)
}

#[test]
fn a_request_is_pending_until_the_outcome_of_what_it_sent_is_known() {
    let table = "
        # steps, the request marked                         | status   | names                | as it was then
        >start                                              | pending  | session              | PENDING 0/0/0
        >start; over                                        | pending  | session              | PENDING 0/0/0
        >start; created                                     | done     | session              | PENDING 0/0/0
        >start; created; PAID                               | done     | session              | PENDING 0/0/0
        >start; created; PENDING total=90                   | done     | session              | PENDING 0/0/0
        >start; PENDING total=90; created                   | pending  | session              | PENDING 0/0/0
        >start; abandon busy                                | done     | session              | FAILED 0/0/0
        start; created; >close                              | pending  | session payment      | PENDING 0/0/0
        start; created; >close; CANCELLED                   | done     | session payment      | CANCELLED 0/0/0
        # A page that does not close was paid, or is still open.
        start; created; >close; declined                    | pending  | session payment      | PENDING 0/0/0
        start; created; AUTHORIZED; >capture 60             | pending  | payment              | AUTHORIZED 100/0/0
        start; created; AUTHORIZED; >capture 60; declined   | declined | payment              | AUTHORIZED 100/0/0
        start; created; AUTHORIZED; >capture 60; PAID; refund; REFUNDED | done | payment      | PAID 100/60/0
        start; created; AUTHORIZED; >void; CANCELLED        | done     | payment              | CANCELLED 100/0/0
        start; created; PAID; >refund 40                    | pending  | payment refund       | PAID 100/100/0
        start; created; PAID; >refund 40; FROM_AMOUNTS refunded=40 | done | payment refund   | PARTIALLY_REFUNDED 100/100/40
        start; created; PAID; >refund 40; declined          | declined | payment refund       | PAID 100/100/0
        # One behind another is recorded, and that is all that is said of it.
        start; created; PAID; refund 40; >refund 30         | done     | payment refund       | PAID 100/100/0
        # The end of another operation is not the end of this one.
        start; created; PAID; refund 40; declined; >refund 30; refund 10 | pending | payment refund | PAID 100/100/0
        start; created; PAID; UNMAPPED; >decide             | done     | attention            | PAID 100/100/0
    ";
    for row in rows(table) {
        let (_, outcome) = played(row[0]);
        let status = match outcome.status {
            OutcomeStatus::Done => "done",
            OutcomeStatus::Pending => "pending",
            OutcomeStatus::Declined(_) => "declined",
        };
        let names = [
            ("session", outcome.session.is_some()),
            ("payment", outcome.payment.is_some()),
            ("refund", outcome.refund.is_some()),
            ("attention", outcome.attention.is_some()),
        ];
        let names: Vec<&str> = names.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        let payment = shown(&outcome.order.payments.last().unwrap().state);
        assert_eq!((status, names.join(" ").as_str(), payment.as_str()), (row[1], row[2], row[3]), "{row:?}");
        assert_eq!(outcome.is_pending(), status == "pending");
    }
}

#[test]
fn a_key_tries_again_only_if_its_session_had_no_effect() {
    let table = "
        >start                       | no
        >start; created              | no
        >start; abandon not_sent     | yes
        >start; abandon busy         | yes
        >start; abandon misconfigured | yes
        >start; abandon unavailable  | yes
        >start; abandon not_found    | yes
        >start; abandon declined     | no
        >start; abandon rejected     | no
        >start; abandon amount_differs | no
        >start; abandon closed       | no
        >start; over; abandon busy   | yes
        >start; created; FAILED last | no
    ";
    for row in rows(table) {
        let (_, outcome) = played(row[0]);
        assert_eq!(outcome.had_no_effect(true), row[1] == "yes", "{row:?}");
        assert!(!outcome.had_no_effect(false), "it was not to create a session: {row:?}");
    }
    let order = Arc::new(Scenario::cart(|_| ()).order);
    let nothing = Outcome::of(&[], order.clone());
    assert_eq!(nothing, Outcome::unchanged(order));
    assert!(nothing.had_no_effect(true) && !nothing.had_no_effect(false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// The request computes it from the changes in memory, a repeat from their stored text. Once it is known it stays.
    #[test]
    fn the_request_and_each_repeat_of_it_compute_the_same_outcome_and_a_known_one_stays(
        settings in any::<[bool; 2]>(),
        walked in prop::collection::vec((0..STEPS.len(), 1i64..120, prop::bool::weighted(0.2)), 1..16),
    ) {
        let mut scenario = Scenario::cart(|header| {
            header.content.auto_submit = settings[0];
            header.content.requires_approval = settings[1];
        });
        for (step, amount, orphan) in walked {
            walk(&mut scenario, STEPS[step], amount, orphan);
        }
        let (made, stored) = (steps(&scenario.changes), steps(&reread(&scenario.changes)));
        prop_assert_eq!(&*made.last().unwrap().after, &scenario.order);
        for index in 0..made.len() {
            let mut known: Option<Outcome> = None;
            for until in index..made.len() {
                let now = outcome(&made, index, until);
                prop_assert_eq!(&now, &outcome(&stored, index, until));
                if let Some(known) = &known {
                    prop_assert_eq!(&now, known);
                }
                known = known.or(Some(now).filter(|now| !now.is_pending()));
            }
        }
    }

    /// A hash covers the whole text and everything before it.
    #[test]
    fn any_changed_byte_of_any_change_shows_in_every_hash_from_there_on(
        change in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
        scenario.wait(10).see("PAID");
        let mut texts: Vec<Vec<u8>> =
            scenario.changes.iter().map(|change| change.text.as_bytes().to_vec()).collect();
        let changed = change.index(texts.len());
        let place = byte.index(texts[changed].len());
        texts[changed][place] ^= flip;
        let hashes = texts.iter().scan(Hash::default(), |head, text| {
            *head = head.chain(text);
            Some(*head)
        });
        for (index, (hash, change)) in hashes.zip(&scenario.changes).enumerate() {
            prop_assert_eq!(hash == change.hash, index < changed);
        }
    }
}
