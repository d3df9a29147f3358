//! Jobs: due, leased, put off, woken.

use std::sync::Arc;
use std::time::Duration;

use paymux::domain::{Event, Lane, OrderAggregate, OrderState, Urgency};
use paymux::store::{Change, ClaimedJob, Due, JobSubject, Rescheduled, Wake, WokenBy, Write};
use port::{Timestamp, Uuid};

use super::fixtures::Shop;
use super::{Db, commit, write};

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn due(seconds: i64, urgency: Urgency) -> Due {
    Due { at: at(seconds), urgency }
}

fn account() -> Lane {
    Lane::Account("main".into())
}

fn wake(subject: u128, lane: Lane, due: Due) -> Wake {
    Wake { subject: Uuid::from_u128(subject), kind: JobSubject::Notification, lane, due, attempt: None }
}

/// The subjects and moments of what can be claimed.
async fn claimed(
    store: &Db,
    lane: &Lane,
    urgency: Urgency,
    now: Timestamp,
    limit: u32,
) -> Vec<(u128, Timestamp)> {
    let jobs = store.claim(lane, urgency, now, MINUTE, limit).await.unwrap();
    jobs.into_iter().map(|job| (job.subject.as_u128(), job.due_at)).collect()
}

/// The one job that is due now.
async fn the_only(store: &Db, lane: &Lane, urgency: Urgency, now: Timestamp) -> ClaimedJob {
    let mut jobs = store.claim(lane, urgency, now, MINUTE, 9).await.unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs.remove(0)
}

fn rescheduled(job: &ClaimedJob, version: u64, next: Option<Due>) -> Write {
    Write::Reschedule(Rescheduled { job: job.clone(), version, next, tries: 0, stays_woken: false })
}

pub async fn what_is_due_is_claimed_oldest_first_by_lane_and_urgency(store: Db) {
    let (scheduled, customer) = (Urgency::Scheduled, Urgency::Customer);
    assert_eq!(claimed(&store, &account(), scheduled, at(9), 9).await, []);
    assert_eq!(store.next_due(&account()).await, Ok(Vec::new()));
    let rows = [
        wake(3, Lane::General, due(3, scheduled)),
        wake(1, Lane::General, due(1, scheduled)),
        wake(2, Lane::General, due(2, scheduled)),
        wake(4, Lane::General, due(99, scheduled)),
        wake(5, Lane::General, due(5, customer)),
        wake(6, account(), due(0, scheduled)),
    ];
    commit(&store, Change::plain("wake", rows.map(Write::Wake).into())).await;
    let next = |rows: &[Due]| Ok(rows.to_vec());
    assert_eq!(store.next_due(&Lane::General).await, next(&[due(5, customer), due(1, scheduled)]));
    for (lane, now, due) in [(Lane::General, 2, 2), (Lane::General, 5, 4), (account(), 9, 1)] {
        assert_eq!(store.due_count(&lane, at(now)).await, Ok(due));
    }
    assert_eq!(store.due_count(&Lane::Account("unknown".into()), at(9)).await, Ok(0));
    assert_eq!(claimed(&store, &Lane::General, scheduled, at(0), 9).await, []);
    assert_eq!(claimed(&store, &Lane::General, scheduled, at(3), 1).await, [(1, at(1))]);
    assert_eq!(claimed(&store, &Lane::General, scheduled, at(3), 9).await, [(2, at(2)), (3, at(3))]);
    assert_eq!(claimed(&store, &Lane::General, scheduled, at(3), 9).await, []);
    assert_eq!(claimed(&store, &Lane::General, customer, at(9), 9).await, [(5, at(5))]);
    assert_eq!(claimed(&store, &account(), scheduled, at(0), 9).await, [(6, at(0))]);
    assert_eq!(claimed(&store, &Lane::Account("unknown".into()), scheduled, at(9), 9).await, []);
}

pub async fn a_lease_ends_by_itself_or_when_its_job_has_run(store: Db) {
    let (lane, urgency) = (account(), Urgency::Scheduled);
    write(&store, Write::Wake(wake(1, lane.clone(), due(0, urgency)))).await.unwrap();
    the_only(&store, &lane, urgency, at(0)).await;
    assert_eq!(claimed(&store, &lane, urgency, at(59), 9).await, []);
    // A worker that was lost is waited for until its lease ends, and then the job is found by itself.
    assert_eq!(store.next_due(&lane).await, Ok(vec![due(60, urgency)]));
    assert_eq!(claimed(&store, &lane, urgency, at(60), 9).await, [(1, at(0))]);
    let job = the_only(&store, &lane, urgency, at(120)).await;
    write(&store, rescheduled(&job, 0, Some(due(150, urgency)))).await.unwrap();
    assert_eq!(store.next_due(&lane).await, Ok(vec![due(150, urgency)]));
    assert_eq!(claimed(&store, &lane, urgency, at(150), 9).await, [(1, at(150))]);
}

pub async fn of_many_who_claim_at_once_each_job_goes_to_one(store: Db) {
    let rows = (1..=40).map(|id| Write::Wake(wake(id, account(), due(0, Urgency::Scheduled))));
    commit(&store, Change::plain("wake", rows.collect())).await;
    let lane = account();
    let claims = (0..10).map(|_| claimed(&store, &lane, Urgency::Scheduled, at(0), 6));
    let mut jobs: Vec<_> = futures_util::future::join_all(claims).await.concat();
    jobs.sort_unstable();
    assert_eq!(jobs, (1..=40).map(|id| (id, at(0))).collect::<Vec<_>>());
}

pub async fn a_wake_makes_a_job_sooner_and_says_what_it_is_about(store: Db) {
    let lane = account();
    let about = |attempt| Wake { attempt, ..wake(1, account(), due(0, Urgency::Notified)) };
    // By what it was woken before it ran: the attempt, or anything.
    let cases = [
        (vec![Some(3)], WokenBy::Attempt(3)),
        (vec![Some(3), Some(3)], WokenBy::Attempt(3)),
        (vec![Some(3), Some(4)], WokenBy::Anything),
        (vec![None, Some(3)], WokenBy::Anything),
        (vec![Some(3), None], WokenBy::Anything),
    ];
    for (attempts, woken) in cases {
        for attempt in &attempts {
            write(&store, Write::Wake(about(*attempt))).await.unwrap();
        }
        let job = the_only(&store, &lane, Urgency::Notified, at(0)).await;
        assert_eq!((job.woken, job.wakes), (Some(woken), attempts.len() as u64), "{attempts:?}");
        write(&store, rescheduled(&job, 0, Some(due(50, Urgency::Notified)))).await.unwrap();
        let again = the_only(&store, &lane, Urgency::Notified, at(50)).await;
        assert_eq!((again.woken, again.wakes), (None, 0), "{attempts:?}");
        write(&store, rescheduled(&again, 0, None)).await.unwrap();
        assert_eq!(store.next_due(&lane).await, Ok(Vec::new()), "{attempts:?}");
    }
    // The earlier moment and the more urgent class of two.
    for (first, second, wanted) in [
        (due(9, Urgency::Scheduled), due(5, Urgency::Customer), due(5, Urgency::Customer)),
        (due(5, Urgency::Customer), due(9, Urgency::Scheduled), due(5, Urgency::Customer)),
        (due(5, Urgency::Scheduled), due(9, Urgency::Customer), due(5, Urgency::Customer)),
    ] {
        for due in [first, second] {
            write(&store, Write::Wake(wake(2, account(), due))).await.unwrap();
        }
        assert_eq!(store.next_due(&lane).await, Ok(vec![wanted]));
        let job = the_only(&store, &lane, wanted.urgency, wanted.at).await;
        write(&store, rescheduled(&job, 0, None)).await.unwrap();
    }
}

/// A change of an order that says when it is due in the account's lane.
fn scheduling(mut change: Change, next: Option<Due>) -> Change {
    change.subject.as_mut().unwrap().schedule = vec![(account(), next)];
    change
}

fn touch(shop: &Shop, order: &mut Arc<OrderAggregate>) -> Change {
    let (from, to) = (OrderState::Pending, OrderState::Pending);
    shop.change("touch", order, vec![Event::OrderStateChanged { from, to, reason: None }])
}

pub async fn a_change_makes_a_job_sooner_and_never_later(store: Db) {
    let shop = Shop::new();
    let scheduled = |seconds| Some(due(seconds, Urgency::Scheduled));
    let unknown = |seconds| Some(due(seconds, Urgency::UnknownOutcome));
    let cases = [
        (scheduled(9), scheduled(5), scheduled(5)),
        (scheduled(5), scheduled(9), scheduled(5)),
        (scheduled(5), unknown(9), unknown(5)),
        (unknown(5), scheduled(9), scheduled(5)),
        (scheduled(5), None, None),
        (None, scheduled(5), scheduled(5)),
    ];
    for (before, after, wanted) in cases {
        let (mut order, created) = shop.order(None);
        commit(&store, scheduling(created, before)).await;
        assert_eq!(store.next_due(&account()).await, Ok(Vec::from_iter(before)));
        commit(&store, scheduling(touch(&shop, &mut order), after)).await;
        assert_eq!(store.next_due(&account()).await, Ok(Vec::from_iter(wanted)), "{before:?} {after:?}");
        commit(&store, scheduling(touch(&shop, &mut order), None)).await;
        assert_eq!(store.next_due(&account()).await, Ok(Vec::new()));
    }
}

pub async fn a_subject_that_was_woken_is_looked_at_although_it_left_the_lane(store: Db) {
    let shop = Shop::new();
    let (mut order, created) = shop.order(None);
    commit(&store, scheduling(created, Some(due(9, Urgency::Scheduled)))).await;
    let urgent = due(5, Urgency::Customer);
    let woken = Wake { kind: JobSubject::Order, subject: order.id().uuid(), ..wake(0, account(), urgent) };
    write(&store, Write::Wake(woken)).await.unwrap();
    for next in [None, Some(due(7, Urgency::Scheduled))] {
        commit(&store, scheduling(touch(&shop, &mut order), next)).await;
        assert_eq!(store.next_due(&account()).await, Ok(vec![urgent]));
    }
    let job = the_only(&store, &account(), Urgency::Customer, at(5)).await;
    assert_eq!((job.kind, job.woken), (JobSubject::Order, Some(WokenBy::Anything)));
    write(&store, rescheduled(&job, order.head.sequence, None)).await.unwrap();
    assert_eq!(store.next_due(&account()).await, Ok(Vec::new()));
}

pub async fn a_job_is_put_off_unless_something_came_meanwhile(store: Db) {
    type Meanwhile = fn(&Shop, &mut Arc<OrderAggregate>) -> Option<Change>;
    let (scheduled, later) = (due(5, Urgency::Scheduled), due(99, Urgency::Scheduled));
    // What comes between the claim and its end, and when the job is due then.
    let cases: [(Meanwhile, Option<Due>); 4] = [
        (|_, _| None, Some(later)),
        (
            |shop, order| Some(scheduling(touch(shop, order), Some(due(5, Urgency::Scheduled)))),
            Some(scheduled),
        ),
        (
            |_, order| {
                let woken = wake(order.id().uuid().as_u128(), account(), due(7, Urgency::Notified));
                Some(Change::plain("wake", vec![Write::Wake(woken)]))
            },
            Some(due(5, Urgency::Notified)),
        ),
        (|shop, order| Some(scheduling(touch(shop, order), None)), None),
    ];
    let shop = Shop::new();
    for (number, (meanwhile, wanted)) in cases.into_iter().enumerate() {
        for next in [Some(later), None] {
            let (mut order, created) = shop.order(None);
            commit(&store, scheduling(created, Some(scheduled))).await;
            let job = the_only(&store, &account(), Urgency::Scheduled, at(5)).await;
            let version = order.head.sequence;
            let change = meanwhile(&shop, &mut order);
            let undisturbed = change.is_none();
            if let Some(change) = change {
                commit(&store, change).await;
            }
            write(&store, rescheduled(&job, version, next)).await.unwrap();
            let wanted = if undisturbed { next } else { wanted };
            assert_eq!(store.next_due(&account()).await, Ok(Vec::from_iter(wanted)), "{number} {next:?}");
            // It is not leased any more, and whoever has seen everything ends it.
            if let Some(due) = wanted {
                let job = the_only(&store, &account(), due.urgency, due.at).await;
                write(&store, rescheduled(&job, order.head.sequence, None)).await.unwrap();
            }
            assert_eq!(store.next_due(&account()).await, Ok(Vec::new()), "{number} {next:?}");
        }
    }
}

pub async fn a_job_that_failed_knows_how_often_and_what_woke_it(store: Db) {
    let about = Wake { attempt: Some(2), ..wake(1, account(), due(0, Urgency::Notified)) };
    write(&store, Write::Wake(about)).await.unwrap();
    for tries in 1..=3 {
        let job = the_only(&store, &account(), Urgency::Notified, at(0)).await;
        assert_eq!((job.tries, job.woken), (tries - 1, Some(WokenBy::Attempt(2))));
        let next = Some(due(0, Urgency::Notified));
        let failed = Rescheduled { job, version: 0, next, tries, stays_woken: true };
        write(&store, Write::Reschedule(failed)).await.unwrap();
    }
}
