//! Declares settings: the struct with its defaults, and the type, bounds and help of each.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::Value;

use super::settings::{LogFormat, LogLevel, PolicyAction, RequirementSetting};
use super::variants::variants_of;

/// A setting, as an operator writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its dotted path in its file; `*` is a name that the operator gives.
    pub key: String,
    pub kind: Kind,
    /// Its default; `None` for some texts.
    pub default: Option<Value>,
    pub help: &'static str,
}

/// What a setting can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// An IP address with its port, as text.
    Address,
    OneOf(&'static [&'static str]),
    Flag,
    /// A whole number within these bounds.
    Whole(RangeInclusive<i64>),
    /// Text, or a list of texts.
    List,
    Table,
}

impl Setting {
    /// The error of a value, if it is invalid.
    pub(super) fn refusal(&self, value: &Value) -> Option<String> {
        let fits = match (&self.kind, value) {
            (Kind::Text, Value::String(_)) | (Kind::Flag, Value::Boolean(_)) => true,
            (Kind::Address, Value::String(text)) => text.parse::<SocketAddr>().is_ok(),
            (Kind::OneOf(texts), Value::String(text)) => texts.contains(&text.as_str()),
            (Kind::Whole(bounds), Value::Integer(number)) => bounds.contains(number),
            _ => false,
        };
        (!fits).then(|| format!("must be {}", self.kind))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text in quotes"),
            Self::Address => f.write_str("an IP address with its port, such as \"127.0.0.1:8080\""),
            Self::OneOf(texts) => write!(f, "\"{}\"", texts.join("\" or \"")),
            Self::Flag => f.write_str("true or false"),
            Self::List => f.write_str("text in quotes, or a list of at least one"),
            Self::Table => f.write_str("a table"),
            Self::Whole(bounds) => write!(f, "a whole number from {} to {}", bounds.start(), bounds.end()),
        }
    }
}

/// A declared field: its dotted path, help and bounds.
pub(super) type Declared = (String, &'static str, Option<RangeInclusive<i64>>);

/// A setting or a struct of settings.
pub(super) trait Described {
    /// Adds its setting or settings to `found`; `self` is the default.
    fn describe(&self, declared: Declared, found: &mut Vec<Setting>);
}

/// Every setting in `T`, with its path below `key`.
pub(super) fn described<T: Described + Default>(key: &str) -> Vec<Setting> {
    let mut found = Vec::new();
    T::default().describe((key.to_owned(), "", None), &mut found);
    found
}

macro_rules! kinds {
    ($($leaf:ty => $kind:expr;)*) => {$(
        impl Described for $leaf {
            fn describe(&self, (key, help, bounds): Declared, found: &mut Vec<Setting>) {
                let kind = bounds.map_or($kind, Kind::Whole);
                found.push(Setting { key, kind, default: Value::try_from(self).ok(), help });
            }
        }
    )*};
}

kinds! {
    bool => Kind::Flag;
    u32 => Kind::Whole(0..=u32::MAX.into());
    u64 => Kind::Whole(0..=i64::MAX);
    usize => Kind::Whole(0..=i64::MAX);
    String => Kind::Text;
    Option<String> => Kind::Text;
    PathBuf => Kind::Text;
    SocketAddr => Kind::Address;
    LogFormat => Kind::OneOf(variants_of::<Self>());
    LogLevel => Kind::OneOf(variants_of::<Self>());
    RequirementSetting => Kind::OneOf(variants_of::<Self>());
    PolicyAction => Kind::OneOf(variants_of::<Self>());
}

impl<T: Described + Default> Described for BTreeMap<String, T> {
    fn describe(&self, (key, help, bounds): Declared, found: &mut Vec<Setting>) {
        T::default().describe((key + ".*", help, bounds), found);
    }
}

/// Declares structs of settings: each field with what it is for, its type, its default where that is not the type's
/// own, and its bounds where it is a number.
macro_rules! settings {
    ($(
        $(#[$about:meta])*
        $vis:vis struct $name:ident {
            $($(#[doc = $help:literal])+ $key:ident: $kind:ty $(= $default:expr)? $(, $bounds:expr)?;)*
        }
    )*) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $vis struct $name {
            $($(#[doc = $help])+ $vis $key: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: settings!(@default $($default)?),)* }
            }
        }

        impl Described for $name {
            fn describe(&self, (key, ..): Declared, found: &mut Vec<Setting>) {
                let of = if key.is_empty() { key } else { key + "." };
                $(
                    let key = format!("{of}{}", stringify!($key));
                    let bounds = [$($bounds)?].into_iter().next();
                    self.$key.describe((key, concat!($($help),+), bounds), found);
                )*
            }
        }
    )*};
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
}
pub(super) use settings;
