//! Identifiers: [TypeID](https://github.com/jetify-com/typeid)s, a prefix and a UUIDv7 in Crockford base32.
//!
//! They sort by the time they were made and say what they name. Ids are created by an [`Env`](crate::Env) only, so that
//! a run can be repeated from a seed.

use type_safe_id::{StaticType, TypeSafeId};

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident($kind:ident) = $prefix:literal;)*) => {$(
        /// The type behind the prefix.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $kind;

        impl StaticType for $kind {
            const TYPE: &'static str = $prefix;
        }

        $(#[$doc])*
        pub type $id = TypeSafeId<$kind>;
    )*};
}

ids! {
    /// An order.
    OrderId(OrderKind) = "ord";
    /// A line of an order.
    ItemId(ItemKind) = "itm";
    /// A payment session.
    SessionId(SessionKind) = "cs";
    /// One start at one account: the reference that the provider sees.
    AttemptId(AttemptKind) = "att";
    /// A payment.
    PaymentId(PaymentKind) = "pay";
    /// A refund.
    RefundId(RefundKind) = "ref";
    /// A payment profile.
    ProfileId(ProfileKind) = "pp";
    /// A session that stores a payment method.
    ProfileSessionId(ProfileSessionKind) = "pps";
    /// An event of an order.
    EventId(EventKind) = "evt";
    /// A merchant's webhook endpoint.
    EndpointId(EndpointKind) = "we";
    /// An attention.
    AttentionId(AttentionKind) = "atn";
    /// A stored notification of a provider.
    NotificationId(NotificationKind) = "note";
}
