//! The contract of an adapter: rules written once and run for every adapter there is.
//!
//! A rule is a sentence about an adapter and a function that fails if it is not true. Rules choose themselves by
//! what an adapter says it can do, and learn what its provider answers from its recordings.

mod abilities;
mod certainty;
mod face;
mod hostility;
mod money;
mod notifications;
mod repeat;
mod replay;
mod secrecy;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use paymux_port::{About, Provider, StatusTable};
use paymux_providers::ALL;

use crate::{Operation, Recording, Setup, load};

pub use replay::facts_of;

/// How a rule ends.
pub(crate) type Verdict = Result<(), Failed>;

/// A sentence that must be true of an adapter.
pub(crate) struct Rule {
    says: &'static str,
    concerns: fn(&AdapterUnderTest) -> bool,
    holds: fn(&AdapterUnderTest) -> Verdict,
}

/// A rule that concerns every adapter.
pub(crate) const fn every(says: &'static str, holds: fn(&AdapterUnderTest) -> Verdict) -> Rule {
    Rule { says, concerns: |_| true, holds }
}

/// A rule that concerns the adapters of which `concerns` is true.
pub(crate) const fn some(
    says: &'static str,
    concerns: fn(&AdapterUnderTest) -> bool,
    holds: fn(&AdapterUnderTest) -> Verdict,
) -> Rule {
    Rule { says, concerns, holds }
}

const RULES: [&[Rule]; 9] = [
    face::RULES,
    abilities::RULES,
    words::RULES,
    money::RULES,
    certainty::RULES,
    hostility::RULES,
    repeat::RULES,
    notifications::RULES,
    secrecy::RULES,
];

/// An adapter with its folder, read once for all rules.
pub struct AdapterUnderTest {
    pub(crate) about: &'static About,
    pub(crate) folder: PathBuf,
    pub(crate) table: StatusTable,
    /// Its recordings, by name.
    pub recordings: Vec<Recording>,
}

impl AdapterUnderTest {
    /// Reads the folder of an adapter.
    ///
    /// # Errors
    /// A sentence about the table or recording that cannot be read.
    pub fn load(about: &'static About) -> Result<Self, Failed> {
        let folder = providers().join(about.name);
        let table = StatusTable::parse(about.statuses)?;
        let recordings = load(about, &folder.join("exchanges"))?;
        Ok(Self { about, folder, table, recordings })
    }

    pub(crate) fn provider(&self) -> Box<dyn Provider> {
        Setup::usual(Operation::Fetch).provider(self.about)
    }

    /// The recordings of an operation that show it working.
    pub(crate) fn working(&self, operation: Operation) -> impl Iterator<Item = &Recording> {
        self.recordings
            .iter()
            .filter(move |recording| recording.operation == operation && recording.succeeds())
    }

    /// All recordings of calls that show them working.
    pub(crate) fn working_calls(&self) -> impl Iterator<Item = &Recording> {
        self.recordings
            .iter()
            .filter(|recording| recording.operation != Operation::Note && recording.succeeds())
    }
}

/// Where the adapters' folders are.
pub fn providers() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../providers"))
}

/// A trial for each rule and recording of each adapter, and one for the list of them.
pub fn trials() -> Vec<Trial> {
    let listed =
        Trial::test("every folder of providers is an adapter in the list", face::every_folder_is_listed);
    ALL.iter().flat_map(|about| trials_of(about)).chain([listed]).collect()
}

fn trials_of(about: &'static About) -> Vec<Trial> {
    let name = about.name;
    let adapter = match AdapterUnderTest::load(about) {
        Ok(adapter) => Arc::new(adapter),
        Err(why) => return vec![Trial::test(format!("{name}: its folder can be read"), || Err(why))],
    };
    let rules = RULES.into_iter().flatten().filter(|rule| (rule.concerns)(&adapter));
    let rules = rules.map(|rule| {
        let adapter = Arc::clone(&adapter);
        Trial::test(format!("{name}: {}", rule.says), move || (rule.holds)(&adapter))
    });
    let replays = (0..adapter.recordings.len()).map(|number| {
        let adapter = Arc::clone(&adapter);
        let says = format!("{name}: replays {}", adapter.recordings[number].file);
        Trial::test(says, move || replay::replays(&adapter, &adapter.recordings[number]))
    });
    rules.chain(replays).collect()
}

/// Fails with a sentence unless `fine`.
pub(crate) fn must(fine: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if fine { Ok(()) } else { Err(otherwise().into()) }
}
