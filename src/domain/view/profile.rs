//! The JSON views of payment profiles and profile sessions.

use super::{PendingOperation, START, offered, view};
use crate::domain::{AttemptState, Metadata, OperationKind, Profile, ProfileSession};

view! {
    pub ProfileSessionView(session: ProfileSession)
    let attempt = session.attempt();
    let (page, widget) = offered(attempt.and_then(|attempt| attempt.next.as_ref()));
    let erased = Metadata::new();
    "id": session.id,
    "customerId": session.customer_id(),
    "paymentProfileId": session.profile,
    "approach": session.approach,
    "status": session.status,
    "failure": session.failure,
    "checkoutUrl": page,
    "clientCredentials": widget,
    "account": attempt.map(|attempt| &attempt.account),
    "provider": attempt.map(|attempt| &attempt.provider),
    "providerReference": attempt.and_then(|attempt| attempt.reference.as_ref()),
    "routing": session.routing,
    "pendingOperation": pending(session),
    "metadata": session.request.value().map_or(&erased, |request| &request.metadata),
    "expiresAt": session.expires_at,
    "createdAt": session.created_at,
    "updatedAt": session.updated_at,
    "version": session.version(),
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

view! {
    /// The provider's id of the method is never shown.
    pub ProfileView(profile: Profile)
    let details = profile.details.value();
    let erased = Metadata::new();
    "id": profile.id,
    "customerId": profile.customer_id(),
    "status": profile.status,
    "type": details.map(|details| &details.kind),
    "displayName": details.and_then(|details| details.display_name.as_ref()),
    "account": profile.account,
    "provider": profile.provider,
    "expiresAt": details.and_then(|details| details.expires_at.as_ref()),
    "metadata": details.map_or(&erased, |details| &details.metadata),
    "createdAt": profile.created_at,
    "updatedAt": profile.updated_at,
    "version": profile.version(),
}
