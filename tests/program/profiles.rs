//! Payment profiles, from the page that stores one to the order that uses it.

use reqwest::Method;
use serde_json::{Value, json};

use super::demo::Demo;
use super::shop::Shop;

/// A gateway with its sandbox, and a customer of a shop.
struct Stage {
    _demo: Demo,
    shop: Shop,
}

const SESSIONS: &str = "/v1/payment-profiles/sessions";

impl Stage {
    fn start() -> Self {
        let demo = Demo::start();
        Self { shop: demo.shop.clone(), _demo: demo }
    }

    async fn request(&self, method: Method, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
        let answer = self.shop.send_with(method, path, key, body).await;
        (answer.status, answer.body())
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.shop.post(path, body).await
    }

    async fn open(&self, customer: &str) -> Value {
        let (status, session) = self.post(SESSIONS, &saving(customer)).await;
        assert_eq!(status, 201, "{session}");
        session
    }

    /// A session in which the customer has stored a card.
    async fn stored(&self, customer: &str) -> Value {
        let session = self.open(customer).await;
        self.save(&session).await
    }

    /// The customer fills in the page, from which this provider never redirects.
    async fn save(&self, session: &Value) -> Value {
        self.shop.pay(text(session, "checkoutUrl")).await;
        self.shop.get(&format!("{SESSIONS}/{}?refresh=true", text(session, "id"))).await
    }

    /// A priced order of a customer's.
    async fn order(&self, customer: &str, currency: &str, price: i64) -> String {
        let item = json!({"title": "Plan", "quantity": 1, "unitPrice": price,
            "recurring": (price == 0).then(|| json!({"interval": "MONTH", "count": 1}))});
        let mut order = Shop::order(None, currency, 1)["order"].clone();
        order["customer"]["id"] = json!(customer);
        order["items"] = json!([item]);
        if price > 0 {
            order["items"][0].as_object_mut().unwrap().remove("recurring");
        }
        let (status, placed) = self.post("/v1/orders", &order).await;
        assert_eq!(status, 201, "{placed}");
        let id = text(&placed, "id").to_owned();
        let (status, priced) = self.post(&format!("/v1/orders/{id}/price"), &json!({})).await;
        assert_eq!(status, 200, "{priced}");
        id
    }

    async fn profiles(&self, customer: &str) -> Vec<Value> {
        let list = self.shop.get(&format!("/v1/payment-profiles?customerId={customer}")).await;
        list["data"].as_array().unwrap().clone()
    }
}

fn saving(customer: &str) -> Value {
    json!({
        "customer": {"id": customer},
        "approach": "HOSTED",
        "returnUrls": {
            "success": "http://localhost:3000/thanks",
            "inProgress": "http://localhost:3000/wait",
            "failure": "http://localhost:3000/sorry",
            "cancel": "http://localhost:3000/cart",
        },
        "metadata": {"plan": "gold"},
    })
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name}: {value}"))
}

#[tokio::test]
async fn a_customer_stores_a_card_and_an_order_without_a_price_is_submitted_with_it() {
    let stage = Stage::start();
    let session = stage.stored("ann-1").await;
    assert_eq!((text(&session, "status"), text(&session, "account")), ("COMPLETED", "telness-demo"));
    let profile =
        stage.shop.get(&format!("/v1/payment-profiles/{}", text(&session, "paymentProfileId"))).await;
    assert_eq!((text(&profile, "customerId"), text(&profile, "status")), ("ann-1", "ACTIVE"));
    assert_eq!(profile["metadata"], json!({"plan": "gold"}));
    assert_eq!(stage.profiles("ann-1").await, [profile]);
    assert!(stage.profiles("bob").await.is_empty());

    let proof = json!({"paymentProfileSessionId": text(&session, "id")});
    let submit = |order: &str| format!("/v1/orders/{order}/submit");
    let (foreign, order) = (stage.order("bob", "EUR", 0).await, stage.order("ann-1", "EUR", 0).await);
    let (status, problem) = stage.post(&submit(&foreign), &proof).await;
    assert_eq!((status, text(&problem, "code")), (412, "payment_session_unusable"));
    let (status, missing) = stage.post(&submit(&order), &json!({})).await;
    assert_eq!((status, text(&missing, "code")), (412, "requirement_unmet"));
    let (status, submitted) = stage.post(&submit(&order), &proof).await;
    assert_eq!((status, text(&submitted, "state")), (200, "PROCESSING"), "{submitted}");
    assert_eq!(stage.post(&submit(&order), &proof).await, (200, submitted), "the same proof again");
    let second = stage.order("ann-1", "EUR", 0).await;
    let (status, problem) = stage.post(&submit(&second), &proof).await;
    assert_eq!((status, text(&problem, "code")), (412, "payment_session_unusable"), "used already");
}

#[tokio::test]
async fn a_session_that_stores_nothing_ends_and_proves_nothing() {
    let stage = Stage::start();
    for (scenario, code) in [("declined_final", "DECLINED"), ("cancel", "DECLINED")] {
        let session = stage.open("ann-2").await;
        stage.shop.play(text(&session, "checkoutUrl"), scenario).await;
        let path = format!("{SESSIONS}/{}", text(&session, "id"));
        let ended = stage.shop.get(&format!("{path}?refresh=true")).await;
        assert_eq!(ended["status"], "FAILED", "{ended}");
        assert_eq!(ended["failure"]["code"], code, "{ended}");
        let order = stage.order("ann-2", "EUR", 0).await;
        let proof = json!({"paymentProfileSessionId": text(&session, "id")});
        let (status, problem) = stage.post(&format!("/v1/orders/{order}/submit"), &proof).await;
        assert_eq!((status, text(&problem, "code")), (412, "payment_session_unusable"));
    }
    assert!(stage.profiles("ann-2").await.is_empty());
}

#[tokio::test]
async fn a_session_is_opened_once_for_a_key_and_cancelled_once() {
    let stage = Stage::start();
    let open =
        async |customer: &str| stage.request(Method::POST, SESSIONS, Some("k"), &saving(customer)).await;
    let (status, session) = open("ann-3").await;
    assert_eq!(status, 201);
    assert_eq!(open("ann-3").await, (201, session.clone()));
    assert_eq!(text(&open("bob").await.1, "code"), "idempotency_key_reused");
    let path = format!("{SESSIONS}/{}/cancel", text(&session, "id"));
    let cancel = async || stage.shop.send(&path, "c", &json!({})).await;
    let first = cancel().await;
    let cancelled = first.body();
    assert_eq!((first.status, text(&cancelled, "status")), (200, "FAILED"), "{cancelled}");
    assert_eq!(cancelled["failure"]["code"], "CANCELLED");
    let again = cancel().await;
    assert_eq!((first.replayed, again.replayed, again.status), (false, true, 200));
    assert_eq!(again.body(), cancelled);
    assert_eq!(stage.post(&path, &json!({})).await, (200, cancelled));
    let stored = stage.stored("ann-3").await;
    let (status, problem) =
        stage.post(&format!("{SESSIONS}/{}/cancel", text(&stored, "id")), &json!({})).await;
    assert_eq!((status, text(&problem, "code")), (409, "invalid_state"));
}

#[tokio::test]
async fn what_no_account_can_store_is_refused() {
    let stage = Stage::start();
    let mut at_paymennt = saving("ann-4");
    at_paymennt["account"] = json!("paymennt-demo");
    let (status, problem) = stage.post(SESSIONS, &at_paymennt).await;
    assert_eq!((status, text(&problem, "code")), (422, "no_route"));
    let mut by_link = saving("ann-4");
    by_link["approach"] = json!("LINK");
    assert_eq!(stage.post(SESSIONS, &by_link).await.0, 400);
    let (status, problem) = stage.request(Method::GET, "/v1/payment-profiles", None, &Value::Null).await;
    assert_eq!((status, text(&problem, "code")), (400, "field_missing"));
}

#[tokio::test]
async fn a_lost_answer_to_a_start_is_found_out_with_the_same_key() {
    let stage = Stage::start();
    let fault = json!({"provider": "telness", "operation": "create", "fault": "timeout_after", "times": 1});
    assert_eq!(stage.shop.control("faults", &fault).await, 201);
    let session = stage.open("ann-5").await;
    assert_eq!(stage.save(&session).await["status"], "COMPLETED");
    assert_eq!(stage.profiles("ann-5").await.len(), 1);
}

#[tokio::test]
async fn a_deleted_method_is_gone_and_pays_nothing() {
    let stage = Stage::start();
    let session = stage.stored("ann-6").await;
    let profile = text(&session, "paymentProfileId");
    let path = format!("/v1/payment-profiles/{profile}");
    assert_eq!(stage.request(Method::DELETE, &path, None, &Value::Null).await.0, 204);
    assert_eq!(stage.request(Method::GET, &path, None, &Value::Null).await.0, 404);
    assert_eq!(stage.request(Method::DELETE, &path, None, &Value::Null).await.0, 404);
    assert!(stage.profiles("ann-6").await.is_empty());
    let order = stage.order("ann-6", "EUR", 1999).await;
    let mut checkout = Shop::order(None, "EUR", 1)["checkout"].clone();
    checkout["paymentProfileId"] = json!(profile);
    let (status, problem) = stage.post(&format!("/v1/orders/{order}/checkout"), &checkout).await;
    assert_eq!((status, text(&problem, "code")), (412, "payment_profile_unusable"));
}

#[tokio::test]
async fn a_checkout_with_a_payment_profile_goes_to_its_account_and_is_paid_there() {
    let stage = Stage::start();
    let session = stage.stored("ann-7").await;
    let order = stage.order("ann-7", "EUR", 1999).await;
    let mut checkout = Shop::order(None, "EUR", 1)["checkout"].clone();
    checkout["paymentProfileId"] = session["paymentProfileId"].clone();
    checkout["account"] = json!("decta-demo");
    let (status, problem) = stage.post(&format!("/v1/orders/{order}/checkout"), &checkout).await;
    assert_eq!((status, text(&problem, "code")), (422, "no_route"), "{problem}");
    checkout.as_object_mut().unwrap().remove("account");
    let (status, opened) = stage.post(&format!("/v1/orders/{order}/checkout"), &checkout).await;
    assert_eq!((status, text(&opened, "account")), (201, "telness-demo"), "{opened}");
    stage.shop.pay(text(&opened, "checkoutUrl")).await.unwrap();
    stage.shop.until(&order, |order| order["state"] == "PROCESSING").await;

    // Without the customer it cannot be charged, and nothing happens.
    let second = stage.order("ann-7", "EUR", 1999).await;
    let path = format!("/v1/orders/{second}/submit");
    let charge = json!({"paymentProfileId": session["paymentProfileId"]});
    let (status, problem) = stage.post(&path, &charge).await;
    assert_eq!((status, text(&problem, "code")), (400, "idempotency_key_missing"));
    let (status, problem) = stage.request(Method::POST, &path, Some("charge"), &charge).await;
    assert_eq!((status, text(&problem, "code")), (422, "unsupported_by_provider"));
    assert_eq!(stage.shop.get(&format!("/v1/orders/{second}")).await["state"], "PENDING");
}

#[tokio::test]
async fn a_subscription_that_was_paid_without_storing_a_method_waits_for_a_person_or_for_one() {
    let stage = Stage::start();
    let mut body = Shop::order(Some("telness-demo"), "EUR", 1999);
    body["order"]["customer"]["id"] = json!("ann-9");
    body["order"]["items"][0]["recurring"] = json!({"interval": "MONTH", "count": 1});
    body["checkout"]["savePaymentProfile"] = json!(false);
    let answer = stage.shop.checkout("paid", &body).await;
    stage.shop.pay(text(&answer["session"], "checkoutUrl")).await.unwrap();
    let order = text(&answer["order"], "id");
    let waits = stage.shop.until(order, |order| order["attention"].is_object()).await;
    assert_eq!(
        (text(&waits, "state"), text(&waits["attention"], "code")),
        ("PENDING_PAYMENT", "PROFILE_MISSING")
    );
    let submit = format!("/v1/orders/{order}/submit");
    let mut proof = json!({"paymentSessionId": answer["session"]["id"]});
    let (status, problem) = stage.post(&submit, &proof).await;
    assert_eq!((status, &problem["unmet"]), (412, &json!(["requiresPaymentProfile"])));
    proof["paymentProfileSessionId"] = stage.stored("ann-9").await["id"].clone();
    let (status, submitted) = stage.post(&submit, &proof).await;
    assert_eq!((status, text(&submitted, "state")), (200, "PROCESSING"), "{submitted}");
}

#[tokio::test]
async fn a_payment_shows_its_method_and_its_provider_was_sent_the_reference_and_the_limit_of_tries() {
    let stage = Stage::start();
    let mut body = Shop::order(Some("decta-demo"), "EUR", 1999);
    body["order"]["reference"] = json!("INV-20417");
    body["checkout"]["maxAttempts"] = json!(3);
    let answer = stage.shop.checkout("paid", &body).await;
    assert_eq!(answer["session"]["paymentMethods"], Value::Null);
    stage.shop.pay(text(&answer["session"], "checkoutUrl")).await.unwrap();
    stage.shop.until(text(&answer["order"], "id"), |order| order["state"] == "PROCESSING").await;
    let payment = stage.shop.get(&format!("/v1/payments/{}", text(&answer["session"], "paymentId"))).await;
    let card = json!({"type": "CARD", "brand": "VISA", "last4": "4242", "wallet": null, "country": null});
    assert_eq!(payment["method"], card);
    let calls = stage.shop.calls("decta").await;
    let sent = calls.iter().map(Value::to_string).find(|call| call.contains("max_payment_attempts"));
    let sent = sent.expect("an order with a limit").replace('\\', "");
    assert!(
        sent.contains("\"max_payment_attempts\":3") && sent.contains("\"notes\":\"INV-20417\""),
        "{sent}"
    );
}

#[tokio::test]
async fn no_subscription_is_sold_at_an_account_whose_page_stores_nothing() {
    let stage = Stage::start();
    let mut body = Shop::order(Some("paymennt-demo"), "AED", 1999);
    body["order"]["customer"]["id"] = json!("ann-10");
    body["order"]["items"][0]["recurring"] = json!({"interval": "MONTH", "count": 1});
    let (status, problem) = stage.post("/v1/checkouts", &body).await;
    assert_eq!((status, text(&problem, "code")), (422, "no_route"), "{problem}");
    let tried = problem["routing"]["tried"].as_array().unwrap();
    let paymennt = tried.iter().find(|out| out["account"] == "paymennt-demo").unwrap();
    assert_eq!(paymennt["outcome"], "its page cannot store a payment method");
}

#[tokio::test]
async fn a_payment_that_stores_its_method_leaves_a_profile_of_its_customer() {
    let stage = Stage::start();
    let mut body = Shop::order(Some("telness-demo"), "EUR", 1999);
    body["order"]["customer"]["id"] = json!("ann-8");
    body["checkout"]["savePaymentProfile"] = json!(true);
    let answer = stage.shop.checkout("saves", &body).await;
    stage.shop.pay(text(&answer["session"], "checkoutUrl")).await.unwrap();
    stage.shop.until(text(&answer["order"], "id"), |order| order["state"] == "PROCESSING").await;
    stage.shop.payment_profile("ann-8").await;
}
