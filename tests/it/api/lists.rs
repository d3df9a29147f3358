//! Lists and their pages.

use serde_json::{Value, json};

use super::{Gateway, id, small_order};

async fn ids(gateway: &Gateway, path: &str) -> (Vec<String>, Option<String>) {
    let page = gateway.get(path).await.expect(200);
    let ids = page["data"].as_array().unwrap().iter().map(|row| id(row).to_owned()).collect();
    (ids, page["nextCursor"].as_str().map(ToOwned::to_owned))
}

#[tokio::test]
async fn pages_are_newest_first_and_do_not_move_while_orders_are_added() {
    let gateway = Gateway::start().await;
    let place =
        || async { id(&gateway.post("/v1/orders").json(&small_order()).await.expect(201)).to_owned() };
    let mut made = Vec::new();
    for _ in 0..5 {
        made.insert(0, place().await);
    }
    let (first, next) = ids(&gateway, "/v1/orders?limit=2").await;
    assert_eq!(first, made[..2]);
    place().await;
    let (second, next) = ids(&gateway, &format!("/v1/orders?limit=2&cursor={}", next.unwrap())).await;
    assert_eq!(second, made[2..4]);
    let (third, next) = ids(&gateway, &format!("/v1/orders?limit=2&cursor={}", next.unwrap())).await;
    assert_eq!((third.as_slice(), next), (&made[4..], None));
    let (exact, next) = ids(&gateway, "/v1/orders?limit=6").await;
    assert_eq!((exact.len(), next), (6, None));
}

#[tokio::test]
async fn a_cursor_of_no_page_is_refused() {
    let gateway = Gateway::start().await;
    let endpoint = json!({"url": "https://shop.test/hooks"});
    let endpoint = gateway.post("/v1/webhook-endpoints").json(&endpoint).await.expect(201);
    let payment = gateway.session().await["paymentId"].as_str().unwrap().to_owned();
    let order = id(&gateway.post("/v1/orders").json(&small_order()).await.expect(201)).to_owned();
    for list in [
        "/v1/orders?",
        "/v1/payments?",
        "/v1/payment-profiles?customerId=c-1&",
        "/v1/attention?",
        "/v1/events?",
        "/v1/webhook-endpoints?",
        &format!("/v1/webhook-endpoints/{}/deliveries?", id(&endpoint)),
        &format!("/v1/payments/{payment}/refunds?"),
        &format!("/v1/orders/{order}/timeline?"),
    ] {
        gateway.get(list.trim_end_matches(['?', '&'])).await.expect(200);
        for cursor in ["AAAA", "b3JkXzE", "!", ""] {
            let problem = gateway.get(&format!("{list}cursor={cursor}")).await.problem(400, "invalid_value");
            assert_eq!(problem["errors"][0]["pointer"], "?cursor", "{list}{cursor}");
        }
    }
}

#[tokio::test]
async fn a_time_in_a_query_may_have_an_offset_that_is_not_encoded() {
    let gateway = Gateway::start().await;
    let order = gateway.post("/v1/orders").json(&small_order()).await.expect(201);
    for query in ["createdAfter=2026-01-01T02:00:00+02:00", "createdAfter=2026-01-01T02:00:00%2B02:00"] {
        assert_eq!(ids(&gateway, &format!("/v1/orders?{query}")).await.0, [id(&order)], "{query}");
    }
    gateway.get("/v1/orders?createdAfter=2026-01-01+soon").await.problem(400, "invalid_value");
}

#[tokio::test]
async fn orders_are_found_by_state_reference_and_time() {
    let gateway = Gateway::start().await;
    let mut body = small_order();
    body["reference"] = json!("2026-1");
    let first = gateway.post("/v1/orders").json(&body).await.expect(201);
    gateway.clock.pass(std::time::Duration::from_secs(60));
    let second = gateway.post("/v1/orders").json(&small_order()).await.expect(201);
    gateway.post(&format!("/v1/orders/{}/cancel", id(&second))).await_it().await.expect(200);
    let only = |order: &Value| vec![id(order).to_owned()];
    for (query, found) in [
        ("state=PENDING", only(&first)),
        ("state=CANCELLED", only(&second)),
        ("reference=2026-1", only(&first)),
        ("reference=2026-2", Vec::new()),
        ("createdAfter=2026-01-01T00:01:00Z", only(&second)),
        ("createdBefore=2026-01-01T00:01:00Z", only(&first)),
        ("createdBefore=2026-01-01T00:01:00Z&state=CANCELLED", Vec::new()),
    ] {
        assert_eq!(ids(&gateway, &format!("/v1/orders?{query}")).await.0, found, "{query}");
    }
}

#[tokio::test]
async fn payments_are_found_by_status_account_and_order() {
    let gateway = Gateway::start().await;
    let open = gateway.session().await;
    let paid = gateway.paid_session("AUTOMATIC").await;
    let payment = |session: &Value| session["paymentId"].as_str().unwrap().to_owned();
    assert_eq!(ids(&gateway, "/v1/payments").await.0, [payment(&paid), payment(&open)]);
    assert_eq!(ids(&gateway, "/v1/payments?status=PAID").await.0, [payment(&paid)]);
    assert_eq!(ids(&gateway, "/v1/payments?account=two").await.0, Vec::<String>::new());
    let of_order = format!("/v1/payments?account=one&orderId={}", open["orderId"].as_str().unwrap());
    assert_eq!(ids(&gateway, &of_order).await.0, [payment(&open)]);
    let (page, next) = ids(&gateway, "/v1/payments?limit=1").await;
    assert_eq!(page, [payment(&paid)]);
    let (page, next) = ids(&gateway, &format!("/v1/payments?limit=1&cursor={}", next.unwrap())).await;
    assert_eq!((page, next), (vec![payment(&open)], None));
}

#[tokio::test]
async fn a_timeline_is_oldest_first_and_has_the_providers_own_words() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_session("AUTOMATIC").await;
    let path = format!("/v1/orders/{}/timeline", session["orderId"].as_str().unwrap());
    let whole = gateway.get(&path).await.expect(200);
    let rows = whole["data"].as_array().unwrap();
    let sequences: Vec<_> = rows.iter().map(|row| row["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=u64::try_from(rows.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(rows[0]["type"], "order.created");
    let paid = rows.iter().find(|row| row["to"] == "PAID").unwrap();
    assert_eq!((&paid["type"], &paid["providerStatus"]), (&json!("payment.updated"), &json!("paid")));
    let names = |row: &Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(rows.iter().all(|row| names(row) == names(&rows[0])));

    let first = gateway.get(&format!("{path}?limit=3")).await.expect(200);
    let next = first["nextCursor"].as_str().unwrap();
    let second = gateway.get(&format!("{path}?cursor={next}")).await.expect(200);
    assert_eq!(second["data"][0]["sequence"], 4);
    gateway.get(&format!("{path}?cursor=b3JkXzE")).await.problem(400, "invalid_value");
}

#[tokio::test]
async fn payment_profiles_are_listed_for_every_customer_that_an_order_can_have() {
    let gateway = Gateway::start().await;
    let customer = "c".repeat(200);
    let mut body = small_order();
    body["customer"]["id"] = json!(customer);
    gateway.post("/v1/orders").json(&body).await.expect(201);
    let (known, _) = ids(&gateway, &format!("/v1/payment-profiles?customerId={customer}")).await;
    assert_eq!(known, Vec::<String>::new());
    let request = json!({"customer": {"id": customer}, "approach": "EMBEDDED"});
    gateway.post("/v1/payment-profiles/sessions").json(&request).await.problem(422, "no_route");
}
