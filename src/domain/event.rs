//! The events of an order: only they change it. Their stored names are kept for ever; see [`stored`](super::stored).

use port::{
    AdapterState, AttemptId, AttentionId, Detail, DisputeStage, Failure, Next, PaymentId, PaymentMethod,
    PaymentStatus, ProfileSessionId, ProviderStatus, RefundId, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::erasable::{Erasable, ErasableSlot, slot};
use super::order::{
    Content, ExternalPayment, OrderHeader, OrderState, PaymentProof, Price, Requirements, Signature,
};
use super::payment::{Attention, AttentionDecision, Operation, Payment, Refund, RefundStatus};
use super::payment_state::PaymentState;
use super::session::{FailureCode, NewAttempt, Session, SessionFailure, SessionStatus, StartFailure};
use super::subject::{PublicEvent, SubjectEvent};

/// Holds everything that is needed to apply it to the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    #[serde(rename = "order.created")]
    OrderCreated(Box<OrderHeader>),
    /// The content changed. Price and signature are cleared, unless only the metadata changed.
    #[serde(rename = "order.edited")]
    OrderEdited { content: Box<Content>, only_metadata: bool },
    #[serde(rename = "order.priced")]
    OrderPriced { price: Price, requirements: Requirements },
    #[serde(rename = "order.signed")]
    OrderSigned(Erasable<Signature>),
    #[serde(rename = "order.external_payment_recorded")]
    ExternalPaymentRecorded { external: Erasable<ExternalPayment>, payment: Box<Payment> },
    #[serde(rename = "order.state_changed")]
    OrderStateChanged {
        from: OrderState,
        to: OrderState,
        /// Without personal data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The merchant's description of how fulfilment went.
    #[serde(rename = "order.fulfilment_reported")]
    FulfilmentReported(Erasable<String>),
    #[serde(rename = "order.payment_source_used")]
    PaymentProofUsed {
        source: PaymentProof,
        /// The profile session that proves a payment profile, if one was given too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile_session: Option<ProfileSessionId>,
    },
    /// A session was created, with its payment: the intent.
    #[serde(rename = "session.created")]
    SessionCreated(Box<Session>),
    /// An attempt is about to be sent to an account: the intent.
    #[serde(rename = "attempt.started")]
    AttemptStarted { session: SessionId, attempt: NewAttempt },
    #[serde(rename = "attempt.adapter_state_saved")]
    AdapterStateSaved {
        attempt: AttemptId,
        /// The complete state.
        adapter_state: Erasable<AdapterState>,
    },
    /// The provider has created the payment.
    #[serde(rename = "attempt.created")]
    AttemptCreated {
        attempt: AttemptId,
        reference: String,
        next: Erasable<Next>,
        /// The complete state, if it changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adapter_state: Option<Erasable<AdapterState>>,
    },
    /// The answer to the attempt's start was lost: whether it exists at the provider has to be found out.
    #[serde(rename = "attempt.outcome_unknown")]
    StartUnknown { attempt: AttemptId },
    /// What the provider answers about the attempt could not be read; nothing is known of its payment until it can be.
    #[serde(rename = "attempt.answer_unreadable")]
    AnswerUnreadable { attempt: AttemptId },
    /// It could be read again.
    #[serde(rename = "attempt.answer_readable")]
    AnswerReadable { attempt: AttemptId },
    /// The attempt was abandoned: it does not exist at the provider, or is looked up later.
    #[serde(rename = "attempt.abandoned")]
    AttemptAbandoned {
        attempt: AttemptId,
        /// Whether it may exist at the provider, so that it has to be looked up.
        orphaned: bool,
        failure: StartFailure,
    },
    /// The session's status or failure changed.
    #[serde(rename = "session.status_changed")]
    SessionStatusChanged {
        session: SessionId,
        from: SessionStatus,
        to: SessionStatus,
        /// Why it failed, or why the last try was declined.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<SessionFailure>,
    },
    /// The payment methods stored by the session's payment were fetched.
    #[serde(rename = "session.profiles_synced")]
    ProfilesSynced {
        session: SessionId,
        /// Whether a usable one is among them.
        found: bool,
    },
    #[serde(rename = "payment.updated")]
    PaymentUpdated {
        payment: PaymentId,
        /// The attempt it is paid with now.
        attempt: AttemptId,
        from: PaymentStatus,
        to: PaymentStatus,
        state: PaymentState,
        provider_status: ProviderStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<Detail>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// What the customer paid with, if that is news.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        method: Option<Erasable<PaymentMethod>>,
        /// The time the report is about.
        reported_at: Timestamp,
    },
    /// It failed because no attempt was created at any provider.
    #[serde(rename = "payment.not_started")]
    PaymentNotStarted { payment: PaymentId },
    /// An abandoned attempt turned out to be paid; this payment records it.
    #[serde(rename = "payment.late_found")]
    LatePaymentFound(Box<Payment>),
    /// An operation is about to be sent: the intent, with its amount reserved.
    #[serde(rename = "operation.requested")]
    OperationRequested {
        payment: PaymentId,
        operation: Operation,
        /// The failure code of the session, if this closes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closing: Option<FailureCode>,
    },
    /// A call for the operation ended without an answer that resolves it.
    #[serde(rename = "operation.unanswered")]
    OperationUnanswered {
        payment: PaymentId,
        /// Whether it provably did not reach the provider, so that it can be sent again.
        unsent: bool,
    },
    /// The operation's outcome is known.
    #[serde(rename = "operation.finished")]
    OperationFinished {
        payment: PaymentId,
        operation: Operation,
        /// The provider's decline; none if it took effect.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        declined: Option<Failure>,
    },
    /// A refund was requested, and its amount reserved; or a refund was found at the provider.
    #[serde(rename = "refund.created")]
    RefundCreated(Box<Refund>),
    #[serde(rename = "refund.status_changed")]
    RefundStatusChanged {
        refund: RefundId,
        to: RefundStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A dispute was opened, reached another stage, or ended.
    #[serde(rename = "dispute.updated")]
    DisputeUpdated {
        payment: PaymentId,
        /// Its stage, or its last stage if it ended.
        stage: DisputeStage,
        /// Whether it was lost; `None` while it is open.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<bool>,
    },
    #[serde(rename = "attempt.provider_order_submitted")]
    ProviderOrderSubmitted { attempt: AttemptId },
    #[serde(rename = "order.personal_data_erased")]
    PersonalDataErased,
    #[serde(rename = "attention.raised")]
    AttentionRaised(Attention),
    #[serde(rename = "attention.resolved")]
    AttentionResolved {
        attention: AttentionId,
        decision: AttentionDecision,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Erasable<String>>,
    },
}

impl SubjectEvent for Event {
    fn public(&self) -> Option<PublicEvent> {
        let (noun, change) = match self {
            Self::OrderCreated(header) => ("order", header.state.as_str()),
            Self::OrderStateChanged { to, .. } => ("order", to.as_str()),
            Self::SessionCreated(session) => ("paymentSession", session.status.as_str()),
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
            Self::OrderEdited { .. }
            | Self::OrderPriced { .. }
            | Self::OrderSigned(_)
            | Self::FulfilmentReported(_)
            | Self::PaymentProofUsed { .. }
            | Self::AttemptStarted { .. }
            | Self::AdapterStateSaved { .. }
            | Self::AttemptCreated { .. }
            | Self::StartUnknown { .. }
            | Self::AnswerUnreadable { .. }
            | Self::AnswerReadable { .. }
            | Self::AttemptAbandoned { .. }
            | Self::SessionStatusChanged { .. }
            | Self::ProfilesSynced { .. }
            | Self::PaymentUpdated { .. }
            | Self::OperationRequested { .. }
            | Self::OperationUnanswered { .. }
            | Self::OperationFinished { .. }
            | Self::ProviderOrderSubmitted { .. }
            | Self::PersonalDataErased
            | Self::AttentionResolved { .. } => return None,
        };
        Some(PublicEvent { noun, change })
    }

    fn erasables(&self) -> Vec<&dyn ErasableSlot> {
        let slots: Vec<Option<&dyn ErasableSlot>> = match self {
            Self::OrderCreated(header) => vec![Some(&header.content.personal)],
            Self::OrderEdited { content, .. } => vec![Some(&content.personal)],
            Self::OrderSigned(signature) => vec![Some(signature)],
            Self::ExternalPaymentRecorded { external, .. } => vec![Some(external)],
            Self::FulfilmentReported(detail) => vec![Some(detail)],
            Self::PaymentUpdated { method, .. } => vec![slot(method.as_ref())],
            Self::LatePaymentFound(payment) => vec![slot(payment.method.as_ref())],
            Self::RefundCreated(refund) => vec![slot(refund.reason.as_ref())],
            Self::SessionCreated(session) => vec![Some(&session.request)],
            Self::AdapterStateSaved { adapter_state, .. } => vec![Some(adapter_state)],
            Self::AttemptCreated { next, adapter_state, .. } => {
                vec![Some(next), slot(adapter_state.as_ref())]
            }
            Self::AttentionResolved { note, .. } => vec![slot(note.as_ref())],
            _ => Vec::new(),
        };
        slots.into_iter().flatten().collect()
    }

    fn erases(&self) -> bool {
        matches!(self, Self::PersonalDataErased)
    }
}

impl Event {
    /// Its stored name, which the timeline shows.
    pub fn name(&self) -> String {
        let stored = serde_json::json!(self);
        stored.get("type").and_then(|name| name.as_str()).unwrap_or_default().to_owned()
    }
}

pub(super) fn dispute_outcome(lost: bool) -> &'static str {
    if lost { "LOST" } else { "WON" }
}

/// Who or what caused a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub actor: Actor,
    /// The id of the request, if it was one.
    pub request: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Actor {
    Merchant,
    /// The customer came back and the status was fetched.
    Customer,
    /// The provider sent a notification and the status was fetched.
    Provider,
    Scheduler,
    Operator,
}
