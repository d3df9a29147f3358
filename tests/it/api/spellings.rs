//! One object by several spellings of its id.

use serde_json::{Value, json};

use super::notifications::{hint, session_at_two};
use super::{Gateway, gateway::NOTIFY_KEY};

#[tokio::test]
async fn a_notification_names_its_object_in_small_and_in_capital_letters() {
    let spellings: [fn(&str) -> String; 2] = [str::to_ascii_uppercase, str::to_ascii_lowercase];
    for spelt in spellings {
        let gateway = Gateway::start().await;
        let (unsigned, signed) = (session_at_two(&gateway).await, gateway.session().await);
        let named = |session: &Value| {
            let mut hint = hint(session, "e-1");
            hint[0]["reference"] = json!(spelt(session["providerReference"].as_str().unwrap()));
            hint
        };
        for session in [&unsigned, &signed] {
            gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
        }
        assert_eq!(gateway.notified_at_two(NOTIFY_KEY, &named(&unsigned)).await.status, 200);
        assert_eq!(gateway.notified(&named(&signed)).await.status, 200);
        gateway.run_jobs().await;
        for session in [&unsigned, &signed] {
            assert_eq!(gateway.status(session).await, "COMPLETED");
        }
    }
}
