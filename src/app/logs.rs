//! Starts logging to standard error, as text or as JSON.
//!
//! The lines are written by a thread of their own, so that a log whose reader has gone or stands still, or whose disk is
//! full, never stops the work: what cannot be written is dropped and counted.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{LogFormat, Logs};
use crate::metrics::Metrics;

/// How many lines may wait to be written.
const MAX_WAITING: usize = 4_096;

/// The most lines that are written at a time.
const MAX_AT_ONCE: usize = 256;

/// How long a line waits for others, so that a busy gateway does not wake a thread for each of its lines.
const GATHERING: Duration = Duration::from_millis(5);

/// How long the end of the program waits for the last lines.
const MAX_FLUSH: Duration = Duration::from_secs(1);

/// The log. Dropping it writes the lines that wait.
pub(super) struct Log {
    queue: SyncSender<Entry>,
}

enum Entry {
    Line(Vec<u8>),
    /// Answered when all earlier lines are written.
    Flush(SyncSender<()>),
}

/// Starts logging. A second start in the same process is ignored.
///
/// # Errors
/// If the thread that writes cannot be started.
pub(super) fn start(logs: &Logs, metrics: Arc<Metrics>) -> io::Result<Log> {
    let (log, lines) = writing_to(io::stderr(), metrics)?;
    // Libraries log warnings and errors only, so that headers and bodies of requests never appear in the log. Input
    // that is not HTTP can come from anybody, so it is not logged: nobody may fill the log with it.
    let level = <&str>::from(logs.level).parse().unwrap_or(LevelFilter::INFO);
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("actix_http::h1", LevelFilter::OFF)
        .with_target("paymux", level);
    let colours = io::stderr().is_terminal();
    let lines = fmt::layer().with_ansi(colours).log_internal_errors(false).with_writer(move || lines.clone());
    let lines = match logs.format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let started = tracing_subscriber::registry().with(lines).with(filter).try_init();
    if started.is_err() {
        tracing::debug!("logging was started already");
    }
    Ok(log)
}

/// A log that is written to `output`, and what puts lines into it.
fn writing_to(output: impl Write + Send + 'static, metrics: Arc<Metrics>) -> io::Result<(Log, Lines)> {
    let (queue, entries) = sync_channel(MAX_WAITING);
    let lines = Lines { queue: queue.clone(), metrics: metrics.clone() };
    let work = move || write_all(output, &entries, &metrics);
    thread::Builder::new().name("log-writer".to_owned()).spawn(work)?;
    Ok((Log { queue }, lines))
}

fn write_all(mut output: impl Write, entries: &Receiver<Entry>, metrics: &Metrics) {
    while let Ok(first) = entries.recv() {
        if matches!(first, Entry::Line(_)) {
            thread::sleep(GATHERING);
        }
        let (mut text, mut lines, mut waiting) = (Vec::new(), 0, Vec::new());
        for entry in std::iter::once(first).chain(entries.try_iter().take(MAX_AT_ONCE - 1)) {
            match entry {
                Entry::Line(line) => {
                    text.extend(line);
                    lines += 1;
                }
                Entry::Flush(answer) => waiting.push(answer),
            }
        }
        if lines > 0 && output.write_all(&text).is_err() {
            metrics.log_lines_dropped(lines);
        }
        for answer in waiting {
            // Fails where nobody waits any more.
            let _ = answer.send(());
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (answer, answered) = sync_channel(1);
        if self.queue.try_send(Entry::Flush(answer)).is_ok() {
            // Lines that take longer are lost.
            let _ = answered.recv_timeout(MAX_FLUSH);
        }
    }
}

/// Takes each line of the log; never waits and never fails.
#[derive(Clone)]
struct Lines {
    queue: SyncSender<Entry>,
    metrics: Arc<Metrics>,
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Entry::Line(line.to_vec())).is_err() {
            self.metrics.log_lines_dropped(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// An output that takes a line only when it may.
    struct Gate(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.1.lock().unwrap().extend(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_dropped_and_counted_and_nobody_waits() {
        let metrics = Arc::new(Metrics::new());
        let dropped = |count: usize| {
            let text = metrics.render();
            assert!(text.contains(&format!("paymux_log_lines_dropped_total {count}\n")), "{count}:\n{text}");
        };
        let (allow, may) = sync_channel(MAX_WAITING);
        let written: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (log, mut lines) = writing_to(Gate(may, written.clone()), metrics.clone()).unwrap();
        allow.send(()).unwrap();
        lines.write_all(b"one\n").unwrap();
        drop(Log { queue: log.queue.clone() });
        assert_eq!(*written.lock().unwrap(), b"one\n");
        dropped(0);
        // The reader stands still: some lines are at the output, and as many wait as may.
        let most = MAX_WAITING + MAX_AT_ONCE;
        let (done, is_done) = sync_channel(1);
        thread::spawn(move || {
            (0..most + 9).for_each(|_| lines.write_all(b"more\n").unwrap());
            done.send(())
        });
        is_done.recv_timeout(Duration::from_secs(60)).expect("nobody waits");
        let text = metrics.render();
        let count = text.lines().find_map(|line| line.strip_prefix("paymux_log_lines_dropped_total "));
        let full: usize = count.unwrap().parse().unwrap();
        assert!((9..=9 + MAX_AT_ONCE).contains(&full), "{full}");
        // The reader has gone.
        drop(allow);
        let (answer, answered) = sync_channel(1);
        log.queue.send(Entry::Flush(answer)).unwrap();
        answered.recv().unwrap();
        dropped(most + 9);
        assert_eq!(*written.lock().unwrap(), b"one\n");
    }
}
