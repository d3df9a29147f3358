//! What must be unique, and small things kept by a name.

use paymux::domain::OrderAggregate;
use paymux::store::{
    ApiKeyRow, Change, CommandResult, EndpointKeyRow, InboxRow, KeyRow, KeyUse, ProfileKeyRow, StoreError,
    Unique, VaultWrite, WebhookWrite, Write,
};
use port::{EndpointId, NotificationId, ProfileSessionId, Timestamp, Uuid};

use super::fixtures::{MERCHANT, OrderFactory};
use super::{TestStore, commit, write};

/// A key that stands for the last change of a file.
pub fn key(text: &str, order: &OrderAggregate) -> KeyRow {
    KeyRow {
        merchant: MERCHANT.into(),
        key: text.into(),
        fingerprint: "f00".into(),
        order: order.id(),
        sequence: order.sequence,
        at: order.header.updated_at,
        replaces: None,
    }
}

/// Where a key of an order stands.
fn of_order(row: KeyRow) -> KeyUse {
    KeyUse { fingerprint: row.fingerprint.clone(), row: Some(row) }
}

pub async fn a_reference_is_unique_for_its_merchant(store: TestStore) {
    let factory = OrderFactory::new();
    for reference in [Some("A-1"), Some("A-2"), None, None] {
        commit(&store, factory.place(reference).1).await;
    }
    let (again, change) = factory.place(Some("A-1"));
    assert_eq!(store.commit(change.clone()).await, Err(StoreError::Taken(Unique::Reference)));
    assert_eq!(store.order(again.id()).await, Ok(None));
    let writes = change.writes.into_iter().map(|write| match write {
        Write::Order(mut row) => {
            row.merchant = "another".into();
            Write::Order(row)
        }
        other => other,
    });
    commit(&store, Change::plain("place", writes.collect())).await;
}

pub async fn an_idempotency_key_is_given_once(store: TestStore) {
    let factory = OrderFactory::new();
    let (first, placed) = factory.place(None);
    let row = key("k", &first);
    commit(&store, placed.key(Some(row.clone()))).await;
    assert_eq!(store.key(MERCHANT, "k").await, Ok(Some(of_order(row.clone()))));
    let (second, placed) = factory.place(None);
    let again = placed.clone().key(Some(key("k", &second)));
    assert_eq!(store.commit(again).await, Err(StoreError::Taken(Unique::Key)));
    assert_eq!(store.order(second.id()).await, Ok(None));
    assert_eq!(store.key(MERCHANT, "k").await, Ok(Some(of_order(row))));
    let of_another = KeyRow { merchant: "another".into(), ..key("k", &second) };
    commit(&store, placed.key(Some(of_another))).await;
    assert_eq!(store.key("another", "unknown").await, Ok(None));
}

pub async fn an_idempotency_key_is_one_name_whatever_its_request_makes(store: TestStore) {
    let (factory, at) = (OrderFactory::new(), Timestamp::default());
    let (order, placed) = factory.place(None);
    let of_order = |text: &str| Write::Key(key(text, &order));
    let of_endpoint = |text: &str| {
        Write::Webhook(WebhookWrite::EndpointKey(EndpointKeyRow {
            merchant: MERCHANT.into(),
            key: text.into(),
            fingerprint: "e00".into(),
            result: CommandResult::Endpoint(EndpointId::from_uuid(Uuid::from_u128(1))),
            at,
        }))
    };
    let of_profile = |text: &str| {
        Write::Vault(VaultWrite::Key(ProfileKeyRow {
            merchant: MERCHANT.into(),
            key: text.into(),
            fingerprint: "p00".into(),
            session: ProfileSessionId::from_uuid(Uuid::from_u128(1)),
            at,
            replaces: None,
        }))
    };
    commit(&store, placed).await;
    for (text, first) in [("o", of_order("o")), ("e", of_endpoint("e")), ("p", of_profile("p"))] {
        assert_eq!(write(&store, first).await, Ok(()));
        for (other, second) in [("o", of_order(text)), ("e", of_endpoint(text)), ("p", of_profile(text))] {
            if other != text {
                assert_eq!(
                    write(&store, second).await,
                    Err(StoreError::Taken(Unique::Key)),
                    "{text} {other}"
                );
            }
        }
    }
    let other = |fingerprint: &str| Ok(Some(KeyUse { fingerprint: fingerprint.into(), row: None }));
    assert_eq!(store.key(MERCHANT, "e").await, other("e00"));
    assert_eq!(store.key(MERCHANT, "p").await, other("p00"));
}

pub async fn a_key_whose_effect_failed_is_given_again_to_the_first_who_asks(store: TestStore) {
    let factory = OrderFactory::new();
    let (mut order, placed) = factory.place(None);
    commit(&store, placed.key(Some(key("k", &order)))).await;
    let stood = order.sequence;
    let change = factory.checkout(&mut order, "main");
    let row = KeyRow { replaces: Some(stood), ..key("k", &order) };
    commit(&store, change.key(Some(row.clone()))).await;
    assert_eq!(store.key(MERCHANT, "k").await, Ok(Some(of_order(KeyRow { replaces: None, ..row.clone() }))));
    // It stands elsewhere now, so who still means the old place comes too late.
    let late = KeyRow { sequence: 99, ..row.clone() };
    assert_eq!(write(&store, Write::Key(late)).await, Err(StoreError::Taken(Unique::Key)));
    // The same place of another order is not the same row.
    let (other, _) = factory.place(None);
    let foreign = KeyRow { order: other.id(), replaces: Some(row.sequence), ..row };
    assert_eq!(write(&store, Write::Key(foreign)).await, Err(StoreError::Taken(Unique::Key)));
}

pub async fn a_notification_is_stored_once(store: TestStore) {
    let factory = OrderFactory::new();
    let note = InboxRow {
        id: NotificationId::from_uuid(factory.uuid()),
        account: "main".into(),
        identity: "evt-1".into(),
        headers: "{}".into(),
        body: vec![0, 159, 146, 150],
        targets: "[]".into(),
        received_at: factory.now(),
    };
    assert_eq!(write(&store, Write::Notification(note.clone())).await, Ok(()));
    let again = InboxRow { id: NotificationId::from_uuid(factory.uuid()), ..note.clone() };
    assert_eq!(write(&store, Write::Notification(again.clone())).await, Err(StoreError::Taken(Unique::Note)));
    assert_eq!(store.notification(&again.id.to_string()).await, Ok(None));
    let elsewhere = InboxRow { account: "reserve".into(), ..again };
    assert_eq!(write(&store, Write::Notification(elsewhere)).await, Ok(()));
    assert_eq!(store.notification(&note.id.to_string()).await, Ok(Some(note)));
}

pub async fn an_api_key_is_kept_by_its_hash_and_can_be_withdrawn(store: TestStore) {
    let factory = OrderFactory::new();
    let key = |hash: &str| ApiKeyRow {
        hash: hash.into(),
        hint: "pk_ab".into(),
        merchant: MERCHANT.into(),
        scopes: vec!["payments".into(), "ops".into()],
        created_at: factory.now(),
        revoked_at: None,
    };
    let (older, newer) = (key("b2"), key("a1"));
    for row in [&older, &newer] {
        assert_eq!(write(&store, Write::ApiKey(row.clone())).await, Ok(()));
    }
    let withdrawn = ApiKeyRow { revoked_at: Some(Timestamp::from_seconds(1_800_000_000)), ..older };
    assert_eq!(write(&store, Write::ApiKey(withdrawn.clone())).await, Ok(()));
    assert_eq!(store.api_key("b2").await, Ok(Some(withdrawn.clone())));
    assert_eq!(store.api_key("c3").await, Ok(None));
    assert_eq!(store.api_keys().await, Ok(vec![withdrawn, newer]));
}

pub async fn the_first_value_of_a_setting_stays(store: TestStore) {
    for value in ["first", "second"] {
        let setting = Write::Setting { name: "installation", value: value.into() };
        assert_eq!(write(&store, setting).await, Ok(()));
    }
    assert_eq!(store.setting("installation").await, Ok(Some("first".into())));
    assert_eq!(store.setting("nothing").await, Ok(None));
}
