//! Everything comes to an end, or is shown to a person.

use std::time::Duration;

use paymux::domain::{
    AttemptState, AttentionCode, OperationKind, OrderState, RefundStatus, Requirement, SessionStatus,
};
use paymux::store::{Job, JobKind};
use port::{PaymentStatus, Timestamp};

use super::Kept;

pub(super) fn check(kept: &Kept) -> Vec<String> {
    let found = sessions(kept).into_iter().chain(payments(kept)).chain(order(kept));
    found.map(|fault| format!("{}: {fault}", kept.order.id())).collect()
}

/// Nothing is left on the agenda but what stays on it for a reason, and that is not overdue.
pub(super) fn agenda(job: &[Job], orders: &[Kept], now: Timestamp) -> Vec<String> {
    const OVERDUE: Duration = Duration::from_secs(24 * 3_600);
    let of = |job: &Job| orders.iter().find(|kept| Some(kept.order.id()) == job.order);
    let stays = |job: &Job| match job.kind {
        JobKind::FetchStatus | JobKind::ResumeOperation | JobKind::Checkpoint => true,
        // A dispute keeps an order from expiring for as long as it goes on; so does an operation that is unsure.
        JobKind::ExpireOrder => {
            of(job).is_some_and(|kept| kept.has(PaymentStatus::Disputed) || kept.is_unsure())
        }
        // What the policy cannot do waits for a person.
        JobKind::ApplyRefundPolicy => of(job).is_some_and(Kept::is_flagged),
        _ => false,
    };
    let left = job.iter().filter(|job| !stays(job) || job.at.plus(OVERDUE) < now);
    left.map(|job| {
        let order = job.order.map(|order| order.to_string()).unwrap_or_default();
        format!("{order}: the agenda still has {} {} at {}", job.kind.as_str(), job.subject, job.at)
    })
    .collect()
}

fn sessions(kept: &Kept) -> Vec<String> {
    let open = kept.order.sessions.iter().filter(|session| session.status.is_open());
    let mut faults: Vec<String> = open.map(|session| format!("{} is still open", session.id)).collect();
    let started = |state| matches!(state, AttemptState::Started | AttemptState::Orphaned);
    let unsure = kept.order.attempts.iter().filter(|attempt| started(attempt.state));
    faults.extend(unsure.map(|attempt| format!("{} is still {:?}", attempt.id, attempt.state)));
    faults
}

fn payments(kept: &Kept) -> Vec<String> {
    let mut faults = Vec::new();
    let order = &kept.order;
    for payment in &order.payments {
        if let Some(operation) = &payment.operation {
            let told =
                order.attention.iter().any(|attention| attention.code == AttentionCode::OutcomeUnknown);
            if operation.kind != OperationKind::Refund || !told {
                faults.push(format!("{}: {} is still open", payment.id, operation.kind.as_str()));
            }
            continue;
        }
        let waits = order
            .refunds
            .iter()
            .any(|refund| refund.payment == payment.id && refund.status == RefundStatus::Pending);
        if waits && payment.status() != PaymentStatus::Disputed {
            faults.push(format!("{}: a refund waits and nothing is under way", payment.id));
        }
    }
    faults
}

fn order(kept: &Kept) -> Vec<String> {
    let (order, header) = (&kept.order, &kept.order.header);
    let mut faults = Vec::new();
    let money = order.payments.iter().any(|payment| payment.state.holds_money());
    let state = header.state.as_str();
    match header.state {
        OrderState::Pending | OrderState::PendingPayment => {
            if !money && !kept.is_flagged() {
                faults.push(format!("it is {state} without money since {}", header.updated_at));
            }
            if money && !kept.is_flagged() {
                faults.push(format!("it is {state} with money, and nobody is told"));
            }
        }
        OrderState::Cancelled | OrderState::Expired => {
            let coming = order.payments.iter().any(|payment| payment.operation.is_some());
            let ours = order.payments.iter().any(|payment| payment.state.holds_money() && !payment.external);
            if ours && !coming && !kept.is_flagged() {
                faults.push(format!("it is {state} and keeps money, and nobody is told"));
            }
        }
        OrderState::Submitted => faults.push("it is SUBMITTED, and nothing follows".to_owned()),
        OrderState::PendingApproval | OrderState::Processing | OrderState::Completed | OrderState::Failed => {
        }
    }
    faults.extend(submits_itself(kept));
    faults
}

/// A completed session submits an order that wants no more, if it may.
fn submits_itself(kept: &Kept) -> Option<String> {
    let header = &kept.order.header;
    let session = kept.order.sessions.last()?;
    let needs = header.requirements?;
    let signed = needs.requires_signing != Requirement::Required || header.signature.is_some();
    let profile = needs.requires_payment_profile != Requirement::Required;
    let pays = kept
        .order
        .payment(session.payment)
        .is_some_and(|payment| matches!(payment.status(), PaymentStatus::Authorized | PaymentStatus::Paid));
    let waits = header.state == OrderState::PendingPayment && header.auto_submit && signed && profile;
    let completed = session.status == SessionStatus::Completed;
    (waits && pays && completed).then(|| "it is paid and wants no more, and is not submitted".to_owned())
}
