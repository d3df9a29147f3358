use super::{Bench, CARD, Reply, Request, SECOND, keyed};

const BASE: &str = "/telness/api/v2";

fn line(price: &str) -> String {
    format!(
        r#"{{"type":"EXTERNAL_ITEM","name":"Order","quantity":1,"unitPrice":{price},"currency":"SEK","taxRate":25}}"#
    )
}

impl Bench {
    fn telness(&mut self, method: &str, path: &str, body: &str) -> Reply {
        self.send(method, &format!("{BASE}{path}"), body)
    }

    fn telness_order(&mut self) -> String {
        let body = format!(
            r#"{{"customer":{{"referenceId":"u-1"}},"metadata":{{"reference":"att-1"}},"lineItems":[{}]}}"#,
            line("100.00")
        );
        let made = self.telness("POST", "/orders", &body);
        made.is(201).has(r#""state":"PENDING""#);
        made.text("orderId")
    }

    fn telness_session(&mut self, order: &str) -> Reply {
        let body = format!(
            r#"{{"orderId":"{order}","paymentProvider":"STRIPE","hosted":true,
               "returnUrl":"https://shop.test/done","cancelUrl":"https://shop.test/cart"}}"#
        );
        let made = self.telness("POST", "/payment-sessions", &body);
        made.is(201);
        made
    }
}

#[test]
fn a_page_is_headed_by_what_is_bought() {
    let mut bench = Bench::new();
    let order = bench.telness_order();
    bench.telness("POST", &format!("/orders/{order}/calculate-price"), "").is(200);
    let session = bench.telness_session(&order).text("paymentSessionId");
    bench.page("GET", &format!("/telness/pay/{session}"), "").has("<h1>Order</h1>").lacks("att-1");
}

#[test]
fn an_order_is_filled_priced_paid_and_submitted() {
    let mut bench = Bench::new();
    let order = bench.telness("POST", "/orders", "{}").text("orderId");
    let path = |rest: &str| format!("/orders/{order}{rest}");
    bench.telness("POST", &path("/calculate-price"), "").is(400).has(r#""code":"FIELD_REQUIRED""#);
    bench.telness("POST", &path("/line-items"), &line("100.00")).is(200).has("lineItemId");
    bench.telness("PATCH", &path(""), r#"{"customer":{"customerId":"cus-1"}}"#).is(200).has("cus-1");
    bench.telness("PATCH", &path(""), "[1]").is(400);
    let priced = bench.telness("POST", &path("/calculate-price"), "");
    priced.is(200).has(r#""total":125.00"#).has(r#""currency":"SEK""#).has(r#""taxAmount":25.00"#);
    priced.has(r#""subtotal":100.00"#);
    bench.telness("POST", &path("/submit"), "{}").is(412).has("missing_payment_session");
    let session = bench.telness_session(&order);
    session.has(r#""status":"PENDING""#).has("checkoutUrl").lacks("amount");
    let id = session.text("paymentSessionId");
    bench.telness("GET", &path(""), "").has(r#""state":"PENDING_PAYMENT""#).has("REQUIRED");
    bench.telness("POST", &path("/line-items"), &line("1")).is(409);
    let submit = format!(r#"{{"paymentSessionId":"{id}"}}"#);
    bench.telness("POST", &path("/submit"), &submit).is(412).has("failed_precondition");
    let back = bench.page("POST", &format!("/telness/pay/{id}"), CARD);
    assert_eq!(back.location, "https://shop.test/done");
    bench.telness("GET", &format!("/payment-sessions/{id}"), "").has(r#""status":"COMPLETED""#);
    bench.telness("POST", &path("/submit"), &submit).is(200).has(r#""state":"SUBMITTED""#);
    bench.telness("POST", &path("/submit"), &submit).is(200);
    bench.telness("GET", "/payments", "").has(r#""status":"PAID""#).has(r#""amount":125.00"#);
    bench.ledger().has(r#""amount":12500"#).has(r#""captured":12500"#);
}

#[test]
fn an_order_is_submitted_with_an_external_payment_but_not_with_two_proofs() {
    let mut bench = Bench::new();
    let order = bench.telness_order();
    let submit = format!("/orders/{order}/submit");
    let both = r#"{"externalPayment":{"reference":"pi"},"paymentSessionId":"s"}"#;
    bench.telness("POST", &submit, both).is(400);
    bench.telness("POST", &submit, r#"{"externalPayment":{}}"#).is(400).has("externalPayment.reference");
    let paid = bench.telness("POST", &submit, r#"{"externalPayment":{"reference":"pi_9"}}"#);
    paid.is(200).has("receivedAt").has(r#""reference":"pi_9""#);
    bench.telness("POST", &format!("/orders/{order}/cancel"), "").is(200).has("CANCELLED");
}

#[test]
fn the_first_answer_to_an_idempotency_key_is_repeated() {
    let mut bench = Bench::new();
    let request =
        |body: &str| keyed("POST", "/telness/api/v2/orders", body).header("X-Idempotency-Key", "k-1");
    let first = bench.reply(&request("{}"));
    let again = bench.reply(&request("{}"));
    assert_eq!((first.status, &first.body), (201, &again.body));
    bench.reply(&request("{ }")).is(409).has("idempotency_key_mismatch");
    let long = "k".repeat(257);
    bench.reply(&keyed("POST", "/telness/api/v2/orders", "{}").header("X-Idempotency-Key", &long)).is(400);
    bench.now += 24 * 3600 * SECOND;
    assert_ne!(bench.reply(&request("{}")).body, first.body);
    let elsewhere = keyed("POST", "/telness/api/v2/payment-links", "{}").header("X-Idempotency-Key", "k-1");
    bench.reply(&elsewhere).is(400).has("VALIDATION_ERROR");
}

#[test]
fn a_lost_answer_is_found_again_by_its_key() {
    let mut bench = Bench::new();
    let order = bench.telness_order();
    let body = format!(r#"{{"orderId":"{order}","paymentProvider":"STRIPE"}}"#);
    let request = keyed("POST", "/telness/api/v2/payment-sessions", &body).header("X-Idempotency-Key", "s-1");
    bench.fault("telness", "create", "timeout_after");
    let lost = bench.answer(&request);
    assert_eq!((lost.response, lost.delay_ms), (None, 35_000));
    let id = bench.reply(&request).text("paymentSessionId");
    let ledger = bench.ledger();
    assert_eq!(ledger.text("id"), id);
    assert_eq!(ledger.body.matches("\"kind\"").count(), 1);
}

#[test]
fn a_session_that_fails_frees_its_order() {
    let mut bench = Bench::new();
    let order = bench.telness_order();
    let id = bench.telness_session(&order).text("paymentSessionId");
    bench.telness("POST", &format!("/payment-sessions/{id}/cancel"), "{}").has(r#""status":"FAILED""#);
    bench.telness("POST", &format!("/payment-sessions/{id}/cancel"), "{}").is(409);
    bench.telness("GET", &format!("/orders/{order}"), "").has(r#""state":"PENDING""#);
    let second = bench.telness_session(&order).text("paymentSessionId");
    bench.telness("POST", &format!("/orders/{order}/cancel"), "{}").is(200);
    bench.pay("telness", &second, "paid").is(409);
    bench
        .telness("POST", "/payment-sessions", &format!(r#"{{"orderId":"{order}","paymentProvider":"X"}}"#))
        .is(409);
}

#[test]
fn links_are_paid_cancelled_and_expire() {
    let mut bench = Bench::new();
    let mut link = || {
        let order = bench.telness_order();
        let body =
            format!(r#"{{"orderId":"{order}","description":"Pay","successUrl":"https://shop.test/ok"}}"#);
        let made = bench.telness("POST", "/payment-links", &body);
        made.is(201).has(r#""status":"ACTIVE""#);
        made.text("paymentLinkId")
    };
    let (paid, cancelled, late) = (link(), link(), link());
    assert_eq!(bench.page("POST", &format!("/telness/pay/{paid}"), CARD).location, "https://shop.test/ok");
    let read = bench.telness("GET", &format!("/payment-links/{paid}"), "");
    read.has(r#""status":"COMPLETED""#).has("completedAt");
    let payment = read.text("paymentId");
    bench.advance("telness", &paid, "REFUNDED").is(200);
    bench.telness("GET", &format!("/payments/{payment}"), "").has(r#""status":"REFUNDED""#);
    bench.telness("POST", &format!("/payment-links/{cancelled}/cancel"), "").has("CANCELLED");
    bench.now += 31 * 24 * 3600 * SECOND;
    bench.telness("GET", &format!("/payment-links/{late}"), "").has(r#""status":"EXPIRED""#);
    bench.telness("POST", "/payment-links", r#"{"orderId":"a","invoiceId":"b"}"#).is(400);
}

#[test]
fn what_was_paid_with_a_link_proves_that_its_order_may_be_handed_over() {
    let mut bench = Bench::new();
    let order = bench.telness_order();
    let made = bench.telness("POST", "/payment-links", &format!(r#"{{"orderId":"{order}"}}"#));
    let link = made.text("paymentLinkId");
    let submit = format!("/orders/{order}/submit");
    bench.telness("POST", &submit, "{}").is(412).has("missing_payment_session");
    bench.page("POST", &format!("/telness/pay/{link}"), CARD).is(303);
    bench.telness("POST", &submit, "{}").is(200).has(r#""state":"SUBMITTED""#);
    // A link of another order proves nothing.
    let other = bench.telness_order();
    bench.telness("POST", &format!("/orders/{other}/submit"), "{}").is(412);
}

#[test]
fn a_profile_session_saves_a_card_that_is_charged_without_the_customer() {
    let mut bench = Bench::new();
    let order = bench.telness_order();
    let body = format!(r#"{{"orderId":"{order}","paymentProvider":"STRIPE"}}"#);
    let made = bench.telness("POST", "/payment-profiles/sessions", &body);
    made.is(201).has("setupIntentId");
    let id = made.text("paymentProfileSessionId");
    bench.page("GET", &format!("/telness/save/{id}"), "").has("Save card");
    bench.page("POST", &format!("/telness/save/{id}"), CARD).is(303);
    bench.telness("GET", &format!("/payment-profiles/sessions/{id}"), "").has("COMPLETED");
    let profile = bench.telness("GET", "/payment-profiles?customerId=rid_u-1", "").text("paymentProfileId");
    bench.telness("GET", &format!("/payment-profiles/{profile}"), "").has("ACTIVE");
    let body = format!(
        r#"{{"orderId":"{order}","paymentProvider":"STRIPE","paymentProfileId":"{profile}","metadata":{{"reference":"r"}}}}"#
    );
    bench.telness("POST", "/payment-sessions", &body).is(201).has(r#""status":"COMPLETED""#);
    bench.telness("GET", "/payment-profiles", "").is(400);
}

#[test]
fn lines_that_cannot_be_priced_are_refused() {
    let mut bench = Bench::new();
    let order = bench.telness_order();
    let path = format!("/orders/{order}/line-items");
    bench.telness("POST", &path, &line("1").replace("SEK", "EUR")).is(400).has("one currency");
    bench.telness("POST", &path, &line("1.001")).is(400).has("decimals");
    bench.telness("POST", &path, r#"{"type":"SUBSCRIPTION"}"#).is(400);
    bench.telness("POST", "/orders/none/calculate-price", "").is(404).has("NOT_FOUND");
    bench.reply(&Request::new("GET", "/telness/api/v2/orders")).is(401);
    bench.telness("GET", "/orders?limit=1", "").has(&order).has(r#""nextCursor":null"#);
}

#[test]
fn the_words_of_orders_sessions_and_links_can_be_set() {
    let mut bench = Bench::new();
    let order = bench.telness_order();
    let id = bench.telness_session(&order).text("paymentSessionId");
    for word in ["REQUIRES_ACTION", "FAILED", "PENDING", "COMPLETED"] {
        bench.advance("telness", &id, word).is(200).has(&format!(r#""word":"{word}""#));
    }
    bench.advance("telness", &id, "ACTIVE").is(400);
    bench.pay("telness", &id, "hold").is(409);
    for state in ["PROCESSING", "COMPLETED", "FAILED", "PENDING_APPROVAL"] {
        bench.advance("telness", &order, state).is(200).has(&format!(r#""state":"{state}""#));
    }
    bench.advance("telness", &order, "NONSENSE").is(400);
    bench.ledger().has(r#""reference":"att-1""#);
}
