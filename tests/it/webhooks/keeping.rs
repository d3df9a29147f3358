//! Endpoints: kept, changed, given new secrets, told again.

use std::sync::Arc;

use paymux::store::{
    Change, CommandResult, DisabledReason, EndpointRegistry, OutboundEventFilter, Page, StoreError,
    WebhookWrite, Write,
};
use paymux::webhooks::{Draft, Edit, EndpointError, Endpoints, Key, MAX_ENDPOINTS};
use port::{EndpointId, Env as _, EventId, ExposeSecret as _};

use super::fixtures::MERCHANT;
use super::receiver::Receiver;
use super::{DAY, MINUTE, SECOND, TestHost, until_idle};

fn draft(url: &str) -> Draft {
    Draft { url: url.to_owned(), types: Vec::new(), description: Some("the shop".to_owned()) }
}

#[tokio::test]
async fn a_new_secret_signs_beside_the_old_one_for_a_day() {
    let host = TestHost::new();
    let receiver = Receiver::taking();
    let first = host.endpoint(&receiver.url).await;
    let second = host.endpoints.rotate(MERCHANT, first.id, None, None).await.unwrap();
    let (old, new) = (first.secret.expose_secret(), second.secret.expose_secret());
    assert_ne!(old, new);
    let mut dispatcher = host.courier();
    host.place().await;
    until_idle(&mut dispatcher).await;
    host.clock.pass(DAY);
    host.place().await;
    until_idle(&mut dispatcher).await;
    let [during, after] = receiver.seen().try_into().unwrap();
    assert_eq!(during.header("webhook-signature").split(' ').count(), 2);
    during.verify(&first);
    during.verify(&second);
    assert_eq!((after.is_signed_by(old), after.is_signed_by(new)), (false, true));
}

#[tokio::test]
async fn a_turn_whose_answer_was_lost_can_be_repeated() {
    let host = TestHost::new();
    let receiver = Receiver::taking();
    let first = host.endpoint(&receiver.url).await;
    let lost = host.endpoints.rotate(MERCHANT, first.id, None, None).await.unwrap();
    host.clock.pass(MINUTE);
    let second = host.endpoints.rotate(MERCHANT, first.id, None, None).await.unwrap();
    host.place().await;
    until_idle(&mut host.courier()).await;
    let [received] = receiver.seen().try_into().unwrap();
    let signed = [&first, &lost, &second].map(|row| received.is_signed_by(row.secret.expose_secret()));
    assert_eq!(signed, [true, false, true]);
}

#[tokio::test]
async fn sent_again_an_event_is_the_same_to_the_byte() {
    let host = TestHost::new();
    let receiver = Receiver::taking();
    let endpoint = host.endpoint(&receiver.url).await;
    let mut dispatcher = host.courier();
    let mut order = host.place().await;
    until_idle(&mut dispatcher).await;
    host.pay(&mut order).await;
    until_idle(&mut dispatcher).await;
    let before = receiver.seen();
    for received in &before {
        let event: EventId = received.header("webhook-id").parse().unwrap();
        assert_eq!(host.endpoints.redeliver(MERCHANT, event, None, None).await, Ok(1));
        until_idle(&mut dispatcher).await;
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
    let host = TestHost::new();
    let (all, payments) = (Receiver::taking(), Receiver::taking());
    let to_all = host.endpoint(&all.url).await.id;
    let to_payments = host.endpoint_for(&payments.url, &["payment.*"]).await.id;
    host.place().await;
    let mut dispatcher = host.courier();
    until_idle(&mut dispatcher).await;
    let event: EventId = all.seen()[0].header("webhook-id").parse().unwrap();
    assert_eq!(host.endpoints.redeliver(MERCHANT, event, None, None).await, Ok(1));
    assert_eq!(host.endpoints.redeliver(MERCHANT, event, Some(to_all), None).await, Ok(1));
    let refused = host.endpoints.redeliver(MERCHANT, event, Some(to_payments), None).await;
    assert_eq!(refused, Err(EndpointError::NotTaken));
    until_idle(&mut dispatcher).await;
    assert_eq!((all.count(), payments.count()), (2, 0), "asked twice before it was sent, it is sent once");
    for (merchant, event) in [("another", event), (MERCHANT, EventId::from_uuid(host.clock.uuid()))] {
        assert_eq!(host.endpoints.redeliver(merchant, event, None, None).await, Err(EndpointError::NotFound));
    }
}

#[tokio::test]
async fn asking_for_an_event_again_also_hastens_what_waits() {
    let host = TestHost::new();
    let receiver = Receiver::start(|_, before| (if before == 0 { 500 } else { 200 }, String::new()));
    host.endpoint(&receiver.url).await;
    let mut order = host.place().await;
    host.pay(&mut order).await;
    let mut dispatcher = host.courier();
    until_idle(&mut dispatcher).await;
    let event: EventId = receiver.seen()[0].header("webhook-id").parse().unwrap();
    host.endpoints.redeliver(MERCHANT, event, None, None).await.unwrap();
    until_idle(&mut dispatcher).await;
    let mut places = receiver.places();
    places.sort_unstable();
    assert_eq!(places, [1, 1, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_range_of_time_is_sent_again_in_order() {
    let host = TestHost::new();
    let receiver = Receiver::taking();
    let endpoint = host.endpoint(&receiver.url).await.id;
    let mut dispatcher = host.courier();
    let mut order = host.place().await;
    let from = host.shop().now();
    host.pay(&mut order).await;
    let to = host.shop().now();
    let refund = host.shop().refund(&mut order);
    host.commit(refund).await;
    until_idle(&mut dispatcher).await;
    let before = receiver.count();
    assert_eq!(host.endpoints.replay(MERCHANT, endpoint, from, to, None).await, Ok(1));
    until_idle(&mut dispatcher).await;
    assert_eq!(receiver.places()[before..], [2, 3, 4, 5, 6]);
    assert_eq!(host.endpoints.replay(MERCHANT, endpoint, to, to, None).await, Ok(0));
    let elsewhere = host.endpoints.replay("another", endpoint, from, to, None).await;
    assert_eq!(elsewhere, Err(EndpointError::NotFound));
}

#[tokio::test]
async fn switched_off_it_misses_what_happens_and_can_be_told_later() {
    let host = TestHost::new();
    let receiver = Receiver::taking();
    let endpoint = host.endpoint(&receiver.url).await.id;
    let mut dispatcher = host.courier();
    let enabled = |enabled| Edit { enabled: Some(enabled), ..Edit::default() };
    let off = host.endpoints.edit(MERCHANT, endpoint, None, &enabled(false)).await.unwrap();
    assert_eq!(off.disabled.map(|off| off.reason), Some(DisabledReason::Merchant));
    let from = host.shop().now();
    let mut order = host.place().await;
    let to = host.shop().now();
    until_idle(&mut dispatcher).await;
    assert_eq!(host.endpoints.replay(MERCHANT, endpoint, from, to, None).await, Err(EndpointError::NotTaken));
    let on = host.endpoints.edit(MERCHANT, endpoint, Some(off.version), &enabled(true)).await.unwrap();
    assert!(on.disabled.is_none());
    host.pay(&mut order).await;
    until_idle(&mut dispatcher).await;
    assert_eq!(receiver.places(), [2, 3, 4, 5, 6]);
    assert_eq!(host.endpoints.replay(MERCHANT, endpoint, from, to, None).await, Ok(1));
    until_idle(&mut dispatcher).await;
    assert_eq!(receiver.places(), [2, 3, 4, 5, 6, 1]);
}

#[tokio::test]
async fn changes_keep_what_they_do_not_name_and_mind_the_version() {
    let host = TestHost::new();
    let made = host.endpoints.create(MERCHANT, draft("https://shop.example/a"), None).await.unwrap();
    let edit = Edit { url: Some("https://shop.example/b".to_owned()), ..Edit::default() };
    let changed = host.endpoints.edit(MERCHANT, made.id, Some(1), &edit).await.unwrap();
    assert_eq!(
        (changed.url.as_str(), changed.description.as_deref()),
        ("https://shop.example/b", Some("the shop"))
    );
    assert_eq!((changed.version, changed.secret.expose_secret()), (2, made.secret.expose_secret()));
    let stale = host.endpoints.edit(MERCHANT, made.id, Some(1), &edit).await.map(|row| row.version);
    assert_eq!(stale, Err(EndpointError::VersionMismatch { actual: 2 }));
    let others = host.endpoints.edit("another", made.id, None, &edit).await.map(|row| row.version);
    assert_eq!(others, Err(EndpointError::NotFound));
    let late = Change::plain("late", vec![Write::Webhook(WebhookWrite::Endpoint(Box::new(changed.clone())))]);
    assert_eq!(host.store.commit(late).await, Err(StoreError::Conflict));
    assert!(!format!("{changed:?}").contains(changed.secret.expose_secret()));
}

#[tokio::test]
async fn endpoints_that_could_not_be_read_are_read_before_anybody_is_told() {
    let host = TestHost::new();
    let behind = rusqlite::Connection::open(host.folder.path().join("paymux.db")).unwrap();
    let another = EndpointRegistry::default();
    let endpoints = Endpoints { registry: Arc::new(another), ..host.endpoints.clone() };
    let known = endpoints.create(MERCHANT, draft("https://shop.example/"), None).await.unwrap();
    assert!(host.registry.endpoint(known.id).is_none());

    behind.execute_batch("ALTER TABLE endpoints RENAME TO elsewhere").unwrap();
    assert!(host.registry.change(&*host.store, Change::plain("nothing", Vec::new())).await.is_err());
    assert!(host.registry.ensure_fresh(&*host.store).await.is_err());
    behind.execute_batch("ALTER TABLE elsewhere RENAME TO endpoints").unwrap();
    host.registry.ensure_fresh(&*host.store).await.unwrap();
    assert!(host.registry.endpoint(known.id).is_some());
}

#[tokio::test]
async fn a_deleted_endpoint_leaves_nothing_to_do() {
    let host = TestHost::new();
    let receiver = Receiver::answering(500);
    let endpoint = host.endpoint(&receiver.url).await;
    host.place().await;
    let mut dispatcher = host.courier();
    until_idle(&mut dispatcher).await;
    host.endpoints.delete(MERCHANT, endpoint.id, Some(1)).await.unwrap();
    host.place().await;
    host.clock.pass(DAY);
    until_idle(&mut dispatcher).await;
    assert_eq!(receiver.count(), 1);
    let gone = host.endpoints.get(MERCHANT, endpoint.id).await.map(|row| row.version);
    assert_eq!(gone, Err(EndpointError::NotFound));
    assert!(host.store.oldest_jobs().await.unwrap().iter().all(|(kind, _)| kind.as_str() != "deliver"));
}

#[tokio::test]
async fn a_merchant_has_its_own_endpoints_and_not_too_many() {
    let host = TestHost::new();
    for number in 0..MAX_ENDPOINTS {
        host.endpoints
            .create(MERCHANT, draft(&format!("https://shop.example/{number}")), None)
            .await
            .unwrap();
    }
    let more =
        host.endpoints.create(MERCHANT, draft("https://shop.example/more"), None).await.map(|row| row.id);
    assert_eq!(more, Err(EndpointError::TooMany));
    host.endpoints.create("another", draft("https://other.example/"), None).await.unwrap();
    let listed = host.endpoints.list(MERCHANT).await.unwrap();
    assert_eq!(listed.len(), MAX_ENDPOINTS);
    assert_eq!(listed[0].url, format!("https://shop.example/{}", MAX_ENDPOINTS - 1));
}

#[tokio::test]
async fn a_key_makes_one_endpoint() {
    let host = TestHost::new();
    let key = Key { text: "k-1".to_owned(), fingerprint: "f".to_owned() };
    let url = "https://shop.example/a";
    let made: EndpointId = host.endpoints.create(MERCHANT, draft(url), Some(&key)).await.unwrap().id;
    let again = host.endpoints.create(MERCHANT, draft(url), Some(&key)).await.map(|row| row.id);
    assert_eq!(again, Err(EndpointError::KeyTaken));
    let known = host.endpoints.made_by(MERCHANT, "k-1").await.unwrap().unwrap();
    assert_eq!((known.result, known.fingerprint.as_str()), (CommandResult::Endpoint(made), "f"));
    assert_eq!(host.endpoints.made_by("another", "k-1").await, Ok(None));
    assert_eq!(host.endpoints.list(MERCHANT).await.unwrap().len(), 1);
}

#[tokio::test]
async fn events_and_tries_are_listed_newest_first() {
    let host = TestHost::new();
    let receiver = Receiver::taking();
    let endpoint = host.endpoint(&receiver.url).await.id;
    let mut order = host.place().await;
    host.pay(&mut order).await;
    until_idle(&mut host.courier()).await;
    let ids = receiver.seen().iter().rev().map(|got| got.header("webhook-id").to_owned()).collect::<Vec<_>>();
    let (mut before, mut listed) = (None, Vec::new());
    loop {
        let page = Page { before: before.clone(), limit: 4 };
        let filter = OutboundEventFilter { merchant: MERCHANT.to_owned(), from: None, to: None, page };
        let rows = host.store.outbound_events(&filter).await.unwrap();
        listed.extend(rows.iter().map(|row| row.event.to_string()));
        before = rows.last().map(|row| row.event.to_string());
        if rows.is_empty() {
            break;
        }
    }
    assert_eq!(listed, ids);
    let page = |before: Option<u64>| Page { before: before.map(|place| place.to_string()), limit: 4 };
    let newest = host.store.deliveries(endpoint, &page(None)).await.unwrap();
    let rest = host.store.deliveries(endpoint, &page(Some(newest[3].position))).await.unwrap();
    let tried = newest.iter().chain(&rest).map(|row| row.event.to_string()).collect::<Vec<_>>();
    assert_eq!(tried, ids);
    assert_eq!(host.store.outbound_event("another", newest[0].event).await, Ok(None));
    host.clock.pass(31 * DAY + SECOND);
    host.place().await;
    until_idle(&mut host.courier()).await;
    let left = host.tries(endpoint).await.len();
    assert_eq!(left, 5, "for each new try two that are too old go");
}
