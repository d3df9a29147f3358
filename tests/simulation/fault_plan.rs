//! What befalls calls to the providers: delays, faults and outages, drawn for each run.

use std::time::Duration;

use port::Timestamp;

use crate::rng::Rng;

/// The providers in the words of the sandbox.
pub(crate) const PROVIDERS: [&str; 3] = ["telness", "paymennt", "decta"];

/// Everything that the sandbox's switchboard can do to a call.
const FAULTS: [&str; 14] = [
    "timeout_before",
    "timeout_after",
    "reset_before",
    "reset_after",
    "status_500",
    "status_503",
    "status_429",
    "status_401",
    "garbage",
    "truncated",
    "unknown_word",
    "wrong_amount",
    "wrong_currency",
    "slow",
];

/// Everything that it can do to a notification.
const NOTIFICATION_FAULTS: [&str; 5] = ["lose", "duplicate", "reorder", "delay", "bad_signature"];

/// How the providers and the network behave in a run.
pub(crate) struct FaultPlan {
    providers: [ProviderFaults; 3],
    /// Until when anything goes wrong at all.
    clears_at: Timestamp,
}

/// How one provider behaves.
struct ProviderFaults {
    /// Calls that something befalls.
    fault_permille: u64,
    /// Calls after which something befalls the notifications.
    notification_permille: u64,
    /// Calls that are slow.
    slow_permille: u64,
    outages: Vec<Outage>,
}

/// A while in which a provider does not work.
struct Outage {
    from: Timestamp,
    until: Timestamp,
    /// What every call gets; no connection at all if absent.
    fault: Option<&'static str>,
}

/// What befalls one call.
pub(crate) struct CallFault {
    /// The connection is not made.
    pub(crate) refused: bool,
    /// How long the request is under way.
    pub(crate) there: Duration,
    /// How long the answer is under way.
    pub(crate) back: Duration,
    /// What the sandbox does to it.
    pub(crate) fault: Option<&'static str>,
    /// Whether the request still arrives if the caller dies first.
    pub(crate) outlives_caller: bool,
}

/// What befalls a delivery to the merchant's listener.
pub(crate) struct DeliveryFault {
    /// The connection is not made.
    pub(crate) refused: bool,
    /// The listener answers that it cannot just now.
    pub(crate) stumbles: bool,
    /// The listener has taken it, and its answer is lost.
    pub(crate) lost: bool,
    pub(crate) there: Duration,
    pub(crate) back: Duration,
}

impl FaultPlan {
    /// Draws the weather of a day that begins at `from`.
    pub(crate) fn draw(rng: &Rng, from: Timestamp, until: Timestamp) -> Self {
        let rough = rng.pick(&[0, 5, 20, 60, 150]);
        let providers = PROVIDERS.map(|_| ProviderFaults::draw(rng, rough, from));
        Self { providers, clears_at: until }
    }

    /// Fine weather from now on.
    pub(crate) fn clear(&mut self) {
        self.clears_at = Timestamp::default();
    }

    /// What befalls a call to a provider now.
    pub(crate) fn call_fault(&self, rng: &Rng, provider: usize, now: Timestamp) -> CallFault {
        let faults = &self.providers[provider];
        let rough = now < self.clears_at;
        let outage = faults.outage(now).filter(|_| rough);
        let slow = rough && rng.permille(faults.slow_permille);
        let way = |slow: bool| if slow { rng.millis(500, 15_000) } else { rng.millis(2, 250) };
        let fault = match outage {
            Some(outage) => outage.fault,
            None if rough && rng.permille(faults.fault_permille) => Some(rng.pick(&FAULTS)),
            None => None,
        };
        CallFault {
            refused: outage.is_some_and(|outage| outage.fault.is_none())
                || (rough && rng.permille(faults.fault_permille / 4)),
            there: way(slow),
            back: way(slow),
            fault,
            outlives_caller: rng.percent(60),
        }
    }

    /// What befalls the next notification of a provider.
    pub(crate) fn notification_fault(
        &self,
        rng: &Rng,
        provider: usize,
        now: Timestamp,
    ) -> Option<&'static str> {
        let befalls = now < self.clears_at && rng.permille(self.providers[provider].notification_permille);
        befalls.then(|| rng.pick(&NOTIFICATION_FAULTS))
    }

    /// What befalls a delivery to the merchant now: its listener stands under the first sky.
    pub(crate) fn delivery_fault(&self, rng: &Rng, now: Timestamp) -> DeliveryFault {
        let faults = &self.providers[0];
        let rough = now < self.clears_at;
        let befalls = || rough && rng.permille(faults.fault_permille);
        DeliveryFault {
            refused: (rough && faults.outage(now).is_some()) || befalls(),
            stumbles: befalls(),
            lost: befalls(),
            there: rng.millis(2, 250),
            back: rng.millis(2, 250),
        }
    }

    /// Whether the gateway's own store stumbles now: one commit in some hundreds, in rough runs.
    pub(crate) fn store_fails(&self, rng: &Rng, now: Timestamp) -> bool {
        now < self.clears_at && self.providers[0].fault_permille > 50 && rng.permille(3)
    }
}

impl ProviderFaults {
    fn draw(rng: &Rng, rough: u64, from: Timestamp) -> Self {
        let outages = if rough == 0 { 0 } else { rng.between(0, 2) };
        Self {
            fault_permille: rough * rng.between(0, 2),
            notification_permille: rough * rng.between(0, 4),
            slow_permille: rough * rng.between(0, 3),
            outages: (0..outages).map(|_| Outage::draw(rng, from)).collect(),
        }
    }

    fn outage(&self, now: Timestamp) -> Option<&Outage> {
        self.outages.iter().find(|outage| outage.from <= now && now < outage.until)
    }
}

impl Outage {
    fn draw(rng: &Rng, from: Timestamp) -> Self {
        let from = from.plus(rng.millis(0, 24 * 3_600_000));
        let kinds = [
            None,
            Some("timeout_before"),
            Some("timeout_after"),
            Some("status_500"),
            Some("status_503"),
            Some("garbage"),
        ];
        Self { from, until: from.plus(rng.span(Duration::from_secs(4 * 3_600))), fault: rng.pick(&kinds) }
    }
}
