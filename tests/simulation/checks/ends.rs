//! Everything comes to an end, or is shown to a person.

use std::time::Duration;

use paymux::domain::{
    AttemptState, AttentionCode, OperationKind, OrderState, RefundStatus, Requirement, SessionStatus,
};
use paymux::store::{Due, DueKind};
use port::{PaymentStatus, Timestamp};

use super::Kept;

pub(super) fn check(kept: &Kept) -> Vec<String> {
    let found = sessions(kept).into_iter().chain(payments(kept)).chain(order(kept));
    found.map(|fault| format!("{}: {fault}", kept.file.id())).collect()
}

/// Nothing is left on the agenda but what stays on it for a reason, and that is not overdue.
pub(super) fn agenda(due: &[Due], orders: &[Kept], now: Timestamp) -> Vec<String> {
    const OVERDUE: Duration = Duration::from_secs(24 * 3_600);
    let of = |due: &Due| orders.iter().find(|kept| Some(kept.file.id()) == due.order);
    let stays = |due: &Due| match due.kind {
        DueKind::Ask | DueKind::Operate | DueKind::Checkpoint => true,
        // A dispute keeps an order from expiring for as long as it goes on; so does an operation that is unsure.
        DueKind::Expire => of(due).is_some_and(|kept| kept.has(PaymentStatus::Disputed) || kept.is_unsure()),
        // What the policy cannot do waits for a person.
        DueKind::Remedy => of(due).is_some_and(Kept::is_flagged),
        _ => false,
    };
    let left = due.iter().filter(|due| !stays(due) || due.at.plus(OVERDUE) < now);
    left.map(|due| {
        let order = due.order.map(|order| order.to_string()).unwrap_or_default();
        format!("{order}: the agenda still has {} {} at {}", due.kind.as_str(), due.subject, due.at)
    })
    .collect()
}

fn sessions(kept: &Kept) -> Vec<String> {
    let open = kept.file.sessions.iter().filter(|session| session.status.is_open());
    let mut faults: Vec<String> = open.map(|session| format!("{} is still open", session.id)).collect();
    let started = |state| matches!(state, AttemptState::Started | AttemptState::Orphaned);
    let unsure = kept.file.attempts.iter().filter(|attempt| started(attempt.state));
    faults.extend(unsure.map(|attempt| format!("{} is still {:?}", attempt.id, attempt.state)));
    faults
}

fn payments(kept: &Kept) -> Vec<String> {
    let mut faults = Vec::new();
    let file = &kept.file;
    for payment in &file.payments {
        if let Some(operation) = &payment.operation {
            let told = file.attention.iter().any(|told| told.code == AttentionCode::OutcomeUnknown);
            if operation.kind != OperationKind::Refund || !told {
                faults.push(format!("{}: {} is still open", payment.id, operation.kind.as_str()));
            }
            continue;
        }
        let waits = file
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
    let (file, order) = (&kept.file, &kept.file.order);
    let mut faults = Vec::new();
    let money = file.payments.iter().any(|payment| payment.standing.holds_money());
    let state = order.state.as_str();
    match order.state {
        OrderState::Pending | OrderState::PendingPayment => {
            if !money && !kept.is_flagged() {
                faults.push(format!("it is {state} without money since {}", order.updated_at));
            }
            if money && !kept.is_flagged() {
                faults.push(format!("it is {state} with money, and nobody is told"));
            }
        }
        OrderState::Cancelled | OrderState::Expired => {
            let coming = file.payments.iter().any(|payment| payment.operation.is_some());
            let ours =
                file.payments.iter().any(|payment| payment.standing.holds_money() && !payment.external);
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
    let order = &kept.file.order;
    let session = kept.file.sessions.last()?;
    let needs = order.requirements?;
    let signed = needs.requires_signing != Requirement::Required || order.signature.is_some();
    let profile = needs.requires_payment_profile != Requirement::Required;
    let pays = kept
        .file
        .payment(session.payment)
        .is_some_and(|payment| matches!(payment.status(), PaymentStatus::Authorized | PaymentStatus::Paid));
    let waits = order.state == OrderState::PendingPayment && order.auto_submit && signed && profile;
    let completed = session.status == SessionStatus::Completed;
    (waits && pays && completed).then(|| "it is paid and wants no more, and is not submitted".to_owned())
}
