//! Counts and logs changed payment statuses and new attention after a commit.

use port::PaymentStatus;

use crate::domain::{AnySubject, Payment};
use crate::metrics::Metrics;

pub(super) fn committed(metrics: &Metrics, before: Option<&AnySubject>, after: &AnySubject) {
    let AnySubject::Order(after) = after else { return };
    let before = match before {
        Some(AnySubject::Order(before)) => Some(&**before),
        _ => None,
    };
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
