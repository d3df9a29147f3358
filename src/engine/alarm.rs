//! When each lane has to be looked at next, so that nothing is polled: a commit that makes something due rings.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use port::{EndpointId, Timestamp};
use tokio::sync::Notify;

use crate::domain::Lane;

/// A lane of the job runner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmLane {
    /// Jobs.
    Jobs(Lane),
    /// Deliveries to an endpoint.
    Endpoint(EndpointId),
}

/// The earliest moment of each lane that is known of.
#[derive(Default)]
pub struct JobAlarm {
    lanes: Mutex<HashMap<AlarmLane, Timestamp>>,
    rung: Notify,
}

impl JobAlarm {
    fn lanes(&self) -> MutexGuard<'_, HashMap<AlarmLane, Timestamp>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is due in a lane at a moment.
    pub fn ring(&self, lane: AlarmLane, at: Timestamp) {
        let mut lanes = self.lanes();
        let known = lanes.get(&lane).copied();
        if known.is_none_or(|known| at < known) {
            lanes.insert(lane, at);
            self.rung.notify_one();
        }
    }

    /// Takes the moment of a lane away, before the store is asked for the next one: whatever is committed meanwhile
    /// rings again.
    pub fn take(&self, lane: &AlarmLane) -> Option<Timestamp> {
        self.lanes().remove(lane)
    }

    /// The lanes that have to be looked at now, the longest overdue first, and the next moment after.
    pub fn due(&self, now: Timestamp) -> (Vec<(AlarmLane, Timestamp)>, Option<Timestamp>) {
        let lanes = self.lanes();
        let due = lanes.iter().filter(|(_, at)| **at <= now);
        let mut due: Vec<_> = due.map(|(lane, at)| (lane.clone(), *at)).collect();
        due.sort_unstable_by(|(lane, at), (other, later)| (at, lane).cmp(&(later, other)));
        (due, lanes.values().filter(|at| **at > now).min().copied())
    }

    /// Waits until it rings.
    pub async fn rung(&self) {
        self.rung.notified().await;
    }
}
