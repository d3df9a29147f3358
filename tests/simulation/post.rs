//! The providers' notifications on their way: late, lost, twice, overtaken and forged.

use std::sync::Arc;
use std::time::Duration;

use paymux::inbox::{self, NotificationReceiver};
use paymux::metrics::NotificationOutcome;
use paymux::orders::Orders;
use paymux_sandbox::Outgoing;
use port::{Notification, Timestamp};
use serde_json::Value;
use tokio::time::sleep;

use crate::world::World;

/// How often a provider tries to get a notification through.
const TRIES: u32 = 5;

/// Sends notifications off. Now and then an attacker sends a forged one with it.
pub(crate) fn dispatch(world: &Arc<World>, sent: &[Outgoing]) {
    for outgoing in sent {
        deliver_later(world, outgoing.clone(), true);
        if world.random.percent(2) {
            deliver_later(world, forged(outgoing), false);
        }
    }
}

/// The same as an attacker would write it who has seen one and knows no secret.
fn forged(genuine: &Outgoing) -> Outgoing {
    let mut forged = genuine.clone();
    forged.url = forged.url.replace("sandbox-decta-notify-key", "guessed");
    forged.body = forged.body.replace("refunded", "refused").replacen("{", "{ ", 1);
    for (name, value) in &mut forged.headers {
        if name == "x-api-key" {
            *value = "guessed".to_owned();
        }
    }
    forged
}

fn deliver_later(world: &Arc<World>, outgoing: Outgoing, genuine: bool) {
    let usual = if world.random.percent(5) {
        world.random.millis(1_000, 200_000)
    } else {
        world.random.millis(5, 900)
    };
    let (within, delay) = (world.clone(), usual + Duration::from_millis(outgoing.delay_ms));
    world.network(async move {
        sleep(delay).await;
        for number in 1..=TRIES {
            if deliver(&within, &outgoing, genuine).await.is_some() {
                return;
            }
            sleep(Duration::from_millis(500 << number)).await;
        }
    });
}

/// What the gateway made of a notification; `None` if the provider shall send it again.
async fn deliver(world: &Arc<World>, outgoing: &Outgoing, genuine: bool) -> Option<NotificationOutcome> {
    use NotificationOutcome::{Accepted, Unverified};
    let arrived = world.now();
    let (sent, receiver) = (outgoing.clone(), world.receiver().ok()?);
    let receiving = world.gateway(|orders| async move { receive(&orders, &receiver, &sent, arrived).await });
    let taken = receiving.await.ok().flatten();
    let about = object_of(&outgoing.body);
    world.log(&format!("notification about {about:?} -> {taken:?}"));
    match taken {
        Some(Accepted) if genuine => world.seen().notified.extend(about.map(|object| (object, arrived))),
        Some(taken) if !genuine && taken != Unverified => {
            world.fail(format!("a forged notification about {about:?} was taken"));
        }
        Some(_) | None => {}
    }
    taken
}

/// The provider's object that a notification names.
fn object_of(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let places =
        [body.get("id"), body.pointer("/data/paymentSessionId"), body.pointer("/data/paymentLinkId")];
    places.into_iter().flatten().find_map(Value::as_str).map(str::to_owned)
}

/// Hands one to the gateway as its HTTP module does.
async fn receive(
    orders: &Orders,
    receiver: &NotificationReceiver,
    sent: &Outgoing,
    now: Timestamp,
) -> Option<NotificationOutcome> {
    let mut path = sent.url.split("/webhooks/").nth(1).unwrap_or_default().split('/');
    let (name, key) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
    let account = orders.payments.providers.accounts().get(name).expect("the subscriptions name accounts");
    let body = sent.body.as_bytes();
    let notification = Notification { headers: &sent.headers, body, received_at: now, address_key: false };
    let Some(verified) = inbox::verify(account, &notification, key) else {
        return Some(NotificationOutcome::Unverified);
    };
    receiver.receive(&orders.payments, account, &notification, verified).await.ok()
}
