//! Errors of the configuration, with file, line and key.

use std::fmt;

/// One error with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or `environment`.
    pub file: String,
    /// Its line, counted from 1, where it has lines.
    pub line: Option<u32>,
    /// The key as a dotted path; empty where the file as a whole is meant.
    pub key: String,
    /// What is wrong with it. Never the value of a secret.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All errors, one per line. Not empty when returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// The one error of a file that cannot be read at all.
    pub(crate) fn unreadable(file: &str, why: &std::io::Error) -> Self {
        let message = format!("cannot be read: {why}");
        Self(vec![ConfigError { file: file.to_owned(), line: None, key: String::new(), message }])
    }

    /// Adds the errors of another file, if it has any, and returns its value otherwise.
    pub fn gather<T>(&mut self, read: Result<T, Self>) -> Option<T> {
        read.map_err(|more| self.0.extend(more.0)).ok()
    }

    /// `value`, if nothing is wrong.
    ///
    /// # Errors
    /// These errors, if there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// `; did you mean …?` if one of the known names is close to `name`, else nothing.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let most = 1 + name.chars().count() / 4;
    let near = known.into_iter().map(|other| (strsim::levenshtein(name, other), other)).min();
    match near {
        Some((edits, other)) if edits <= most => format!("; did you mean `{other}`?"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_file_line_key_and_what() {
        let error = |line, key: &str| ConfigError {
            file: "accounts.toml".to_owned(),
            line,
            key: key.to_owned(),
            message: "`secret_key` is missing".to_owned(),
        };
        let errors = ConfigErrors(vec![error(Some(12), "accounts.decta"), error(None, "")]);
        assert_eq!(
            errors.to_string(),
            "accounts.toml:12: accounts.decta: `secret_key` is missing\naccounts.toml: `secret_key` is missing"
        );
    }

    #[test]
    fn a_close_name_is_suggested_and_a_distant_one_is_not() {
        let known = ["listen", "workers", "public_url"];
        assert_eq!(did_you_mean("listn", known), "; did you mean `listen`?");
        assert_eq!(did_you_mean("wrokers", known), "; did you mean `workers`?");
        assert_eq!(did_you_mean("publc_urls", known), "; did you mean `public_url`?");
        assert_eq!(did_you_mean("colour", known), "");
        assert_eq!(did_you_mean("x", []), "");
    }
}
