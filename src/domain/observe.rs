//! Where every word of a provider ends up: what one observation changes in an order file.
//!
//! The payment follows the observation (six facts, each a join), the operation under way follows the payment,
//! the session follows the payment, the order follows the session. Notifications, returns, polls and
//! operations all end here and nowhere else.

mod hold;
mod reasons;

use port::{
    AttemptId, CaptureMode, Detail, Failure, Money, Observation, PaymentId, PaymentStatus, RefundId, Says,
    Timestamp,
};

use super::event::{Fact, Ids};
use super::file::OrderFile;
use super::open::end;
use super::operate::{closed_by_us, is_given_back};
use super::order::{OrderState, Proof};
use super::payment::{AttentionCode, Operation, OperationKind, Payment, Refund, RefundOrigin, RefundStatus};
use super::session::{AttemptRecord, FailureCode, Session, SessionFailure, SessionStatus};
use super::standing::{OutOfBounds, Standing, lowers, takes};
use super::submit::{proves, submission, unmet};
use reasons::late_code;
pub(super) use reasons::raise;
pub use reasons::{misquoted, no_web_page, not_taken, unsure, unsure_start};

/// What the account says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Whether its payments are tests.
    pub is_test: bool,
}

/// The facts that follow from an observation of an attempt. None if nothing is new.
pub fn observe(
    file: &OrderFile,
    attempt: AttemptId,
    seen: &Observation,
    expected: Expected,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Vec<Fact> {
    let Some(record) = file.attempt(attempt) else { return Vec::new() };
    if let Some((code, detail, stated)) = distrust(record, seen, expected) {
        let mut facts = raise(file, code, Some(record.payment), detail, stated, now, ids);
        facts.extend(gone_back(file, record, seen, code));
        facts.extend(ended_all_the_same(file, record, seen, code));
        return facts;
    }
    let Some(payment) = file.payment_of(record) else { return found(file, record, seen, now, ids) };
    let stated = match Standing::of(seen, payment.terms()) {
        Ok(stated) => stated,
        Err(fault) => return out_of_bounds(file, fault, payment.id, seen, now, ids),
    };
    let mut view = View { file, payment, record, seen, after: payment.standing.join(&stated), now, ids };
    let mut facts = view.payment_facts();
    let operation = view.operation_facts();
    facts.extend(operation);
    facts.extend(view.refund_facts(&facts));
    facts.extend(view.capture_facts());
    facts.extend(view.session_and_order_facts());
    facts.extend(view.attention_facts(&stated));
    facts
}

/// Why nothing may follow from an observation: whose, how much, in which world, in which words.
fn distrust(
    record: &AttemptRecord,
    seen: &Observation,
    expected: Expected,
) -> Option<(AttentionCode, String, Option<Money>)> {
    let ours = record.id.to_string();
    if seen.ours.as_ref().is_some_and(|echoed| *echoed != ours) {
        let detail = "the provider's object carries another reference than ours".to_owned();
        return Some((AttentionCode::Contradiction, detail, None));
    }
    if seen.is_test.is_some_and(|is_test| is_test != expected.is_test) {
        let detail = format!("account `{}` and its payment disagree on being a test", record.account);
        return Some((AttentionCode::TestModeMismatch, detail, None));
    }
    if let Some(total) = seen.total.filter(|total| *total != record.money) {
        let detail = format!("asked for {}, the provider states {total}", record.money);
        // Only what was taken can go back.
        let taken = takes(seen).then(|| seen.captured.unwrap_or(total));
        return Some((AttentionCode::AmountMismatch, detail, taken));
    }
    let others = [seen.authorized, seen.captured, seen.refunded, seen.disputed];
    if let Some(other) = others.into_iter().flatten().find(|money| money.currency != record.money.currency) {
        let detail = format!("asked for {}, the provider states {other}", record.money);
        return Some((AttentionCode::AmountMismatch, detail, Some(other)));
    }
    if seen.says == Says::Unmapped {
        let detail = format!("`{}` says `{}`, which no table has", record.provider, seen.word.word);
        return Some((AttentionCode::UnknownWord, detail, None));
    }
    None
}

fn out_of_bounds(
    file: &OrderFile,
    fault: OutOfBounds,
    payment: PaymentId,
    seen: &Observation,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Vec<Fact> {
    let detail = format!("{fault}, with the word `{}`", seen.word.word);
    raise(file, AttentionCode::Contradiction, Some(payment), detail, None, now, ids)
}

/// What is not as it was asked sets no fact; but once it is closed as we wanted, or all of it has gone back, its session
/// can end.
fn ended_all_the_same(
    file: &OrderFile,
    record: &AttemptRecord,
    seen: &Observation,
    code: AttentionCode,
) -> Vec<Fact> {
    let ours = matches!(code, AttentionCode::AmountMismatch | AttentionCode::TestModeMismatch);
    let ended = match seen.says {
        Says::Status(PaymentStatus::Cancelled | PaymentStatus::Expired) => true,
        Says::Status(PaymentStatus::Failed) => seen.last,
        _ => is_all_back(seen),
    };
    let payment = file.payment_of(record).filter(|_| ours && ended);
    payment.map(|payment| closed_by_us(file, payment.id)).unwrap_or_default()
}

/// Whether whatever was taken went back, by the provider's own figures.
fn is_all_back(seen: &Observation) -> bool {
    let figures = seen.refunded.zip(seen.captured.or(seen.total));
    let all = figures.is_some_and(|(back, taken)| {
        back.currency == taken.currency && 0 < taken.minor && taken.minor <= back.minor
    });
    matches!(seen.says, Says::Reversed | Says::Status(PaymentStatus::Refunded)) || (all && takes(seen))
}

/// What is not as it was asked can still be seen to have gone back.
fn gone_back(
    file: &OrderFile,
    record: &AttemptRecord,
    seen: &Observation,
    code: AttentionCode,
) -> Option<Fact> {
    let payment = file.payment_of(record).filter(|_| code == AttentionCode::AmountMismatch)?;
    let stray =
        |operation: &&Operation| operation.kind == OperationKind::Refund && operation.refund.is_none();
    let operation = payment.operation.as_ref().filter(stray)?;
    let back = seen.refunded.filter(|back| back.currency == payment.money.currency);
    let enough = back.is_some_and(|back| Some(back.minor) >= operation.amount);
    let all = matches!(seen.says, Says::Reversed | Says::Status(PaymentStatus::Refunded));
    let ended = Fact::OperationEnded { payment: payment.id, operation: operation.clone(), refused: None };
    (enough || all).then_some(ended)
}

/// An attempt that was given up: if it took money all the same, the money gets a payment of its own.
fn found(
    file: &OrderFile,
    record: &AttemptRecord,
    seen: &Observation,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Vec<Fact> {
    let Some(first) = file.payment(record.payment) else { return Vec::new() };
    let empty = Payment {
        attempt: Some(record.id),
        powers: record.powers,
        capture_asked: None,
        operation: None,
        failure: None,
        ..first.clone()
    };
    let standing = match Standing::of(seen, empty.terms()) {
        Ok(standing) if standing.holds_money() => standing,
        Ok(_) => return Vec::new(),
        Err(fault) => return out_of_bounds(file, fault, first.id, seen, now, ids),
    };
    let payment = Payment {
        id: PaymentId::from_uuid(ids()),
        authorization_expires_at: record.powers.hold_ends(&standing),
        standing,
        word: Some(seen.word.clone()),
        detail: seen.detail,
        seen_at: seen.place,
        created_at: now,
        updated_at: now,
        version: 1,
        ..empty
    };
    let mut facts = vec![Fact::PaymentFound(Box::new(payment.clone()))];
    let back = payment.standing.refunded();
    facts.extend((back > 0).then(|| Fact::RefundMade(Box::new(portal_refund(&payment, back, now, ids)))));
    let detail = format!("an attempt at `{}` that was given up holds {}", record.account, record.money);
    facts.extend(raise(file, late_code(file, payment.id), Some(payment.id), detail, None, now, ids));
    facts
}

/// One observation being worked into a file.
struct View<'a, 'b, 'c> {
    file: &'a OrderFile,
    payment: &'a Payment,
    record: &'a AttemptRecord,
    seen: &'a Observation,
    after: Standing,
    now: Timestamp,
    ids: &'b mut Ids<'c>,
}

impl View<'_, '_, '_> {
    fn before(&self) -> PaymentStatus {
        self.payment.status()
    }

    fn status(&self) -> PaymentStatus {
        self.after.status()
    }

    /// An older word than the one we have does not replace it.
    fn is_newest(&self) -> bool {
        self.seen.place >= self.payment.seen_at
    }

    fn payment_facts(&self) -> Vec<Fact> {
        let newest = self.is_newest();
        let word = if newest { Some(&self.seen.word) } else { self.payment.word.as_ref() };
        let detail = if newest { self.seen.detail } else { self.payment.detail };
        let failure = if newest { self.seen.failure.as_ref() } else { None };
        let same_failure = failure.is_none() || failure == self.payment.failure.as_ref();
        let same_word = word == self.payment.word.as_ref() && detail == self.payment.detail && same_failure;
        if same_word && gist(&self.after) == gist(&self.payment.standing) {
            return Vec::new();
        }
        let mut facts = vec![Fact::PaymentObserved {
            payment: self.payment.id,
            attempt: self.record.id,
            from: self.before(),
            to: self.status(),
            standing: self.after.clone(),
            word: word.cloned().unwrap_or_default(),
            detail,
            failure: failure.cloned(),
            seen_at: self.payment.seen_at.max(self.seen.place),
        }];
        facts.extend(self.dispute_facts());
        facts
    }

    fn dispute_facts(&self) -> Option<Fact> {
        let payment = self.payment.id;
        let (was, is) = (self.payment.standing.open_dispute(), self.after.open_dispute());
        match (was, is) {
            (was, Some(word)) if was.is_none_or(|was| was.stage != word.stage) => {
                Some(Fact::DisputeMoved { payment, stage: word.stage, lost: None })
            }
            (Some(word), None) => {
                let lost = self.after.ended_dispute().map(|(_, calm)| calm.lost);
                Some(Fact::DisputeMoved { payment, stage: word.stage, lost })
            }
            _ => None,
        }
    }

    /// The operation under way ends when its effect is seen, or cannot come any more.
    fn operation_facts(&self) -> Vec<Fact> {
        let Some(operation) = &self.payment.operation else { return Vec::new() };
        let Some(worked) = settled(operation, &self.after, self.refund_failed()) else {
            return Vec::new();
        };
        let refused = (!worked).then(|| self.seen.failure.clone().unwrap_or_default());
        let ended = Fact::OperationEnded {
            payment: self.payment.id,
            operation: operation.clone(),
            refused: refused.clone(),
        };
        let refund = operation.refund.map(|refund| {
            let to = if worked { RefundStatus::Succeeded } else { RefundStatus::Failed };
            Fact::RefundMoved { refund, to, failure: refused }
        });
        std::iter::once(ended).chain(refund).collect()
    }

    /// A refund did not stay, and this is news: a word that was there before the refund under way was asked for
    /// says nothing of it.
    fn lowers_anew(&self) -> bool {
        lowers(self.seen) && self.is_newest() && self.payment.detail != self.seen.detail
    }

    fn refund_failed(&self) -> bool {
        self.seen.detail == Some(Detail::RefundFailed) && self.lowers_anew()
    }

    /// Refunds add up to what the provider states: more was made in its portal, less came back.
    fn refund_facts(&mut self, so_far: &[Fact]) -> Vec<Fact> {
        let done_now = so_far.iter().find_map(|fact| match fact {
            Fact::RefundMoved { refund, to: RefundStatus::Succeeded, .. } => Some(*refund),
            _ => None,
        });
        let (file, payment) = (self.file, self.payment.id);
        let counts = |refund: &&Refund| {
            refund.payment == payment
                && (refund.status == RefundStatus::Succeeded || done_now == Some(refund.id))
        };
        let mut made: Vec<&Refund> = file.refunds.iter().filter(counts).collect();
        let mut over = made.iter().map(|refund| refund.money.minor).sum::<i64>() - self.after.refunded();
        let mut facts = Vec::new();
        while over > 0 {
            // The one that fits exactly came back, else the newest.
            let fits = made.iter().rposition(|refund| refund.money.minor == over);
            let Some(index) = fits.or(made.len().checked_sub(1)) else { break };
            let back = made.remove(index);
            over -= back.money.minor;
            let (refund, to) = (back.id, RefundStatus::Reversed);
            facts.push(Fact::RefundMoved { refund, to, failure: self.seen.failure.clone() });
        }
        if over < 0 {
            let refund = portal_refund(self.payment, -over, self.now, self.ids);
            facts.push(Fact::RefundMade(Box::new(refund)));
        }
        facts
    }

    fn session_and_order_facts(&self) -> Vec<Fact> {
        let Some(session) = self.payment.session.and_then(|id| self.file.session(id)) else {
            return Vec::new();
        };
        if session.attempt != self.record.id {
            return Vec::new();
        }
        if !session.status.is_open() {
            let completed = session.status == SessionStatus::Completed;
            return if completed { self.order_after_completed(session) } else { Vec::new() };
        }
        let (to, code) = session_word(self.status(), self.after.is_final(), session.capture);
        match to {
            SessionStatus::Completed => self.completed(session),
            SessionStatus::Failed => {
                let failure = self.session_failure(session, code.unwrap_or(FailureCode::ProviderError));
                let mut facts = end(self.file, session, failure);
                // The operation that closed it is settled above, with its outcome.
                facts.retain(|fact| !matches!(fact, Fact::OperationEnded { .. }));
                facts
            }
            open => {
                let failure = self.retryable().or_else(|| session.failure.clone());
                let same = open == session.status && failure == session.failure;
                let moved =
                    Fact::SessionMoved { session: session.id, from: session.status, to: open, failure };
                if same { Vec::new() } else { vec![moved] }
            }
        }
    }

    fn completed(&self, session: &Session) -> Vec<Fact> {
        let (from, to) = (session.status, SessionStatus::Completed);
        let mut facts = vec![Fact::SessionMoved { session: session.id, from, to, failure: None }];
        facts.extend(self.order_after_completed(session));
        facts
    }

    /// What a completed session's payment means for its order, if no newer session has taken its place: it is submitted
    /// by itself, also when money that was contested is the merchant's again, or it is a cart again.
    fn order_after_completed(&self, session: &Session) -> Vec<Fact> {
        if self.file.sessions.last().is_none_or(|last| last.id != session.id) {
            return Vec::new();
        }
        let order = &self.file.order;
        let wanted = order.auto_submit || session.charge.is_some();
        let stands = proves(self.status()) && !is_given_back(self.file, self.payment);
        let waits = order.state == OrderState::PendingPayment && wanted && stands;
        if waits && unmet(order, Some(session), session.charge.is_some(), true).is_empty() {
            return submission(order, session.charge.map_or(Proof::Session(session.id), Proof::Profile));
        }
        self.cart_again().into_iter().collect()
    }

    /// Voided, lapsed or wholly refunded before it was submitted, the order is a cart again.
    fn cart_again(&self) -> Option<Fact> {
        let gone = matches!(
            self.status(),
            PaymentStatus::Cancelled | PaymentStatus::Expired | PaymentStatus::Refunded
        );
        let waits = self.file.order.state == OrderState::PendingPayment;
        let why = Some("its payment was voided, lapsed or given back".to_owned());
        let moved = Fact::OrderMoved { from: OrderState::PendingPayment, to: OrderState::Pending, why };
        (gone && waits).then_some(moved)
    }

    /// A decline that the provider lets the customer repeat.
    fn retryable(&self) -> Option<SessionFailure> {
        let declined = self.status() == PaymentStatus::Failed && !self.after.is_final();
        declined.then(|| self.failure(FailureCode::Declined, self.seen.failure.as_ref(), true))
    }

    fn session_failure(&self, session: &Session, code: FailureCode) -> SessionFailure {
        let declined = self.seen.failure.as_ref();
        let last = declined.or(self.payment.failure.as_ref());
        let code = match code {
            _ if session.closing.is_some() => session.closing.unwrap_or(code),
            FailureCode::Cancelled if self.seen.detail == Some(Detail::CustomerRejected) => {
                FailureCode::CancelledByCustomer
            }
            FailureCode::Cancelled if last.is_some() || session.failure.is_some() => FailureCode::Declined,
            FailureCode::Cancelled => FailureCode::CancelledByCustomer,
            other => other,
        };
        let mut failure = self.failure(code, last, false);
        if last.is_none() {
            let kept = session.failure.clone();
            failure.message = kept.as_ref().and_then(|kept| kept.message.clone());
            failure.provider_code = kept.and_then(|kept| kept.provider_code);
        }
        failure
    }

    fn failure(&self, code: FailureCode, said: Option<&Failure>, retryable: bool) -> SessionFailure {
        SessionFailure {
            code,
            message: said.and_then(|said| said.text.clone()),
            provider_code: said.and_then(|said| said.code.clone()),
            retryable,
        }
    }
}

/// Money that somebody gave back in the provider's portal.
fn portal_refund(payment: &Payment, minor: i64, now: Timestamp, ids: &mut Ids<'_>) -> Refund {
    Refund {
        id: RefundId::from_uuid(ids()),
        payment: payment.id,
        money: Money::new(minor, payment.money.currency),
        status: RefundStatus::Succeeded,
        reason: None,
        reference: None,
        origin: RefundOrigin::Provider,
        failure: None,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// What of a standing is worth an event; the moments in it are not.
fn gist(standing: &Standing) -> impl PartialEq + use<> {
    let word = standing.word.map(|heard| (heard.status, heard.ended));
    let hold = standing.hold.map(|hold| hold.gone);
    let dispute = standing.open_dispute().map(|word| (word.stage, word.amount));
    let ended = standing.ended_dispute().map(|(_, calm)| calm.lost);
    (
        standing.status(),
        standing.authorized,
        standing.captured,
        standing.refunded(),
        word,
        hold,
        dispute,
        ended,
    )
}

/// Whether an operation took effect; `None` while that cannot be said.
fn settled(operation: &Operation, after: &Standing, refund_failed: bool) -> Option<bool> {
    let amount = operation.amount.unwrap_or(0);
    match operation.kind {
        OperationKind::Close if after.captured > 0 || after.is_held() => Some(false),
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

/// The published word for a payment's status, and how a session ends with it.
fn session_word(
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
