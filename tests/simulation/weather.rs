//! What befalls calls to the providers: delays, faults and outages, drawn for each run.

use std::time::Duration;

use port::Timestamp;

use crate::dice::Dice;

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
const NOTE_FAULTS: [&str; 5] = ["lose", "duplicate", "reorder", "delay", "bad_signature"];

/// How the providers and the network behave in a run.
pub(crate) struct Weather {
    skies: [Sky; 3],
    /// Until when anything goes wrong at all.
    clears_at: Timestamp,
}

/// How one provider behaves.
struct Sky {
    /// Calls that something befalls.
    fault_permille: u64,
    /// Calls after which something befalls the notifications.
    note_permille: u64,
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
pub(crate) struct Fate {
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
    pub(crate) stumbles: bool,
    /// The listener has taken it, and its answer is lost.
    pub(crate) lost: bool,
    pub(crate) there: Duration,
    pub(crate) back: Duration,
}

impl Weather {
    /// Draws the weather of a day that begins at `from`.
    pub(crate) fn draw(dice: &Dice, from: Timestamp, until: Timestamp) -> Self {
        let rough = dice.pick(&[0, 5, 20, 60, 150]);
        let skies = PROVIDERS.map(|_| Sky::draw(dice, rough, from));
        Self { skies, clears_at: until }
    }

    /// Fine weather from now on.
    pub(crate) fn clear(&mut self) {
        self.clears_at = Timestamp::default();
    }

    /// What befalls a call to a provider now.
    pub(crate) fn fate(&self, dice: &Dice, provider: usize, now: Timestamp) -> Fate {
        let sky = &self.skies[provider];
        let rough = now < self.clears_at;
        let outage = sky.outage(now).filter(|_| rough);
        let slow = rough && dice.permille(sky.slow_permille);
        let way = |slow: bool| if slow { dice.millis(500, 15_000) } else { dice.millis(2, 250) };
        let fault = match outage {
            Some(outage) => outage.fault,
            None if rough && dice.permille(sky.fault_permille) => Some(dice.pick(&FAULTS)),
            None => None,
        };
        Fate {
            refused: outage.is_some_and(|outage| outage.fault.is_none())
                || (rough && dice.permille(sky.fault_permille / 4)),
            there: way(slow),
            back: way(slow),
            fault,
            outlives_caller: dice.percent(60),
        }
    }

    /// What befalls the next notification of a provider.
    pub(crate) fn note_fault(&self, dice: &Dice, provider: usize, now: Timestamp) -> Option<&'static str> {
        let befalls = now < self.clears_at && dice.permille(self.skies[provider].note_permille);
        befalls.then(|| dice.pick(&NOTE_FAULTS))
    }

    /// What befalls a delivery to the merchant now: its listener stands under the first sky.
    pub(crate) fn at_the_listener(&self, dice: &Dice, now: Timestamp) -> Hearing {
        let sky = &self.skies[0];
        let rough = now < self.clears_at;
        let befalls = || rough && dice.permille(sky.fault_permille);
        Hearing {
            refused: (rough && sky.outage(now).is_some()) || befalls(),
            stumbles: befalls(),
            lost: befalls(),
            there: dice.millis(2, 250),
            back: dice.millis(2, 250),
        }
    }

    /// Whether the gateway's own store stumbles now: one commit in some hundreds, in rough runs.
    pub(crate) fn store_stumbles(&self, dice: &Dice, now: Timestamp) -> bool {
        now < self.clears_at && self.skies[0].fault_permille > 50 && dice.permille(3)
    }
}

impl Sky {
    fn draw(dice: &Dice, rough: u64, from: Timestamp) -> Self {
        let outages = if rough == 0 { 0 } else { dice.between(0, 2) };
        Self {
            fault_permille: rough * dice.between(0, 2),
            note_permille: rough * dice.between(0, 4),
            slow_permille: rough * dice.between(0, 3),
            outages: (0..outages).map(|_| Outage::draw(dice, from)).collect(),
        }
    }

    fn outage(&self, now: Timestamp) -> Option<&Outage> {
        self.outages.iter().find(|outage| outage.from <= now && now < outage.until)
    }
}

impl Outage {
    fn draw(dice: &Dice, from: Timestamp) -> Self {
        let from = from.plus(dice.millis(0, 24 * 3_600_000));
        let kinds = [
            None,
            Some("timeout_before"),
            Some("timeout_after"),
            Some("status_500"),
            Some("status_503"),
            Some("garbage"),
        ];
        Self { from, until: from.plus(dice.span(Duration::from_secs(4 * 3_600))), fault: dice.pick(&kinds) }
    }
}
