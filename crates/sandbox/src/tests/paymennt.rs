use super::{Bench, CARD, Reply, Request, SECOND};

const BASE: &str = "/paymennt/mer/v2.0";

fn link(request_id: &str, amount: &str) -> String {
    format!(
        r#"{{"requestId":"{request_id}","orderId":"O-1","description":"Two tickets","currency":"AED","amount":{amount},
           "customer":{{"id":"u-77","firstName":"Mina","lastName":"Haddad","email":"m@x.test"}},"expiresIn":15}}"#
    )
}

fn web(request_id: &str) -> String {
    format!(
        r#"{{"requestId":"{request_id}","orderId":"O-1","currency":"AED","amount":120.50,
           "items":[{{"name":"Ticket","quantity":1,"linetotal":120.5}}],
           "customer":{{"id":"u-77","firstName":"Mina","lastName":"Haddad","email":"m@x.test"}},
           "billingAddress":{{"name":"M","address1":"1","city":"Dubai","country":"AE"}},
           "returnUrl":"https://shop.test/back?a=1"}}"#
    )
}

impl Bench {
    fn paymennt(&mut self, method: &str, path: &str, body: &str) -> Reply {
        self.send(method, &format!("{BASE}{path}"), body)
    }

    fn paymennt_link(&mut self, request_id: &str) -> String {
        let made = self.paymennt("POST", "/checkout/link", &link(request_id, "120.50"));
        made.is(200).has(r#""success":true"#);
        made.text("id")
    }
}

#[test]
fn a_page_is_headed_by_what_is_bought() {
    let mut bench = Bench::new();
    let key = bench.paymennt("POST", "/checkout/web", &web("r-1")).text("checkoutKey");
    bench.page("GET", &format!("/paymennt/checkout/{key}"), "").has("<h1>Ticket</h1>").lacks("r-1");
}

#[test]
fn a_link_is_made_read_and_found_by_its_request_id() {
    let mut bench = Bench::new();
    let made = bench.paymennt("POST", "/checkout/link", &link("r-1", "120.50"));
    made.is(200).has(r#""status":"PENDING""#).has(r#""amount":120.50"#).has(r#""reference":"u-77""#);
    let id = made.text("id");
    assert_eq!(id.len(), 19);
    assert!(made.text("redirectUrl").ends_with(&made.text("checkoutKey")));
    bench.paymennt("GET", &format!("/checkout/{id}"), "").is(200).has(&id);
    bench.paymennt("GET", "/checkout?requestId=r-1", "").has(&id).has(r#""totalElements":1"#);
    bench.paymennt("GET", "/checkout?requestId=r-2", "").has(r#""content":[]"#);
    bench.paymennt("GET", "/checkout/1", "").is(400).has("Checkout not found for API merchant");
}

#[test]
fn faulty_checkouts_are_refused_in_the_envelope() {
    let mut bench = Bench::new();
    bench.paymennt_link("r-1");
    let table = [
        ("/checkout/link", link("r-1", "1"), "requestId was used before"),
        ("/checkout/link", link("r-2", "1.005"), "more than 2 decimals"),
        ("/checkout/link", link("r-2", "0"), "amount must be positive"),
        ("/checkout/link", link("", "1"), "requestId must have"),
        ("/checkout/link", link("r-2", "1").replace("15}", "14}"), "expiresIn must be"),
        ("/checkout/link", link("r-2", "1").replace("Two tickets", ""), "description is required"),
        ("/checkout/web", web("r-2").replace("returnUrl", "other"), "returnUrl is required"),
        ("/checkout/web", web("r-2").replace("linetotal", "other"), "items need"),
    ];
    for (path, body, error) in table {
        bench.paymennt("POST", path, &body).is(400).has(r#""success":false"#).has(error);
    }
    let totals =
        r#""totals":{"subtotal":100,"tax":21,"discount":0.5,"skipTotalsValidation":false},"requestId""#;
    bench.paymennt("POST", "/checkout/web", &web("r-3").replace("\"requestId\"", totals)).is(200);
    let wrong = totals.replace("21", "20");
    bench
        .paymennt("POST", "/checkout/web", &web("r-4").replace("\"requestId\"", &wrong))
        .is(400)
        .has("add up");
    bench.reply(&Request::new("GET", &format!("{BASE}/checkout"))).is(401).has(r#""success":false"#);
    let old = Request::new("GET", &format!("{BASE}/checkout"))
        .header("X-PointCheckout-Api-Key", "k")
        .header("X-PointCheckout-Api-Secret", "s");
    bench.reply(&old).is(200);
}

#[test]
fn three_decimal_currencies_take_two_decimals() {
    let mut bench = Bench::new();
    let kwd = |id: &str, amount: &str| link(id, amount).replace("AED", "KWD");
    bench.paymennt("POST", "/checkout/link", &kwd("k-1", "1.230")).is(200).has(r#""amount":1.230"#);
    bench.paymennt("POST", "/checkout/link", &kwd("k-2", "1.234")).is(400);
    bench.ledger().has(r#""amount":1230"#);
}

#[test]
fn refunds_go_by_query_and_never_past_what_was_paid() {
    let mut bench = Bench::new();
    let id = bench.paymennt_link("r-1");
    let refund = |query: &str| format!("/checkout/{id}/refund?{query}");
    bench.paymennt("POST", &refund("amount=1&currency=AED&note=x"), "").is(400);
    bench.pay("paymennt", &id, "paid").is(200);
    bench.paymennt("POST", &refund("amount=1&currency=AED"), "").is(400).has("note is required");
    bench.paymennt("POST", &refund("amount=1&currency=USD&note=x"), "").is(400).has("currency");
    bench.paymennt("POST", &refund("amount=120.51&currency=AED&note=x"), "").is(400).has("left to refund");
    let part = bench.paymennt("POST", &refund("amount=20.50&currency=AED&note=x%20y"), "");
    part.is(200).has(r#""status":"PARTIALLY_REFUNDED""#).has(r#""totalRefunded":20.50"#);
    let rest = bench.paymennt("POST", &refund("amount=100&currency=AED&note=x"), "");
    rest.is(200).has(r#""status":"REFUNDED""#);
}

#[test]
fn links_expire_and_are_cancelled() {
    let mut bench = Bench::new();
    let cancelled = bench.paymennt_link("r-1");
    bench.paymennt("POST", &format!("/checkout/{cancelled}/cancel"), "").is(200).has("CANCELLED");
    bench.paymennt("POST", &format!("/checkout/{cancelled}/cancel"), "").is(400);
    let late = bench.paymennt_link("r-2");
    bench.now += 15 * 60 * SECOND;
    bench.paymennt("GET", &format!("/checkout/{late}"), "").has(r#""status":"EXPIRED""#);
}

#[test]
fn a_web_checkout_returns_with_two_parameters_and_a_link_to_its_confirmation() {
    let mut bench = Bench::new();
    let made = bench.paymennt("POST", "/checkout/web", &web("r-1"));
    let sent = bench.page("POST", &format!("/paymennt/checkout/{}", made.text("checkoutKey")), CARD);
    let back = format!("https://shop.test/back?a=1&reference=r-1&checkout={}", made.text("id"));
    assert_eq!((sent.status, sent.location), (303, back));
    let made = bench.paymennt("POST", "/checkout/link", &link("r-2", "1"));
    let page = format!("/paymennt/checkout/{}", made.text("checkoutKey"));
    assert_eq!(bench.page("POST", &page, CARD).location, page);
    bench.page("GET", &page, "").is(200).has("Thank you");
}

#[test]
fn stored_cards_are_charged_and_holds_captured() {
    let mut bench = Bench::new();
    let mut store = |scenario: &str| {
        let body = format!(r#"{{"provider":"paymennt","customer":"u-77","scenario":"{scenario}"}}"#);
        bench.control("cards", &body).text("token")
    };
    let (good, bad, challenged) = (store("paid"), store("declined"), store("challenge"));
    let debit = |token: &str, id: &str| {
        let source =
            format!(r#"{{"type":"STORED_CARD","token":"{token}","shopperInteraction":"UNSCHEDULED"}}"#);
        format!(r#"{{"source":{source},"checkoutDetails":{}}}"#, web(id))
    };
    let paid = bench.paymennt("POST", "/payment/debit", &debit(&good, "d-1"));
    paid.is(200).has(r#""status":"CAPTURED""#).has(r#""status":"PAID""#).has(r#""amount":120.50"#);
    bench
        .paymennt("POST", "/payment/debit", &debit(&bad, "d-2"))
        .has(r#""status":"FAILED""#)
        .has("Insufficient");
    let redirect = bench.paymennt("POST", "/payment/debit", &debit(&challenged, "d-3"));
    redirect.has(r#""status":"REDIRECT""#);
    let page = redirect.text("redirectUrl").replace("http://sandbox.test", "");
    bench.page("GET", &page, "").has("Your bank wants to know");
    let payment = redirect.text("id");
    bench.pay("paymennt", &payment, "hold").is(200).has(r#""word":"AUTHORIZED""#);
    bench.paymennt("GET", &format!("/payment/{payment}"), "").has(r#""status":"AUTHORIZED""#);
    bench.paymennt("POST", &format!("/payment/{payment}/capture"), "").has(r#""status":"CAPTURED""#);
    bench.paymennt("POST", &format!("/payment/{payment}/capture"), "").is(400).has("captured before");
    bench.paymennt("GET", "/card/list?customerReferenceId=u-77", "").has(&good).has(&bad);
    bench.paymennt("POST", &format!("/card/delete?cardToken={good}"), "").is(200);
    bench.paymennt("POST", "/payment/debit", &debit(&good, "d-4")).is(400).has("Card not found");
}

#[test]
fn a_token_serves_one_checkout_and_can_store_its_card() {
    let mut bench = Bench::new();
    let id = bench.paymennt_link("r-1");
    let source = r#"{"type":"TOKEN","token":"ptk_sandbox_1","storeCardDetails":true}"#;
    let body = format!(r#"{{"source":{source},"checkoutId":"{id}"}}"#);
    bench.paymennt("POST", "/payment/debit", &body).is(200).has(r#""status":"REDIRECT""#);
    bench.paymennt("POST", "/payment/debit", &body).is(400).has("second checkout");
    bench.pay("paymennt", &id, "paid").is(200);
    bench.paymennt("GET", "/card?customerReferenceId=u-77", "").has(r#""cardLast4":"4242""#);
}

#[test]
fn every_word_of_checkout_and_payment_can_be_set() {
    let mut bench = Bench::new();
    let words = "PENDING AUTHORIZED PAID FAILED CANCELLED EXPIRED REFUNDED PARTIALLY_REFUNDED PENDING_CONFIRMATION \
                 CHARGEBACK";
    for (number, word) in words.split_whitespace().enumerate() {
        let id = bench.paymennt_link(&format!("w-{number}"));
        bench.advance("paymennt", &id, word).is(200).has(&format!(r#""word":"{word}""#));
    }
    let id = bench.paymennt_link("p-1");
    bench.pay("paymennt", &id, "paid");
    let payment = bench.advance("paymennt", &id, "PARTIALLY_REVERSED").text("paymentId");
    bench.paymennt("GET", &format!("/payment/{payment}"), "").has(r#""status":"PARTIALLY_REVERSED""#);
}
