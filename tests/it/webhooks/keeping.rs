//! Endpoints: created, changed, given new secrets, replayed.

use std::sync::Arc;

use futures_util::future::join_all;
use paymux::domain::{
    DisabledReason, DomainError, EndpointSettings, Event, OrderAggregate, number_of, part_of,
};
use paymux::engine::{Command, CommandError, Engine, IdempotencyKey};
use paymux::store::sqlite::{self, Sqlite};
use paymux::store::{Change, Page, PublicFilter};
use paymux::webhooks::{EndpointFields, Endpoints, MAX_ENDPOINTS};
use port::{Env as _, EventId};

use super::fixtures::MERCHANT;
use super::receiver::{Received, Receiver};
use super::{DAY, Host, MINUTE, SECOND, merchant, outbound, secret, until_idle};

fn new(url: &str) -> EndpointSettings {
    EndpointSettings { url: url.to_owned(), types: Vec::new(), description: Some("the shop".to_owned()) }
}

fn if_match(version: u64) -> Command {
    Command { if_match: Some(version), ..merchant() }
}

#[tokio::test]
async fn a_new_secret_signs_beside_the_old_one_for_a_day() {
    let host = Host::new();
    let receiver = Receiver::taking();
    let first = host.endpoint(&receiver.url).await;
    let second = host.endpoints.by(MERCHANT, &merchant()).rotate(first.id).await.unwrap();
    let (old, newest) = (secret(&first), secret(&second));
    assert_ne!(old, newest);
    let mut runner = host.runner();
    host.create().await;
    until_idle(&mut runner).await;
    host.clock.pass(DAY);
    host.create().await;
    until_idle(&mut runner).await;
    let [during, after] = receiver.seen().try_into().unwrap();
    assert_eq!(during.header("webhook-signature").split(' ').count(), 2);
    during.verify(&first);
    during.verify(&second);
    assert_eq!((after.is_signed_by(old), after.is_signed_by(newest)), (false, true));
}

#[tokio::test]
async fn a_turn_whose_answer_was_lost_can_be_repeated() {
    let host = Host::new();
    let receiver = Receiver::taking();
    let first = host.endpoint(&receiver.url).await;
    let lost = host.endpoints.by(MERCHANT, &merchant()).rotate(first.id).await.unwrap();
    host.clock.pass(MINUTE);
    let second = host.endpoints.by(MERCHANT, &merchant()).rotate(first.id).await.unwrap();
    host.create().await;
    until_idle(&mut host.runner()).await;
    let [received] = receiver.seen().try_into().unwrap();
    let signed = [&first, &lost, &second].map(|row| received.is_signed_by(secret(row)));
    assert_eq!(signed, [true, false, true]);
}

#[tokio::test]
async fn sent_again_an_event_is_the_same_to_the_byte() {
    let host = Host::new();
    let receiver = Receiver::taking();
    let endpoint = host.endpoint(&receiver.url).await;
    let mut runner = host.runner();
    let mut order = host.create().await;
    until_idle(&mut runner).await;
    host.pay(&mut order).await;
    until_idle(&mut runner).await;
    let before = receiver.seen();
    for received in &before {
        let event: EventId = received.header("webhook-id").parse().unwrap();
        assert_eq!(host.endpoints.by(MERCHANT, &merchant()).redeliver(event, None).await, Ok(1));
        until_idle(&mut runner).await;
        let again = receiver.seen().pop().unwrap();
        assert_eq!(
            (&again.body, again.header("webhook-id")),
            (&received.body, received.header("webhook-id"))
        );
        again.verify(&endpoint);
    }
    assert_eq!(receiver.count(), 2 * before.len());
}

#[tokio::test]
async fn what_is_sent_again_goes_to_those_who_take_it() {
    let host = Host::new();
    let (all, payments) = (Receiver::taking(), Receiver::taking());
    let to_all = host.endpoint(&all.url).await.id;
    let to_payments = host.endpoint_for(&payments.url, &["payment.*"]).await.id;
    host.create().await;
    let mut runner = host.runner();
    until_idle(&mut runner).await;
    let event: EventId = all.seen()[0].header("webhook-id").parse().unwrap();
    assert_eq!(host.endpoints.by(MERCHANT, &merchant()).redeliver(event, None).await, Ok(1));
    assert_eq!(host.endpoints.by(MERCHANT, &merchant()).redeliver(event, Some(to_all)).await, Ok(1));
    let refused = host.endpoints.by(MERCHANT, &merchant()).redeliver(event, Some(to_payments)).await;
    assert_eq!(refused, Err(DomainError::NotSubscribed.into()));
    until_idle(&mut runner).await;
    assert_eq!(
        (all.count(), payments.count()),
        (2, 0),
        "requested twice before it was sent, it is sent once"
    );
    for (whose, event) in [("another", event), (MERCHANT, EventId::from_uuid(host.clock.uuid()))] {
        assert_eq!(
            host.endpoints.by(whose, &merchant()).redeliver(event, None).await,
            Err(CommandError::NotFound)
        );
    }
}

#[tokio::test]
async fn what_is_asked_for_while_another_event_turns_out_not_to_be_taken_any_more_is_sent() {
    let host = Host::new();
    let receiver = Receiver::taking();
    let endpoint = host.endpoint(&receiver.url).await.id;
    let mut order = host.create().await;
    host.pay(&mut order).await;
    let mut runner = host.runner();
    until_idle(&mut runner).await;
    let event = |received: &Received| received.header("webhook-id").parse::<EventId>().unwrap();
    let seen = receiver.seen();
    // Two that follow each other, of different types, before the last one.
    let follows = |pair: &&[Received]| {
        number_of(event(&pair[1]).uuid()) == number_of(event(&pair[0]).uuid()) + 1
            && pair[0].event().0 != pair[1].event().0
    };
    let [first, next] = seen[..seen.len() - 1].windows(2).find(follows).unwrap() else { unreachable!() };
    let command = merchant();
    let redeliver = |event| host.endpoints.by(MERCHANT, &command).redeliver(event, Some(endpoint));
    redeliver(event(first)).await.unwrap();
    let [claimed] =
        host.store.claim_deliveries(endpoint, host.now(), SECOND, 9).await.unwrap().try_into().unwrap();
    let only = EndpointFields { types: Some(vec![next.event().0]), ..EndpointFields::default() };
    host.endpoints.by(MERCHANT, &command).edit(endpoint, &only).await.unwrap();
    redeliver(event(next)).await.unwrap();
    host.dispatcher(outbound(true)).deliver(claimed).await.unwrap();
    host.clock.pass(SECOND);
    until_idle(&mut runner).await;
    assert_eq!(receiver.places()[seen.len()..], [next.event().1]);
}

#[tokio::test]
async fn asking_for_an_event_again_also_hastens_what_waits() {
    let host = Host::new();
    let receiver = Receiver::start(|_, before| (if before == 0 { 500 } else { 200 }, String::new()));
    host.endpoint(&receiver.url).await;
    let mut order = host.create().await;
    host.pay(&mut order).await;
    let mut runner = host.runner();
    until_idle(&mut runner).await;
    let event: EventId = receiver.seen()[0].header("webhook-id").parse().unwrap();
    host.endpoints.by(MERCHANT, &merchant()).redeliver(event, None).await.unwrap();
    until_idle(&mut runner).await;
    let mut places = receiver.places();
    places.sort_unstable();
    assert_eq!(places, [1, 1, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_range_of_time_is_sent_again_in_order() {
    let host = Host::new();
    let receiver = Receiver::taking();
    let endpoint = host.endpoint(&receiver.url).await.id;
    let mut runner = host.runner();
    let mut order = host.create().await;
    let from = host.shop().now();
    host.pay(&mut order).await;
    let to = host.shop().now();
    let refund = host.shop().refund(&mut order);
    host.commit(refund).await;
    until_idle(&mut runner).await;
    let before = receiver.count();
    assert_eq!(host.endpoints.by(MERCHANT, &merchant()).replay(endpoint, from, to).await, Ok(1));
    until_idle(&mut runner).await;
    assert_eq!(receiver.places()[before..], [2, 3, 4, 5, 6]);
    assert_eq!(host.endpoints.by(MERCHANT, &merchant()).replay(endpoint, to, to).await, Ok(0));
    let elsewhere = host.endpoints.by("another", &merchant()).replay(endpoint, from, to).await;
    assert_eq!(elsewhere, Err(CommandError::NotFound));
}

#[tokio::test]
async fn switched_off_it_misses_what_happens_and_can_be_told_later() {
    let host = Host::new();
    let receiver = Receiver::taking();
    let endpoint = host.endpoint(&receiver.url).await.id;
    let mut runner = host.runner();
    let enabled = |enabled| EndpointFields { enabled: Some(enabled), ..EndpointFields::default() };
    let off = host.endpoints.by(MERCHANT, &merchant()).edit(endpoint, &enabled(false)).await.unwrap();
    assert_eq!(off.disabled.as_ref().map(|off| off.reason), Some(DisabledReason::Merchant));
    let from = host.shop().now();
    let mut order = host.create().await;
    let to = host.shop().now();
    until_idle(&mut runner).await;
    assert_eq!(
        host.endpoints.by(MERCHANT, &merchant()).replay(endpoint, from, to).await,
        Err(DomainError::EndpointDisabled.into())
    );
    let event = EventId::from_uuid(part_of(order.id().uuid(), 1));
    assert_eq!(
        host.endpoints.by(MERCHANT, &merchant()).redeliver(event, Some(endpoint)).await,
        Err(DomainError::EndpointDisabled.into())
    );
    let on =
        host.endpoints.by(MERCHANT, &if_match(off.version)).edit(endpoint, &enabled(true)).await.unwrap();
    assert!(on.disabled.is_none());
    host.pay(&mut order).await;
    until_idle(&mut runner).await;
    assert_eq!(receiver.places(), [2, 3, 4, 5, 6]);
    assert_eq!(host.endpoints.by(MERCHANT, &merchant()).replay(endpoint, from, to).await, Ok(1));
    until_idle(&mut runner).await;
    assert_eq!(receiver.places(), [2, 3, 4, 5, 6, 1]);
}

#[tokio::test]
async fn changes_keep_what_they_do_not_name_and_mind_the_version() {
    let host = Host::new();
    let made = host.endpoints.by(MERCHANT, &merchant()).create(new("https://shop.example/a")).await.unwrap();
    let edit = EndpointFields { url: Some("https://shop.example/b".to_owned()), ..EndpointFields::default() };
    let changed = host.endpoints.by(MERCHANT, &if_match(1)).edit(made.id, &edit).await.unwrap();
    assert_eq!(
        (changed.settings.url.as_str(), changed.settings.description.as_deref()),
        ("https://shop.example/b", Some("the shop"))
    );
    assert_eq!((changed.version, secret(&changed)), (2, secret(&made)));
    let stale = host.endpoints.by(MERCHANT, &if_match(1)).edit(made.id, &edit).await.map(|row| row.version);
    assert_eq!(stale, Err(CommandError::VersionMismatch { actual: 2 }));
    let others = host.endpoints.by("another", &merchant()).edit(made.id, &edit).await.map(|row| row.version);
    assert_eq!(others, Err(CommandError::NotFound));
    assert!(!format!("{changed:?}").contains(secret(&changed)));
}

#[tokio::test]
async fn endpoints_that_could_not_be_read_are_read_before_anybody_is_told() {
    let host = Host::new();
    let behind = rusqlite::Connection::open(host.folder.path().join("paymux.db")).unwrap();
    let (known, store) = (&host.engine.endpoints, &*host.store);
    let another = Engine::new(host.store.clone(), host.clock.clone(), host.engine.metrics.clone());
    let endpoints = Endpoints { engine: another };
    let created = endpoints.by(MERCHANT, &merchant()).create(new("https://shop.example/")).await.unwrap();
    assert!(known.get(created.id).is_none());

    behind.execute_batch("ALTER TABLE failing_endpoints RENAME TO elsewhere").unwrap();
    assert!(known.commit(store, Change::plain("nothing", Vec::new())).await.is_err());
    assert!(known.ensure_fresh(store).await.is_err());
    // Nor is anything written whose receivers are not known.
    let header = host.shop().order(None).0.header.clone();
    let (order, command) = (header.id, merchant());
    let create = async || {
        let events = vec![Event::OrderCreated(Box::new(header.clone()))];
        host.engine.create::<OrderAggregate>("create", &command, events).await
    };
    assert!(create().await.is_err());
    assert_eq!(host.store.order(order).await, Ok(None));
    behind.execute_batch("ALTER TABLE elsewhere RENAME TO failing_endpoints").unwrap();
    create().await.unwrap();
    assert!(known.get(created.id).is_some());
    assert!(host.store.next_delivery(created.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_deleted_endpoint_leaves_nothing_to_do() {
    let host = Host::new();
    let receiver = Receiver::answering(500);
    let endpoint = host.endpoint(&receiver.url).await;
    host.create().await;
    let mut runner = host.runner();
    until_idle(&mut runner).await;
    host.endpoints.by(MERCHANT, &if_match(1)).delete(endpoint.id).await.unwrap();
    host.create().await;
    host.clock.pass(DAY);
    until_idle(&mut runner).await;
    assert_eq!(receiver.count(), 1);
    let gone = host.endpoints.get(MERCHANT, endpoint.id).await.map(|row| row.version);
    assert_eq!(gone, Err(CommandError::NotFound));
    assert_eq!(host.store.next_delivery(endpoint.id).await, Ok(None));
}

#[tokio::test]
async fn a_merchant_has_its_own_endpoints_and_not_too_many() {
    let host = Host::new();
    for number in 0..MAX_ENDPOINTS {
        host.endpoints
            .by(MERCHANT, &merchant())
            .create(new(&format!("https://shop.example/{number}")))
            .await
            .unwrap();
    }
    let more = host
        .endpoints
        .by(MERCHANT, &merchant())
        .create(new("https://shop.example/more"))
        .await
        .map(|row| row.id);
    assert_eq!(more, Err(DomainError::TooManyEndpoints { max: MAX_ENDPOINTS }.into()));
    host.endpoints.by("another", &merchant()).create(new("https://other.example/")).await.unwrap();
    let listed = host.endpoints.list(MERCHANT).await.unwrap();
    assert_eq!(listed.len(), MAX_ENDPOINTS);
    assert_eq!(listed[0].settings.url, format!("https://shop.example/{}", MAX_ENDPOINTS - 1));
}

#[tokio::test]
async fn of_endpoints_that_are_made_at_once_none_is_too_many() {
    let (host, folder) = (Host::new(), tempfile::tempdir().unwrap());
    // With threads, so that one waits while another goes on.
    let options = sqlite::Options::at(folder.path().join("paymux.db"));
    let store = Arc::new(Sqlite::open(&options, Arc::default()).unwrap());
    let endpoints = Endpoints { engine: Engine::new(store, host.clock.clone(), Arc::default()) };
    let command = merchant();
    let creates =
        (0..MAX_ENDPOINTS + 5).map(|_| endpoints.by(MERCHANT, &command).create(new("https://shop.example/")));
    let made = join_all(creates).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), MAX_ENDPOINTS);
    assert_eq!(endpoints.list(MERCHANT).await.unwrap().len(), MAX_ENDPOINTS);
}

#[tokio::test]
async fn a_key_makes_one_endpoint() {
    let host = Host::new();
    let key = IdempotencyKey::new("k-1".to_owned(), [1; 32]);
    let command = Command { key: Some(key), ..merchant() };
    let url = "https://shop.example/a";
    let created = host.endpoints.by(MERCHANT, &command).create(new(url)).await.unwrap();
    let again = host.endpoints.by(MERCHANT, &command).create(new(url)).await.map(|row| row.id);
    assert_eq!(again, Err(CommandError::IdempotencyKeyTaken));
    let row = host.store.idempotency(MERCHANT, "k-1").await.unwrap().unwrap();
    assert_eq!((row.subject, row.fingerprint), (created.id.uuid(), [1; 32]));
    let (shown, count) = host.endpoints.recall(row.subject, row.sequence).await.unwrap();
    assert_eq!((&*shown, count), (&*created, None));
    assert_eq!(host.store.idempotency("another", "k-1").await, Ok(None));
    assert_eq!(host.endpoints.list(MERCHANT).await.unwrap().len(), 1);
}

#[tokio::test]
async fn events_and_tries_are_listed_newest_first() {
    let host = Host::new();
    let receiver = Receiver::taking();
    let endpoint = host.endpoint(&receiver.url).await.id;
    let mut order = host.create().await;
    host.pay(&mut order).await;
    until_idle(&mut host.runner()).await;
    let ids = receiver.seen().iter().rev().map(|got| got.header("webhook-id").to_owned()).collect::<Vec<_>>();
    let (mut up_to, mut listed) = (None, Vec::new());
    loop {
        let filter = PublicFilter { merchant: MERCHANT.to_owned(), from: None, to: None, up_to, limit: 2 };
        let changes = host.store.public_changes(&filter).await.unwrap();
        for change in &changes {
            let read = change.read::<OrderAggregate>().unwrap();
            let public: Vec<_> =
                read.recorded_events().filter(|event| event.public_sequence.is_some()).collect();
            listed.extend(public.iter().rev().map(|event| event.id().to_string()));
        }
        let Some(last) = changes.last() else { break };
        up_to = Some(last.position - 1);
    }
    assert_eq!(listed, ids);
    let page = |before: Option<u64>| Page { before: before.map(|place| place.to_string()), limit: 4 };
    let newest = host.store.deliveries(endpoint, &page(None)).await.unwrap();
    let rest = host.store.deliveries(endpoint, &page(Some(newest[3].position))).await.unwrap();
    let tried = newest.iter().chain(&rest).map(|row| row.event.to_string()).collect::<Vec<_>>();
    assert_eq!(tried, ids);
    host.clock.pass(31 * DAY + SECOND);
    host.create().await;
    until_idle(&mut host.runner()).await;
    let left = host.tries(endpoint).await.len();
    assert_eq!(left, 5, "for each new try two that are too old go");
}
