//! How many connections the API keeps open, so that clients who only hold them cannot lock out those who ask.
//!
//! A connection that has asked for nothing yet is closed in time. One that was answered once may be held for as long
//! as its client likes, by beginning a next request and not ending it. So when half of the connections are taken,
//! every answer closes its own: the other half is for those who ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections of one worker at a time; beyond it they wait in the backlog.
const MAX_OF_WORKER: usize = 10_000;

/// All connections of a listener.
pub(super) struct Connections {
    open: AtomicUsize,
    crowd: usize,
}

/// One of them, from being accepted to being closed.
pub(super) struct Connection(Arc<Connections>);

impl Connections {
    /// None yet, of as many as `workers` may have with `most` each.
    pub(super) fn new(workers: usize, most: usize) -> Arc<Self> {
        Arc::new(Self { open: AtomicUsize::new(0), crowd: workers * most / 2 })
    }

    /// One more.
    pub(super) fn open(self: &Arc<Self>) -> Connection {
        self.open.fetch_add(1, Ordering::Relaxed);
        Connection(self.clone())
    }
}

impl Connection {
    /// Whether so many are open that an answer had better be the last on its connection.
    pub(super) fn in_crowd(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) > self.0.crowd
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many connections each of `workers` may have. A quarter of the files that the system lets the process open
/// is left for the database and for providers, who must be reached whatever clients do.
pub(super) fn most_of_each(workers: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let of_clients = open_files(&limits).map_or(usize::MAX, |files| files / 4 * 3);
    (of_clients / workers).clamp(1, MAX_OF_WORKER)
}

/// The limit that holds for open files, in the kernel's table of a process; `None` if there is no limit or no table.
fn open_files(limits: &str) -> Option<usize> {
    let row = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    row.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_half_of_the_connections_on_it_is_a_crowd_until_some_leave() {
        let connections = Connections::new(2, 2);
        let mut open = vec![connections.open(), connections.open()];
        assert!(!open[0].in_crowd());
        open.push(connections.open());
        assert!(open[0].in_crowd());
        open.pop();
        assert!(!open[0].in_crowd());
    }

    #[test]
    fn the_limit_of_open_files_is_read_where_there_is_one() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max processes             63704                63704                processes \n\
                     Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(table), Some(1024));
        assert_eq!(open_files(&table.replace("1024  ", "unlimited")), None);
        assert_eq!(open_files(""), None);
        assert!((1..=MAX_OF_WORKER).contains(&most_of_each(2)));
    }
}
