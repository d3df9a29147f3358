//! The JSON views of orders, sessions, payments, refunds and attention, in responses and events.
//!
//! A view lists its sources and its JSON members. Every member is always present, null where it has no value. Names
//! and meanings are the API contract.

use std::collections::BTreeMap;

use port::{Approach, AttemptId, DisputeStage, Next, PaymentId, SessionId, Timestamp};
use serde::Serialize;

use super::event::dispute_outcome;
use super::operate::{capturable, refundable};
use super::{
    Attempt, AttemptState, Attention, Erasable, FailureCode, OrderAggregate, Payment, PersonalData, Refund,
    RefundStatus, Requirement, Session, SessionRequest, SessionStatus,
};

mod history;
mod profile;

pub use history::{EventData, EventView, TimelineEntry, event, event_type, timeline_entry};
pub use profile::{ProfileSessionView, ProfileView};

/// Declares a view: its sources, and the members of its JSON object with their values.
macro_rules! view {
    (
        $(#[$doc:meta])*
        $vis:vis $name:ident($($part:ident: $type:ty),*)
        $(let $local:pat = $made:expr;)*
        $($member:literal: $value:expr,)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        $vis struct $name<'a>($($vis &'a $type),*);

        impl serde::Serialize for $name<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct as _;
                let Self($($part),*) = *self;
                $(let $local = $made;)*
                let mut object = serializer.serialize_struct(stringify!($name), [$($member),*].len())?;
                $(object.serialize_field($member, &$value)?;)*
                object.end()
            }
        }
    };
}
pub(crate) use view;

view! {
    pub OrderView(order: OrderAggregate)
    let header = &order.header;
    let erased = PersonalData::default();
    let personal = header.content.personal.value().unwrap_or(&erased);
    "id": header.id,
    "state": header.state,
    "reference": header.reference,
    "currency": header.currency,
    "customer": personal.customer,
    "billingAddress": personal.billing_address,
    "shippingAddress": personal.shipping_address,
    "items": header.content.items,
    "shipping": header.content.shipping,
    "taxIncluded": header.content.tax_included,
    "price": header.price,
    "requirements": header.requirements,
    "requiresPayment": header.content.payment_optional.then_some(Requirement::Optional),
    "requiresPaymentProfile": header.content.profile_required.then_some(Requirement::Required),
    "requiresSigning": header.content.requires_signing,
    "requiresApproval": header.content.requires_approval,
    "autoSubmit": header.content.auto_submit,
    "paymentSessionId": session_shown(order),
    "payments": order.payments.iter().map(PaymentLine).collect::<Vec<_>>(),
    "externalPayment": header.external_payment.as_ref().and_then(Erasable::value),
    "signature": header.signature.as_ref().and_then(Erasable::value),
    "attention": order.oldest_attention().map(AttentionLine),
    "metadata": personal.metadata,
    "createdAt": header.created_at,
    "updatedAt": header.updated_at,
    "expiresAt": header.state.is_unsubmitted().then_some(header.expires_at),
    "submittedAt": header.submitted_at,
    "completedAt": header.completed_at,
    "version": order.version(),
}

/// The open session, else the last completed one.
fn session_shown(order: &OrderAggregate) -> Option<SessionId> {
    let completed = || order.sessions.iter().rev().find(|session| session.status == SessionStatus::Completed);
    order.open_session().or_else(completed).map(|session| session.id)
}

view! {
    PaymentLine(payment: Payment)
    "id": payment.id,
    "sessionId": payment.session,
    "status": payment.status(),
    "amount": payment.money.minor,
    "captured": payment.state.captured,
    "refunded": payment.state.refunded(),
}

view! {
    /// The oldest open attention, as its order shows it.
    AttentionLine(attention: Attention)
    "id": attention.id,
    "code": attention.code,
    "detail": attention.detail,
    "raisedAt": attention.raised_at,
}

view! {
    /// A payment session of an order. `qr_url` gives the address of the picture of an attempt's link.
    pub SessionView(order: OrderAggregate, session: Session, qr_url: dyn Fn(AttemptId) -> String)
    let attempt = order.attempt(session.attempt);
    let (page, widget) = offered(attempt.and_then(|attempt| attempt.next.as_ref()));
    let is_link = session.approach == Approach::Link && page.is_some();
    let erased = SessionRequest::default();
    "id": session.id,
    "orderId": order.id(),
    "paymentId": session.payment,
    "approach": session.approach,
    "captureMode": session.capture,
    "status": session.status,
    "failure": session.failure,
    "amount": session.money,
    "checkoutUrl": page,
    "clientCredentials": widget,
    "qrCodeUrl": is_link.then(|| qr_url(session.attempt)),
    "account": attempt.map(|attempt| &attempt.account),
    "provider": attempt.map(|attempt| &attempt.provider),
    "providerReference": attempt.and_then(|attempt| attempt.reference.as_ref()),
    "routing": session.routing,
    "paymentMethods": session.request.value().map(|request| &request.payment_methods).filter(|kinds| !kinds.is_empty()),
    "pendingOperation": attempt
        .filter(|attempt| session.status.is_open() && attempt.state == AttemptState::Started)
        .map(starting)
        .or_else(|| order.payment(session.payment).and_then(operating)),
    "metadata": session.request.value().unwrap_or(&erased).metadata,
    "expiresAt": session.expires_at,
    "createdAt": session.created_at,
    "updatedAt": session.updated_at,
    "version": session.version,
}

/// The page or the widget that the customer is offered.
fn offered(next: Option<&Erasable<Next>>) -> (Option<&String>, Option<&BTreeMap<String, String>>) {
    match next.and_then(Erasable::value) {
        Some(Next::Page(url)) => (Some(url), None),
        Some(Next::Widget(credentials)) => (None, Some(credentials)),
        Some(Next::Nothing) | None => (None, None),
    }
}

/// A start or operation whose outcome is not known yet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PendingOperation {
    operation: &'static str,
    amount: Option<i64>,
    since: Timestamp,
}

/// How a start is named among the operations.
const START: &str = "START";

fn starting(attempt: &Attempt) -> PendingOperation {
    PendingOperation { operation: START, amount: Some(attempt.money.minor), since: attempt.started_at }
}

fn operating(payment: &Payment) -> Option<PendingOperation> {
    let operation = payment.operation.as_ref()?;
    Some(PendingOperation {
        operation: operation.kind.as_str(),
        amount: operation.amount,
        since: operation.since,
    })
}

view! {
    /// Amounts in minor units of its currency.
    pub PaymentView(order: OrderAggregate, payment: Payment)
    let state = &payment.state;
    let attempt = payment.attempt.and_then(|id| order.attempt(id));
    "id": payment.id,
    "orderId": order.id(),
    "sessionId": payment.session,
    "status": payment.status(),
    "final": state.is_final(),
    "currency": payment.money.currency,
    "amount": payment.money.minor,
    "authorized": state.authorized,
    "captured": state.captured,
    "refunded": state.refunded(),
    "disputed": state.disputed(),
    "capturable": capturable(payment),
    "refundable": refundable(order, payment),
    "dispute": dispute(order, payment),
    "captureMode": payment.capture,
    "method": payment.method.as_ref().and_then(Erasable::value),
    "pendingOperation": operating(payment),
    "provider": attempt.map(|attempt| ProviderView(attempt, payment)),
    "detail": payment.detail,
    "authorizationExpiresAt": payment.authorization_expires_at,
    "needsAttention": needs_attention(order, payment.id),
    "createdAt": payment.created_at,
    "updatedAt": payment.updated_at,
    "version": payment.version,
}

view! {
    ProviderView(attempt: Attempt, payment: Payment)
    "account": attempt.account,
    "name": attempt.provider,
    "reference": attempt.reference,
    "status": payment.provider_status.as_ref().map(|provider_status| &provider_status.status),
}

fn needs_attention(order: &OrderAggregate, payment: PaymentId) -> bool {
    order.attention.iter().any(|open| open.resolved_at.is_none() && open.payment == payment)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DisputeView {
    stage: DisputeStage,
    amount: i64,
    opened_at: Timestamp,
    outcome: Option<&'static str>,
    closed_at: Option<Timestamp>,
}

/// The open dispute, else the last one that ended.
fn dispute(order: &OrderAggregate, payment: &Payment) -> Option<DisputeView> {
    let state = &payment.state;
    if let Some(report) = state.open_dispute() {
        let (stage, amount, opened_at) = (report.stage, state.disputed(), report.opened_at);
        return Some(DisputeView { stage, amount, opened_at, outcome: None, closed_at: None });
    }
    let (report, closed) = state.ended_dispute()?;
    // A lost dispute counts as a refund by now, so only refunds before its end are subtracted.
    let before = |refund: &&Refund| {
        let counts = refund.payment == payment.id && refund.status == RefundStatus::Succeeded;
        counts && refund.created_at < closed.as_of
    };
    let given_back: i64 = order.refunds.iter().filter(before).map(|refund| refund.money.minor).sum();
    Some(DisputeView {
        stage: report.stage,
        amount: report.contests(state.captured - given_back),
        opened_at: report.opened_at,
        outcome: Some(dispute_outcome(closed.lost)),
        closed_at: Some(closed.as_of),
    })
}

view! {
    pub RefundView(order: OrderAggregate, refund: Refund)
    "id": refund.id,
    "paymentId": refund.payment,
    "orderId": order.id(),
    "amount": refund.money.minor,
    "currency": refund.money.currency,
    "status": refund.status,
    "reason": refund.reason.as_ref().and_then(Erasable::value),
    "reference": refund.reference,
    "origin": refund.origin,
    "failure": refund.failure.as_ref().map(RefundFailure),
    "createdAt": refund.created_at,
    "updatedAt": refund.updated_at,
    "version": refund.version,
}

view! {
    RefundFailure(failure: port::Failure)
    "code": FailureCode::Declined,
    "message": failure.text,
    "providerCode": failure.code,
}

view! {
    pub AttentionView(order: OrderAggregate, attention: Attention)
    let resolution = attention.resolution.as_ref();
    "id": attention.id,
    "orderId": order.id(),
    "paymentId": attention.payment,
    "code": attention.code,
    "detail": attention.detail,
    "stated": attention.stated,
    "account": order.account_of(attention),
    "raisedAt": attention.raised_at,
    "resolvedAt": attention.resolved_at,
    "decision": resolution.map(|with| with.decision),
    "note": resolution.and_then(|with| with.note.as_ref()?.value()),
    "version": attention.version(),
}
