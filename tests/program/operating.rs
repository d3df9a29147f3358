//! What happens to the program in operation: a log that cannot be written, signals, files that disappear.

use std::fs::{self, File};

use serde_json::json;

use super::demo::Demo;
use super::records;
use super::running::Gateway;
use super::sale::Sale;
use super::shop::{Shop, eventually};

fn order() -> serde_json::Value {
    Shop::order(Some("decta-demo"), "EUR", 1999)
}

/// How many log lines the gateway could not write.
async fn dropped(demo: &Demo) -> u64 {
    let metrics = demo.metrics().await;
    let count = metrics.lines().find_map(|line| line.strip_prefix("paymux_log_lines_dropped_total "));
    count.unwrap().parse().unwrap()
}

/// The status of `/readyz`.
async fn ready(gateway: &Gateway) -> u16 {
    reqwest::get(format!("{}/readyz", gateway.ops_url)).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for log in [std::process::Stdio::from(writer), full.into()] {
        let demo = Demo::of(|folder, sandbox| Gateway::start_logging(folder, sandbox, log));
        let sale = Sale::opened(&demo.shop, "one", &order()).await;
        let before = dropped(&demo).await;
        // Reads that fail are logged by what runs in the background.
        let fault = json!({"provider": "decta", "operation": "read", "fault": "status_500", "times": 1});
        assert_eq!(demo.shop.control("faults", &fault).await, 201);
        demo.shop.pay(&sale.page).await;
        demo.shop.until(&sale.order, |order| order["state"] == "PROCESSING").await;
        assert!(dropped(&demo).await > before, "lines were dropped");
        assert_eq!(ready(&demo.gateway).await, 200);
        demo.ends();
    }
}

#[tokio::test]
async fn an_order_can_be_followed_in_the_log_and_a_read_that_fails_again_and_again_is_told_once() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writing = log.reopen().unwrap();
    let demo = Demo::of(|folder, sandbox| Gateway::start_logging(folder, sandbox, writing));
    let sale = Sale::opened(&demo.shop, "one", &order()).await;
    let lines_of = |order: &str| {
        let text = fs::read_to_string(log.path()).unwrap();
        let about = format!("order.id={order}");
        text.lines().filter(|line| line.contains(&about)).map(str::to_owned).collect::<Vec<_>>()
    };
    let opened = eventually(|| async {
        let lines = lines_of(&sale.order);
        if lines.is_empty() { Err("no line".to_owned()) } else { Ok(lines) }
    })
    .await;
    let of_checkout = opened.iter().filter(|line| line.contains("http.route=\"/v1/checkouts\""));
    assert_eq!(of_checkout.count(), 1, "one line for a checkout: {opened:?}");
    let fault = json!({"provider": "decta", "operation": "read", "fault": "status_500", "times": 3});
    assert_eq!(demo.shop.control("faults", &fault).await, 201);
    demo.shop.pay(&sale.page).await;
    demo.shop.until(&sale.order, |order| order["state"] == "PROCESSING").await;
    let lines = eventually(|| async {
        let lines = lines_of(&sale.order);
        let ended = lines.iter().any(|line| line.contains("is PROCESSING"));
        if ended { Ok(lines) } else { Err(lines.join("\n")) }
    })
    .await;
    for said in ["was opened at decta-demo", "provider call failed", "provider calls work again", "is PAID"] {
        let count = lines.iter().filter(|line| line.contains(said)).count();
        assert_eq!(count, 1, "{said}: {lines:#?}");
    }
    let failed = lines.iter().find(|line| line.contains("provider call failed")).unwrap();
    assert!(failed.contains("attempt.id=att_"), "{failed}");
    assert!(!lines.concat().contains("example.test"), "{lines:#?}");
    demo.ends();
}

#[tokio::test]
async fn signals_of_a_closed_terminal_and_of_log_rotation_stop_nothing() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writing = log.reopen().unwrap();
    let demo = Demo::of(|folder, sandbox| Gateway::start_logging(folder, sandbox, writing));
    for (signal, said) in [("HUP", "a hang-up"), ("USR1", "a USR1"), ("USR2", "a USR2")] {
        demo.gateway.signal(signal);
        eventually(|| async {
            let text = fs::read_to_string(log.path()).unwrap();
            text.contains(&format!("{said} signal came")).then_some(()).ok_or(text)
        })
        .await;
    }
    Sale::paid(&demo.shop, "one", &order()).await;
    demo.ends();
}

#[tokio::test]
async fn a_gateway_whose_database_was_deleted_ends_and_says_why() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writing = log.reopen().unwrap();
    let mut demo = Demo::of(|folder, sandbox| Gateway::start_logging(folder, sandbox, writing));
    fs::remove_file(demo.folder.path().join("paymux.db")).unwrap();
    assert_eq!(demo.gateway.ended().await.code(), Some(1));
    let text = fs::read_to_string(log.path()).unwrap();
    assert!(text.contains("paymux.db was deleted or replaced while the gateway ran"), "{text}");
}

#[tokio::test]
async fn changes_that_disappeared_with_the_databases_log_are_missed() {
    let mut demo = Demo::start();
    Sale::paid(&demo.shop, "one", &order()).await;
    demo.gateway.kill();
    let folder = demo.folder.path();
    for file in ["paymux.db-wal", "paymux.db-shm"] {
        fs::remove_file(folder.join(file)).unwrap();
    }
    let verified = records::run(folder, &["verify"]);
    let said = String::from_utf8(verified.stderr).unwrap();
    assert_eq!(verified.status.code(), Some(1), "{said}");
    assert!(said.contains("the newest changes are missing: they end at "), "{said}");
    assert!(demo.gateway.starts_again().is_none(), "it does not write over what is missing");
}

#[tokio::test]
async fn a_last_change_that_cannot_be_read_is_reported_and_written_anew_by_the_next_change() {
    let mut demo = Demo::start();
    Sale::paid(&demo.shop, "one", &order()).await;
    demo.gateway.kill();
    let folder = demo.folder.path();
    let head = folder.join("paymux.db.head");
    let fits = || {
        let verified = records::run(folder, &["verify"]);
        let said = String::from_utf8(verified.stderr).unwrap();
        assert_eq!(verified.status.success(), said.is_empty(), "{said}");
        if said.is_empty() { Ok(()) } else { Err(said) }
    };
    for text in [String::new(), "{\"position\":1,".to_owned(), "garbage ".repeat(99)] {
        fs::write(&head, &text).unwrap();
        let said = fits().unwrap_err();
        assert!(said.contains("paymux.db.head` cannot be read, so it is not known whether"), "{said}");
        let listed = records::run(folder, &["keys", "list"]);
        assert!(
            listed.status.success() && String::from_utf8(listed.stderr).unwrap().contains("cannot be read")
        );
        assert_eq!(fs::read_to_string(&head).unwrap(), text, "who has looked has changed nothing");
        // A demo begins with a change: it opens a payment.
        demo.gateway.starts_again().unwrap().kill();
        assert_eq!(fits(), Ok(()));
    }
    fs::remove_file(&head).unwrap();
    assert_eq!(fits(), Ok(()), "one that was moved away on purpose is not missed");
    records::run(folder, &["keys", "list"]);
    assert!(
        fs::read_to_string(&head).unwrap().contains("position"),
        "it is made when the database is opened"
    );
}

#[tokio::test]
async fn a_gateway_that_is_to_stop_takes_requests_until_its_neighbours_know() {
    let demo = Demo::start();
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::serve(folder.path(), &demo.shop.sandbox, "drain_s = 300\n");
    gateway.signal("TERM");
    eventually(|| async { if ready(&gateway).await == 503 { Ok(()) } else { Err("ready".to_owned()) } })
        .await;
    let status = reqwest::get(format!("{}/v1/orders", gateway.url)).await.unwrap().status();
    assert_eq!(status, 401, "a new connection is served");
    // A second signal does not wait.
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await.code(), Some(0));
}
