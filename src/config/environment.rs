//! The environment variables, and the references to variables and files in settings.

use std::collections::BTreeMap;
use std::path::Path;

/// The environment variables that settings may use. Holds secrets, so it never prints.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// The longest file of a secret.
const MAX_SECRET: u64 = 64 * 1024;

impl Environment {
    /// The environment that the program was started in. What is not UTF-8 in a value becomes U+FFFD, which no secret may
    /// have.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// Adds a variable, or replaces it.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A variable that is set and not blank, without what surrounds it ([`trimmed`]).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| trimmed(value)).filter(|value| !value.is_empty())
    }

    /// The variables whose names start with `prefix`, with the rest of their names.
    pub(crate) fn starting<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, trimmed(value))))
    }

    /// Why there is no value of a variable.
    fn absence(&self, name: &str) -> String {
        if self.0.contains_key(name) {
            format!("the variable `{name}` is empty")
        } else {
            format!("the environment has no `{name}`")
        }
    }

    /// Resolves a text: `file:path` to the content of that file (relative to `folder`), otherwise each `${NAME}` to its
    /// variable.
    ///
    /// # Errors
    /// What was not found, without any part of a secret.
    pub(crate) fn resolve(&self, text: &str, folder: &Path) -> Result<String, String> {
        if let Some(path) = text.strip_prefix("file:") {
            return read_secret(&folder.join(path)).map_err(|why| format!("`{path}` cannot be read: {why}"));
        }
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, reference)) = rest.split_once("${") {
            let (name, after) = reference.split_once('}').ok_or("has a `${` without its `}`")?;
            let value = self.get(name).ok_or_else(|| self.absence(name))?;
            resolved.push_str(before);
            resolved.push_str(value);
            rest = after;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }
}

/// Whether a text is nothing but a reference, so that it holds no part of a secret itself.
pub(crate) fn is_reference(text: &str) -> bool {
    let variable = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    text.starts_with("file:") || variable.is_some_and(|name| !name.contains(['$', '{', '}']))
}

fn read_secret(path: &Path) -> Result<String, std::io::Error> {
    if std::fs::metadata(path)?.len() > MAX_SECRET {
        return Err(std::io::Error::other("too long for a secret"));
    }
    let text = std::fs::read_to_string(path)?;
    match trimmed(&text) {
        "" => Err(std::io::Error::other("is empty")),
        secret => Ok(secret.to_owned()),
    }
}

/// A value without the blanks and line ends around it and without the byte order mark that some editors write: what tools
/// add to a secret on its way to a file or a variable.
fn trimmed(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_and_missing_ones_named() {
        let environment =
            Environment::default().with("HOST", "127.0.0.1").with("PORT", "81").with("EMPTY", "");
        let resolve = |text| environment.resolve(text, Path::new("."));
        assert_eq!(resolve("http://${HOST}:${PORT}/x").as_deref(), Ok("http://127.0.0.1:81/x"));
        assert_eq!(resolve("plain $HOST").as_deref(), Ok("plain $HOST"));
        assert_eq!(resolve("${KEY}"), Err("the environment has no `KEY`".to_owned()));
        assert_eq!(resolve("${EMPTY}"), Err("the variable `EMPTY` is empty".to_owned()));
        assert!(resolve("${HOST").is_err());
    }

    #[test]
    fn a_file_and_a_variable_give_the_same_secret_without_what_surrounds_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "s3cret\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        let resolve = |text| Environment::default().resolve(text, folder.path());
        assert_eq!(resolve("file:key").as_deref(), Ok("s3cret"));
        for text in ["s3cret\r\n", " s3cret \t\n\n", "\u{feff}s3cret", "\u{feff} s3cret"] {
            std::fs::write(folder.path().join("key"), text).unwrap();
            assert_eq!(resolve("file:key").as_deref(), Ok("s3cret"), "{text:?} in a file");
            let environment = Environment::default().with("KEY", text);
            let variable = environment.resolve("${KEY}", folder.path());
            assert_eq!(variable.as_deref(), Ok("s3cret"), "{text:?} in a variable");
        }
        assert_eq!(Environment::default().with("KEY", " \n").get("KEY"), None);
        assert!(resolve("file:empty").unwrap_err().contains("is empty"));
        assert!(resolve("file:absent").unwrap_err().starts_with("`absent` cannot be read"));
    }

    #[test]
    fn only_a_whole_reference_is_one() {
        for reference in ["${KEY}", "file:/run/secrets/key", "file:key"] {
            assert!(is_reference(reference), "{reference}");
        }
        for literal in ["", "sk_live_1", "sk_${KEY}", "${A}${B}", "$KEY", "${A}-rest"] {
            assert!(!is_reference(literal), "{literal}");
        }
    }
}
