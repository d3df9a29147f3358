//! Sessions that store a payment method: what the provider says, what the merchant wants, what time does.

use port::{AdapterState, ProfileId, ProfileSessionId, StoredProfile};

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// A subject after its first change.
pub(super) fn opened<S: Subject>(first: S::Event, now: Timestamp) -> S {
    let subject = S::open(&first, &meta(now)).unwrap();
    changed(&subject, vec![first], now)
}

/// A subject after one more change.
pub(super) fn changed<S: Subject>(subject: &S, events: Vec<S::Event>, now: Timestamp) -> S {
    let mut after = subject.clone();
    record(&mut after, events, meta(now)).unwrap();
    after
}

fn meta(now: Timestamp) -> ChangeMeta {
    ChangeMeta { at: now, cause: Cause { actor: Actor::Merchant, request: None } }
}

fn id() -> ProfileSessionId {
    ProfileSessionId::from_uuid(subject_id(1))
}

fn start(account: &str, before: usize) -> ProfileStart {
    ProfileStart {
        attempt: ProfileSession::next_attempt_id(id(), before),
        account: account.to_owned(),
        provider: "acme".to_owned(),
    }
}

/// A session whose start at `one` has no answer.
fn started() -> ProfileSession {
    let request = ProfileSessionRequest {
        customer_id: "ann".to_owned(),
        return_urls: ReturnUrls::default(),
        language: None,
        metadata: Metadata::new(),
    };
    let created = ProfileSessionEvent::Created {
        id: id(),
        merchant: "shop".to_owned(),
        approach: Approach::Hosted,
        routing: Routing::default(),
        fallback: vec!["two".to_owned()],
        request: Erasable::new(request, [1; 16]),
        expires_at: at(3_600),
    };
    let session = opened(created, at(0));
    changed(&session, vec![ProfileSessionEvent::AttemptStarted(start("one", 0))], at(0))
}

/// A session that the customer may use.
fn live() -> ProfileSession {
    let next = Erasable::new(Next::Page("https://page.test".to_owned()), [2; 16]);
    let created =
        ProfileSessionEvent::AttemptCreated { reference: "theirs".to_owned(), next, adapter_state: None };
    changed(&started(), vec![created], at(1))
}

fn says(status: PaymentStatus) -> Observation {
    Observation {
        meaning: StatusMapping::Status(status),
        terminal: status == PaymentStatus::Failed,
        ..seen("PAID", at(2))
    }
}

fn method() -> Option<ProfileId> {
    Some(ProfileId::from_uuid(subject_id(3)))
}

/// The session after what the provider said of it; none if that was no news.
fn after(session: &ProfileSession, seen: &Observation, stored: Option<ProfileId>) -> Option<ProfileSession> {
    Some(changed(session, vec![session.observed(seen, stored)?], seen.as_of))
}

fn failed(code: FailureCode) -> SessionFailure {
    SessionFailure { code, message: None, provider_code: None, retryable: false }
}

#[test]
fn a_session_is_completed_by_a_method_that_is_shown_and_by_nothing_less() {
    let session = live();
    assert_eq!(session.observed(&says(PaymentStatus::Paid), None), None);
    let unknown = Observation { meaning: StatusMapping::Unmapped, ..says(PaymentStatus::Paid) };
    assert_eq!(session.observed(&unknown, method()), None);
    let done = after(&session, &says(PaymentStatus::Paid), method()).unwrap();
    assert_eq!((done.status, done.profile), (SessionStatus::Completed, method()));
    assert!(done.version() > session.version());
    for later in [PaymentStatus::Failed, PaymentStatus::Pending, PaymentStatus::Paid] {
        assert_eq!(done.observed(&says(later), method()), None, "what is COMPLETED stays");
    }
    assert_eq!(done.ended(failed(FailureCode::Expired)), None);
    assert!(matches!(done.close(FailureCode::Cancelled), Err(DomainError::TooLate(_))));
}

#[test]
fn a_session_that_failed_says_why_and_how_it_was_closed() {
    let declined = after(&live(), &says(PaymentStatus::Failed), None).unwrap();
    assert_eq!(
        (declined.status, declined.failure),
        (SessionStatus::Failed, Some(failed(FailureCode::Declined)))
    );
    assert_eq!(declined.attempts[0].state, AttemptState::Ended);
    let closing = live();
    let close = closing.close(FailureCode::Cancelled).unwrap().unwrap();
    let closing = changed(&closing, vec![close], at(2));
    assert_eq!(closing.close(FailureCode::Expired), Ok(None), "the first reason stays");
    let cancelled = after(&closing, &says(PaymentStatus::Failed), None).unwrap();
    assert_eq!(cancelled.failure, Some(failed(FailureCode::Cancelled)));
    assert_eq!(after(&closing, &says(PaymentStatus::Paid), method()).unwrap().profile, method());
}

#[test]
fn a_start_moves_on_only_while_no_provider_has_it() {
    let session = started();
    let moved = changed(&session, session.start_failed(StartFailure::NotSent, Ok(start("two", 1))), at(1));
    assert_eq!((moved.attempt().unwrap().account.as_str(), moved.fallback.len()), ("two", 0));
    assert_eq!((moved.attempts.len(), moved.attempts[0].state), (2, AttemptState::Ended));
    assert_eq!(moved.routing.tried[0].outcome, "not_sent");
    assert_eq!(live().start_failed(StartFailure::NotSent, Ok(start("two", 1))), []);
    assert_eq!(live().start_failed(StartFailure::Busy, Err(failed(FailureCode::ProviderError))), []);
    let nowhere = session.start_failed(StartFailure::Busy, Err(failed(FailureCode::ProviderError)));
    let nowhere = changed(&session, nowhere, at(1));
    assert_eq!(
        (nowhere.status, nowhere.attempts[0].failure),
        (SessionStatus::Failed, Some(StartFailure::Busy))
    );
}

#[test]
fn an_open_session_is_always_looked_at_again_and_at_the_latest_when_it_ends() {
    assert_eq!(started().next_due(at(0), 2), Some(at(0).plus(CALL_DEADLINE)));
    assert_eq!(live().next_due(at(1), 2), Some(at(8)), "as soon as for a payment");
    let session = live();
    for second in (0..7_200).step_by(60) {
        let next = session.next_due(at(second), second.unsigned_abs()).unwrap();
        assert!(next > at(second) && next <= session.expires_at.max(at(second).plus(HOUR)));
    }
    let due = session.due(at(1), 2);
    assert_eq!((due.len(), due[0].job), (1, Job::FollowProfileSession));
    assert_eq!(due[0].lane, Lane::Account("one".to_owned()));
    let ended = changed(&session, session.ended(failed(FailureCode::Expired)).into_iter().collect(), at(2));
    assert_eq!((ended.next_due(at(3), 2), ended.due(at(3), 2)), (None, vec![]));
}

#[test]
fn what_an_adapter_remembers_stays_until_it_says_something_else() {
    let remembers =
        |text: &str| Erasable::new(AdapterState::from([("step".to_owned(), text.to_owned())]), [3; 16]);
    let saved = changed(&started(), vec![ProfileSessionEvent::AdapterStateSaved(remembers("a"))], at(1));
    let answered = |adapter_state| {
        let next = Erasable::new(Next::Nothing, [2; 16]);
        let created =
            ProfileSessionEvent::AttemptCreated { reference: "theirs".to_owned(), next, adapter_state };
        changed(&saved, vec![created], at(2)).for_adapter().unwrap().adapter_state
    };
    assert_eq!(answered(None), *remembers("a").value().unwrap());
    assert_eq!(answered(Some(remembers("b"))), *remembers("b").value().unwrap());
}

/// A method that a provider has stored for `ann`.
fn profile(status: ProfileStatus) -> Profile {
    let stored = StoredProfile {
        reference: "theirs".to_owned(),
        provider_status: None,
        kind: "CARD".to_owned(),
        display_name: Some("Visa 4242".to_owned()),
        expires_on: None,
    };
    let metadata = Metadata::new();
    let owner = ProfileOwner {
        merchant: "shop",
        customer_id: "ann",
        account: "one",
        provider: "acme",
        metadata: &metadata,
    };
    let profile: Profile = opened(owner.stored(method().unwrap(), stored, status, [4; 16]), at(2));
    assert!(owner.owns(&profile) && !ProfileOwner { customer_id: "bob", ..owner }.owns(&profile));
    profile
}

#[test]
fn a_method_pays_its_customers_order_while_it_is_active() {
    let order = Scenario::cart(|header| {
        let customer = Customer { id: Some("ann".to_owned()), ..Customer::default() };
        header.content.personal =
            Erasable::new(PersonalData { customer, ..PersonalData::default() }, [1; 16]);
    });
    let unusable = [ProfileStatus::Inactive, ProfileStatus::Expired, ProfileStatus::RequiresAction];
    assert_eq!(profile(ProfileStatus::Active).ensure_pays(&order.order), Ok(()));
    for status in unusable {
        assert!(profile(status).ensure_pays(&order.order).is_err(), "{status:?}");
    }
    let other = Scenario::cart(|_| ());
    assert!(profile(ProfileStatus::Active).ensure_pays(&other.order).is_err(), "it is another customer's");
}

#[test]
fn a_deleted_method_is_found_by_its_provider_alone_and_is_due_to_be_detached_there_once() {
    let kept = profile(ProfileStatus::Active);
    assert_eq!((kept.list_state(), kept.lookups().len(), kept.due(at(2), 0).len()), ("STORED", 2, 0));
    let deleted = changed(&kept, vec![ProfileEvent::Deleted], at(3));
    assert_eq!((deleted.list_state(), deleted.version()), ("DELETED", 2));
    assert!(matches!(deleted.lookups()[..], [Lookup::ProfileReference { .. }]));
    let due = deleted.due(at(3), 0);
    assert_eq!((due[0].job, due[0].at), (Job::DetachProfile, at(3).plus(CALL_DEADLINE)));
    assert_eq!(changed(&deleted, vec![ProfileEvent::Detached], at(4)).due(at(4), 0), []);
    let erased = changed(&deleted, vec![ProfileEvent::PersonalDataErased], at(4));
    assert_eq!((erased.customer_id(), erased.lookups(), erased.due(at(4), 0)), (None, vec![], vec![]));
}
