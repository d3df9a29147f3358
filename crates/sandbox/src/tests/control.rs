use super::{Bench, Request, START};
use crate::{JournalError, Sandbox};

const ORDERS: &str = "/decta/api/v0.6/orders/";
const ORDER: &str = r#"{"number":"N","client":{"email":"a@b.test"},"products":[{"title":"x","price":3}]}"#;

fn order(bench: &mut Bench) -> String {
    bench.send("POST", ORDERS, ORDER).text("id")
}

#[test]
fn faults_before_the_effect_leave_no_trace() {
    for (fault, status) in
        [("status_500", 500), ("status_503", 503), ("status_429", 429), ("status_401", 401)]
    {
        let mut bench = Bench::new();
        bench.fault("decta", "create", fault);
        bench.send("POST", ORDERS, ORDER).is(status).has("__all__");
        bench.ledger().has(r#"{"data":[]}"#);
        bench.send("POST", ORDERS, ORDER).is(201);
    }
    for (fault, delay_ms) in [("timeout_before", 35_000), ("reset_before", 0)] {
        let mut bench = Bench::new();
        bench.fault("decta", "any", fault);
        let answer = bench.answer(&super::keyed("POST", ORDERS, ORDER));
        assert_eq!((answer.response, answer.delay_ms), (None, delay_ms));
        bench.ledger().has(r#"{"data":[]}"#);
    }
}

#[test]
fn faults_after_the_effect_lose_or_spoil_the_answer() {
    let mut bench = Bench::new();
    bench.fault("decta", "create", "reset_after");
    assert_eq!(bench.answer(&super::keyed("POST", ORDERS, ORDER)).response, None);
    bench.ledger().has(r#""number":"#.replace("number", "reference").as_str());
    bench.fault("decta", "create", "garbage");
    bench.send("POST", ORDERS, ORDER).is(200).has("<html>");
    bench.fault("decta", "create", "truncated");
    let cut = bench.send("POST", ORDERS, ORDER);
    assert!(cut.status == 201 && !cut.body.is_empty() && !cut.body.ends_with('}'));
    let id = order(&mut bench);
    let path = format!("{ORDERS}{id}/?response_type=full");
    for (fault, part) in [
        ("unknown_word", r#""status":"something_new""#),
        ("wrong_amount", r#""total":3.01"#),
        ("wrong_currency", r#""currency":"USD""#),
    ] {
        bench.fault("decta", "read", fault);
        bench.send("GET", &path, "").is(200).has(part);
        bench.send("GET", &path, "").has(r#""total":3.00"#).has(r#""status":"issued""#);
    }
    let slow = r#"{"operation":"read","fault":"slow","times":1,"delay_ms":900000}"#;
    bench.control("faults", slow).is(201);
    assert_eq!(bench.answer(&super::keyed("GET", &path, "")).delay_ms, 120_000);
}

#[test]
fn faults_are_listed_used_up_and_cleared() {
    let mut bench = Bench::new();
    bench.control("faults", r#"{"operation":"create","fault":"lose"}"#).is(400);
    bench.control("faults", r#"{"operation":"notify","fault":"slow"}"#).is(400);
    bench.control("faults", r#"{"operation":"create","fault":"slow","times":0}"#).is(400);
    bench.control("faults", r#"{"operation":"create","fault":"status_500","times":2}"#).is(201);
    order(&mut Bench::new());
    bench.send("POST", ORDERS, ORDER).is(500);
    bench.reply(&Request::new("GET", "/control/faults")).has(r#""times":1"#);
    bench.reply(&Request::new("DELETE", "/control/faults")).is(204);
    bench.send("POST", ORDERS, ORDER).is(201);
    bench.reply(&Request::new("GET", "/control/none")).is(404);
    bench.reply(&Request::new("GET", "/control/ledger?provider=none")).is(400);
}

#[test]
fn notifications_are_lost_doubled_overtaken_late_and_forged() {
    let table: [(&str, &[&str], u64); 5] = [
        ("lose", &["in_progress"], 0),
        ("duplicate", &["viewed", "viewed", "in_progress"], 0),
        ("reorder", &["in_progress", "viewed"], 0),
        ("delay", &["viewed", "in_progress"], 5_000),
        ("bad_signature", &["viewed", "in_progress"], 0),
    ];
    for (fault, statuses, delay_ms) in table {
        let mut bench = Bench::subscribed();
        let id = order(&mut bench);
        bench.notified.clear();
        bench.fault("decta", "notify", fault);
        bench.pay("decta", &id, "viewed").is(200);
        bench.pay("decta", &id, "action_required").is(200);
        let shown: Vec<&str> = bench
            .notified
            .iter()
            .map(|sent| if sent.body.contains(r#""status":"viewed""#) { "viewed" } else { "in_progress" })
            .collect();
        assert_eq!(shown, statuses, "{fault}");
        assert_eq!(bench.notified[0].delay_ms, delay_ms);
        let forged = bench.notified[0].url.ends_with("/forged");
        assert_eq!(forged, fault == "bad_signature");
    }
}

#[test]
fn each_provider_notifies_in_its_own_way() {
    let mut bench = Bench::subscribed();
    order(&mut bench);
    let link = r#"{"requestId":"r","orderId":"o","description":"d","currency":"AED","amount":1}"#;
    bench.send("POST", "/paymennt/mer/v2.0/checkout/link", link).is(200);
    let line = r#"{"type":"EXTERNAL_ITEM","name":"n","currency":"EUR","unitPrice":1}"#;
    let body = format!(r#"{{"lineItems":[{line}]}}"#);
    let telness = bench.send("POST", "/telness/api/v2/orders", &body).text("orderId");
    let session = format!(r#"{{"orderId":"{telness}","paymentProvider":"STRIPE"}}"#);
    bench.send("POST", "/telness/api/v2/payment-sessions", &session).is(201);
    let has =
        |index: usize, header: &str| bench.notified[index].headers.iter().any(|(name, _)| name == header);
    assert!(bench.notified[0].body.starts_with(r#"{"type":"order","id":"#) && !has(0, "message-id"));
    assert!(bench.notified[1].body.contains(r#""grandtotal":1.00"#) && has(1, "message-signature"));
    assert!(bench.notified[2].body.starts_with(r#"{"eventId":"#) && has(2, "x-api-key"));
    assert!(bench.notified[3].body.contains(r#""type":"order.updated""#));
}

#[test]
fn notifications_are_sent_again_as_they_were() {
    let mut bench = Bench::subscribed();
    let id = order(&mut bench);
    bench.pay("decta", &id, "paid");
    let first: Vec<String> = bench.notified.drain(..).map(|sent| sent.body).collect();
    let again = format!(r#"{{"provider":"decta","id":"{id}","order":"reverse","copies":2,"delay_ms":7}}"#);
    bench.control("notify", &again).is(202).has(r#""sent":6"#);
    assert!(bench.notified.iter().all(|sent| sent.delay_ms == 7));
    let mut repeated: Vec<String> = bench.notified.drain(..).map(|sent| sent.body).collect();
    repeated.dedup();
    repeated.reverse();
    assert_eq!(repeated, first);
    bench.control("notify", &format!(r#"{{"provider":"decta","id":"{id}","forge":true}}"#)).is(202);
    assert!(bench.notified[0].url.ends_with("/forged"));
}

#[test]
fn calls_are_kept_without_their_credentials() {
    let mut bench = Bench::new();
    order(&mut bench);
    let calls = bench.reply(&Request::new("GET", "/control/calls?provider=decta"));
    calls.has(r#""method":"POST","path":"/decta/api/v0.6/orders/""#).has("a@b.test").has("application/json");
    calls.lacks("sk_test").lacks("mer_secret").has("[hidden]");
    bench.reply(&Request::new("GET", "/control/calls?provider=telness")).has(r#"{"data":[]}"#);
}

#[test]
fn the_journal_brings_everything_back() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Sandbox::open(directory.path(), "http://sandbox.test", 7);
    let mut bench = Bench { sandbox: open().unwrap(), ..Bench::new() };
    let subscription = r#"{"provider":"decta","url":"http://shop.test/in","secret":"s"}"#;
    bench.reply(&Request::new("PUT", "/control/subscriptions").body(subscription)).is(204);
    bench
        .reply(&Request::new("PUT", "/control/subscriptions").body(r#"{"provider":"decta","url":"x"}"#))
        .is(400);
    bench.control("cards", r#"{"provider":"telness","customer":"c","scenario":"paid"}"#).is(201);
    let id = order(&mut bench);
    bench.pay("decta", &id, "paid").is(200);
    let telness = super::keyed("POST", "/telness/api/v2/orders", "{}").header("X-Idempotency-Key", "k");
    let first = bench.reply(&telness).body;
    let before = bench.ledger().body;
    for _ in 0..2 {
        // While one sandbox writes it, another one touches nothing.
        let written = std::fs::read(directory.path().join("ledger.jsonl")).unwrap();
        assert!(matches!(open(), Err(JournalError::InUse(_))));
        assert_eq!(std::fs::read(directory.path().join("ledger.jsonl")).unwrap(), written);
        bench.sandbox = Sandbox::in_memory("http://sandbox.test", 7);
        bench.sandbox = open().unwrap();
        bench.now = START + 1;
        assert_eq!(bench.ledger().body, before);
    }
    assert_eq!(bench.reply(&telness).body, first);
    bench.send("GET", "/telness/api/v2/payment-profiles?customerId=c", "").has("ACTIVE");
    bench.notified.clear();
    assert_ne!(order(&mut bench), id);
    assert_eq!(bench.notified.len(), 1);
}

#[test]
fn a_torn_last_line_is_dropped_and_a_broken_one_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.jsonl");
    let open = || Sandbox::open(directory.path(), "http://sandbox.test", 7);
    let line = r#"{"spent":"ptk_1"}"#;
    std::fs::write(&path, format!("{line}\n{{\"spe")).unwrap();
    assert!(open().is_ok());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{line}\n"));
    std::fs::write(&path, format!("nonsense\n{line}\n")).unwrap();
    assert!(matches!(open(), Err(JournalError::Broken { line: 1, .. })));
}

#[test]
fn no_request_makes_it_panic_or_go_silent() {
    let mut bench = Bench::subscribed();
    let decta = order(&mut bench);
    let line = r#"{"lineItems":[{"type":"EXTERNAL_ITEM","name":"n","currency":"EUR","unitPrice":1}]}"#;
    let telness = bench.send("POST", "/telness/api/v2/orders", line).text("orderId");
    let link = r#"{"requestId":"r","orderId":"o","description":"d","currency":"AED","amount":1}"#;
    let checkout = bench.send("POST", "/paymennt/mer/v2.0/checkout/link", link).text("id");
    let targets = [
        ORDERS.to_owned(),
        format!("{ORDERS}?cursor=18446744073709551615&page_size=0"),
        format!("{ORDERS}{decta}/capture/"),
        format!("{ORDERS}{decta}/refund/"),
        format!("/decta/pay/{decta}"),
        "/paymennt/mer/v2.0/checkout/link".to_owned(),
        "/paymennt/mer/v2.0/checkout?page=99999999999999999999&size=18446744073709551615".to_owned(),
        format!("/paymennt/mer/v2.0/checkout/{checkout}/refund?amount=1e99&currency=AED&note=x"),
        "/paymennt/mer/v2.0/payment/debit".to_owned(),
        "/telness/api/v2/orders?cursor=18446744073709551615&limit=18446744073709551615".to_owned(),
        format!("/telness/api/v2/orders/{telness}/line-items"),
        format!("/telness/api/v2/orders/{telness}"),
        "/telness/api/v2/payment-sessions".to_owned(),
        "/telness/api/v2/payments?cursor=18446744073709551615".to_owned(),
        "/control/pay".to_owned(),
        "/control/notify".to_owned(),
        "//".to_owned(),
    ];
    let bodies: [&[u8]; 8] = [
        b"",
        b"null",
        b"[]",
        b"{\"amount\":1e99,\"currency\":\"\",\"number\":null}",
        b"{\"products\":[{\"title\":\"x\",\"price\":1e30,\"quantity\":1e30}],\"client\":{\"email\":\"@\"}}",
        b"{\"unitPrice\":-1e-30,\"quantity\":\"x\"}",
        b"scenario=approve&number=%ff%00",
        &[0xff, 0xfe, 0x00],
    ];
    for target in &targets {
        for body in bodies {
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                let request = Request { body: body.to_vec(), ..super::keyed(method, target, "") };
                let answer = bench.answer(&request);
                let status = answer.response.map(|response| response.status);
                assert!(status.is_some_and(|status| status < 500), "{method} {target}");
            }
        }
    }
}
