//! The cases in which an observation raises attention.

use std::time::Duration;

use port::{Money, PaymentStatus, StatusMapping};

use super::View;
use crate::domain::attention::{late_code, return_declined};
use crate::domain::event::Event;
use crate::domain::payment::{AttentionCode, OperationKind};
use crate::domain::payment_state::{PaymentState, ReportedStatus, implies_capture};

const A_DAY: Duration = Duration::from_secs(24 * 3_600);

impl View<'_, '_, '_> {
    pub(super) fn attention_events(&mut self, stated: &PaymentState) -> Vec<Event> {
        let mut reasons = self.money_reasons();
        reasons.extend(self.authorization_reasons());
        reasons.extend(self.dispute_reasons());
        reasons.extend(self.contradiction(stated));
        let raise = |(code, detail)| self.context.raise(code, self.payment.id, detail);
        let mut events: Vec<_> = reasons.into_iter().filter_map(raise).collect();
        events.extend(self.captured_instead());
        events
    }

    /// The money was captured instead of voided. If no order needs it, it still has to be refunded.
    fn captured_instead(&mut self) -> Option<Event> {
        let void = self.payment.pending(OperationKind::Void)?;
        let captured = self.after.captured > void.before;
        captured.then(|| return_declined(self.context, self.payment.id)).flatten()
    }

    /// A status that contradicts the money: FAILED while money is authorized or captured; a final status on captured
    /// money, unless it ends the rest of an authorization that can be captured in parts; or a refund total that went
    /// down without a failed or reversed refund.
    fn contradiction(&self, stated: &PaymentState) -> Option<(AttentionCode, String)> {
        let ends_rest = !self.payment.capabilities.one_capture && self.after.captured < self.after.authorized;
        let refused = match stated.reported_status {
            Some(ReportedStatus { status: PaymentStatus::Failed, .. }) => true,
            Some(reported) => reported.terminal && self.after.captured > 0 && !ends_rest,
            None => false,
        };
        let detail = || {
            format!("`{}` contradicts money that is authorized or captured", self.seen.provider_status.status)
        };
        let contradicts = refused && self.is_newest() && self.after.holds_money();
        let unclear = || self.refund_total_fell().or_else(|| self.refund_without_amount());
        let detail = if contradicts { Some(detail()) } else { unclear() };
        Some((AttentionCode::Contradiction, detail?))
    }

    /// A refund was made in the provider's portal and the status does not say how much. A payment with a
    /// pending refund is fetched anyway.
    fn refund_without_amount(&self) -> Option<String> {
        let partly = match self.seen.meaning {
            StatusMapping::Status(PaymentStatus::PartiallyRefunded) => true,
            StatusMapping::FromAmounts => self.seen.detail.is_none(),
            _ => false,
        };
        let unknown = partly && self.seen.refunded.is_none() && self.after.refunded() == 0;
        let refunding = self.payment.pending(OperationKind::Refund).is_some();
        (unknown && self.is_newest() && !refunding)
            .then(|| format!("`{}` does not say how much was refunded", self.seen.provider_status.status))
    }

    /// A delayed read may state less than is known; if it is not delayed, it contradicts.
    fn refund_total_fell(&self) -> Option<String> {
        let known = Money::new(self.after.refunded(), self.payment.money.currency);
        let stated = self.seen.refunded.filter(|_| implies_capture(self.seen) && self.is_newest())?;
        let less = stated.minor < known.minor;
        less.then(|| {
            format!("{known} was refunded, and the provider now states {stated} and no failed refund")
        })
    }

    /// Late payments, and refunds that failed or were reversed.
    fn money_reasons(&self) -> Vec<(AttentionCode, String)> {
        let mut reasons = Vec::new();
        let before = &self.payment.state;
        let arrived = self.after.holds_money() && !before.holds_money() && before.captured == 0;
        let session = self.order.session_of(self.payment);
        let awaited = session.is_some_and(|session| session.status.is_open() || session.used);
        if arrived && (!awaited || self.order.header.state.is_final()) {
            let code = late_code(self.order, self.payment.id);
            reasons.push((code, "money arrived where no open session waits for it".to_owned()));
        }
        if self.newly_reverses_refund() {
            let detail = format!("a refund failed or was reversed: `{}`", self.seen.provider_status.status);
            reasons.push((AttentionCode::RefundFailed, detail));
        }
        reasons
    }

    fn authorization_reasons(&self) -> Vec<(AttentionCode, String)> {
        let mut reasons = Vec::new();
        if self.is_unexpected_authorization() && !self.can_capture_authorization() {
            let detail = "authorized although it was to be captured at once".to_owned();
            reasons.push((AttentionCode::UnexpectedHold, detail));
        }
        let ends = self.payment.authorization_expires_at;
        if self.after.is_authorized() && ends.is_some_and(|end| self.context.now >= end.minus(A_DAY)) {
            reasons.push((
                AttentionCode::AuthorizationExpiring,
                "the authorization expires within a day".to_owned(),
            ));
        }
        let lost =
            self.payment.state.is_authorized() && !self.after.is_authorized() && self.after.captured == 0;
        let voiding = self.payment.pending(OperationKind::Void).is_some();
        let submitted = !self.order.header.state.is_unsubmitted() && !self.order.header.state.is_final();
        if lost && !voiding && submitted {
            reasons.push((
                AttentionCode::AuthorizationLost,
                "the authorization of a submitted order is gone".to_owned(),
            ));
        }
        reasons
    }

    /// A new dispute, or an inquiry that becomes a chargeback. If the money was refunded before, it may be lost
    /// twice.
    fn dispute_reasons(&self) -> Option<(AttentionCode, String)> {
        let dispute = self.after.open_dispute()?;
        let (stage, before) = (dispute.stage.as_str(), &self.payment.state);
        let was = before.open_dispute();
        let is_news = was.is_none_or(|was| was.stage.is_inquiry() && !dispute.stage.is_inquiry());
        let returned = self.after.disputes_returned_money();
        let took = was.is_some_and(|was| !was.stage.is_inquiry());
        match returned {
            true if is_news || (took && !before.disputes_returned_money()) => {
                Some((AttentionCode::DisputeAfterRefund, format!("{stage} on refunded money")))
            }
            false if is_news => Some((AttentionCode::Dispute, format!("a dispute was opened: {stage}"))),
            _ => None,
        }
    }
}
