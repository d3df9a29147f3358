//! Changing one name in the routing file.

use super::demo::Demo;
use super::running::Gateway;
use super::shop::Shop;

#[tokio::test]
async fn changing_one_word_in_the_routing_sends_the_same_request_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let routing = folder.path().join("routing.toml");
    let rule =
        |account: &str| format!("pins = true\n\n[[rules]]\nname = \"all\"\naccounts = [\"{account}\"]\n");
    std::fs::write(&routing, rule("decta-demo")).unwrap();
    let demo = Demo::of(|folder, sandbox| Gateway::start_routed(folder, sandbox, &routing));
    let shop = demo.shop.clone();
    let first = shop.checkout("one", &Shop::order(None, "EUR", 1999)).await;
    std::fs::write(&routing, rule("telness-demo")).unwrap();
    let _demo = demo.restart();
    let second = shop.checkout("two", &Shop::order(None, "EUR", 1999)).await;
    assert_eq!(first["session"]["provider"], "decta");
    assert_eq!(second["session"]["provider"], "telness");
    let names = |answer: &serde_json::Value| {
        answer["session"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&first), names(&second));
}
