//! The only path of a change: load a subject, decide, commit, and decide again on a conflict.
//!
//! Orders, profile sessions, payment profiles and webhook endpoints all change here and nowhere else. A decision is a
//! pure function of the subject; the engine gives it the time, turns its events into a change, and writes the change
//! with everything that follows from it: what leads to the subject, when it is due, what has to be delivered.

mod command;
mod due_times;
mod telemetry;
mod working_copy;

pub use command::{Command, CommandError, Decision, IdempotencyKey};
pub use due_times::{DueTimes, RunnerLane};
pub use working_copy::WorkingCopy;

use std::sync::Arc;

use port::{Env, OrderId, Timestamp, Uuid};

use crate::domain::view::event_type;
use crate::domain::{
    ChangeMeta, Context, Lane, OrderAggregate, Recorded, ReplayError, Step, Subject, SubjectEvent,
    SubjectKind, apply, open, record, subject_of,
};
use crate::metrics::Metrics;
use crate::store::{Change, EndpointRegistry, Store, StoreError, SubjectChange, Write};

/// How often a change is decided again after a conflict.
const MAX_CONFLICTS: u32 = 16;

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub store: Arc<dyn Store>,
    pub env: Arc<dyn Env>,
    pub metrics: Arc<Metrics>,
    pub endpoints: Arc<EndpointRegistry>,
    /// Wakes the job runner when something is due.
    pub due_times: Arc<DueTimes>,
}

impl Engine {
    /// An engine on a store.
    pub fn new(store: Arc<dyn Store>, env: Arc<dyn Env>, metrics: Arc<Metrics>) -> Self {
        Self { store, env, metrics, endpoints: Arc::default(), due_times: Arc::default() }
    }

    pub fn now(&self) -> Timestamp {
        self.env.now()
    }

    pub fn draw(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.env.nonce();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// What a decision about an order is made on.
    pub fn context<'a>(&self, order: &'a OrderAggregate, now: Timestamp) -> Context<'a> {
        Context::of(order, now, self.env.nonce())
    }

    /// The id of a new subject.
    pub fn subject_id(&self) -> Uuid {
        subject_of(self.env.uuid())
    }

    /// Loads a subject to be changed.
    pub async fn load<S: Subject>(&self, id: Uuid) -> Result<Option<WorkingCopy<S>>, StoreError> {
        Ok(self.store.load::<S>(id).await?.map(WorkingCopy::of))
    }

    /// Loads a subject that must exist.
    ///
    /// # Errors
    /// [`StoreError`]; `Corrupt` if it is gone.
    pub async fn existing<S: Subject>(&self, id: Uuid) -> Result<WorkingCopy<S>, StoreError> {
        let found = self.load(id).await?;
        found.ok_or_else(|| StoreError::Corrupt(format!("subject {id} is gone")))
    }

    /// Loads a subject of this merchant.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], also for another merchant's.
    pub async fn of_merchant<S: Subject>(
        &self,
        merchant: &str,
        id: Uuid,
    ) -> Result<WorkingCopy<S>, CommandError> {
        let found = self.load::<S>(id).await?;
        found.filter(|subject| subject.merchant() == merchant).ok_or(CommandError::NotFound)
    }

    /// Creates a subject.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is written.
    pub async fn create<S: Subject>(
        &self,
        name: &'static str,
        command: &Command,
        decision: impl Into<Decision<S::Event>>,
    ) -> Result<WorkingCopy<S>, StoreError> {
        let decision = decision.into();
        let meta = ChangeMeta { at: self.now(), cause: command.cause.clone() };
        let first = decision.events.first().and_then(|event| S::open(event, &meta));
        let mut subject =
            first.ok_or_else(|| StoreError::Corrupt("an event creates no subject".to_owned()))?;
        let change = record(&mut subject, decision.events, meta).map_err(corrupt)?;
        let step = Step { change: Arc::new(change), after: Arc::new(subject) };
        self.write(name, command, None, &step, decision.also).await?;
        let mut created = WorkingCopy::of(step.after.clone());
        created.advance(step);
        Ok(created)
    }

    /// Decides on a subject and commits the change, again after each conflict. The caller passes the subject it has, so
    /// usually nothing is read. Returns the sequence of the change's first event; `None` if nothing changed. The key of
    /// the command is written with the change, if it has events.
    ///
    /// # Errors
    /// The decision's own, and [`StoreError`].
    pub async fn change<S: Subject, E: From<StoreError>>(
        &self,
        name: &'static str,
        command: &Command,
        subject: &mut WorkingCopy<S>,
        mut decide: impl FnMut(&S, Timestamp) -> Result<Decision<S::Event>, E>,
    ) -> Result<Option<u64>, E> {
        for _ in 0..MAX_CONFLICTS {
            let now = self.now();
            let decision = decide(subject, now)?;
            if decision.events.is_empty() {
                if !decision.also.is_empty() {
                    self.commit(Change::plain(name, decision.also)).await?;
                }
                return Ok(None);
            }
            let mut next = S::clone(subject);
            let meta = ChangeMeta { at: now, cause: command.cause.clone() };
            let change = record(&mut next, decision.events, meta).map_err(corrupt)?;
            let step = Step { change: Arc::new(change), after: Arc::new(next) };
            match self.write(name, command, Some(subject.current()), &step, decision.also).await {
                Ok(()) => {
                    let first = step.change.first;
                    subject.advance(step);
                    return Ok(Some(first));
                }
                Err(StoreError::Conflict) => self.catch_up(subject).await?,
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Writes a change of a subject with what follows from it.
    async fn write<S: Subject>(
        &self,
        name: &'static str,
        command: &Command,
        before: Option<&Arc<S>>,
        step: &Step<S>,
        also: Vec<Write>,
    ) -> Result<(), StoreError> {
        let Step { change, after } = step;
        let written = SubjectChange::of(before.map(|before| &**before), after, change, self.draw())?;
        let key = command.key.as_ref().map(|key| Write::IdempotencyKey(key.row(after.merchant(), change)));
        let writes = key.into_iter().chain(self.deliveries(after.merchant(), change).await?).chain(also);
        self.commit(Change::of(name, written).with(writes)).await?;
        command.key.iter().for_each(IdempotencyKey::written);
        let before = before.map(|before| S::into_any(before.clone()));
        telemetry::committed(&self.metrics, before.as_ref(), &S::into_any(after.clone()));
        Ok(())
    }

    /// The deliveries of a change to the merchant's endpoints.
    async fn deliveries<E: SubjectEvent>(
        &self,
        merchant: &str,
        change: &Recorded<E>,
    ) -> Result<Vec<Write>, StoreError> {
        self.endpoints.ensure_fresh(&*self.store).await?;
        let public = || {
            let events = change.events.iter().zip(change.first..);
            events.filter_map(|(event, sequence)| Some((sequence, event_type(event.public()?)))).collect()
        };
        let order = OrderId::from_uuid(change.subject);
        Ok(self.endpoints.deliveries(merchant, order, public, change.meta.at))
    }

    /// Commits a complete change or rows, and wakes the job runner for what it makes due.
    ///
    /// # Errors
    /// [`StoreError`]; after `Disk` and `Failed` it is not known whether it was written, after any other it was not.
    pub async fn commit(&self, change: Change) -> Result<(), StoreError> {
        let due_times = due_times(&change);
        let of_endpoint =
            change.subject.as_ref().is_some_and(|subject| subject.kind == SubjectKind::WebhookEndpoint);
        let committed = if of_endpoint {
            self.endpoints.commit(&*self.store, change).await
        } else {
            self.store.commit(change).await
        };
        // Also after a failure, since it is not known whether the change was written.
        due_times.into_iter().for_each(|(lane, at)| self.due_times.set_due(lane, at));
        committed
    }

    /// Updates a copy with the changes committed since it was read.
    pub async fn catch_up<S: Subject>(&self, subject: &mut WorkingCopy<S>) -> Result<(), StoreError> {
        let (id, sequence) = (subject.uuid(), subject.head().sequence);
        for change in self.store.recorded::<S>(id, sequence).await? {
            let after = self.store.load_at::<S>(id, change.last()).await?;
            let after = after.ok_or_else(|| StoreError::Corrupt(format!("subject {id} is gone")))?;
            subject.advance(Step { change: Arc::new(change), after });
        }
        Ok(())
    }

    /// The changes of a subject from the one with a first event on, each with the subject after it. Personal values
    /// are absent.
    pub async fn steps_from<S: Subject>(&self, id: Uuid, first: u64) -> Result<Vec<Step<S>>, StoreError> {
        let (mut steps, mut subject) = (Vec::new(), None::<S>);
        for change in self.store.recorded::<S>(id, 0).await? {
            let mut next = subject.take().map_or_else(|| open(&change), Ok).map_err(corrupt)?;
            apply(&mut next, &change).map_err(corrupt)?;
            if change.first >= first {
                steps.push(Step { change: Arc::new(change), after: Arc::new(next.clone()) });
            }
            subject = Some(next);
        }
        Ok(steps)
    }
}

/// The lanes and times at which a change makes something due.
fn due_times(change: &Change) -> Vec<(RunnerLane, Timestamp)> {
    let jobs = |lane: &Lane| RunnerLane::Jobs(lane.clone());
    let scheduled = change.subject.iter().flat_map(|change| &change.schedule);
    let scheduled = scheduled.filter_map(|(lane, due)| Some((jobs(lane), due.as_ref()?.at)));
    let written = change.writes.iter().filter_map(|write| match write {
        Write::Wake(wake) => Some((jobs(&wake.lane), wake.due.at)),
        Write::Reschedule(done) => Some((jobs(&done.job.lane), done.next?.at)),
        Write::Enqueue { stream, at, .. } => Some((RunnerLane::Endpoint(stream.endpoint), *at)),
        Write::Advance { delivery, at, .. } => Some((RunnerLane::Endpoint(delivery.stream.endpoint), (*at)?)),
        Write::EndpointWorks { endpoint, at } => Some((RunnerLane::Endpoint(*endpoint), *at)),
        _ => None,
    });
    scheduled.chain(written).collect()
}

fn corrupt(fault: ReplayError) -> StoreError {
    StoreError::Corrupt(fault.to_string())
}
