//! The names of the project are those of its glossary: no name has a word that the glossary rules out, and every word
//! of a public name is explained there or plain.
//!
//! What rules a word out is the table under [`UNUSED`] in `docs/glossary.md`; plain words are listed under [`PLAIN`].
#![allow(clippy::unwrap_used, reason = "a test that cannot read the repository has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const GLOSSARY: &str = "docs/glossary.md";

/// The heading of the words that no name has.
const UNUSED: &str = "## Words that are not used";

/// The heading of the words that public names may have without an explanation.
const PLAIN: &str = "## Plain words";

/// Where Rust is declared.
const CODE: &[&str] = &["src", "crates", "providers", "tests", "benches", "fuzz"];

/// Where public names are declared: fields of answers and requests, types of events, metrics with their labels, codes
/// of problems, addresses.
const PUBLIC: &[&str] = &[
    "src/domain/view.rs",
    "src/domain/view/",
    "src/domain/event.rs",
    "src/http/input/",
    "src/http/problem/catalogue.rs",
    "src/http/routes.rs",
    "src/metrics.rs",
    "src/webhooks/types.rs",
];

/// What declares a name.
const DECLARING: &[&str] = &["fn", "struct", "enum", "union", "trait", "mod", "const", "static", "type"];

/// A text of the repository, by its path from the root.
struct Source {
    path: String,
    text: String,
}

/// A name where it is declared.
struct Name {
    place: String,
    name: String,
}

/// A row of the table of unused words.
struct Rule {
    words: Vec<String>,
    instead: String,
    /// Names, and folders or files (those with a `/`), where the word means something else.
    exceptions: Vec<String>,
}

impl Rule {
    fn excepts(&self, name: &Name) -> bool {
        self.exceptions.iter().any(|exception| {
            if exception.contains('/') { name.place.starts_with(exception) } else { *exception == name.name }
        })
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` that ends in `ending`.
fn sources(folder: &str, ending: &str) -> Vec<Source> {
    let mut folders: Vec<PathBuf> = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(root()).unwrap().display().to_string(), text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// The words of a name: `qrCodeUrl`, `qr_code_url` and `QR_CODE_URL` are `qr`, `code`, `url`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        let begins = letter.is_ascii_uppercase() && before.is_ascii_lowercase();
        if begins || !letter.is_ascii_alphabetic() {
            words.push(String::new());
        }
        if letter.is_ascii_alphabetic() {
            words.last_mut().unwrap().push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A line without quoted texts and comments.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for letter in line.trim().chars() {
        match letter {
            '"' if !escaped => quoted = !quoted,
            _ if !quoted => code.push(letter),
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
    }
    code.split("//").next().unwrap().to_owned()
}

fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|name| !name.is_empty())
}

/// What a line declares: items by their keyword, and the variables of a `let`.
fn declared(code: &str) -> Vec<&str> {
    let all: Vec<&str> = identifiers(code).collect();
    let items = all.windows(2).filter(|pair| DECLARING.contains(&pair[0])).map(|pair| pair[1]);
    let lets = code.split("let ").skip(1).flat_map(|rest| {
        let pattern = rest.split('=').next().unwrap();
        let pattern = if pattern.contains('{') { pattern } else { pattern.split(": ").next().unwrap() };
        let variable = |name: &&str| name.starts_with(|first: char| first.is_ascii_lowercase());
        identifiers(pattern).filter(variable)
    });
    items.chain(lets).filter(|name| !matches!(*name, "mut" | "ref" | "fn" | "_")).collect()
}

/// What a line in the body of a struct or an enum declares: its first name, and whatever has a type.
fn members(code: &str) -> Vec<&str> {
    let parts = code.split(['{', '(', ',']).map(|part| part.trim().trim_start_matches("pub "));
    let fields = parts.filter_map(|part| part.split_once(": ").map(|(name, _)| name));
    let visibility = ["pub", "crate", "super"];
    let first = identifiers(code).find(|name| !visibility.contains(name));
    let names = fields.filter(|name| identifiers(name).next() == Some(name)).chain(first);
    BTreeSet::from_iter(names).into_iter().collect()
}

/// The names that a file declares. The names of tests are sentences, and none of these.
fn declarations(source: &Source) -> Vec<Name> {
    let mut found = Vec::new();
    let mut is_test = false;
    // How many braces are open in the body of a struct or an enum.
    let mut depth = 0;
    for (number, line) in source.text.lines().enumerate() {
        let code = code_of(line);
        if code.starts_with("#[") {
            is_test |= code.contains("test]") || code.contains("::test(");
            is_test &= !code.contains("cfg(");
            continue;
        }
        let place = || format!("{}:{}", source.path, number + 1);
        let is_body = depth > 0;
        if is_body || ["struct ", "enum ", "union "].iter().any(|keyword| code.contains(keyword)) {
            depth += code.matches('{').count();
            depth = depth.saturating_sub(code.matches('}').count());
        }
        let names = if is_body { members(&code) } else { declared(&code) };
        let names = names.into_iter().skip(usize::from(is_test && code.contains("fn ")));
        found.extend(names.map(|name| Name { place: place(), name: name.to_owned() }));
        is_test &= code.is_empty();
    }
    found
}

/// The public names of a file: quoted texts that have the form of a name, the fields of views, and the labels of metrics.
fn public_names(source: &Source) -> Vec<Name> {
    let text = source.text.split("#[cfg(test)]").next().unwrap();
    let mut found = Vec::new();
    let has_none = |line: &str| {
        let attribute = line.starts_with("#[") && !line.contains("rename = ");
        attribute || line.starts_with("//") || line.contains("env!")
    };
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !has_none(line.trim())) {
        let quoted = line.split('"').skip(1).step_by(2).filter(|text| is_name(text));
        let field = line.strip_prefix("    ").and_then(|rest| rest.split_once(": "));
        let field = field.filter(|(name, rest)| is_name(name) && rest.ends_with(',') && !rest.contains('('));
        let field = field.filter(|_| source.path.starts_with("src/domain/view"));
        let labels = line.split(['(', ' ']).filter_map(|part| part.strip_suffix(':'));
        let labels = labels.filter(|name| is_name(name) && line.contains("\"paymux_"));
        let names = quoted.chain(field.map(|(name, _)| name)).chain(labels);
        let place = format!("{}:{}", source.path, number + 1);
        found.extend(names.map(|name| Name { place: place.clone(), name: name.to_owned() }));
    }
    found
}

/// Whether a text has the form of a name or an address, and is no sentence.
fn is_name(text: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "_.-/{}".contains(letter);
    text.len() > 1
        && text.chars().all(letter)
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
}

/// The keys and sections of the configuration files, also those that are commented out.
fn config_names() -> Vec<Name> {
    let mut found = Vec::new();
    for source in sources("config", "toml") {
        for (number, line) in source.text.lines().enumerate() {
            let line = line.strip_prefix('#').unwrap_or(line);
            let section = line.strip_prefix('[').map(|rest| rest.trim_matches(['[', ']']));
            let key = line.split_once(" = ").map(|(key, _)| key);
            let place = format!("{}:{}", source.path, number + 1);
            let name = section.map(|section| section.split('.').next().unwrap()).or(key);
            let name = name.filter(|name| is_name(name));
            found.extend(name.map(|name| Name { place, name: name.to_owned() }));
        }
    }
    found
}

fn public() -> Vec<Name> {
    let code = sources("src", "rs");
    let is_public =
        |path: &str| PUBLIC.iter().any(|public| path.starts_with(public)) && !path.ends_with("/tests.rs");
    let of_public = code.iter().filter(|source| is_public(&source.path));
    of_public.flat_map(public_names).chain(config_names()).collect()
}

/// Every name of the code and of the public surface.
fn all_names() -> Vec<Name> {
    let code = CODE.iter().flat_map(|folder| sources(folder, "rs"));
    code.flat_map(|source| declarations(&source)).chain(public()).collect()
}

/// The lines below a heading of the glossary, up to the next one.
fn section<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = page.lines().skip_while(|line| *line != heading).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    assert!(!lines.is_empty(), "{GLOSSARY} has no section {heading}");
    lines
}

/// The rows of the tables among some lines, as cells, without heads and rules.
fn rows<'a>(lines: &[&'a str]) -> Vec<Vec<&'a str>> {
    let is_row = |(at, line): &(usize, &&str)| {
        let is_head = lines.get(at + 1).is_some_and(|next| next.starts_with("|--"));
        line.starts_with("| ") && !is_head
    };
    let rows = lines.iter().enumerate().filter(is_row);
    rows.map(|(_, line)| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// The parts of a cell.
fn list(cell: &str) -> impl Iterator<Item = String> {
    let parts = cell.split(',').map(|part| part.trim_matches(['`', ' ']));
    parts.filter(|part| !part.is_empty()).map(str::to_owned)
}

fn rules(page: &str) -> Vec<Rule> {
    let table = section(page, UNUSED);
    let rules = rows(&table).into_iter().map(|row| {
        let [unused, instead, exceptions] = row[..] else { panic!("not three cells: {row:?}") };
        let instead = instead.to_owned();
        Rule { words: list(unused).collect(), instead, exceptions: list(exceptions).collect() }
    });
    rules.collect()
}

fn page() -> String {
    fs::read_to_string(root().join(GLOSSARY)).unwrap()
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn no_name_has_a_word_that_the_glossary_rules_out() {
    let page = page();
    let rules = rules(&page);
    let mut by_word: BTreeMap<&str, &Rule> = BTreeMap::new();
    for rule in &rules {
        by_word.extend(rule.words.iter().map(|word| (word.as_str(), rule)));
    }
    let mut faults = Vec::new();
    for name in all_names() {
        for word in words(&name.name) {
            let Some(rule) = by_word.get(word.as_str()).filter(|rule| !rule.excepts(&name)) else { continue };
            faults.push(format!("{}: {}: not `{word}` but {}", name.place, name.name, rule.instead));
        }
    }
    none(&faults);
}

#[test]
fn every_word_of_a_public_name_is_explained_or_plain() {
    let page = page();
    let (terms, _) = page.split_once(UNUSED).expect("the terms come first");
    let plain = section(&page, PLAIN).join(" ");
    let known: BTreeSet<String> = words(terms).into_iter().chain(words(&plain)).collect();
    let mut faults = Vec::new();
    for name in public() {
        let unknown = words(&name.name).into_iter().filter(|word| !known.contains(word));
        faults.extend(unknown.map(|word| format!("{}: {}: `{word}`", name.place, name.name)));
    }
    none(&faults);
}

#[test]
fn the_glossary_has_each_term_and_each_unused_word_once_and_no_needless_exception() {
    let page = page();
    let (terms, _) = page.split_once(UNUSED).expect("the terms come first");
    let terms = rows(&terms.lines().collect::<Vec<_>>());
    let rules = rules(&page);
    let names = terms.iter().map(|row| row[0].to_lowercase());
    let names =
        names.chain(rules.iter().flat_map(|rule| rule.words.clone()).map(|word| format!("not {word}")));
    let mut seen = BTreeSet::new();
    let mut faults: Vec<String> = names.filter(|name| !seen.insert(name.clone())).collect();
    let names = all_names();
    for rule in &rules {
        let one = |exception: &String| Rule {
            words: rule.words.clone(),
            instead: String::new(),
            exceptions: vec![exception.clone()],
        };
        let of_rule = |name: &&Name| words(&name.name).iter().any(|word| rule.words.contains(word));
        let used =
            |exception: &&String| names.iter().filter(of_rule).any(|name| one(exception).excepts(name));
        let needless = rule.exceptions.iter().filter(|exception| !used(exception));
        faults.extend(
            needless.map(|exception| format!("{}: {exception} has no such word", rule.words.join(", "))),
        );
    }
    none(&faults);
    assert!(terms.len() > 100 && rules.len() > 10, "the tables were not read");
}

#[test]
fn a_name_is_read_as_its_words() {
    for name in ["qrCodeUrl", "qr_code_url", "QR_CODE_URL", "qr.code-url", "QrCodeUrl2"] {
        assert_eq!(words(name), ["qr", "code", "url"], "{name}");
    }
}

#[test]
fn what_a_line_of_a_type_declares_is_found() {
    for (line, names) in [
        ("pub(crate) order: store::Row,", &["order"][..]),
        ("Lost,", &["Lost"]),
        ("Paid { amount: Money, at: Timestamp },", &["Paid", "amount", "at"]),
        ("Known(order::Row),", &["Known"]),
        ("}", &[]),
    ] {
        assert_eq!(members(&code_of(line)), names, "{line}");
    }
}

#[test]
fn what_a_line_declares_is_found() {
    for (line, names) in [
        ("pub(crate) async fn fetch(&self) -> Fetched {", &["fetch"][..]),
        ("let (first, mut rest): (Vec<u8>, Vec<u8>) = both();", &["first", "rest"]),
        ("if let Some(order) = find() {", &["order"]),
        ("let order: store::Row = load();", &["order"]),
        ("let text = \"let word = fn told\"; // let note", &["text"]),
        ("// fn note", &[]),
        ("const MAX_WAIT: Duration = wait;", &["MAX_WAIT"]),
        ("order.word()", &[]),
    ] {
        let code = code_of(line);
        assert_eq!(declared(&code), names, "{line}");
    }
}
