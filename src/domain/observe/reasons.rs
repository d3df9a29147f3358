//! Why a person should look, and when that is told.

use std::time::Duration;

use port::{AttemptId, AttentionId, CaptureMode, Money, PaymentId, PaymentStatus, Says, Timestamp};

use super::View;
use crate::domain::event::{Fact, Ids};
use crate::domain::file::OrderFile;
use crate::domain::payment::{Attention, AttentionCode, Operation, OperationKind};
use crate::domain::resolve::not_given_back;
use crate::domain::session::{AttemptRecord, AttemptState};
use crate::domain::standing::{Heard, Standing, takes};

const A_DAY: Duration = Duration::from_secs(24 * 3_600);

/// Raises attention, once for a payment and a reason while it is open, and again if money that could go back is
/// stated first now; what every read would say again is not told a second time in the same words, even after a
/// person has looked. But what is not believed is news again once something else was believed meanwhile: it may be
/// about something that has happened since.
pub(crate) fn raise(
    file: &OrderFile,
    code: AttentionCode,
    payment: Option<PaymentId>,
    detail: String,
    stated: Option<Money>,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Vec<Fact> {
    let believed_at = payment.and_then(|id| file.payment(id)).map(|payment| payment.seen_at);
    let known = |told: &Attention| {
        let same_words = told.detail == detail && told.stated == stated;
        let of_money = told.stated.is_some() || stated.is_none();
        let anew = code.is_doubt() && believed_at.is_some_and(|at| at > told.raised_at);
        let still_told = (told.resolved_at.is_none() && of_money) || (code.lasts() && same_words && !anew);
        told.code == code && told.payment == payment && still_told
    };
    if file.attention.iter().any(known) {
        return Vec::new();
    }
    let id = AttentionId::from_uuid(ids());
    vec![Fact::AttentionRaised(Attention {
        id,
        code,
        payment,
        detail,
        stated,
        raised_at: now,
        resolved_at: None,
        resolution: None,
    })]
}

/// Tells a person about an operation that stays unsure for longer than `limit`.
pub fn unsure(
    file: &OrderFile,
    payment: PaymentId,
    limit: Duration,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Vec<Fact> {
    let operation = file.payment(payment).and_then(|payment| payment.operation.as_ref());
    let asked = operation.filter(|operation| now.since(operation.since) >= limit);
    asked.map(|asked| unknown(file, payment, asked.kind.as_str(), asked.since, now, ids)).unwrap_or_default()
}

/// Tells a person about a start that stays unsure for longer than `limit`.
pub fn unsure_start(
    file: &OrderFile,
    attempt: AttemptId,
    limit: Duration,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Vec<Fact> {
    let started = |record: &&AttemptRecord| {
        record.state == AttemptState::Started && now.since(record.started_at) >= limit
    };
    let record = file.attempt(attempt).filter(started);
    record
        .map(|record| unknown(file, record.payment, "the start", record.started_at, now, ids))
        .unwrap_or_default()
}

/// The outcome of something that was sent is not known. Whoever has looked at it `since` then is not asked again.
fn unknown(
    file: &OrderFile,
    payment: PaymentId,
    what: &str,
    since: Timestamp,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Vec<Fact> {
    let code = AttentionCode::OutcomeUnknown;
    let of_it = |told: &Attention| told.payment == Some(payment) && told.raised_at >= since;
    if file.attention.iter().any(|told| told.code == code && of_it(told)) {
        return Vec::new();
    }
    raise(file, code, Some(payment), format!("whether {what} took effect is not known"), None, now, ids)
}

/// Tells a person that a provider asks for another amount, so that the start there was given up.
pub fn misquoted(
    file: &OrderFile,
    payment: PaymentId,
    detail: String,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Vec<Fact> {
    raise(file, AttentionCode::AmountMismatch, Some(payment), detail, None, now, ids)
}

/// Tells a person that a provider sends the customer to an address that is no web page.
pub fn no_web_page(file: &OrderFile, payment: PaymentId, now: Timestamp, ids: &mut Ids<'_>) -> Vec<Fact> {
    let detail = "the provider's page has an address that is no web page".to_owned();
    raise(file, AttentionCode::Contradiction, Some(payment), detail, None, now, ids)
}

/// The provider refuses the operation under way. If it was to take a hold that nobody had asked for, a person is told.
pub fn not_taken(file: &OrderFile, payment: PaymentId, now: Timestamp, ids: &mut Ids<'_>) -> Vec<Fact> {
    let held = file.payment(payment).filter(|payment| {
        let kind = payment.operation.as_ref().map(|operation| operation.kind);
        kind == Some(OperationKind::Capture) && payment.capture == CaptureMode::Automatic
    });
    let detail = "held although it was to be taken at once, and the provider refused the CAPTURE".to_owned();
    held.map(|payment| raise(file, AttentionCode::UnexpectedHold, Some(payment.id), detail, None, now, ids))
        .unwrap_or_default()
}

/// DUPLICATE_PAYMENT if another payment of the order holds money, else LATE_PAYMENT.
pub(super) fn late_code(file: &OrderFile, payment: PaymentId) -> AttentionCode {
    let another = file.payments.iter().any(|other| other.id != payment && other.standing.holds_money());
    if another { AttentionCode::DuplicatePayment } else { AttentionCode::LatePayment }
}

impl View<'_, '_, '_> {
    pub(super) fn attention_facts(&mut self, stated: &Standing) -> Vec<Fact> {
        let mut reasons = self.money_reasons();
        reasons.extend(self.hold_reasons());
        reasons.extend(self.dispute_reasons());
        reasons.extend(self.contradiction(stated));
        let payment = Some(self.payment.id);
        let mut facts = Vec::new();
        for (code, detail) in reasons {
            facts.extend(raise(self.file, code, payment, detail, None, self.now, self.ids));
        }
        facts.extend(self.taken_instead());
        facts
    }

    /// What was to be released was taken. If no order goes on with it, it still has to go back.
    fn taken_instead(&mut self) -> Vec<Fact> {
        let void = self.payment.operation.as_ref().filter(|operation| operation.kind == OperationKind::Void);
        match void.is_some_and(|void| self.after.captured > void.before) {
            true => not_given_back(self.file, self.payment.id, self.now, self.ids),
            false => Vec::new(),
        }
    }

    /// A word that the money refuses: FAILED on any, an end on what was taken, unless it ended the rest of a
    /// hold that could be taken in parts. Or less given back than is known, by no word that lowers it.
    fn contradiction(&self, stated: &Standing) -> Option<(AttentionCode, String)> {
        let ends_rest = !self.payment.powers.one_capture && self.after.captured < self.after.authorized;
        let refused = match stated.word {
            Some(Heard { status: PaymentStatus::Failed, .. }) => true,
            Some(heard) => heard.ended && self.after.captured > 0 && !ends_rest,
            None => false,
        };
        let detail = || format!("`{}` does not fit money that is held or taken", self.seen.word.word);
        let contradicts = refused && self.is_newest() && self.after.holds_money();
        let less = || {
            let unclear = self.stated_less_back().or_else(|| self.left_out_how_much());
            unclear.map(|detail| (AttentionCode::Contradiction, detail))
        };
        if contradicts { Some((AttentionCode::Contradiction, detail())) } else { less() }
    }

    /// Money went back in the provider's portal, by a word without a figure. A refund of ours is asked about anyway.
    fn left_out_how_much(&self) -> Option<String> {
        let partly = match self.seen.says {
            Says::Status(PaymentStatus::PartiallyRefunded) => true,
            Says::FromAmounts => self.seen.detail.is_none(),
            _ => false,
        };
        let unknown = partly && self.seen.refunded.is_none() && self.after.refunded() == 0;
        let refund = |operation: &Operation| operation.kind == OperationKind::Refund;
        let ours = self.payment.operation.as_ref().is_some_and(refund);
        (unknown && self.is_newest() && !ours)
            .then(|| format!("`{}` does not say how much was given back", self.seen.word.word))
    }

    /// A lagging read takes nothing back, but it may not have been one.
    fn stated_less_back(&self) -> Option<String> {
        let known = Money::new(self.after.refunded(), self.payment.money.currency);
        let stated = self.seen.refunded.filter(|_| takes(self.seen) && self.is_newest())?;
        let less = stated.minor < known.minor;
        less.then(|| {
            format!("{known} was given back, and the provider now states {stated} without saying why")
        })
    }

    /// Money that arrived where nothing waits for it; refunds that did not stay.
    fn money_reasons(&self) -> Vec<(AttentionCode, String)> {
        let mut reasons = Vec::new();
        let before = &self.payment.standing;
        let arrived = self.after.holds_money() && !before.holds_money() && before.captured == 0;
        let session = self.payment.session.and_then(|id| self.file.session(id));
        let awaited = session.is_some_and(|session| session.status.is_open() || session.used);
        if arrived && (!awaited || self.file.order.state.is_final()) {
            let code = late_code(self.file, self.payment.id);
            reasons.push((code, "money arrived where no open session waits for it".to_owned()));
        }
        if self.lowers_anew() {
            let detail = format!("a refund did not stay: `{}`", self.seen.word.word);
            reasons.push((AttentionCode::RefundFailed, detail));
        }
        reasons
    }

    fn hold_reasons(&self) -> Vec<(AttentionCode, String)> {
        let mut reasons = Vec::new();
        if self.is_unexpected_hold() && !self.can_take_hold() {
            let detail = "held although it was to be taken at once".to_owned();
            reasons.push((AttentionCode::UnexpectedHold, detail));
        }
        let ends = self.payment.authorization_expires_at;
        if self.after.is_held() && ends.is_some_and(|end| self.now >= end.minus(A_DAY)) {
            reasons.push((AttentionCode::AuthorizationExpiring, "the hold ends within a day".to_owned()));
        }
        let lost = self.payment.standing.is_held() && !self.after.is_held() && self.after.captured == 0;
        let ours =
            self.payment.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Void);
        let goes_on = !self.file.order.state.is_unsubmitted() && !self.file.order.state.is_final();
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
        let word = self.after.open_dispute()?;
        let (stage, before) = (word.stage.as_str(), &self.payment.standing);
        let was = before.open_dispute();
        let is_news = was.is_none_or(|was| was.stage.only_asks() && !word.stage.only_asks());
        let returned = self.after.disputes_returned_money();
        let took = was.is_some_and(|was| !was.stage.only_asks());
        match returned {
            true if is_news || (took && !before.disputes_returned_money()) => {
                Some((AttentionCode::DisputeAfterRefund, format!("{stage} on money that was given back")))
            }
            false if is_news => Some((AttentionCode::Dispute, format!("a dispute was opened: {stage}"))),
            _ => None,
        }
    }
}
