//! What bad input gets: every fault at once, each with its place and its code.

use serde_json::{Value, json};

use super::{Gateway, faults, hosted, id, small_order};

/// The only fault of an order that differs from a good one as `change` says.
async fn only_fault(gateway: &Gateway, change: impl FnOnce(&mut Value)) -> (String, String) {
    let mut order = small_order();
    change(&mut order);
    let reply = gateway.post("/v1/orders").json(&order).await;
    let problem = reply.expect(400);
    let [only] = faults(&problem).try_into().unwrap();
    // With one fault, its code is the problem's.
    assert_eq!(problem["code"], only.1, "{problem}");
    only
}

/// The only fault of an order written as text, with `value` in place of the first unit price.
async fn fault_of_amount(gateway: &Gateway, value: &str) -> (String, String) {
    let text = small_order().to_string().replacen("\"unitPrice\":400", &format!("\"unitPrice\":{value}"), 1);
    let problem = gateway.post("/v1/orders").text(&text).await.expect(400);
    faults(&problem).remove(0)
}

fn at(pointer: &str, code: &str) -> (String, String) {
    (pointer.to_owned(), code.to_owned())
}

#[tokio::test]
async fn what_is_not_json_is_told_without_its_content() {
    let gateway = Gateway::start().await;
    let deep = "[".repeat(50) + &"]".repeat(50);
    for text in ["{", "{\"currency\": EUR}", "{} secret", "{\"a\": \"\\ud800\"}", &deep] {
        let problem = gateway.post("/v1/orders").text(text).await.problem(400, "malformed_json");
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
    let reply = gateway
        .post("/v1/orders")
        .header("Content-Type", "application/json")
        .bytes(b"{\"a\": \"\xff\"}")
        .await;
    reply.problem(400, "malformed_json");
    for text in ["[]", "null", "7", "\"x\""] {
        gateway.post("/v1/orders").text(text).await.problem(400, "wrong_type");
    }
    gateway.post("/v1/orders").await_it().await.problem(400, "field_missing");
}

#[tokio::test]
async fn a_fault_of_the_json_is_placed_in_the_whole_body() {
    let gateway = Gateway::start().await;
    let cut = "{\n  \"currency\": \"EUR\",\n  \"customer\": {\"firstName\": \"Ann \\ud83d\"}}";
    let problem = gateway.post("/v1/orders").text(cut).await.problem(400, "malformed_json");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("half a character") && detail.contains("line 3, column 40"), "{detail}");
    let open = "{\n  \"currency\": \"EUR\",\n  \"customer\": }";
    let problem = gateway.post("/v1/orders").text(open).await.problem(400, "malformed_json");
    assert!(problem["detail"].as_str().unwrap().contains("line 3, column 15"), "{problem}");
}

#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_passed_over() {
    let gateway = Gateway::start().await;
    let order = gateway.post("/v1/orders").text("\u{feff}{\"currency\": \"EUR\"}").await.expect(201);
    assert_eq!(order["currency"], "EUR");
}

#[tokio::test]
async fn what_people_left_empty_is_absent_and_their_spaces_are_blanks() {
    let gateway = Gateway::start().await;
    let mut order = small_order();
    order["customer"] = json!({"firstName": "", "lastName": "Berg\u{a0}Jr. ", "phone": "+33\u{a0}6\u{202f}12 34", "email": " a@b.test"});
    order["billingAddress"] =
        json!({"line1": "Flat 2\r\n1 High St\t", "line2": "", "postalCode": " ", "country": ""});
    order["items"][0]["sku"] = json!("");
    let order = gateway.post("/v1/orders").json(&order).await.expect(201);
    let (customer, address) = (&order["customer"], &order["billingAddress"]);
    assert_eq!(
        (&customer["firstName"], &customer["lastName"], &customer["phone"], &customer["email"]),
        (&Value::Null, &json!("Berg Jr."), &json!("+33 6 12 34"), &json!("a@b.test"))
    );
    assert_eq!((&address["line1"], &address["line2"]), (&json!("Flat 2 1 High St"), &Value::Null));
    assert_eq!((&address["postalCode"], &address["country"]), (&Value::Null, &Value::Null));
    assert_eq!(order["items"][0]["sku"], Value::Null);
    // What identifies the order is not filled in by people.
    let empty = only_fault(&gateway, |order| order["reference"] = json!("")).await;
    assert_eq!(empty, at("/reference", "invalid_value"));
}

#[tokio::test]
async fn every_fault_is_found_at_once() {
    let gateway = Gateway::start().await;
    let order = json!({
        "currency": "EURO",
        "reference": "",
        "items": [
            {"title": 7, "quantity": 0, "unitPrice": -1, "taxRate": 25},
            {"quantity": 1.5, "unitPrice": 1, "discount": 2, "taxRate": "1,5", "colour": "red"},
        ],
        "customer": {"email": "nobody", "phone": "call 5"},
        "billingAddress": {"country": "Germany"},
        "retrunUrls": {},
        "metadata": {"a": 1, "": "x"},
        "autoSubmit": "yes",
    });
    let problem = gateway.post("/v1/orders").json(&order).await.problem(400, "validation_failed");
    let mut found = faults(&problem);
    found.sort();
    let mut expected = [
        at("/autoSubmit", "wrong_type"),
        at("/billingAddress/country", "invalid_value"),
        at("/currency", "currency_unknown"),
        at("/customer/email", "invalid_value"),
        at("/customer/phone", "invalid_value"),
        at("/items/0/quantity", "out_of_range"),
        at("/items/0/taxRate", "wrong_type"),
        at("/items/0/title", "wrong_type"),
        at("/items/0/unitPrice", "amount_negative"),
        at("/items/1/colour", "unknown_field"),
        at("/items/1/quantity", "not_an_integer"),
        at("/items/1/taxRate", "invalid_value"),
        at("/items/1/title", "field_missing"),
        at("/metadata/", "too_long"),
        at("/metadata/a", "wrong_type"),
        at("/reference", "invalid_value"),
        at("/retrunUrls", "unknown_field"),
    ];
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn amounts_are_whole_minor_units_that_fit() {
    let gateway = Gateway::start().await;
    let table = [
        ("19.99", "not_an_integer"),
        ("1.0", "not_an_integer"),
        ("1e3", "not_an_integer"),
        ("-1", "amount_negative"),
        ("-99999999999999999999", "amount_negative"),
        ("9223372036854775808", "amount_too_large"),
        ("99999999999999999999999999", "amount_too_large"),
        ("9223372036854775807", "amount_too_large"),
        ("\"400\"", "wrong_type"),
        ("null", "field_missing"),
        ("true", "wrong_type"),
    ];
    for (value, code) in table {
        assert_eq!(fault_of_amount(&gateway, value).await, at("/items/0/unitPrice", code), "{value}");
    }
}

#[tokio::test]
async fn an_amount_may_name_its_currency_which_is_the_orders() {
    let gateway = Gateway::start().await;
    let stated = |currency: &str| json!({"amount": 400, "currency": currency});
    let mut order = small_order();
    order["items"][0]["unitPrice"] = stated("EUR");
    let placed = gateway.post("/v1/orders").json(&order).await.expect(201);
    assert_eq!(placed["items"][0]["unitPrice"], 400);
    let mixed = only_fault(&gateway, |order| order["items"][0]["unitPrice"] = stated("USD")).await;
    assert_eq!(mixed, at("/items/0/unitPrice/currency", "currency_mismatch"));
    let unknown = only_fault(&gateway, |order| order["shipping"] = stated("XXX")).await;
    assert_eq!(unknown, at("/shipping/currency", "currency_unknown"));
    let path = format!("/v1/orders/{}/items", id(&placed));
    let item = json!({"title": "Cup", "quantity": 1, "unitPrice": stated("USD")});
    gateway.post(&path).json(&item).await.problem(400, "currency_mismatch");
}

#[tokio::test]
async fn quantities_discounts_and_lengths_have_bounds() {
    let gateway = Gateway::start().await;
    let first = |field: &'static str, value: Value| move |order: &mut Value| order["items"][0][field] = value;
    let zero = only_fault(&gateway, first("quantity", json!(0))).await;
    assert_eq!(zero, at("/items/0/quantity", "out_of_range"));
    let more = only_fault(&gateway, first("discount", json!(801))).await;
    assert_eq!(more, at("/items/0/discount", "discount_exceeds_price"));
    let many = only_fault(&gateway, first("quantity", json!(i64::MAX))).await;
    assert_eq!(many, at("/items/0/unitPrice", "amount_too_large"));
    let long = only_fault(&gateway, first("title", json!("x".repeat(301)))).await;
    assert_eq!(long, at("/items/0/title", "too_long"));
    let line = only_fault(&gateway, first("sku", json!("a\nb"))).await;
    assert_eq!(line, at("/items/0/sku", "invalid_value"));
    let often = only_fault(&gateway, first("recurring", json!({"interval": "MONTH", "count": 0}))).await;
    assert_eq!(often, at("/items/0/recurring/count", "out_of_range"));
    let rate = only_fault(&gateway, first("taxRate", json!("-1"))).await;
    assert_eq!(rate, at("/items/0/taxRate", "invalid_value"));
}

#[tokio::test]
async fn an_order_has_at_most_200_items_and_50_notes() {
    let gateway = Gateway::start().await;
    let items = |count| json!(vec![json!({"title": "x", "quantity": 1, "unitPrice": 1}); count]);
    let many = only_fault(&gateway, |order| order["items"] = items(201)).await;
    assert_eq!(many, at("/items", "too_many_items"));
    let full =
        gateway.post("/v1/orders").json(&json!({"currency": "EUR", "items": items(200)})).await.expect(201);
    let path = format!("/v1/orders/{}/items", id(&full));
    let one = json!({"title": "x", "quantity": 1, "unitPrice": 1});
    gateway.post(&path).json(&one).await.problem(400, "too_many_items");

    let notifications =
        |count: usize| (0..count).map(|n| (format!("n{n}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    let many = only_fault(&gateway, |order| order["metadata"] = notifications(51).into()).await;
    assert_eq!(many, at("/metadata", "too_long"));
    let name = only_fault(&gateway, |order| order["metadata"] = json!({"x".repeat(41): "v"})).await;
    assert_eq!(name.1, "too_long");
    let value = only_fault(&gateway, |order| order["metadata"] = json!({"n": "v".repeat(501)})).await;
    assert_eq!(value, at("/metadata/n", "too_long"));
}

#[tokio::test]
async fn a_name_given_twice_is_a_fault() {
    let gateway = Gateway::start().await;
    let text = "{\"currency\": \"EUR\", \"currency\": \"USD\", \"metadata\": {\"a\": \"1\", \"a\": \"2\"}}";
    let problem = gateway.post("/v1/orders").text(text).await.problem(400, "validation_failed");
    let mut found = faults(&problem);
    found.sort();
    assert_eq!(found, [at("/currency", "duplicate_field"), at("/metadata/a", "duplicate_field")]);
}

#[tokio::test]
async fn a_checkout_is_read_as_strictly() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}/checkout", id(&order));
    let request = json!({
        "approach": "HOSTED",
        "captureMode": "LATER",
        "returnUrls": {
            "success": "/relative", "failure": "ftp://shop.test", "cancel": "https://ann:secret@shop.test",
            "retry": "https://shop.test",
        },
        "notify": {"email": true},
        "expiresIn": 299,
        "language": "english please",
        "paymentProfileId": "pay_01h455vb4pex5vsknk084sn02q",
    });
    let problem = gateway.post(&path).json(&request).await.problem(400, "validation_failed");
    let mut found = faults(&problem);
    found.sort();
    let mut expected = [
        at("/captureMode", "invalid_value"),
        at("/expiresIn", "out_of_range"),
        at("/language", "invalid_value"),
        at("/notify", "invalid_value"),
        at("/paymentProfileId", "invalid_value"),
        at("/returnUrls/cancel", "invalid_value"),
        at("/returnUrls/failure", "invalid_value"),
        at("/returnUrls/inProgress", "field_missing"),
        at("/returnUrls/retry", "unknown_field"),
        at("/returnUrls/success", "invalid_value"),
    ];
    expected.sort();
    assert_eq!(found, expected);
    let problem =
        gateway.post(&path).json(&json!({"approach": "HOSTED"})).await.problem(400, "field_missing");
    assert_eq!(faults(&problem), [at("/returnUrls", "field_missing")]);
    assert_eq!(gateway.provider.objects(), 0);
}

#[tokio::test]
async fn a_quick_checkout_with_a_fault_makes_nothing() {
    let gateway = Gateway::start().await;
    let mut order = small_order();
    order["items"][1]["quantity"] = json!(0);
    let mut request = hosted();
    request["expiresIn"] = json!(1);
    let problem = gateway.post("/v1/checkouts").json(&json!({"order": order, "checkout": request})).await;
    let mut found = faults(&problem.problem(400, "validation_failed"));
    found.sort();
    assert_eq!(
        found,
        [at("/checkout/expiresIn", "out_of_range"), at("/order/items/1/quantity", "out_of_range")]
    );
    let list = gateway.get("/v1/orders").await.expect(200);
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn an_action_that_takes_nothing_refuses_something() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    for action in ["price", "approve", "reject", "cancel"] {
        let path = format!("/v1/orders/{}/{action}", id(&order));
        let problem =
            gateway.post(&path).json(&json!({"why": "because"})).await.problem(400, "unknown_field");
        assert_eq!(faults(&problem), [at("/why", "unknown_field")]);
    }
    let path = format!("/v1/orders/{}/price", id(&order));
    gateway.post(&path).json(&json!({})).await.expect(200);
}

#[tokio::test]
async fn a_parameter_that_an_address_does_not_take_is_told_and_nothing_is_done() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let field = |name: &str| session[name].as_str().unwrap().to_owned();
    let order = format!("/v1/orders/{}", field("orderId"));
    let events = format!("/v1/payment-sessions/{}/events", field("id"));
    let payment = format!("/v1/payments/{}", field("paymentId"));
    let cancel = format!("{order}/cancel");
    for (method, path) in [
        ("GET", order.as_str()),
        ("GET", &payment),
        ("GET", &events),
        ("PATCH", &order),
        ("POST", &cancel),
        ("POST", "/v1/orders"),
    ] {
        let reply = gateway.request(method, &format!("{path}?refesh=true")).await_it().await;
        let problem = reply.problem(400, "unknown_field");
        assert_eq!(faults(&problem), [at("?refesh", "unknown_field")], "{method} {path}");
    }
    assert_eq!(gateway.get(&order).await.expect(200)["state"], "PENDING_PAYMENT");
}

#[tokio::test]
async fn what_is_not_known_is_answered_with_what_is() {
    let gateway = Gateway::start().await;
    let detail = |problem: &Value| problem["errors"][0]["detail"].as_str().unwrap().to_owned();
    let problem = gateway.get("/v1/attention?state=open").await.problem(400, "unknown_field");
    assert_eq!(detail(&problem), "This is not known here; known are limit, cursor, open, code, account.");
    let problem = gateway.get("/v1/refunds/ref_1?x=1").await.problem(400, "unknown_field");
    assert_eq!(detail(&problem), "This is not known here; nothing can be given.");
}

#[tokio::test]
async fn what_people_typed_is_stored_as_they_meant_it() {
    let gateway = Gateway::start().await;
    let mut order = small_order();
    order["customer"]["phone"] = json!("tel:+49 30 1234567, ext. 12");
    order["customer"]["email"] = json!(" MailTo:ann@\u{200b}example.test ");
    let stored = gateway.post("/v1/orders").json(&order).await.expect(201);
    assert_eq!(stored["customer"]["phone"], "+49 30 1234567");
    assert_eq!(stored["customer"]["email"], "ann@example.test");
    order["customer"]["phone"] = json!("n/a");
    let stored = gateway.post("/v1/orders").json(&order).await.expect(201);
    assert_eq!(stored["customer"]["phone"], Value::Null);
    order["customer"]["email"] = json!("ann@example,test");
    let problem = gateway.post("/v1/orders").json(&order).await.problem(400, "invalid_value");
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("has no comma: a dot may be meant"), "{detail}");
}

#[tokio::test]
async fn an_empty_choice_is_none_and_a_repeated_one_is_one() {
    let gateway = Gateway::start().await;
    let mut order = small_order();
    for name in ["requiresPayment", "requiresPaymentProfile", "requiresSigning"] {
        order[name] = json!("");
    }
    let created = gateway.post("/v1/orders").json(&order).await.expect(201);
    assert_eq!(created["requiresSigning"], "NOT_REQUIRED");
    let path = format!("/v1/orders/{}", id(&created));
    gateway.request("PATCH", &path).json(&json!({"requiresPayment": " "})).await.expect(200);
    gateway.get("/v1/orders?state=").await.expect(200);
    gateway.post(&format!("{path}/price")).await_it().await.expect(200);
    let mut checkout = hosted();
    for name in ["captureMode", "language"] {
        checkout[name] = json!("");
    }
    checkout["returnUrls"]["success"] = json!(" https://shop.test/ok\u{a0}");
    gateway.post(&format!("{path}/checkout")).json(&checkout).await.expect(201);
    let endpoint =
        json!({"url": "\u{a0}https://shop.test/hook ", "events": ["payment.paid", "payment.paid"]});
    let endpoint = gateway.post("/v1/webhook-endpoints").json(&endpoint).await.expect(201);
    assert_eq!(
        (&endpoint["url"], &endpoint["events"]),
        (&json!("https://shop.test/hook"), &json!(["payment.paid"]))
    );
    let change = json!({"url": " https://shop.test/other"});
    let path = format!("/v1/webhook-endpoints/{}", id(&endpoint));
    assert_eq!(
        gateway.request("PATCH", &path).json(&change).await.expect(200)["url"],
        "https://shop.test/other"
    );
    order["requiresPayment"] = json!("REQUIRED");
    let problem = gateway.post("/v1/orders").json(&order).await.problem(400, "invalid_value");
    assert_eq!(problem["errors"][0]["detail"], "This must be OPTIONAL, or be left out.");
}
