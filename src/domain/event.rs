//! Events: the only thing that changes an order file.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use port::{
    AttemptId, AttentionId, Detail, DisputeStage, EventId, Failure, Next, OrderId, PaymentId, PaymentStatus,
    RefundId, SessionId, StatusWord, Theirs, Timestamp, Uuid, sign,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::order::{
    ExternalPayment, Item, Order, OrderState, Personal, Price, Proof, Requirement, Requirements,
};
use super::payment::{Attention, Decision, Operation, Payment, Refund, RefundStatus};
use super::session::{AttemptRecord, Session, SessionFailure, SessionStatus};
use super::standing::Standing;
use super::{Sealed, Signature};

/// What happened. Complete in itself: applied to the file as it was, it gives the file as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// The order was made.
    OrderPlaced(Box<Order>),
    /// Something of its content changed; the price and the signature fall, unless only notes did.
    OrderEdited(Box<Content>),
    /// It was priced.
    OrderPriced {
        /// The totals.
        price: Price,
        /// What it needs.
        requirements: Requirements,
    },
    /// A signature was recorded.
    OrderSigned(Sealed<Signature>),
    /// The merchant collected the money itself.
    PaidExternally {
        /// What it told us.
        external: Sealed<ExternalPayment>,
        /// The payment that stands for it.
        payment: Box<Payment>,
    },
    /// The order's state changed.
    OrderMoved {
        /// Where it was.
        from: OrderState,
        /// Where it is.
        to: OrderState,
        /// Why, in words without personal data.
        why: Option<String>,
    },
    /// The merchant's words for how fulfilment went.
    FulfilmentTold(Sealed<String>),
    /// What the order was submitted with.
    ProofUsed(Proof),
    /// A session was opened, with its payment and its first attempt: the intent.
    SessionOpened {
        /// The session.
        session: Box<Session>,
        /// Its payment.
        payment: Box<Payment>,
    },
    /// A start is about to be made at an account: the intent.
    AttemptStarted(Box<AttemptRecord>),
    /// The adapter wants to find this again.
    AttemptKept {
        /// Of which attempt.
        attempt: AttemptId,
        /// Everything it keeps now.
        theirs: Sealed<Theirs>,
    },
    /// The provider has the object.
    AttemptBegun {
        /// Of which attempt.
        attempt: AttemptId,
        /// The provider's id.
        reference: String,
        /// What the customer needs.
        next: Sealed<Next>,
        /// What the adapter keeps now.
        theirs: Option<Sealed<Theirs>>,
    },
    /// The start is given up: nothing is there, or it is looked for later.
    AttemptLeft {
        /// Of which attempt.
        attempt: AttemptId,
        /// Whether it may exist all the same.
        orphaned: bool,
        /// Why, as a word.
        why: String,
    },
    /// The session's status or failure changed.
    SessionMoved {
        /// Which.
        session: SessionId,
        /// Where it was.
        from: SessionStatus,
        /// Where it is.
        to: SessionStatus,
        /// Why it ended, or why its last try did not work.
        failure: Option<SessionFailure>,
    },
    /// The payment's facts changed.
    PaymentObserved {
        /// Which.
        payment: PaymentId,
        /// The attempt that it now stands on.
        attempt: AttemptId,
        /// Its status before.
        from: PaymentStatus,
        /// Its status now.
        to: PaymentStatus,
        /// How it stands now.
        standing: Standing,
        /// The provider's own word, verbatim.
        word: StatusWord,
        /// The shade of it.
        detail: Option<Detail>,
        /// The last decline.
        failure: Option<Failure>,
        /// The moment that the word speaks of.
        seen_at: Timestamp,
    },
    /// No start of it came to anything: it has failed without ever being at a provider.
    PaymentNotStarted {
        /// Which.
        payment: PaymentId,
    },
    /// A payment nobody waited for: an attempt that was given up was paid.
    PaymentFound(Box<Payment>),
    /// An operation is about to be sent: the intent, its amount reserved.
    OperationAsked {
        /// On which payment.
        payment: PaymentId,
        /// What.
        operation: Operation,
        /// How the session shall end, if this closes it.
        closing: Option<super::FailureCode>,
    },
    /// The operation's outcome is known.
    OperationEnded {
        /// On which payment.
        payment: PaymentId,
        /// What it was.
        operation: Operation,
        /// The refusal; none if it took effect.
        refused: Option<Failure>,
    },
    /// A refund was asked for, its amount reserved; or one was found at the provider.
    RefundMade(Box<Refund>),
    /// A refund's status changed.
    RefundMoved {
        /// Which.
        refund: RefundId,
        /// Where it is.
        to: RefundStatus,
        /// The provider's refusal.
        failure: Option<Failure>,
    },
    /// A dispute was opened, moved or ended.
    DisputeMoved {
        /// Of which payment.
        payment: PaymentId,
        /// Where it stands, or stood.
        stage: DisputeStage,
        /// Whether the money is gone, once it ended.
        lost: Option<bool>,
    },
    /// The provider's own order was handed over.
    HandedOver {
        /// Of which attempt.
        attempt: AttemptId,
    },
    /// The personal data was erased; everything else stays.
    Erased,
    /// A person should look.
    AttentionRaised(Attention),
    /// A person has looked.
    AttentionResolved {
        /// At what.
        attention: AttentionId,
        /// What was decided.
        decision: Decision,
        /// What the person wrote.
        note: Option<Sealed<String>>,
    },
}

/// The content of an order that a merchant may change while it is a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The lines.
    pub items: Vec<Item>,
    /// Delivery, minor units.
    pub shipping: i64,
    /// Whether prices include their tax.
    pub tax_included: bool,
    /// Whether a signature is needed.
    pub requires_signing: Requirement,
    /// Whether a person approves it.
    pub requires_approval: bool,
    /// Whether a completed payment submits it.
    pub auto_submit: bool,
    /// Customer, addresses, notes.
    pub personal: Sealed<Personal>,
    /// Whether only the notes changed, so that price and signature stand.
    pub only_metadata: bool,
}

/// What a merchant is told of: the public name of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `order`, `paymentSession`, `payment`, `refund`, `dispute` or `attention`.
    pub noun: &'static str,
    /// The state in upper case, as the API writes it.
    pub word: &'static str,
}

impl Fact {
    /// The public event this is, if it is one.
    pub fn notice(&self) -> Option<Notice> {
        let (noun, word) = match self {
            Self::OrderPlaced(order) => ("order", order.state.as_str()),
            Self::OrderMoved { to, .. } => ("order", to.as_str()),
            Self::SessionOpened { session, .. } => ("paymentSession", session.status.as_str()),
            Self::SessionMoved { from, to, .. } if from != to => ("paymentSession", to.as_str()),
            Self::PaymentObserved { from, to, .. } if from != to => ("payment", to.as_str()),
            Self::PaidExternally { payment, .. } | Self::PaymentFound(payment) => {
                ("payment", payment.status().as_str())
            }
            Self::PaymentNotStarted { .. } => ("payment", PaymentStatus::Failed.as_str()),
            Self::RefundMade(refund) => ("refund", refund.status.as_str()),
            Self::RefundMoved { to, .. } => ("refund", to.as_str()),
            Self::DisputeMoved { stage, lost, .. } => ("dispute", lost.map_or(stage.as_str(), outcome)),
            Self::AttentionRaised(_) => ("attention", "RAISED"),
            Self::OrderEdited(_)
            | Self::OrderPriced { .. }
            | Self::OrderSigned(_)
            | Self::FulfilmentTold(_)
            | Self::ProofUsed(_)
            | Self::AttemptStarted(_)
            | Self::AttemptKept { .. }
            | Self::AttemptBegun { .. }
            | Self::AttemptLeft { .. }
            | Self::SessionMoved { .. }
            | Self::PaymentObserved { .. }
            | Self::OperationAsked { .. }
            | Self::OperationEnded { .. }
            | Self::HandedOver { .. }
            | Self::Erased
            | Self::AttentionResolved { .. } => return None,
        };
        Some(Notice { noun, word })
    }

    /// Its name in the timeline.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OrderPlaced(_) => "order.placed",
            Self::OrderEdited(_) => "order.edited",
            Self::OrderPriced { .. } => "order.priced",
            Self::OrderSigned(_) => "order.signed",
            Self::PaidExternally { .. } => "payment.external",
            Self::OrderMoved { .. } => "order.moved",
            Self::FulfilmentTold(_) => "order.fulfilment",
            Self::ProofUsed(_) => "order.proof",
            Self::SessionOpened { .. } => "session.opened",
            Self::AttemptStarted(_) => "attempt.started",
            Self::AttemptKept { .. } => "attempt.kept",
            Self::AttemptBegun { .. } => "attempt.begun",
            Self::AttemptLeft { .. } => "attempt.left",
            Self::SessionMoved { .. } => "session.moved",
            Self::PaymentObserved { .. } => "payment.observed",
            Self::PaymentNotStarted { .. } => "payment.not_started",
            Self::PaymentFound(_) => "payment.found",
            Self::OperationAsked { .. } => "operation.asked",
            Self::OperationEnded { .. } => "operation.ended",
            Self::RefundMade(_) => "refund.made",
            Self::RefundMoved { .. } => "refund.moved",
            Self::DisputeMoved { .. } => "dispute.moved",
            Self::HandedOver { .. } => "attempt.handed_over",
            Self::Erased => "order.erased",
            Self::AttentionRaised(_) => "attention.raised",
            Self::AttentionResolved { .. } => "attention.resolved",
        }
    }

    /// The bodies that have to be stored beside it.
    pub fn sealed(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let rows = match self {
            Self::OrderPlaced(order) => vec![order.personal.row()],
            Self::OrderEdited(content) => vec![content.personal.row()],
            Self::OrderSigned(signature) => vec![signature.row()],
            Self::PaidExternally { external, .. } => vec![external.row()],
            Self::FulfilmentTold(detail) => vec![detail.row()],
            Self::RefundMade(refund) => vec![refund.reason.as_ref().and_then(Sealed::row)],
            Self::SessionOpened { session, .. } => vec![session.ask.row()],
            Self::AttemptKept { theirs, .. } => vec![theirs.row()],
            Self::AttemptBegun { next, theirs, .. } => {
                vec![next.row(), theirs.as_ref().and_then(Sealed::row)]
            }
            Self::AttentionResolved { note, .. } => vec![note.as_ref().and_then(Sealed::row)],
            _ => Vec::new(),
        };
        rows.into_iter().flatten().collect()
    }
}

/// A dispute's outcome, as the API writes it.
pub(super) fn outcome(lost: bool) -> &'static str {
    if lost { "LOST" } else { "WON" }
}

/// Who or what made something happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Who.
    pub actor: Actor,
    /// The request that did, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Who can make something happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Actor {
    /// A request of the merchant's.
    Merchant,
    /// The customer's return, which made us ask.
    Customer,
    /// A notification of the provider's, which made us ask.
    Provider,
    /// The gateway, when something was due.
    Agenda,
    /// A person at the gateway.
    Operator,
}

/// The SHA-256 that chains an event to the one before it in its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Of an event's text, chained to the hash before it.
    pub fn chain(self, text: &str) -> Self {
        Self(sign::sha256(&[&self.0, text.as_bytes()]))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sign::hex(&self.0))
    }
}

impl FromStr for Hash {
    type Err = super::UnknownWord;

    fn from_str(text: &str) -> Result<Self, super::UnknownWord> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(super::UnknownWord);
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(index * 2..index * 2 + 2).ok_or(super::UnknownWord)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| super::UnknownWord)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("not a hash"))
    }
}

/// What is hashed and stored of an event: its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub cause: Cause,
    /// Whether more events of the same change follow.
    pub more: bool,
    /// What.
    pub fact: Fact,
}

/// One change of one order, in its place. Times in the text are kept to the millisecond.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Of which order.
    pub order: OrderId,
    /// Its place, from 1 without gaps.
    pub sequence: u64,
    /// Its place among the events that merchants are told of, from 1 without gaps.
    pub notice: Option<u64>,
    /// What happened.
    pub record: Record,
    /// The record as it is stored and hashed.
    pub text: Arc<str>,
    /// The text's hash, chained to the event before.
    pub hash: Hash,
}

/// What every event of one change shares.
#[derive(Clone, Debug)]
pub struct Stamp<'a> {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub cause: &'a Cause,
}

/// Makes ids; given by the caller so that the domain stays without chance.
pub type Ids<'a> = dyn FnMut() -> Uuid + 'a;
