//! Amounts are sent and read exactly, whatever the decimals of their currency.

use std::collections::BTreeMap;

use libtest_mimic::Failed;
use paymux_port::{Currency, Decimal, HttpRequest, Money};
use serde_json::Value;

use super::{Rule, RuleResult, Subject, every, must, some};
use crate::world::{checkout, currency, euros, generated_order};
use crate::{Answer, Operation, Played, Recording, World};

pub(super) const RULES: &[Rule] = &[
    every("an amount leaves exactly, in yen, euros and dinars", amounts_leave_exactly),
    every("whatever the order, what leaves adds up to what is asked", orders_add_up),
    some("an amount comes back exactly, in yen, euros and dinars", states_amounts, amounts_come_back_exactly),
    some("a digit that a currency does not have is never rounded away", states_amounts, nothing_is_rounded),
    some("an amount is of the currency that the provider says", states_amounts, currencies_are_as_reported),
];

/// How a provider writes amounts.
#[derive(Clone, Copy)]
enum Units {
    Major,
    Minor,
}

impl Units {
    fn of(self, money: Money) -> Decimal {
        match self {
            Self::Major => money.to_major(),
            Self::Minor => Decimal::whole(money.minor),
        }
    }
}

fn amounts_leave_exactly(subject: &Subject) -> RuleResult {
    let capabilities = &subject.about.capabilities;
    for recording in usual_starts(subject) {
        let units = units(recording)?;
        for (code, minor) in
            [("JPY", 1250), ("JPY", 7), ("EUR", 30), ("EUR", 1999), ("KWD", 1230), ("KWD", 1234)]
        {
            let money = Money::new(minor, currency(code));
            if capabilities.currencies.ineligible_because(money).is_some() {
                continue;
            }
            let sent = begin(subject, recording, money)?.calls;
            let written = sent
                .iter()
                .any(|http_request| numbers_of(http_request).any(|number| same(number, units.of(money))));
            must(written, || format!("{}: {money} is nowhere in what leaves", recording.file))?;
        }
    }
    Ok(())
}

fn orders_add_up(subject: &Subject) -> RuleResult {
    for recording in usual_starts(subject) {
        let units = units(recording)?;
        for seed in 0..60 {
            let (money, request) = generated_order(seed, currency(if seed % 3 == 0 { "JPY" } else { "EUR" }));
            let mut world = World::of(&recording.options);
            world.attempt.money = money;
            world.request.clone_from(&request);
            let play = |stated: Money| {
                let answers =
                    recording.steps.iter().map(|step| restated(&step.answer, euros(1250), stated, units));
                world.play(subject.about, Operation::Create, answers.collect())
            };
            // Discounts and taxes may be the provider's to work out, if its price is compared with what is asked.
            let plain = request.discount == 0 && (request.tax_included || request.tax == 0);
            let compared = || play(Money::new(money.minor + 1, money.currency)).failed();
            must(adds_up(&play(money).calls, units.of(money)) || (!plain && compared()), || {
                format!("{}: order {seed} of {money} leaves as other amounts", recording.file)
            })?;
        }
    }
    Ok(())
}

fn states_amounts(subject: &Subject) -> bool {
    subject.working(Operation::Fetch).any(|recording| !stated_names(recording).is_empty())
}

fn amounts_come_back_exactly(subject: &Subject) -> RuleResult {
    for (recording, units) in telling_reads(subject) {
        for (code, minor) in [("JPY", 1250), ("EUR", 30), ("KWD", 1230), ("KWD", 1234)] {
            let money = Money::new(minor, currency(code));
            let played = fetch(subject, recording, money, units.of(money), units);
            let facts = played.facts(&subject.table);
            for name in stated_names(recording) {
                let expected = format!("{name} {money}");
                must(facts.contains(&expected), || {
                    format!("{}: not `{expected}`, but {facts:?}", recording.file)
                })?;
            }
        }
    }
    Ok(())
}

fn nothing_is_rounded(subject: &Subject) -> RuleResult {
    for (recording, units) in telling_reads(subject) {
        for (code, digits, decimals) in
            [("EUR", 12_505, 3), ("EUR", 299_999, 4), ("JPY", 125, 1), ("KWD", 12_345, 4)]
        {
            let currency = currency(code);
            let too_fine = match units {
                Units::Major => Decimal::new(digits, decimals),
                Units::Minor => Decimal::new(digits, 1),
            };
            let played = fetch(subject, recording, Money::new(1250, currency), too_fine, units);
            let facts = played.facts(&subject.table);
            let rounded = stated_names(recording)
                .into_iter()
                .find(|name| facts.iter().any(|fact| fact.starts_with(*name)));
            must(rounded.is_none(), || {
                format!("{}: {too_fine} {code} was read as {facts:?}", recording.file)
            })?;
        }
    }
    Ok(())
}

/// A provider may answer with dollars to a request in euros; the adapter must report that.
fn currencies_are_as_reported(subject: &Subject) -> RuleResult {
    for (recording, units) in telling_reads(subject) {
        let (requested, stated_money) = (euros(1250), Money::new(1250, currency("USD")));
        let answers =
            recording.steps.iter().map(|step| restated(&step.answer, requested, stated_money, units));
        let played = World::of(&recording.options).play(subject.about, Operation::Fetch, answers.collect());
        let facts = played.facts(&subject.table);
        let mistaken = facts.iter().find(|fact| fact.ends_with(" EUR"));
        must(mistaken.is_none(), || {
            format!("{}: the answer says USD, it says {mistaken:?}", recording.file)
        })?;
    }
    Ok(())
}

/// The recorded starts of the usual order.
fn usual_starts(subject: &Subject) -> impl Iterator<Item = &Recording> {
    subject.working(Operation::Create).filter(|recording| {
        recording.options.money == euros(1250) && recording.options.adapter_state.is_empty()
    })
}

fn begin(subject: &Subject, recording: &Recording, money: Money) -> Result<Played, Failed> {
    let units = units(recording)?;
    let mut world = World::of(&recording.options);
    world.attempt.money = money;
    world.request = checkout(money);
    let answers = recording.steps.iter().map(|step| restated(&step.answer, euros(1250), money, units));
    Ok(world.play(subject.about, Operation::Create, answers.collect()))
}

fn fetch(subject: &Subject, recording: &Recording, money: Money, stated: Decimal, units: Units) -> Played {
    let mut world = World::of(&recording.options);
    world.attempt.money = money;
    world.request = checkout(money);
    let from = units.of(euros(1250));
    let answers = recording.steps.iter().map(|step| replaced(&step.answer, from, stated, money.currency));
    world.play(subject.about, Operation::Fetch, answers.collect())
}

/// The reads that state the payment's own amount, and how their provider writes it.
fn telling_reads(subject: &Subject) -> impl Iterator<Item = (&Recording, Units)> {
    subject.working(Operation::Fetch).filter(|recording| !stated_names(recording).is_empty()).map(
        |recording| {
            let bodies = recording.steps.iter().filter_map(|step| match &step.answer {
                Answer::Reply(response) => Some(String::from_utf8_lossy(&response.body).into_owned()),
                Answer::NotSent | Answer::Lost => None,
            });
            let major = Units::Major.of(euros(1250));
            let major = bodies.into_iter().any(|body| numbers(&body).any(|number| same(number, major)));
            (recording, if major { Units::Major } else { Units::Minor })
        },
    )
}

/// Which facts of a recording state the payment's own amount.
fn stated_names(recording: &Recording) -> Vec<&str> {
    let amount = euros(1250).to_string();
    let facts = recording.expected.iter().filter_map(|fact| fact.split_once(' '));
    facts.filter(|(_, value)| *value == amount).map(|(name, _)| name).collect()
}

/// How a start writes the usual order, as a total or line by line.
fn units(recording: &Recording) -> Result<Units, Failed> {
    let recorded: String =
        recording.steps.iter().map(|step| format!("{} {} ", step.path, step.body)).collect();
    let writes = |units: Units, minor| numbers(&recorded).any(|number| same(number, units.of(euros(minor))));
    let found = [Units::Major, Units::Minor]
        .into_iter()
        .find(|units| writes(*units, 1250) || (writes(*units, 400) && writes(*units, 300)));
    found.ok_or_else(|| format!("{}: EUR 12.50 is nowhere in what leaves", recording.file).into())
}

/// An answer that states another amount.
fn restated(answer: &Answer, from: Money, to: Money, units: Units) -> Answer {
    replaced(answer, units.of(from), units.of(to), to.currency)
}

fn replaced(answer: &Answer, from: Decimal, to: Decimal, currency: Currency) -> Answer {
    let Answer::Reply(response) = answer else { return answer.clone() };
    let body = String::from_utf8_lossy(&response.body).replace("\"EUR\"", &format!("\"{currency}\""));
    let number = |run: &str| match run.parse() {
        Ok(number) if same(number, from) => to.to_string(),
        _ => run.to_owned(),
    };
    let mut response = response.clone();
    response.body = runs(&body).into_iter().map(number).collect::<String>().into_bytes();
    Answer::Reply(response)
}

/// Whether the total is in what was sent, or some part of its lines, or product of two parts, sums up to it.
fn adds_up(sent: &[HttpRequest], total: Decimal) -> bool {
    if sent.iter().any(|http_request| numbers_of(http_request).any(|number| same(number, total))) {
        return true;
    }
    let bodies = sent.iter().filter_map(|http_request| serde_json::from_slice(&http_request.body).ok());
    let mut objects: BTreeMap<Vec<String>, Vec<Value>> = BTreeMap::new();
    bodies.for_each(|body: Value| gather(body, &mut objects));
    let Some(total) = scaled(total).and_then(|total| total.checked_mul(scaled(Decimal::whole(1))?)) else {
        return false;
    };
    let part = |object: &Value, key: &String| scaled(object[key].to_string().parse().ok()?);
    objects.into_iter().any(|(keys, alike)| {
        let sums_up = |one: &String, other: Option<&String>| {
            let factor = |it| other.map_or(scaled(Decimal::whole(1)), |other| part(it, other));
            let mut products = alike.iter().map(|it| part(it, one)?.checked_mul(factor(it)?));
            products.try_fold(0i128, |sum, product| sum.checked_add(product?)) == Some(total)
        };
        keys.iter().any(|one| sums_up(one, None) || keys.iter().any(|other| sums_up(one, Some(other))))
    })
}

/// Every object in a body, those of one kind together.
fn gather(value: Value, objects: &mut BTreeMap<Vec<String>, Vec<Value>>) {
    match value {
        Value::Array(several) => several.into_iter().for_each(|one| gather(one, objects)),
        Value::Object(fields) => {
            fields.values().cloned().for_each(|field| gather(field, objects));
            let keys = fields.keys().cloned().collect();
            objects.entry(keys).or_default().push(Value::Object(fields));
        }
        _ => {}
    }
}

fn numbers_of(http_request: &HttpRequest) -> impl Iterator<Item = Decimal> {
    let text = format!("{} {}", http_request.path, String::from_utf8_lossy(&http_request.body));
    numbers(&text).collect::<Vec<_>>().into_iter()
}

fn numbers(text: &str) -> impl Iterator<Item = Decimal> {
    runs(text).into_iter().filter_map(|run| run.parse().ok())
}

/// The text cut where words and numbers begin and end.
fn runs(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
    let (mut runs, mut start, mut inside) = (Vec::new(), 0, false);
    for (index, c) in text.char_indices() {
        if is_part(c) != inside {
            runs.push(&text[start..index]);
            (start, inside) = (index, !inside);
        }
    }
    runs.push(&text[start..]);
    runs
}

fn same(one: Decimal, other: Decimal) -> bool {
    scaled(one).is_some() && scaled(one) == scaled(other)
}

/// In millionths, which are finer than any currency or line.
fn scaled(number: Decimal) -> Option<i128> {
    number.scaled(6).ok()
}
