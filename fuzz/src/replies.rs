//! What providers answer: one operation of one adapter, whatever comes back of its calls.
//!
//! The first line of the input names the adapter and the operation; lines with `#` change what is asked, as in the
//! recordings; then the answers, each `< status`, `< lost` or `< not sent`, perhaps `Retry-After: seconds`, and the
//! body's bytes up to the next line with `<`.

use std::collections::BTreeSet;
use std::time::Duration;

use paymux_testkit::{ALL, Answer, Operation, Played, Recording, World, settings};
use port::{About, HttpResponse, ProviderError};

use super::message::{TABLES, exact};

/// The longest text of an error, bytes: 300 characters of a provider's, and our own words.
const MAX_ERROR: usize = 2_000;

/// No operation calls more often than this.
const MAX_CALLS: usize = 10;

/// How much longer than the input the facts may be: what is kept of the order itself, and the order's ids.
const MAX_OWN_BYTES: usize = 16_384;

/// No adapter panics; every amount it reports is one that stands in an answer, but for what a binary float leaves, or
/// was asked for; without a 2xx it reports nothing; it stays within its bounds and its place.
pub fn replies(input: &[u8]) {
    let mut sections = sections(input).into_iter();
    let head = String::from_utf8_lossy(sections.next().unwrap_or_default()).into_owned();
    let (first, options) = head.split_once('\n').unwrap_or((&head, ""));
    let (adapter, operation) = first.split_once(' ').unwrap_or((first, ""));
    let adapter = choose(adapter, ALL.iter().map(|about| about.name));
    let about = ALL[adapter];
    let (operation, name) = Operation::ALL[choose(operation, Operation::ALL.iter().map(|(_, name)| *name))];
    let answers: Vec<Answer> = sections.filter_map(answer).collect();
    let world = world(about, operation, name, options);
    let played = world.play(about, operation, answers.clone());
    let facts = played.facts(&TABLES[adapter]);
    amounts_are_exact(&facts, &answers, &world);
    only_success_says_anything(&facts, &answers);
    errors_are_short(&played);
    calls_stay_in_their_place(&played, operation);
    let size: usize = facts.iter().map(String::len).sum();
    assert!(size <= 4 * input.len() + MAX_OWN_BYTES, "{size} bytes of facts from {}", input.len());
}

/// The input cut at each line that begins with `< `: the head, and one section for each answer.
fn sections(input: &[u8]) -> Vec<&[u8]> {
    let mut rest = input;
    let mut sections = Vec::new();
    while let Some(end) = rest.windows(3).position(|three| three == b"\n< ") {
        sections.push(&rest[..end]);
        rest = &rest[end + 3..];
    }
    sections.push(rest);
    sections
}

/// Where a text stands among the names; any other text means one of them too, always the same.
fn choose(wanted: &str, names: impl ExactSizeIterator<Item = &'static str>) -> usize {
    let other = wanted.bytes().map(usize::from).sum::<usize>() % names.len();
    names.enumerate().find(|(_, name)| *name == wanted).map_or(other, |(at, _)| at)
}

fn answer(section: &[u8]) -> Option<Answer> {
    let (first, rest) = line(section);
    let status = match first {
        "lost" => return Some(Answer::Lost),
        "not sent" => return Some(Answer::NotSent),
        status => status.parse().ok().filter(|status| (100..1_000).contains(status))?,
    };
    let waits = line(rest).0.strip_prefix("Retry-After: ").map(str::parse);
    let body = if waits.is_some() { line(rest).1 } else { rest };
    let retry_after = waits.and_then(Result::ok).map(Duration::from_secs);
    Some(Answer::Reply(HttpResponse { status, retry_after, body: body.to_vec() }))
}

/// The first line, empty if it is no text, and what follows.
fn line(bytes: &[u8]) -> (&str, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    (std::str::from_utf8(&bytes[..end]).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default())
}

/// What the head asks for, if it can be read and an adapter can be built with its settings; else the usual.
fn world(about: &'static About, operation: Operation, name: &str, head: &str) -> World {
    let file = format!("{name}_hostile.http");
    let read = Recording::parse(about, &file, &format!("# from documents\n{head}"));
    let options = read.ok().map(|recording| recording.options);
    let options = options.filter(|options| (about.build)(&settings(about, &options.settings)).is_ok());
    options.map_or_else(|| World::usual(operation), |options| World::of(&options))
}

fn amounts_are_exact(facts: &[String], answers: &[Answer], world: &World) {
    let requested = [world.attempt.money, world.captured, world.refund.money];
    let mut numbers: BTreeSet<_> =
        requested.iter().filter_map(|money| exact(&money.to_major().to_string())).collect();
    let mut stated = Vec::new();
    for answer in answers {
        let Answer::Reply(response) = answer else { continue };
        let part = |byte: &u8| !byte.is_ascii_digit() && !b"+-.eE".contains(byte);
        let texts = response.body.split(part).filter_map(|digits| std::str::from_utf8(digits).ok());
        let texts: Vec<_> = texts.collect();
        numbers.extend(texts.iter().copied().filter_map(exact));
        stated.extend(texts);
    }
    for fact in facts {
        let amount = ["total ", "authorized ", "captured ", "refunded ", "disputed "];
        let reported =
            amount.iter().find_map(|name| fact.strip_prefix(name)).and_then(|rest| rest.split_once(' '));
        if let Some((major, _)) = reported {
            let number = exact(major).expect("an amount is a decimal number");
            let said = numbers.contains(&number) || stated.iter().any(|text| is_but_for_noise(major, text));
            assert!(said, "nobody said `{fact}`");
        }
    }
}

/// Whether a number is an amount but for less than a thousandth of the amount's last digit.
fn is_but_for_noise(major: &str, number: &str) -> bool {
    let decimals = major.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let thousandth = u32::try_from(PLACES - 3 - decimals).map_or(0, |places| 10u128.pow(places));
    let both = scaled(major).zip(scaled(number));
    both.is_some_and(|(major, number)| major.abs_diff(number) < thousandth)
}

/// Far more places than any currency has.
const PLACES: usize = 18;

/// A number cut behind so many places, without its point.
fn scaled(number: &str) -> Option<i128> {
    let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.get(..PLACES).unwrap_or(fraction);
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = i32::try_from(PLACES - fraction.len()).ok()?.checked_add(power.parse().ok()?)?;
    let factor = 10i128.checked_pow(places.unsigned_abs());
    if places < 0 { Some(factor.map_or(0, |factor| digits / factor)) } else { digits.checked_mul(factor?) }
}

fn only_success_says_anything(facts: &[String], answers: &[Answer]) {
    let worked = answers.iter().any(|answer| matches!(answer, Answer::Reply(response) if response.ok()));
    let says = ["reference ", "status ", "total ", "captured ", "refunded ", "profile "];
    let said = facts.iter().find(|fact| says.iter().any(|name| fact.starts_with(name)));
    assert!(worked || said.is_none(), "without a 2xx: {said:?}");
    assert!(!facts.iter().any(|fact| fact == "reference "), "an object without an id");
}

fn errors_are_short(played: &Played) {
    let Some(error) = played.error() else { return };
    let said = match error {
        ProviderError::Declined { code, text } | ProviderError::Rejected { code, text } => [code, text],
        _ => [&None, &None],
    };
    let longest = said.into_iter().flatten().map(String::len).max().unwrap_or_default();
    assert!(longest.max(error.to_string().len()) <= MAX_ERROR, "{error:?}");
}

fn calls_stay_in_their_place(played: &Played, operation: Operation) {
    assert!(played.calls.len() <= MAX_CALLS, "{:?}", played.calls);
    for http_request in &played.calls {
        let path = http_request.path.split('?').next().unwrap_or_default();
        let plain = http_request.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        assert!(plain && http_request.path.matches('?').count() <= 1, "{:?}", http_request.path);
        assert!(
            path.starts_with('/') && !path.split('/').any(|part| [".", ".."].contains(&part)),
            "{path:?}"
        );
        assert!(http_request.reads_only() || !operation.only_reads(), "a read that writes: {http_request:?}");
    }
}
