//! The events of an order: the only thing that changes one. Their stored names are kept for ever; see
//! [`stored`](super::stored).

use port::{
    AdapterState, AttemptId, AttentionId, Detail, DisputeStage, Failure, Next, PaymentId, PaymentStatus,
    ProfileSessionId, ProviderStatus, RefundId, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::erasable::{Body, Erasable};
use super::order::{
    ExternalPayment, LineItem, OrderHeader, OrderState, PaymentSource, PersonalData, Price, Requirement,
    Requirements, Signature,
};
use super::payment::{Attention, AttentionDecision, Operation, Payment, Refund, RefundStatus};
use super::payment_state::PaymentState;
use super::session::{FailureCode, NewAttempt, NewSession, SessionFailure, SessionStatus, StartFailure};
use super::subject::{PublicEvent, SubjectEvent};

/// What happened to an order. Complete in itself: applied to the order as it was, it gives the order as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// The order was created.
    #[serde(rename = "order.created")]
    OrderCreated(Box<OrderHeader>),
    /// Something of its content changed; the price and the signature fall, unless only metadata did.
    #[serde(rename = "order.edited")]
    OrderEdited(Box<Content>),
    /// It was priced.
    #[serde(rename = "order.priced")]
    OrderPriced {
        /// The totals.
        price: Price,
        /// What it needs.
        requirements: Requirements,
    },
    /// A signature was recorded.
    #[serde(rename = "order.signed")]
    OrderSigned(Erasable<Signature>),
    /// The merchant collected the money itself.
    #[serde(rename = "order.external_payment_recorded")]
    ExternalPaymentRecorded {
        /// What the merchant said of it.
        external: Erasable<ExternalPayment>,
        /// The payment that stands for it.
        payment: Box<Payment>,
    },
    /// The order's state changed.
    #[serde(rename = "order.state_changed")]
    OrderStateChanged {
        /// Where it was.
        from: OrderState,
        /// Where it is.
        to: OrderState,
        /// Why, without personal data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The merchant's words for how fulfilment went.
    #[serde(rename = "order.fulfilment_reported")]
    FulfilmentReported(Erasable<String>),
    /// What the order was submitted with.
    #[serde(rename = "order.payment_source_used")]
    PaymentSourceUsed {
        /// What pays for it.
        source: PaymentSource,
        /// The profile session that proves a stored method beside it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile_session: Option<ProfileSessionId>,
    },
    /// A session was created, with its payment: the intent.
    #[serde(rename = "session.created")]
    SessionCreated(Box<NewSession>),
    /// A start is about to be made at an account: the intent.
    #[serde(rename = "attempt.started")]
    AttemptStarted {
        /// For which session.
        session: SessionId,
        /// The start.
        attempt: NewAttempt,
    },
    /// The adapter wants to find this again.
    #[serde(rename = "attempt.adapter_state_saved")]
    AdapterStateSaved {
        /// Of which attempt.
        attempt: AttemptId,
        /// Everything that the adapter remembers now.
        adapter_state: Erasable<AdapterState>,
    },
    /// The provider has the object.
    #[serde(rename = "attempt.created")]
    AttemptCreated {
        /// Of which attempt.
        attempt: AttemptId,
        /// The provider's id.
        reference: String,
        /// What the customer needs.
        next: Erasable<Next>,
        /// What the adapter remembers now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adapter_state: Option<Erasable<AdapterState>>,
    },
    /// The start was abandoned: nothing is there, or it is looked for later.
    #[serde(rename = "attempt.abandoned")]
    AttemptAbandoned {
        /// Of which attempt.
        attempt: AttemptId,
        /// Whether it may exist all the same.
        orphaned: bool,
        /// Why.
        failure: StartFailure,
    },
    /// The session's status or failure changed.
    #[serde(rename = "session.status_changed")]
    SessionStatusChanged {
        /// Which.
        session: SessionId,
        /// Where it was.
        from: SessionStatus,
        /// Where it is.
        to: SessionStatus,
        /// Why it ended, or why its last try did not work.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<SessionFailure>,
    },
    /// The methods that the session's payment has stored were listed.
    #[serde(rename = "session.profiles_synced")]
    ProfilesSynced {
        /// Which.
        session: SessionId,
    },
    /// The payment's state changed.
    #[serde(rename = "payment.updated")]
    PaymentUpdated {
        /// Which.
        payment: PaymentId,
        /// The attempt that it now stands on.
        attempt: AttemptId,
        /// Its status before.
        from: PaymentStatus,
        /// Its status now.
        to: PaymentStatus,
        /// Its state now.
        state: PaymentState,
        /// The provider's own status, verbatim.
        provider_status: ProviderStatus,
        /// The shade of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<Detail>,
        /// The last decline.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// The moment that the status speaks of.
        reported_at: Timestamp,
    },
    /// No start of it came to anything: it has failed without ever being at a provider.
    #[serde(rename = "payment.not_started")]
    PaymentNotStarted {
        /// Which.
        payment: PaymentId,
    },
    /// A payment that no session waited for: an attempt that was abandoned was paid.
    #[serde(rename = "payment.late_found")]
    LatePaymentFound(Box<Payment>),
    /// An operation is about to be sent: the intent, its amount reserved.
    #[serde(rename = "operation.requested")]
    OperationRequested {
        /// On which payment.
        payment: PaymentId,
        /// What.
        operation: Operation,
        /// How the session shall end, if this closes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closing: Option<FailureCode>,
    },
    /// The operation's outcome is known.
    #[serde(rename = "operation.finished")]
    OperationFinished {
        /// On which payment.
        payment: PaymentId,
        /// What it was.
        operation: Operation,
        /// The provider's decline; none if it took effect.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        declined: Option<Failure>,
    },
    /// A refund was requested, its amount reserved; or one was found at the provider.
    #[serde(rename = "refund.created")]
    RefundCreated(Box<Refund>),
    /// A refund's status changed.
    #[serde(rename = "refund.status_changed")]
    RefundStatusChanged {
        /// Which.
        refund: RefundId,
        /// Where it is.
        to: RefundStatus,
        /// The provider's decline.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A dispute was opened, moved or ended.
    #[serde(rename = "dispute.updated")]
    DisputeUpdated {
        /// Of which payment.
        payment: PaymentId,
        /// Where it stands, or stood.
        stage: DisputeStage,
        /// Whether the money is gone, once it ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<bool>,
    },
    /// The provider's own order was submitted.
    #[serde(rename = "attempt.provider_order_submitted")]
    ProviderOrderSubmitted {
        /// Of which attempt.
        attempt: AttemptId,
    },
    /// The personal data was erased; everything else stays.
    #[serde(rename = "order.personal_data_erased")]
    PersonalDataErased,
    /// A person should look.
    #[serde(rename = "attention.raised")]
    AttentionRaised(Attention),
    /// Attention was resolved.
    #[serde(rename = "attention.resolved")]
    AttentionResolved {
        /// Which.
        attention: AttentionId,
        /// What was decided.
        decision: AttentionDecision,
        /// What the person wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Customer, addresses, metadata.
    pub personal: Erasable<PersonalData>,
    /// Whether only the metadata changed, so that price and signature stand.
    pub only_metadata: bool,
}

impl SubjectEvent for Event {
    fn public(&self) -> Option<PublicEvent> {
        let (noun, change) = match self {
            Self::OrderCreated(header) => ("order", header.state.as_str()),
            Self::OrderStateChanged { to, .. } => ("order", to.as_str()),
            Self::SessionCreated(_) => ("paymentSession", SessionStatus::Pending.as_str()),
            Self::SessionStatusChanged { from, to, .. } if from != to => ("paymentSession", to.as_str()),
            Self::PaymentUpdated { from, to, .. } if from != to => ("payment", to.as_str()),
            Self::ExternalPaymentRecorded { payment, .. } | Self::LatePaymentFound(payment) => {
                ("payment", payment.status().as_str())
            }
            Self::PaymentNotStarted { .. } => ("payment", PaymentStatus::Failed.as_str()),
            Self::RefundCreated(refund) => ("refund", refund.status.as_str()),
            Self::RefundStatusChanged { to, .. } => ("refund", to.as_str()),
            Self::DisputeUpdated { stage, lost, .. } => {
                ("dispute", lost.map_or(stage.as_str(), dispute_outcome))
            }
            Self::AttentionRaised(_) => ("attention", "RAISED"),
            Self::OrderEdited(_)
            | Self::OrderPriced { .. }
            | Self::OrderSigned(_)
            | Self::FulfilmentReported(_)
            | Self::PaymentSourceUsed { .. }
            | Self::AttemptStarted { .. }
            | Self::AdapterStateSaved { .. }
            | Self::AttemptCreated { .. }
            | Self::AttemptAbandoned { .. }
            | Self::SessionStatusChanged { .. }
            | Self::ProfilesSynced { .. }
            | Self::PaymentUpdated { .. }
            | Self::OperationRequested { .. }
            | Self::OperationFinished { .. }
            | Self::ProviderOrderSubmitted { .. }
            | Self::PersonalDataErased
            | Self::AttentionResolved { .. } => return None,
        };
        Some(PublicEvent { noun, change })
    }

    fn personal(&self) -> Vec<Body> {
        let bodies = match self {
            Self::OrderCreated(header) => vec![header.personal.body()],
            Self::OrderEdited(content) => vec![content.personal.body()],
            Self::OrderSigned(signature) => vec![signature.body()],
            Self::ExternalPaymentRecorded { external, .. } => vec![external.body()],
            Self::FulfilmentReported(detail) => vec![detail.body()],
            Self::RefundCreated(refund) => vec![refund.reason.as_ref().and_then(Erasable::body)],
            Self::SessionCreated(session) => vec![session.request.body()],
            Self::AdapterStateSaved { adapter_state, .. } => vec![adapter_state.body()],
            Self::AttemptCreated { next, adapter_state, .. } => {
                vec![next.body(), adapter_state.as_ref().and_then(Erasable::body)]
            }
            Self::AttentionResolved { note, .. } => vec![note.as_ref().and_then(Erasable::body)],
            _ => Vec::new(),
        };
        bodies.into_iter().flatten().collect()
    }
}

impl Event {
    /// Its name in the timeline, which is also its stored name.
    pub fn name(&self) -> String {
        let stored = serde_json::json!(self);
        stored.get("type").and_then(|name| name.as_str()).unwrap_or_default().to_owned()
    }
}

/// A dispute's outcome, as the API writes it.
pub(super) fn dispute_outcome(lost: bool) -> &'static str {
    if lost { "LOST" } else { "WON" }
}

/// Who or what made something happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Who.
    pub actor: Actor,
    /// The request that did, if one did.
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
    Scheduler,
    /// A person at the gateway.
    Operator,
}
