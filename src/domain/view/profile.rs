//! What the outside sees of stored payment methods and the sessions that store them.

use std::collections::BTreeMap;

use port::{Approach, Next, ProfileId, ProfileSessionId, ProfileStatus, Timestamp};
use serde::Serialize;

use super::{PendingOperation, START};
use crate::domain::{
    AttemptState, Erasable, Metadata, OperationKind, Profile, ProfileSession, Routing, SessionFailure,
    SessionStatus,
};

/// A session that stores a method.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileSessionView<'a> {
    id: ProfileSessionId,
    customer_id: Option<&'a str>,
    payment_profile_id: Option<ProfileId>,
    approach: Approach,
    status: SessionStatus,
    failure: Option<&'a SessionFailure>,
    checkout_url: Option<&'a str>,
    client_credentials: Option<&'a BTreeMap<String, String>>,
    account: Option<&'a str>,
    provider: Option<&'a str>,
    provider_reference: Option<&'a str>,
    routing: &'a Routing,
    pending_operation: Option<PendingOperation>,
    metadata: Metadata,
    expires_at: Timestamp,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
}

/// A session as it is.
pub fn profile_session(session: &ProfileSession) -> ProfileSessionView<'_> {
    let attempt = session.attempt();
    let next = attempt.and_then(|attempt| attempt.next.as_ref()).and_then(Erasable::value);
    let (checkout_url, client_credentials) = match next {
        Some(Next::Page(url)) => (Some(url.as_str()), None),
        Some(Next::Widget(credentials)) => (None, Some(credentials)),
        Some(Next::Nothing) | None => (None, None),
    };
    ProfileSessionView {
        id: session.id,
        customer_id: session.customer_id(),
        payment_profile_id: session.profile,
        approach: session.approach,
        status: session.status,
        failure: session.failure.as_ref(),
        checkout_url,
        client_credentials,
        account: attempt.map(|attempt| attempt.account.as_str()),
        provider: attempt.map(|attempt| attempt.provider.as_str()),
        provider_reference: attempt.and_then(|attempt| attempt.reference.as_deref()),
        routing: &session.routing,
        pending_operation: pending(session),
        metadata: session.request.value().map(|request| request.metadata.clone()).unwrap_or_default(),
        expires_at: session.expires_at,
        created_at: session.created_at,
        updated_at: session.updated_at,
        version: session.version(),
    }
}

fn pending(session: &ProfileSession) -> Option<PendingOperation> {
    if !session.status.is_open() {
        return None;
    }
    let pending = |operation, since| PendingOperation { operation, amount: None, since };
    let closing = session.closing.map(|_| pending(OperationKind::Close.as_str(), session.updated_at));
    let starting = session.attempt().filter(|attempt| attempt.state == AttemptState::Started);
    closing.or(starting.map(|attempt| pending(START, attempt.started_at)))
}

/// A stored method.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileView<'a> {
    id: ProfileId,
    customer_id: Option<&'a str>,
    status: ProfileStatus,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    display_name: Option<&'a str>,
    account: &'a str,
    provider: &'a str,
    expires_at: Option<&'a str>,
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
}

/// A method as it was stored. The provider's own id of it is shown to nobody.
pub fn profile(profile: &Profile) -> ProfileView<'_> {
    let details = profile.details.value();
    ProfileView {
        id: profile.id,
        customer_id: profile.customer_id(),
        status: profile.status,
        kind: details.map(|details| details.kind.as_str()),
        display_name: details.and_then(|details| details.display_name.as_deref()),
        account: &profile.account,
        provider: &profile.provider,
        expires_at: details.and_then(|details| details.expires_at.as_deref()),
        metadata: details.map(|details| details.metadata.clone()).unwrap_or_default(),
        created_at: profile.created_at,
        updated_at: profile.updated_at,
        version: profile.version(),
    }
}
