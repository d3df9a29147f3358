//! The agenda: claimed, leased, given back.

use std::time::Duration;

use paymux::store::{Change, Job, JobKind, Lease, Write};
use port::{OrderId, Timestamp};

use super::fixtures::OrderFactory;
use super::{TestStore, commit, write};

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn due(kind: JobKind, subject: &str, when: Option<Timestamp>) -> Write {
    Write::Job { kind, subject: subject.into(), order: None, at: when }
}

async fn subjects(store: &TestStore, now: Timestamp, limit: u16) -> Vec<String> {
    let claimed = store.claim(now, MINUTE, limit).await.unwrap();
    claimed.into_iter().map(|job| job.subject).collect()
}

pub async fn what_is_due_is_claimed_oldest_first_and_by_one_only(store: TestStore) {
    assert_eq!(subjects(&store, at(0), 9).await, [""; 0]);
    let order = OrderId::from_uuid(OrderFactory::new().uuid());
    let rows = vec![
        due(JobKind::ExpireOrder, "third", Some(at(3))),
        Write::Job {
            kind: JobKind::FetchStatus,
            subject: "second".into(),
            order: Some(order),
            at: Some(at(2)),
        },
        due(JobKind::FetchStatus, "later", Some(at(99))),
        due(JobKind::ProcessNotification, "first", Some(at(1))),
        due(JobKind::ProcessNotification, "never", Some(at(1))),
        due(JobKind::ProcessNotification, "never", None),
    ];
    commit(&store, Change::plain("due", rows)).await;
    assert_eq!(subjects(&store, at(0), 9).await, [""; 0]);
    assert_eq!(subjects(&store, at(5), 1).await, ["first"]);
    let lease = Lease(at(5).plus(MINUTE));
    let second = Job {
        kind: JobKind::FetchStatus,
        subject: "second".into(),
        order: Some(order),
        at: at(2),
        tries: 0,
        lease,
    };
    let third =
        Job { kind: JobKind::ExpireOrder, subject: "third".into(), order: None, at: at(3), tries: 0, lease };
    assert_eq!(store.claim(at(5), MINUTE, 9).await, Ok(vec![second, third]));
    assert_eq!(subjects(&store, at(5), 9).await, [""; 0]);
}

pub async fn a_lease_that_ends_makes_it_due_again(store: TestStore) {
    write(&store, due(JobKind::ResolveStart, "it", Some(at(0)))).await.unwrap();
    for (tries, now) in [(0, at(0)), (1, at(60)), (2, at(200))] {
        let claimed = store.claim(now, MINUTE, 9).await.unwrap();
        assert_eq!(claimed.iter().map(|job| job.tries).collect::<Vec<_>>(), [tries]);
        assert_eq!(subjects(&store, now.plus(MINUTE / 2), 9).await, [""; 0]);
    }
}

pub async fn who_claimed_it_says_when_again_or_that_it_is_done(store: TestStore) {
    write(&store, due(JobKind::ResolveStart, "it", Some(at(0)))).await.unwrap();
    let claimed = store.claim(at(0), MINUTE, 9).await.unwrap().remove(0);
    write(&store, Write::Release { job: claimed.clone(), at: Some(at(10)) }).await.unwrap();
    assert_eq!(subjects(&store, at(9), 9).await, [""; 0]);
    let again = store.claim(at(10), MINUTE, 9).await.unwrap().remove(0);
    assert_eq!((again.at, again.tries), (at(10), 1));
    // The first lease is over, so whoever had it has nothing to say any more.
    write(&store, Write::Release { job: claimed, at: None }).await.unwrap();
    assert_eq!(store.oldest_jobs().await, Ok(vec![(JobKind::ResolveStart, at(10))]));
    write(&store, Write::Release { job: again, at: None }).await.unwrap();
    assert_eq!(store.oldest_jobs().await, Ok(Vec::new()));
}

pub async fn a_change_that_writes_it_anew_ends_the_lease(store: TestStore) {
    write(&store, due(JobKind::ResolveStart, "it", Some(at(0)))).await.unwrap();
    let claimed = store.claim(at(0), MINUTE, 9).await.unwrap().remove(0);
    write(&store, due(JobKind::ResolveStart, "it", Some(at(5)))).await.unwrap();
    for when in [None, Some(at(99))] {
        write(&store, Write::Release { job: claimed.clone(), at: when }).await.unwrap();
    }
    let anew = store.claim(at(5), MINUTE, 9).await.unwrap().remove(0);
    assert_eq!((anew.at, anew.tries), (at(5), 0));
}

pub async fn the_oldest_of_each_kind_is_known(store: TestStore) {
    let factory = OrderFactory::new();
    let (mut order, placed) = factory.place(None);
    commit(&store, placed).await;
    commit(&store, factory.checkout(&mut order, "main")).await;
    let mut wanted = paymux::domain::jobs(&order);
    wanted.sort_by_key(|(kind, ..)| *kind);
    let wanted: Vec<_> = wanted.into_iter().map(|(kind, _, at)| (kind, at)).collect();
    assert_eq!(wanted.len(), 3);
    assert_eq!(store.oldest_jobs().await, Ok(wanted.clone()));
    write(&store, due(JobKind::ResolveStart, "later", Some(at(0)))).await.unwrap();
    assert_eq!(store.oldest_jobs().await, Ok(wanted));
}
