//! Creates an adapter: a folder that compiles and whose failing rules ask the right questions.

use std::fs;
use std::path::Path;

/// Why no adapter was created.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// The name is not one that a folder, a key and a label can share.
    #[error("a name is small letters and digits, beginning with a letter")]
    Name,
    /// There is such a folder.
    #[error("there is a folder of that name")]
    Exists,
    /// `providers/lib.rs` does not look as expected.
    #[error("providers/lib.rs does not list modules and adapters, one on each line")]
    List,
    /// The file system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// The adapter that every new one starts as; compiled here, so that it always compiles there.
#[cfg(test)]
#[path = "../scaffold/mod.rs"]
mod acme;

const FILES: [(&str, &str); 7] = [
    ("mod.rs", include_str!("../scaffold/mod.rs")),
    ("request.rs", include_str!("../scaffold/request.rs")),
    ("response.rs", include_str!("../scaffold/response.rs")),
    ("odd_answers.txt", include_str!("../scaffold/odd_answers.txt")),
    ("statuses.toml", include_str!("../scaffold/statuses.toml")),
    ("README.md", include_str!("../scaffold/README.md")),
    ("exchanges/create_hosted.http", include_str!("../scaffold/create_hosted.http")),
];

/// Creates the folder of adapter `name` below `providers` and lists it in `lib.rs`. Returns what to do next.
///
/// # Errors
/// [`ScaffoldError`]; a folder that is already there is not touched.
pub fn make(providers: &Path, name: &str) -> Result<String, ScaffoldError> {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !plain || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(ScaffoldError::Name);
    }
    let (folder, list) = (providers.join(name), providers.join("lib.rs"));
    if folder.exists() {
        return Err(ScaffoldError::Exists);
    }
    let listed = listed(&fs::read_to_string(&list)?, name).ok_or(ScaffoldError::List)?;
    fs::create_dir_all(folder.join("exchanges"))?;
    let title = name[..1].to_uppercase() + &name[1..];
    for (file, text) in FILES {
        fs::write(folder.join(file), text.replace("acme", name).replace("Acme", &title))?;
    }
    fs::write(list, listed)?;
    Ok(format!(
        "providers/{name} is there. `cargo run -p paymux-testkit -- check {name}` asks what to do next, \
         docs/adding-a-provider.md explains it."
    ))
}

/// The text of `lib.rs` with one more module and one more entry.
fn listed(text: &str, name: &str) -> Option<String> {
    with_line(&with_line(text, "mod ", name, ";")?, "    &", name, "::ABOUT,")
}

/// The text with `name` between `before` and `after` on a line of its own, by name among those of its kind;
/// `None` if there are none.
fn with_line(text: &str, before: &str, name: &str, after: &str) -> Option<String> {
    let named = |line: &str| Some(line.strip_prefix(before)?.strip_suffix(after)? > name);
    let mut lines: Vec<&str> = text.lines().collect();
    let follower = lines.iter().position(|line| named(line) == Some(true));
    let end = lines.iter().rposition(|line| named(line).is_some())? + 1;
    let line = format!("{before}{name}{after}");
    lines.insert(follower.unwrap_or(end), &line);
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use paymux_port::StatusTable;

    use super::{acme, listed};

    #[test]
    fn an_adapter_is_listed_by_name_with_two_lines() {
        let text = "//! Text.\n\nmod beta;\nmod delta;\n\nuse paymux_port::About;\n\n\
            pub const ALL: &[&About] = &[\n    &beta::ABOUT,\n    &delta::ABOUT,\n];\n";
        for (name, modules, entries) in [
            ("alpha", "\nmod alpha;\nmod beta;\n", "[\n    &alpha::ABOUT,\n    &beta::ABOUT,\n"),
            ("omega", "mod delta;\nmod omega;\n\nuse", "    &delta::ABOUT,\n    &omega::ABOUT,\n];\n"),
        ] {
            let listed = listed(text, name).unwrap();
            assert!(listed.contains(modules) && listed.contains(entries), "{listed}");
            assert_eq!(listed.lines().count(), text.lines().count() + 2);
        }
        assert_eq!(listed("mod beta;\n", "alpha"), None);
    }

    #[test]
    fn a_new_adapter_has_a_table_that_can_be_read() {
        let table = StatusTable::parse(acme::ABOUT.statuses).unwrap();
        assert_eq!(table.rows().count(), 1);
    }
}
