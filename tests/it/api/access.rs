//! Who gets in, what is echoed, and what an address takes.

use paymux::http::problem::Code;

use super::gateway::{FINANCE_KEY, OTHER_KEY, REVOKED_KEY};
use super::{Gateway, faults, id, small_order};

#[tokio::test]
async fn a_request_without_a_valid_key_is_refused_the_same_way_whatever_is_wrong() {
    let gateway = Gateway::start().await;
    let revoked = format!("Bearer {REVOKED_KEY}");
    let wrong = ["", "Bearer", "Bearer ", "Bearer nobody", "Basic cGs6", "Bearer a b", revoked.as_str()];
    for value in wrong {
        let reply = gateway.request("GET", "/v1/orders").header("Authorization", value).await_it().await;
        let problem = reply.problem(401, "unauthenticated");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"paymux\""));
        assert_eq!(problem["instance"], "/v1/orders");
        assert_eq!(problem["detail"], "Send a valid API key as `Authorization: Bearer <api key>`.");
    }
    gateway
        .request("GET", "/v1/orders")
        .without("Authorization")
        .await_it()
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_key_without_the_scope_is_told_which_it_lacks() {
    let gateway = Gateway::start().await;
    let bearer = format!("Bearer {FINANCE_KEY}");
    let reply = gateway.post("/v1/orders").header("Authorization", &bearer).json(&small_order()).await;
    assert_eq!(reply.problem(403, "scope_missing")["scope"], "payments");
}

#[tokio::test]
async fn what_belongs_to_another_merchant_does_not_exist() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let order = session["orderId"].as_str().unwrap();
    let payment = session["paymentId"].as_str().unwrap();
    let bearer = format!("Bearer {OTHER_KEY}");
    let reads = [
        format!("/v1/orders/{order}"),
        format!("/v1/orders/{order}/timeline"),
        format!("/v1/payment-sessions/{}", id(&session)),
        format!("/v1/payments/{payment}"),
        format!("/v1/payments/{payment}/refunds"),
    ];
    for path in reads {
        let reply = gateway.request("GET", &path).header("Authorization", &bearer).await_it().await;
        reply.problem(404, "not_found");
        gateway.get(&path).await.expect(200);
    }
    for action in ["price", "cancel", "approve"] {
        let path = format!("/v1/orders/{order}/{action}");
        gateway.post(&path).header("Authorization", &bearer).await_it().await.problem(404, "not_found");
    }
    for path in ["/v1/orders", "/v1/payments", &format!("/v1/payments?orderId={order}"), "/v1/events"] {
        let list = gateway.request("GET", path).header("Authorization", &bearer).await_it().await.expect(200);
        assert_eq!(list["data"].as_array().unwrap().len(), 0, "{path}");
        let own = gateway.get(path).await.expect(200);
        assert_ne!(own["data"].as_array().unwrap().len(), 0, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_id_names_nothing() {
    let gateway = Gateway::start().await;
    for path in
        ["/v1/orders/7", "/v1/orders/pay_01h455vb4pex5vsknk084sn02q", "/v1/payments/x", "/v1/refunds/%00"]
    {
        gateway.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn the_id_of_a_request_is_echoed_or_made() {
    let gateway = Gateway::start().await;
    let echoed = gateway.request("GET", "/v1/orders").header("X-Request-Id", "till-7/42").await_it().await;
    assert_eq!(echoed.header("x-request-id"), Some("till-7/42"));
    let longest = "x".repeat(128);
    let kept = gateway.request("GET", "/v1/orders").header("X-Request-Id", &longest).await_it().await;
    assert_eq!(kept.header("x-request-id"), Some(longest.as_str()));
    for bad in ["", "a b", &"x".repeat(129), "4242 4242 4242 4242"] {
        let made = gateway.request("GET", "/v1/orders").header("X-Request-Id", bad).await_it().await;
        assert_ne!(made.header("x-request-id"), Some(bad));
        assert_eq!(made.header("x-request-id").unwrap().len(), 36);
    }
    // The timeline shows which request did it.
    let reply = gateway.post("/v1/orders").header("X-Request-Id", "till-8").json(&small_order()).await;
    let order = reply.expect(201);
    let timeline = gateway.get(&format!("/v1/orders/{}/timeline", id(&order))).await.expect(200);
    assert_eq!(timeline["data"][0]["requestId"], "till-8");
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems_too() {
    let gateway = Gateway::start().await;
    gateway.get("/v1/order").await.problem(404, "not_found");
    gateway.get("/v1/orders/").await.problem(404, "not_found");
    let reply = gateway.request("PUT", "/v1/orders").await_it().await;
    reply.problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("POST, GET, HEAD"));
    let reply = gateway.request("BREW", "/v1/orders/x/items/y").await_it().await;
    reply.problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("PATCH, DELETE"));
}

#[tokio::test]
async fn the_gateways_own_address_says_what_it_is_and_leads_to_a_page_for_every_code() {
    let gateway = Gateway::start().await;
    let page = async |path: &str| {
        let reply = gateway.request("GET", path).without("Authorization").await_it().await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        let text = reply.text().to_owned();
        assert!(text.contains("<main>") && text.contains("prefers-color-scheme:dark"), "{text}");
        assert!(!text.contains('`'), "{text}");
        text
    };
    let home = page("/").await;
    assert!(home.contains("payment gateway") && home.contains("https://pay.test/v1/orders"), "{home}");
    assert!(home.contains("href=\"problems\""), "{home}");
    let list = page("/problems").await;
    let codes: Vec<&str> =
        list.split("href=\"problems/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(codes.len(), Code::ALL.len());
    for code in codes {
        assert!(page(&format!("/problems/{code}")).await.contains("href=\"../problems\""));
    }
}

#[tokio::test]
async fn a_body_is_json_in_utf_8_and_says_so() {
    let gateway = Gateway::start().await;
    let body = small_order().to_string();
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "json", ""]
    {
        let reply = gateway.post("/v1/orders").header("Content-Type", kind).bytes(body.as_bytes()).await;
        reply.problem(415, "unsupported_media_type");
    }
    gateway.post("/v1/orders").bytes(body.as_bytes()).await.problem(415, "unsupported_media_type");
    let packed = gateway.post("/v1/orders").header("Content-Encoding", "gzip");
    packed.text(&body).await.problem(415, "unsupported_media_type");
    let plain = gateway.post("/v1/orders").header("Content-Type", "Application/JSON; charset=\"UTF-8\"");
    plain.bytes(body.as_bytes()).await.expect(201);
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused_and_told_why() {
    let gateway = Gateway::start().await;
    let body = format!("{{\"currency\": \"{}\"}}", "x".repeat(300 * 1024));
    let reply = gateway.post("/v1/orders").text(&body).await;
    assert_eq!(reply.problem(413, "body_too_large")["limit"], 262_144);
    gateway.get("/v1/orders").await.expect(200);
}

#[tokio::test]
async fn each_code_has_its_page() {
    let gateway = Gateway::start().await;
    let reply = gateway.request("GET", "/problems/no_route").without("Authorization").await_it().await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(reply.text().contains("<code>no_route</code> &middot; HTTP 422"));
    gateway.get("/problems/nothing").await.problem(404, "not_found");
    let browser = gateway.request("GET", "/problems/nothing").header("Accept", "text/html,*/*;q=0.8");
    let reply = browser.without("Authorization").await_it().await;
    assert_eq!((reply.status, reply.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(reply.text().contains("No such error code") && reply.text().contains("href=\"../problems\""));
    let reply = gateway.request("GET", "/problems/").without("Authorization").await_it().await;
    assert_eq!((reply.status, reply.header("location")), (308, Some("../problems")));
    for (path, accepted, kind) in [
        ("/nothing", "text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("/nothing", "application/json", "application/problem+json"),
        ("/v1/nothing", "text/html,*/*;q=0.8", "application/problem+json"),
    ] {
        let request = gateway.request("GET", path).header("Accept", accepted).without("Authorization");
        let reply = request.await_it().await;
        assert_eq!((reply.status, reply.header("content-type")), (404, Some(kind)), "{path} {accepted}");
    }
}

#[tokio::test]
async fn a_query_is_read_as_strictly_as_a_body() {
    let gateway = Gateway::start().await;
    let problem =
        gateway.get("/v1/orders?limit=0&cursor=!&state=PAID&createdAfter=today&page=2&limit=1").await;
    let mut found = faults(&problem.problem(400, "validation_failed"));
    found.sort();
    let expected = [
        ("?createdAfter", "invalid_value"),
        ("?cursor", "invalid_value"),
        ("?limit", "duplicate_field"),
        ("?limit", "out_of_range"),
        ("?page", "unknown_field"),
        ("?state", "invalid_value"),
    ];
    assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
    gateway.get("/v1/orders?limit=201").await.problem(400, "out_of_range");
    gateway.get("/v1/payments?limit=x").await.problem(400, "invalid_value");
}

#[tokio::test]
async fn an_empty_body_needs_no_type_and_may_have_any() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}/price", id(&order));
    gateway.post(&path).header("Content-Type", "text/plain").await_it().await.expect(200);
    gateway.request("GET", "/v1/orders").header("Content-Type", "text/plain").await_it().await.expect(200);
}
