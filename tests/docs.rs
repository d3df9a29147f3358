//! What the documents show as the project's own text is that text, and where they lead is something.
#![allow(clippy::unwrap_used, reason = "a test that cannot read the repository has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use paymux::config::{AccountConfig, Kind, Setting, Settings};
use paymux::routing::Rules;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents of the root and of `docs`, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let folders = [root().to_owned(), root().join("docs"), root().join("docs/decisions")];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let pages = paths.filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// What stands after `<!-- from <file> -->` in a code block, as pairs of file and code.
fn shown(text: &str) -> Vec<(&str, &str)> {
    let blocks = text.split("<!-- from ").skip(1);
    let shown = blocks.map(|block| {
        let (file, rest) = block.split_once(" -->\n```")?;
        let (_, rest) = rest.split_once('\n')?;
        Some((file, rest.split_once("```")?.0))
    });
    shown.map(|pair| pair.expect("a code block follows the mark")).collect()
}

/// Whether the passages of `code`, cut by lines with `…`, stand in `text`, in this order and whole lines each.
fn stands_in(text: &str, code: &str) -> bool {
    let whole = format!("\n{text}");
    let mut rest = whole.as_str();
    code.split("…\n").all(|passage| match rest.find(&format!("\n{passage}")) {
        Some(at) => {
            rest = &rest[at + passage.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn the_code_that_a_page_shows_is_the_code_of_its_file() {
    let mut blocks = 0;
    for (page, text) in documents() {
        for (file, code) in shown(&text) {
            let real =
                fs::read_to_string(root().join(file)).unwrap_or_else(|fault| panic!("{file}: {fault}"));
            assert!(stands_in(&real, code), "{}: not in {file}:\n{code}", page.display());
            blocks += 1;
        }
    }
    assert!(blocks > 0, "no page shows any code");
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let mut faults = Vec::new();
    for (page, text) in documents() {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let own = targets.filter(|target| !target.is_empty() && !target.contains("://"));
        for target in own.filter(|target| !page.with_file_name(target).exists()) {
            faults.push(format!("{}: {target}", page.display()));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Every line of Rust in the repository's own folders.
fn code() -> String {
    fn read(folder: &Path, text: &mut String) {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                read(&path, text);
            } else if path.extension().is_some_and(|end| end == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    ["src", "crates", "providers", "tests"].iter().for_each(|folder| read(&root().join(folder), &mut text));
    text
}

#[test]
fn every_test_that_a_promise_names_is_there() {
    let page = fs::read_to_string(root().join("docs/money-safety.md")).unwrap();
    let promises = page.lines().filter(|line| line.starts_with("| "));
    let named: Vec<&str> = promises.flat_map(|line| line.split('`').skip(1).step_by(2)).collect();
    let code = code();
    let is_there = |name: &&str| match *name {
        path if path.starts_with("tests/") => root().join(path).exists(),
        name if name.contains('_') => code.contains(&format!("fn {name}(")),
        rule => code.contains(rule) || rule.contains('='),
    };
    let missing: Vec<&&str> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "no such test or rule: {missing:?}");
    assert!(named.len() > 40, "the tables were not read");
}

/// What a file explains at the head of a table: the lines `#   name  text`, each with those that go on with it.
fn explained(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("#   ")) {
        match found.last_mut() {
            Some((_, before)) if line.starts_with(' ') => *before = format!("{before} {}", line.trim()),
            _ => {
                let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
                found.push((name.to_owned(), rest.trim().to_owned()));
            }
        }
    }
    found.into_iter().map(|(name, text)| (name, text.trim().to_lowercase())).collect()
}

/// The same of settings as they are described: the last part of each key, and its text with bounds and default.
fn described(settings: Vec<Setting>) -> Vec<(String, String)> {
    let texts = settings.into_iter().map(|Setting { key, kind, default, help }| {
        let bounds = match kind {
            Kind::Whole(bounds) => Some(format!("{} to {}", bounds.start(), bounds.end())),
            _ => None,
        };
        let more: Vec<String> =
            bounds.into_iter().chain(default.map(|usual| format!("default {usual}"))).collect();
        let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
        let name = key.rsplit('.').next().unwrap().to_owned();
        (name, format!("{}{more}", help.trim().trim_end_matches('.')).to_lowercase())
    });
    texts.collect()
}

#[test]
fn the_files_of_accounts_and_rules_explain_every_setting_and_no_other() {
    for (file, settings) in
        [("config/accounts.toml", AccountConfig::described()), ("config/routing.toml", Rules::described())]
    {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let mut explained = explained(&text);
        let mut described = described(settings);
        explained.sort();
        described.sort();
        assert_eq!(explained, described, "{file}");
    }
}

#[test]
fn the_file_of_the_gateways_own_settings_shows_each_with_its_default_and_what_it_is_for() {
    let text = fs::read_to_string(root().join("config/paymux.toml")).unwrap();
    let mut section = String::new();
    let mut shown = Vec::new();
    for line in text.lines().map(|line| line.strip_prefix('#').unwrap_or(line)) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.replace("merchants.shop", "merchants.*");
        } else if let Some((name, rest)) = line.split_once(" = ").filter(|(name, _)| !name.contains(' ')) {
            let (default, help) = rest.split_once(" # ").unwrap_or((rest, ""));
            shown.push((format!("{section}.{name}"), default.trim().to_owned(), help.to_lowercase()));
        }
    }
    let described = Settings::described().into_iter().map(|Setting { key, kind, default, help }| {
        let more = match kind {
            Kind::Whole(bounds) => format!(" ({} to {})", bounds.start(), bounds.end()),
            Kind::OneOf(texts) => format!(" ({})", texts.join(", ")),
            _ => String::new(),
        };
        (
            key,
            default.unwrap().to_string(),
            format!("{}{more}", help.trim().trim_end_matches('.')).to_lowercase(),
        )
    });
    for (shown, described) in shown.iter().zip(described.clone()) {
        // What a merchant's own policy is by default, and what for, stands at the common one.
        if shown.0.starts_with("merchants.*.policy.") {
            assert_eq!(shown.0, described.0);
        } else {
            assert_eq!(*shown, described);
        }
    }
    assert_eq!(shown.len(), described.count());
}

#[test]
fn a_passage_stands_in_a_text_by_whole_lines_and_in_order() {
    let text = "one\ntwo\nthree\nfour\n";
    for (code, stands) in [
        ("one\ntwo\n", true),
        ("one\n…\nthree\n", true),
        ("three\n…\none\n", false),
        ("one\nthree\n", false),
        ("wo\n", false),
        ("thre\n", false),
    ] {
        assert_eq!(stands_in(text, code), stands, "{code}");
    }
}
