//! A payment session as it happens: Server-Sent Events of its own status and that of its payment and its order.
//!
//! The store is read, never guessed at: a commit only wakes the stream. What was missed is what comes after the last
//! sequence that the client names. The stream ends when there is nothing more to tell, and after some minutes
//! anyway; a client that comes back then goes on where it was, or hears that it need not come back.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Bytes;
use futures_util::stream;
use port::{OrderId, PaymentId, SessionId, Uuid};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::problem::{Code, FieldError, Problem};
use super::request::ApiRequest;
use super::state::State;
use crate::domain::{Event, OrderAggregate, OrderState, RecordedEvent, view};
use crate::store::StoreError;

/// A comment is sent this often, so that nobody on the way takes the silence for an end.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a stream lasts at most.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// `GET /v1/payment-sessions/{id}/events`
pub(super) async fn watch(request: &ApiRequest) -> Result<HttpResponse, Problem> {
    let session: SessionId = request.id("session")?;
    let last_seen = last_seen(request)?;
    // Listening begins before reading, so that no change falls between the two.
    let changes = request.state().store().changes();
    let order = request.order_of(session.uuid()).await?;
    if order.session(session).is_none() {
        return Err(Problem::not_found());
    }
    let slot = request.state().common().streams.enter(&request.merchant).ok_or_else(full)?;
    let now = Instant::now();
    let mut watch = Watch {
        state: request.state().clone(),
        order: order.id(),
        session,
        read: 0,
        progress: SessionProgress::default(),
        last_seen: last_seen.min(order.head.public_sequence),
        waiting: VecDeque::new(),
        over: false,
        changes,
        ends_at: now + LIFETIME,
        slot,
    };
    watch.read().await?;
    if watch.over && watch.waiting.is_empty() {
        return Ok(HttpResponse::NoContent().finish());
    }
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(stream::unfold(watch, Watch::next)))
}

/// The last sequence that the client has seen; 0 for none.
fn last_seen(request: &ApiRequest) -> Result<u64, Problem> {
    if !request.raw.request.headers().contains_key("Last-Event-ID") {
        return Ok(0);
    }
    let given = request.raw.header("Last-Event-ID").and_then(|text| text.parse().ok());
    given.ok_or_else(|| {
        let detail = "Last-Event-ID takes the id of an event of this stream.".to_owned();
        Problem::faulty(vec![FieldError {
            pointer: "header:Last-Event-ID".to_owned(),
            code: Code::InvalidValue,
            detail,
        }])
    })
}

fn full() -> Problem {
    const LATER: Duration = Duration::from_secs(10);
    Problem::new(Code::Overloaded, "Too many streams are open. Close some, or come back later.")
        .retry_after(LATER)
}

/// One client that watches one session.
struct Watch {
    state: State,
    order: OrderId,
    session: SessionId,
    /// The place of the last event of the order that was looked at.
    read: u64,
    progress: SessionProgress,
    /// The sequence of the last event that the client has, or was sent.
    last_seen: u64,
    waiting: VecDeque<Bytes>,
    /// Nothing more will come.
    over: bool,
    changes: Receiver<Uuid>,
    ends_at: Instant,
    slot: StreamSlot,
}

/// Why a stream that had nothing to send goes on.
enum Woken {
    Changed,
    Quiet,
    Stopped,
}

impl Watch {
    /// The next piece of the stream; none at its end.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some(piece) = self.waiting.pop_front() {
                return Some((Ok(piece), self));
            }
            if self.over || Instant::now() >= self.ends_at {
                return None;
            }
            match self.woken().await {
                Woken::Changed => match self.read().await {
                    Ok(()) => {}
                    Err(fault) => {
                        tracing::warn!(order.id = %self.order, "a stream ends, its events cannot be read: {fault}");
                        return None;
                    }
                },
                Woken::Quiet => self.waiting.push_back(Bytes::from_static(b":\n\n")),
                Woken::Stopped => return None,
            }
        }
    }

    async fn woken(&mut self) -> Woken {
        let beat = sleep_until(self.ends_at.min(Instant::now() + HEARTBEAT));
        tokio::pin!(beat);
        loop {
            tokio::select! {
                changed = self.changes.recv() => match changed {
                    Ok(subject) if subject != self.order.uuid() => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return Woken::Changed,
                    Err(RecvError::Closed) => return Woken::Stopped,
                },
                () = &mut beat => return Woken::Quiet,
                _ = self.slot.ending.wait_for(|ending| *ending) => return Woken::Stopped,
            }
        }
    }

    /// Reads what has happened since the last time and lines up what the client has not seen of it.
    async fn read(&mut self) -> Result<(), StoreError> {
        for change in self.state.store().recorded::<OrderAggregate>(self.order.uuid(), self.read).await? {
            for event in change.recorded_events() {
                let news = event.public_sequence.is_some_and(|sequence| sequence > self.last_seen);
                if self.progress.take(&event.event, self.session) && news {
                    self.send(&event).await?;
                }
            }
            self.read = change.last();
            if self.progress.is_over() {
                self.over = true;
                break;
            }
        }
        Ok(())
    }

    /// Lines up an event, with what it concerns as it was then.
    async fn send(&mut self, event: &RecordedEvent<Event>) -> Result<(), StoreError> {
        let order = self.state.store().load_at::<OrderAggregate>(event.subject, event.sequence).await?;
        let Some(order) = order else { return Ok(()) };
        if let Some(view) = view::event(&order, event, &|attempt| self.state.qr_url(attempt)) {
            self.last_seen = view.sequence;
            self.waiting.push_back(sse_frame(&view)?);
        }
        Ok(())
    }
}

/// How far a session has come, by the events of its order from the first on.
#[derive(Default)]
struct SessionProgress {
    begun: bool,
    ended: bool,
    /// Whether the order waits for a payment.
    order_waits: bool,
    payments: Vec<PaymentId>,
}

impl SessionProgress {
    /// Takes the next event in. True if it is the session's own, its payment's, or a move of its order.
    fn take(&mut self, event: &Event, session: SessionId) -> bool {
        match event {
            Event::SessionCreated(created) if created.id == session => {
                self.begun = true;
                self.payments.push(created.payment);
                true
            }
            Event::SessionStatusChanged { session: moved, to, .. } if *moved == session => {
                self.ended = !to.is_open();
                true
            }
            Event::LatePaymentFound(payment) if payment.session == Some(session) => {
                self.payments.push(payment.id);
                true
            }
            Event::PaymentUpdated { payment, .. } => self.payments.contains(payment),
            Event::OrderStateChanged { to, .. } => {
                self.order_waits = *to == OrderState::PendingPayment;
                self.begun
            }
            _ => false,
        }
    }

    /// Whether nothing more belongs to it: the session has ended, and its order has gone on.
    fn is_over(&self) -> bool {
        self.ended && !self.order_waits
    }
}

/// An event as it is sent. JSON has no line breaks of its own, so it is one line of data.
fn sse_frame(event: &view::EventView<'_>) -> Result<Bytes, StoreError> {
    let data = serde_json::to_string(event).map_err(|fault| StoreError::Corrupt(fault.to_string()))?;
    Ok(format!("id: {}\nevent: {}\ndata: {data}\n\n", event.sequence, event.kind).into())
}

/// The streams that are open.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<OpenStreams>);

#[derive(Default)]
struct OpenStreams {
    open: Mutex<Open>,
    /// Turns true when the gateway stops.
    ending: watch::Sender<bool>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_merchant: BTreeMap<Arc<str>, usize>,
}

/// Streams at the same time, of all merchants and of one.
const MAX: usize = 2_000;
const MAX_OF_MERCHANT: usize = 200;

impl Streams {
    /// A place for one more stream of a merchant, as long as it lives; none if there are too many.
    fn enter(&self, merchant: &Arc<str>) -> Option<StreamSlot> {
        let mut open = self.open();
        let own = open.by_merchant.get(merchant).copied().unwrap_or_default();
        if open.all >= MAX || own >= MAX_OF_MERCHANT {
            return None;
        }
        open.all += 1;
        open.by_merchant.insert(merchant.clone(), own + 1);
        Some(StreamSlot {
            streams: self.clone(),
            ending: self.0.ending.subscribe(),
            merchant: merchant.clone(),
        })
    }

    /// Ends them all, so that nobody waits for them.
    pub(super) fn end(&self) {
        self.0.ending.send_replace(true);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's place among those that are open; dropped, it is free again.
struct StreamSlot {
    streams: Streams,
    ending: watch::Receiver<bool>,
    merchant: Arc<str>,
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        open.all -= 1;
        match open.by_merchant.get_mut(&self.merchant) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(open.by_merchant.remove(&self.merchant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merchant_has_so_many_streams_and_an_ended_one_makes_room() {
        let (streams, merchant, other) = (Streams::default(), Arc::from("shop"), Arc::from("other"));
        let mut places: Vec<_> = std::iter::from_fn(|| streams.enter(&merchant)).collect();
        assert_eq!(places.len(), MAX_OF_MERCHANT);
        assert!(streams.enter(&other).is_some(), "one merchant's streams are not another's");
        places.pop();
        assert!(streams.enter(&merchant).is_some());
        drop(places);
        assert!(streams.open().by_merchant.is_empty());
        assert_eq!(streams.open().all, 0);
    }

    #[test]
    fn all_merchants_together_have_so_many_streams() {
        let streams = Streams::default();
        let merchants = (0..).map(|number| Arc::from(format!("shop {number}")));
        let places: Vec<_> = merchants.map_while(|merchant| streams.enter(&merchant)).collect();
        assert_eq!(places.len(), MAX);
    }
}
