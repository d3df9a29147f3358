//! Limits open connections, so that idle clients cannot lock out others.
//!
//! A connection without a request is closed after a timeout. After its first answer, a client could hold it by never
//! finishing its next request. So when more than half of the connections are open, each answer closes its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most connections of one worker; further ones wait in the backlog.
const MAX_OF_WORKER: usize = 10_000;

/// The connections of a listener.
pub(super) struct Connections {
    open: AtomicUsize,
    /// Above this, each answer closes its connection.
    close_above: usize,
}

/// A connection, from being accepted to being closed.
pub(super) struct Connection(Arc<Connections>);

impl Connections {
    /// No connections yet; the limit is `workers` times `most`.
    pub(super) fn new(workers: usize, most: usize) -> Arc<Self> {
        Arc::new(Self { open: AtomicUsize::new(0), close_above: workers * most / 2 })
    }

    pub(super) fn open(self: &Arc<Self>) -> Connection {
        self.open.fetch_add(1, Ordering::Relaxed);
        Connection(self.clone())
    }
}

impl Connection {
    /// Whether so many are open that an answer should close its connection.
    pub(super) fn is_crowded(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) > self.0.close_above
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The most connections of each worker. A quarter of the process's file limit is left for the database and for
/// connections to providers.
pub(super) fn max_per_worker(workers: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let of_clients = open_files(&limits).map_or(usize::MAX, |files| files / 4 * 3);
    (of_clients / workers).clamp(1, MAX_OF_WORKER)
}

/// The soft limit of open files in `/proc/self/limits`; `None` if there is no limit or no such table.
fn open_files(limits: &str) -> Option<usize> {
    let row = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    row.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_half_of_the_connections_it_is_crowded_until_some_close() {
        let connections = Connections::new(2, 2);
        let mut open = vec![connections.open(), connections.open()];
        assert!(!open[0].is_crowded());
        open.push(connections.open());
        assert!(open[0].is_crowded());
        open.pop();
        assert!(!open[0].is_crowded());
    }

    #[test]
    fn the_limit_of_open_files_is_read_where_there_is_one() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max processes             63704                63704                processes \n\
                     Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(table), Some(1024));
        assert_eq!(open_files(&table.replace("1024  ", "unlimited")), None);
        assert_eq!(open_files(""), None);
        assert!((1..=MAX_OF_WORKER).contains(&max_per_worker(2)));
    }
}
