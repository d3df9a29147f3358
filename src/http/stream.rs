//! The event stream of a payment session: Server-Sent Events of the session, its payment and its order.
//!
//! A commit only wakes the stream, which then reads the store. A client that reconnects with `Last-Event-ID` gets what
//! it missed. The stream ends when no more events will come, and after 15 minutes in any case; a client that reconnects
//! then continues, or gets 204 and stops.

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
use tokio::time::{Instant, timeout_at};

use super::problem::{Code, FieldError, Problem};
use super::request::{ApiRequest, header};
use super::state::State;
use crate::domain::{Event, OrderAggregate, OrderState, RecordedEvent, view};
use crate::store::StoreError;

/// The interval of comments, so that proxies do not close an idle connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// `GET /v1/payment-sessions/{id}/events`
pub(super) async fn watch(request: &ApiRequest) -> Result<HttpResponse, Problem> {
    let session: SessionId = request.id("session")?;
    let last_seen = last_seen(request)?;
    // Subscribes before reading, so that no change is missed.
    let changes = request.state().store().changes();
    let order = request.order_of(session.uuid()).await?;
    if order.session(session).is_none() {
        return Err(Problem::not_found());
    }
    let slot = request.state().common.streams.enter(&request.merchant).ok_or_else(full)?;
    let mut watch = Watch {
        state: request.state().clone(),
        order: order.id(),
        session,
        read: 0,
        progress: SessionProgress::default(),
        last_seen: last_seen.min(order.head.public_sequence),
        waiting: VecDeque::new(),
        changes,
        ends_at: Instant::now() + LIFETIME,
        slot,
    };
    watch.read().await?;
    if watch.progress.is_over() && watch.waiting.is_empty() {
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
    const NAME: &str = "Last-Event-ID";
    let given = &request.raw.request;
    if !given.headers().contains_key(NAME) {
        return Ok(0);
    }
    header(given, NAME).and_then(|text| text.parse().ok()).ok_or_else(|| {
        let detail = "Last-Event-ID takes the id of an event of this stream.";
        let pointer = format!("header:{NAME}");
        Problem::faulty(vec![FieldError::new(pointer, Code::InvalidValue, detail)])
    })
}

fn full() -> Problem {
    let detail = "Too many streams are open. Close some, or try again later.";
    Problem::new(Code::Overloaded, detail).retry_after(Duration::from_secs(10))
}

/// One client that watches one session.
struct Watch {
    state: State,
    order: OrderId,
    session: SessionId,
    /// The sequence of the last event that was read.
    read: u64,
    progress: SessionProgress,
    /// The public sequence of the last event that the client has.
    last_seen: u64,
    waiting: VecDeque<Bytes>,
    changes: Receiver<Uuid>,
    ends_at: Instant,
    slot: StreamSlot,
}

impl Watch {
    /// The next piece of the stream; `None` at its end.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some(piece) = self.waiting.pop_front() {
                return Some((Ok(piece), self));
            }
            if self.progress.is_over() || Instant::now() >= self.ends_at {
                return None;
            }
            let heartbeat = self.ends_at.min(Instant::now() + HEARTBEAT);
            match timeout_at(heartbeat, self.changed()).await {
                Err(_) => self.waiting.push_back(Bytes::from_static(b":\n\n")),
                Ok(false) => return None,
                Ok(true) => {
                    if let Err(fault) = self.read().await {
                        let order = self.order;
                        tracing::warn!(order.id = %order, "a stream was closed, its events cannot be read: {fault}");
                        return None;
                    }
                }
            }
        }
    }

    /// Waits for a change of the order. False if the stream has to end.
    async fn changed(&mut self) -> bool {
        loop {
            tokio::select! {
                changed = self.changes.recv() => match changed {
                    Ok(subject) if subject != self.order.uuid() => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return true,
                    Err(RecvError::Closed) => return false,
                },
                () = self.slot.ended() => return false,
            }
        }
    }

    /// Reads new events and queues those that the client has not seen.
    async fn read(&mut self) -> Result<(), StoreError> {
        for change in self.state.store().recorded::<OrderAggregate>(self.order.uuid(), self.read).await? {
            for event in change.recorded_events() {
                let is_new = event.public_sequence.is_some_and(|sequence| sequence > self.last_seen);
                if self.progress.take(&event.event, self.session) && is_new {
                    self.send(&event).await?;
                }
            }
            self.read = change.last();
            if self.progress.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Queues an event, with its order as of that event.
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

/// The progress of a session, computed from the events of its order.
#[derive(Default)]
struct SessionProgress {
    created: bool,
    ended: bool,
    /// Whether the order waits for a payment.
    order_waits: bool,
    payments: Vec<PaymentId>,
}

impl SessionProgress {
    /// Applies the next event. True if it belongs to the session, its payment, or the state of its order.
    fn take(&mut self, event: &Event, session: SessionId) -> bool {
        match event {
            Event::SessionCreated(new) if new.id == session => {
                self.created = true;
                self.payments.push(new.payment);
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
            Event::PaymentUpdated { payment, .. } | Event::PaymentNotStarted { payment } => {
                self.payments.contains(payment)
            }
            Event::OrderStateChanged { to, .. } => {
                self.order_waits = *to == OrderState::PendingPayment;
                self.created
            }
            _ => false,
        }
    }

    /// Whether no more events belong to it: the session has ended and the order no longer waits for a payment.
    fn is_over(&self) -> bool {
        self.ended && !self.order_waits
    }
}

/// An event as it is sent. Its JSON has no line breaks, so it is one line of data.
fn sse_frame(event: &view::EventView<'_>) -> Result<Bytes, StoreError> {
    let data = serde_json::to_string(event).map_err(|fault| StoreError::Corrupt(fault.to_string()))?;
    Ok(format!("id: {}\nevent: {}\ndata: {data}\n\n", event.sequence, event.kind).into())
}

#[derive(Clone, Default)]
pub(super) struct Streams(Arc<OpenStreams>);

#[derive(Default)]
struct OpenStreams {
    by_merchant: Mutex<BTreeMap<Arc<str>, usize>>,
    ends: watch::Sender<Ends>,
}

/// Which streams have to end.
#[derive(Clone, Copy, Default)]
struct Ends {
    /// All of them: the gateway stops.
    stopping: bool,
    /// How often those that were open have been ended.
    interruptions: u64,
}

/// The most open streams of all merchants and of one.
const MAX: usize = 2_000;
const MAX_OF_MERCHANT: usize = 200;

impl Streams {
    /// A slot for one more stream of a merchant; `None` if there are too many.
    fn enter(&self, merchant: &Arc<str>) -> Option<StreamSlot> {
        let mut open = self.open();
        let own = open.get(merchant).copied().unwrap_or_default();
        if open.values().sum::<usize>() >= MAX || own >= MAX_OF_MERCHANT {
            return None;
        }
        open.insert(merchant.clone(), own + 1);
        let ends = self.0.ends.subscribe();
        let opened_after = ends.borrow().interruptions;
        Some(StreamSlot { streams: self.clone(), ends, opened_after, merchant: merchant.clone() })
    }

    pub(super) fn end(&self) {
        self.0.ends.send_modify(|ends| ends.stopping = true);
    }

    /// Ends the streams that are open.
    pub(super) fn interrupt(&self) {
        self.0.ends.send_modify(|ends| ends.interruptions += 1);
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, usize>> {
        self.0.by_merchant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's slot, which is free again when this is dropped.
struct StreamSlot {
    streams: Streams,
    ends: watch::Receiver<Ends>,
    /// How many interruptions there were before it was opened.
    opened_after: u64,
    merchant: Arc<str>,
}

impl StreamSlot {
    /// Waits until the stream has to end.
    async fn ended(&mut self) {
        let opened_after = self.opened_after;
        let now = |ends: &Ends| ends.stopping || ends.interruptions != opened_after;
        // An error says that no one can end it any more, which is the end of the gateway too.
        let _ = self.ends.wait_for(now).await;
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        match open.get_mut(&self.merchant) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(open.remove(&self.merchant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_that_was_not_started_belongs_to_the_stream_of_its_session() {
        let [own, other] = [1, 2].map(|number| PaymentId::from_uuid(Uuid::from_u128(number)));
        let mut progress = SessionProgress { payments: vec![own], ..SessionProgress::default() };
        let session = SessionId::from_uuid(Uuid::nil());
        assert!(progress.take(&Event::PaymentNotStarted { payment: own }, session));
        assert!(!progress.take(&Event::PaymentNotStarted { payment: other }, session));
    }

    #[test]
    fn a_merchant_has_a_limit_of_streams_and_an_ended_one_makes_room() {
        let (streams, merchant, other) = (Streams::default(), Arc::from("shop"), Arc::from("other"));
        let mut slots: Vec<_> = std::iter::from_fn(|| streams.enter(&merchant)).collect();
        assert_eq!(slots.len(), MAX_OF_MERCHANT);
        assert!(streams.enter(&other).is_some(), "one merchant's streams are not another's");
        slots.pop();
        assert!(streams.enter(&merchant).is_some());
        drop(slots);
        assert!(streams.open().is_empty());
    }

    #[test]
    fn all_merchants_together_have_a_limit_of_streams() {
        let streams = Streams::default();
        let merchants = (0..).map(|number| Arc::from(format!("shop {number}")));
        let slots: Vec<_> = merchants.map_while(|merchant| streams.enter(&merchant)).take(MAX + 1).collect();
        assert_eq!(slots.len(), MAX);
    }
}
