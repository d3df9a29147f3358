//! What a merchant does with a payment's money.

use super::fields::Fields;
use super::reader::Value;
use super::values::MAX_REFERENCE;
use crate::orders::MoneyRequest;

/// Longest text for people.
const MAX_REASON: usize = 500;

/// A part of an amount, minor units; none for all that is left.
pub(in crate::http) fn part(value: Value<'_>) -> Option<Option<i64>> {
    value.object(|fields| Some(amount(fields)))
}

/// A refund: how much, why, and the merchant's reference.
pub(in crate::http) fn refund(value: Value<'_>) -> Option<MoneyRequest> {
    value.object(|fields| {
        let reason = fields.optional("reason", |value| value.lines(MAX_REASON));
        let reference = fields.optional("reference", |value| value.text(MAX_REFERENCE));
        Some(MoneyRequest::Refund { amount: amount(fields), reason, reference })
    })
}

/// Whether it is positive, and not more than there is, is for the payment to say.
fn amount(fields: &Fields<'_>) -> Option<i64> {
    fields.optional("amount", |value| value.amount(i64::MIN))
}
