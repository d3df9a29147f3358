//! One run: a day of traffic, then quiet until nothing is left to do, then the checks.

use std::sync::Arc;
use std::time::Duration;

use port::{Env as _, Timestamp};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::checks;
use crate::clock::{Clock, MAX_STEP, MachineClock};
use crate::conditions::Conditions;
use crate::host::{Host, Settings};
use crate::listener::Listener;
use crate::merchant;
use crate::portal;
use crate::races::{self, RACES, READ_LIMIT};
use crate::random::Random;
use crate::shop::Habits;
use crate::trace::Trace;
use crate::world::{World, held};

/// Which run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Only this race.
    pub(crate) race: Option<&'static str>,
    /// Print every line of the trace.
    pub(crate) shown: bool,
}

/// How a run ended.
pub(crate) struct Outcome {
    pub(crate) trace: String,
    pub(crate) faults: Vec<String>,
}

const HOUR: Duration = Duration::from_secs(3_600);

/// How long the jobs get to finish: longer than the longest hold and the idle time of a cart after it.
const QUIET: Duration = Duration::from_secs(40 * 24 * 3_600);

/// How often a person tries to look at something.
const TRIES: u32 = 10;

/// Lives one day.
pub(crate) fn run(plan: Plan) -> Outcome {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(live(plan))
}

async fn live(plan: Plan) -> Outcome {
    let random = Random::new(plan.seed.wrapping_mul(31));
    let clock = Arc::new(Clock::new(plan.seed));
    let rough_until = clock.now().plus(50 * HOUR);
    let crowded = plan.race.map_or(random.percent(5), |race| race == READ_LIMIT);
    let race = if crowded { Some(READ_LIMIT) } else { plan.race };
    let conditions =
        Conditions::draw(&random, clock.now(), if crowded { Timestamp::default() } else { rough_until });
    let drawn = Settings::draw(&random);
    let reads_per_second = if crowded { 1 } else { drawn.reads_per_second };
    let machine = MachineClock::new(clock.clone());
    let host = Host::new(Settings { reads_per_second, ..drawn }, machine);
    let habits = Habits::draw(&random);
    let world = World::new(plan.seed, conditions, clock, host, habits, Trace::new(plan.shown));
    world.start_gateway().await;
    Listener::subscribe(&world).await;
    let mut around = JoinSet::new();
    around.spawn(tick(world.clone(), rough_until));
    let crashes = random.pick(&[0, 0, 1, 2, 4, 8, 16]);
    around.spawn(crash(world.clone(), if crowded { 0 } else { crashes }));
    let steps = if crowded { 0 } else { random.pick(&[0, 0, 0, 1, 4, 16]) };
    let steps = around.spawn(step_clock(world.clone(), steps));
    traffic(&world, &random, race).await;
    world.no_more_crashes();
    held(&world.conditions).clear();
    steps.abort();
    world.host.clock.set(true, Duration::ZERO);
    // A gateway that is just dead comes back by itself.
    sleep(QUIET).await;
    let mut faults = checks::after_quiet(&world).await;
    look_at_everything(&world).await;
    faults.extend(checks::after_looking(&world).await);
    around.shutdown().await;
    world.stop_gateway().await;
    faults.splice(0..0, world.seen().failures.drain(..));
    Outcome { trace: world.trace.hash(), faults }
}

/// Everybody who wants something that day.
async fn traffic(world: &Arc<World>, random: &Random, race: Option<&'static str>) {
    let mut people = JoinSet::new();
    match race {
        Some(READ_LIMIT) => races::run(world.clone(), READ_LIMIT).await,
        Some(name) => {
            for _ in 0..random.between(2, 5) {
                people.spawn(later(world.clone(), 2 * HOUR, races::run(world.clone(), name)));
            }
        }
        None => {
            for _ in 0..random.between(4, 10) {
                people.spawn(later(world.clone(), 18 * HOUR, merchant::live(world.clone())));
            }
            for name in RACES {
                if name != READ_LIMIT && random.percent(30) {
                    people.spawn(later(world.clone(), 20 * HOUR, races::run(world.clone(), name)));
                }
            }
            people.spawn(portal::portal(world.clone()));
            people.spawn(portal::operator(world.clone()));
        }
    }
    while let Some(gone) = people.join_next().await {
        if let Err(fault) = gone {
            world.fail(format!("the simulation panicked: {fault}"));
        }
    }
}

async fn later(world: Arc<World>, most: Duration, act: impl Future<Output = ()>) {
    sleep(world.random.millis(0, u64::try_from(most.as_millis()).expect("a day"))).await;
    act.await;
}

/// The providers' clocks: by the minute while people are about, then by the hour.
async fn tick(world: Arc<World>, busy_until: Timestamp) {
    loop {
        let slower = if world.now() < busy_until { 1 } else { 20 };
        sleep(slower * world.random.millis(60_000, 600_000)).await;
        world.tick();
    }
}

/// Somebody sets the clock of the gateway's machine, forward and back, by up to some minutes.
async fn step_clock(world: Arc<World>, times: u64) {
    let most = u64::try_from(MAX_STEP.as_millis()).expect("minutes");
    for _ in 0..times {
        sleep(world.random.millis(1_000, 4 * 3_600_000)).await;
        let (ahead, by) = (world.random.percent(50), world.random.millis(0, most));
        world.host.clock.set(ahead, by);
        world.log(&format!("the machine's clock is {by:?} {}", if ahead { "ahead" } else { "behind" }));
    }
}

/// The gateway's bad moments: after so many of its awaits, soon after each other or far apart.
async fn crash(world: Arc<World>, times: u64) {
    for _ in 0..times {
        let most = world.random.pick(&[20, 200, 2_000]);
        world.crash_after(world.random.minor(1, most)).await;
    }
}

/// An operator fetches every payment from its provider.
async fn look_at_everything(world: &World) {
    let payments = portal::all_payments(world).await.expect("the gateway runs");
    for (order, payment) in payments {
        for _ in 0..TRIES {
            if portal::look(world, order, payment).await {
                break;
            }
            // The read limit of the provider.
            sleep(Duration::from_secs(5)).await;
        }
    }
    sleep(2 * HOUR).await;
}
