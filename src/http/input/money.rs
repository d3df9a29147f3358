//! Reads captures and refunds.

use super::fields::Fields;
use super::reader::Value;
use super::values::MAX_REFERENCE;
use crate::orders::MoneyRequest;

const MAX_REASON: usize = 500;

/// An amount in minor units; `None` for all that is left.
pub(crate) fn part(value: Value<'_>) -> Option<Option<i64>> {
    value.object(|fields| Some(amount(fields)))
}

pub(crate) fn refund(value: Value<'_>) -> Option<MoneyRequest> {
    value.object(|fields| {
        let reason = fields.optional("reason", |value| value.lines(MAX_REASON));
        let reference = fields.may_be_empty("reference", |value| value.text(MAX_REFERENCE));
        Some(MoneyRequest::Refund { amount: amount(fields), reason, reference })
    })
}

/// The domain checks that it is positive and not too large.
fn amount(fields: &Fields<'_>) -> Option<i64> {
    fields.optional("amount", |value| value.amount(i64::MIN))
}
