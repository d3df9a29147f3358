//! Layers the settings: built-in defaults, the file, the environment, flags; each over the one before.
//!
//! Every value that anybody gives is first tried alone on top of the defaults, so that each error is found and has
//! its place. Only a set without errors is then layered.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use ::config::{Config, File, FileFormat};
use serde::Deserialize;
use toml::Table;

use super::document::{Document, Node, Value};
use super::environment::Environment;
use super::error::{ConfigError, ConfigErrors, did_you_mean};
use super::settings::{Merchant, Settings};

/// What the names of settings start with in the environment; `__` also stands between their parts.
const PREFIX: &str = "PAYMUX__";

/// A setting that somebody has given: its dotted path, its value, and where it stands.
struct Given {
    key: String,
    value: toml::Value,
    file: String,
    line: Option<u32>,
    /// As it is called there.
    name: String,
}

impl Given {
    fn fault(&self, message: String) -> ConfigError {
        ConfigError { file: self.file.clone(), line: self.line, key: self.name.clone(), message }
    }
}

impl Settings {
    /// Reads the settings: the defaults, then `file` if there is one, then the environment's `PAYMUX__SECTION__KEY`,
    /// then `flags` as pairs of dotted path and value.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(
        file: Option<&Path>,
        environment: &Environment,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigErrors> {
        let name = file.map(|path| path.display().to_string()).unwrap_or_default();
        let text = match file {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|why| ConfigErrors::unreadable(&name, &why))?
            }
            None => String::new(),
        };
        Self::read(&name, &text, environment, flags)
    }

    /// As [`Settings::load`], with the text of the file.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn read(
        file: &str,
        text: &str,
        environment: &Environment,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigErrors> {
        let mut given = in_file(file, text)?;
        given.extend(in_environment(environment));
        given.extend(flags.iter().map(|(key, value)| Given {
            key: (*key).to_owned(),
            value: typed(key, value),
            file: "command line".to_owned(),
            line: None,
            name: (*key).to_owned(),
        }));
        let faults = given.iter().filter_map(|one| Some(one.fault(complaint(one)?)));
        ConfigErrors(faults.collect()).or(())?;
        let disagreed = |fault: ::config::ConfigError| {
            let (file, message) = (file.to_owned(), fault.to_string());
            ConfigErrors(vec![ConfigError { file, line: None, key: String::new(), message }])
        };
        let settings = layered(text, &given).map_err(disagreed)?;
        let faults = settings.contradictions().into_iter().filter_map(|(keys, message)| {
            let place = given.iter().rfind(|one| keys.contains(&one.key.as_str()))?;
            Some(place.fault(message))
        });
        ConfigErrors(faults.collect()).or(settings)
    }
}

fn in_file(file: &str, text: &str) -> Result<Vec<Given>, ConfigErrors> {
    let document = Document::parse(file, text)?;
    let leaves = document.root().leaves().into_iter();
    let values = leaves.filter(|(key, node)| !(matches!(node.value, Value::Table(_)) && is_section(key)));
    let given = values.map(|(key, node)| Given {
        name: key.clone(),
        key,
        value: plain(node),
        file: file.to_owned(),
        line: Some(node.line),
    });
    Ok(given.collect())
}

/// The value as `toml` has it. What no setting can be becomes a date, which none accepts.
fn plain(node: &Node) -> toml::Value {
    match &node.value {
        Value::Text(text) => toml::Value::String(text.clone()),
        Value::Whole(number) => toml::Value::Integer(*number),
        Value::Flag(flag) => toml::Value::Boolean(*flag),
        Value::List(nodes) => toml::Value::Array(nodes.iter().map(plain).collect()),
        Value::Table(_) | Value::Other => toml::Value::Array(Vec::new()),
    }
}

fn in_environment(environment: &Environment) -> impl Iterator<Item = Given> {
    environment.starting(PREFIX).map(|(rest, value)| {
        let key = rest.to_lowercase().replace("__", ".");
        Given {
            value: typed(&key, value),
            key,
            file: "environment".to_owned(),
            line: None,
            name: format!("{PREFIX}{rest}"),
        }
    })
}

/// A text from outside as the kind of value that the setting wants, where it can be read so.
fn typed(key: &str, text: &str) -> toml::Value {
    let read = match known_value(key) {
        Some(toml::Value::Integer(_)) => text.parse().ok().map(toml::Value::Integer),
        Some(toml::Value::Boolean(_)) => text.parse().ok().map(toml::Value::Boolean),
        _ => None,
    };
    read.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// What is wrong with one given value, tried alone.
fn complaint(given: &Given) -> Option<String> {
    if known_value(&given.key).is_none() {
        return Some(unknown(&given.key));
    }
    let mut table = Table::new();
    put(&mut table, &given.key, given.value.clone());
    let tried = Settings::deserialize(toml::Value::Table(table));
    match tried {
        Ok(settings) => {
            settings.out_of_range().into_iter().find(|(key, _)| *key == given.key).map(|(_, why)| why)
        }
        Err(fault) => Some(fault.message().to_owned()),
    }
}

fn unknown(key: &str) -> String {
    let known = known_values();
    let below = format!("{key}.");
    if known.keys().any(|known| known.starts_with(&below)) {
        return "must be a table".to_owned();
    }
    match key.strip_prefix("merchants.").and_then(|rest| rest.split_once('.')) {
        Some((name, _)) if !is_name(name) => {
            "a merchant's name has small letters, digits, `-` and `_`".to_owned()
        }
        Some((name, rest)) => {
            let known = leaves_of(&Merchant::default());
            let hint = did_you_mean(rest, known.keys().map(String::as_str));
            format!("is not a known key of merchant `{name}`{hint}")
        }
        None => format!("is not a known key{}", did_you_mean(key, known.keys().map(String::as_str))),
    }
}

/// The default value of a setting, which also shows its kind; `None` if there is no such setting.
fn known_value(key: &str) -> Option<toml::Value> {
    match key.strip_prefix("merchants.").and_then(|rest| rest.split_once('.')) {
        Some((name, rest)) if is_name(name) => leaves_of(&Merchant::default()).remove(rest),
        Some(_) => None,
        None => known_values().remove(key),
    }
}

/// Whether settings can stand below this path, so that an empty table of its name says nothing.
fn is_section(key: &str) -> bool {
    let of_merchant = key.strip_prefix("merchants.").map(|rest| rest.split_once('.').unwrap_or((rest, "")));
    let (path, known) = match of_merchant {
        Some((name, path)) if is_name(name) => (path, leaves_of(&Merchant::default())),
        Some(_) => return false,
        None => (key, known_values()),
    };
    let above = |known: &String| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    (of_merchant.is_some() && path.is_empty()) || key == "merchants" || known.keys().any(above)
}

fn known_values() -> BTreeMap<String, toml::Value> {
    leaves_of(&Settings::default())
}

/// A name that can stand in addresses, labels and the environment.
pub(crate) fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=40).contains(&name.len()) && name.bytes().all(letter)
}

/// Every value of a structure by its dotted path.
fn leaves_of(settings: &impl serde::Serialize) -> BTreeMap<String, toml::Value> {
    fn collect(path: &str, value: toml::Value, leaves: &mut BTreeMap<String, toml::Value>) {
        match value {
            toml::Value::Table(table) => {
                let dot = if path.is_empty() { "" } else { "." };
                for (key, value) in table {
                    collect(&format!("{path}{dot}{key}"), value, leaves);
                }
            }
            leaf => {
                leaves.insert(path.to_owned(), leaf);
            }
        }
    }
    let mut leaves = BTreeMap::new();
    let table = toml::Value::try_from(settings).expect("settings are texts, numbers and flags");
    collect("", table, &mut leaves);
    leaves
}

fn put(table: &mut Table, path: &str, value: toml::Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let below = table.entry(head).or_insert_with(|| toml::Value::Table(Table::new()));
            if let toml::Value::Table(below) = below {
                put(below, rest, value);
            }
        }
    }
}

/// Puts the layers over each other. A merchant's policy starts from the common one.
fn layered(text: &str, given: &[Given]) -> Result<Settings, ::config::ConfigError> {
    let mut builder = Config::builder().add_source(File::from_str(text, FileFormat::Toml));
    for outside in given.iter().filter(|one| one.line.is_none()) {
        builder = builder.set_override(&outside.key, from_toml(&outside.value))?;
    }
    let common: Settings = builder.build_cloned()?.try_deserialize()?;
    for name in common.merchants.keys() {
        for (key, value) in leaves_of(&common.policy) {
            builder = builder.set_default(format!("merchants.{name}.policy.{key}"), from_toml(&value))?;
        }
    }
    builder.build()?.try_deserialize()
}

fn from_toml(value: &toml::Value) -> ::config::Value {
    match value {
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Boolean(flag) => (*flag).into(),
        other => other.as_str().unwrap_or_default().into(),
    }
}

impl Settings {
    /// Values that are of the right kind and make no sense.
    fn out_of_range(&self) -> Vec<(&'static str, String)> {
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (server, limits, checkout) = (&self.server, &self.limits, &self.checkout);
        let (outbound, store) = (&self.outbound, &self.store);
        let ranges: [(&str, u64, RangeInclusive<u64>); 18] = [
            ("server.workers", wide(server.workers), 0..=256),
            ("server.request_timeout_s", server.request_timeout_s, 1..=300),
            ("server.shutdown_s", server.shutdown_s, 1..=300),
            ("store.queue", wide(store.queue), 1..=65_536),
            ("store.batch", wide(store.batch), 1..=1_024),
            ("store.keep_notifications_days", store.keep_notifications_days.into(), 7..=3_650),
            ("limits.body_bytes", wide(limits.body_bytes), 1_024..=1_048_576),
            ("limits.notification_bytes", wide(limits.notification_bytes), 1_024..=65_536),
            ("limits.requests_per_second", limits.requests_per_second.into(), 1..=100_000),
            ("limits.requests_burst", limits.requests_burst.into(), 1..=100_000),
            ("limits.notifications_per_second", limits.notifications_per_second.into(), 1..=10_000),
            ("checkout.expires_in_s", checkout.expires_in_s, 300..=604_800),
            ("checkout.link_expires_in_s", checkout.link_expires_in_s, 300..=604_800),
            ("orders.expire_after_days", self.orders.expire_after_days.into(), 1..=365),
            ("outbound.connect_timeout_ms", outbound.connect_timeout_ms, 100..=30_000),
            ("outbound.read_timeout_ms", outbound.read_timeout_ms, 100..=120_000),
            ("outbound.timeout_ms", outbound.timeout_ms, 100..=120_000),
            ("webhooks.timeout_ms", self.webhooks.timeout_ms, 1_000..=30_000),
        ];
        let outside = ranges.into_iter().filter(|(_, number, range)| !range.contains(number));
        let mut wrong: Vec<_> = outside
            .map(|(key, _, range)| (key, format!("must be from {} to {}", range.start(), range.end())))
            .collect();
        if !is_public_url(&server.public_url) {
            let message = "must be an http or https address without query and without a slash at its end";
            wrong.push(("server.public_url", message.to_owned()));
        }
        wrong
    }

    /// Values that make no sense together, with the keys of which one must have been given.
    fn contradictions(&self) -> Vec<([&'static str; 2], String)> {
        let (server, outbound) = (&self.server, &self.outbound);
        let mut wrong = Vec::new();
        if server.listen == server.ops_listen && server.listen.port() != 0 {
            let message = "`server.listen` and `server.ops_listen` are the same";
            wrong.push((["server.listen", "server.ops_listen"], message.to_owned()));
        }
        for (part, time_ms) in [
            ("outbound.connect_timeout_ms", outbound.connect_timeout_ms),
            ("outbound.read_timeout_ms", outbound.read_timeout_ms),
        ] {
            if time_ms > outbound.timeout_ms {
                let message = format!("`{part}` is longer than `outbound.timeout_ms`");
                wrong.push(([part, "outbound.timeout_ms"], message));
            }
        }
        wrong
    }
}

fn is_public_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        web && url.query().is_none() && url.fragment().is_none() && !text.ends_with('/')
    })
}
