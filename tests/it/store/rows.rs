//! Rows that are no subject: idempotency keys, notifications, checkpoints, API keys, settings.

use std::time::Duration;

use paymux::audit;
use paymux::domain::{Hash, OrderAggregate, Subject as _};
use paymux::inbox;
use paymux::store::{
    ApiKeyRow, Change, CheckpointRow, IdempotencyRow, InboxFilter, InboxRow, StoreError, Unique, Write,
};
use port::{Env as _, NotificationId, Timestamp};

use super::fixtures::{MERCHANT, Shop};
use super::{Db, commit, write};

/// A key that refers to the last change of an order.
pub fn key(text: &str, order: &OrderAggregate) -> IdempotencyRow {
    IdempotencyRow {
        merchant: MERCHANT.into(),
        key: text.into(),
        fingerprint: [7; 32],
        subject: order.uuid(),
        sequence: order.head.sequence,
        at: order.header.updated_at,
        replaces: None,
    }
}

pub async fn an_idempotency_key_is_given_once(store: Db) {
    let shop = Shop::new();
    let (first, created) = shop.order(None);
    let row = key("k", &first);
    commit(&store, created.with([Write::IdempotencyKey(row.clone())])).await;
    let (second, created) = shop.order(None);
    let again = created.clone().with([Write::IdempotencyKey(key("k", &second))]);
    assert_eq!(store.commit(again).await, Err(StoreError::Taken(Unique::IdempotencyKey)));
    assert_eq!(store.order(second.id()).await, Ok(None));
    assert_eq!(store.idempotency(MERCHANT, "k").await, Ok(Some(row)));
    let of_another = IdempotencyRow { merchant: "another".into(), ..key("k", &second) };
    commit(&store, created.with([Write::IdempotencyKey(of_another.clone())])).await;
    assert_eq!(store.idempotency("another", "k").await, Ok(Some(of_another)));
    for (merchant, key) in [("another", "unknown"), ("unknown", "k")] {
        assert_eq!(store.idempotency(merchant, key).await, Ok(None));
    }
}

pub async fn a_key_whose_request_had_no_effect_goes_to_the_first_who_tries_again(store: Db) {
    let shop = Shop::new();
    let (mut order, created) = shop.order(None);
    let stood = key("k", &order);
    commit(&store, created.with([Write::IdempotencyKey(stood.clone())])).await;
    let change = shop.checkout(&mut order, "main");
    let row = IdempotencyRow { replaces: Some((stood.subject, stood.sequence)), ..key("k", &order) };
    commit(&store, change.with([Write::IdempotencyKey(row.clone())])).await;
    let stored = IdempotencyRow { replaces: None, ..row.clone() };
    assert_eq!(store.idempotency(MERCHANT, "k").await, Ok(Some(stored.clone())));
    let late = [
        ("its place was taken", row.clone()),
        (
            "another subject has that position",
            IdempotencyRow { replaces: Some((shop.id(), row.sequence)), ..row.clone() },
        ),
        ("there is no such key", IdempotencyRow { key: "other".into(), ..row.clone() }),
        ("another merchant has none", IdempotencyRow { merchant: "another".into(), ..row }),
    ];
    for (why, late) in late {
        assert_eq!(
            write(&store, Write::IdempotencyKey(late)).await,
            Err(StoreError::Taken(Unique::IdempotencyKey)),
            "{why}"
        );
    }
    assert_eq!(store.idempotency(MERCHANT, "k").await, Ok(Some(stored)));
}

fn notification(shop: &Shop, account: &str, identity: &str) -> InboxRow {
    InboxRow {
        id: NotificationId::from_uuid(shop.uuid()),
        account: account.into(),
        identity: identity.into(),
        headers: "{}".into(),
        body: vec![0, 159, 146, 150],
        targets: "[]".into(),
        received_at: shop.now(),
    }
}

pub async fn a_notification_is_stored_once(store: Db) {
    let shop = Shop::new();
    let row = notification(&shop, "main", "evt-1");
    assert_eq!(write(&store, Write::Notification(row.clone())).await, Ok(()));
    let again = notification(&shop, "main", "evt-1");
    let taken = Err(StoreError::Taken(Unique::Notification));
    assert_eq!(write(&store, Write::Notification(again.clone())).await, taken);
    assert_eq!(store.notification(again.id).await, Ok(None));
    let elsewhere = notification(&shop, "reserve", "evt-1");
    assert_eq!(write(&store, Write::Notification(elsewhere)).await, Ok(()));
    assert_eq!(store.notification(row.id).await, Ok(Some(row.clone())));
    assert_eq!(write(&store, Write::DeleteNotification(row.id)).await, Ok(()));
    assert_eq!(store.notification(row.id).await, Ok(None));
    assert_eq!(write(&store, Write::Notification(again)).await, Ok(()));
}

pub async fn notifications_are_listed_by_when_they_came_and_pruned_by_age(store: Db) {
    let shop = Shop::new();
    let account = |number: usize| if number.is_multiple_of(3) { "reserve" } else { "main" };
    let rows: Vec<_> =
        (0..9).map(|number| notification(&shop, account(number), &format!("evt-{number}"))).collect();
    for row in &rows {
        assert_eq!(write(&store, Write::Notification(row.clone())).await, Ok(()));
    }
    let all =
        InboxFilter { from: Timestamp::default(), to: shop.now(), account: None, after: None, limit: 100 };
    let (from, to) = (rows[2].received_at, rows[7].received_at);
    let cases = [
        (all.clone(), vec![0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (InboxFilter { from, to, ..all.clone() }, vec![2, 3, 4, 5, 6]),
        (InboxFilter { from, to, account: Some("reserve".into()), ..all.clone() }, vec![3, 6]),
        (InboxFilter { limit: 2, ..all.clone() }, vec![0, 1]),
        (InboxFilter { after: Some((from, rows[2].id)), limit: 2, ..all.clone() }, vec![3, 4]),
        (InboxFilter { account: Some("unknown".into()), ..all.clone() }, vec![]),
    ];
    let listed = |row: &InboxRow| (row.received_at, row.id, row.account.clone());
    for (filter, wanted) in cases {
        let wanted = wanted.into_iter().map(|index: usize| listed(&rows[index])).collect();
        assert_eq!(store.notifications(&filter).await, Ok(wanted), "{filter:?}");
    }
    assert_eq!(inbox::prune(&*store, rows[5].received_at).await, Ok(false));
    assert_eq!(store.notifications(&all).await, Ok(rows[5..].iter().map(listed).collect()));
}

pub async fn checkpoints_chain_every_change_in_the_order_of_commits(store: Db) {
    let shop = Shop::new();
    assert_eq!(store.last_checkpoint().await, Ok(None));
    audit::checkpoint(&*store, shop.now()).await.unwrap();
    assert_eq!(store.checkpoints(0, 9).await, Ok(Vec::new()));
    let (mut made, mut covered) = (Vec::new(), Hash::default());
    for number in 1..=3 {
        let (mut order, created) = shop.order(None);
        commit(&store, created).await;
        commit(&store, shop.checkout(&mut order, "main")).await;
        let before = made.last().map_or(0, |row: &CheckpointRow| row.position);
        let hashes = store.change_hashes(before, 9).await.unwrap();
        assert_eq!(hashes.len(), 2);
        assert_eq!(hashes[1].1, order.head.hash);
        for (position, hash) in &hashes {
            covered = covered.chain(format!("{position} {hash}").as_bytes());
        }
        let at = shop.now();
        audit::checkpoint(&*store, at).await.unwrap();
        // Nothing has happened since.
        audit::checkpoint(&*store, shop.now()).await.unwrap();
        made.push(CheckpointRow { number, at, position: hashes[1].0, changes: 2 * number, hash: covered });
        assert_eq!(store.last_checkpoint().await, Ok(made.last().copied()));
    }
    assert_eq!(store.checkpoints(1, 1).await, Ok(vec![made[1]]));
    assert_eq!(store.checkpoints(0, 9).await, Ok(made));
}

pub async fn an_api_key_is_kept_by_its_hash_and_can_be_revoked(store: Db) {
    let shop = Shop::new();
    let key = |hash: &str| ApiKeyRow {
        hash: hash.into(),
        hint: "pk_ab".into(),
        merchant: MERCHANT.into(),
        scopes: vec!["payments".into(), "ops".into()],
        created_at: shop.now(),
        revoked_at: None,
    };
    let (older, newer) = (key("b2"), key("a1"));
    for row in [&older, &newer] {
        assert_eq!(write(&store, Write::ApiKey(row.clone())).await, Ok(()));
    }
    let revoked = ApiKeyRow { revoked_at: Some(shop.now().plus(Duration::from_secs(9))), ..older };
    assert_eq!(write(&store, Write::ApiKey(revoked.clone())).await, Ok(()));
    assert_eq!(store.api_key("b2").await, Ok(Some(revoked.clone())));
    assert_eq!(store.api_key("c3").await, Ok(None));
    assert_eq!(store.api_keys().await, Ok(vec![revoked, newer]));
}

pub async fn the_first_value_of_a_setting_stays(store: Db) {
    let setting = |value: &str| Write::Setting { name: "installation", value: value.into() };
    commit(&store, Change::plain("settings", vec![setting("first"), setting("second")])).await;
    assert_eq!(write(&store, setting("third")).await, Ok(()));
    assert_eq!(store.setting("installation").await, Ok(Some("first".into())));
    assert_eq!(store.setting("nothing").await, Ok(None));
}
