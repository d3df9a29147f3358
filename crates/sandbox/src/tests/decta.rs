use super::{Bench, CARD, Request, SECOND, START};

const ORDERS: &str = "/decta/api/v0.6/orders/";

fn order(rest: &str) -> String {
    format!(
        r#"{{"number":"INV-1","currency":"EUR","client":{{"email":"a@b.test"}},
           "products":[{{"title":"Top-up","price":12.5}}]{rest}}}"#
    )
}

impl Bench {
    fn decta_order(&mut self, rest: &str) -> String {
        let created = self.send("POST", ORDERS, &order(rest));
        created.is(201);
        created.text("id")
    }

    fn decta(&mut self, id: &str, action: &str, body: &str) -> super::Reply {
        self.send("POST", &format!("{ORDERS}{id}/{action}/?response_type=full"), body)
    }

    fn decta_full(&mut self, id: &str) -> super::Reply {
        self.send("GET", &format!("{ORDERS}{id}/?response_type=full"), "")
    }
}

#[test]
fn an_order_shows_as_much_as_the_response_type_asks_for() {
    let mut bench = Bench::new();
    let minimum = bench.send("POST", ORDERS, &order(""));
    minimum.is(201).has(r#""status":"issued""#).has(r#""total":12.50"#).has(r#""is_test":true"#);
    minimum.has(r#""number":"INV-1""#).has("full_page_checkout").lacks("status_changes").lacks("products");
    let standard = bench.send("POST", "/decta/api/v0.6/orders?response_type=standard", &order(""));
    standard.has("permitted_actions").has(r#""price":12.5}"#).lacks("status_changes");
    let full = bench.decta_full(&minimum.text("id"));
    full.is(200).has(&format!(r#""status_changes":[{{"new_status":"issued","on":{}}}]"#, START / SECOND));
}

#[test]
fn faulty_orders_are_refused_by_field() {
    let mut bench = Bench::new();
    let table = [
        (r#"{"products":[{"title":"x","price":1}]}"#.to_owned(), r#"{"client":[{"message""#),
        (order(r#","currency":"EURO""#).replace(r#""currency":"EUR","#, ""), r#"{"currency":[{"#),
        (order("").replace("12.5", "12.505"), "max_decimal_places"),
        (order("").replace("12.5", "0"), "min_value"),
        (order(r#","due":1"#), r#"{"due":[{"#),
        (order(r#","cancel_redirect":"javascript:alert(1)""#), r#"{"cancel_redirect":[{"#),
        ("{".to_owned(), r#"{"__all__":[{"#),
    ];
    for (body, part) in table {
        bench.send("POST", ORDERS, &body).is(400).has(part);
    }
    bench.reply(&Request::new("POST", ORDERS)).is(401).has("__all__");
    bench.send("GET", "/decta/api/v0.6/orders/none/", "").is(404);
}

#[test]
fn a_hold_is_captured_once_in_part_and_the_rest_goes_back() {
    let mut bench = Bench::new();
    let id = bench.decta_order(r#","skip_capture":true"#);
    bench.decta(&id, "capture", "").is(400).has("can not be captured");
    bench.pay("decta", &id, "paid").is(200).has(r#""word":"hold""#).has(r#""held":1250"#);
    bench.decta(&id, "capture", r#"{"amount":12.51}"#).is(400).has("exceeds");
    bench.decta(&id, "capture", r#"{"amount":0.001}"#).is(400).has("max_decimal_places");
    bench.decta(&id, "capture", r#"{"amount":5.0}"#).is(200).has(r#""status":"paid""#);
    bench.decta(&id, "capture", "").is(400);
    bench.ledger().has(r#""amount":1250,"held":0,"captured":500,"refunded":0"#);
}

#[test]
fn a_partial_refund_leaves_paid_but_is_in_the_history() {
    let mut bench = Bench::new();
    let id = bench.decta_order("");
    bench.pay("decta", &id, "paid").is(200);
    let partly = bench.decta(&id, "refund", r#"{"amount":2.5}"#);
    partly
        .is(200)
        .has(r#""status":"paid""#)
        .has(r#""new_status":"refunded""#)
        .has(r#""amount_refunded":2.50"#);
    bench.decta(&id, "refund", r#"{"amount":10.01}"#).is(400).has("left to refund");
    bench.decta(&id, "refund", "").is(200).has(r#""status":"refunded""#).has(r#""amount_refunded":12.50"#);
    bench.decta(&id, "refund", "").is(400);
}

#[test]
fn cancel_closes_what_is_unpaid_or_held_and_nothing_else() {
    let mut bench = Bench::new();
    let unpaid = bench.decta_order("");
    bench.decta(&unpaid, "cancel", "").is(200).has(r#""status":"cancelled""#);
    bench.decta(&unpaid, "cancel", "").is(400);
    let held = bench.decta_order(r#","skip_capture":true"#);
    bench.pay("decta", &held, "paid");
    bench.decta(&held, "cancel", "").is(200);
    let paid = bench.decta_order("");
    bench.pay("decta", &paid, "paid");
    bench.decta(&paid, "cancel", "").is(400);
    bench.decta(&paid, "reverse", "").is(200).has(r#""status":"reversed""#);
    let outside = bench.decta_order("");
    bench.decta(&outside, "received", "").is(200).has(r#""status":"received""#);
    bench.decta(&outside, "refund", "").is(400);
}

#[test]
fn tries_run_out_and_deadlines_pass() {
    let mut bench = Bench::new();
    let id = bench.decta_order(r#","max_payment_attempts":2"#);
    bench.pay("decta", &id, "declined").has(r#""word":"failed""#);
    bench.decta_full(&id).has(r#""description":"Insufficient funds","code":"51""#);
    bench.pay("decta", &id, "declined").has(r#""word":"cancelled""#);
    bench.pay("decta", &id, "paid").is(409);
    let due = START / SECOND + 60;
    let strict = bench.decta_order(&format!(r#","due":{due},"deny_overdue_payment":true"#));
    let lenient = bench.decta_order(&format!(r#","due":{due}"#));
    bench.now += 61 * SECOND;
    bench.decta_full(&strict).has(r#""status":"expired""#);
    bench.decta_full(&lenient).has(r#""status":"overdue""#);
    bench.pay("decta", &strict, "paid").is(409);
    bench.pay("decta", &lenient, "paid").is(200);
    let held = bench.decta_order(r#","skip_capture":true"#);
    bench.pay("decta", &held, "paid");
    bench.now += 29 * 24 * 3600 * SECOND;
    bench.decta_full(&held).has(r#""status":"cancelled""#);
}

#[test]
fn the_list_is_paged_newest_first() {
    let mut bench = Bench::new();
    let ids: Vec<String> = (0..3).map(|_| bench.decta_order("")).collect();
    let first = bench.send("GET", "/decta/api/v0.6/orders/?page_size=2", "");
    first.has(&ids[2]).has(&ids[1]).lacks(&ids[0]).has(r#""previous":null"#);
    let next = first.text("next").replace("http://sandbox.test", "");
    bench.send("GET", &next, "").has(&ids[0]).lacks(&ids[1]).has(r#""next":null"#);
}

#[test]
fn a_customer_is_redirected_four_ways() {
    let redirects = r#","success_redirect":"https://shop.test/ok","in_progress_redirect":"https://shop.test/wait",
        "failure_redirect":"https://shop.test/fail","cancel_redirect":"https://shop.test/cancel""#;
    let table = [
        (CARD, "https://shop.test/ok", "paid"),
        ("scenario=slow", "https://shop.test/wait", "in_progress"),
        ("scenario=declined_final", "https://shop.test/fail", "cancelled"),
        ("scenario=cancel", "https://shop.test/cancel", "rejected"),
    ];
    for (form, location, word) in table {
        let mut bench = Bench::new();
        let id = bench.decta_order(redirects);
        let sent = bench.page("POST", &format!("/decta/pay/{id}"), form);
        assert_eq!((sent.status, sent.location.as_str()), (303, location), "{form}");
        bench.decta_full(&id).has(&format!(r#""status":"{word}""#));
    }
}

#[test]
fn a_stored_card_is_charged_with_the_order_that_names_it() {
    let mut bench = Bench::new();
    for (scenario, word) in [("paid", "paid"), ("declined", "cancelled"), ("challenge", "in_progress")] {
        let card = format!(r#"{{"provider":"decta","customer":"c-1","scenario":"{scenario}"}}"#);
        let token = bench.control("cards", &card).text("token");
        let body = order("").replace("\"email\"", &format!("\"recurring_card\":\"{token}\",\"email\""));
        bench.send("POST", ORDERS, &body).is(201).has(&format!(r#""status":"{word}""#));
    }
    let unknown = order("").replace("\"email\"", "\"recurring_card\":\"none\",\"email\"");
    bench.send("POST", ORDERS, &unknown).is(400).has("does_not_exist");
}

#[test]
fn every_documented_word_can_be_set() {
    let mut bench = Bench::new();
    let words = "paid failed issued in_progress viewed hold overdue expired cancelled rejected received refunded \
                 reversed refund_initiated refund_failed refund_reversed reversal_initiated reversal_failed \
                 chargeback representation retrieval pre_arbitration arbitration pre_compliance compliance \
                 good_faith fraud_advice created test draft withdrawn";
    for word in words.split_whitespace() {
        let id = bench.decta_order("");
        bench.advance("decta", &id, word).is(200).has(&format!(r#""word":"{word}""#));
    }
    let id = bench.decta_order("");
    bench.advance("decta", &id, "refunded").has(r#""captured":1250,"refunded":1250"#);
    bench.advance("decta", &id, "refund_failed").has(r#""captured":1250,"refunded":0"#);
    bench.advance("decta", &id, "nonsense").is(400);
}

#[test]
fn a_server_sends_a_card_to_the_orders_own_address_and_no_call_shows_it() {
    let mut bench = Bench::new();
    let card = |number: &str| {
        format!(
            r#"{{"cardholder_name":"TEST USER","card_number":"{number}","exp_month":12,"exp_year":2025,"csc":"100"}}"#
        )
    };
    let send = |bench: &mut Bench, id: &str, body: &str| {
        let shown = bench.send("GET", &format!("{ORDERS}{id}/"), "").text("api_do_url");
        let path = shown.strip_prefix(super::BASE).expect("an address of the sandbox").to_owned();
        bench.send("POST", &path, body)
    };
    let id = bench.decta_order("");
    send(&mut bench, &id, "{").is(400).has("__all__");
    send(&mut bench, &id, &card("4111111111111111")).is(400).has(r#"{"card_number":[{"#);
    send(&mut bench, &id, &card("4000000000000002")).is(200).has(r#""status":"failed""#);
    send(&mut bench, &id, &card("4000000000003220")).is(200).has("threed_check_url").has("/decta/pay/");
    send(&mut bench, &id, &card("4242424242424242")).is(200).lacks("threed_check_url");
    bench.ledger().has(r#""word":"paid""#).has(r#""captured":1250"#);
    send(&mut bench, &id, &card("4242424242424242")).is(400).has("__all__");
    bench.send("GET", "/control/calls?provider=decta", "").has("/orders/").lacks("4242424242424242");
}
