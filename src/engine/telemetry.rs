//! Counts and logs what a commit has changed: objects at providers, payment statuses, order states, attention.

use port::PaymentStatus;

use crate::domain::{AnySubject, OrderAggregate, OrderState, Payment};
use crate::metrics::Metrics;

pub(super) fn committed(metrics: &Metrics, before: Option<&AnySubject>, after: &AnySubject) {
    let AnySubject::Order(after) = after else { return };
    let before = match before {
        Some(AnySubject::Order(before)) => Some(&**before),
        _ => None,
    };
    log_attempts(before, after);
    log_state(before, after);
    for payment in &after.payments {
        let was = before.and_then(|before| before.payment(payment.id)).map(Payment::status);
        if was == Some(payment.status()) {
            continue;
        }
        let attempt = payment.attempt.and_then(|id| after.attempt(id));
        let provider = attempt.map_or("external", |attempt| &*attempt.provider);
        let status = payment.status().as_str();
        metrics.payment_changed(provider, status);
        if was.is_none() && payment.status() == PaymentStatus::Pending {
            // Every checkout creates a pending payment, so that is not logged.
            continue;
        }
        tracing::info!(order.id = %after.id(), payment.id = %payment.id, provider.name = provider,
            "payment {} is {status}", payment.id);
    }
    let known = |id| before.is_some_and(|before| before.attention(id).is_some());
    for raised in after.attention.iter().filter(|raised| !known(raised.id)) {
        let code = raised.code.as_str();
        metrics.attention_raised(code);
        tracing::warn!(order.id = %after.id(), attention.code = code,
            "order {} needs attention: {code}", after.id());
    }
}

/// The one line of a plain checkout: which provider has created its object.
fn log_attempts(before: Option<&OrderAggregate>, after: &OrderAggregate) {
    let created = after.attempts.iter().filter(|attempt| attempt.reference.is_some());
    for attempt in created {
        let was = before.and_then(|before| before.attempt(attempt.id));
        if was.is_none_or(|was| was.reference.is_none()) {
            tracing::info!(order.id = %after.id(), attempt.id = %attempt.id, account.name = %attempt.account,
                provider.name = %attempt.provider, provider.reference = attempt.reference,
                "the payment of order {} was opened at {}", after.id(), attempt.account);
        }
    }
}

/// Every order has been a cart and waited for its payment, so that is for debugging only.
fn log_state(before: Option<&OrderAggregate>, after: &OrderAggregate) {
    let state = after.header.state;
    if before.map(|before| before.header.state) == Some(state) {
        return;
    }
    let (id, name) = (after.id(), state.as_str());
    if matches!(state, OrderState::Pending | OrderState::PendingPayment) {
        tracing::debug!(order.id = %id, "order {id} is {name}");
    } else {
        tracing::info!(order.id = %id, "order {id} is {name}");
    }
}
