//! The program's own options, among those that `cargo test` passes to every test program.

use std::time::Duration;

use crate::races::{RACES, READ_LIMIT};

/// Runs by default: what fits into two minutes.
const USUAL_SEEDS: u64 = 200;

/// What to run.
pub(crate) struct Options {
    pub(crate) seeds: u64,
    pub(crate) start: u64,
    /// Only this one, twice.
    pub(crate) seed: Option<u64>,
    pub(crate) race: Option<&'static str>,
    /// Every race, one after the other.
    pub(crate) races: bool,
    /// More seeds for as long as this, even after the last of them.
    pub(crate) at_least: Duration,
    pub(crate) trace: bool,
    pub(crate) jobs: usize,
}

impl Options {
    /// The same for one of all races. The one with the many orders takes as long as twenty others.
    pub(crate) fn with_seeds_for(&self, race: &str) -> Self {
        let seeds = if race == READ_LIMIT { self.seeds.div_ceil(20) } else { self.seeds };
        Self { seeds, ..*self }
    }

    /// Reads the command line. `None` if nothing of it is meant for us.
    ///
    /// # Errors
    /// Why it cannot be understood.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut options = Self {
            seeds: USUAL_SEEDS,
            start: 1,
            seed: None,
            race: None,
            races: false,
            at_least: Duration::ZERO,
            trace: false,
            jobs,
        };
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let text = arguments.next().unwrap_or_default();
                text.parse::<u64>().map_err(|_| format!("{argument} wants a number, not `{text}`"))
            };
            match argument.as_str() {
                "--seeds" => options.seeds = number()?,
                "--start" => options.start = number()?,
                "--seed" => options.seed = Some(number()?),
                "--jobs" => options.jobs = usize::try_from(number()?).unwrap_or(1).max(1),
                "--minutes" => options.at_least = Duration::from_secs(60 * number()?),
                "--races" => options.races = true,
                "--trace" => options.trace = true,
                "--race" => {
                    let name = arguments.next().unwrap_or_default();
                    let known = RACES.into_iter().find(|race| **race == name);
                    options.race = Some(known.ok_or_else(|| format!("races are {}", RACES.join(", ")))?);
                }
                "--list" => {
                    println!("simulation: test");
                    return Ok(None);
                }
                // A name filters tests; flags of the usual harness mean nothing here.
                flag if flag.starts_with('-') => {}
                name if "simulation".contains(name) => {}
                _ => return Ok(None),
            }
        }
        Ok(Some(options))
    }
}
