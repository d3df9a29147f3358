//! Hostile bytes at every door, on a stable compiler: the corpus of the fuzzer, and mutations of it.
//!
//! What must hold stands in `fuzz/src`, once for the fuzzer and for this. More cases: `PROPTEST_CASES=100000`; the
//! same ones again: `PROPTEST_RNG_SEED`, which a failure tells.

#[allow(unreachable_pub, reason = "a library of its own, where it is fuzzed")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;
mod mutate;

use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};

/// A door: it panics if what must hold of these bytes does not.
type Target = fn(&[u8]);

/// How many times the usual number of cases is tried: one takes a millisecond or less.
const MORE_CASES: u32 = 4;

/// How long the smallest input that fails is looked for.
const MAX_SHRINKS: u32 = 500;

/// What the whole corpus may have at most: people read it too.
const MAX_FILES: usize = 300;
const MAX_BYTES: usize = 400_000;

/// The inputs of a target with their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), bytes)
    };
    files.into_iter().map(read).collect()
}

fn replay(name: &str, target: Target) {
    let fails = |bytes: &[u8]| catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err();
    let inputs = corpus(name);
    assert!(!inputs.is_empty(), "{name} has no corpus");
    let failed: Vec<_> = inputs.iter().filter(|(_, bytes)| fails(bytes)).map(|(file, _)| file).collect();
    assert!(failed.is_empty(), "{name}: {failed:?}");
}

/// Tries mutations of the corpus. The smallest that fails is left in a file, to be looked at or kept.
fn mutate(name: &str, target: Target) {
    let usual = Config::default();
    let drawn = RandomState::new().build_hasher().finish();
    let seed = if let RngSeed::Fixed(seed) = usual.rng_seed { seed } else { drawn };
    let cases = usual.cases.saturating_mul(MORE_CASES);
    let (rng_seed, max_shrink_iters) = (RngSeed::Fixed(seed), MAX_SHRINKS);
    let config = Config { cases, rng_seed, max_shrink_iters, failure_persistence: None, ..usual };
    let inputs: Vec<_> = corpus(name).into_iter().map(|(_, bytes)| bytes).collect();
    let outcome = TestRunner::new(config).run(&mutate::mutations(inputs), |input| {
        target(&input.0);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Abort(why)) => panic!("{name}: {why}"),
        Err(TestError::Fail(why, input)) => {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}-{seed}"));
            fs::write(&file, &input.0).expect("there is room for an input");
            panic!("{name}: {why}\nPROPTEST_RNG_SEED={seed} finds it again; the input is {}", file.display());
        }
    }
}

macro_rules! doors {
    ($($target:ident: $replayed:ident, $mutated:ident;)*) => {$(
        #[test]
        fn $replayed() {
            replay(stringify!($target), fuzz::$target);
        }

        #[test]
        fn $mutated() {
            mutate(stringify!($target), fuzz::$target);
        }
    )*

    /// The name of each is that of its folder in the corpus.
    const DOORS: &[&str] = &[$(stringify!($target)),*];
    };
}

doors! {
    notifications: hostile_notifications_of_the_corpus, hostile_notifications_mutated;
    replies: hostile_replies_of_the_corpus, hostile_replies_mutated;
    requests: hostile_requests_of_the_corpus, hostile_requests_mutated;
    config: hostile_config_of_the_corpus, hostile_config_mutated;
    ids: hostile_ids_of_the_corpus, hostile_ids_mutated;
}

#[test]
fn the_corpus_stays_small_enough_to_read() {
    let files: Vec<_> = DOORS.iter().flat_map(|name| corpus(name)).collect();
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(files.len() <= MAX_FILES && bytes <= MAX_BYTES, "{} files, {bytes} bytes", files.len());
}
