//! Captures an unexpected authorization: the money was to be captured at once.

use port::{CaptureMode, PaymentStatus};

use super::View;
use crate::domain::event::Event;
use crate::domain::order::OrderState;
use crate::domain::payment::{AttentionCode, Operation, OperationKind};

impl View<'_, '_, '_> {
    /// Whether money is only authorized although it was to be captured at once.
    pub(super) fn is_unexpected_authorization(&self) -> bool {
        self.status() == PaymentStatus::Authorized && self.payment.capture == CaptureMode::Automatic
    }

    /// Whether an unexpected authorization can be captured: the whole amount, while session and order still wait for
    /// it, and unless attention was raised before.
    pub(super) fn can_capture_authorization(&self) -> bool {
        let session = self.order.session_of(self.payment);
        let awaited = session.is_some_and(|session| {
            let open = session.status.is_open() && session.closing.is_none();
            open && session.attempt == self.attempt.id
                && self.order.header.state == OrderState::PendingPayment
        });
        let whole = self.after.capturable() == self.payment.money.minor;
        let raised_before = self.order.attention.iter().any(|attention| {
            attention.code == AttentionCode::UnexpectedHold && attention.payment == self.payment.id
        });
        self.payment.capabilities.authorizes && awaited && whole && !raised_before
    }

    /// The intent to capture an unexpected authorization.
    pub(super) fn capture_events(&self) -> Option<Event> {
        let free = self.payment.operation.is_none();
        let captures = free && self.is_unexpected_authorization() && self.can_capture_authorization();
        let amount = Some(self.after.capturable());
        let operation = Operation::new(OperationKind::Capture, amount, 0, self.context.now);
        captures.then(|| self.payment.requested(operation, None))
    }
}
