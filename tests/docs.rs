//! What the documents show as the project's own text is that text, and where they lead is something.
#![allow(clippy::unwrap_used, reason = "a test that cannot read the repository has failed")]

use std::fs;
use std::path::{Path, PathBuf};

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
