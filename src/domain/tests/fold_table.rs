//! What a provider's statements come to, one line for a case: the statements in the order they arrive, ten seconds
//! apart (`at=` says otherwise), then the payment, its session, the order, and the attention that is raised.
//! The payment is 1.00 EUR; `PAID 100/60/0` means PAID, 100 held, 60 taken, nothing given back.

use super::*;

/// Plays the first column and compares the rest.
fn check(capture: CaptureMode, capabilities: PaymentCapabilities, table: &str) {
    for row in rows(table) {
        let [line, state, session, order, attention] = row[..] else { panic!("{row:?}") };
        let mut scenario = Scenario::session(capture, capabilities);
        scenario.see_all(line);
        let came =
            [&scenario.payment_state(), &scenario.session_status(), scenario.state(), &scenario.attention()];
        assert_eq!(came, [state, session, order, attention], "{line}");
    }
}

#[test]
fn statuses_without_money_follow_the_newest_and_a_final_one_stays() {
    check(
        CaptureMode::Automatic,
        HOLDS,
        "
        PENDING                             | PENDING 0/0/0         | PENDING              | PENDING_PAYMENT | none
        REQUIRES_ACTION                     | REQUIRES_ACTION 0/0/0 | REQUIRES_ACTION      | PENDING_PAYMENT | none
        PROCESSING                          | PROCESSING 0/0/0      | PENDING              | PENDING_PAYMENT | none
        REQUIRES_ACTION; PENDING            | PENDING 0/0/0         | PENDING              | PENDING_PAYMENT | none
        REQUIRES_ACTION; PENDING at=5       | REQUIRES_ACTION 0/0/0 | REQUIRES_ACTION      | PENDING_PAYMENT | none
        FAILED                              | FAILED 0/0/0          | PENDING DECLINED again | PENDING_PAYMENT | none
        FAILED; PROCESSING                  | PROCESSING 0/0/0      | PENDING DECLINED again | PENDING_PAYMENT | none
        FAILED last                         | FAILED 0/0/0          | FAILED DECLINED      | PENDING         | none
        FAILED last; PENDING                | FAILED 0/0/0          | FAILED DECLINED      | PENDING         | none
        CANCELLED                           | CANCELLED 0/0/0       | FAILED CANCELLED_BY_CUSTOMER | PENDING | none
        CANCELLED CUSTOMER_REJECTED         | CANCELLED 0/0/0       | FAILED CANCELLED_BY_CUSTOMER | PENDING | none
        FAILED; CANCELLED                   | CANCELLED 0/0/0       | FAILED DECLINED      | PENDING         | none
        FAILED; CANCELLED CUSTOMER_REJECTED | CANCELLED 0/0/0       | FAILED CANCELLED_BY_CUSTOMER | PENDING | none
        EXPIRED                             | EXPIRED 0/0/0         | FAILED EXPIRED       | PENDING         | none
        FAILED; EXPIRED                     | EXPIRED 0/0/0         | FAILED EXPIRED       | PENDING         | none
        EXPIRED; CANCELLED                  | CANCELLED 0/0/0       | FAILED EXPIRED       | PENDING         | none
        EXPIRED; CANCELLED at=5             | EXPIRED 0/0/0         | FAILED EXPIRED       | PENDING         | none
        UNCHANGED                           | PENDING 0/0/0         | PENDING              | PENDING_PAYMENT | none
        ",
    );
}

#[test]
fn money_that_was_taken_stays_whatever_weaker_statuses_follow() {
    check(
        CaptureMode::Automatic,
        HOLDS,
        "
        PAID                          | PAID 100/100/0  | COMPLETED | PROCESSING | none
        PAID PAID_OUTSIDE             | PAID 100/100/0  | COMPLETED | PROCESSING | none
        FAILED; PAID                  | PAID 100/100/0  | COMPLETED | PROCESSING | none
        PAID; PENDING                 | PAID 100/100/0  | COMPLETED | PROCESSING | none
        PAID; REQUIRES_ACTION         | PAID 100/100/0  | COMPLETED | PROCESSING | none
        PAID; PROCESSING              | PAID 100/100/0  | COMPLETED | PROCESSING | none
        PAID; AUTHORIZED              | PAID 100/100/0  | COMPLETED | PROCESSING | none
        PAID; FAILED                  | PAID 100/100/0  | COMPLETED | PROCESSING | CONTRADICTION
        PAID; FAILED last             | PAID 100/100/0  | COMPLETED | PROCESSING | CONTRADICTION
        PAID; CANCELLED               | PAID 100/100/0  | COMPLETED | PROCESSING | CONTRADICTION
        PAID; EXPIRED                 | PAID 100/100/0  | COMPLETED | PROCESSING | CONTRADICTION
        PAID; FAILED last; FAILED last | PAID 100/100/0 | COMPLETED | PROCESSING | CONTRADICTION
        # A status that is older than the money is no contradiction.
        PAID; FAILED last at=5        | PAID 100/100/0  | COMPLETED | PROCESSING | none
        PAID; CANCELLED at=5          | PAID 100/100/0  | COMPLETED | PROCESSING | none
        # A reversal takes back all of it.
        PAID; REVERSED REVERSED       | REFUNDED 100/100/100 | COMPLETED | PROCESSING | none
        PAID; REVERSED REVERSED; PAID | REFUNDED 100/100/100 | COMPLETED | PROCESSING | none
        # Reversed before the money was seen at all: the two moments say what happened.
        REVERSED REVERSED; PAID at=5  | REFUNDED 100/100/100 | FAILED CANCELLED_BY_CUSTOMER | PENDING | none
        ",
    );
}

#[test]
fn a_hold_ends_by_a_capture_a_cancel_or_its_time_and_by_nothing_else() {
    check(
        CaptureMode::Manual,
        HOLDS,
        "
        AUTHORIZED                    | AUTHORIZED 100/0/0   | COMPLETED | PROCESSING | none
        AUTHORIZED authorized=80      | AUTHORIZED 80/0/0    | COMPLETED | PROCESSING | none
        AUTHORIZED; AUTHORIZED        | AUTHORIZED 100/0/0   | COMPLETED | PROCESSING | none
        AUTHORIZED; PENDING           | AUTHORIZED 100/0/0   | COMPLETED | PROCESSING | none
        AUTHORIZED; FAILED            | AUTHORIZED 100/0/0   | COMPLETED | PROCESSING | CONTRADICTION
        AUTHORIZED; FAILED last       | AUTHORIZED 100/0/0   | COMPLETED | PROCESSING | CONTRADICTION
        AUTHORIZED; PAID              | PAID 100/100/0       | COMPLETED | PROCESSING | none
        AUTHORIZED; PAID captured=60  | PAID 100/60/0        | COMPLETED | PROCESSING | none
        AUTHORIZED; CANCELLED         | CANCELLED 100/0/0    | COMPLETED | PROCESSING | AUTHORIZATION_LOST
        AUTHORIZED; EXPIRED           | EXPIRED 100/0/0      | COMPLETED | PROCESSING | AUTHORIZATION_LOST
        AUTHORIZED; REVERSED REVERSED | CANCELLED 100/0/0    | COMPLETED | PROCESSING | AUTHORIZATION_LOST
        # The newest of the two is believed, whichever comes first.
        AUTHORIZED; CANCELLED at=5    | AUTHORIZED 100/0/0   | COMPLETED | PROCESSING | none
        CANCELLED at=5; AUTHORIZED    | AUTHORIZED 100/0/0   | FAILED CANCELLED_BY_CUSTOMER | PENDING | LATE_PAYMENT
        REVERSED REVERSED; AUTHORIZED at=5 | CANCELLED 100/0/0 | FAILED CANCELLED_BY_CUSTOMER | PENDING | none
        # What a capture takes it keeps, even if the cancel is newer.
        AUTHORIZED; PAID captured=60; CANCELLED | PAID 100/60/0 | COMPLETED | PROCESSING | CONTRADICTION
        ",
    );
    check(
        CaptureMode::Manual,
        HOLDS_FOR_MANY,
        "
        AUTHORIZED captured=60                  | PAID 100/60/0 | COMPLETED | PROCESSING | none
        AUTHORIZED; PAID captured=60            | PAID 100/60/0 | COMPLETED | PROCESSING | none
        # The rest of the authorization is released; that is no contradiction.
        AUTHORIZED; PAID captured=60; CANCELLED | PAID 100/60/0 | COMPLETED | PROCESSING | none
        ",
    );
}

#[test]
fn a_hold_that_nobody_asked_for_keeps_its_session_open() {
    check(
        CaptureMode::Automatic,
        HOLDS,
        "
        AUTHORIZED             | AUTHORIZED 100/0/0 | PENDING        | PENDING_PAYMENT | none
        AUTHORIZED; AUTHORIZED | AUTHORIZED 100/0/0 | PENDING        | PENDING_PAYMENT | none
        AUTHORIZED; PAID       | PAID 100/100/0     | COMPLETED      | PROCESSING      | none
        AUTHORIZED; EXPIRED    | EXPIRED 100/0/0    | FAILED EXPIRED | PENDING         | none
        # Less than was asked is not taken for all of it.
        AUTHORIZED authorized=80 | AUTHORIZED 80/0/0 | PENDING       | PENDING_PAYMENT | UNEXPECTED_HOLD
        ",
    );
}

#[test]
fn what_was_given_back_is_the_largest_figure_since_a_refund_last_failed_or_came_back() {
    check(
        CaptureMode::Automatic,
        HOLDS,
        "
        PAID; PARTIALLY_REFUNDED refunded=40      | PARTIALLY_REFUNDED 100/100/40 | COMPLETED | PROCESSING | none
        PAID; PARTIALLY_REFUNDED refunded=100     | REFUNDED 100/100/100 | COMPLETED | PROCESSING | none
        PAID; REFUNDED                            | REFUNDED 100/100/100 | COMPLETED | PROCESSING | none
        PAID; REFUNDED refunded=100               | REFUNDED 100/100/100 | COMPLETED | PROCESSING | none
        PAID captured=60; REFUNDED captured=60    | REFUNDED 100/60/60   | COMPLETED | PROCESSING | none
        PAID captured=60; FROM_AMOUNTS captured=60 refunded=60 | REFUNDED 100/60/60 | COMPLETED | PROCESSING | none
        PAID; FROM_AMOUNTS refunded=40            | PARTIALLY_REFUNDED 100/100/40 | COMPLETED | PROCESSING | none
        PAID; FROM_AMOUNTS refunded=0             | PAID 100/100/0       | COMPLETED | PROCESSING | none
        PAID; UNCHANGED REFUND_PENDING refunded=0 | PAID 100/100/0       | COMPLETED | PROCESSING | none
        # A smaller figure alone may be a read that lags: it takes nothing back, and attention is raised.
        PAID; FROM_AMOUNTS refunded=40; FROM_AMOUNTS refunded=10 | PARTIALLY_REFUNDED 100/100/40 | COMPLETED | PROCESSING | CONTRADICTION
        PAID; FROM_AMOUNTS refunded=40 at=50; FROM_AMOUNTS refunded=10 at=40 | PARTIALLY_REFUNDED 100/100/40 | COMPLETED | PROCESSING | none
        PAID; FROM_AMOUNTS refunded=40; PAID      | PARTIALLY_REFUNDED 100/100/40 | COMPLETED | PROCESSING | none
        # A refund that failed or came back lowers it to what is stated then; an earlier one stands.
        PAID; FROM_AMOUNTS REFUND_FAILED refunded=0 | PAID 100/100/0     | COMPLETED | PROCESSING | REFUND_FAILED
        PAID; FROM_AMOUNTS refunded=70; FROM_AMOUNTS REFUND_FAILED refunded=40 | PARTIALLY_REFUNDED 100/100/40 | COMPLETED | PROCESSING | REFUND_FAILED
        PAID; FROM_AMOUNTS refunded=70; FROM_AMOUNTS REFUND_REVERSED refunded=0 | PAID 100/100/0 | COMPLETED | PROCESSING | REFUND_FAILED
        PAID; FROM_AMOUNTS refunded=70; FROM_AMOUNTS REFUND_REVERSED refunded=0; FROM_AMOUNTS refunded=20 | PARTIALLY_REFUNDED 100/100/20 | COMPLETED | PROCESSING | REFUND_FAILED
        PAID; REFUNDED; FROM_AMOUNTS REFUND_REVERSED refunded=0 | PAID 100/100/0 | COMPLETED | PROCESSING | REFUND_FAILED
        # Without a figure nobody knows what is left.
        PAID; FROM_AMOUNTS refunded=40; FROM_AMOUNTS REFUND_FAILED | PARTIALLY_REFUNDED 100/100/40 | COMPLETED | PROCESSING | REFUND_FAILED
        # The failure is older than the figure.
        PAID; FROM_AMOUNTS refunded=70; FROM_AMOUNTS REFUND_FAILED refunded=0 at=15 | PARTIALLY_REFUNDED 100/100/70 | COMPLETED | PROCESSING | none
        # Beside a status that takes nothing a figure means nothing.
        PENDING refunded=40; PAID                 | PAID 100/100/0       | COMPLETED | PROCESSING | none
        # Of a refund under way or a reversal that did not work nothing follows but the detail.
        PAID; UNCHANGED REVERSAL_PENDING          | PAID 100/100/0       | COMPLETED | PROCESSING | none
        PAID; UNCHANGED REVERSAL_FAILED           | PAID 100/100/0       | COMPLETED | PROCESSING | none
        # A refund status alone says that the money was taken.
        UNCHANGED REFUND_PENDING                  | PAID 100/100/0       | COMPLETED | PROCESSING | none
        PARTIALLY_REFUNDED refunded=40            | PARTIALLY_REFUNDED 100/100/40 | COMPLETED | PROCESSING | none
        # Nobody submits an order whose money was gone before anybody looked.
        REFUNDED                                  | REFUNDED 100/100/100 | COMPLETED | PENDING | none
        ",
    );
}

#[test]
fn a_dispute_is_open_until_a_newer_statement_of_money_ends_it() {
    check(
        CaptureMode::Automatic,
        HOLDS,
        "
        PAID; DISPUTED RETRIEVAL                       | DISPUTED 100/100/0 | COMPLETED | PROCESSING | DISPUTE
        PAID; DISPUTED CHARGEBACK; DISPUTED ARBITRATION | DISPUTED 100/100/0 | COMPLETED | PROCESSING | DISPUTE
        PAID; DISPUTED CHARGEBACK; PENDING             | DISPUTED 100/100/0 | COMPLETED | PROCESSING | DISPUTE
        PAID; DISPUTED CHARGEBACK; FAILED last         | DISPUTED 100/100/0 | COMPLETED | PROCESSING | DISPUTE CONTRADICTION
        PAID; DISPUTED CHARGEBACK; PAID                | PAID 100/100/0     | COMPLETED | PROCESSING | DISPUTE
        PAID; DISPUTED CHARGEBACK; PAID at=15          | DISPUTED 100/100/0 | COMPLETED | PROCESSING | DISPUTE
        PAID; DISPUTED CHARGEBACK; REFUNDED            | REFUNDED 100/100/100 | COMPLETED | PROCESSING | DISPUTE
        PAID; DISPUTED CHARGEBACK; REVERSED REVERSED   | REFUNDED 100/100/100 | COMPLETED | PROCESSING | DISPUTE
        PAID; FROM_AMOUNTS refunded=40; DISPUTED CHARGEBACK | DISPUTED 100/100/40 | COMPLETED | PROCESSING | DISPUTE
        PAID; FROM_AMOUNTS refunded=40; DISPUTED CHARGEBACK; FROM_AMOUNTS refunded=40 | PARTIALLY_REFUNDED 100/100/40 | COMPLETED | PROCESSING | DISPUTE
        PAID; REFUNDED; DISPUTED CHARGEBACK            | DISPUTED 100/100/100 | COMPLETED | PROCESSING | DISPUTE_AFTER_REFUND
        PAID; REVERSED REVERSED; DISPUTED RETRIEVAL    | DISPUTED 100/100/100 | COMPLETED | PROCESSING | DISPUTE_AFTER_REFUND
        # Said of one moment, the dispute is the later of the two.
        PAID; DISPUTED CHARGEBACK at=10                | DISPUTED 100/100/0 | COMPLETED | PROCESSING | DISPUTE
        # A dispute that was over before we heard of it shows in the status alone.
        PAID; DISPUTED CHARGEBACK at=5                 | PAID 100/100/0     | COMPLETED | PROCESSING | none
        # Contested from the first statement on, it pays for nothing.
        DISPUTED CHARGEBACK                            | DISPUTED 100/100/0 | COMPLETED | PENDING_PAYMENT | DISPUTE
        ",
    );
}

#[test]
fn an_ended_dispute_says_who_won_and_what_was_contested() {
    let table = "
        PAID; DISPUTED CHARGEBACK                        | 100 | open
        PAID; DISPUTED CHARGEBACK disputed=30            | 30  | open
        PAID; FROM_AMOUNTS refunded=40; DISPUTED CHARGEBACK | 60 | open
        PAID; DISPUTED RETRIEVAL                         | 0   | open
        PAID; DISPUTED FRAUD_ADVICE disputed=30          | 0   | open
        PAID; DISPUTED PRE_COMPLIANCE                    | 0   | open
        PAID; DISPUTED COMPLIANCE                        | 100 | open
        PAID; DISPUTED CHARGEBACK; PAID                  | 0   | won
        PAID; FROM_AMOUNTS refunded=40; DISPUTED CHARGEBACK; PARTIALLY_REFUNDED refunded=40 | 0 | won
        PAID; DISPUTED CHARGEBACK; REFUNDED              | 0   | lost
        PAID; DISPUTED CHARGEBACK; FROM_AMOUNTS refunded=100 | 0 | lost
        PAID; DISPUTED CHARGEBACK; REVERSED REVERSED     | 0   | lost
        PAID; DISPUTED CHARGEBACK; PAID; DISPUTED CHARGEBACK | 100 | open
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
        scenario.see_all(row[0]);
        let state = &scenario.payment().state;
        let ended = state.ended_dispute().map(|(_, calm)| if calm.lost { "lost" } else { "won" });
        assert_eq!(state.disputed().to_string(), row[1], "{}", row[0]);
        assert_eq!(ended.unwrap_or("open"), row[2], "{}", row[0]);
        let events = scenario.events();
        let mut moves = events.iter().filter_map(|event| match event.event {
            Event::DisputeUpdated { lost, .. } => Some(lost),
            _ => None,
        });
        let last =
            moves.next_back().map(|lost| lost.map_or("open", |lost| if lost { "lost" } else { "won" }));
        assert_eq!(last, Some(row[2]), "{}", row[0]);
    }
}

#[test]
fn what_cannot_be_trusted_changes_no_payment() {
    check(
        CaptureMode::Automatic,
        HOLDS,
        "
        UNMAPPED                         | PENDING 0/0/0      | PENDING   | PENDING_PAYMENT | UNKNOWN_WORD
        UNMAPPED; PAID                   | PAID 100/100/0     | COMPLETED | PROCESSING      | UNKNOWN_WORD
        PAID; UNMAPPED                   | PAID 100/100/0     | COMPLETED | PROCESSING      | UNKNOWN_WORD
        PAID total=90                    | PENDING 0/0/0      | PENDING   | PENDING_PAYMENT | AMOUNT_MISMATCH
        PAID total=110                   | PENDING 0/0/0      | PENDING   | PENDING_PAYMENT | AMOUNT_MISMATCH
        PAID total=100                   | PAID 100/100/0     | COMPLETED | PROCESSING      | none
        PAID currency=USD                | PENDING 0/0/0      | PENDING   | PENDING_PAYMENT | AMOUNT_MISMATCH
        PAID ours=att_other              | PENDING 0/0/0      | PENDING   | PENDING_PAYMENT | CONTRADICTION
        PAID test                        | PENDING 0/0/0      | PENDING   | PENDING_PAYMENT | TEST_MODE_MISMATCH
        # Amounts that cannot be are no statement.
        PAID captured=110                | PENDING 0/0/0      | PENDING   | PENDING_PAYMENT | CONTRADICTION
        PAID captured=-5                 | PENDING 0/0/0      | PENDING   | PENDING_PAYMENT | CONTRADICTION
        PAID authorized=50 captured=60   | PENDING 0/0/0      | PENDING   | PENDING_PAYMENT | CONTRADICTION
        PAID; FROM_AMOUNTS refunded=110  | PAID 100/100/0     | COMPLETED | PROCESSING      | CONTRADICTION
        PAID; FROM_AMOUNTS refunded=-1   | PAID 100/100/0     | COMPLETED | PROCESSING      | CONTRADICTION
        PAID; FROM_AMOUNTS captured=50 refunded=60 | PAID 100/100/0 | COMPLETED | PROCESSING | CONTRADICTION
        PAID; DISPUTED CHARGEBACK disputed=110 | PAID 100/100/0 | COMPLETED | PROCESSING    | CONTRADICTION
        AUTHORIZED authorized=110        | PENDING 0/0/0      | PENDING   | PENDING_PAYMENT | CONTRADICTION
        # Nothing held and nothing taken, said beside a status without money, is true.
        PENDING authorized=0 captured=0 refunded=0 | PENDING 0/0/0 | PENDING | PENDING_PAYMENT | none
        FAILED last authorized=0         | FAILED 0/0/0       | FAILED DECLINED | PENDING   | none
        ",
    );
}

#[test]
fn a_test_account_takes_tests_and_nothing_else() {
    let table = "
        true  | PAID test | PAID 100/100/0
        false | PAID      | PAID 100/100/0
        true  | PAID      | PAID 100/100/0
        false | PAID test | PENDING 0/0/0
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
        let (attempt, now) = (scenario.order.attempts[0].id, scenario.now);
        let expected = Expected { is_test: row[0] == "true", customer_left: false };
        let events = observe(&mut scenario.context(), attempt, &seen(row[1], now), expected);
        scenario.record(events);
        assert_eq!(scenario.payment_state(), row[2], "{row:?}");
    }
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    let (attempt, now) = (scenario.order.attempts[0].id, scenario.now);
    let live = Observation { is_test: Some(false), ..seen("PAID", now) };
    let events =
        observe(&mut scenario.context(), attempt, &live, Expected { is_test: true, customer_left: false });
    scenario.record(events);
    assert_eq!(
        (scenario.payment_state().as_str(), scenario.attention().as_str()),
        ("PENDING 0/0/0", "TEST_MODE_MISMATCH")
    );
}

#[test]
fn what_is_stated_instead_of_what_was_asked_is_kept_for_the_person() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PAID total=90");
    let attention = scenario.order.oldest_attention().unwrap();
    assert_eq!(attention.stated, Some(eur(90)));
    assert_eq!(attention.detail, "asked for 1.00 EUR, the provider states 0.90 EUR");
}

#[test]
fn without_holds_the_provider_never_states_one() {
    check(
        CaptureMode::Automatic,
        TAKES,
        "
        PAID                           | PAID 0/100/0                | COMPLETED | PROCESSING | none
        PAID; REFUNDED                 | REFUNDED 0/100/100          | COMPLETED | PROCESSING | none
        PAID; FROM_AMOUNTS refunded=30 | PARTIALLY_REFUNDED 0/100/30 | COMPLETED | PROCESSING | none
        PAID; DISPUTED CHARGEBACK      | DISPUTED 0/100/0            | COMPLETED | PROCESSING | DISPUTE
        ",
    );
}

#[test]
fn what_every_read_says_again_raises_attention_once_and_what_happens_again_raises_it_again() {
    let table = "
        UNMAPPED            | PENDING                         | none
        PAID total=90       | PENDING                         | none
        PAID total=90       | PENDING; PAID total=90; EXPIRED; PAID total=90 | AMOUNT_MISMATCH
        PAID; FROM_AMOUNTS total=90 | PAID; FROM_AMOUNTS refunded=10 total=90 | none
        PAID; FROM_AMOUNTS total=90 | FROM_AMOUNTS refunded=10; FROM_AMOUNTS refunded=50 total=90 | AMOUNT_MISMATCH
        PAID test           | PENDING                         | none
        PAID captured=110   | PENDING                         | none
        AUTHORIZED authorized=80 | PENDING                    | none
        PAID total=90       | PAID total=80                   | AMOUNT_MISMATCH
        UNMAPPED            | UNMAPPED why=other              | UNKNOWN_WORD
        PAID; DISPUTED CHARGEBACK | PAID; DISPUTED CHARGEBACK | DISPUTE
        PAID; FROM_AMOUNTS REFUND_FAILED refunded=0 | PAID; FROM_AMOUNTS REFUND_FAILED refunded=0 | REFUND_FAILED
    ";
    for row in rows(table) {
        let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
        scenario.see_all(row[0]);
        assert_ne!(scenario.attention(), "none", "{row:?}");
        scenario.resolve_all();
        scenario.wait(10).see(row[0].split(';').next_back().unwrap());
        assert_eq!(scenario.attention(), "none", "{row:?}");
        scenario.see_all(row[1]);
        assert_eq!(scenario.attention(), row[2], "{row:?}");
    }
}

#[test]
fn the_detail_and_the_status_are_those_of_the_newest_moment() {
    let mut scenario = Scenario::session(CaptureMode::Automatic, HOLDS);
    scenario.wait(10).see("PENDING VIEWED");
    assert_eq!(scenario.payment().detail, Some(Detail::Viewed));
    scenario.wait(10).see("PENDING OVERDUE at=5");
    assert_eq!(scenario.payment().detail, Some(Detail::Viewed));
    scenario.wait(10).see("PENDING OVERDUE");
    assert_eq!(scenario.payment().detail, Some(Detail::Overdue));
    scenario.wait(10).see("FAILED why=51");
    scenario.wait(10).see("PROCESSING");
    assert_eq!(scenario.payment().failure.as_ref().unwrap().code.as_deref(), Some("51"));
    assert_eq!(scenario.payment().detail, None);
}

#[test]
fn a_hold_ends_as_long_after_it_was_seen_as_the_provider_keeps_it() {
    const DAY: i64 = 24 * 3_600;
    let mut scenario = Scenario::session(CaptureMode::Manual, HOLDS);
    scenario.wait(10).see("AUTHORIZED");
    assert_eq!(scenario.payment().authorization_expires_at, Some(at(10 + 28 * DAY)));
    scenario.wait(10).see("AUTHORIZED why=51");
    assert_eq!(
        scenario.payment().authorization_expires_at,
        Some(at(10 + 28 * DAY)),
        "said again, not held anew"
    );
    scenario.now = at(27 * DAY);
    scenario.see("AUTHORIZED");
    assert_eq!(scenario.attention(), "none");
    scenario.wait(10).see("AUTHORIZED");
    assert_eq!(scenario.attention(), "AUTHORIZATION_EXPIRING");
    assert_eq!(scenario.payment().authorization_expires_at, Some(at(10 + 28 * DAY)));
}
