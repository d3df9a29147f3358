//! The table, the goals, and what makes a run void.

use std::time::Duration;

use crate::rig::Shot;

/// nginx may be this much faster at its best than at its worst.
const MOST_SPREAD: f64 = 0.15;
/// The raw commit probe before and after may differ by so much.
const MOST_DRIFT: f64 = 0.25;
/// The share of the machine that others may use.
const MOST_OTHERS: f64 = 0.05;

/// What a figure is.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Times,
    Micros,
    Millis,
    Bytes,
    Share,
    Plain,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Times if value.abs() < 10.0 => format!("{value:.2}x"),
            Self::Times => format!("{value:.1}x"),
            Self::Micros => format!("{value:.0} us"),
            Self::Millis => format!("{value:.2} ms"),
            Self::Bytes if value >= 1e6 => format!("{:.1} MB", value / 1e6),
            Self::Bytes => format!("{:.1} KB", value / 1e3),
            Self::Share => format!("{:.1} %", value * 100.0),
            Self::Plain => format!("{value:.2}"),
        }
    }
}

/// The middle one.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// What a run has found.
pub(crate) struct Report {
    quick: bool,
    rows: Vec<[String; 5]>,
    /// Why the run says nothing.
    void: Vec<String>,
    missing: Vec<&'static str>,
    others: f64,
}

impl Report {
    /// Nothing yet.
    pub(crate) fn new(quick: bool) -> Self {
        Self { quick, rows: Vec::new(), void: Vec::new(), missing: Vec::new(), others: 0.0 }
    }

    /// Something is not there that the measure of record needs.
    pub(crate) fn missing(&mut self, what: &'static str) {
        println!("!!! {what}");
        self.missing.push(what);
    }

    /// Shows a shot as it comes in.
    pub(crate) fn shot(&self, what: &str, shot: &Shot) {
        println!(
            "  {what:<40} {:7.0}/s  p50 {:7.2} ms  CPU {:5.0} us  {:5.1} MB",
            shot.rate,
            shot.p50_ms,
            shot.cpu_us,
            shot.resident / 1e6
        );
        self.threads("", &shot.threads);
    }

    /// Shows who used the time, but for those who used next to none.
    pub(crate) fn threads(&self, what: &str, threads: &[(String, f64)]) {
        let all = threads.iter().map(|(_, us)| us).sum::<f64>();
        let share = threads.iter().filter(|(_, us)| threads.len() > 1 && *us > all / 100.0);
        let share: Vec<_> = share.map(|(name, us)| format!("{name} {us:.0} us")).collect();
        if !share.is_empty() {
            println!("  {what:<40} {}", share.join(", "));
        }
    }

    /// A row without a goal.
    pub(crate) fn plain(&mut self, what: &str, value: Option<f64>, unit: Unit) {
        self.row(what, value, unit, None, "");
    }

    /// A row whose figure should be large.
    pub(crate) fn at_least(&mut self, what: &str, value: Option<f64>, unit: Unit, must: f64, aim: f64) {
        let result = result(value, |value| value >= must, |value| value >= aim);
        self.row(what, value, unit, Some(("≥", must, aim)), result);
    }

    /// A row whose figure should be small.
    pub(crate) fn at_most(&mut self, what: &str, value: Option<f64>, unit: Unit, must: f64, aim: f64) {
        let result = result(value, |value| value <= must, |value| value <= aim);
        self.row(what, value, unit, Some(("≤", must, aim)), result);
    }

    fn row(
        &mut self,
        what: &str,
        value: Option<f64>,
        unit: Unit,
        goal: Option<(&str, f64, f64)>,
        result: &str,
    ) {
        let value = value.map_or_else(|| "skipped".to_owned(), |value| unit.show(value));
        let (must, aim) = match goal {
            Some((sign, must, aim)) if must == aim => (format!("{sign} {}", unit.show(must)), String::new()),
            Some((sign, must, aim)) => (format!("{sign} {}", unit.show(must)), unit.show(aim)),
            None => Default::default(),
        };
        self.rows.push([what.to_owned(), value, must, aim, result.to_owned()]);
    }

    /// Requests that failed make a run void.
    pub(crate) fn failed(&mut self, what: &str, failed: u64) {
        if failed > 0 {
            self.void.push(format!("{what}: {failed} were not answered as they should"));
        }
    }

    /// An nginx that is not steady makes a run void.
    pub(crate) fn spread(&mut self, what: &str, rates: &[f64]) {
        let (low, high) =
            rates.iter().fold((f64::MAX, 0.0), |(low, high), rate| (rate.min(low), rate.max(high)));
        if high > low * (1.0 + MOST_SPREAD) {
            self.void.push(format!("{what}: between {low:.0} and {high:.0}/s, more than 15 % apart"));
        }
    }

    /// So does a disk that is not.
    pub(crate) fn commits(&mut self, before: Duration, after: Duration) {
        let (low, high) = (before.min(after).as_secs_f64(), before.max(after).as_secs_f64());
        if high > low * (1.0 + MOST_DRIFT) {
            self.void.push(format!("a raw commit took {before:.0?} before and {after:.0?} after"));
        }
        self.plain("a raw commit, before", Some(before.as_secs_f64() * 1e6), Unit::Micros);
        self.plain("a raw commit, after", Some(after.as_secs_f64() * 1e6), Unit::Micros);
    }

    /// So does other work on the machine.
    pub(crate) fn others(&mut self, share: f64) {
        self.others = self.others.max(share);
    }

    /// Prints what was found.
    pub(crate) fn print(mut self, took: Duration) {
        if self.others > MOST_OTHERS {
            self.void.push(format!("others used {:.0} % of the machine", self.others * 100.0));
        }
        self.rows.insert(0, ["", "measured", "must", "aim", ""].map(str::to_owned));
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max();
        let [a, b, c, d] = [0, 1, 2, 3].map(|column| width(column).unwrap_or_default());
        println!();
        for [what, value, must, aim, result] in &self.rows {
            println!("{what:<a$}  {value:>b$}  {must:>c$}  {aim:>d$}  {result}");
        }
        println!("\ntook {} s", took.as_secs());
        for what in &self.missing {
            println!("!!! {what}");
        }
        if self.quick {
            println!("quick: shows that it works, and is no measure of anything");
        }
        match self.void.as_slice() {
            [] => println!("no rule makes this run void"),
            reasons => println!("THE RUN IS VOID:\n  {}", reasons.join("\n  ")),
        }
    }
}

fn result(value: Option<f64>, must: impl Fn(f64) -> bool, aim: impl Fn(f64) -> bool) -> &'static str {
    match value {
        None => "",
        Some(value) if aim(value) => "reached",
        Some(value) if must(value) => "as it must be",
        Some(_) => "missed",
    }
}
