//! Holds every dependency to `deny.toml`: licences, banned crates, where they come from. `cargo deny check` reads the same
//! file and also looks for advisories.
#![allow(clippy::unwrap_used, reason = "a test that cannot read the repository has failed")]

use std::process::Command;

use serde_json::Value;

/// `deny.toml` and what `cargo metadata` says about every package that is built on this machine.
struct Dependencies {
    rules: toml::Table,
    packages: Vec<Value>,
}

impl Dependencies {
    fn read() -> Self {
        let rules = std::fs::read_to_string("deny.toml").unwrap().parse().unwrap();
        let compiler = run("rustc", &["-vV"]);
        let host = compiler.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        // Of other machines the manifests may not be here.
        let options = ["metadata", "--locked", "--format-version", "1", "--filter-platform", host];
        let metadata: Value = serde_json::from_str(&run("cargo", &options)).unwrap();
        let packages = metadata["packages"].as_array().unwrap().clone();
        assert!(packages.len() > 100, "only {} packages", packages.len());
        Self { rules, packages }
    }

    /// A list of the rules: its texts, or the `name` of its tables.
    fn listed(&self, section: &str, list: &str) -> Vec<&str> {
        let entries = self.rules[section][list].as_array().unwrap();
        entries.iter().map(|entry| entry.get("name").unwrap_or(entry).as_str().unwrap()).collect()
    }

    /// Names of the packages for which `is_wrong` holds, with what it says.
    fn wrong(&self, is_wrong: impl Fn(&Value) -> Option<String>) -> Vec<String> {
        let fault = |package: &Value| Some(format!("{}: {}", package["name"], is_wrong(package)?));
        self.packages.iter().filter_map(fault).collect()
    }
}

fn run(program: &str, options: &[&str]) -> String {
    let output = Command::new(program).args(options).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether an SPDX expression is satisfied by the allowed licences. An old one with `/` means OR; an exception is part of
/// its licence's name.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let parts = expression.split(" AND ");
    let choices = |part: &str| part.split(" OR ").any(|licence| allowed.contains(&licence.trim()));
    parts.into_iter().all(choices)
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let known = Dependencies::read();
    let allowed = known.listed("licenses", "allow");
    let none: [String; 0] = [];
    let wrong = known.wrong(|package| {
        let licence = package["license"].as_str().unwrap_or("no licence");
        let ours = package["source"].is_null();
        (!ours && !is_allowed(licence, &allowed)).then(|| licence.to_owned())
    });
    assert_eq!(wrong, none);
}

#[test]
fn no_banned_dependency_and_no_unknown_source_is_used() {
    let known = Dependencies::read();
    let banned = known.listed("bans", "deny");
    let sources: Vec<String> =
        known.listed("sources", "allow-registry").iter().map(|url| format!("registry+{url}")).collect();
    let none: [String; 0] = [];
    let wrong = known.wrong(|package| {
        let name = package["name"].as_str().unwrap();
        banned.contains(&name).then(|| "is banned".to_owned())
    });
    assert_eq!(wrong, none);
    let wrong = known.wrong(|package| {
        let source = package["source"].as_str()?;
        (!sources.iter().any(|known| known == source)).then(|| source.to_owned())
    });
    assert_eq!(wrong, none);
}

#[test]
fn a_licence_is_allowed_if_every_part_of_it_offers_an_allowed_one() {
    let allowed = ["MIT", "ISC"];
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("Apache-2.0/MIT", true),
        ("(Apache-2.0 OR MIT) AND ISC", true),
        ("(Apache-2.0 OR MIT) AND GPL-3.0", false),
        ("MIT WITH LLVM-exception", false),
        ("no licence", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
