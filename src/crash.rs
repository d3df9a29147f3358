//! Crash points: named places in the code where a test can make the program abort.
//!
//! They exist in debug builds, that is in the program which `cargo test` builds and drives; a release build contains
//! none. `PAYMUX_CRASH_AT` names a crash point, as in `before commit checkout`, or its N-th passage, as in `after send
//! create#2`; `PAYMUX_CRASH_LIST` names a file to which each crash point that is reached is written once.

/// Passes a crash point: `before commit`, `after send` … of a change or operation of this name. Aborts the process here
/// if a test has asked for it.
#[cfg_attr(not(debug_assertions), expect(unused_variables, reason = "a release build has no crash points"))]
#[inline]
pub fn point(moment: &str, name: &str) {
    #[cfg(debug_assertions)]
    if let Some(plan) = &*plan::PLAN {
        plan.pass(&format!("{moment} {name}"));
    }
}

#[cfg(debug_assertions)]
mod plan {
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::sync::{LazyLock, Mutex};

    /// Which crash point a test has selected, and how often each was passed.
    pub(super) struct Plan {
        at: Option<(String, u32)>,
        list: Option<String>,
        seen: Mutex<HashMap<String, u32>>,
    }

    /// The plan in the environment, if there is one.
    pub(super) static PLAN: LazyLock<Option<Plan>> = LazyLock::new(read);

    #[expect(
        clippy::disallowed_methods,
        reason = "a test controls the built program before any settings are read"
    )]
    fn read() -> Option<Plan> {
        let at = std::env::var("PAYMUX_CRASH_AT").ok().map(|text| match text.split_once('#') {
            Some((name, nth)) => (name.to_owned(), nth.parse().unwrap_or(1)),
            None => (text, 1),
        });
        let list = std::env::var("PAYMUX_CRASH_LIST").ok();
        (at.is_some() || list.is_some()).then(|| Plan { at, list, seen: Mutex::default() })
    }

    impl Plan {
        pub(super) fn pass(&self, name: &str) {
            let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let times = seen.entry(name.to_owned()).and_modify(|times| *times += 1).or_insert(1);
            if let Some(path) = self.list.as_deref().filter(|_| *times == 1) {
                let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
                let _ = file.and_then(|mut file| writeln!(file, "{name}"));
            }
            if self.at.as_ref().is_some_and(|(at, nth)| at == name && times == nth) {
                std::process::abort();
            }
        }
    }
}
