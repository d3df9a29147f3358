//! Delivery streams, and what became of every try.

use std::time::Duration;

use paymux::domain::{EndpointEvent, WebhookEndpoint};
use paymux::store::{Change, ClaimedDelivery, DeliveryRow, DeliveryStream, Page, StreamPosition, Write};
use port::{EndpointId, Env as _, EventId, OrderId, Timestamp, Uuid};

use super::fixtures::{MERCHANT, Shop};
use super::{Db, commit, write};

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn endpoint(number: u128) -> EndpointId {
    EndpointId::from_uuid(Uuid::from_u128(number << 24))
}

fn stream(order: u128, replay: bool) -> DeliveryStream {
    DeliveryStream { endpoint: endpoint(1), order: OrderId::from_uuid(Uuid::from_u128(order << 24)), replay }
}

fn enqueue(stream: DeliveryStream, first: u64, seconds: i64) -> Write {
    let last = stream.replay.then_some(first + 1);
    Write::Enqueue { stream, first, last, at: at(seconds) }
}

fn position(next: u64, failures: u32) -> StreamPosition {
    StreamPosition { next, last: None, failures }
}

fn advance(delivery: ClaimedDelivery, position: StreamPosition, seconds: Option<i64>) -> Write {
    Write::Advance { delivery, position, at: seconds.map(at) }
}

async fn claimed(store: &Db, now: i64, limit: u32) -> Vec<ClaimedDelivery> {
    store.claim_deliveries(endpoint(1), at(now), MINUTE, limit).await.unwrap()
}

/// The position of the one stream that is due.
async fn the_only(store: &Db, now: i64) -> ClaimedDelivery {
    let mut due = claimed(store, now, 9).await;
    assert_eq!(due.len(), 1, "{due:?}");
    due.remove(0)
}

pub async fn what_is_enqueued_is_claimed_oldest_first_by_one_only(store: Db) {
    assert_eq!(claimed(&store, 0, 9).await, []);
    assert_eq!(store.next_delivery(endpoint(1)).await, Ok(None));
    let elsewhere = DeliveryStream { endpoint: endpoint(2), ..stream(9, false) };
    let rows = vec![
        enqueue(stream(2, false), 4, 2),
        enqueue(stream(1, false), 3, 1),
        enqueue(stream(3, false), 5, 99),
        enqueue(elsewhere, 1, 0),
    ];
    commit(&store, Change::plain("enqueue", rows)).await;
    assert_eq!(store.next_delivery(endpoint(1)).await, Ok(Some(at(1))));
    assert_eq!(claimed(&store, 0, 9).await, []);
    let first = the_only(&store, 1).await;
    let wanted =
        ClaimedDelivery { stream: stream(1, false), position: position(3, 0), due_at: at(1), enqueued: 0 };
    assert_eq!(first, wanted);
    assert_eq!(store.next_delivery(endpoint(1)).await, Ok(Some(at(2))));
    assert_eq!(the_only(&store, 2).await.stream, stream(2, false));
    assert_eq!(claimed(&store, 60, 9).await, []);
    // Both are waited for until the first lease ends, and then found by itself.
    assert_eq!(store.next_delivery(endpoint(1)).await, Ok(Some(at(61))));
    assert_eq!(the_only(&store, 61).await, first);
    commit(&store, Change::plain("drop", vec![Write::DropStreams(endpoint(1))])).await;
    assert_eq!(store.next_delivery(endpoint(1)).await, Ok(None));
    assert_eq!(store.next_delivery(endpoint(2)).await, Ok(Some(at(0))));
}

pub async fn a_delivery_moves_its_stream_on_or_is_tried_again(store: Db) {
    write(&store, enqueue(stream(1, false), 3, 0)).await.unwrap();
    // Two events are delivered, the second at its third try, and then nothing is left.
    let tries = [(0, (3, 0), (5, 0), Some(0)), (0, (5, 0), (5, 1), Some(10)), (10, (5, 1), (5, 2), Some(20))];
    for (now, (next, failures), after, due) in tries {
        let delivery = the_only(&store, now).await;
        assert_eq!(delivery.position, position(next, failures));
        write(&store, advance(delivery, position(after.0, after.1), due)).await.unwrap();
        assert_eq!(store.next_delivery(endpoint(1)).await, Ok(due.map(at)));
    }
    // What is enqueued while a retry waits keeps its moment.
    write(&store, enqueue(stream(1, false), 9, 11)).await.unwrap();
    assert_eq!(claimed(&store, 19, 9).await, []);
    let delivery = the_only(&store, 20).await;
    assert_eq!(delivery.position, position(5, 2));
    write(&store, advance(delivery, position(10, 0), None)).await.unwrap();
    assert_eq!(store.next_delivery(endpoint(1)).await, Ok(None));
}

pub async fn what_is_enqueued_while_a_delivery_is_under_way_is_delivered(store: Db) {
    // How the delivery of event 3 ends while event 4 is enqueued, and the position of the stream then.
    let ends = [
        (position(4, 0), None, position(4, 0), 0),
        (position(4, 0), Some(5), position(4, 0), 5),
        (position(3, 1), Some(30), position(3, 1), 30),
    ];
    for (after, due, wanted, when) in ends {
        write(&store, enqueue(stream(1, false), 3, 0)).await.unwrap();
        let delivery = the_only(&store, 0).await;
        write(&store, enqueue(stream(1, false), 4, 1)).await.unwrap();
        write(&store, advance(delivery, after, due)).await.unwrap();
        assert_eq!(store.next_delivery(endpoint(1)).await, Ok(Some(at(when))), "{after:?} {due:?}");
        let delivery = the_only(&store, when).await;
        assert_eq!(delivery.position, wanted, "{after:?} {due:?}");
        write(&store, advance(delivery, position(5, 0), None)).await.unwrap();
        assert_eq!(store.next_delivery(endpoint(1)).await, Ok(None));
    }
}

pub async fn a_delivery_of_a_stream_that_was_dropped_does_not_end_a_new_one(store: Db) {
    for due in [None, Some(30)] {
        write(&store, enqueue(stream(1, false), 3, 0)).await.unwrap();
        let delivery = the_only(&store, 0).await;
        // The endpoint is disabled and enabled, and something happens to the order.
        let rows = vec![Write::DropStreams(endpoint(1)), enqueue(stream(1, false), 8, 1)];
        commit(&store, Change::plain("anew", rows)).await;
        write(&store, advance(delivery, position(4, 0), due)).await.unwrap();
        let delivery = the_only(&store, 60).await;
        assert_eq!(delivery.position, position(8, 0));
        write(&store, advance(delivery, position(9, 0), None)).await.unwrap();
    }
}

pub async fn a_replay_has_a_stream_of_its_own_and_makes_all_of_its_order_due(store: Db) {
    write(&store, enqueue(stream(1, false), 9, 0)).await.unwrap();
    let delivery = the_only(&store, 0).await;
    write(&store, advance(delivery, position(9, 4), Some(500))).await.unwrap();
    write(&store, enqueue(stream(1, true), 3, 10)).await.unwrap();
    write(&store, enqueue(stream(2, false), 1, 400)).await.unwrap();
    let mut due = claimed(&store, 10, 9).await;
    due.sort_by_key(|delivery| delivery.stream);
    let positions: Vec<_> = due.iter().map(|delivery| (delivery.stream, delivery.position)).collect();
    let replay = StreamPosition { next: 3, last: Some(4), failures: 0 };
    assert_eq!(positions, [(stream(1, false), position(9, 4)), (stream(1, true), replay)]);
    // Another replay takes in what the first still has to do.
    let failed = StreamPosition { failures: 2, ..replay };
    write(&store, advance(due[1], failed, Some(300))).await.unwrap();
    write(&store, enqueue(stream(1, true), 2, 20)).await.unwrap();
    let again = the_only(&store, 20).await;
    assert_eq!(again.position, StreamPosition { next: 2, last: Some(4), failures: 0 });
    write(&store, enqueue(stream(1, true), 6, 30)).await.unwrap();
    write(&store, advance(again, StreamPosition { next: 3, ..again.position }, Some(30))).await.unwrap();
    assert_eq!(the_only(&store, 30).await.position, StreamPosition { next: 3, last: Some(7), failures: 0 });
}

fn tried(number: u64, endpoint: EndpointId, days: u64) -> DeliveryRow {
    DeliveryRow {
        position: number,
        endpoint,
        order: stream(1, false).order,
        event: EventId::from_uuid(Uuid::from_u128(number.into())),
        event_type: "order.submitted".into(),
        public_sequence: number,
        attempt: 2,
        delivered: number.is_multiple_of(2),
        response_code: number.is_multiple_of(2).then_some(204),
        error: (!number.is_multiple_of(2)).then(|| "no route".into()),
        duration_ms: 17,
        at: at(0).plus(MINUTE * 60 * 24 * u32::try_from(days).unwrap()),
    }
}

pub async fn tries_are_listed_newest_first_and_forgotten_after_a_month(store: Db) {
    let page =
        |before: Option<u64>, limit| Page { before: before.map(|position| position.to_string()), limit };
    let rows: Vec<_> = (1..=9).map(|number| tried(number, endpoint(1), number / 9)).collect();
    for row in &rows {
        write(&store, Write::Delivery(row.clone())).await.unwrap();
    }
    let newest = |range: std::ops::Range<usize>| Ok(rows[range].iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(store.deliveries(endpoint(1), &page(None, 100)).await, newest(0..9));
    let mut before = None;
    for range in [5..9, 1..5, 0..1, 0..0] {
        assert_eq!(store.deliveries(endpoint(1), &page(before, 4)).await, newest(range.clone()));
        before = rows.get(range.start).map(|row| row.position);
    }
    let elsewhere = Page { before: Some("no cursor".into()), limit: 9 };
    assert_eq!(store.deliveries(endpoint(1), &elsewhere).await, Ok(Vec::new()));
    // Of those that are too old two go for each that comes.
    for number in 10..=13 {
        write(&store, Write::Delivery(tried(number, endpoint(2), 31))).await.unwrap();
    }
    assert_eq!(store.deliveries(endpoint(1), &page(None, 100)).await, newest(8..9));
}

pub async fn endpoints_are_listed_with_when_they_began_to_fail(store: Db) {
    let shop = Shop::new();
    let mut made = Vec::new();
    for _ in 0..3 {
        let (endpoint, created) = shop.endpoint();
        commit(&store, created).await;
        made.push(endpoint);
    }
    let endpoint = made[0].id;
    let written = |since: Option<Timestamp>| match since {
        Some(since) => Write::EndpointFailing { endpoint, since },
        None => Write::EndpointWorks { endpoint, at: shop.now() },
    };
    let listed = |since| Ok(vec![(made[0].id, since), (made[1].id, None)]);
    let mut gone = made[2].clone();
    commit(&store, shop.change::<WebhookEndpoint>("delete", &mut gone, vec![EndpointEvent::Deleted])).await;
    assert_eq!(store.endpoints(None).await, listed(None));
    assert_eq!(store.endpoints(Some(MERCHANT)).await, listed(None));
    assert_eq!(store.endpoints(Some("another")).await, Ok(Vec::new()));
    // The first moment stays until a delivery works.
    let started = shop.now();
    for (write_since, read_since) in [
        (Some(started), Some(started)),
        (Some(shop.now()), Some(started)),
        (None, None),
        (Some(started), Some(started)),
    ] {
        write(&store, written(write_since)).await.unwrap();
        assert_eq!(store.endpoints(None).await, listed(read_since));
    }
}
