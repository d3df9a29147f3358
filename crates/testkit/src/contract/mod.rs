//! The contract of an adapter: rules written once and run for every adapter.
//!
//! A rule is a sentence about an adapter and a function that fails if it is not true. The capabilities of an adapter
//! decide which rules apply; its recordings give the answers of its provider.

mod abilities;
mod about;
mod certainty;
mod hostility;
mod identity;
mod money;
mod notifications;
mod oddity;
mod repeat;
mod replay;
mod secrecy;
mod statuses;

use std::path::PathBuf;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use paymux_port::{About, Provider, StatusTable};
use paymux_providers::ALL;

use crate::{Operation, Recording, World, load};

pub use replay::facts_of;

/// The result of a rule.
pub(crate) type RuleResult = Result<(), Failed>;

/// A sentence that must be true of an adapter.
pub(crate) struct Rule {
    says: &'static str,
    concerns: fn(&Subject) -> bool,
    holds: fn(&Subject) -> RuleResult,
}

/// A rule that concerns every adapter.
pub(crate) const fn every(says: &'static str, holds: fn(&Subject) -> RuleResult) -> Rule {
    Rule { says, concerns: |_| true, holds }
}

/// A rule that concerns the adapters of which `concerns` is true.
pub(crate) const fn some(
    says: &'static str,
    concerns: fn(&Subject) -> bool,
    holds: fn(&Subject) -> RuleResult,
) -> Rule {
    Rule { says, concerns, holds }
}

const RULES: [&[Rule]; 11] = [
    about::RULES,
    abilities::RULES,
    statuses::RULES,
    money::RULES,
    certainty::RULES,
    hostility::RULES,
    identity::RULES,
    oddity::RULES,
    repeat::RULES,
    notifications::RULES,
    secrecy::RULES,
];

/// An adapter with its folder, read once for all rules.
pub struct Subject {
    pub(crate) about: &'static About,
    pub(crate) folder: PathBuf,
    pub(crate) table: StatusTable,
    /// Its recordings, by name.
    pub recordings: Vec<Recording>,
}

impl Subject {
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
        World::usual(Operation::Fetch).provider(self.about)
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
            .filter(|recording| recording.operation != Operation::Notification && recording.succeeds())
    }
}

/// Where the adapters' folders are.
pub fn providers() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../providers"))
}

/// A trial for each rule and recording of each adapter, and one for the list of them.
pub fn trials() -> Vec<Trial> {
    let listed =
        Trial::test("every folder of providers is an adapter in the list", about::every_folder_is_listed);
    ALL.iter().flat_map(|about| trials_of(about)).chain([listed]).collect()
}

fn trials_of(about: &'static About) -> Vec<Trial> {
    let name = about.name;
    let subject = match Subject::load(about) {
        Ok(subject) => Arc::new(subject),
        Err(why) => return vec![Trial::test(format!("{name}: its folder can be read"), || Err(why))],
    };
    let rules = RULES.into_iter().flatten().filter(|rule| (rule.concerns)(&subject));
    let rules = rules.map(|rule| {
        let subject = Arc::clone(&subject);
        Trial::test(format!("{name}: {}", rule.says), move || (rule.holds)(&subject))
    });
    let replays = (0..subject.recordings.len()).map(|number| {
        let subject = Arc::clone(&subject);
        let says = format!("{name}: replays {}", subject.recordings[number].file);
        Trial::test(says, move || replay::replays(&subject, &subject.recordings[number]))
    });
    rules.chain(replays).collect()
}

/// Fails with a sentence unless `fine`.
pub(crate) fn must(fine: bool, otherwise: impl FnOnce() -> String) -> RuleResult {
    if fine { Ok(()) } else { Err(otherwise().into()) }
}
