//! What befalls calls to the providers: delays, faults and outages, drawn for each run.

use std::time::Duration;

use port::Timestamp;

use crate::random::Random;

/// The providers as the sandbox names them.
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
pub(crate) struct Conditions {
    providers: [ProviderConditions; 3],
    /// Until when anything goes wrong at all.
    clears_at: Timestamp,
}

/// How one provider behaves.
struct ProviderConditions {
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
pub(crate) struct Disturbance {
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
pub(crate) struct Hearing {
    /// The connection is not made.
    pub(crate) refused: bool,
    /// The listener answers that it cannot just now.
    pub(crate) fails: bool,
    /// The listener has received it, and its answer is lost.
    pub(crate) lost: bool,
    pub(crate) there: Duration,
    pub(crate) back: Duration,
}

impl Conditions {
    /// Draws the conditions of a day that begins at `from`.
    pub(crate) fn draw(random: &Random, from: Timestamp, until: Timestamp) -> Self {
        let rough = random.pick(&[0, 5, 20, 60, 150]);
        let providers = PROVIDERS.map(|_| ProviderConditions::draw(random, rough, from));
        Self { providers, clears_at: until }
    }

    /// Nothing goes wrong from now on.
    pub(crate) fn clear(&mut self) {
        self.clears_at = Timestamp::default();
    }

    /// What befalls a call to a provider now.
    pub(crate) fn disturbance(&self, random: &Random, provider: usize, now: Timestamp) -> Disturbance {
        let own = &self.providers[provider];
        let rough = now < self.clears_at;
        let outage = own.outage(now).filter(|_| rough);
        let slow = rough && random.permille(own.slow_permille);
        let way = |slow: bool| if slow { random.millis(500, 15_000) } else { random.millis(2, 250) };
        let fault = match outage {
            Some(outage) => outage.fault,
            None if rough && random.permille(own.fault_permille) => Some(random.pick(&FAULTS)),
            None => None,
        };
        Disturbance {
            refused: outage.is_some_and(|outage| outage.fault.is_none())
                || (rough && random.permille(own.fault_permille / 4)),
            there: way(slow),
            back: way(slow),
            fault,
            outlives_caller: random.percent(60),
        }
    }

    /// What befalls the next notification of a provider.
    pub(crate) fn notification_fault(
        &self,
        random: &Random,
        provider: usize,
        now: Timestamp,
    ) -> Option<&'static str> {
        let befalls = now < self.clears_at && random.permille(self.providers[provider].notification_permille);
        befalls.then(|| random.pick(&NOTIFICATION_FAULTS))
    }

    /// What befalls a delivery to the merchant now: its listener fares as the first provider.
    pub(crate) fn at_the_listener(&self, random: &Random, now: Timestamp) -> Hearing {
        let own = &self.providers[0];
        let rough = now < self.clears_at;
        let befalls = || rough && random.permille(own.fault_permille);
        Hearing {
            refused: (rough && own.outage(now).is_some()) || befalls(),
            fails: befalls(),
            lost: befalls(),
            there: random.millis(2, 250),
            back: random.millis(2, 250),
        }
    }

    /// Whether the gateway's own store fails now: one commit in some hundreds, in rough runs.
    pub(crate) fn store_fails(&self, random: &Random, now: Timestamp) -> bool {
        now < self.clears_at && self.providers[0].fault_permille > 50 && random.permille(3)
    }
}

impl ProviderConditions {
    fn draw(random: &Random, rough: u64, from: Timestamp) -> Self {
        let outages = if rough == 0 { 0 } else { random.between(0, 2) };
        Self {
            fault_permille: rough * random.between(0, 2),
            notification_permille: rough * random.between(0, 4),
            slow_permille: rough * random.between(0, 3),
            outages: (0..outages).map(|_| Outage::draw(random, from)).collect(),
        }
    }

    fn outage(&self, now: Timestamp) -> Option<&Outage> {
        self.outages.iter().find(|outage| outage.from <= now && now < outage.until)
    }
}

impl Outage {
    fn draw(random: &Random, from: Timestamp) -> Self {
        let from = from.plus(random.millis(0, 24 * 3_600_000));
        let kinds = [
            None,
            Some("timeout_before"),
            Some("timeout_after"),
            Some("status_500"),
            Some("status_503"),
            Some("garbage"),
        ];
        Self {
            from,
            until: from.plus(random.span(Duration::from_secs(4 * 3_600))),
            fault: random.pick(&kinds),
        }
    }
}
