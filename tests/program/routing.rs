//! Changing one word in the routing file.

use super::running::{Gateway, Sandbox};
use super::shop::Shop;

#[tokio::test]
async fn changing_one_word_in_the_routing_sends_the_same_request_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let routing = folder.path().join("routing.toml");
    let sandbox = Sandbox::start(folder.path());
    let rule =
        |account: &str| format!("pins = true\n\n[[rules]]\nname = \"all\"\naccounts = [\"{account}\"]\n");
    std::fs::write(&routing, rule("decta-demo")).unwrap();
    let gateway = Gateway::start(folder.path(), &sandbox, &routing);
    let shop = Shop::new(&gateway.url, &sandbox.url);
    let first = shop.checkout("one", &Shop::order(None, "EUR", 1999)).await;
    std::fs::write(&routing, rule("telness-demo")).unwrap();
    let _gateway = gateway.restart(folder.path(), &sandbox, &routing);
    let second = shop.checkout("two", &Shop::order(None, "EUR", 1999)).await;
    assert_eq!(first["session"]["provider"], "decta");
    assert_eq!(second["session"]["provider"], "telness");
    let names = |answer: &serde_json::Value| {
        answer["session"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&first), names(&second));
}
