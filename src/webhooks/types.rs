//! The types of events.

/// Every type of event that a merchant can be told of.
pub const ALL_TYPES: &[&str] = &[
    "order.pending",
    "order.pendingPayment",
    "order.submitted",
    "order.pendingApproval",
    "order.processing",
    "order.completed",
    "order.cancelled",
    "order.expired",
    "order.failed",
    "paymentSession.pending",
    "paymentSession.requiresAction",
    "paymentSession.completed",
    "paymentSession.failed",
    "payment.pending",
    "payment.requiresAction",
    "payment.processing",
    "payment.authorized",
    "payment.paid",
    "payment.partiallyRefunded",
    "payment.refunded",
    "payment.failed",
    "payment.cancelled",
    "payment.expired",
    "payment.disputed",
    "refund.pending",
    "refund.succeeded",
    "refund.failed",
    "refund.reversed",
    "dispute.retrieval",
    "dispute.fraudAdvice",
    "dispute.preCompliance",
    "dispute.compliance",
    "dispute.chargeback",
    "dispute.representation",
    "dispute.preArbitration",
    "dispute.arbitration",
    "dispute.goodFaith",
    "dispute.won",
    "dispute.lost",
    "attention.raised",
];

/// Whether an endpoint may ask for this: a type, or all of a noun, `payment.*`.
pub fn is_type(text: &str) -> bool {
    match text.strip_suffix('*') {
        Some(noun) => noun.ends_with('.') && ALL_TYPES.iter().any(|known| known.starts_with(noun)),
        None => ALL_TYPES.contains(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::view::event_type;
    use crate::domain::{OrderState, PublicEvent, RefundStatus, SessionStatus};
    use port::{DisputeStage, PaymentStatus};
    use serde::Deserialize as _;
    use serde::de::value::{Error, StrDeserializer};

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

    /// The upper-case word of a type's second part.
    fn upper(camel: &str) -> String {
        camel.chars().fold(String::new(), |mut upper, letter| {
            if letter.is_ascii_uppercase() {
                upper.push('_');
            }
            upper.push(letter.to_ascii_uppercase());
            upper
        })
    }

    #[test]
    fn the_list_has_every_word_of_the_rules_and_no_other() {
        for kind in ALL_TYPES {
            let (noun, rest) = kind.split_once('.').unwrap();
            let upper = upper(rest);
            let text = StrDeserializer::<Error>::new(&upper);
            let known = match noun {
                "order" => OrderState::deserialize(text).map(OrderState::as_str),
                "paymentSession" => SessionStatus::deserialize(text).map(SessionStatus::as_str),
                "payment" => PaymentStatus::deserialize(text).map(PaymentStatus::as_str),
                "refund" => RefundStatus::deserialize(text).map(RefundStatus::as_str),
                "dispute" if matches!(&*upper, "WON" | "LOST") => {
                    Ok(if upper == "WON" { "WON" } else { "LOST" })
                }
                "dispute" => DisputeStage::deserialize(text).map(DisputeStage::as_str),
                _ => Ok("RAISED"),
            };
            assert_eq!(known.as_deref(), Ok(&*upper), "{kind}");
            assert_eq!(
                event_type(PublicEvent { noun: noun.to_owned().leak(), change: known.unwrap() }),
                *kind
            );
        }
        assert_eq!(ALL_TYPES.len(), 9 + 4 + 11 + 4 + 11 + 1);
    }
}
