//! What follows from an endpoint's response. Pure.

use std::time::Duration;

use crate::domain::DisabledReason;

/// How long after each failure the next try is made. Once an endpoint has accepted nothing for as long as all of these
/// together, it is disabled. If it accepted other events meanwhile, the one that it does not accept is given up.
const DELAYS: [Duration; 9] = [
    Duration::from_secs(5),
    minutes(5),
    minutes(30),
    hours(2),
    hours(5),
    hours(10),
    hours(14),
    hours(20),
    hours(24),
];

/// The longest delay that an endpoint can request.
const LONGEST_RETRY_AFTER: Duration = hours(24);

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

const fn hours(hours: u64) -> Duration {
    minutes(hours * 60)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeliveryResponse {
    /// With a status, and perhaps after how long to retry.
    Status(u16, Option<Duration>),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeliveryDecision {
    Delivered,
    RetryAfter(Duration),
    /// The endpoint does not accept this event: the next one of the order follows.
    GiveUp,
    Disable(DisabledReason),
}

/// Decides on a response. `failures` counts earlier failures of the same event; `failing` is how long the endpoint has
/// accepted nothing at all; `draw` is a random number.
pub(super) fn decide(
    response: DeliveryResponse,
    failures: u32,
    failing: Duration,
    draw: u64,
) -> DeliveryDecision {
    match response {
        DeliveryResponse::Status(200..=299, _) => return DeliveryDecision::Delivered,
        DeliveryResponse::Status(410, _) => return DeliveryDecision::Disable(DisabledReason::Gone),
        _ => {}
    }
    if failing > longest_failing() {
        return DeliveryDecision::Disable(DisabledReason::Failing);
    }
    let planned = usize::try_from(failures).ok().and_then(|failures| DELAYS.get(failures));
    let Some(planned) = planned else { return DeliveryDecision::GiveUp };
    let requested = match response {
        DeliveryResponse::Status(429 | 503, Some(wait)) => wait.min(LONGEST_RETRY_AFTER),
        _ => Duration::ZERO,
    };
    DeliveryDecision::RetryAfter(jittered(*planned, draw).max(requested))
}

fn longest_failing() -> Duration {
    DELAYS.iter().sum()
}

/// Adds up to a tenth, so that deliveries that failed together are not all retried together.
fn jittered(delay: Duration, draw: u64) -> Duration {
    let thousandths = u32::try_from(draw % 101).unwrap_or(0);
    delay + delay * thousandths / 1_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Duration = Duration::ZERO;
    const SECOND: Duration = Duration::from_secs(1);

    fn again(seconds: u64) -> DeliveryDecision {
        DeliveryDecision::RetryAfter(Duration::from_secs(seconds))
    }

    #[test]
    fn what_follows_from_an_answer() {
        let wait = |seconds| Some(Duration::from_secs(seconds));
        let status = DeliveryResponse::Status;
        let table = [
            // response, failures before, failing for, decision
            (status(200, None), 0, NONE, DeliveryDecision::Delivered),
            (status(204, None), 9, hours(90), DeliveryDecision::Delivered),
            (status(299, wait(9)), 0, NONE, DeliveryDecision::Delivered),
            (status(410, None), 0, NONE, DeliveryDecision::Disable(DisabledReason::Gone)),
            (status(410, wait(9)), 9, NONE, DeliveryDecision::Disable(DisabledReason::Gone)),
            (status(301, None), 0, NONE, again(5)),
            (status(308, wait(900)), 0, NONE, again(5)),
            (status(400, None), 0, NONE, again(5)),
            (status(500, wait(900)), 0, NONE, again(5)),
            (status(100, None), 0, NONE, again(5)),
            (DeliveryResponse::Nothing, 0, NONE, again(5)),
            (DeliveryResponse::Nothing, 1, minutes(1), again(300)),
            (status(429, wait(2)), 0, NONE, again(5)),
            (status(429, wait(900)), 0, NONE, again(900)),
            (status(503, wait(900)), 1, NONE, again(900)),
            (status(503, wait(900)), 2, NONE, again(1_800)),
            (status(503, wait(9_999_999)), 0, NONE, again(86_400)),
            (status(429, wait(9)), 9, NONE, DeliveryDecision::GiveUp),
            (status(500, None), 8, NONE, again(86_400)),
            (status(500, None), 9, NONE, DeliveryDecision::GiveUp),
            (status(500, None), 9, longest_failing(), DeliveryDecision::GiveUp),
            (
                status(500, None),
                9,
                longest_failing() + SECOND,
                DeliveryDecision::Disable(DisabledReason::Failing),
            ),
            (status(500, None), 2, longest_failing(), again(1_800)),
            (
                status(500, None),
                2,
                longest_failing() + minutes(1),
                DeliveryDecision::Disable(DisabledReason::Failing),
            ),
        ];
        for (response, failures, failing, expected) in table {
            let got = decide(response, failures, failing, 0);
            assert_eq!(got, expected, "{response:?} after {failures} failures, failing {failing:?}");
        }
    }

    #[test]
    fn the_tries_span_about_three_days() {
        let waits = (0..).map_while(|failures| match decide(DeliveryResponse::Nothing, failures, NONE, 0) {
            DeliveryDecision::RetryAfter(wait) => Some(wait),
            _ => None,
        });
        let waits: Vec<_> = waits.collect();
        assert_eq!(waits, DELAYS);
        let days = waits.iter().sum::<Duration>().as_secs() / 86_400;
        assert_eq!(days, 3);
    }

    proptest! {
        #[test]
        fn only_2xx_is_delivered_and_every_wait_is_bounded(
            status in 100u16..=999,
            retry_after in proptest::option::of(0u64..u64::MAX / 2),
            failures in 0u32..12,
            failing in 0u64..1_000_000,
            draw: u64,
        ) {
            let response = DeliveryResponse::Status(status, retry_after.map(Duration::from_secs));
            match decide(response, failures, Duration::from_secs(failing), draw) {
                DeliveryDecision::Delivered => prop_assert!((200..300).contains(&status)),
                DeliveryDecision::Disable(DisabledReason::Gone) => prop_assert_eq!(status, 410),
                DeliveryDecision::Disable(DisabledReason::Failing) => {
                    prop_assert!(failing > longest_failing().as_secs());
                }
                DeliveryDecision::GiveUp => prop_assert!(failures >= 9),
                DeliveryDecision::Disable(DisabledReason::Merchant) => prop_assert!(false, "only the merchant says so"),
                DeliveryDecision::RetryAfter(wait) => {
                    let planned = DELAYS[failures as usize];
                    prop_assert!(wait >= planned);
                    prop_assert!(wait <= LONGEST_RETRY_AFTER.max(planned + planned / 10));
                    if !matches!(status, 429 | 503) {
                        prop_assert!(wait <= planned + planned / 10);
                    }
                }
            }
        }
    }
}
