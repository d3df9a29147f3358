//! Tracks lanes that are behind, so that each change is logged once.

use std::collections::HashMap;
use std::time::Duration;

use port::Timestamp;

use crate::domain::Lane;

/// A lane is behind once its oldest job has been due for this long.
const BEHIND: Duration = Duration::from_secs(5 * 60);

/// A lane has caught up once its oldest job is due for less than this; far less, so that a lane near the limit does not
/// alternate.
const CAUGHT_UP: Duration = Duration::from_secs(10);

/// The lanes that are behind, and since when.
#[derive(Default)]
pub(super) struct Backlog(HashMap<Lane, Timestamp>);

/// A change of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has fallen behind: its oldest job has been due for this long.
    Behind(Duration),
    /// It has caught up, after this long.
    CaughtUp(Duration),
}

impl Backlog {
    /// Compares a lane with the limits by the due time of its oldest job.
    pub(super) fn judge(
        &mut self,
        lane: &Lane,
        oldest: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Progress> {
        let overdue = oldest.map_or(Duration::ZERO, |due| now.since(due));
        match self.0.get(lane) {
            None if overdue >= BEHIND => {
                self.0.insert(lane.clone(), now);
                Some(Progress::Behind(overdue))
            }
            Some(since) if overdue <= CAUGHT_UP => {
                let lasted = now.since(*since);
                self.0.remove(lane);
                Some(Progress::CaughtUp(lasted))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_said_to_be_behind_once_and_to_have_caught_up_once() {
        let (mut backlog, mut now) = (Backlog::default(), Timestamp::from_seconds(1_800_000_000));
        let (behind, caught_up) = (
            |s| Some(Progress::Behind(Duration::from_secs(s))),
            |s| Some(Progress::CaughtUp(Duration::from_secs(s))),
        );
        // A minute passes before each look; for how long the oldest job has been due, seconds.
        let looks = [
            (None, None),
            (Some(299), None),
            (Some(300), behind(300)),
            (Some(900), None),
            (Some(11), None),
            (Some(400), None),
            (Some(10), caught_up(240)),
            (Some(299), None),
            (Some(301), behind(301)),
            (None, caught_up(60)),
            (None, None),
        ];
        for (at, (overdue, wanted)) in looks.into_iter().enumerate() {
            now = now.plus(Duration::from_secs(60));
            let oldest = overdue.map(|seconds| now.minus(Duration::from_secs(seconds)));
            assert_eq!(backlog.judge(&Lane::General, oldest, now), wanted, "look {at}");
            assert_eq!(backlog.judge(&Lane::Account("idle".into()), None, now), None);
        }
    }
}
