//! `paymux verify` and `paymux erase`, on the database of a gateway that was used.

use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::demo::Demo;
use super::fixture::Fixture;
use super::shop::{TestMerchant, eventually};

/// Runs a command of the program on a folder's database.
pub fn run(folder: &Path, command: &[&str]) -> Output {
    let settings = folder.join("paymux.toml");
    let database = folder.join("paymux.db");
    std::fs::write(&settings, format!("[store]\npath = {:?}\n", database.display().to_string())).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_paymux"));
    program.arg(command[0]).arg("--config").arg(settings).args(&command[1..]).output().unwrap()
}

/// Whether the books of a stopped gateway fit.
pub fn fit(folder: &Path) -> bool {
    let verdict = run(folder, &["verify"]);
    if !verdict.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&verdict.stderr));
    }
    verdict.status.success()
}

/// Two paid orders of the customer `c-1`, the first fulfilled, in a folder whose gateway has stopped.
async fn used() -> (TempDir, [String; 2]) {
    let demo = Demo::start();
    let merchant = &demo.merchant;
    let mut body = TestMerchant::order(Some("decta-demo"), "EUR", 1999);
    body["order"]["customer"]["id"] = json!("c-1");
    body["order"]["customer"]["email"] = json!("planted@example.test");
    let (first, second) =
        (Fixture::paid(merchant, "one", &body).await, Fixture::paid(merchant, "two", &body).await);
    let asked = json!({"amount": 500, "reason": "planted@example.test broke it"});
    assert_eq!(first.operate(merchant, "refunds", "back", asked).await.status, 201);
    let told = json!({"outcome": "COMPLETED", "detail": "fetched by planted@example.test"});
    assert_eq!(merchant.post(&format!("/v1/orders/{}/fulfil", first.order), &told).await.0, 200);
    // The next start makes a checkpoint over what is there.
    let demo = demo.restart();
    eventually(|| async {
        let metrics = demo.metrics().await;
        let made = metrics.contains("paymux_agenda_runs_total{kind=\"checkpoint\"");
        made.then_some(()).ok_or(metrics)
    })
    .await;
    (demo.folder, [first.order, second.order])
}

#[tokio::test]
async fn books_that_were_touched_do_not_verify() {
    let (folder, [first, second]) = used().await;
    assert!(fit(folder.path()));

    let database = Connection::open(folder.path().join("paymux.db")).unwrap();
    let told = |what: &str| {
        let verdict = run(folder.path(), &["verify"]);
        assert_eq!(verdict.status.code(), Some(1), "{what} goes unseen");
        String::from_utf8(verdict.stderr).unwrap()
    };
    let body =
        "UPDATE payments SET body = replace(body, '\"captured\":1999', '\"captured\":9') WHERE order_id = ?1";
    assert!(database.execute(body, [&first]).unwrap() > 0);
    assert!(told("a changed row").contains(&format!("{first}: its rows are not what its")));
    let text = "UPDATE events SET text = replace(text, '1999', '9') WHERE order_id = ?1 AND sequence = 1";
    assert!(database.execute(text, [&first]).unwrap() > 0);
    assert!(told("a changed event").contains(&format!("{first}: the chain breaks at event 1")));
    for table in ["events", "attention", "refunds", "payments", "attempts", "sessions"] {
        database.execute(&format!("DELETE FROM {table} WHERE order_id = ?1"), [&second]).unwrap();
    }
    database.execute("DELETE FROM orders WHERE id = ?1", [&second]).unwrap();
    assert!(told("a vanished order").contains("checkpoint 1: events before it are missing or were changed"));
}

#[tokio::test]
async fn an_erased_customer_is_gone_from_the_database_and_the_books_still_fit() {
    let (folder, [ended, open]) = used().await;
    let done = run(folder.path(), &["erase", "--merchant", "demo", "--customer", "c-1"]);
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && said.contains("of 1 orders") && said.contains(&open), "{said}");
    let database = Connection::open(folder.path().join("paymux.db")).unwrap();
    let left = |table: &str, column: &str| -> i64 {
        let sql = format!(
            "SELECT count(*) FROM {table} WHERE {column} LIKE '%planted@example.test%' AND order_id = ?1"
        );
        database.query_row(&sql, [&ended], |row| row.get(0)).unwrap()
    };
    let rows = ["sealed", "sessions", "attempts", "payments", "refunds", "attention"];
    assert_eq!(rows.map(|table| left(table, "body")), [0; 6]);
    assert_eq!(left("events", "text"), 0);
    drop(database);
    assert!(fit(folder.path()));
}
