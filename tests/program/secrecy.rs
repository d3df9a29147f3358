//! What must never be written down: keys, addresses, card numbers.

use serde_json::json;

use super::demo::Demo;
use super::running::Gateway;
use super::shop::Shop;

/// Planted in every place of a request that could end up in a log line.
const PLANTED: [&str; 6] = [
    "pmx_test_demo",
    "planted@example.test",
    "+37120000000",
    "Plantedname",
    "4242424242424242",
    "4242 4242 4242 4242",
];

#[tokio::test]
async fn planted_secrets_addresses_and_card_numbers_never_appear_in_logs_or_metrics() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let demo = Demo::of(|folder, sandbox| Gateway::start_logging(folder, sandbox, log.reopen().unwrap()));
    let shop = &demo.shop;
    let mut body = Shop::order(Some("decta-demo"), "EUR", 1999);
    body["order"]["customer"] = json!({
        "email": "planted@example.test", "phone": "+37120000000", "firstName": "Plantedname", "lastName": "Berg",
    });
    let answer = shop.checkout("planted", &body).await;
    shop.play(answer["session"]["checkoutUrl"].as_str().unwrap(), "declined").await;
    shop.pay(answer["session"]["checkoutUrl"].as_str().unwrap()).await;
    shop.until(answer["order"]["id"].as_str().unwrap(), |order| order["state"] == "PROCESSING").await;
    for card in ["4242424242424242", "4242 4242 4242 4242"] {
        let mut with_card = Shop::order(Some("decta-demo"), "EUR", 1999);
        with_card["order"]["items"][0]["title"] = json!(card);
        let (status, problem) = shop.post("/v1/checkouts", &with_card).await;
        assert_eq!((status, &problem["code"]), (422, &json!("card_data_refused")));
        assert!(!problem.to_string().contains(card), "the number is echoed: {problem}");
    }
    let metrics = demo.metrics().await;
    assert!(metrics.contains("paymux_"), "{metrics}");
    drop(demo);
    let logged = std::fs::read_to_string(log.path()).unwrap();
    assert!(!logged.is_empty(), "the gateway says something about itself");
    for planted in PLANTED {
        assert!(!logged.contains(planted), "{planted} was logged:\n{logged}");
        assert!(!metrics.contains(planted), "{planted} is in the metrics");
    }
}
