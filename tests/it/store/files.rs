//! Order files: written by changes, read back whole.

use futures_util::future::join_all;
use paymux::domain::{Erasable, OrderAggregate, RecordedEvent};
use paymux::store::{Change, JobKind, OrderLocator, StoreError, Unique, Write};
use port::{OrderId, PaymentId};

use super::fixtures::OrderFactory;
use super::{TestStore, commit};

/// Equal, and with all personal data: sealed values are equal by digest alone.
async fn assert_reads_back(store: &TestStore, order: &OrderAggregate) {
    let read = store.order(order.id()).await.unwrap().unwrap();
    assert_eq!(&read, order);
    assert_eq!(read.header.personal.row(), order.header.personal.row());
    for (read, made) in read.sessions.iter().zip(&order.sessions) {
        assert_eq!(read.request.row(), made.request.row());
    }
    for (read, made) in read.attempts.iter().zip(&order.attempts) {
        assert_eq!(read.next.as_ref().map(Erasable::row), made.next.as_ref().map(Erasable::row));
        assert_eq!(
            read.adapter_state.as_ref().map(Erasable::row),
            made.adapter_state.as_ref().map(Erasable::row)
        );
        assert_eq!(read.for_adapter(order.id()).adapter_state, made.for_adapter(order.id()).adapter_state);
    }
}

/// An order from its cart to a refund, with a fail-over on the way: the file after each change.
pub async fn whole_life(
    store: &TestStore,
    factory: &OrderFactory,
    reference: Option<&str>,
) -> Vec<OrderAggregate> {
    let (mut order, placed) = factory.place(reference);
    commit(store, placed).await;
    let mut lives = vec![order.clone()];
    type Step = fn(&OrderFactory, &mut OrderAggregate) -> Change;
    let steps: [Step; 6] = [
        |factory, order| factory.checkout(order, "main"),
        |factory, order| factory.fail_over(order, "reserve"),
        |factory, order| factory.begun(order, &format!("R-{}", order.id())),
        OrderFactory::paid,
        OrderFactory::refund,
        OrderFactory::refunded,
    ];
    for step in steps {
        commit(store, step(factory, &mut order)).await;
        assert_reads_back(store, &order).await;
        lives.push(order.clone());
    }
    lives
}

pub async fn a_file_reads_back_as_every_change_made_it(store: TestStore) {
    let factory = OrderFactory::new();
    assert_eq!(store.order(OrderId::from_uuid(factory.uuid())).await, Ok(None));
    let lives = whole_life(&store, &factory, Some("A-1")).await;
    let last = lives.last().unwrap();
    assert_eq!((last.attempts.len(), last.refunds.len(), last.attention.len()), (2, 1, 1));
}

pub async fn its_events_read_back_as_they_were_hashed(store: TestStore) {
    let factory = OrderFactory::new();
    let (mut order, placed) = factory.place(None);
    let checkout = factory.checkout(&mut order, "main");
    let appended = |change: &Change| -> Vec<RecordedEvent> {
        let events = change.writes.iter().filter_map(|write| match write {
            Write::Event(event) => Some((**event).clone()),
            _ => None,
        });
        events.collect()
    };
    let made = [appended(&placed), appended(&checkout)].concat();
    commit(&store, placed).await;
    commit(&store, checkout).await;
    let read = store.events(order.id(), 0, 100).await.unwrap();
    assert_eq!(read, made);
    assert_eq!(OrderAggregate::replay(&read), Ok(order.clone()));
    let some = store.events(order.id(), 1, 2).await.unwrap();
    assert_eq!(some, made[1..3]);
    assert_eq!(store.events(order.id(), u64::MAX, 100).await, Ok(Vec::new()));
}

pub async fn of_two_changes_of_one_file_the_second_leaves_no_trace(store: TestStore) {
    let factory = OrderFactory::new();
    let (mut order, placed) = factory.place(None);
    commit(&store, placed).await;
    let mut slower = order.clone();
    commit(&store, factory.checkout(&mut order, "main")).await;
    let late = factory.checkout(&mut slower, "reserve");
    let late = late.key(Some(super::keys::key("late", &slower)));
    let late = late.job(JobKind::FetchStatus, "late".into(), order.id(), Some(factory.now()));
    assert_eq!(store.commit(late).await, Err(StoreError::Conflict));
    assert_reads_back(&store, &order).await;
    assert_eq!(store.key(super::fixtures::MERCHANT, "late").await, Ok(None));
    let kinds = store.oldest_jobs().await.unwrap();
    assert!(kinds.iter().all(|(kind, _)| *kind != JobKind::FetchStatus));
    let lost = OrderLocator::Payment(slower.payments[0].id);
    assert_eq!(store.order_of(&lost).await, Ok(None));
}

pub async fn of_many_changes_of_one_file_at_once_exactly_one_wins(store: TestStore) {
    let factory = OrderFactory::new();
    let (mut order, placed) = factory.place(None);
    commit(&store, placed).await;
    commit(&store, factory.checkout(&mut order, "main")).await;
    for _ in 0..20 {
        let mut rivals = vec![order.clone(); 8];
        let commits = rivals.iter_mut().map(|rival| {
            let (store, change) = (store.clone(), factory.fail_over(rival, "main"));
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

pub async fn changes_that_fail_do_not_sink_their_neighbours(store: TestStore) {
    let factory = OrderFactory::new();
    let (_, taken) = factory.place(Some("taken"));
    commit(&store, taken).await;
    let placed: Vec<_> = (0..60)
        .map(|place| {
            factory.place(Some(&if place % 3 == 0 { "taken".to_owned() } else { format!("R-{place}") }))
        })
        .collect();
    let outcomes = join_all(placed.iter().map(|(_, change)| store.commit(change.clone()))).await;
    for (place, (outcome, (order, _))) in outcomes.into_iter().zip(&placed).enumerate() {
        if place % 3 == 0 {
            assert_eq!(outcome, Err(StoreError::Taken(Unique::Reference)));
            assert_eq!(store.order(order.id()).await, Ok(None));
            assert_eq!(store.events(order.id(), 0, 9).await, Ok(Vec::new()));
        } else {
            assert_eq!(outcome, Ok(()));
            assert_reads_back(&store, order).await;
        }
    }
}

pub async fn an_order_has_one_open_attempt(store: TestStore) {
    let factory = OrderFactory::new();
    let (mut order, placed) = factory.place(None);
    commit(&store, placed).await;
    commit(&store, factory.checkout(&mut order, "main")).await;
    let before = order.clone();
    let second = factory.checkout(&mut order, "main");
    // Decisions never ask for this; the file calls the first session the open one, so the row is made to.
    let writes = second.writes.into_iter().map(|write| match write {
        Write::Attempt { id, order, account, reference, return_hash, body, .. } => {
            Write::Attempt { id, order, account, reference, open: true, return_hash, body }
        }
        other => other,
    });
    let second = Change::plain("second", writes.collect());
    assert_eq!(store.commit(second).await, Err(StoreError::Taken(Unique::OpenAttempt)));
    assert_reads_back(&store, &before).await;
}

pub async fn everything_that_belongs_to_an_order_leads_to_it(store: TestStore) {
    let factory = OrderFactory::new();
    let order = whole_life(&store, &factory, None).await.pop().unwrap();
    let another = whole_life(&store, &factory, None).await.pop().unwrap();
    for order in [order, another] {
        let attempt = order.attempts.last().unwrap();
        let handles = [
            OrderLocator::Session(order.sessions[0].id),
            OrderLocator::Payment(order.payments[0].id),
            OrderLocator::Refund(order.refunds[0].id),
            OrderLocator::Attempt(order.attempts[0].id),
            OrderLocator::Return(attempt.return_hash.clone().unwrap()),
            OrderLocator::Reference {
                account: attempt.account.clone(),
                reference: attempt.reference.clone().unwrap(),
            },
        ];
        for locator in handles {
            assert_eq!(store.order_of(&locator).await, Ok(Some(order.id())), "{locator:?}");
        }
    }
    let elsewhere = OrderLocator::Reference { account: "other".into(), reference: "R-1".into() };
    for locator in [
        elsewhere,
        OrderLocator::Return(String::new()),
        OrderLocator::Payment(PaymentId::from_uuid(factory.uuid())),
    ] {
        assert_eq!(store.order_of(&locator).await, Ok(None));
    }
}

pub async fn those_who_listen_hear_of_changed_orders_and_of_nothing_else(store: TestStore) {
    let factory = OrderFactory::new();
    let mut changes = store.changes();
    let (mut order, placed) = factory.place(None);
    let mut slower = order.clone();
    commit(&store, placed).await;
    commit(&store, factory.checkout(&mut order, "main")).await;
    assert!(store.commit(factory.checkout(&mut slower, "main")).await.is_err());
    super::write(&store, Write::Setting { name: "a", value: "b".into() }).await.unwrap();
    assert_eq!(changes.try_recv(), Ok(order.id()));
    assert_eq!(changes.try_recv(), Ok(order.id()));
    assert!(changes.try_recv().is_err());
}
