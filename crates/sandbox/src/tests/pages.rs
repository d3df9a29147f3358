use super::{Bench, CARD, SECOND};

fn order(bench: &mut Bench, rest: &str) -> String {
    let body = format!(
        r#"{{"number":"<b>1</b>","client":{{"email":"a@b.test"}},"products":[{{"title":"<i>x</i>","price":3}}]{rest}}}"#
    );
    let made = bench.send("POST", "/decta/api/v0.6/orders/", &body);
    format!("/decta/pay/{}", made.text("id"))
}

#[test]
fn the_form_shows_the_amount_the_scenarios_and_nothing_unescaped() {
    let mut bench = Bench::new();
    let page = order(&mut bench, "");
    let shown = bench.page("GET", &page, "");
    shown.is(200).has("3.00 EUR").has("&lt;i&gt;x&lt;/i&gt;").lacks("<i>x").lacks("{{");
    shown
        .has("<b>Pay 3.00 EUR</b>")
        .has("3-D Secure challenge")
        .has("Customer closes the tab")
        .has("4242 4242 4242 4242");
    bench.ledger().has(r#""word":"viewed""#);
    bench.page("GET", "/decta/pay/none", "").is(404);
    bench.page("GET", "/", "").is(200).has("&lt;b&gt;1&lt;/b&gt;").lacks("<b>1").has("2026-01-01T00:00:0");
    bench.page("GET", "/?q=VIEWED", "").is(200).has("&lt;b&gt;1").has(r#"value="VIEWED""#);
    bench.page("GET", "/?q=%22%3Enone", "").is(200).lacks("&lt;b&gt;1").lacks(r#"">none"#);
}

#[test]
fn wrong_input_comes_back_with_the_fault_beside_its_field() {
    let mut bench = Bench::new();
    let page = order(&mut bench, "");
    let table = [
        (CARD.replace("4242+4242+4242+4242", "4111"), "number", "Enter one of the test cards"),
        (CARD.replace("12%2F25", "11%2F25"), "expiry", "Enter 12/25"),
        (CARD.replace("12%2F25", "13%2F30"), "expiry", "Enter 12/25"),
        (CARD.replace("cvv=100", "cvv=1"), "cvv", "CVV is 100"),
        (CARD.replace("TEST+USER", "%22%3E%3Cscript%3E"), "name", "holder is TEST USER"),
        (CARD.replace("&terms=yes", ""), "terms", "accept the terms"),
    ];
    for (form, field, fault) in table {
        let back = bench.page("POST", &page, &form);
        back.is(422).has(fault).lacks("\"><script>").has("role=\"alert\"");
        let (_, behind) = back.body.split_once(&format!("name=\"{field}\"")).unwrap();
        let input = behind.split("</label>").next().unwrap();
        assert!(input.contains("aria-invalid") && input.contains(fault), "{field}");
        assert_eq!(back.body.matches("class=\"fault\"").count(), 1, "{field}");
    }
    bench.ledger().has(r#""word":"issued""#);
    bench.page("POST", &page, &CARD.replace("12%2F25", "01%2F31")).is(303);
    bench.page("POST", &page, "scenario=nonsense").is(200);
}

#[test]
fn a_fault_is_tied_to_its_field_and_the_first_has_the_focus() {
    let mut bench = Bench::new();
    let page = order(&mut bench, "");
    let back = bench.page("POST", &page, &CARD.replace("cvv=100", "cvv=1").replace("&terms=yes", ""));
    for field in ["cvv", "terms"] {
        back.has(&format!("aria-describedby=\"{field}-fault\"")).has(&format!("id=\"{field}-fault\""));
    }
    assert_eq!(back.body.matches("autofocus").count(), 1);
    let (_, behind) = back.body.split_once("name=\"cvv\"").unwrap();
    assert!(behind.split('>').next().unwrap().contains("autofocus"));
    bench.page("GET", &page, "").lacks("autofocus").lacks("aria-describedby");
}

#[test]
fn a_receipt_says_in_plain_words_what_was_paid_and_given_back() {
    let mut bench = Bench::new();
    let page = order(&mut bench, "");
    let id = page.rsplit('/').next().unwrap().to_owned();
    bench.page("POST", &page, CARD).is(303);
    bench.page("GET", &page, "").has("You have paid 3.00 EUR.").lacks("Status");
    bench.send("POST", &format!("/decta/api/v0.6/orders/{id}/refund/"), r#"{"amount":1}"#).is(200);
    bench.page("GET", &page, "").has("1.00 EUR went back to you");
    let page = order(&mut bench, "");
    bench.page("POST", &page, "scenario=cancel");
    bench.page("GET", &page, "").has("You have paid nothing here");
}

#[test]
fn the_shop_of_the_demo_has_a_page_for_each_return_and_shows_what_it_was_opened_with() {
    let mut bench = Bench::new();
    let query = "orderId=ord_1&paymentSessionId=cs_%3Ci%3E&status=COMPLETED";
    for (name, headline) in [
        ("thanks", "Thank you for your order"),
        ("wait", "We are waiting for your payment"),
        ("sorry", "The payment did not go through"),
    ] {
        let shown = bench.page("GET", &format!("/demo/{name}?{query}"), "");
        shown
            .is(200)
            .has(headline)
            .has("ord_1")
            .has("cs_&lt;i&gt;")
            .has("COMPLETED")
            .lacks("<i>")
            .lacks("{{");
        bench.page("HEAD", &format!("/demo/{name}"), "").is(200);
    }
    bench.page("GET", "/demo/else", "").is(404);
}

#[test]
fn a_decline_can_be_followed_by_a_payment() {
    let mut bench = Bench::new();
    let page = order(&mut bench, "");
    let declined = CARD.replace("4242+4242+4242+4242", "4000000000000002");
    bench.page("POST", &page, &declined).is(200).has("declined the card").has("Pay 3.00 EUR");
    bench.page("POST", &page, CARD).is(303);
    bench.page("GET", &page, "").has("Thank you");
    bench.ledger().has(r#""word":"failed""#).has(r#""captured":300"#);
}

#[test]
fn a_challenge_is_shown_until_it_is_answered() {
    let mut bench = Bench::new();
    let page = order(&mut bench, "");
    bench.page("POST", &page, "scenario=approve").is(400);
    bench.page("POST", &page, "scenario=challenge").is(200).has("Approve");
    bench.page("GET", &page, "").has("Approve");
    bench.page("POST", &page, "scenario=deny").is(200).has("declined the card");
    bench.page("POST", &page, "scenario=challenge");
    bench.page("POST", &page, "scenario=approve").is(303);
    bench.ledger().has(r#""captured":300"#);
}

#[test]
fn a_slow_bank_pays_by_itself() {
    let mut bench = Bench::new();
    let page = order(&mut bench, "");
    assert_eq!(bench.page("POST", &page, "scenario=slow").location, page);
    bench.page("GET", &page, "").has("http-equiv=\"refresh\"");
    bench.now += 6 * SECOND;
    bench.page("GET", &page, "").has("Thank you");
}

#[test]
fn a_bank_transfer_arrives_later_and_stores_no_card() {
    let mut bench = Bench::new();
    let page = order(&mut bench, r#","save_card":true"#);
    bench.page("POST", &page, "scenario=transfer").is(303);
    bench.page("GET", &page, "").has("on its way");
    bench.ledger().has(r#""captured":0"#);
    bench.now += 16 * SECOND;
    bench.page("GET", &page, "").has("Thank you");
    let id = page.rsplit('/').next().unwrap();
    let shown = bench.send("GET", &format!("/decta/api/v0.6/orders/{id}/?response_type=full"), "");
    shown.has(r#""method":"openbanking""#).lacks("card_masked_pan").lacks("recurring_card");
}

#[test]
fn a_page_that_is_restricted_offers_no_other_method() {
    let mut bench = Bench::new();
    let body = r#"{"requestId":"r-1","orderId":"o-1","currency":"AED","amount":3,"description":"Tickets",
        "items":[{"name":"Day ticket","quantity":1,"linetotal":3},{"name":"Guide","quantity":1,"linetotal":0}],
        "allowedPaymentMethods":["CARD"]}"#;
    let made = bench.send("POST", "/paymennt/mer/v2.0/checkout/link", body);
    let page = format!("/paymennt/checkout/{}", made.text("checkoutKey"));
    bench.page("GET", &page, "").has("Day ticket and 1 more").lacks("Bank transfer");
    bench.page("POST", &page, "scenario=transfer").is(400);
}

#[test]
fn a_closed_tab_leaves_everything_open() {
    let mut bench = Bench::new();
    let page = order(&mut bench, "");
    bench.page("POST", &page, "scenario=close").is(200).has("Tab closed");
    bench.ledger().has(r#""word":"issued""#);
    bench.page("POST", &page, CARD).is(303);
    bench.page("POST", &page, CARD).is(200).has("Thank you");
}

/// The relative luminance of a colour such as `#1c2430` (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let share = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

#[test]
fn the_borders_of_fields_and_all_texts_stand_out_in_both_schemes() {
    let style = include_str!("../pages/style.css");
    let schemes: Vec<&str> =
        style.split(":root").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(schemes.len(), 2, "a light scheme and a dark one");
    for scheme in schemes {
        let colour = |name: &str| {
            let at = scheme.split_once(&format!("--{name}: ")).unwrap().1;
            luminance(&at[..7])
        };
        for (name, ground, least) in [
            ("edge", "paper", 3.0),
            ("ink", "paper", 4.5),
            ("soft", "paper", 4.5),
            ("soft", "ground", 4.5),
            ("bad", "paper", 4.5),
            ("good", "paper", 4.5),
            ("lead", "paper", 4.5),
        ] {
            let (one, other) = (colour(name) + 0.05, colour(ground) + 0.05);
            let contrast = one.max(other) / one.min(other);
            assert!(contrast >= least, "{name} on {ground}: {contrast:.2}");
        }
    }
}
