//! The stored texts, held by literal fixtures: a release reads whatever any release before it has written.
//!
//! A fixture is only ever added to. What changes in an event raises `stored::VERSION`, and an upcaster keeps the old
//! line readable.

mod samples;

use std::collections::BTreeSet;
use std::fmt::Debug;

use serde::Serialize;

use super::*;
use stored::{RecordError, Upcaster};

/// One line per event of `samples`: the whole text of a change.
const ORDER: &str = include_str!("stored_texts/order.jsonl");
const PROFILE_SESSION: &str = include_str!("stored_texts/profile_session.jsonl");
const PROFILE: &str = include_str!("stored_texts/profile.jsonl");
const ENDPOINT: &str = include_str!("stored_texts/endpoint.jsonl");
/// The personal values that stand beside them, each once.
const VALUES: &str = include_str!("stored_texts/values.jsonl");

fn meta() -> ChangeMeta {
    ChangeMeta { at: at(0), cause: Cause { actor: Actor::Merchant, request: Some("req-1".to_owned()) } }
}

/// The names that a stored enumeration takes, by what it says of one that it does not know.
fn known<T: DeserializeOwned + Debug>(unknown: &str) -> BTreeSet<String> {
    let error = serde_json::from_str::<T>(unknown).unwrap_err().to_string();
    error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// Every event of a kind is written as its line, and read back from it; and no kind has no line.
fn holds<E: SubjectEvent>(events: &[E], fixture: &str) {
    let lines: Vec<&str> = fixture.lines().collect();
    assert_eq!(events.len(), lines.len(), "one line per event");
    for (event, line) in events.iter().zip(&lines) {
        assert_eq!(stored::write(&meta(), std::slice::from_ref(event)).unwrap(), *line);
        assert_eq!(stored::read::<E>(line), Ok((meta(), vec![event.clone()])), "{line}");
    }
    let kind = |line: &&str| {
        let change: Value = serde_json::from_str(line).unwrap();
        change["events"][0]["type"].as_str().unwrap().to_owned()
    };
    assert_eq!(lines.iter().map(kind).collect::<BTreeSet<_>>(), known::<E>("{\"type\":\"?\"}"));
}

#[test]
fn every_kind_of_event_is_written_as_its_stored_text_and_read_back_from_it() {
    holds(&samples::order_events(), ORDER);
    holds(&samples::profile_session_events(), PROFILE_SESSION);
    holds(&samples::profile_events(), PROFILE);
    holds(&samples::endpoint_events(), ENDPOINT);
    for event in samples::order_events() {
        assert_eq!(json!(event)["type"], event.name(), "the timeline has the stored name");
    }
}

fn bodies<E: SubjectEvent>(events: Vec<E>) -> Vec<Body> {
    events.iter().flat_map(SubjectEvent::personal).collect()
}

/// The value after its stored body is put in where only the digest is known.
fn refilled<T: Serialize + DeserializeOwned + PartialEq>(written: &Erasable<T>) -> bool {
    let mut slot: Erasable<T> = serde_json::from_value(json!(written)).unwrap();
    let absent = slot.value().is_none();
    slot.fill(written.body().unwrap().text);
    absent && slot.value() == written.value() && slot.value().is_some()
}

#[test]
fn every_personal_value_is_written_as_its_stored_text_and_read_back_from_it() {
    let mut written = bodies(samples::order_events());
    written.extend(bodies(samples::profile_session_events()));
    written.extend(bodies(samples::profile_events()));
    written.extend(bodies(samples::endpoint_events()));
    let mut seen = BTreeSet::new();
    written.retain(|body| seen.insert(body.digest.clone()));
    let lines: Vec<&str> = VALUES.lines().collect();
    assert_eq!(written.iter().map(|body| &*body.text).collect::<Vec<_>>(), lines);
    for body in written {
        assert_eq!(erasable_digest(&body.text), *body.digest);
    }
    assert!(samples::nexts().iter().all(refilled));
    let filled = [
        refilled(&samples::personal()),
        refilled(&samples::external()),
        refilled(&signature()),
        refilled(&samples::session_request()),
        refilled(&samples::adapter_state()),
        refilled(&samples::method()),
        refilled(&samples::profile_session_request()),
        refilled(&samples::profile_details()),
        refilled(&samples::secret()),
    ];
    assert_eq!(filled, [true; 9]);
}

#[test]
fn the_values_that_events_hold_keep_their_stored_names() {
    fn names<T: DeserializeOwned + Debug>() -> BTreeSet<String> {
        known::<T>("\"?\"")
    }
    let table: [(BTreeSet<String>, &str); 21] = [
        (names::<Actor>(), "CUSTOMER MERCHANT OPERATOR PROVIDER SCHEDULER"),
        (
            names::<OrderState>(),
            "CANCELLED COMPLETED EXPIRED FAILED PENDING PENDING_APPROVAL PENDING_PAYMENT PROCESSING SUBMITTED",
        ),
        (names::<PaymentProof>(), "external nothing profile profile_session session"),
        (names::<port::PaymentMethodType>(), "BANK_TRANSFER BUY_NOW_PAY_LATER CARD CASH DIRECT_DEBIT WALLET"),
        (names::<Requirement>(), "NOT_REQUIRED OPTIONAL REQUIRED"),
        (names::<Interval>(), "DAY MONTH WEEK YEAR"),
        (names::<Approach>(), "EMBEDDED HOSTED LINK"),
        (names::<CaptureMode>(), "AUTOMATIC MANUAL"),
        (names::<SessionStatus>(), "COMPLETED FAILED PENDING REQUIRES_ACTION"),
        (names::<FailureCode>(), "CANCELLED CANCELLED_BY_CUSTOMER DECLINED EXPIRED PROVIDER_ERROR REJECTED"),
        (
            names::<StartFailure>(),
            "amount_differs answered_too_late busy closed declined misconfigured not_found not_sent rejected unavailable unknown unsupported",
        ),
        (
            names::<PaymentStatus>(),
            "AUTHORIZED CANCELLED DISPUTED EXPIRED FAILED PAID PARTIALLY_REFUNDED PENDING PROCESSING REFUNDED REQUIRES_ACTION",
        ),
        (
            names::<Detail>(),
            "AWAITING_CONFIRMATION CUSTOMER_REJECTED OVERDUE PAID_OUTSIDE PAYOUT_CREATED REFUND_FAILED REFUND_PENDING REFUND_REVERSED REVERSAL_FAILED REVERSAL_PENDING REVERSED TEST VIEWED",
        ),
        (
            names::<DisputeStage>(),
            "ARBITRATION CHARGEBACK COMPLIANCE FRAUD_ADVICE GOOD_FAITH PRE_ARBITRATION PRE_COMPLIANCE REPRESENTATION RETRIEVAL",
        ),
        (names::<OperationKind>(), "CAPTURE CLOSE REFUND VOID"),
        (names::<RefundStatus>(), "FAILED PENDING REVERSED SUCCEEDED"),
        (names::<RefundOrigin>(), "API POLICY PROVIDER"),
        (
            names::<AttentionCode>(),
            "AMOUNT_MISMATCH AUTHORIZATION_EXPIRING AUTHORIZATION_LOST CONTRADICTION DISPUTE DISPUTE_AFTER_REFUND DUPLICATE_PAYMENT LATE_PAYMENT OUTCOME_UNKNOWN PAID_NOT_FULFILLED PAID_NOT_SUBMITTED PROFILE_MISSING REFUND_FAILED REFUND_NEEDED TEST_MODE_MISMATCH UNEXPECTED_HOLD UNKNOWN_WORD UNREADABLE_ANSWER",
        ),
        (names::<AttentionDecision>(), "DISMISS KEEP REFUND"),
        (names::<ProfileStatus>(), "ACTIVE EXPIRED INACTIVE REQUIRES_ACTION"),
        (names::<DisabledReason>(), "FAILING GONE MERCHANT"),
    ];
    for (names, stored) in table {
        assert_eq!(names.into_iter().collect::<Vec<_>>().join(" "), stored);
    }
}

/// A version 2 in which `order.priced` would be called `order.totalled`: what an upcaster does.
const RENAMES: Upcaster = |mut record| {
    record["v"] = json!(2);
    for event in record["events"].as_array_mut().into_iter().flatten() {
        if event["type"] == "order.totalled" {
            event["type"] = json!("order.priced");
        }
    }
    record
};

#[test]
fn an_older_record_is_read_by_its_upcaster_and_a_newer_one_is_refused() {
    let priced = samples::order_events().remove(3);
    let today = stored::write(&meta(), std::slice::from_ref(&priced)).unwrap();
    let old = today.replace("order.priced", "order.totalled");
    let read = |text: &str| stored::read_with::<Event>(text, 2, &[RENAMES]);
    assert_eq!(read(&old), Ok((meta(), vec![priced.clone()])));
    let of_two = today.replacen("\"v\":1", "\"v\":2", 1);
    assert_eq!(read(&of_two), Ok((meta(), vec![priced])), "it is of this version already");
    let of_three = today.replacen("\"v\":1", "\"v\":3", 1);
    assert_eq!(read(&of_three), Err(RecordError::Newer { found: 3, known: 2 }));
    assert_eq!(stored::read::<Event>(&of_two), Err(RecordError::Newer { found: 2, known: 1 }));
}

#[test]
fn a_text_that_is_no_record_is_not_read() {
    let text = ORDER.lines().next().unwrap();
    let unreadable = [
        text.replace("order.created", "order.unknown"),
        text.replace("\"v\":1,", ""),
        text.replace("\"v\":1,", "\"v\":0,"),
        text.replace("\"v\":1,", "\"v\":\"1\","),
        text.replace("\"by\":\"MERCHANT\",", ""),
        text.replace("\"by\":", "\"who\":\"x\",\"by\":"),
        "{\"v\":1,\"at\":\"2027-01-15T08:00:00.000Z\",\"by\":\"MERCHANT\",\"events\":[]}".to_owned(),
        text[..text.len() - 1].to_owned(),
        String::new(),
    ];
    for text in unreadable {
        let read = stored::read::<Event>(&text);
        assert!(matches!(read, Err(RecordError::Unreadable(_))), "{text}");
    }
}
