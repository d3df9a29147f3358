//! `paymux keys`: create, list, revoke.

use std::fs::File;
use std::process::{Command, Stdio};

use super::records::run;

#[test]
fn a_key_is_listed_by_its_first_letters_and_revoked_by_them() {
    let folder = tempfile::tempdir().unwrap();
    let keys = |arguments: &[&str]| {
        let done = run(folder.path(), &[&["keys"], arguments].concat());
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    assert_eq!(keys(&["create", "--merchant", ""]).0, Some(2), "a key belongs to a merchant");
    let (_, made) = keys(&["create", "--merchant", "shop", "--scopes", "payments,ops"]);
    let key = made.trim_end();
    assert_eq!(made.lines().count(), 1, "a script takes what is printed for the key: {made}");
    let (_, listed) = keys(&["list"]);
    let letters = listed.split_whitespace().next().unwrap();
    assert!(key.starts_with(letters.trim_end_matches('…')) && !listed.contains(key), "{listed}");
    assert!(listed.contains("  shop  payments,ops  ") && listed.ends_with("  active\n"), "{listed}");
    assert_eq!(keys(&["revoke", "pmx_live_"]).0, Some(1), "every key starts so");
    assert_eq!(keys(&["revoke", letters]).0, Some(0));
    assert!(keys(&["list"]).1.contains("  revoked "));
}

#[test]
fn a_key_that_cannot_be_shown_is_not_left_valid() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["keys", "create", "--merchant", "first"]);
    let keys = |command: &str, output: Stdio| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_paymux"));
        program.args(["keys", "--config"]).arg(folder.path().join("paymux.toml")).args(command.split(' '));
        let done = program.stdout(output).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let full = || File::options().write(true).open("/dev/full").unwrap().into();
    let listed = || String::from_utf8(run(folder.path(), &["keys", "list"]).stdout).unwrap();
    let (code, said) = keys("create --merchant shop", full());
    assert!(code == Some(1) && said.contains("could not be shown") && said.contains("was revoked"), "{said}");
    assert!(!said.contains("Keep it"), "{said}");
    assert_eq!((listed().matches(" active").count(), listed().matches(" revoked ").count()), (1, 1));
    // One that was closed is `/dev/null` to a program.
    let (code, said) = keys("create --merchant shop", Stdio::null());
    assert!(code == Some(1) && said.contains("none was made"), "{said}");
    assert_eq!(listed().lines().count(), 2);
    let (code, said) = keys("list", full());
    assert!(code == Some(1) && said.contains("could not be shown"), "{said}");
    assert_eq!(keys("list", Stdio::null()).0, Some(0));
}
