//! Webhook endpoints: which events they take, which secrets sign, and when they get nothing.

use port::EndpointId;

use super::profiles::{changed, opened};
use super::*;

fn secret(text: &str) -> Erasable<EndpointSecret> {
    Erasable::new(EndpointSecret::new(format!("whsec_{text}")), [1; 16])
}

fn settings(url: &str, types: &[&str]) -> EndpointSettings {
    let types = types.iter().map(|&name| name.to_owned()).collect();
    EndpointSettings { url: url.to_owned(), types, description: None }
}

fn endpoint(types: &[&str]) -> WebhookEndpoint {
    let created = EndpointEvent::Created {
        id: EndpointId::from_uuid(subject_id(1)),
        merchant: "shop".to_owned(),
        settings: settings("https://shop.example/hook", types),
        secret: secret("a"),
    };
    opened(created, at(0))
}

#[test]
fn an_endpoint_takes_the_types_it_names_and_all_if_it_names_none() {
    let table = "
        # types              | event                 | takes
                             | payment.paid          | yes
        payment.paid         | payment.paid          | yes
        payment.paid         | payment.paidLater     | no
        payment.*            | payment.paid          | yes
        payment.*            | paymentSession.failed | no
        refund.* order.failed | order.failed         | yes
        refund.* order.failed | order.completed      | no
    ";
    for row in rows(table) {
        let types: Vec<&str> = row[0].split_whitespace().collect();
        assert_eq!(endpoint(&types).subscribes_to(row[1]), row[2] == "yes", "{row:?}");
    }
}

#[test]
fn a_replaced_secret_signs_for_a_day_and_at_most_two_sign() {
    let signing = |endpoint: &WebhookEndpoint, now: Timestamp| -> Vec<String> {
        endpoint.live_secrets(now).map(|secret| secret.expose().to_owned()).collect()
    };
    let rotate = |endpoint: &WebhookEndpoint, text, now| {
        changed(endpoint, vec![EndpointEvent::SecretRotated(secret(text))], now)
    };
    let day = at(100).plus(SECRET_OVERLAP);
    let once = rotate(&endpoint(&[]), "b", at(100));
    assert_eq!(signing(&once, at(100)), ["whsec_b", "whsec_a"]);
    assert_eq!(signing(&once, day), ["whsec_b"]);
    // The answer was lost, so the merchant rotates once more.
    let twice = rotate(&once, "c", at(200));
    assert_eq!(signing(&twice, at(200)), ["whsec_c", "whsec_a"]);
    assert_eq!(signing(&twice, day), ["whsec_c"]);
    let later = rotate(&once, "c", day);
    assert_eq!(signing(&later, day), ["whsec_c", "whsec_b"]);
}

#[test]
fn what_happens_to_an_endpoint_shows_in_it_and_a_redelivery_changes_nothing_of_it() {
    let before = endpoint(&[]);
    let off = changed(&before, vec![EndpointEvent::Disabled { reason: DisabledReason::Gone }], at(5));
    assert_eq!(off.disabled, Some(Disabled { at: at(5), reason: DisabledReason::Gone }));
    let on = changed(&off, vec![EndpointEvent::Enabled], at(6));
    assert_eq!((on.disabled, on.updated_at), (None, at(6)));
    let again = changed(&on, vec![EndpointEvent::RedeliveryRequested { count: 2 }], at(7));
    assert_eq!((again.updated_at, again.version), (at(6), on.version));
    let new = settings("https://shop.example/new", &[]);
    let edited = changed(&again, vec![EndpointEvent::Edited(new.clone())], at(8));
    assert_eq!(edited.settings, new);
    assert_eq!(before.list_state(), WebhookEndpoint::KEPT);
    assert_ne!(changed(&again, vec![EndpointEvent::Deleted], at(9)).list_state(), WebhookEndpoint::KEPT);
}

#[test]
fn a_secret_is_never_printed() {
    let printed = format!("{:?}", endpoint(&[]));
    assert!(!printed.contains("whsec"), "{printed}");
}
