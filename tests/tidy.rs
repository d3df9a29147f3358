//! The architecture tests: what no compiler checks and a review would have to. Each fault names its file and line.
//!
//! Two blocks of the documents are made from the adapters themselves: `PAYMUX_BLESS=1 cargo test --test tidy` writes them.
#![allow(clippy::unwrap_used, reason = "a test that cannot read the repository has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use paymux::config::{AccountConfig, Environment, Providers, SANDBOX_ACCOUNTS};
use paymux_providers::ALL;
use port::{
    About, Approach, CancelSupport, CaptureSupport, Captures, Evidence, Lookup, NotificationAuth,
    RefundSupport, Row, StatusMapping, StatusTable, VaultSupport,
};

/// Which module may import which others. `app` stands on top and may import all; `port` is for everyone.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &[]),
    ("metrics", &[]),
    ("crash", &[]),
    ("bucket", &[]),
    ("loops", &["metrics"]),
    ("routing", &["config"]),
    ("store", &["domain", "metrics", "crash"]),
    ("outbound", &[]),
    ("engine", &["domain", "store", "metrics"]),
    ("payments", &["domain", "engine", "routing", "store", "metrics", "crash", "bucket"]),
    ("webhooks", &["domain", "engine", "store", "metrics"]),
    ("orders", &["domain", "engine", "routing", "payments", "store"]),
    ("inbox", &["domain", "engine", "payments", "store", "metrics"]),
    ("audit", &["domain", "engine", "store"]),
    ("jobs", &["domain", "engine", "payments", "orders", "inbox", "audit", "webhooks", "store", "metrics"]),
    (
        "http",
        &[
            "domain", "engine", "config", "metrics", "bucket", "routing", "store", "outbound", "payments",
            "webhooks", "orders", "inbox", "audit", "jobs", "loops",
        ],
    ),
];

/// Libraries, and the modules that alone may name them. `app` starts the threads that actix-web serves on.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("config", &["config"]),
    ("prometheus", &["metrics"]),
    ("rusqlite", &["store"]),
    ("reqwest", &["outbound"]),
    ("actix_web", &["http", "app"]),
    ("clap", &["app"]),
    ("paymux_providers", &["app"]),
    ("paymux_sandbox", &["app"]),
];

/// Where money is counted, so where no float may be.
const EXACT: &[&str] = &[
    "crates/port/src",
    "providers",
    "src/domain",
    "src/engine",
    "src/routing",
    "src/payments",
    "src/orders",
    "src/store",
];

const MAX_FILE: usize = 500;
/// The lines of an adapter's folder without its tests. One that needs more asks what the port should offer.
const MAX_ADAPTER: usize = 830;

/// The files of an adapter, beside its `exchanges/`; `vault.rs` where there is one, and tests.
const ADAPTER_FILES: &str =
    "README.md mod.rs odd_answers.txt request.rs response.rs statuses.toml tests.rs vault.rs";

/// A file of the repository: its path from the root and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module of a file under `src`: the first part of its path.
    fn module(&self) -> Option<&str> {
        let first = self.path.strip_prefix("src/")?.split('/').next()?;
        match first.trim_end_matches(".rs") {
            "lib" => None,
            "main" => Some("app"),
            module => Some(module),
        }
    }

    fn place(&self, offset: usize) -> String {
        format!("{}:{}", self.path, self.text[..offset].matches('\n').count() + 1)
    }

    /// The offsets where `word` stands by itself, outside lines that are comments.
    fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.text.match_indices(word).map(|(at, _)| at).filter(move |at| {
            let line = self.text[..*at].rfind('\n').map_or(0, |end| end + 1);
            let comment = self.text[line..].trim_start().starts_with("//");
            let within = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let (before, after) = self.text.split_at(*at);
            !comment && !within(before.chars().next_back()) && !within(after[word.len()..].chars().next())
        })
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// Every file below the folders with one of these endings.
fn sources(folders: &[&str], endings: &[&str]) -> Vec<Source> {
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|fault| panic!("{}: {fault}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| path.extension().is_some_and(|found| found == *ending)) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap().display().to_string();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty());
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The modules named by `crate::module` and `crate::{module, other::…}`, with their places.
fn imports(source: &Source) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for at in source.words("crate") {
        let Some(rest) = source.text[at..].strip_prefix("crate::") else { continue };
        let parts = if rest.starts_with('{') { top_level(group(rest)) } else { vec![rest] };
        for part in parts {
            let name: String = part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((name, at));
        }
    }
    found
}

/// What stands between the first brace and the one that closes it.
fn group(text: &str) -> &str {
    let mut depth = 0;
    let end = text.find(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0
    });
    &text[1..end.unwrap_or(text.len())]
}

/// The parts between commas that stand in no inner braces.
fn top_level(text: &str) -> Vec<&str> {
    let mut depth = 0;
    text.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0 && c == ','
    })
    .collect()
}

#[test]
fn modules_import_only_what_stands_below_them() {
    let mut faults = Vec::new();
    for source in sources(&["src"], &["rs"]) {
        let Some(module) = source.module().filter(|module| *module != "app") else { continue };
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            faults.push(format!("{}: module `{module}` is not in LAYERS", source.path));
            continue;
        };
        for (name, at) in imports(&source) {
            let another = name == "app" || LAYERS.iter().any(|(module, _)| *module == name);
            if another && name != module && !below.contains(&name.as_str()) {
                faults.push(format!("{}: `{module}` may not import `{name}`", source.place(at)));
            }
        }
    }
    none(&faults);
}

#[test]
fn each_library_stays_in_its_module() {
    let mut faults = Vec::new();
    for source in sources(&["src"], &["rs"]) {
        let Some(module) = source.module() else { continue };
        for (library, _) in LIBRARIES.iter().filter(|(_, owners)| !owners.contains(&module)) {
            // A module of the same name is meant, unless the path starts at the outside.
            let shared = LAYERS.iter().any(|(module, _)| module == library);
            for at in source.words(library) {
                let (before, after) = source.text.split_at(at);
                let outside =
                    before.strip_suffix("::").map(|before| !before.ends_with(char::is_alphanumeric));
                if outside.unwrap_or(!shared) && after[library.len()..].starts_with("::") {
                    faults.push(format!("{}: `{module}` may not name `{library}`", source.place(at)));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn every_library_is_used() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let code = sources(&["src", "tests", "benches"], &["rs"]);
    let names = ["dependencies", "dev-dependencies"].into_iter().filter_map(|list| manifest[list].as_table());
    let unused = names.flat_map(|list| list.keys()).filter(|name| {
        let name = name.replace('-', "_");
        !code.iter().any(|source| source.words(&name).next().is_some())
    });
    let faults: Vec<String> = unused.map(|name| format!("Cargo.toml: nothing uses `{name}`")).collect();
    none(&faults);
}

#[test]
fn no_file_is_too_long() {
    let mut faults = Vec::new();
    for source in sources(&["src", "crates", "providers", "tests", "benches"], &["rs"]) {
        let lines = source.text.lines().count();
        if lines > MAX_FILE {
            faults.push(format!("{}: {lines} lines, {MAX_FILE} at most", source.path));
        }
    }
    none(&faults);
}

/// The sources of an adapter without its tests.
fn adapter(name: &str) -> Vec<Source> {
    let mut found = sources(&[&format!("providers/{name}")], &["rs"]);
    found.retain(|source| !source.path.ends_with("/tests.rs"));
    found
}

#[test]
fn every_adapter_has_the_same_files_and_is_small() {
    let mut faults = Vec::new();
    for about in ALL {
        let folder = root().join("providers").join(about.name);
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()) {
            let name = entry.file_name().into_string().unwrap();
            if name != "exchanges" && !ADAPTER_FILES.split(' ').any(|known| known == name) {
                faults.push(format!("providers/{}/{name}: an adapter has no such file", about.name));
            }
        }
        let required = ADAPTER_FILES.split(' ').filter(|name| !matches!(*name, "tests.rs" | "vault.rs"));
        let missing = required.filter(|name| !folder.join(name).exists());
        faults.extend(missing.map(|name| format!("providers/{}/{name}: is missing", about.name)));
        let lines: usize = adapter(about.name).iter().map(|source| source.text.lines().count()).sum();
        if lines > MAX_ADAPTER {
            faults.push(format!("providers/{}: {lines} lines, {MAX_ADAPTER} at most", about.name));
        }
    }
    none(&faults);
}

#[test]
fn no_adapter_names_a_status_of_its_table() {
    let mut faults = Vec::new();
    for about in ALL {
        let table = StatusTable::parse(about.statuses).unwrap();
        let rows = table.rows().map(|(_, status, _)| status);
        let statuses: BTreeSet<&str> = rows.chain(table.plain_rows().map(|(_, status, ..)| status)).collect();
        for source in adapter(about.name) {
            let named = source.text.split('"').skip(1).step_by(2);
            let named = named.filter(|text| statuses.contains(text.to_ascii_lowercase().as_str()));
            faults
                .extend(named.map(|text| format!("{}: \"{text}\" is read by the table alone", source.path)));
        }
    }
    none(&faults);
}

#[test]
fn every_folder_of_an_adapter_is_listed_under_its_name() {
    let entries = fs::read_dir(root().join("providers")).unwrap().map(|entry| entry.unwrap());
    let folders =
        entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap());
    let mut folders: Vec<String> = folders.collect();
    folders.sort();
    let listed: Vec<&str> = ALL.iter().map(|about| about.name).collect();
    assert_eq!(folders, listed, "`ALL` in providers/lib.rs lists the folders, by name");
}

#[test]
fn money_is_never_a_float() {
    let mut faults = Vec::new();
    for source in sources(EXACT, &["rs"]) {
        for float in ["f32", "f64"] {
            faults.extend(source.words(float).map(|at| format!("{}: {float}", source.place(at))));
        }
    }
    none(&faults);
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let home = option_env!("HOME").unwrap_or_default();
    let machine =
        [env!("CARGO_MANIFEST_DIR"), home].map(|folder| format!("{}/", folder.trim_end_matches('/')));
    let mut faults = Vec::new();
    for source in
        sources(&["src", "crates", "providers", "tests", "benches", "docs", "config"], &["rs", "md", "toml"])
    {
        for path in machine.iter().filter(|path| path.len() > 1) {
            // A folder of ours may be called like the end of such a path, but has something before it.
            let inside =
                |at: usize| source.text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-".contains(c));
            let found = source.text.match_indices(path.as_str()).filter(|(at, _)| !inside(*at));
            faults.extend(found.map(|(at, _)| format!("{}: {path}", source.place(at))));
        }
    }
    none(&faults);
}

#[test]
fn the_shipped_accounts_are_in_order_once_their_variables_are_set() {
    let accounts = read("config/accounts.toml");
    let mut environment = Environment::default().with("PAYMUX_SANDBOX_URL", "http://127.0.0.1:8090");
    for (at, _) in accounts.match_indices("${") {
        let name = accounts[at + 2..].split('}').next().unwrap();
        environment = environment.with(name, "whsec_0123456789abcdef0123456789abcdef");
    }
    let providers = Providers { known: ALL, environment: &environment, allow_private_addresses: true };
    for (file, text) in
        [("config/accounts.toml", accounts.as_str()), ("config/sandbox.toml", SANDBOX_ACCOUNTS)]
    {
        let read =
            AccountConfig::parse(file, text, &providers).unwrap_or_else(|faults| panic!("\n{faults}\n"));
        let names: Vec<&str> = read.iter().map(|account| account.name.as_str()).collect();
        assert_eq!(names, ["decta-demo", "paymennt-demo", "telness-demo"], "{file}");
    }
}

#[test]
fn the_provider_table_says_what_the_adapters_say() {
    let mut table =
        "| Provider | Checkout | Manual capture | Closes | Refunds | Currencies | Payment profiles | \
                     Notifications | After a lost answer | Exchanges |\n|---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for about in ALL {
        table.push_str(&provider_row(about));
    }
    compare("README.md", "providers", &table);
}

fn provider_row(about: &About) -> String {
    let capabilities = &about.capabilities;
    let approaches = capabilities.approaches.iter().map(|approach| match approach {
        Approach::Hosted => "hosted",
        Approach::Embedded => "embedded",
        Approach::Link if capabilities.delivers_links => "link (sent too)",
        Approach::Link => "link",
    });
    let capture = match capabilities.capture {
        CaptureSupport::Automatic => "–",
        CaptureSupport::ManualToo(Captures::One) => "once",
        CaptureSupport::ManualToo(Captures::Many) => "in parts",
    };
    let cancel = match capabilities.cancel {
        CancelSupport::None => "–",
        CancelSupport::Unpaid => "unpaid page",
        CancelSupport::Authorization => "authorization",
        CancelSupport::Both => "unpaid page, authorization",
    };
    let refund = match capabilities.refund {
        RefundSupport::None => "–",
        RefundSupport::Full => "whole",
        RefundSupport::Partial => "in parts",
    };
    let only = if capabilities.currencies.only.is_empty() {
        "any".to_owned()
    } else {
        capabilities.currencies.only.join(", ")
    };
    let stored = capabilities.vault.map_or("–".to_owned(), |vault| payment_profiles(&vault));
    let proof_of_origin = match capabilities.notification_auth {
        NotificationAuth::Signed => "signed",
        NotificationAuth::SharedKey => "shared key",
        NotificationAuth::AddressKey => "key in the address",
        NotificationAuth::None => "–",
    };
    let lookup = match capabilities.lookup {
        Lookup::None => "–",
        Lookup::ByProviderReference => "found by their id",
        Lookup::ByMerchantReference => "found by our reference",
    };
    format!(
        "| [{}](providers/{}/README.md) | {} | {capture} | {cancel} | {refund} | {only}, {} decimals | {stored} | \
         {proof_of_origin} | {lookup} | {} |\n",
        about.title,
        about.name,
        approaches.collect::<Vec<_>>().join(", "),
        capabilities.currencies.max_decimals,
        exchanges(about.name),
    )
}

fn payment_profiles(vault: &VaultSupport) -> String {
    let stored = vault.approaches.iter().map(|by| format!("stored {}", <&str>::from(*by).to_lowercase()));
    let (pays, lists) = ((vault.payments_store, "stored by paying"), (vault.lists, "listed"));
    let rest = [pays, lists, (vault.charges, "charged"), (vault.detaches, "deleted")];
    let rest = rest.into_iter().filter(|(can, _)| *can).map(|(_, name)| name.to_owned());
    stored.chain(rest).collect::<Vec<_>>().join(", ")
}

/// How many of an adapter's exchanges were recorded, and how many are a reading of the documents.
fn exchanges(provider: &str) -> String {
    let files = sources(&[&format!("providers/{provider}/exchanges")], &["http"]);
    let recorded = files.iter().filter(|file| file.text.starts_with("# recorded")).count();
    format!("{recorded} recorded, {} from documents", files.len() - recorded)
}

#[test]
fn the_status_tables_say_what_the_adapters_say() {
    let mut tables = String::new();
    for about in ALL {
        let table = StatusTable::parse(about.statuses).unwrap();
        let _ = write!(tables, "**{}**, from: {}.\n\n", about.title, table.source().trim_end_matches('.'));
        tables.push_str("| object | statuses | meaning | evidence |\n|---|---|---|---|\n");
        let mut rows: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (of, status, row) in table.rows() {
            let mapped = if let StatusMapping::Status(mapped) = row.meaning { Ok(mapped) } else { Err(()) };
            rows.entry((of, mapped, meaning(status, row), proof(row.evidence)))
                .or_default()
                .push(format!("`{status}`"));
        }
        for (of, status, meaning, evidence) in table.plain_rows() {
            let key = (of, Err(()), meaning.to_owned(), proof(evidence));
            rows.entry(key).or_default().push(format!("`{status}`"));
        }
        for ((of, _, meaning, proof), statuses) in rows {
            let _ = writeln!(tables, "| {of} | {} | {meaning} | {proof} |", statuses.join(", "));
        }
        tables.push('\n');
    }
    compare("docs/status-model.md", "statuses", tables.trim_end_matches('\n'));
}

fn meaning(status: &str, row: &Row) -> String {
    let spelt = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut meaning = match row.meaning {
        StatusMapping::Status(mapped) => mapped.as_str().to_owned(),
        StatusMapping::Unchanged => "no change".to_owned(),
        StatusMapping::FromAmounts => "what the amounts say".to_owned(),
        StatusMapping::Reversed => "REFUNDED if it was captured, else CANCELLED".to_owned(),
        StatusMapping::Unmapped => unreachable!("no row says so"),
    };
    if let Some(stage) = row.stage.map(|stage| spelt(serde_json::json!(stage))) {
        let same = stage.eq_ignore_ascii_case(status);
        meaning.push_str(if same { ", at the stage of that name" } else { ", stage " });
        meaning.push_str(if same { "" } else { &stage });
    }
    if let Some(detail) = row.detail {
        let _ = write!(meaning, ", detail {}", spelt(serde_json::json!(detail)));
    }
    if row.terminal { meaning + ", final" } else { meaning }
}

fn proof(proof: Evidence) -> &'static str {
    match proof {
        Evidence::Seen => "seen",
        Evidence::Documented => "documented",
        Evidence::Assumed => "assumed",
    }
}

/// Compares what stands between the block's marks with what should, or writes it if asked to.
fn compare(file: &str, block: &str, expected: &str) {
    let (begin, end) = (format!("<!-- {block}:begin -->"), format!("<!-- {block}:end -->"));
    let text = read(file);
    let parts = text.split_once(&begin).and_then(|(head, rest)| Some((head, rest.split_once(&end)?)));
    let Some((head, (found, tail))) = parts else { panic!("{file} has no block {begin} … {end}") };
    let expected = format!("\n{}\n", expected.trim_end());
    if found == expected {
        return;
    }
    assert!(
        std::env::var_os("PAYMUX_BLESS").is_some(),
        "{file}: the block `{block}` is out of date; PAYMUX_BLESS=1 cargo test --test tidy writes it:\n{expected}"
    );
    fs::write(root().join(file), format!("{head}{begin}{expected}{end}{tail}")).unwrap();
}
