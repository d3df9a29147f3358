//! Loads the settings in layers: defaults, file, environment; each overrides the ones before.
//!
//! Every given value is validated first, so that each error has its position. A value with an error is left out, so that what
//! depends on the other settings can still be checked.

use std::path::Path;

use ::config::Config;
use toml::Table;

use super::document::{Document, Value};
use super::environment::Environment;
use super::error::{ConfigError, ConfigErrors, did_you_mean};
use super::setting::{Kind, Setting};
use super::settings::Settings;

/// The prefix of settings in the environment; `__` also separates their parts.
const PREFIX: &str = "PAYMUX__";

/// A given setting: its dotted path, value and position.
struct Given {
    key: String,
    value: toml::Value,
    file: String,
    line: Option<u32>,
    name: String,
}

impl Given {
    fn fault(&self, message: String) -> ConfigError {
        ConfigError { file: self.file.clone(), line: self.line, key: self.name.clone(), message }
    }
}

impl Settings {
    /// Reads the settings: the defaults, then `file` if there is one, then the environment's `PAYMUX__SECTION__KEY`.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigErrors> {
        let (settings, faults) = Self::load_partly(file, environment)?;
        faults.or(settings)
    }

    /// As [`Settings::load`], but with what is wrong beside the settings, of which those that are right are set.
    ///
    /// # Errors
    /// Only if the file cannot be read at all.
    pub fn load_partly(
        file: Option<&Path>,
        environment: &Environment,
    ) -> Result<(Self, ConfigErrors), ConfigErrors> {
        let name = file.map(|path| path.display().to_string()).unwrap_or_default();
        let text = match file {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|why| ConfigErrors::unreadable(&name, &why))?
            }
            None => String::new(),
        };
        Self::read(&name, &text, environment)
    }

    /// As [`Settings::load_partly`], with the text of the file.
    pub(crate) fn read(
        file: &str,
        text: &str,
        environment: &Environment,
    ) -> Result<(Self, ConfigErrors), ConfigErrors> {
        let mut given = in_file(file, text)?;
        given.extend(in_environment(environment));
        let mut faults: Vec<ConfigError> = misspelled(environment).collect();
        given.retain(|one| {
            let complaint = complaint(one);
            let fits = complaint.is_none();
            faults.extend(complaint.map(|message| one.fault(message)));
            fits
        });
        let disagreed = |fault: ::config::ConfigError| {
            let (file, message) = (file.to_owned(), fault.to_string());
            ConfigErrors(vec![ConfigError { file, line: None, key: String::new(), message }])
        };
        let settings = layered(&given).map_err(disagreed)?;
        faults.extend(settings.contradictions().into_iter().filter_map(|(keys, message)| {
            let place = given.iter().rfind(|one| keys.contains(&one.key.as_str()))?;
            Some(place.fault(message))
        }));
        Ok((settings, ConfigErrors(faults)))
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

/// Variables that would be settings if `__` stood where it should. Others that begin alike may be anybody's.
fn misspelled(environment: &Environment) -> impl Iterator<Item = ConfigError> {
    let known = Settings::described();
    let own = environment.starting("PAYMUX_").filter(|(rest, _)| !rest.starts_with('_'));
    own.filter_map(move |(rest, _)| {
        let text = rest.to_lowercase().replace("__", "_");
        let key = known.iter().find_map(|setting| key_of(&text, &setting.key))?;
        let meant = key.to_uppercase().replace('.', "__");
        Some(ConfigError {
            file: "environment".to_owned(),
            line: None,
            key: format!("PAYMUX_{rest}"),
            message: format!("is not read; did you mean `{PREFIX}{meant}`?"),
        })
    })
}

/// The key that a described one is in this text, whose parts are separated by `_`.
fn key_of(text: &str, described: &str) -> Option<String> {
    let joined = |key: &str| key.replace('.', "_");
    let Some((before, after)) = described.split_once(".*.") else {
        return (joined(described) == text).then(|| described.to_owned());
    };
    let name = text.strip_prefix(&joined(before))?.strip_suffix(&joined(after))?;
    let name = name.strip_prefix('_')?.strip_suffix('_').filter(|name| is_name(name))?;
    Some(format!("{before}.{name}.{after}"))
}

/// Converts a text to the type of its setting, if it can be parsed.
fn typed(key: &str, text: &str) -> toml::Value {
    let read = match find(key).map(|setting| setting.kind) {
        Some(Kind::Whole(_)) => text.parse().ok().map(toml::Value::Integer),
        Some(Kind::Flag) => text.parse().ok().map(toml::Value::Boolean),
        _ => None,
    };
    read.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// The error of a single value.
fn complaint(given: &Given) -> Option<String> {
    let Some(setting) = find(&given.key) else { return Some(unknown(&given.key)) };
    let refusal = setting.refusal(&given.value);
    let text = given.value.as_str().unwrap_or_default();
    let further = match given.key.as_str() {
        "server.public_url" if !is_public_url(text) => {
            "must be an http or https address without user, password and query, and without a slash at its end"
        }
        "store.path" if text.is_empty() => "must name a file",
        "store.path" if text.ends_with('/') || Path::new(text).is_dir() => "must name a file, not a folder",
        _ => return refusal,
    };
    refusal.or_else(|| Some(further.to_owned()))
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

/// The described path: with `*` for a merchant's name. `None` if the name is invalid.
fn pattern(key: &str) -> Option<String> {
    let Some(rest) = key.strip_prefix("merchants.") else { return Some(key.to_owned()) };
    let (name, below) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    is_name(name).then(|| format!("merchants.*{below}"))
}

fn find(key: &str) -> Option<Setting> {
    let pattern = pattern(key)?;
    Settings::described().into_iter().find(|setting| setting.key == pattern)
}

/// Whether there are settings below this path, so that an empty table with its name is allowed.
fn is_section(key: &str) -> bool {
    let Some(above) = pattern(key).map(|pattern| pattern + ".") else { return false };
    Settings::described().iter().any(|setting| setting.key.starts_with(&above))
}

/// Whether a name can be used in addresses, metric labels and environment variables.
pub(crate) fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=40).contains(&name.len()) && name.bytes().all(letter)
}

/// Merges the layers. A merchant's policy starts from the common one.
fn layered(given: &[Given]) -> Result<Settings, ::config::ConfigError> {
    let mut builder = Config::builder();
    for one in given {
        builder = builder.set_override(&one.key, from_toml(&one.value))?;
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
    /// Values that contradict each other, with the keys of which at least one was given.
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
        let public = url.username().is_empty() && url.password().is_none();
        let bare = url.query().is_none() && url.fragment().is_none() && !text.ends_with('/');
        web && public && bare && text.bytes().all(|byte| byte.is_ascii_graphic())
    })
}
