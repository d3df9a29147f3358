//! A hold that nobody asked for is taken at once, as the payment itself was to be.

use port::{CaptureMode, PaymentStatus};

use super::View;
use crate::domain::event::Event;
use crate::domain::order::OrderState;
use crate::domain::payment::{AttentionCode, Operation, OperationKind};

impl View<'_, '_> {
    /// Whether funds are held although they were to be taken at once.
    pub(super) fn is_unexpected_authorization(&self) -> bool {
        self.status() == PaymentStatus::Authorized && self.payment.capture == CaptureMode::Automatic
    }

    /// Whether an unexpected hold can be taken: all of it, where its session and its order still wait for it, and
    /// unless that was tried in vain, which a person knows.
    pub(super) fn can_capture_authorization(&self) -> bool {
        let session = self.payment.session.and_then(|id| self.order.session(id));
        let awaited = session.is_some_and(|session| {
            let open = session.status.is_open() && session.closing.is_none();
            open && session.attempt == self.record.id && self.order.header.state == OrderState::PendingPayment
        });
        let whole = self.after.capturable() == self.payment.money.minor;
        let raised_before = self.order.attention.iter().any(|attention| {
            attention.code == AttentionCode::UnexpectedHold && attention.payment == Some(self.payment.id)
        });
        self.payment.capabilities.authorizes && awaited && whole && !raised_before
    }

    /// The capture of an unexpected hold: the intent.
    pub(super) fn capture_events(&self) -> Option<Event> {
        let free = self.payment.operation.is_none();
        let takes = free && self.is_unexpected_authorization() && self.can_capture_authorization();
        let amount = Some(self.after.capturable());
        let operation = Operation::new(OperationKind::Capture, amount, 0, self.now);
        takes.then_some(Event::OperationRequested { payment: self.payment.id, operation, closing: None })
    }
}
