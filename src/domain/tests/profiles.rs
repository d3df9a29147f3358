//! Sessions that store a payment method: what the provider says, what the merchant wants, what time does.

use std::time::Duration;

use port::{
    AdapterState, Approach, AttemptId, CreatedPayment, Next, Observation, PaymentStatus, ProfileId,
    ProfileSessionId, ProviderStatus, ProviderView, StatusMapping, StoredProfile, Timestamp, Uuid,
};

use crate::domain::{
    AttemptState, CALL_DEADLINE, DomainError, FailureCode, Metadata, Owner, Profile, ProfileRequest,
    ProfileSession, ProfileStart, ProfileStatus, ReturnUrls, Routing, SessionFailure, SessionStatus,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn at(seconds: u64) -> Timestamp {
    Timestamp::default().plus(Duration::from_secs(seconds))
}

fn started() -> ProfileSession {
    ProfileSession {
        id: ProfileSessionId::from_uuid(Uuid::from_u128(1)),
        merchant: "shop".to_owned(),
        customer_id: "ann".to_owned(),
        approach: Approach::Hosted,
        status: SessionStatus::Pending,
        failure: None,
        start_failure: None,
        routing: Routing::default(),
        fallback: vec!["two".to_owned()],
        request: ProfileRequest {
            return_urls: ReturnUrls::default(),
            language: None,
            metadata: Metadata::new(),
        },
        start: start("one"),
        closing: None,
        profile: None,
        created_at: at(0),
        updated_at: at(0),
        expires_at: at(3_600),
        version: 1,
    }
}

fn start(account: &str) -> ProfileStart {
    ProfileStart {
        id: AttemptId::from_uuid(Uuid::from_u128(2)),
        account: account.to_owned(),
        provider: "acme".to_owned(),
        state: AttemptState::Started,
        reference: None,
        adapter_state: AdapterState::new(),
        next: None,
        return_hash: String::new(),
        started_at: at(0),
    }
}

fn begun() -> ProfileSession {
    let created = CreatedPayment {
        reference: "theirs".to_owned(),
        next: Next::Page("https://page.test".to_owned()),
        view: ProviderView::default(),
        adapter_state: AdapterState::new(),
    };
    started().created(created, at(1)).unwrap()
}

fn says(status: PaymentStatus) -> Observation {
    Observation {
        says: StatusMapping::Status(status),
        terminal: status == PaymentStatus::Failed,
        detail: None,
        stage: None,
        provider_status: ProviderStatus::default(),
        total: None,
        authorized: None,
        captured: None,
        refunded: None,
        disputed: None,
        merchant_reference: None,
        is_test: None,
        failure: None,
        as_of: at(2),
    }
}

fn stored() -> Option<ProfileId> {
    Some(ProfileId::from_uuid(Uuid::from_u128(3)))
}

fn failed(code: FailureCode) -> SessionFailure {
    SessionFailure { code, message: None, provider_code: None, retryable: false }
}

#[test]
fn a_session_is_completed_by_a_method_that_is_shown_and_by_nothing_less() {
    let session = begun();
    assert_eq!(session.observed(&says(PaymentStatus::Paid), None, at(2)), None);
    let unknown = Observation { says: StatusMapping::Unmapped, ..says(PaymentStatus::Paid) };
    assert_eq!(session.observed(&unknown, stored(), at(2)), None);
    let done = session.observed(&says(PaymentStatus::Paid), stored(), at(2)).unwrap();
    assert_eq!((done.status, done.profile, done.version), (SessionStatus::Completed, stored(), 3));
    for later in [PaymentStatus::Failed, PaymentStatus::Pending, PaymentStatus::Paid] {
        assert_eq!(done.observed(&says(later), stored(), at(3)), None, "what is COMPLETED stays");
    }
    assert_eq!(done.ended(failed(FailureCode::Expired), at(3)), None);
    assert!(matches!(done.closed(FailureCode::Cancelled, at(3)), Err(DomainError::TooLate(_))));
}

#[test]
fn a_session_that_failed_says_why_and_how_it_was_closed() {
    let declined = begun().observed(&says(PaymentStatus::Failed), None, at(2)).unwrap();
    assert_eq!(
        (declined.status, declined.failure),
        (SessionStatus::Failed, Some(failed(FailureCode::Declined)))
    );
    let closing = begun().closed(FailureCode::Cancelled, at(2)).unwrap().unwrap();
    assert_eq!(closing.closed(FailureCode::Expired, at(3)), Ok(None), "the first reason stays");
    let cancelled = closing.observed(&says(PaymentStatus::Failed), None, at(3)).unwrap();
    assert_eq!(cancelled.failure, Some(failed(FailureCode::Cancelled)));
    assert_eq!(closing.observed(&says(PaymentStatus::Paid), stored(), at(3)).unwrap().profile, stored());
}

#[test]
fn a_start_moves_on_only_while_nobody_has_it() {
    let moved = started().moved_on("not_sent", start("two"), at(1)).unwrap();
    assert_eq!((moved.start.account.as_str(), moved.fallback.len()), ("two", 0));
    assert_eq!(moved.routing.tried[0].outcome, "not_sent");
    assert_eq!(begun().moved_on("not_sent", start("two"), at(2)), None);
    assert_eq!(begun().never_created("busy", failed(FailureCode::ProviderError), at(2)), None);
}

#[test]
fn an_open_session_is_always_looked_at_again_and_at_the_latest_when_it_ends() {
    assert_eq!(started().next_look(at(0), 100), Some(at(0).plus(CALL_DEADLINE)));
    assert_eq!(begun().next_look(at(1), 100), Some(at(8)), "as soon as for a payment");
    let session = begun();
    for second in (0..7_200).step_by(60) {
        let next = session.next_look(at(second), second).unwrap();
        assert!(next > at(second) && next <= session.expires_at.max(at(second).plus(HOUR)));
    }
    let ended = session.ended(failed(FailureCode::Expired), at(2)).unwrap();
    assert_eq!(ended.next_look(at(3), 100), None);
}

#[test]
fn a_method_with_a_word_that_nobody_knows_cannot_be_used() {
    let words = [
        ("active", ProfileStatus::Active),
        ("INACTIVE", ProfileStatus::Inactive),
        ("EXPIRED", ProfileStatus::Expired),
        ("REQUIRES_ACTION", ProfileStatus::RequiresAction),
        ("SHINY", ProfileStatus::Inactive),
    ];
    for (word, status) in words {
        let stored = StoredProfile {
            reference: "theirs".to_owned(),
            provider_status: ProviderStatus::new("profile", word),
            kind: "CARD".to_owned(),
            display_name: Some("Visa 4242".to_owned()),
            expires_on: None,
        };
        let (session, id) = (begun(), ProfileId::from_uuid(Uuid::from_u128(3)));
        let owner: Owner<'_> = session.owner();
        let profile = Profile::new(id, &owner, stored, at(2));
        assert_eq!(profile.status, status, "{word}");
        let gone = profile.forgotten(at(3));
        assert_eq!((gone.forgotten, gone.display_name, gone.version), (true, None, 2));
    }
}
