//! The types of public events.

use std::sync::LazyLock;

use port::{DisputeStage, PaymentStatus};
use strum::VariantArray;

use crate::domain::view::event_type;
use crate::domain::{OrderState, PublicEvent, RefundStatus, SessionStatus};

/// Every type of public event: a noun and each state that it can reach.
pub static ALL_TYPES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut types = of::<OrderState>("order");
    types.extend(of::<SessionStatus>("paymentSession"));
    types.extend(of::<PaymentStatus>("payment"));
    types.extend(of::<RefundStatus>("refund"));
    types.extend(of::<DisputeStage>("dispute"));
    let others = [("dispute", "WON"), ("dispute", "LOST"), ("attention", "RAISED")];
    types.extend(others.map(|(noun, change)| event_type(PublicEvent { noun, change })));
    types
});

fn of<S: VariantArray + Copy + Into<&'static str>>(noun: &'static str) -> Vec<String> {
    S::VARIANTS.iter().map(|state| event_type(PublicEvent { noun, change: (*state).into() })).collect()
}

/// Whether an endpoint may subscribe to this: a type, or all of a noun, `payment.*`.
pub fn is_type(text: &str) -> bool {
    match text.strip_suffix('*') {
        Some(noun) => noun.ends_with('.') && ALL_TYPES.iter().any(|known| known.starts_with(noun)),
        None => ALL_TYPES.iter().any(|known| known == text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_or_all_of_its_noun() {
        for good in ["payment.paid", "payment.*", "attention.raised", "paymentSession.*"] {
            assert!(is_type(good), "{good}");
        }
        for bad in
            ["", "*", "payment", "payment*", "payment.", "payment.payed", "pay.*", ".*", "payment.paid.*"]
        {
            assert!(!is_type(bad), "{bad}");
        }
    }

    /// These are public: one may be added, and none may be lost or spelt differently.
    #[test]
    fn every_type_is_one_that_was_promised() {
        let promised = [
            ("order", "pending pendingPayment submitted pendingApproval processing completed cancelled"),
            ("order", "expired failed"),
            ("paymentSession", "pending requiresAction completed failed"),
            ("payment", "pending requiresAction processing authorized paid partiallyRefunded refunded"),
            ("payment", "failed cancelled expired disputed"),
            ("refund", "pending succeeded failed reversed"),
            ("dispute", "retrieval fraudAdvice preCompliance compliance chargeback representation"),
            ("dispute", "preArbitration arbitration goodFaith won lost"),
            ("attention", "raised"),
        ];
        let of = |(noun, states): (&str, &str)| -> Vec<String> {
            states.split(' ').map(|state| format!("{noun}.{state}")).collect()
        };
        assert_eq!(*ALL_TYPES, promised.map(of).concat());
    }
}
