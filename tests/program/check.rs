//! `paymux check`: every mistake at once, with file and line.

use std::path::Path;
use std::process::Command;

#[test]
fn a_config_with_mistakes_reports_them_all_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("paymux.toml", "[server]\nlisten = \"127.0.0.1:8080\"\n\n[limits]\nbody_byts = 1000\n");
    write(
        "accounts.toml",
        "[accounts.shop]\nprovider = \"decta\"\nbase_url = \"https://gate.decta.com/api/v0.6\"\n\n\
         [accounts.other]\nprovider = \"dceta\"\n",
    );
    write("routing.toml", "[[rules]]\nname = \"all\"\naccounts = [\"shpo\"]\n");
    let said = refused(folder.path());
    for (line, mistake) in [
        ("paymux.toml:5: ", "body_byts"),
        ("accounts.toml:1: ", "secret_key"),
        ("accounts.toml:6: ", "dceta"),
        ("routing.toml:3: ", "shpo"),
    ] {
        assert!(said.contains(line) && said.contains(mistake), "{mistake} is not reported in:\n{said}");
    }
}

/// The errors of the configuration in a folder.
fn refused(folder: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paymux"));
    command.arg("check").arg("--config").arg(folder.join("paymux.toml"));
    let run = command.env("PAYMUX_SANDBOX_URL", "http://127.0.0.1:8090").output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{said}");
    said
}

/// Checks the shipped config, with secrets, on another database.
fn shipped(database: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paymux"));
    command.args(["check", "--config", "config/paymux.toml"]).env("PAYMUX__STORE__PATH", database);
    for name in secrets() {
        let signs = name.contains("WEBHOOK_SECRET");
        command.env(
            name,
            if signs { "whsec_c2VjcmV0LXRoYXQtaXMtbG9uZy1lbm91Z2g=" } else { "a-secret-that-is-long-enough" },
        );
    }
    command
}

#[test]
fn the_shipped_config_is_fine_once_its_secrets_are_there() {
    let run = shipped(Path::new("none.db")).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(!Path::new("none.db").exists());
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let run = shipped(Path::new("none.db")).stdout(full).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.code() == Some(1) && said.contains("standard output cannot be written"), "{said}");
}

#[test]
fn a_variable_that_is_empty_is_said_to_be() {
    let run = shipped(Path::new("none.db")).env("DECTA_SECRET_KEY", "").output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.code() == Some(1) && said.contains("`DECTA_SECRET_KEY` is empty"), "{said}");
}

#[test]
fn a_database_that_serve_would_refuse_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paymux.db");
    std::fs::write(&path, "no database, but a text that is longer than the header of one. ".repeat(20))
        .unwrap();
    let refused = || {
        let run = shipped(&path).output().unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!((run.status.code(), run.stdout.len()), (Some(1), 0), "{said}");
        said
    };
    assert!(refused().contains("paymux.db: the database could not be opened: file is not a database"));
    std::fs::remove_file(&path).unwrap();
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch("CREATE TABLE migrations (number INTEGER)").unwrap();
    assert!(refused().contains("from before the first release"));
}

#[test]
fn a_secret_that_anybody_can_guess_and_one_in_quotes_are_named_with_their_line() {
    for (secret, complaint) in [
        ("whsec_", "verifies notifications"),
        ("whsec_YQ==", "verifies notifications"),
        ("whsec_c2VjcmV0LXRoYXQtaXMtbG9uZw==", "is not base64 of 24 bytes at least"),
        ("\"whsec_c2VjcmV0LXRoYXQtaXMtbG9uZy1lbm91Z2g=\"", "is in quotes"),
        ("${PAYMENNT_WEBHOOK_SECRET}", "is still a `${NAME}`"),
    ] {
        let run = shipped(Path::new("none.db")).env("PAYMENNT_WEBHOOK_SECRET", secret).output().unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        let named = format!(": accounts.paymennt-demo.webhook_secret: {complaint}");
        let placed = said.starts_with("config/accounts.toml:") && said.contains(&named);
        assert!(run.status.code() == Some(1) && placed, "{secret}: {said}");
    }
}

/// The variables that the shipped accounts ask for.
fn secrets() -> Vec<String> {
    let text = std::fs::read_to_string("config/accounts.toml").unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let names = lines.flat_map(|line| line.split("${").skip(1)).filter_map(|rest| rest.split_once('}'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn a_fault_of_the_settings_adds_no_untrue_fault_of_the_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "own.toml",
        "[accounts.d]\nprovider = \"decta\"\nsandbox = true\nbase_url = \"http://127.0.0.1:1\"\n\
                       secret_key = \"k\"\nnotify_key = \"0123456789abcdef\"\n",
    );
    write("routing.toml", "[[rules]]\nname = \"all\"\naccounts = [\"d\"]\n");
    for settings in [
        "[outbound]\nallow_private_addresses = true\n[files]\naccounts = \"own.toml\"\n[server]\nlistn = 1\n",
        "[outbound]\nallow_private_adresses = true\n[files]\naccounts = \"own.toml\"\n",
    ] {
        write("paymux.toml", settings);
        let said = refused(folder.path());
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
