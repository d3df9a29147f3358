//! `paymux verify` and `paymux erase`, on the database of a gateway that was used.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::demo::Demo;
use super::sale::Sale;
use super::shop::{Shop, eventually};

/// Runs a command of the program on a folder's database.
pub fn run(folder: &Path, command: &[&str]) -> Output {
    let settings = folder.join("paymux.toml");
    let database = folder.join("paymux.db");
    std::fs::write(&settings, format!("[store]\npath = {:?}\n", database.display().to_string())).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_paymux"));
    program.arg(command[0]).arg("--config").arg(settings).args(&command[1..]).output().unwrap()
}

/// The key of an order's rows.
pub fn subject(order: &str) -> [u8; 16] {
    *order.parse::<port::OrderId>().unwrap().uuid().as_bytes()
}

/// The key of the row of an order's first payment.
fn payment(order: &str) -> [u8; 16] {
    *paymux::domain::part_of(order.parse::<port::OrderId>().unwrap().uuid(), 1).as_bytes()
}

/// Whether the records of a stopped gateway fit.
pub fn fit(folder: &Path) -> bool {
    let report = run(folder, &["verify"]);
    if !report.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&report.stderr));
    }
    report.status.success()
}

/// Two paid orders of the customer `c-1`, the first fulfilled, in a folder whose gateway has stopped.
async fn used() -> (TempDir, [String; 2]) {
    let demo = Demo::start();
    let shop = &demo.shop;
    let mut body = Shop::order(Some("decta-demo"), "EUR", 1999);
    body["order"]["customer"]["id"] = json!("c-1");
    body["order"]["customer"]["email"] = json!("planted@example.test");
    let (first, second) = (Sale::paid(shop, "one", &body).await, Sale::paid(shop, "two", &body).await);
    let refund = json!({"amount": 500, "reason": "planted@example.test broke it"});
    assert_eq!(first.operate(shop, "refunds", "back", refund).await.status, 201);
    let fulfilment = json!({"outcome": "COMPLETED", "detail": "fetched by planted@example.test"});
    assert_eq!(shop.post(&format!("/v1/orders/{}/fulfil", first.order), &fulfilment).await.0, 200);
    // The next start makes a checkpoint over what is there.
    let demo = demo.restart();
    eventually(|| async {
        let metrics = demo.metrics().await;
        let made = metrics.contains("paymux_job_runs_total{kind=\"checkpoint\"");
        made.then_some(()).ok_or(metrics)
    })
    .await;
    (demo.folder, [first.order, second.order])
}

#[tokio::test]
async fn records_that_were_touched_do_not_verify() {
    let (folder, [first, second]) = used().await;
    assert!(fit(folder.path()));

    let database = Connection::open(folder.path().join("paymux.db")).unwrap();
    let output = |what: &str| {
        let report = run(folder.path(), &["verify"]);
        assert_eq!(report.status.code(), Some(1), "{what} goes unseen");
        String::from_utf8(report.stderr).unwrap()
    };
    let (state, created_at, merchant): (String, i64, i64) = database
        .query_row(
            "SELECT state, created_at, merchant FROM subjects WHERE id = ?1",
            [subject(&first)],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    for column in ["state = 'CANCELLED'", "created_at = created_at - 1", "merchant = merchant + 1"] {
        let touched = format!("UPDATE subjects SET {column} WHERE id = ?1");
        assert_eq!(database.execute(&touched, [subject(&first)]).unwrap(), 1);
        assert!(output(column).contains(&format!("{first}: its row does not match its changes")), "{column}");
        let restored = "UPDATE subjects SET state = ?2, created_at = ?3, merchant = ?4 WHERE id = ?1";
        database.execute(restored, (subject(&first), &state, created_at, merchant)).unwrap();
    }
    assert!(fit(folder.path()));
    let status = "UPDATE payments SET status = 'PAID' WHERE id = ?1";
    assert!(database.execute(status, [payment(&first)]).unwrap() > 0);
    assert!(output("a changed row").contains(&format!("{first}: the lookup row Payment")));
    let record =
        "UPDATE changes SET record = replace(record, '1999', '9') WHERE subject = ?1 AND sequence = 1";
    assert!(database.execute(record, [subject(&first)]).unwrap() > 0);
    assert!(output("a changed record").contains(&format!("{first}: the chain breaks at event 1")));
    let personal = "DELETE FROM personal WHERE position IN (SELECT position FROM changes WHERE subject = ?1)";
    database.execute(personal, [subject(&second)]).unwrap();
    for table in ["changes", "snapshots", "provider_references"] {
        database.execute(&format!("DELETE FROM {table} WHERE subject = ?1"), [subject(&second)]).unwrap();
    }
    database.execute("DELETE FROM payments WHERE id = ?1", [payment(&second)]).unwrap();
    database.execute("DELETE FROM subjects WHERE id = ?1", [subject(&second)]).unwrap();
    let vanished = output("a vanished order");
    assert!(vanished.contains(": changes before it are missing or were altered"), "{vanished}");
}

#[tokio::test]
async fn an_erased_customer_is_gone_from_the_database_and_the_records_still_fit() {
    let (folder, [ended, open]) = used().await;
    let done = run(folder.path(), &["erase", "--merchant", "demo", "--customer", "c-1"]);
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && said.contains("of 1 order,") && said.contains(&open), "{said}");
    let database = Connection::open(folder.path().join("paymux.db")).unwrap();
    let left = |table: &str, column: &str| -> i64 {
        let sql = format!(
            "SELECT count(*) FROM {table} WHERE {column} LIKE '%planted@example.test%' AND subject = ?1"
        );
        database.query_row(&sql, [subject(&ended)], |row| row.get(0)).unwrap()
    };
    let personal = "personal JOIN changes USING (position)";
    assert_eq!([left(personal, "body"), left("snapshots", "body"), left("changes", "record")], [0; 3]);
    drop(database);
    assert!(fit(folder.path()));
}

/// The files of a folder with what is in them.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let read = |file: fs::DirEntry| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap());
    files.filter(|file| file.file_type().unwrap().is_file()).map(read).collect()
}

/// Verifies the database in a folder, with settings that are elsewhere.
fn verify(folder: &Path) -> Output {
    let settings = tempfile::NamedTempFile::new().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_paymux"));
    program.arg("verify").arg("--config").arg(settings.path());
    program.env("PAYMUX__STORE__PATH", folder.join("paymux.db")).output().unwrap()
}

#[tokio::test]
async fn a_copy_is_verified_where_nothing_can_be_written_and_nothing_is_made() {
    let mut demo = Demo::start();
    Sale::paid(&demo.shop, "one", &Shop::order(Some("decta-demo"), "EUR", 1999)).await;
    let said = verify(demo.folder.path());
    let text = String::from_utf8(said.stderr).unwrap();
    assert!(!said.status.success(), "a gateway is running");
    assert!(
        text.ends_with("paymux.db is in use by a running gateway: stop it, or verify a copy\n"),
        "{text}"
    );
    demo.gateway.kill();

    let copy = tempfile::tempdir().unwrap();
    for name in ["paymux.db", "paymux.db-wal"] {
        fs::copy(demo.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let before = files(copy.path());
    assert!(verify(copy.path()).status.success());
    let mut after = files(copy.path());
    after.remove("paymux.db-shm").expect("the log is read by way of this file");
    assert!(before == after, "the copy with its log was changed");

    // As where nothing can be made.
    let index = copy.path().join("paymux.db-shm");
    fs::remove_file(&index).unwrap();
    std::os::unix::fs::symlink("nowhere/at/all", &index).unwrap();
    let refused = String::from_utf8(verify(copy.path()).stderr).unwrap();
    assert!(refused.contains("paymux.db-wal` holds changes, and can only be read where"), "{refused}");
    fs::remove_file(&index).unwrap();

    // Without a log, as after a stop or a back-up.
    let (folder, whole) =
        (tempfile::tempdir().unwrap(), Connection::open(copy.path().join("paymux.db")).unwrap());
    let path = folder.path().join("paymux.db");
    whole.execute("VACUUM INTO ?1", [path.to_str()]).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&path, 0o400);
    mode(folder.path(), 0o500);
    let before = files(folder.path());
    let verified = verify(folder.path());
    let text = String::from_utf8(verified.stderr).unwrap();
    assert!(verified.status.success(), "{text}");
    assert!(before == files(folder.path()), "something was made or changed");
    mode(folder.path(), 0o700);
}

#[test]
fn only_what_starts_a_database_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("paymux.toml"), "[store]\npath = \"data/none.db\"\n").unwrap();
    let commands: [&[&str]; 5] = [
        &["verify"],
        &["keys", "list"],
        &["keys", "revoke", "pmx_live_00000000"],
        &["erase", "--merchant", "shop", "--customer", "c-1"],
        &["inbox", "replay", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z"],
    ];
    let run = |command: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_paymux"));
        program.arg(command[0]).args(["--config", "paymux.toml"]).args(&command[1..]);
        program.current_dir(folder.path()).output().unwrap()
    };
    let data = folder.path().join("data");
    let path = fs::canonicalize(folder.path()).unwrap().join("data/none.db");
    for command in commands {
        let done = run(command);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!((done.status.code(), done.stdout.len()), (Some(1), 0), "{command:?}: {said}");
        assert!(
            said.contains(&format!("there is no database at {};", path.display())),
            "{command:?}: {said}"
        );
        assert!(!data.exists(), "{command:?}");
    }
    // Neither is an empty file one.
    fs::create_dir(&data).unwrap();
    fs::write(&path, "").unwrap();
    for command in commands {
        assert_eq!(run(command).status.code(), Some(1), "{command:?}");
        assert_eq!(files(&data), BTreeMap::from([("none.db".to_owned(), Vec::new())]), "{command:?}");
    }
    assert!(run(&["keys", "create", "--merchant", "shop"]).status.success());
    assert!(run(&["keys", "list"]).status.success());
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut unshown = Command::new(env!("CARGO_BIN_EXE_paymux"));
    unshown.args(["verify", "--config", "paymux.toml"]).current_dir(folder.path()).stdout(full);
    assert_eq!(unshown.status().unwrap().code(), Some(1), "its result is not shown");
}
