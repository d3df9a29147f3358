//! The providers' notifications on their way: late, lost, twice, overtaken and forged; and what the gateway does
//! with one, as its HTTP room has it.

use std::sync::Arc;
use std::time::Duration;

use paymux::orders::Orders;
use paymux::payments::{Account, Payments};
use paymux::store::{Change, DueKind, NoteRow, StoreError, Unique, Write};
use paymux_sandbox::Outgoing;
use port::{Hint, NoteId, Notification, NotificationError, Timestamp, sign};
use serde_json::Value;
use tokio::time::sleep;

use crate::world::World;

/// How often a provider tries to get a notification through.
const TRIES: u32 = 5;

/// What the gateway answered a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Understood, and it will be looked into.
    Yes,
    /// It came before.
    Again,
    /// Genuine, and about nothing that is known.
    Unmatched,
    /// Not proven.
    Refused,
    /// It could not be stored: the provider shall send it again.
    Later,
}

/// Sends notifications off. Now and then somebody else sends a forged one with it.
pub(crate) fn dispatch(world: &Arc<World>, sent: &[Outgoing]) {
    for outgoing in sent {
        deliver_later(world, outgoing.clone(), true);
        if world.dice.percent(2) {
            deliver_later(world, forged(outgoing), false);
        }
    }
}

/// The same as somebody would write it who has seen one and knows no secret.
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
    let usual =
        if world.dice.percent(5) { world.dice.millis(1_000, 200_000) } else { world.dice.millis(5, 900) };
    let (within, delay) = (world.clone(), usual + Duration::from_millis(outgoing.delay_ms));
    world.network(async move {
        sleep(delay).await;
        for number in 1..=TRIES {
            let taken = deliver(&within, &outgoing, genuine).await;
            if taken != Taken::Later {
                return;
            }
            sleep(Duration::from_millis(500 << number)).await;
        }
    });
}

async fn deliver(world: &Arc<World>, outgoing: &Outgoing, genuine: bool) -> Taken {
    let arrived = world.now();
    let sent = outgoing.clone();
    let taken = world.gateway(|orders| async move { receive(&orders, &sent, arrived).await }).await;
    let taken = taken.unwrap_or(Taken::Later);
    let about = object_of(&outgoing.body);
    world.note(&format!("notification about {about:?} -> {taken:?}"));
    match taken {
        Taken::Yes | Taken::Again | Taken::Unmatched if !genuine => {
            world.fail(format!("a forged notification about {about:?} was taken"))
        }
        Taken::Yes => world.facts().told.extend(about.map(|object| (object, arrived))),
        Taken::Again | Taken::Unmatched | Taken::Refused | Taken::Later => {}
    }
    taken
}

/// The provider's object that a notification tells of.
fn object_of(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let places =
        [body.get("id"), body.pointer("/data/paymentSessionId"), body.pointer("/data/paymentLinkId")];
    places.into_iter().flatten().find_map(Value::as_str).map(str::to_owned)
}

/// What the HTTP room does: proves, keeps, answers; whatever follows is the agenda's.
async fn receive(orders: &Orders, sent: &Outgoing, now: Timestamp) -> Taken {
    let mut path = sent.url.split("/webhooks/").nth(1).unwrap_or_default().split('/');
    let (name, key) = (path.next().unwrap_or_default(), path.next());
    let payments = &orders.payments;
    let account = payments.shared.accounts.get(name).expect("the subscriptions name accounts").clone();
    let held = account.notify_key.as_ref().zip(key);
    let keyed = held.is_some_and(|(held, sent)| sign::same_secret(held, sent.as_bytes()));
    let body = sent.body.as_bytes();
    let note = Notification { headers: &sent.headers, body, received_at: now, address_key: false };
    match account.adapter.read_notification(&note) {
        Ok(hints) => return keep(payments, &account, &note, hints).await,
        Err(NotificationError::Unreadable) => return Taken::Unmatched,
        Err(NotificationError::Unverified) if !keyed => return Taken::Refused,
        Err(NotificationError::Unverified) => {}
    }
    match account.adapter.read_notification(&Notification { address_key: true, ..note }) {
        Ok(hints) => follow(payments, &account, hints).await,
        Err(NotificationError::Unreadable) => Taken::Unmatched,
        Err(NotificationError::Unverified) => Taken::Refused,
    }
}

/// One that proves itself is stored.
async fn keep(payments: &Payments, account: &Account, note: &Notification<'_>, hints: Vec<Hint>) -> Taken {
    let shared = &payments.shared;
    let event = hints.iter().find_map(|hint| hint.event.clone());
    let row = NoteRow {
        id: NoteId::from_uuid(shared.source.uuid()),
        account: account.name.clone(),
        identity: event.unwrap_or_else(|| sign::hex(&sign::sha256(&[note.body]))),
        headers: "{}".to_owned(),
        body: note.body.to_vec(),
        hints: serde_json::to_string(&hints).expect("plain data is always JSON"),
        received_at: note.received_at,
    };
    let (subject, at) = (row.id.to_string(), Some(note.received_at));
    let due = Write::Due { kind: DueKind::Note, subject, order: None, at };
    match shared.store.commit(Change::plain("note", vec![Write::Note(row), due])).await {
        Ok(()) => {
            shared.wake.notify_one();
            Taken::Yes
        }
        Err(StoreError::Taken(Unique::Note)) => Taken::Again,
        Err(_) => Taken::Later,
    }
}

/// One that only its address proves leads to a read and leaves nothing else.
async fn follow(payments: &Payments, account: &Account, hints: Vec<Hint>) -> Taken {
    let mut taken = Taken::Unmatched;
    for reference in hints.into_iter().filter_map(|hint| hint.reference) {
        match payments.hint(&account.name, &reference).await {
            Ok(Some(_)) => taken = Taken::Yes,
            Ok(None) => {}
            Err(_) => return Taken::Later,
        }
    }
    taken
}
