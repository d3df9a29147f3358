//! The one who delivers: claims what is due, endpoint by endpoint, and has many deliveries under way at a time.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use port::EndpointId;

use super::deliver::DeliveryContext;
use crate::store::{DeliveryStream, Job, StoreError};

/// How long a claimed lane is nobody else's: longer than the longest time-out of a delivery.
const LEASE: Duration = Duration::from_secs(60);

/// Deliveries under way at a time: in all, to an endpoint that works, and to one whose last delivery failed.
const MAX_UNDER_WAY: u16 = 256;
const MAX_TO_ONE: u16 = 8;
const MAX_TO_FAILING: u16 = 1;

/// How long nothing is claimed at most: retries come due without anybody telling.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Delivers events. One for the whole gateway, since it counts what each endpoint has under way.
pub struct WebhookDispatcher {
    context: Arc<DeliveryContext>,
    under_way: FuturesUnordered<BoxFuture<'static, EndpointId>>,
    busy: HashMap<EndpointId, u16>,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Nothing is due, and nothing under way.
    Idle,
    /// Something was begun, is under way, or has ended.
    Did,
}

impl WebhookDispatcher {
    /// With these means.
    pub fn new(context: DeliveryContext) -> Self {
        Self { context: Arc::new(context), under_way: FuturesUnordered::new(), busy: HashMap::new() }
    }

    /// Begins what is due, as far as there is room, and waits until a delivery ends or there may be more to begin.
    /// Deliveries go on only while this runs, so it is called again soon.
    ///
    /// # Errors
    /// [`StoreError`] if nothing could be claimed; what is under way stays so.
    pub async fn run_once(&mut self) -> Result<Tick, StoreError> {
        for (stream, job) in self.claim().await? {
            *self.busy.entry(stream.endpoint).or_default() += 1;
            self.under_way.push(deliver(self.context.clone(), stream, job).boxed());
        }
        if self.under_way.is_empty() {
            return Ok(Tick::Idle);
        }
        tokio::select! {
            // In this order, and not by a chance that `Env` does not give.
            biased;
            Some(ended) = self.under_way.next() => self.ended(ended),
            () = self.context.endpoint_registry.wait() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
        while let Some(Some(ended)) = self.under_way.next().now_or_never() {
            self.ended(ended);
        }
        Ok(Tick::Did)
    }

    /// Waits after [`Tick::Idle`] until there may be something to do.
    pub async fn wait(&mut self) {
        tokio::select! {
            biased;
            () = self.context.endpoint_registry.wait() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }

    async fn claim(&mut self) -> Result<Vec<(DeliveryStream, Job)>, StoreError> {
        let room = MAX_UNDER_WAY.saturating_sub(u16::try_from(self.under_way.len()).unwrap_or(u16::MAX));
        self.context.endpoint_registry.ensure_fresh(&*self.context.store).await?;
        let endpoints = self.context.endpoint_registry.endpoints();
        let wanted = endpoints.iter().map(|endpoint| {
            let most = if endpoint.failing_since.is_some() { MAX_TO_FAILING } else { MAX_TO_ONE };
            (endpoint.id, most.saturating_sub(self.busy.get(&endpoint.id).copied().unwrap_or(0)))
        });
        let wanted: Vec<_> = wanted.filter(|(_, free)| *free > 0).collect();
        if room == 0 || wanted.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.context.env.now();
        let claimed = self.context.store.claim_deliveries(now, LEASE, room, wanted).await?;
        Ok(claimed.into_iter().filter_map(with_stream).collect())
    }

    fn ended(&mut self, endpoint: EndpointId) {
        if let Some(busy) = self.busy.get_mut(&endpoint) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&endpoint);
            }
        }
    }
}

/// Nothing of one lane stops the others, not even a defect.
async fn deliver(context: Arc<DeliveryContext>, stream: DeliveryStream, job: Job) -> EndpointId {
    let fault = match AssertUnwindSafe(context.deliver(stream, job)).catch_unwind().await {
        Ok(Ok(())) => return stream.endpoint,
        Ok(Err(fault)) => fault.to_string(),
        Err(_) => "the delivery has panicked".to_owned(),
    };
    // The lease runs out by itself; then it is tried again.
    tracing::error!(job.kind = "deliver", job.subject = %stream, "{fault}");
    stream.endpoint
}

fn with_stream(job: Job) -> Option<(DeliveryStream, Job)> {
    let stream = job.subject.parse();
    if stream.is_err() {
        tracing::error!(job.kind = "deliver", job.subject = %job.subject, "this is no lane");
    }
    Some((stream.ok()?, job))
}
