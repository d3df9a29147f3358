//! What a payment's new state means for its pending operation and its session.

use port::{CaptureMode, PaymentStatus};

use crate::domain::payment::{Operation, OperationKind};
use crate::domain::payment_state::PaymentState;
use crate::domain::session::{FailureCode, SessionStatus};

/// The parts of a payment's state whose change makes an event. Times are not among them.
pub(super) fn visible_state(state: &PaymentState) -> impl PartialEq + use<> {
    let reported = state.reported_status.map(|reported| (reported.status, reported.terminal));
    let authorization = state.authorization.map(|authorization| authorization.gone);
    let dispute = state.open_dispute().map(|reported| (reported.stage, reported.amount));
    let ended = state.ended_dispute().map(|(_, closed)| closed.lost);
    (
        state.status(),
        state.authorized,
        state.captured,
        state.refunded(),
        reported,
        authorization,
        dispute,
        ended,
    )
}

/// Whether an operation took effect; `None` while that is unknown.
pub(super) fn effect_of(operation: &Operation, after: &PaymentState, refund_failed: bool) -> Option<bool> {
    let amount = operation.amount.unwrap_or(0);
    match operation.kind {
        OperationKind::Close if after.captured > 0 || after.is_authorized() => Some(false),
        OperationKind::Close => after.is_final().then_some(true),
        OperationKind::Void if after.captured > operation.before => Some(false),
        OperationKind::Void => (after.capturable() == 0).then_some(true),
        OperationKind::Capture if after.captured >= operation.before + amount => Some(true),
        OperationKind::Capture => {
            (after.capturable() == 0 && after.captured == operation.before).then_some(false)
        }
        OperationKind::Refund if after.refunded() >= operation.before + amount => Some(true),
        OperationKind::Refund => refund_failed.then_some(false),
    }
}

/// The session status for a payment's status, and how a session ends with it.
pub(super) fn session_status(
    status: PaymentStatus,
    is_final: bool,
    capture: CaptureMode,
) -> (SessionStatus, Option<FailureCode>) {
    match status {
        PaymentStatus::Pending | PaymentStatus::Processing => (SessionStatus::Pending, None),
        PaymentStatus::RequiresAction => (SessionStatus::RequiresAction, None),
        PaymentStatus::Authorized if capture == CaptureMode::Automatic => (SessionStatus::Pending, None),
        PaymentStatus::Authorized
        | PaymentStatus::Paid
        | PaymentStatus::PartiallyRefunded
        | PaymentStatus::Refunded
        | PaymentStatus::Disputed => (SessionStatus::Completed, None),
        PaymentStatus::Failed if !is_final => (SessionStatus::Pending, None),
        PaymentStatus::Failed => (SessionStatus::Failed, Some(FailureCode::Declined)),
        PaymentStatus::Cancelled => (SessionStatus::Failed, Some(FailureCode::Cancelled)),
        PaymentStatus::Expired => (SessionStatus::Failed, Some(FailureCode::Expired)),
    }
}
