//! The program for authors of adapters: creates one, checks one, writes the facts of its recordings.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use libtest_mimic::Arguments;
use paymux_port::About;
use paymux_testkit::contract::{Subject, facts_of, providers, trials};
use paymux_testkit::{ALL, scaffold};

/// Tools for adapters.
#[derive(Parser)]
enum Command {
    /// Creates the folder of a new adapter and lists it.
    New {
        /// The provider's common name: small letters and digits.
        name: String,
    },
    /// Runs the contract.
    Check {
        /// Only trials with this in their name.
        filter: Option<String>,
    },
    /// Writes the facts of each recording that lists none, for review.
    Accept {
        /// The adapter.
        name: String,
    },
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::New { name } => ended(scaffold::make(&providers(), &name).map_err(|why| why.to_string())),
        Command::Check { filter } => {
            libtest_mimic::run(&Arguments { filter, ..Arguments::default() }, trials()).exit_code()
        }
        Command::Accept { name } => match ALL.iter().find(|about| about.name == name) {
            Some(about) => ended(accept(about)),
            None => ended(Err(format!("there is no adapter `{name}`"))),
        },
    }
}

fn accept(about: &'static About) -> Result<String, String> {
    let subject = Subject::load(about).map_err(|why| why.message().unwrap_or_default().to_owned())?;
    let mut said = String::new();
    for recording in subject.recordings.iter().filter(|recording| recording.expected.is_empty()) {
        let block: String = facts_of(&subject, recording).iter().map(|fact| format!("= {fact}\n")).collect();
        let path = providers().join(about.name).join("exchanges").join(&recording.file);
        let end = if recording.text.ends_with('\n') { "" } else { "\n" };
        let file = OpenOptions::new().append(true).open(path);
        file.and_then(|mut file| write!(file, "{end}{block}"))
            .map_err(|why| format!("{}: {why}", recording.file))?;
        said.push_str(&format!("{}\n{block}\n", recording.file));
    }
    Ok(said)
}

fn ended(result: Result<String, String>) -> ExitCode {
    match result {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
