//! Why a person should look, and when that is told.

use std::time::Duration;

use port::{Money, PaymentStatus, StatusMapping};

use super::View;
use crate::domain::attention::{late_code, not_refunded, raise};
use crate::domain::event::Event;
use crate::domain::payment::{AttentionCode, Operation, OperationKind};
use crate::domain::payment_state::{PaymentState, ReportedStatus, implies_capture};

const A_DAY: Duration = Duration::from_secs(24 * 3_600);

impl View<'_, '_> {
    pub(super) fn attention_events(&mut self, stated: &PaymentState) -> Vec<Event> {
        let mut reasons = self.money_reasons();
        reasons.extend(self.authorization_reasons());
        reasons.extend(self.dispute_reasons());
        reasons.extend(self.contradiction(stated));
        let payment = Some(self.payment.id);
        let mut events = Vec::new();
        for (code, detail) in reasons {
            events.extend(raise(self.order, code, payment, detail, None, self.now, self.ids));
        }
        events.extend(self.taken_instead());
        events
    }

    /// What was to be released was taken. If no order goes on with it, it still has to go back.
    fn taken_instead(&mut self) -> Vec<Event> {
        let void = self.payment.operation.as_ref().filter(|operation| operation.kind == OperationKind::Void);
        match void.is_some_and(|void| self.after.captured > void.before) {
            true => not_refunded(self.order, self.payment.id, self.now, self.ids),
            false => Vec::new(),
        }
    }

    /// A word that the money refuses: FAILED on any, an end on what was taken, unless it ended the rest of a
    /// hold that could be taken in parts. Or less given back than is known, by no word that lowers it.
    fn contradiction(&self, stated: &PaymentState) -> Option<(AttentionCode, String)> {
        let ends_rest = !self.payment.capabilities.one_capture && self.after.captured < self.after.authorized;
        let refused = match stated.reported_status {
            Some(ReportedStatus { status: PaymentStatus::Failed, .. }) => true,
            Some(reported) => reported.terminal && self.after.captured > 0 && !ends_rest,
            None => false,
        };
        let detail =
            || format!("`{}` does not fit money that is held or taken", self.seen.provider_status.status);
        let contradicts = refused && self.is_newest() && self.after.holds_money();
        let less = || {
            let unclear = self.stated_less_back().or_else(|| self.left_out_how_much());
            unclear.map(|detail| (AttentionCode::Contradiction, detail))
        };
        if contradicts { Some((AttentionCode::Contradiction, detail())) } else { less() }
    }

    /// Money went back in the provider's portal, by a word without a figure. A refund of ours is asked about anyway.
    fn left_out_how_much(&self) -> Option<String> {
        let partly = match self.seen.meaning {
            StatusMapping::Status(PaymentStatus::PartiallyRefunded) => true,
            StatusMapping::FromAmounts => self.seen.detail.is_none(),
            _ => false,
        };
        let unknown = partly && self.seen.refunded.is_none() && self.after.refunded() == 0;
        let refund = |operation: &Operation| operation.kind == OperationKind::Refund;
        let ours = self.payment.operation.as_ref().is_some_and(refund);
        (unknown && self.is_newest() && !ours)
            .then(|| format!("`{}` does not say how much was given back", self.seen.provider_status.status))
    }

    /// A lagging read takes nothing back, but it may not have been one.
    fn stated_less_back(&self) -> Option<String> {
        let known = Money::new(self.after.refunded(), self.payment.money.currency);
        let stated = self.seen.refunded.filter(|_| implies_capture(self.seen) && self.is_newest())?;
        let less = stated.minor < known.minor;
        less.then(|| {
            format!("{known} was given back, and the provider now states {stated} without saying why")
        })
    }

    /// Money that arrived where nothing waits for it; refunds that did not stay.
    fn money_reasons(&self) -> Vec<(AttentionCode, String)> {
        let mut reasons = Vec::new();
        let before = &self.payment.state;
        let arrived = self.after.holds_money() && !before.holds_money() && before.captured == 0;
        let session = self.payment.session.and_then(|id| self.order.session(id));
        let awaited = session.is_some_and(|session| session.status.is_open() || session.used);
        if arrived && (!awaited || self.order.header.state.is_final()) {
            let code = late_code(self.order, self.payment.id);
            reasons.push((code, "money arrived where no open session waits for it".to_owned()));
        }
        if self.lowers_anew() {
            let detail = format!("a refund did not stay: `{}`", self.seen.provider_status.status);
            reasons.push((AttentionCode::RefundFailed, detail));
        }
        reasons
    }

    fn authorization_reasons(&self) -> Vec<(AttentionCode, String)> {
        let mut reasons = Vec::new();
        if self.is_unexpected_authorization() && !self.can_capture_authorization() {
            let detail = "held although it was to be taken at once".to_owned();
            reasons.push((AttentionCode::UnexpectedHold, detail));
        }
        let ends = self.payment.authorization_expires_at;
        if self.after.is_held() && ends.is_some_and(|end| self.now >= end.minus(A_DAY)) {
            reasons.push((AttentionCode::AuthorizationExpiring, "the hold ends within a day".to_owned()));
        }
        let lost = self.payment.state.is_held() && !self.after.is_held() && self.after.captured == 0;
        let ours =
            self.payment.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Void);
        let goes_on = !self.order.header.state.is_unsubmitted() && !self.order.header.state.is_final();
        if lost && !ours && goes_on {
            reasons.push((
                AttentionCode::AuthorizationLost,
                "the hold is gone under a submitted order".to_owned(),
            ));
        }
        reasons
    }

    /// A dispute that is opened, and one in which the bank goes on to take what it only asked about: if that was
    /// given back meanwhile, it leaves twice.
    fn dispute_reasons(&self) -> Option<(AttentionCode, String)> {
        let dispute = self.after.open_dispute()?;
        let (stage, before) = (dispute.stage.as_str(), &self.payment.state);
        let was = before.open_dispute();
        let is_news = was.is_none_or(|was| was.stage.is_inquiry() && !dispute.stage.is_inquiry());
        let returned = self.after.disputes_returned_money();
        let took = was.is_some_and(|was| !was.stage.is_inquiry());
        match returned {
            true if is_news || (took && !before.disputes_returned_money()) => {
                Some((AttentionCode::DisputeAfterRefund, format!("{stage} on money that was given back")))
            }
            false if is_news => Some((AttentionCode::Dispute, format!("a dispute was opened: {stage}"))),
            _ => None,
        }
    }
}
