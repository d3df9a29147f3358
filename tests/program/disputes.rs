//! The bank takes the money back, or inquires: read stage by stage, sent to the merchant, and never paid twice.

use serde_json::{Value, json};

use super::demo::Demo;
use super::sale::Sale;
use super::shop::{Shop, eventually};
use super::webhooks::receiver::Receiver;

/// What was paid, minor units.
const PAID: i64 = 1999;

/// A paid order, and who watches its payment.
struct Case<'a> {
    shop: &'a Shop,
    sale: Sale,
}

/// What a payment should come to: its status, the stage and outcome of its dispute, and what is contested now.
struct Expected {
    status: &'static str,
    stage: &'static str,
    outcome: Option<&'static str>,
    disputed: i64,
}

const fn open(stage: &'static str, disputed: i64) -> Expected {
    Expected { status: "DISPUTED", stage, outcome: None, disputed }
}

const fn ended(status: &'static str, stage: &'static str, outcome: &'static str) -> Expected {
    Expected { status, stage, outcome: Some(outcome), disputed: 0 }
}

impl<'a> Case<'a> {
    async fn of(shop: &'a Shop, provider: &str, key: &str) -> Self {
        let account = format!("{provider}-demo");
        let body = Shop::order(Some(&account), if provider == "paymennt" { "AED" } else { "EUR" }, PAID);
        Self { shop, sale: Sale::paid(shop, key, &body).await }
    }

    async fn until(&self, done: impl Fn(&Value) -> bool) -> Value {
        self.sale.until(self.shop, done).await
    }

    /// The provider sets a status; its notification causes a read.
    async fn comes_to(&self, status: &str, expected: &Expected) -> Value {
        self.sale.says(self.shop, status).await;
        let payment = self
            .until(|payment| {
                let dispute = &payment["dispute"];
                payment["status"] == expected.status
                    && dispute["stage"] == expected.stage
                    && dispute["outcome"] == json!(expected.outcome)
            })
            .await;
        assert_eq!(payment["disputed"], expected.disputed, "{status}: {payment}");
        assert_eq!(payment["dispute"]["closedAt"].is_string(), expected.outcome.is_some(), "{payment}");
        assert!(payment["dispute"]["openedAt"].is_string(), "{payment}");
        assert_eq!(payment["provider"]["status"], status);
        let order = self.shop.get(&format!("/v1/orders/{}", self.sale.order)).await;
        assert_eq!(order["state"], "PROCESSING", "after {status} the order stays where it is");
        payment
    }

    /// Wants the money refunded; answers the status and the problem's code, if it is one.
    async fn refund(&self, key: &str, amount: i64) -> (u16, String) {
        let answer = self.sale.operate(self.shop, "refunds", key, json!({"amount": amount})).await;
        (answer.status, answer.code())
    }

    /// The codes of the order's open attention, oldest first.
    async fn attention(&self) -> Vec<Value> {
        let all = self.shop.get("/v1/attention?open=true&limit=200").await;
        let own = all["data"].as_array().unwrap().iter().rev();
        own.filter(|events| events["paymentId"] == self.sale.payment)
            .map(|events| events["code"].clone())
            .collect()
    }

    async fn timeline(&self, kind: &str) -> Vec<(Value, Value)> {
        let all = self.shop.get(&format!("/v1/orders/{}/timeline?limit=200", self.sale.order)).await;
        let of_kind = all["data"].as_array().unwrap().iter().filter(|entry| entry["type"] == kind);
        of_kind.map(|entry| (entry["from"].clone(), entry["to"].clone())).collect()
    }

    /// The events of the dispute that the merchant gets, once it has ended: types, stages and outcomes.
    async fn events(&self, receiver: &Receiver) -> Vec<(String, Value, Value)> {
        eventually(|| async {
            let seen = receiver.seen();
            let own = seen.iter().filter(|received| received.order() == self.sale.order);
            let disputes: Vec<_> = own
                .filter(|received| received.event().0.starts_with("dispute."))
                .map(|received| {
                    let payment = &received.json()["data"];
                    assert_eq!(payment["id"], self.sale.payment);
                    (received.event().0, payment["status"].clone(), payment["dispute"]["outcome"].clone())
                })
                .collect();
            let last = disputes.last().map(|(kind, ..)| &**kind);
            if matches!(last, Some("dispute.won" | "dispute.lost")) {
                Ok(disputes)
            } else {
                Err(format!("{disputes:?}"))
            }
        })
        .await
    }
}

/// Three stages of a dispute and its end, at a provider that has all nine.
async fn climbs(
    shop: &Shop,
    receiver: &Receiver,
    key: &str,
    stages: [(&str, Expected); 3],
    end: (&str, Expected),
) {
    let case = Case::of(shop, "decta", key).await;
    for (status, expected) in &stages {
        let payment = case.comes_to(status, expected).await;
        assert_eq!(payment["needsAttention"], true);
        assert_eq!((&payment["captured"], &payment["refunded"]), (&json!(PAID), &json!(0)));
        // Where the bank only asks, the merchant may give in; this provider does not let it.
        let refused =
            if expected.disputed > 0 { (409, "payment_disputed") } else { (402, "provider_declined") };
        assert_eq!(case.refund(status, 500).await, (refused.0, refused.1.to_owned()), "{status}");
    }
    assert_eq!(case.attention().await, ["DISPUTE"]);
    let (status, expected) = &end;
    let payment = case.comes_to(status, expected).await;
    assert_eq!(payment["dispute"]["amount"], stages[2].1.disputed);
    let outcome = expected.outcome.unwrap();
    let mut kinds: Vec<String> = stages.iter().map(|(_, stage)| camel(stage.stage)).collect();
    kinds.push(outcome.to_lowercase());
    let events = case.events(receiver).await;
    let event_kinds: Vec<_> = events.iter().map(|(kind, ..)| kind.trim_start_matches("dispute.")).collect();
    assert_eq!(event_kinds, kinds);
    assert!(events[..3].iter().all(|(_, status, outcome)| status == "DISPUTED" && outcome.is_null()));
    assert_eq!(events[3].2, outcome);
    let moved = case.timeline("dispute.updated").await;
    let to: Vec<_> = moved.iter().map(|(_, to)| to.clone()).collect();
    let expected: Vec<_> =
        stages.iter().map(|(_, stage)| json!(stage.stage)).chain([json!(outcome)]).collect();
    assert_eq!(to, expected);
    let lost = outcome == "LOST";
    assert_eq!(payment["refunded"], if lost { PAID } else { 0 });
    let (status, code) = case.refund("after", PAID).await;
    match lost {
        true => assert_eq!((status, &*code), (422, "amount_exceeds_captured")),
        false => assert_eq!(status, 201, "what was won can be refunded: {code}"),
    }
}

/// A stage as a part of an event's type.
fn camel(stage: &str) -> String {
    let mut parts = stage.split('_').map(str::to_lowercase);
    let first = parts.next().unwrap();
    parts.fold(first, |text, part| text + &part[..1].to_uppercase() + &part[1..])
}

/// A chargeback at the provider that has no other stage, and how it ends.
async fn charged_back(shop: &Shop, receiver: &Receiver, key: &str, end: (&str, Expected)) {
    let case = Case::of(shop, "paymennt", key).await;
    case.comes_to("CHARGEBACK", &open("CHARGEBACK", PAID)).await;
    assert_eq!(case.refund("now", 500).await, (409, "payment_disputed".to_owned()));
    case.comes_to(end.0, &end.1).await;
    let events = case.events(receiver).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[1].0, format!("dispute.{}", end.1.outcome.unwrap().to_lowercase()));
}

/// Some was refunded before: the rest is contested, and that is what is won back.
async fn partly_refunded(shop: &Shop) {
    let case = Case::of(shop, "decta", "partly").await;
    assert_eq!(case.refund("before", 500).await.0, 201);
    case.until(|payment| payment["refunded"] == 500).await;
    case.comes_to("chargeback", &open("CHARGEBACK", PAID - 500)).await;
    assert_eq!(case.attention().await, ["DISPUTE"]);
    let won = case.comes_to("paid", &ended("PARTIALLY_REFUNDED", "CHARGEBACK", "WON")).await;
    assert_eq!((&won["dispute"]["amount"], &won["refundable"]), (&json!(PAID - 500), &json!(PAID - 500)));
}

/// All of it was refunded before: it may leave twice, and attention is raised.
async fn wholly_refunded(shop: &Shop) {
    let case = Case::of(shop, "decta", "wholly").await;
    assert_eq!(case.refund("before", PAID).await.0, 201);
    case.until(|payment| payment["status"] == "REFUNDED").await;
    case.comes_to("chargeback", &open("CHARGEBACK", 0)).await;
    assert_eq!(case.attention().await, ["DISPUTE_AFTER_REFUND"]);
}

/// The bank asks, the provider gives the money back, and the bank takes it all the same.
async fn refunded_in_inquiry(shop: &Shop) {
    let case = Case::of(shop, "decta", "asked").await;
    case.comes_to("retrieval", &open("RETRIEVAL", 0)).await;
    assert_eq!(case.attention().await, ["DISPUTE"]);
    case.comes_to("refunded", &ended("REFUNDED", "RETRIEVAL", "LOST")).await;
    case.comes_to("chargeback", &open("CHARGEBACK", 0)).await;
    assert_eq!(case.attention().await, ["DISPUTE", "DISPUTE_AFTER_REFUND"]);
}

#[tokio::test]
async fn a_dispute_is_told_stage_by_stage_and_its_money_is_not_paid_out_twice() {
    let demo = Demo::start();
    let shop = &demo.shop;
    let receiver = Receiver::taking();
    let (status, made) = shop.post("/v1/webhook-endpoints", &json!({"url": receiver.url})).await;
    assert_eq!(status, 201, "{made}");
    let first = [
        ("retrieval", open("RETRIEVAL", 0)),
        ("chargeback", open("CHARGEBACK", PAID)),
        ("representation", open("REPRESENTATION", PAID)),
    ];
    let second = [
        ("fraud_advice", open("FRAUD_ADVICE", 0)),
        ("pre_arbitration", open("PRE_ARBITRATION", PAID)),
        ("arbitration", open("ARBITRATION", PAID)),
    ];
    let third = [
        ("pre_compliance", open("PRE_COMPLIANCE", 0)),
        ("compliance", open("COMPLIANCE", PAID)),
        ("good_faith", open("GOOD_FAITH", PAID)),
    ];
    tokio::join!(
        climbs(shop, &receiver, "first", first, ("paid", ended("PAID", "REPRESENTATION", "WON"))),
        climbs(shop, &receiver, "second", second, ("refunded", ended("REFUNDED", "ARBITRATION", "LOST"))),
        climbs(shop, &receiver, "third", third, ("reversed", ended("REFUNDED", "GOOD_FAITH", "LOST"))),
        charged_back(shop, &receiver, "won", ("PAID", ended("PAID", "CHARGEBACK", "WON"))),
        charged_back(shop, &receiver, "lost", ("REFUNDED", ended("REFUNDED", "CHARGEBACK", "LOST"))),
        partly_refunded(shop),
        wholly_refunded(shop),
        refunded_in_inquiry(shop),
    );
    let metrics = demo.metrics().await;
    for line in [
        "paymux_payment_status_changes_total{provider=\"paymennt\",status=\"DISPUTED\"} 2",
        "paymux_payment_status_changes_total{provider=\"decta\",status=\"DISPUTED\"} 7",
        "paymux_attention_raised_total{code=\"DISPUTE\"} 7",
        "paymux_attention_raised_total{code=\"DISPUTE_AFTER_REFUND\"} 2",
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "{line}");
    }
    demo.ends();
}
