//! The records: personal data beside the history, erasing it, and checking that everything fits.

use std::sync::Arc;

use paymux::audit::{self, Erased, ErasureTarget};
use paymux::domain::submit::{Submission, submit};
use paymux::domain::{
    Context, Event, Lookup, OrderAggregate, OrderState, PaymentProof, Profile, ProfileEvent, ProfileSession,
    Subject as _,
};
use paymux::engine::Engine;
use paymux::metrics::Metrics;
use paymux::store::{InboxRow, StoreError, Unique, Write};
use port::{Env as _, NotificationId, NotificationTarget, PaymentStatus, Timestamp};

use super::fixtures::{CUSTOMER, MERCHANT, Shop};
use super::subjects::{assert_reads_back, long_history, one_of_each};
use super::{Db, commit, write};

pub fn engine(store: &Db, shop: &Arc<Shop>) -> Engine {
    Engine::new(store.clone(), shop.clone(), Arc::new(Metrics::new()))
}

fn customer(id: &str) -> ErasureTarget {
    ErasureTarget::Customer(id.to_owned())
}

/// Nothing is wrong, after so many subjects.
async fn assert_fine(store: &Db, now: Timestamp, subjects: u64) {
    let report = audit::verify(&**store, now, |_| ()).await.unwrap();
    assert!(report.is_fine(), "{report:?}");
    assert_eq!(report.subjects, subjects);
}

/// An order that was paid and fulfilled.
pub async fn completed(store: &Db, shop: &Shop, reference: &str) -> Arc<OrderAggregate> {
    let (mut order, created) = shop.order(None);
    commit(store, created).await;
    commit(store, shop.checkout(&mut order, "main")).await;
    commit(store, shop.created(&mut order, reference)).await;
    commit(store, shop.paid(&mut order)).await;
    let (from, to) = (OrderState::Submitted, OrderState::Completed);
    let done = vec![Event::OrderStateChanged { from, to, reason: None }];
    commit(store, shop.change("complete", &mut order, done)).await;
    order
}

pub async fn personal_data_is_not_in_the_history(store: Db) {
    let shop = Shop::new();
    one_of_each(&store, &shop).await;
    let secrets =
        [CUSTOMER, "Ada", "shop.example/paid", "pay.example", "basket", "whsec", "P-1", "broken cup"];
    for row in store.subjects_after(None, 9).await.unwrap() {
        for change in store.changes_of(row.id, 0, 99).await.unwrap() {
            let found = secrets.iter().find(|secret| change.text.contains(**secret));
            assert_eq!(found, None, "{}", change.text);
        }
    }
    let order = long_history(&store, &shop).await;
    let (_, snapshot) = store.snapshot(order.uuid()).await.unwrap().unwrap();
    assert_eq!(secrets.iter().find(|secret| snapshot.contains(**secret)), None);
}

pub async fn a_customer_who_is_erased_leaves_a_history_that_can_be_checked(store: Db) {
    let shop = Arc::new(Shop::new());
    let order = completed(&store, &shop, "R-1").await;
    let (session, created) = shop.profile_session();
    commit(&store, created).await;
    let mut profiles = Vec::new();
    for (reference, after) in [("P-1", vec![]), ("P-2", vec![ProfileEvent::Deleted, ProfileEvent::Detached])]
    {
        let (mut profile, stored) = shop.profile(reference);
        commit(&store, stored).await;
        if !after.is_empty() {
            commit(&store, shop.change("detach", &mut profile, after)).await;
        }
        profiles.push(profile);
    }
    audit::checkpoint(&*store, shop.now()).await.unwrap();
    assert_fine(&store, shop.now(), 4).await;
    let text = store.changes_of(order.uuid(), 0, 1).await.unwrap();

    let erased = audit::erase(&engine(&store, &shop), MERCHANT, &customer(CUSTOMER), None).await;
    let expected = Erased {
        orders: vec![order.id()],
        still_open: Vec::new(),
        profile_sessions: vec![session.id],
        profiles: profiles.iter().map(|profile| profile.id).collect(),
        customer_ids: [CUSTOMER.to_owned()].into(),
    };
    assert_eq!(erased, Ok(expected));

    assert_eq!(store.changes_of(order.uuid(), 0, 1).await, Ok(text));
    for at in [1, order.head.sequence, order.head.sequence + 1, u64::MAX] {
        let read = store.load_at::<OrderAggregate>(order.uuid(), at).await.unwrap().unwrap();
        assert!(read.header.content.personal.value().is_none(), "{at}");
        assert!(read.attempts.iter().all(|attempt| attempt.for_adapter(read.id()).adapter_state.is_empty()));
    }
    let read = store.order(order.id()).await.unwrap().unwrap();
    assert!(read.header.content.personal.value().is_none() && read.sessions[0].request.value().is_none());
    assert_reads_back(&store, &read).await;
    let read = store.load::<ProfileSession>(session.uuid()).await.unwrap().unwrap();
    assert_eq!(read.customer_id(), None);
    for profile in &profiles {
        let read = store.load::<Profile>(profile.uuid()).await.unwrap().unwrap();
        assert_eq!(read.reference(), None);
    }
    for reference in ["P-1", "P-2"] {
        assert_eq!(store.profile_with_reference("main", reference).await, Ok(None));
    }
    audit::checkpoint(&*store, shop.now()).await.unwrap();
    assert_fine(&store, shop.now(), 4).await;
}

pub async fn a_customer_who_is_erased_leaves_no_notification_about_them(store: Db) {
    let shop = Arc::new(Shop::new());
    let order = completed(&store, &shop, "R-1").await;
    let (mut session, created) = shop.profile_session();
    commit(&store, created).await;
    for events in shop.profile_session_life() {
        commit(&store, shop.change("session", &mut session, events)).await;
    }
    // This one ended before its provider gave it an id.
    let (unnamed, created) = shop.profile_session();
    commit(&store, created).await;
    commit(&store, shop.profile("P-1").1).await;
    let ids = [order.attempts[0].id, session.attempts[0].id, unnamed.attempts[0].id].map(|id| id.to_string());
    let gone = ["R-1", "r-1", "S-1", "P-1", &ids[0], &ids[0].to_ascii_uppercase(), &ids[1], &ids[2]]
        .map(|name| ("main", name.to_owned(), false));
    let kept = [("main", "R-11"), ("reserve", "R-1"), ("reserve", &ids[0])]
        .map(|(account, name)| (account, name.to_owned(), true));
    let mut rows = Vec::new();
    for (account, name, kept) in gone.into_iter().chain(kept) {
        let targets = NotificationTarget { merchant_reference: Some(name.clone()), ..Default::default() };
        let id = NotificationId::from_uuid(shop.uuid());
        rows.push((id, format!("{account} {name}"), kept));
        let row = InboxRow {
            id,
            account: account.into(),
            identity: name,
            headers: "{}".into(),
            body: b"Ada".to_vec(),
            targets: serde_json::to_string(&[targets]).unwrap(),
            received_at: shop.now(),
        };
        write(&store, Write::Notification(row)).await.unwrap();
    }
    audit::erase(&engine(&store, &shop), MERCHANT, &customer(CUSTOMER), None).await.unwrap();
    for (id, name, kept) in rows {
        assert_eq!(store.notification(id).await.unwrap().is_some(), kept, "{name}");
    }
}

pub async fn an_open_order_keeps_the_personal_data_of_its_customer(store: Db) {
    let shop = Arc::new(Shop::new());
    let (open, created) = shop.order(None);
    commit(&store, created).await;
    let (profile, stored) = shop.profile("P-1");
    commit(&store, stored).await;
    let erased = audit::erase(&engine(&store, &shop), MERCHANT, &customer(CUSTOMER), None).await;
    let customer_ids = [CUSTOMER.to_owned()].into();
    assert_eq!(erased, Ok(Erased { still_open: vec![open.id()], customer_ids, ..Erased::default() }));
    assert_reads_back(&store, &open).await;
    assert_reads_back(&store, &profile).await;
    for (merchant, id) in [(MERCHANT, "other"), ("another", CUSTOMER)] {
        let erased = audit::erase(&engine(&store, &shop), merchant, &customer(id), None).await;
        assert_eq!(erased, Ok(Erased::default()));
    }
}

pub async fn what_pays_for_an_order_is_kept_when_a_dispute_was_seen_before_the_payment(store: Db) {
    let shop = Shop::new();
    let (profile, stored) = shop.profile("P-1");
    commit(&store, stored).await;
    let (session, created) = shop.profile_session();
    commit(&store, created).await;
    let proof = session.id;
    // One charges a payment profile; of the other the customer pays, and a session that stored a method proves it too.
    for charge in [Some(profile.id), None] {
        let (mut order, created) = shop.order(None);
        commit(&store, created).await;
        commit(&store, shop.price(&mut order)).await;
        let intent = match charge {
            Some(profile) => shop.charge(&mut order, "main", profile),
            None => shop.checkout(&mut order, "main"),
        };
        commit(&store, intent).await;
        commit(&store, shop.created(&mut order, "R-1")).await;
        for (reported, status) in [("chargeback", PaymentStatus::Disputed), ("paid", PaymentStatus::Paid)] {
            commit(&store, shop.observe(&mut order, reported)).await;
            assert_eq!(order.payments[0].status(), status);
            assert_reads_back(&store, &order).await;
        }
        let paid = order.sessions[0].id;
        if charge.is_none() {
            assert_eq!(order.header.state, OrderState::PendingPayment, "it needs a payment profile");
            let with =
                Submission { session: Some(paid), profile_session: Some(proof), ..Submission::default() };
            let submitted = submit(&mut Context::of(&order, shop.now(), shop.nonce()), &with).unwrap();
            commit(&store, shop.change("submit", &mut order, submitted)).await;
            let used = vec![Lookup::ProfileSessionUsed(proof)];
            assert_eq!(store.missing_lookups(order.uuid(), MERCHANT, used).await, Ok(Vec::new()));
        }
        let source = charge.map_or(PaymentProof::Session(paid), PaymentProof::Profile);
        assert_eq!(order.header.payment_proof, Some(source));
        assert_eq!(order.header.state, OrderState::Processing);
        assert_reads_back(&store, &order).await;
        assert!(store.order(order.id()).await.unwrap().unwrap().sessions[0].used);
    }
    let (_, second) = shop.proved_order(proof);
    assert_eq!(store.commit(second).await, Err(StoreError::Taken(Unique::ProfileSession)));
    audit::checkpoint(&*store, shop.now()).await.unwrap();
    assert_fine(&store, shop.now(), 4).await;
}

pub async fn records_that_are_in_order_are_found_so(store: Db) {
    let shop = Shop::new();
    assert_fine(&store, shop.now(), 0).await;
    one_of_each(&store, &shop).await;
    long_history(&store, &shop).await;
    audit::checkpoint(&*store, shop.now()).await.unwrap();
    // A provider may have one object for two attempts of an order.
    let (mut order, created) = shop.order(None);
    commit(&store, created).await;
    commit(&store, shop.checkout(&mut order, "main")).await;
    commit(&store, shop.created(&mut order, "R-1")).await;
    commit(&store, shop.fail_over(&mut order, "main")).await;
    commit(&store, shop.created(&mut order, "R-1")).await;
    assert_fine(&store, shop.now(), 6).await;
    let report = audit::verify(&*store, shop.now(), |_| ()).await.unwrap();
    assert_eq!(report.checkpoints, 1);
}
