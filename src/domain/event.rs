//! Events: the only thing that changes an order file.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use port::{
    AdapterState, AttemptId, AttentionId, Detail, DisputeStage, EventId, Failure, Next, OrderId, PaymentId,
    PaymentStatus, ProviderStatus, RefundId, SessionId, Timestamp, Uuid, sign,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::order::{
    ExternalPayment, LineItem, OrderHeader, OrderState, PaymentSource, PersonalData, Price, Requirement,
    Requirements,
};
use super::payment::{Attention, AttentionDecision, Operation, Payment, Refund, RefundStatus};
use super::payment_state::PaymentState;
use super::session::{Attempt, Session, SessionFailure, SessionStatus};
use super::{Erasable, Signature};

/// What happened. Complete in itself: applied to the file as it was, it gives the file as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The order was made.
    OrderCreated(Box<OrderHeader>),
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
    OrderSigned(Erasable<Signature>),
    /// The merchant collected the money itself.
    ExternalPaymentRecorded {
        /// What it told us.
        external: Erasable<ExternalPayment>,
        /// The payment that stands for it.
        payment: Box<Payment>,
    },
    /// The order's state changed.
    OrderStateChanged {
        /// Where it was.
        from: OrderState,
        /// Where it is.
        to: OrderState,
        /// Why, in words without personal data.
        why: Option<String>,
    },
    /// The merchant's words for how fulfilment went.
    FulfilmentReported(Erasable<String>),
    /// What the order was submitted with.
    PaymentSourceUsed(PaymentSource),
    /// A session was opened, with its payment and its first attempt: the intent.
    SessionCreated {
        /// The session.
        session: Box<Session>,
        /// Its payment.
        payment: Box<Payment>,
    },
    /// A start is about to be made at an account: the intent.
    AttemptStarted(Box<Attempt>),
    /// The adapter wants to find this again.
    AdapterStateSaved {
        /// Of which attempt.
        attempt: AttemptId,
        /// Everything it keeps now.
        adapter_state: Erasable<AdapterState>,
    },
    /// The provider has the object.
    AttemptCreated {
        /// Of which attempt.
        attempt: AttemptId,
        /// The provider's id.
        reference: String,
        /// What the customer needs.
        next: Erasable<Next>,
        /// What the adapter keeps now.
        adapter_state: Option<Erasable<AdapterState>>,
    },
    /// The start is given up: nothing is there, or it is looked for later.
    AttemptAbandoned {
        /// Of which attempt.
        attempt: AttemptId,
        /// Whether it may exist all the same.
        orphaned: bool,
        /// Why, as a word.
        why: String,
    },
    /// The session's status or failure changed.
    SessionStatusChanged {
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
    PaymentUpdated {
        /// Which.
        payment: PaymentId,
        /// The attempt that it now stands on.
        attempt: AttemptId,
        /// Its status before.
        from: PaymentStatus,
        /// Its status now.
        to: PaymentStatus,
        /// How it stands now.
        state: PaymentState,
        /// The provider's own word, verbatim.
        provider_status: ProviderStatus,
        /// The shade of it.
        detail: Option<Detail>,
        /// The last decline.
        failure: Option<Failure>,
        /// The moment that the word speaks of.
        reported_at: Timestamp,
    },
    /// No start of it came to anything: it has failed without ever being at a provider.
    PaymentNotStarted {
        /// Which.
        payment: PaymentId,
    },
    /// A payment nobody waited for: an attempt that was given up was paid.
    LatePaymentFound(Box<Payment>),
    /// An operation is about to be sent: the intent, its amount reserved.
    OperationRequested {
        /// On which payment.
        payment: PaymentId,
        /// What.
        operation: Operation,
        /// How the session shall end, if this closes it.
        closing: Option<super::FailureCode>,
    },
    /// The operation's outcome is known.
    OperationFinished {
        /// On which payment.
        payment: PaymentId,
        /// What it was.
        operation: Operation,
        /// The refusal; none if it took effect.
        refused: Option<Failure>,
    },
    /// A refund was asked for, its amount reserved; or one was found at the provider.
    RefundCreated(Box<Refund>),
    /// A refund's status changed.
    RefundStatusChanged {
        /// Which.
        refund: RefundId,
        /// Where it is.
        to: RefundStatus,
        /// The provider's refusal.
        failure: Option<Failure>,
    },
    /// A dispute was opened, moved or ended.
    DisputeUpdated {
        /// Of which payment.
        payment: PaymentId,
        /// Where it stands, or stood.
        stage: DisputeStage,
        /// Whether the money is gone, once it ended.
        lost: Option<bool>,
    },
    /// The provider's own order was handed over.
    ProviderOrderSubmitted {
        /// Of which attempt.
        attempt: AttemptId,
    },
    /// The personal data was erased; everything else stays.
    PersonalDataErased,
    /// A person should look.
    AttentionRaised(Attention),
    /// A person has looked.
    AttentionResolved {
        /// At what.
        attention: AttentionId,
        /// What was decided.
        decision: AttentionDecision,
        /// What the person wrote.
        note: Option<Erasable<String>>,
    },
}

/// The content of an order that a merchant may change while it is a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The lines.
    pub items: Vec<LineItem>,
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
    pub personal: Erasable<PersonalData>,
    /// Whether only the notes changed, so that price and signature stand.
    pub only_metadata: bool,
}

/// What a merchant is told of: the public name of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicEvent {
    /// `order`, `paymentSession`, `payment`, `refund`, `dispute` or `attention`.
    pub noun: &'static str,
    /// The state in upper case, as the API writes it.
    pub change: &'static str,
}

impl Event {
    /// The public event this is, if it is one.
    pub fn public_event(&self) -> Option<PublicEvent> {
        let (noun, word) = match self {
            Self::OrderCreated(header) => ("order", header.state.as_str()),
            Self::OrderStateChanged { to, .. } => ("order", to.as_str()),
            Self::SessionCreated { session, .. } => ("paymentSession", session.status.as_str()),
            Self::SessionStatusChanged { from, to, .. } if from != to => ("paymentSession", to.as_str()),
            Self::PaymentUpdated { from, to, .. } if from != to => ("payment", to.as_str()),
            Self::ExternalPaymentRecorded { payment, .. } | Self::LatePaymentFound(payment) => {
                ("payment", payment.status().as_str())
            }
            Self::PaymentNotStarted { .. } => ("payment", PaymentStatus::Failed.as_str()),
            Self::RefundCreated(refund) => ("refund", refund.status.as_str()),
            Self::RefundStatusChanged { to, .. } => ("refund", to.as_str()),
            Self::DisputeUpdated { stage, lost, .. } => ("dispute", lost.map_or(stage.as_str(), outcome)),
            Self::AttentionRaised(_) => ("attention", "RAISED"),
            Self::OrderEdited(_)
            | Self::OrderPriced { .. }
            | Self::OrderSigned(_)
            | Self::FulfilmentReported(_)
            | Self::PaymentSourceUsed(_)
            | Self::AttemptStarted(_)
            | Self::AdapterStateSaved { .. }
            | Self::AttemptCreated { .. }
            | Self::AttemptAbandoned { .. }
            | Self::SessionStatusChanged { .. }
            | Self::PaymentUpdated { .. }
            | Self::OperationRequested { .. }
            | Self::OperationFinished { .. }
            | Self::ProviderOrderSubmitted { .. }
            | Self::PersonalDataErased
            | Self::AttentionResolved { .. } => return None,
        };
        Some(PublicEvent { noun, change: word })
    }

    /// Its name in the timeline.
    pub fn name(&self) -> &'static str {
        match self {
            Self::OrderCreated(_) => "order.placed",
            Self::OrderEdited(_) => "order.edited",
            Self::OrderPriced { .. } => "order.priced",
            Self::OrderSigned(_) => "order.signed",
            Self::ExternalPaymentRecorded { .. } => "payment.external",
            Self::OrderStateChanged { .. } => "order.moved",
            Self::FulfilmentReported(_) => "order.fulfilment",
            Self::PaymentSourceUsed(_) => "order.proof",
            Self::SessionCreated { .. } => "session.opened",
            Self::AttemptStarted(_) => "attempt.started",
            Self::AdapterStateSaved { .. } => "attempt.kept",
            Self::AttemptCreated { .. } => "attempt.begun",
            Self::AttemptAbandoned { .. } => "attempt.left",
            Self::SessionStatusChanged { .. } => "session.moved",
            Self::PaymentUpdated { .. } => "payment.observed",
            Self::PaymentNotStarted { .. } => "payment.not_started",
            Self::LatePaymentFound(_) => "payment.found",
            Self::OperationRequested { .. } => "operation.asked",
            Self::OperationFinished { .. } => "operation.ended",
            Self::RefundCreated(_) => "refund.made",
            Self::RefundStatusChanged { .. } => "refund.moved",
            Self::DisputeUpdated { .. } => "dispute.moved",
            Self::ProviderOrderSubmitted { .. } => "attempt.handed_over",
            Self::PersonalDataErased => "order.erased",
            Self::AttentionRaised(_) => "attention.raised",
            Self::AttentionResolved { .. } => "attention.resolved",
        }
    }

    /// The bodies that have to be stored beside it.
    pub fn erasable(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let rows = match self {
            Self::OrderCreated(header) => vec![header.personal.row()],
            Self::OrderEdited(content) => vec![content.personal.row()],
            Self::OrderSigned(signature) => vec![signature.row()],
            Self::ExternalPaymentRecorded { external, .. } => vec![external.row()],
            Self::FulfilmentReported(detail) => vec![detail.row()],
            Self::RefundCreated(refund) => vec![refund.reason.as_ref().and_then(Erasable::row)],
            Self::SessionCreated { session, .. } => vec![session.request.row()],
            Self::AdapterStateSaved { adapter_state, .. } => vec![adapter_state.row()],
            Self::AttemptCreated { next, adapter_state, .. } => {
                vec![next.row(), adapter_state.as_ref().and_then(Erasable::row)]
            }
            Self::AttentionResolved { note, .. } => vec![note.as_ref().and_then(Erasable::row)],
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
    #[serde(rename = "AGENDA")]
    Scheduler,
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
    pub continues: bool,
    /// What.
    pub event: Event,
}

/// One change of one order, in its place. Times in the text are kept to the millisecond.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    /// Its id.
    pub id: EventId,
    /// Of which order.
    pub order: OrderId,
    /// Its place, from 1 without gaps.
    pub sequence: u64,
    /// Its place among the events that merchants are told of, from 1 without gaps.
    pub public_sequence: Option<u64>,
    /// What happened.
    pub record: Record,
    /// The record as it is stored and hashed.
    pub text: Arc<str>,
    /// The text's hash, chained to the event before.
    pub hash: Hash,
}

/// What every event of one change shares.
#[derive(Clone, Debug)]
pub struct EventMeta<'a> {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub cause: &'a Cause,
}

/// Makes ids; given by the caller so that the domain stays without chance.
pub type Ids<'a> = dyn FnMut() -> Uuid + 'a;
