//! Begins an adapter: a folder that compiles and whose red lines in the contract ask the right questions.

use std::fs;
use std::path::Path;

/// Why no adapter was begun.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// The name is not one that a folder, a key and a label can share.
    #[error("a name is small letters and digits, beginning with a letter")]
    Name,
    /// There is such a folder.
    #[error("there is a folder of that name")]
    Exists,
    /// `providers/lib.rs` does not look as expected.
    #[error("providers/lib.rs has no `pub const ALL: &[&About] = &[…];`")]
    List,
    /// The file system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

const FILES: [(&str, &str); 5] = [
    ("mod.rs", include_str!("../scaffold/mod.rs.txt")),
    ("wire.rs", include_str!("../scaffold/wire.rs.txt")),
    ("statuses.toml", include_str!("../scaffold/statuses.toml")),
    ("README.md", include_str!("../scaffold/README.md")),
    ("exchanges/begin_hosted.http", include_str!("../scaffold/begin_hosted.http")),
];

/// Makes the folder of adapter `name` below `providers` and lists it in `lib.rs`. Answers what to do next.
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
        fs::write(folder.join(file), text.replace("{name}", name).replace("{Title}", &title))?;
    }
    fs::write(list, listed)?;
    Ok(format!(
        "providers/{name} is there. Next: `cargo run -p paymux-testkit -- check {name}`, and answer its red lines."
    ))
}

/// The text of `lib.rs` with one more module and one more entry, both by name.
fn listed(text: &str, name: &str) -> Option<String> {
    let (before, rest) = text.split_once("&[&About] = &[")?;
    let (entries, after) = rest.split_once("];")?;
    let mut names: Vec<&str> = entries
        .split(',')
        .filter_map(|entry| entry.trim().strip_prefix('&')?.strip_suffix("::ABOUT"))
        .collect();
    names.push(name);
    names.sort_unstable();
    let entries: String = names.iter().map(|name| format!("    &{name}::ABOUT,\n")).collect();
    let follower = before.lines().find(|line| line.strip_prefix("mod ").is_some_and(|module| module > name));
    let module = format!("mod {name};\n");
    let before = match follower {
        Some(follower) => before.replacen(follower, &format!("{module}{follower}"), 1),
        None => {
            let end = before.find("\nuse paymux_port::About;")?;
            let (modules, rest) = before.split_at(end);
            format!("{modules}{module}{rest}")
        }
    };
    Some(format!("{before}&[&About] = &[\n{entries}];{after}"))
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn an_adapter_is_listed_by_name_in_two_places() {
        let text = "//! Text.\n\nmod beta;\nmod delta;\n\nuse paymux_port::About;\n\n\
            pub const ALL: &[&About] = &[&beta::ABOUT, &delta::ABOUT];\n";
        let first = listed(text, "alpha").unwrap();
        assert!(first.contains("mod alpha;\nmod beta;\nmod delta;\n\nuse"), "{first}");
        let second = listed(&first, "omega").unwrap();
        assert!(second.contains("mod delta;\nmod omega;\n\nuse"), "{second}");
        let entries =
            "&[\n    &alpha::ABOUT,\n    &beta::ABOUT,\n    &delta::ABOUT,\n    &omega::ABOUT,\n];\n";
        assert!(second.ends_with(entries), "{second}");
    }
}
