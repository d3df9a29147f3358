//! Crash points: the process aborts at the selected one, and lists those that it reached.
#![cfg(debug_assertions)]

use std::path::Path;
use std::process::Command;

use paymux::crash;

/// Run as a process of its own by the test below; without its variables it does nothing.
#[test]
fn walk_past_three_points() {
    for turn in ["left", "right", "left"] {
        crash::point("before", turn);
    }
}

fn arrives(at: &str, list: &Path) -> bool {
    let mut walk = Command::new(std::env::current_exe().unwrap());
    walk.args(["--exact", "crash::walk_past_three_points"]);
    walk.env("PAYMUX_CRASH_AT", at).env("PAYMUX_CRASH_LIST", list);
    walk.output().unwrap().status.success()
}

#[test]
fn the_process_dies_where_it_was_told_to_and_lists_what_it_reached() {
    let folder = tempfile::tempdir().unwrap();
    let reached = |at: &str| {
        let list = folder.path().join(at);
        let arrived = arrives(at, &list);
        (arrived, std::fs::read_to_string(&list).unwrap())
    };
    assert_eq!(reached("before left"), (false, "before left\n".to_owned()));
    assert_eq!(reached("before left#2"), (false, "before left\nbefore right\n".to_owned()));
    assert_eq!(reached("before left#3"), (true, "before left\nbefore right\n".to_owned()));
    assert_eq!(reached("nowhere"), (true, "before left\nbefore right\n".to_owned()));
}
