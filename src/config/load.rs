//! Layers the settings: built-in defaults, the file, the environment, flags; each over the one before.
//!
//! Every value that anybody gives is first compared with what is described, so that each error is found and has its
//! place. Only a set without errors is then layered.

use std::path::Path;

use ::config::{Config, File, FileFormat};
use toml::Table;

use super::document::{Document, Value};
use super::environment::Environment;
use super::error::{ConfigError, ConfigErrors, did_you_mean};
use super::setting::{Kind, Setting};
use super::settings::Settings;

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
        value: node.plain(),
        file: file.to_owned(),
        line: Some(node.line),
    });
    Ok(given.collect())
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
    let read = match find(key).map(|setting| setting.kind) {
        Some(Kind::Whole(_)) => text.parse().ok().map(toml::Value::Integer),
        Some(Kind::Flag) => text.parse().ok().map(toml::Value::Boolean),
        _ => None,
    };
    read.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// What is wrong with one given value by itself.
fn complaint(given: &Given) -> Option<String> {
    let Some(setting) = find(&given.key) else { return Some(unknown(&given.key)) };
    let refusal = setting.refusal(&given.value);
    if refusal.is_none()
        && given.key == "server.public_url"
        && !given.value.as_str().is_some_and(is_public_url)
    {
        return Some(
            "must be an http or https address without query and without a slash at its end".to_owned(),
        );
    }
    refusal
}

fn unknown(key: &str) -> String {
    if is_section(key) {
        return "must be a table".to_owned();
    }
    let known = Settings::described();
    let known = known.iter().map(|setting| setting.key.as_str());
    match key.strip_prefix("merchants.").and_then(|rest| rest.split_once('.')) {
        Some((name, _)) if !is_name(name) => {
            "a merchant's name has small letters, digits, `-` and `_`".to_owned()
        }
        Some((name, rest)) => {
            let hint = did_you_mean(rest, known.filter_map(|key| key.strip_prefix("merchants.*.")));
            format!("is not a known key of merchant `{name}`{hint}")
        }
        None => format!("is not a known key{}", did_you_mean(key, known)),
    }
}

/// A path as it is described: with `*` for the name of a merchant. `None` where that is no name.
fn pattern(key: &str) -> Option<String> {
    let Some(rest) = key.strip_prefix("merchants.") else { return Some(key.to_owned()) };
    let (name, below) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    is_name(name).then(|| format!("merchants.*{below}"))
}

fn find(key: &str) -> Option<Setting> {
    let pattern = pattern(key)?;
    Settings::described().into_iter().find(|setting| setting.key == pattern)
}

/// Whether settings can stand below this path, so that an empty table of its name says nothing.
fn is_section(key: &str) -> bool {
    let Some(above) = pattern(key).map(|pattern| pattern + ".") else { return false };
    Settings::described().iter().any(|setting| setting.key.starts_with(&above))
}

/// A name that can stand in addresses, labels and the environment.
pub(crate) fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=40).contains(&name.len()) && name.bytes().all(letter)
}

/// Puts the layers over each other. A merchant's policy starts from the common one.
fn layered(text: &str, given: &[Given]) -> Result<Settings, ::config::ConfigError> {
    let mut builder = Config::builder().add_source(File::from_str(text, FileFormat::Toml));
    for outside in given.iter().filter(|one| one.line.is_none()) {
        builder = builder.set_override(&outside.key, from_toml(&outside.value))?;
    }
    let common: Settings = builder.build_cloned()?.try_deserialize()?;
    let policy = Table::try_from(common.policy).expect("a policy is texts");
    for name in common.merchants.keys() {
        for (key, value) in &policy {
            builder = builder.set_default(format!("merchants.{name}.policy.{key}"), from_toml(value))?;
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
