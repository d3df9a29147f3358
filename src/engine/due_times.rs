//! The next due time of each lane, in memory. A commit that makes something due updates it and wakes the job runner, so
//! that nothing is polled.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use port::{EndpointId, Timestamp};
use tokio::sync::Notify;

use crate::domain::Lane;

/// A lane of the job runner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunnerLane {
    Jobs(Lane),
    Endpoint(EndpointId),
}

/// The earliest known due time of each lane.
#[derive(Default)]
pub struct DueTimes {
    lanes: Mutex<HashMap<RunnerLane, Timestamp>>,
    earlier: Notify,
}

impl DueTimes {
    fn lanes(&self) -> MutexGuard<'_, HashMap<RunnerLane, Timestamp>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that something is due in a lane at `at`, and wakes the runner if that is earlier than known.
    pub fn set_due(&self, lane: RunnerLane, at: Timestamp) {
        let mut lanes = self.lanes();
        let known = lanes.get(&lane).copied();
        if known.is_none_or(|known| at < known) {
            lanes.insert(lane, at);
            self.earlier.notify_one();
        }
    }

    /// Makes every lane due, so that each is read again.
    pub fn set_all_due(&self) {
        self.lanes().values_mut().for_each(|at| *at = Timestamp::default());
        self.earlier.notify_one();
    }

    /// Removes a lane's due time before the store is queried for the next one; later commits set it again.
    pub fn take(&self, lane: &RunnerLane) -> Option<Timestamp> {
        self.lanes().remove(lane)
    }

    /// The lanes that are due now, the longest overdue first, and the next due time after `now`.
    pub fn due(&self, now: Timestamp) -> (Vec<(RunnerLane, Timestamp)>, Option<Timestamp>) {
        let lanes = self.lanes();
        let due = lanes.iter().filter(|(_, at)| **at <= now);
        let mut due: Vec<_> = due.map(|(lane, at)| (lane.clone(), *at)).collect();
        due.sort_unstable_by(|(lane, at), (other, later)| (at, lane).cmp(&(later, other)));
        (due, lanes.values().filter(|at| **at > now).min().copied())
    }

    /// Waits until something is due earlier than was known.
    pub async fn until_earlier(&self) {
        self.earlier.notified().await;
    }
}
