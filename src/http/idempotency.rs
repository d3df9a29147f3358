//! Requests that may be sent twice and count once.
//!
//! A key stands in the store on the first event of the change that its request made, in the same commit. A
//! repeat is answered from the events: the order is made again up to the change that closed the request, and
//! shown as it was then. A request that changed nothing has no row and is decided anew.

use std::sync::Arc;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use port::{AttentionId, Failure, OrderId, PaymentId, RefundId, SessionId, sign};

use super::auth::Caller;
use super::call::{ApiRequest, header};
use super::in_flight::{Permit, QUEUE_TIMEOUT};
use super::problem::{Code, Problem};
use super::routes::Act;
use super::state::State;
use crate::domain::{
    AttemptState, Attention, AttentionCode, Event, Operation, OrderAggregate, ProfileSession, RecordedEvent,
    ReplayError, Session, SessionStatus,
};
use crate::orders::{CommandContext, Key};
use crate::store::KeyRow;

/// Longest key.
const MAX_KEY: usize = 255;

/// How often a key is looked up again after another request took it meanwhile.
const MAX_LOOKS: u32 = 3;

/// How many events are read at a time.
const EVENTS_A_READ: u32 = 500;

/// What a use case made, as its answer shows it.
pub(super) struct CommandOutcome {
    /// The order with everything that hangs on it.
    pub(super) order: OrderAggregate,
    /// The session that was opened or closed.
    pub(super) session: Option<SessionId>,
    /// The payment that an operation was asked for.
    pub(super) payment: Option<PaymentId>,
    /// The refund that was made.
    pub(super) refund: Option<RefundId>,
    /// The attention that was decided.
    pub(super) attention: Option<AttentionId>,
    /// The provider's no to the operation.
    pub(super) refused: Option<Failure>,
    /// Whether the outcome is not known yet.
    pub(super) pending: bool,
}

impl CommandOutcome {
    /// A change of an order that is done.
    pub(super) fn order(order: OrderAggregate) -> Self {
        Self {
            order,
            session: None,
            payment: None,
            refund: None,
            attention: None,
            refused: None,
            pending: false,
        }
    }

    /// A session that was opened or closed; `pending` if the provider has not answered.
    pub(super) fn session(order: OrderAggregate, session: SessionId, pending: bool) -> Self {
        Self { session: Some(session), pending, ..Self::order(order) }
    }
}

/// An idempotency key while its request runs.
pub(super) struct InFlightKey {
    /// As the use cases take it.
    pub(super) key: Key,
    /// Where it stands in the store already.
    row: Option<KeyRow>,
    /// Its place among those with the same key.
    pub(super) permit: Arc<Permit>,
}

impl InFlightKey {
    /// The order that an earlier try left, for a request that is tried again.
    pub(super) fn goes_on_with(&self) -> Option<OrderId> {
        self.row.as_ref().filter(|_| self.key.replaces.is_some()).map(|row| row.order)
    }

    async fn look(&mut self, state: &State, merchant: &str) -> Result<(), Problem> {
        let used = state.reads().key(merchant, &self.key.text).await?;
        if used.as_ref().is_some_and(|used| used.fingerprint != self.key.fingerprint) {
            return Err(reused());
        }
        self.row = used.and_then(|used| used.row);
        Ok(())
    }
}

/// Takes a request's turn, if it has a key: behind those that are the same.
///
/// # Errors
/// `idempotency_key_invalid`; as [`InFlightRequests::permit`](super::in_flight::InFlightRequests::permit); `idempotency_key_reused`.
pub(super) async fn in_flight_key(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    body: &Bytes,
) -> Result<Option<InFlightKey>, Problem> {
    let Some(text) = key(request)? else { return Ok(None) };
    let parts = [request.method().as_str().as_bytes(), b" ", request.path().as_bytes(), b"\n", body];
    let fingerprint = sign::hex(&sign::sha256(&parts));
    let place = (caller.merchant.clone(), text.clone(), fingerprint.clone());
    let permit = Arc::new(state.common().running.permit(place, QUEUE_TIMEOUT).await?);
    let mut in_flight = InFlightKey { key: Key { text, fingerprint, replaces: None }, row: None, permit };
    in_flight.look(state, &caller.merchant).await?;
    Ok(Some(in_flight))
}

fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    if !request.headers().contains_key("Idempotency-Key") {
        return Ok(None);
    }
    let text = header(request, "Idempotency-Key").unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let visible = bare.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=MAX_KEY).contains(&bare.len()) {
        return Ok(Some(bare.to_owned()));
    }
    let detail = "An idempotency key has 1 to 255 visible ASCII characters and is sent once.";
    Err(Problem::new(Code::IdempotencyKeyInvalid, detail))
}

fn reused() -> Problem {
    let detail = "This idempotency key was sent before with another method, path or body.";
    Problem::new(Code::IdempotencyKeyReused, detail)
}

/// Does what a request asks for, once for each key; a repeat is told what came of it.
///
/// # Errors
/// What the use case refuses, and what the answer to a repeat was.
pub(super) async fn act(mut request: ApiRequest, act: &'static Act) -> Result<HttpResponse, Problem> {
    for _ in 0..MAX_LOOKS {
        if let Some(row) = request.in_flight.as_ref().and_then(|in_flight| in_flight.row.clone()) {
            let outcome = load_outcome(&request, &row).await?;
            let outcome = outcome.done(&request, row.order).await?;
            if !had_no_effect(act.opens, &outcome) {
                let told = (act.show)(request.state(), &outcome);
                return told.map(|answer| answer.replayed().into()).map_err(Problem::replayed);
            }
            if let Some(in_flight) = &mut request.in_flight {
                in_flight.key.replaces = Some(row.sequence);
            }
        }
        match (act.run)(&request).await {
            Ok(outcome) => return (act.show)(request.state(), &outcome).map(Into::into),
            Err(problem) if problem.code() == Code::IdempotencyKeyInUse => {
                let (state, merchant) = (request.state().clone(), request.merchant.clone());
                if let Some(in_flight) = &mut request.in_flight {
                    in_flight.key.replaces = None;
                    in_flight.look(&state, &merchant).await?;
                }
            }
            Err(problem) => return Err(problem),
        }
    }
    Err(Problem::key_in_use())
}

/// What became of the request behind a key. A start that nobody is making any more is settled first.
async fn load_outcome(request: &ApiRequest, row: &KeyRow) -> Result<RecordedOutcome, Problem> {
    let outcome = read_outcome(request, row).await?;
    let Some(session) = outcome.opened.filter(|_| outcome.closed_at.is_none()) else { return Ok(outcome) };
    let context = CommandContext { key: None, expects: None, ..request.command_context() };
    request.state().orders().resume(&context, row.order, session).await?;
    read_outcome(request, row).await
}

async fn read_outcome(request: &ApiRequest, row: &KeyRow) -> Result<RecordedOutcome, Problem> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.sequence);
        let more = request.state().reads().events(row.order, after, EVENTS_A_READ).await?;
        let all = more.len() < EVENTS_A_READ as usize;
        events.extend(more);
        if all {
            break;
        }
    }
    RecordedOutcome::of(&events, row.sequence).map_err(Problem::internal)
}

/// A request as the events tell it.
#[derive(Default)]
struct RecordedOutcome {
    /// What its change opened, closed, asked for and made.
    opened: Option<SessionId>,
    closing: Option<SessionId>,
    operations: Vec<(PaymentId, Operation)>,
    refund: Option<RefundId>,
    attention: Option<AttentionId>,
    /// The provider's no to what it asked for.
    refused: Option<Failure>,
    /// The last event of the change that closed it; none while it is open.
    closed_at: Option<u64>,
}

impl RecordedOutcome {
    /// Of the request whose change begins at `first`.
    fn of(events: &[RecordedEvent], first: u64) -> Result<Self, ReplayError> {
        let placed = events.first().ok_or(ReplayError("there are none"))?;
        let mut order =
            OrderAggregate::create(&placed.record.event).ok_or(ReplayError("the first is no new order"))?;
        let mut outcome = Self::default();
        let mut made = false;
        for event in events {
            order.apply(event)?;
            if event.sequence < first {
                continue;
            }
            if !made {
                outcome.made(&event.record.event, &order);
            }
            outcome.ended(&event.record.event);
            if event.record.continues {
                continue;
            }
            made = true;
            if !outcome.is_open(&order) {
                return Ok(Self { closed_at: Some(event.sequence), ..outcome });
            }
        }
        if made { Ok(outcome) } else { Err(ReplayError("its change is not there")) }
    }

    /// Takes in what the change itself did.
    fn made(&mut self, event: &Event, order: &OrderAggregate) {
        match event {
            Event::SessionCreated { session, .. } => self.opened = Some(session.id),
            Event::RefundCreated(refund) => self.refund = Some(refund.id),
            Event::AttentionResolved { attention, .. } => self.attention = Some(*attention),
            Event::OperationRequested { payment, operation, closing } => {
                self.operations.push((*payment, operation.clone()));
                let session = order.payment(*payment).and_then(|payment| payment.session);
                self.closing = self.closing.or(session.filter(|_| closing.is_some()));
            }
            _ => {}
        }
    }

    /// Takes in how something that was asked for ended.
    fn ended(&mut self, event: &Event) {
        if let Event::OperationFinished { payment, operation, refused: Some(failure) } = event
            && self.operations.iter().any(|(of, asked)| of == payment && asked.is_same(operation))
        {
            self.refused = Some(failure.clone());
        }
    }

    fn is_open(&self, order: &OrderAggregate) -> bool {
        let starting =
            self.opened.and_then(|id| order.session(id)).filter(|session| session.status.is_open());
        let asked = |(payment, operation): &(PaymentId, Operation)| {
            let now = order.payment(*payment).and_then(|payment| payment.operation.as_ref());
            now.is_some_and(|now| now.is_same(operation))
        };
        let waits = |session: &Session| session.charge.is_some() || has_no_start(order, session);
        starting.is_some_and(waits) || self.operations.iter().any(asked)
    }

    /// What is shown of it: the order as it was when the request was closed, or as it is.
    async fn done(&self, request: &ApiRequest, order: OrderId) -> Result<CommandOutcome, Problem> {
        let order = match self.closed_at {
            Some(sequence) => request.state().reads().order_at(order, sequence).await?,
            None => request.state().reads().order(order).await?,
        };
        Ok(CommandOutcome {
            order: order.ok_or_else(|| Problem::internal("the order of an idempotency key is gone"))?,
            session: self.opened.or(self.closing),
            payment: self.operations.first().map(|(payment, _)| *payment),
            refund: self.refund,
            attention: self.attention,
            refused: self.refused.clone(),
            pending: self.closed_at.is_none(),
        })
    }
}

/// Whether the customer cannot pay yet: the start has no known outcome, or made something that must not be shown.
fn has_no_start(order: &OrderAggregate, session: &Session) -> bool {
    let started =
        order.attempt(session.attempt).is_some_and(|attempt| attempt.state != AttemptState::Started);
    let wrong = |raised: &Attention| {
        let of_start = matches!(raised.code, AttentionCode::AmountMismatch | AttentionCode::Contradiction);
        of_start && raised.payment == Some(session.payment)
    };
    !started || order.attention.iter().any(wrong)
}

/// Whether a request that was to open a session reached no provider: the same key tries again.
fn had_no_effect(opens: bool, outcome: &CommandOutcome) -> bool {
    let Some(session) = outcome.session.and_then(|id| outcome.order.session(id)) else { return opens };
    if !opens && session.charge.is_none() {
        return false;
    }
    let ended_by =
        outcome.order.attempt(session.attempt).and_then(|attempt| attempt.start_failure.as_deref());
    session.status == SessionStatus::Failed && ended_by.is_some_and(|label| NEVER_REACHED.contains(&label))
}

/// Whether a session that was to store a method reached no provider, likewise.
pub(super) fn reached_nobody(session: &ProfileSession) -> bool {
    session.status == SessionStatus::Failed
        && session.start.reference.is_none()
        && session.start_failure.as_deref().is_some_and(|label| NEVER_REACHED.contains(&label))
}

/// The labels of failures after which a start may be made anew: nothing happened at the provider, or it says
/// that it has no such object.
const NEVER_REACHED: [&str; 5] = ["not_sent", "busy", "misconfigured", "unavailable", "not_found"];

#[cfg(test)]
mod tests {
    use super::*;
    use port::{Advice, ProviderError};

    #[test]
    fn a_start_that_reached_nobody_is_known_by_its_label() {
        let all = [
            ProviderError::NotSent(String::new()),
            ProviderError::Busy { retry_after: None },
            ProviderError::Misconfigured,
            ProviderError::Unavailable(String::new()),
            ProviderError::declined(None, None),
            ProviderError::rejected(None, None),
            ProviderError::AmountDiffers(String::new()),
            ProviderError::NotFound,
            ProviderError::Unsupported("that"),
            ProviderError::OutcomeUnknown(String::new()),
        ];
        for error in all {
            let harmless = matches!(error.advice(), Advice::TryElsewhere | Advice::RetryLater);
            let gone = error == ProviderError::NotFound;
            assert_eq!(NEVER_REACHED.contains(&error.label()), harmless || gone, "{error}");
        }
    }
}
