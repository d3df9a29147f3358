//! The files of an operator: settings, accounts and routing. The same text is read as each of them.

use std::cell::OnceCell;
use std::path::PathBuf;

use paymux::config::{AccountConfig, ConfigErrors, Environment, Providers, Settings};
use paymux::routing::Rules;
use paymux_testkit::ALL;
use tempfile::TempDir;

/// Each file is refused with faults that name its lines, or read as what it says.
pub fn config(input: &[u8]) {
    settings(input);
    // A text could name any file of the machine as a secret; some of those never end.
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.contains("file:") {
        return;
    }
    let lines = text.lines().count() + 1;
    let environment = Environment::default().with("SECRET", "c2VjcmV0IG9mIGEgdGVzdA==");
    let providers = Providers { known: ALL, environment: &environment, allow_private_addresses: true };
    match AccountConfig::parse("accounts.toml", text, &providers) {
        Err(faults) => check_faults(&faults, lines),
        Ok(accounts) => {
            let mut names: Vec<_> = accounts.iter().map(|account| &account.name).collect();
            names.dedup();
            assert!((1..=64).contains(&names.len()) && names.len() == accounts.len(), "{accounts:?}");
            assert!(accounts.iter().all(|account| account.base_url.starts_with("http")), "{accounts:?}");
        }
    }
    match Rules::parse("routing.toml", text, &["one", "two"]) {
        Err(faults) => check_faults(&faults, lines),
        Ok(rules) => {
            let complete = rules.rules.iter().all(|rule| !rule.accounts.is_empty());
            assert!(!rules.rules.is_empty() && complete, "{rules:?}");
            serde_json::to_string(&rules).expect("rules can be shown");
        }
    }
}

fn check_faults(faults: &ConfigErrors, lines: usize) {
    assert!(!faults.0.is_empty(), "refused for nothing");
    for fault in &faults.0 {
        let within = fault.line.is_none_or(|line| (1..=lines).contains(&(line as usize)));
        assert!(within && !fault.message.is_empty(), "{fault} of {lines} lines");
    }
}

/// Settings that are taken are the same when they are written down and read again.
fn settings(input: &[u8]) {
    let lines = String::from_utf8_lossy(input).lines().count() + 1;
    match load(input) {
        Err(faults) => check_faults(&faults, lines),
        Ok(settings) => {
            let written = toml::to_string(&settings).expect("settings can be written");
            assert_eq!(load(written.as_bytes()).as_ref(), Ok(&settings), "written as\n{written}");
        }
    }
}

/// Settings are read from a file, so there is one.
fn load(text: &[u8]) -> Result<Settings, ConfigErrors> {
    thread_local! {
        static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
    }
    let path: PathBuf = FOLDER.with(|folder| {
        folder
            .get_or_init(|| tempfile::tempdir().expect("there is room for a file"))
            .path()
            .join("paymux.toml")
    });
    std::fs::write(&path, text).expect("there is room for a file");
    Settings::load(Some(&path), &Environment::default())
}
