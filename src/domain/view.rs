//! What the outside sees of an order file: the JSON of answers and of events alike.
//!
//! Pure functions of the file. Every field is always there, null where it has no value, whatever the provider,
//! the approach or the state. Names and meanings are the API's contract.

use std::collections::BTreeMap;

use port::{
    Address, Approach, AttemptId, AttentionId, CaptureMode, Currency, Customer, Detail, DisputeStage, Money,
    Next, OrderId, PaymentId, PaymentStatus, RefundId, SessionId, Timestamp,
};
use serde::Serialize;

use super::event::dispute_outcome;
use super::operate::{capturable, refundable};
use super::{
    Attempt, AttemptState, AttentionCode, AttentionDecision, Erasable, ExternalPayment, FailureCode,
    LineItem, Metadata, OrderAggregate, OrderState, Payment, Price, Refund, RefundOrigin, RefundStatus,
    Requirement, Requirements, RouteAttempt, Session, SessionFailure, SessionStatus, Signature,
};

mod history;
mod profile;

pub use history::{EventData, EventView, TimelineEntry, event, event_type, timeline_entry};
pub use profile::{ProfileSessionView, ProfileView, profile, profile_session};

/// Where the gateway shows the link of an attempt as a picture.
pub type QrUrl<'a> = &'a dyn Fn(AttemptId) -> String;

/// An order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderView<'a> {
    id: OrderId,
    state: OrderState,
    reference: Option<&'a str>,
    currency: Currency,
    customer: Customer,
    billing_address: Option<&'a Address>,
    shipping_address: Option<&'a Address>,
    items: &'a [LineItem],
    shipping: i64,
    tax_included: bool,
    price: Option<Price>,
    requirements: Option<Requirements>,
    requires_signing: Requirement,
    requires_approval: bool,
    auto_submit: bool,
    payment_session_id: Option<SessionId>,
    payments: Vec<PaymentLine>,
    external_payment: Option<&'a ExternalPayment>,
    signature: Option<&'a Signature>,
    attention: Option<AttentionLine<'a>>,
    metadata: Metadata,
    created_at: Timestamp,
    updated_at: Timestamp,
    expires_at: Option<Timestamp>,
    submitted_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    version: u64,
}

/// A payment as its order shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentLine {
    id: PaymentId,
    session_id: Option<SessionId>,
    status: PaymentStatus,
    amount: i64,
    captured: i64,
    refunded: i64,
}

/// The oldest open reason why a person should look, as its order shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AttentionLine<'a> {
    id: AttentionId,
    code: AttentionCode,
    detail: &'a str,
    raised_at: Timestamp,
}

/// The order of a file.
pub fn order(order: &OrderAggregate) -> OrderView<'_> {
    let header = &order.header;
    let personal = header.personal.value();
    let completed = || order.sessions.iter().rev().find(|session| session.status == SessionStatus::Completed);
    OrderView {
        id: header.id,
        state: header.state,
        reference: header.reference.as_deref(),
        currency: header.currency,
        customer: personal.map(|personal| personal.customer.clone()).unwrap_or_default(),
        billing_address: personal.and_then(|personal| personal.billing_address.as_ref()),
        shipping_address: personal.and_then(|personal| personal.shipping_address.as_ref()),
        items: &header.items,
        shipping: header.shipping,
        tax_included: header.tax_included,
        price: header.price,
        requirements: header.requirements,
        requires_signing: header.requires_signing,
        requires_approval: header.requires_approval,
        auto_submit: header.auto_submit,
        payment_session_id: order.open_session().or_else(completed).map(|session| session.id),
        payments: order.payments.iter().map(payment_line).collect(),
        external_payment: header.external_payment.as_ref().and_then(Erasable::value),
        signature: header.signature.as_ref().and_then(Erasable::value),
        attention: order.oldest_attention().map(|open| AttentionLine {
            id: open.id,
            code: open.code,
            detail: &open.detail,
            raised_at: open.raised_at,
        }),
        metadata: personal.map(|personal| personal.metadata.clone()).unwrap_or_default(),
        created_at: header.created_at,
        updated_at: header.updated_at,
        expires_at: header.state.is_unsubmitted().then_some(header.expires_at),
        submitted_at: header.submitted_at,
        completed_at: header.completed_at,
        version: order.version(),
    }
}

fn payment_line(payment: &Payment) -> PaymentLine {
    PaymentLine {
        id: payment.id,
        session_id: payment.session,
        status: payment.status(),
        amount: payment.money.minor,
        captured: payment.state.captured,
        refunded: payment.state.refunded(),
    }
}

/// A payment session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView<'a> {
    id: SessionId,
    order_id: OrderId,
    payment_id: PaymentId,
    approach: Approach,
    capture_mode: CaptureMode,
    status: SessionStatus,
    failure: Option<&'a SessionFailure>,
    amount: Money,
    checkout_url: Option<&'a str>,
    client_credentials: Option<&'a BTreeMap<String, String>>,
    qr_code_url: Option<String>,
    account: Option<&'a str>,
    provider: Option<&'a str>,
    provider_reference: Option<&'a str>,
    routing: RoutingView<'a>,
    pending_operation: Option<PendingOperation>,
    metadata: Metadata,
    expires_at: Timestamp,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
}

#[derive(Debug, Serialize)]
struct RoutingView<'a> {
    rule: &'a str,
    reason: &'a str,
    tried: Vec<TriedView<'a>>,
}

#[derive(Debug, Serialize)]
struct TriedView<'a> {
    account: &'a str,
    outcome: &'a str,
}

/// What was asked of a provider and has no known outcome yet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PendingOperation {
    operation: &'static str,
    amount: Option<i64>,
    since: Timestamp,
}

/// The word for a start without a known outcome, beside those of operations.
const START: &str = "START";

/// A session of a file.
pub fn session<'a>(order: &'a OrderAggregate, session: &'a Session, qr_url: QrUrl<'_>) -> SessionView<'a> {
    let attempt = order.attempt(session.attempt);
    let next = attempt.and_then(|attempt| attempt.next.as_ref()).and_then(Erasable::value);
    let (page, widget) = match next {
        Some(Next::Page(url)) => (Some(url.as_str()), None),
        Some(Next::Widget(credentials)) => (None, Some(credentials)),
        Some(Next::Nothing) | None => (None, None),
    };
    let is_link = session.approach == Approach::Link && page.is_some();
    SessionView {
        id: session.id,
        order_id: order.id(),
        payment_id: session.payment,
        approach: session.approach,
        capture_mode: session.capture,
        status: session.status,
        failure: session.failure.as_ref(),
        amount: session.money,
        checkout_url: page,
        client_credentials: widget,
        qr_code_url: is_link.then(|| qr_url(session.attempt)),
        account: attempt.map(|attempt| attempt.account.as_str()),
        provider: attempt.map(|attempt| attempt.provider.as_str()),
        provider_reference: attempt.and_then(|attempt| attempt.reference.as_deref()),
        routing: RoutingView {
            rule: &session.routing.rule,
            reason: &session.routing.reason,
            tried: session.routing.tried.iter().map(tried).collect(),
        },
        pending_operation: attempt
            .filter(|attempt| session.status.is_open() && attempt.state == AttemptState::Started)
            .map(starting)
            .or_else(|| order.payment(session.payment).and_then(operating)),
        metadata: session.request.value().map(|request| request.metadata.clone()).unwrap_or_default(),
        expires_at: session.expires_at,
        created_at: session.created_at,
        updated_at: session.updated_at,
        version: session.version,
    }
}

fn tried(tried: &RouteAttempt) -> TriedView<'_> {
    TriedView { account: &tried.account, outcome: &tried.outcome }
}

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

/// A payment. Amounts in minor units of its currency.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentView<'a> {
    id: PaymentId,
    order_id: OrderId,
    session_id: Option<SessionId>,
    status: PaymentStatus,
    #[serde(rename = "final")]
    is_final: bool,
    currency: Currency,
    amount: i64,
    authorized: i64,
    captured: i64,
    refunded: i64,
    disputed: i64,
    capturable: i64,
    refundable: i64,
    dispute: Option<DisputeView>,
    capture_mode: CaptureMode,
    pending_operation: Option<PendingOperation>,
    provider: Option<ProviderView<'a>>,
    detail: Option<Detail>,
    authorization_expires_at: Option<Timestamp>,
    needs_attention: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
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

#[derive(Debug, Serialize)]
struct ProviderView<'a> {
    account: &'a str,
    name: &'a str,
    reference: Option<&'a str>,
    status: Option<&'a str>,
}

/// A payment of a file.
pub fn payment<'a>(order: &'a OrderAggregate, payment: &'a Payment) -> PaymentView<'a> {
    let state = &payment.state;
    let attempt = payment.attempt.and_then(|id| order.attempt(id));
    let open = |id: PaymentId| {
        order.attention.iter().any(|open| open.resolved_at.is_none() && open.payment == Some(id))
    };
    PaymentView {
        id: payment.id,
        order_id: order.id(),
        session_id: payment.session,
        status: payment.status(),
        is_final: state.is_final(),
        currency: payment.money.currency,
        amount: payment.money.minor,
        authorized: state.authorized,
        captured: state.captured,
        refunded: state.refunded(),
        disputed: state.disputed(),
        capturable: capturable(payment),
        refundable: refundable(order, payment),
        dispute: dispute(order, payment),
        capture_mode: payment.capture,
        pending_operation: operating(payment),
        provider: attempt.map(|attempt| ProviderView {
            account: &attempt.account,
            name: &attempt.provider,
            reference: attempt.reference.as_deref(),
            status: payment.provider_status.as_ref().map(|provider_status| provider_status.status.as_str()),
        }),
        detail: payment.detail,
        authorization_expires_at: payment.authorization_expires_at,
        needs_attention: open(payment.id),
        created_at: payment.created_at,
        updated_at: payment.updated_at,
        version: payment.version,
    }
}

/// The dispute that is open, or the last one that ended, with what it was about.
fn dispute(order: &OrderAggregate, payment: &Payment) -> Option<DisputeView> {
    let state = &payment.state;
    if let Some(report) = state.open_dispute() {
        let (stage, amount) = (report.stage, state.disputed());
        return Some(DisputeView {
            stage,
            amount,
            opened_at: report.opened_at,
            outcome: None,
            closed_at: None,
        });
    }
    let (report, closed) = state.ended_dispute()?;
    // What a lost one took is among what was given back by now.
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

/// A refund.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundView<'a> {
    id: RefundId,
    payment_id: PaymentId,
    order_id: OrderId,
    amount: i64,
    currency: Currency,
    status: RefundStatus,
    reason: Option<&'a str>,
    reference: Option<&'a str>,
    origin: RefundOrigin,
    failure: Option<RefundFailure<'a>>,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RefundFailure<'a> {
    code: FailureCode,
    message: Option<&'a str>,
    provider_code: Option<&'a str>,
}

/// A refund of a file.
pub fn refund<'a>(order: &'a OrderAggregate, refund: &'a Refund) -> RefundView<'a> {
    RefundView {
        id: refund.id,
        payment_id: refund.payment,
        order_id: order.id(),
        amount: refund.money.minor,
        currency: refund.money.currency,
        status: refund.status,
        reason: refund.reason.as_ref().and_then(Erasable::value).map(String::as_str),
        reference: refund.reference.as_deref(),
        origin: refund.origin,
        failure: refund.failure.as_ref().map(|failure| RefundFailure {
            code: FailureCode::Declined,
            message: failure.text.as_deref(),
            provider_code: failure.code.as_deref(),
        }),
        created_at: refund.created_at,
        updated_at: refund.updated_at,
        version: refund.version,
    }
}

/// A reason why a person should look.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttentionView<'a> {
    id: AttentionId,
    order_id: OrderId,
    payment_id: Option<PaymentId>,
    code: AttentionCode,
    detail: &'a str,
    stated: Option<Money>,
    account: Option<&'a str>,
    raised_at: Timestamp,
    resolved_at: Option<Timestamp>,
    decision: Option<AttentionDecision>,
    note: Option<&'a str>,
    version: u64,
}

/// A reason of a file.
pub fn attention<'a>(order: &'a OrderAggregate, attention: &'a super::Attention) -> AttentionView<'a> {
    let resolution = attention.resolution.as_ref();
    let note = resolution.and_then(|with| with.note.as_ref()?.value());
    AttentionView {
        id: attention.id,
        order_id: order.id(),
        payment_id: attention.payment,
        code: attention.code,
        detail: &attention.detail,
        stated: attention.stated,
        account: order.account_of(attention),
        raised_at: attention.raised_at,
        resolved_at: attention.resolved_at,
        decision: resolution.map(|with| with.decision),
        note: note.map(String::as_str),
        version: attention.version(),
    }
}
