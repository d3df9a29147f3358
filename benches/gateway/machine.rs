//! What Linux shows in `/proc` about processes, and the probe of the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// What processes have used so far.
pub(crate) struct Reading {
    /// Nanoseconds on a core, by thread.
    cpu: BTreeMap<(String, u32), u64>,
    /// Bytes sent to the disk.
    written: u64,
    /// Transactions written to the database.
    commits: Option<u32>,
}

/// What processes have used between two readings.
pub(crate) struct Used {
    /// Microseconds on a core, by the threads' names, the most first.
    pub(crate) cpu: Vec<(String, f64)>,
    /// Bytes sent to the disk.
    pub(crate) written: f64,
    /// Transactions written to the database, where that is known.
    pub(crate) commits: Option<f64>,
}

impl Used {
    /// Microseconds on a core, of all threads.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu.iter().map(|(_, us)| us).sum()
    }
}

impl Reading {
    /// Of some processes, and of the database that they write.
    pub(crate) fn of(processes: &[u32], database: Option<&Path>) -> Self {
        let written = processes.iter().map(|process| written(*process)).sum();
        let commits = database.and_then(commits);
        let cpu = processes.iter().flat_map(|process| threads(*process)).collect();
        Self { cpu, written, commits }
    }

    /// What was used since an earlier reading. A thread that has ended meanwhile is not counted.
    pub(crate) fn since(&self, earlier: &Self) -> Used {
        let mut by_name = BTreeMap::<&str, f64>::new();
        for (thread, now) in &self.cpu {
            let before = earlier.cpu.get(thread).copied().unwrap_or_default();
            *by_name.entry(&thread.0).or_default() += now.saturating_sub(before) as f64 / 1_000.0;
        }
        let mut cpu: Vec<_> = by_name.into_iter().map(|(name, us)| (name.to_owned(), us)).collect();
        cpu.sort_by(|one, other| other.1.total_cmp(&one.1));
        let commits = self.commits.zip(earlier.commits).map(|(now, before)| now.wrapping_sub(before).into());
        Used { cpu, written: self.written.saturating_sub(earlier.written) as f64, commits }
    }
}

/// Time on a core of every thread of a process, by name and number.
fn threads(process: u32) -> Vec<((String, u32), u64)> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let thread = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let spent = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let number = task.file_name().to_str()?.parse().ok()?;
        Some(((name.trim().to_owned(), number), spent.split_whitespace().next()?.parse().ok()?))
    };
    tasks.filter_map(|task| thread(task.ok()?)).collect()
}

/// The processes that a process has started.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// Resident memory of a process, bytes.
pub(crate) fn resident(process: u32) -> f64 {
    field(&format!("/proc/{process}/status"), "VmRSS:").unwrap_or_default() as f64 * 1_024.0
}

/// Bytes that a process has caused to be written to a disk.
pub(crate) fn written(process: u32) -> u64 {
    field(&format!("/proc/{process}/io"), "write_bytes:").unwrap_or_default()
}

fn field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Where a file that belongs to a database is.
fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// How many transactions SQLite has written since it opened the database: a counter in the header of the index of its
/// write-ahead log, at a place that its file format fixes.
fn commits(database: &Path) -> Option<u32> {
    const COUNTER: std::ops::Range<usize> = 8..12;
    let index = fs::read(beside(database, "-shm")).ok()?;
    Some(u32::from_ne_bytes(index.get(COUNTER)?.try_into().ok()?))
}

/// The size of a database that no process has open, with everything in its main file.
pub(crate) fn size(database: &Path) -> f64 {
    let db = Connection::open(database).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    fs::metadata(database).unwrap().len() as f64
}

/// How long one row of 1 KB takes to be durable in a database of its own, in the middle of so many.
pub(crate) fn probe(folder: &Path, commits: usize) -> Duration {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let db = Connection::open(folder.path().join("probe.db")).unwrap();
    db.query_row("PRAGMA journal_mode = wal", [], |_| Ok(())).unwrap();
    db.execute_batch("PRAGMA synchronous = full; CREATE TABLE probe (body BLOB)").unwrap();
    let mut insert = db.prepare("INSERT INTO probe VALUES (zeroblob(1024))").unwrap();
    let mut took: Vec<Duration> = (0..commits)
        .map(|_| {
            let started_at = Instant::now();
            insert.execute([]).unwrap();
            started_at.elapsed()
        })
        .collect();
    took.sort();
    took[commits / 2]
}

/// The share of the machine that others use while no process of the benchmark runs, the host's own needs included.
pub(crate) fn others(time: Duration) -> f64 {
    let (busy_before, all_before) = ticks();
    sleep(time);
    let (busy, all) = ticks();
    (busy - busy_before) / (all - all_before).max(1.0)
}

/// Ticks of all cores since the machine started: busy ones and all.
fn ticks() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = first.split_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect();
    let all = ticks.iter().sum::<f64>();
    let idle = ticks.iter().skip(3).take(2).sum::<f64>();
    (all - idle, all)
}
