//! Subjects: created, changed, read back as they are and as they were.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::{join, join_all};
use paymux::domain::{
    Actor, AnySubject, Body, EndpointEvent, Erasable, Event, Hash, OrderAggregate, OrderState, Profile,
    ProfileEvent, ProfileSession, Recorded, Subject, SubjectKind, WebhookEndpoint, replay,
};
use paymux::engine::{Command, Engine};
use paymux::metrics::Metrics;
use paymux::store::{Change, StoreError, Unique, Write};
use port::{OrderId, ProfileSessionId, Uuid};

use super::fixtures::{MERCHANT, Shop};
use super::rows::key;
use super::{Db, commit, write};

/// The personal values of a subject; without them two subjects are equal if they mention the same digests.
fn personal(subject: &AnySubject) -> Vec<Option<Body>> {
    match subject {
        AnySubject::Order(order) => {
            let attempts = order.attempts.iter();
            let attempts = attempts.flat_map(|attempt| {
                [
                    attempt.next.as_ref().map(Erasable::body),
                    attempt.adapter_state.as_ref().map(Erasable::body),
                ]
            });
            let reasons = order.refunds.iter().map(|refund| refund.reason.as_ref().map(Erasable::body));
            let resolutions = order.attention.iter().filter_map(|raised| raised.resolution.as_ref());
            let resolutions = resolutions.map(|resolution| resolution.note.as_ref().map(Erasable::body));
            let bodies = attempts.chain(reasons).chain(resolutions).flatten();
            let sessions = order.sessions.iter().map(|session| session.request.body());
            std::iter::once(order.header.content.personal.body()).chain(sessions).chain(bodies).collect()
        }
        AnySubject::ProfileSession(session) => {
            let states = session.attempts.iter().flat_map(|attempt| &attempt.adapter_state);
            std::iter::once(session.request.body()).chain(states.map(Erasable::body)).collect()
        }
        AnySubject::Profile(profile) => vec![profile.details.body()],
        AnySubject::WebhookEndpoint(endpoint) => vec![endpoint.secret.body()],
    }
}

/// A subject reads back whole: as the store keeps it at hand, and as its rows make it.
pub async fn assert_reads_back<S: Subject>(store: &Db, subject: &Arc<S>) {
    let made = S::into_any(subject.clone());
    let at_hand = store.subject(subject.uuid(), None).await.unwrap();
    let from_rows = store.subject(subject.uuid(), Some(u64::MAX)).await.unwrap();
    for read in [at_hand, from_rows].map(Option::unwrap) {
        assert_eq!(read, made);
        assert_eq!(personal(&read), personal(&made));
    }
}

/// A subject was never there.
async fn assert_absent<S: Subject>(store: &Db, id: Uuid) {
    assert_eq!(store.load::<S>(id).await, Ok(None));
    assert_eq!(store.changes_of(id, 0, 9).await, Ok(Vec::new()));
    assert_eq!(store.subject(id, None).await, Ok(None));
}

/// An order from its cart to a refund, with a fail-over on the way, as it is after each change.
pub async fn order_history(store: &Db, shop: &Shop, reference: Option<&str>) -> Vec<Arc<OrderAggregate>> {
    let (mut order, created) = shop.order(reference);
    commit(store, created).await;
    let mut history = vec![order.clone()];
    type Step = fn(&Shop, &mut Arc<OrderAggregate>) -> Change;
    let steps: [Step; 6] = [
        |shop, order| shop.checkout(order, "main"),
        |shop, order| shop.fail_over(order, "reserve"),
        |shop, order| shop.created(order, &format!("R-{}", order.id())),
        Shop::paid,
        Shop::refund,
        Shop::refunded,
    ];
    for step in steps {
        commit(store, step(shop, &mut order)).await;
        assert_reads_back(store, &order).await;
        history.push(order.clone());
    }
    history
}

/// A subject through one change after the other.
async fn life<S: Subject>(
    store: &Db,
    shop: &Shop,
    (mut subject, created): (Arc<S>, Change),
    changes: Vec<Vec<S::Event>>,
) -> Arc<S> {
    commit(store, created).await;
    assert_reads_back(store, &subject).await;
    for events in changes {
        commit(store, shop.change("change", &mut subject, events)).await;
        assert_reads_back(store, &subject).await;
    }
    subject
}

/// One subject of each kind, after all that can happen to it.
pub async fn one_of_each(store: &Db, shop: &Shop) -> Vec<AnySubject> {
    let order = order_history(store, shop, Some("one of each")).await.pop().unwrap();
    let session = life(store, shop, shop.profile_session(), shop.profile_session_life()).await;
    let profile = life(store, shop, shop.profile("P-1"), vec![vec![ProfileEvent::Deleted]]).await;
    let rotated = EndpointEvent::SecretRotated(shop.secret("whsec_2"));
    let endpoint = life(store, shop, shop.endpoint(), vec![vec![rotated, EndpointEvent::Enabled]]).await;
    vec![
        AnySubject::Order(order),
        AnySubject::ProfileSession(session),
        AnySubject::Profile(profile),
        AnySubject::WebhookEndpoint(endpoint),
    ]
}

pub async fn a_subject_reads_back_as_every_change_made_it(store: Db) {
    let shop = Shop::new();
    assert_absent::<OrderAggregate>(&store, shop.id()).await;
    let subjects = one_of_each(&store, &shop).await;
    assert_eq!(store.subject_count().await, Ok(4));
    let rows = store.subjects_after(None, 9).await.unwrap();
    let kinds: Vec<_> = rows.iter().map(|row| (row.kind, row.state.as_str())).collect();
    let wanted = [
        (SubjectKind::Order, "SUBMITTED"),
        (SubjectKind::ProfileSession, "COMPLETED"),
        (SubjectKind::Profile, "DELETED"),
        (SubjectKind::WebhookEndpoint, "KEPT"),
    ];
    assert_eq!(kinds, wanted);
    assert!(rows.iter().all(|row| row.merchant == MERCHANT));
    let AnySubject::Order(order) = &subjects[0] else { panic!("an order") };
    assert_eq!(rows[0].created_at, order.header.created_at);
    assert_eq!(store.subjects_after(Some(rows[1].id), 1).await, Ok(vec![rows[2].clone()]));
}

pub async fn an_id_of_another_kind_leads_nowhere(store: Db) {
    let shop = Shop::new();
    let (order, created) = shop.order(None);
    commit(&store, created).await;
    for at in [order.head.sequence, u64::MAX] {
        assert_eq!(store.load_at::<ProfileSession>(order.uuid(), at).await, Ok(None), "{at}");
    }
    assert_eq!(store.load::<Profile>(order.uuid()).await, Ok(None));
}

pub async fn its_changes_read_back_as_they_were_hashed(store: Db) {
    let shop = Shop::new();
    let (mut order, created) = shop.order(None);
    let checkout = shop.checkout(&mut order, "main");
    let made = [&created, &checkout].map(|change| change.subject.clone().unwrap());
    commit(&store, created).await;
    commit(&store, checkout).await;
    let stored = store.changes_of(order.uuid(), 0, 100).await.unwrap();
    let mut head = Hash::default();
    for (stored, made) in stored.iter().zip(&made) {
        head = head.chain(stored.text.as_bytes());
        assert_eq!((stored.first, stored.public_before), (made.first, made.public_before));
        assert_eq!((&stored.text, stored.hash), (&made.text, head));
    }
    assert_eq!(stored.len(), 2);
    let read = store.recorded::<OrderAggregate>(order.uuid(), 0).await.unwrap();
    assert_eq!(replay::<OrderAggregate>(&read), Ok((*order).clone()));
    // A change has several events; whoever has not seen its last one gets it whole.
    for (after, wanted) in [(1, 1..2), (2, 1..2), (3, 1..2), (4, 2..2), (u64::MAX, 2..2)] {
        let changes = store.changes_of(order.uuid(), after, 100).await;
        assert_eq!(changes, Ok(stored[wanted].to_vec()), "{after}");
    }
}

pub async fn of_two_changes_of_one_version_the_second_leaves_no_trace(store: Db) {
    let shop = Shop::new();
    let (mut order, created) = shop.order(None);
    commit(&store, created.clone()).await;
    let mut slower = order.clone();
    commit(&store, shop.checkout(&mut order, "main")).await;
    let late = shop.checkout(&mut slower, "reserve");
    let setting = Write::Setting { name: "late", value: "yes".into() };
    let late = late.with([Write::IdempotencyKey(key("late", &slower)), setting]);
    assert_eq!(store.commit(late).await, Err(StoreError::Conflict));
    assert_eq!(store.commit(created).await, Err(StoreError::Conflict));
    assert_reads_back(&store, &order).await;
    assert_eq!(store.idempotency(MERCHANT, "late").await, Ok(None));
    assert_eq!(store.setting("late").await, Ok(None));
    assert_eq!(store.oldest_open_payment("reserve").await, Ok(None));
    assert_eq!(store.next_due(&paymux::domain::Lane::Account("reserve".into())).await, Ok(Vec::new()));
}

pub async fn of_many_changes_of_one_version_at_once_exactly_one_wins(store: Db) {
    let shop = Shop::new();
    let (mut order, created) = shop.order(None);
    commit(&store, created).await;
    commit(&store, shop.checkout(&mut order, "main")).await;
    for _ in 0..20 {
        let mut rivals = vec![order.clone(); 8];
        let commits = rivals.iter_mut().map(|rival| {
            let (store, change) = (store.clone(), shop.fail_over(rival, "main"));
            tokio::spawn(async move { store.commit(change).await })
        });
        let outcomes: Vec<_> = join_all(commits).await.into_iter().map(Result::unwrap).collect();
        let winner = outcomes.iter().position(Result::is_ok).unwrap();
        let lost = outcomes.iter().filter(|outcome| **outcome == Err(StoreError::Conflict)).count();
        assert_eq!(lost, rivals.len() - 1);
        order = rivals.swap_remove(winner);
        assert_reads_back(&store, &order).await;
    }
}

/// What makes a subject with something that must be unique, the same each time.
type Rival = fn(&Shop) -> (Uuid, Change);

pub async fn what_is_in_use_is_refused_and_sinks_no_neighbour(store: Db) {
    fn of<S: Subject>((subject, change): (Arc<S>, Change)) -> (Uuid, Change) {
        (subject.uuid(), change)
    }
    let proof = ProfileSessionId::from_uuid(Uuid::from_u128(1 << 24));
    let shop = Shop::new();
    let cases: [(Unique, Rival); 4] = [
        (Unique::OrderReference, |shop| of(shop.order(Some("taken")))),
        (Unique::ProfileReference, |shop| of(shop.profile("taken"))),
        (Unique::ProfileSession, |shop| {
            of(shop.proved_order(ProfileSessionId::from_uuid(Uuid::from_u128(1 << 24))))
        }),
        (Unique::IdempotencyKey, |shop| {
            let (order, change) = shop.order(None);
            let row = key("taken", &order);
            of((order, change.with([Write::IdempotencyKey(row)])))
        }),
    ];
    for (unique, make) in cases {
        let (holder, change) = make(&shop);
        commit(&store, change).await;
        let made: Vec<_> = (0..30)
            .map(|place| {
                if place % 3 == 0 { make(&shop) } else { of(shop.order(Some(&format!("{unique} {place}")))) }
            })
            .collect();
        let outcomes = join_all(made.iter().map(|(.., change)| store.commit(change.clone()))).await;
        for (place, (outcome, (id, change))) in outcomes.into_iter().zip(made).enumerate() {
            let after = change.subject.map(|change| change.after);
            if place % 3 == 0 {
                assert_eq!(outcome, Err(StoreError::Taken(unique)));
                assert_absent::<OrderAggregate>(&store, id).await;
                assert_absent::<Profile>(&store, id).await;
            } else {
                assert_eq!(outcome, Ok(()));
                assert_eq!(store.subject(id, Some(u64::MAX)).await, Ok(after));
            }
        }
        assert!(store.subject(holder, None).await.unwrap().is_some());
    }
    // Another merchant may use the same reference.
    commit(&store, shop.order_of("another", Some("taken")).1).await;
    assert_absent::<ProfileSession>(&store, proof.uuid()).await;
}

pub async fn a_providers_reference_leads_to_all_that_have_it(store: Db) {
    let shop = Shop::new();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (mut order, created) = shop.order(None);
        commit(&store, created).await;
        commit(&store, shop.checkout(&mut order, "main")).await;
        commit(&store, shop.created(&mut order, "shared")).await;
        ids.insert(0, order.uuid());
    }
    // Another account, which is known too.
    let (mut elsewhere, created) = shop.order(None);
    commit(&store, created).await;
    commit(&store, shop.checkout(&mut elsewhere, "reserve")).await;
    let (profile, stored) = shop.profile("P-1");
    commit(&store, stored).await;
    for spelling in ["shared", "Shared", "SHARED"] {
        assert_eq!(store.with_provider_reference("main", spelling).await, Ok(ids.clone()), "{spelling}");
    }
    assert_eq!(store.profile_with_reference("main", "P-1").await, Ok(Some(profile.id)));
    for (account, reference) in
        [("reserve", "shared"), ("main", "other"), ("reserve", "P-1"), ("unknown", "")]
    {
        assert_eq!(store.with_provider_reference(account, reference).await, Ok(Vec::new()));
        assert_eq!(store.profile_with_reference(account, reference).await, Ok(None));
    }
}

pub async fn those_who_listen_hear_of_changed_subjects_and_of_nothing_else(store: Db) {
    let shop = Shop::new();
    let mut changes = store.changes();
    let (mut order, created) = shop.order(None);
    let mut slower = order.clone();
    commit(&store, created).await;
    commit(&store, shop.checkout(&mut order, "main")).await;
    assert!(store.commit(shop.checkout(&mut slower, "main")).await.is_err());
    write(&store, Write::Setting { name: "a", value: "b".into() }).await.unwrap();
    assert_eq!(changes.try_recv(), Ok(order.uuid()));
    assert_eq!(changes.try_recv(), Ok(order.uuid()));
    assert!(changes.try_recv().is_err());
}

/// A subject after the event with a sequence, made of the changes alone.
fn made_until<S: Subject>(changes: &[Recorded<S::Event>], sequence: u64) -> S {
    let until = changes.iter().take_while(|change| change.first <= sequence).cloned();
    let mut until: Vec<_> = until.collect();
    let last = until.last_mut().unwrap();
    last.events.truncate(usize::try_from(sequence - last.first + 1).unwrap());
    replay(&until).unwrap()
}

/// A history with changes of one to five events, longer than two snapshots are apart.
pub async fn long_history(store: &Db, shop: &Shop) -> Arc<OrderAggregate> {
    let (mut order, created) = shop.order(None);
    commit(store, created).await;
    commit(store, shop.checkout(&mut order, "main")).await;
    for round in 0..50 {
        let attempt = order.open_session().unwrap().attempt;
        let saved = || {
            let adapter_state = shop.adapter_state(&format!("R-{round}"));
            Event::AdapterStateSaved { attempt, adapter_state }
        };
        let events = (0..=round % 5).map(|_| saved()).collect();
        commit(store, shop.change("save", &mut order, events)).await;
        if round % 20 == 19 {
            commit(store, shop.fail_over(&mut order, "main")).await;
        }
    }
    order
}

pub async fn a_long_history_reads_back_as_it_was_after_each_event(store: Db) {
    let shop = Shop::new();
    let order = long_history(&store, &shop).await;
    assert!(order.head.sequence > 128, "{}", order.head.sequence);
    let (snapshot, _) = store.snapshot(order.uuid()).await.unwrap().unwrap();
    assert!((128..order.head.sequence).contains(&snapshot), "{snapshot}");
    assert_reads_back(&store, &order).await;
    let changes = store.recorded::<OrderAggregate>(order.uuid(), 0).await.unwrap();
    for sequence in 1..=order.head.sequence {
        let made: OrderAggregate = made_until(&changes, sequence);
        let read = store.load_at::<OrderAggregate>(order.uuid(), sequence).await.unwrap().unwrap();
        assert_eq!(*read, made, "{sequence}");
        assert!(read.header.content.personal.value().is_some());
    }
    assert_eq!(store.load_at::<OrderAggregate>(order.uuid(), 0).await, Ok(None));
}

pub async fn no_read_is_older_than_a_commit_that_was_answered(store: Db) {
    // A writer that always loses is given up after 16 times, which the other cannot win.
    const WRITERS: u64 = 2;
    const CHANGES: u64 = 15;
    let shop = Arc::new(Shop::new());
    let engine = Engine::new(store.clone(), shop.clone(), Arc::new(Metrics::new()));
    let (order, created) = shop.order(None);
    let id = order.uuid();
    commit(&store, created).await;
    let answered = Arc::new(AtomicU64::new(1));
    let writers = join_all((0..WRITERS).map(|_| {
        let (engine, answered) = (engine.clone(), answered.clone());
        tokio::spawn(async move {
            let mut order = engine.existing::<OrderAggregate>(id).await.unwrap();
            for _ in 0..CHANGES {
                let (from, to) = (OrderState::Pending, OrderState::Pending);
                let event = Event::OrderStateChanged { from, to, reason: None };
                let decide = |_: &OrderAggregate, _| Ok::<_, StoreError>(vec![event.clone()].into());
                let command = Command::of(Actor::Operator);
                let sequence = engine.change("touch", &command, &mut order, decide).await.unwrap();
                answered.fetch_max(sequence.unwrap(), Ordering::SeqCst);
            }
        })
    }));
    let readers = join_all((0..2).map(|_| {
        let (store, answered) = (store.clone(), answered.clone());
        tokio::spawn(async move {
            let mut seen = 0;
            while seen < 1 + WRITERS * CHANGES {
                let least = answered.load(Ordering::SeqCst).max(seen);
                seen = store.order(OrderId::from_uuid(id)).await.unwrap().unwrap().head.sequence;
                assert!(seen >= least, "{seen} after {least}");
                tokio::task::yield_now().await;
            }
        })
    }));
    let (writers, readers) = join(writers, readers).await;
    writers.into_iter().chain(readers).for_each(Result::unwrap);
    let last = store.order(OrderId::from_uuid(id)).await.unwrap().unwrap();
    assert_eq!(last.head.sequence, 1 + WRITERS * CHANGES);
    assert_reads_back(&store, &last).await;
    assert_absent::<WebhookEndpoint>(&store, shop.id()).await;
}
