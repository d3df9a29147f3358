//! Two hundred orders of every kind at once, with the gateway killed in the middle.

use futures_util::StreamExt as _;
use futures_util::stream;

use super::agreement;
use super::demo::Demo;
use super::shop::{ACCOUNTS, Shop, eventually};

/// How many orders.
const ORDERS: usize = 200;

/// How many customers at a time.
const AT_ONCE: usize = 16;

/// What the customers do: every scenario of the hosted page, and paying after a decline.
const STORIES: [&[&str]; 8] = [
    &["paid"],
    &["declined", "paid"],
    &["challenge", "approve"],
    &["declined_final"],
    &["cancel"],
    &["close"],
    &["slow"],
    &["declined"],
];

/// Amounts that each provider's wire can carry: whole yen, fils that end in zero.
const AMOUNTS: [(&str, i64); 3] = [("EUR", 1999), ("JPY", 2500), ("KWD", 1230)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_mixed_orders_agree_although_the_gateway_was_killed_in_the_middle() {
    let demo = Demo::start();
    let shop = demo.shop.clone();
    let customers = tokio::spawn(all(shop.clone()));
    // The moment is whenever a quarter of the objects exist: in the middle, wherever that is this time.
    eventually(|| async {
        let made = shop.ledger().await.len();
        if made < ORDERS / 4 { Err(format!("only {made}")) } else { Ok(()) }
    })
    .await;
    let demo = demo.restart();

    let orders = customers.await.unwrap();
    let paid = orders.iter().filter(|(_, story)| pays(story)).count();
    assert!(paid >= ORDERS / 2, "most of the stories pay");
    for (order, story) in &orders {
        let resolved = |order: &serde_json::Value| {
            let state = order["state"].as_str().unwrap_or_default().to_owned();
            if pays(story) { state == "PROCESSING" } else { state != "PROCESSING" }
        };
        shop.until(order, resolved).await;
    }
    let ids = orders.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    agreement::check(&shop, &ids).await;
    demo.ends();
}

fn pays(story: &[&str]) -> bool {
    matches!(story.last(), Some(&("paid" | "approve" | "slow")))
}

async fn all(shop: Shop) -> Vec<(String, &'static [&'static str])> {
    stream::iter(0..ORDERS).map(|index| one(shop.clone(), index)).buffer_unordered(AT_ONCE).collect().await
}

async fn one(shop: Shop, index: usize) -> (String, &'static [&'static str]) {
    let account = ACCOUNTS[index % ACCOUNTS.len()];
    let (currency, amount) = AMOUNTS[(index / ACCOUNTS.len()) % AMOUNTS.len()];
    let story = STORIES[index % STORIES.len()];
    let answer =
        shop.checkout(&format!("mixed-{index}"), &Shop::order(Some(account), currency, amount)).await;
    if let Some(page) = answer["session"]["checkoutUrl"].as_str() {
        for scenario in story {
            shop.play(page, scenario).await;
        }
    }
    (answer["order"]["id"].as_str().unwrap().to_owned(), story)
}
