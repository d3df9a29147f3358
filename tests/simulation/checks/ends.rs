//! Everything comes to an end, or is shown to a person.

use std::time::Duration;

use paymux::domain::{
    AttemptState, AttentionCode, Job, OperationKind, OrderState, RefundStatus, Requirement, SessionStatus,
    Subject as _,
};
use paymux::store::{ClaimedJob, JobSubject};
use port::{PaymentStatus, Timestamp};

use super::Stored;

pub(super) fn check(stored: &Stored) -> Vec<String> {
    let found = sessions(stored).into_iter().chain(payments(stored)).chain(order(stored));
    found.map(|fault| format!("{}: {fault}", stored.order.id())).collect()
}

/// No job is left but those that stay for a reason, and they are not overdue; and whatever an order makes due has one.
pub(super) fn jobs(jobs: &[ClaimedJob], orders: &[Stored], now: Timestamp) -> Vec<String> {
    const OVERDUE: Duration = Duration::from_secs(24 * 3_600);
    let mut faults = Vec::new();
    for stored in orders {
        let id = stored.order.id();
        for due in stored.order.due(now, 0) {
            let has_row = jobs.iter().any(|job| job.subject == id.uuid() && job.lane == due.lane);
            if !has_row && !waits_for_a_person(stored, due.job) {
                faults.push(format!("{id}: {:?} is due at {} and no lane has it", due.job, due.at));
            }
        }
    }
    for job in jobs {
        let Some(stored) = orders.iter().find(|stored| stored.order.id().uuid() == job.subject) else {
            faults.push(format!("a job is left about {:?} {}", job.kind, job.subject));
            continue;
        };
        let due = stored.order.due(now, 0).into_iter().filter(|due| due.lane == job.lane);
        let stays = due.clone().any(|due| stays(stored, due.job));
        if job.kind != JobSubject::Order || !stays || job.due_at.plus(OVERDUE) < now {
            let (id, at, due) = (stored.order.id(), job.due_at, due.collect::<Vec<_>>());
            faults.push(format!("{id}: a job in {:?} is left since {at}, for {due:?}", job.lane));
        }
    }
    faults
}

/// What is due again and again, for as long as something lasts.
fn stays(stored: &Stored, job: Job) -> bool {
    match job {
        Job::FetchStatus(_) | Job::ResumeOperation(_) => true,
        // A dispute keeps an order from expiring for as long as it goes on; so does an operation that is unsure.
        Job::ExpireOrder => stored.has(PaymentStatus::Disputed) || stored.is_unsure(),
        _ => waits_for_a_person(stored, job),
    }
}

/// What the policy does not want, or cannot do.
fn waits_for_a_person(stored: &Stored, job: Job) -> bool {
    matches!(job, Job::ApplyRefundPolicy(_)) && stored.is_flagged()
}

fn sessions(stored: &Stored) -> Vec<String> {
    let open = stored.order.sessions.iter().filter(|session| session.status.is_open());
    let mut faults: Vec<String> = open.map(|session| format!("{} is still open", session.id)).collect();
    let started = |state| matches!(state, AttemptState::Started | AttemptState::Orphaned);
    let unsure = stored.order.attempts.iter().filter(|attempt| started(attempt.state));
    faults.extend(unsure.map(|attempt| format!("{} is still {:?}", attempt.id, attempt.state)));
    faults
}

fn payments(stored: &Stored) -> Vec<String> {
    let mut faults = Vec::new();
    let order = &stored.order;
    for payment in &order.payments {
        if let Some(operation) = &payment.operation {
            let raised =
                order.attention.iter().any(|attention| attention.code == AttentionCode::OutcomeUnknown);
            if operation.kind != OperationKind::Refund || !raised {
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

fn order(stored: &Stored) -> Vec<String> {
    let (order, header) = (&stored.order, &stored.order.header);
    let mut faults = Vec::new();
    let money = order.payments.iter().any(|payment| payment.state.holds_money());
    let state = header.state.as_str();
    match header.state {
        OrderState::Pending | OrderState::PendingPayment => {
            if !money && !stored.is_flagged() {
                faults.push(format!("it is {state} without money since {}", header.updated_at));
            }
            if money && !stored.is_flagged() {
                faults.push(format!("it is {state} with money, without attention"));
            }
        }
        OrderState::Cancelled | OrderState::Expired => {
            let coming = order.payments.iter().any(|payment| payment.operation.is_some());
            let has_money =
                order.payments.iter().any(|payment| payment.state.holds_money() && !payment.external);
            if has_money && !coming && !stored.is_flagged() {
                faults.push(format!("it is {state} and keeps money, without attention"));
            }
        }
        OrderState::Submitted => faults.push("it is SUBMITTED, and nothing follows".to_owned()),
        OrderState::PendingApproval | OrderState::Processing | OrderState::Completed | OrderState::Failed => {
        }
    }
    faults.extend(submits_itself(stored));
    faults
}

/// A completed session submits an order that wants no more, if it may.
fn submits_itself(stored: &Stored) -> Option<String> {
    let header = &stored.order.header;
    let session = stored.order.sessions.last()?;
    let needs = header.requirements?;
    let signed = needs.requires_signing != Requirement::Required || header.signature.is_some();
    let profile = needs.requires_payment_profile != Requirement::Required;
    let pays = stored.order.payment(session.payment).is_some_and(|payment| {
        // Money that is on its way back pays for nothing.
        let back = |kind| matches!(kind, OperationKind::Refund | OperationKind::Void);
        let operation = payment.operation.as_ref().is_some_and(|operation| back(operation.kind));
        let returns = operation || stored.order.reserved(payment.id) > 0;
        matches!(payment.status(), PaymentStatus::Authorized | PaymentStatus::Paid) && !returns
    });
    let waits = header.state == OrderState::PendingPayment && header.content.auto_submit && signed && profile;
    let completed = session.status == SessionStatus::Completed;
    (waits && pays && completed).then(|| "it is paid and wants no more, and is not submitted".to_owned())
}
