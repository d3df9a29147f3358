//! Lists and their pages.

use std::collections::BTreeSet;
use std::sync::Arc;

use paymux::domain::{AttentionCode, OrderAggregate, OrderState, ProfileEvent, Subject as _};
use paymux::store::{AttentionFilter, Cursor, OrderFilter, Page, PaymentFilter, ProfileFilter, PublicFilter};
use port::{Env as _, OrderId, PaymentStatus, ProfileId};

use super::fixtures::{CUSTOMER, MERCHANT, Shop};
use super::subjects::order_history;
use super::{Db, commit};

fn page(before: Option<String>, limit: u32) -> Page {
    Page { before, limit }
}

fn orders() -> OrderFilter {
    OrderFilter {
        merchant: MERCHANT.into(),
        state: None,
        reference: None,
        created_after: None,
        created_before: None,
        page: page(None, 50),
    }
}

fn payments() -> PaymentFilter {
    PaymentFilter { merchant: MERCHANT.into(), status: None, account: None, before: None, limit: 50 }
}

fn attention() -> AttentionFilter {
    AttentionFilter {
        merchant: MERCHANT.into(),
        open: None,
        code: None,
        account: None,
        before: None,
        limit: 50,
    }
}

fn profiles() -> ProfileFilter {
    ProfileFilter { merchant: MERCHANT.into(), customer_id: CUSTOMER.into(), page: page(None, 50) }
}

pub async fn orders_are_listed_newest_first_as_the_filter_says(store: Db) {
    let shop = Shop::new();
    let done = order_history(&store, &shop, Some("done")).await.pop().unwrap();
    let mut carts = Vec::new();
    for reference in [Some("cart"), None] {
        let (order, change) = shop.order(reference);
        commit(&store, change).await;
        carts.push(order);
    }
    commit(&store, shop.order_of("another", Some("cart")).1).await;
    let [named, plain] = [&carts[0], &carts[1]];
    let created = |order: &Arc<OrderAggregate>| Some(order.header.created_at);
    let state = |state| OrderFilter { state: Some(state), ..orders() };
    let reference = |text: &str| OrderFilter { reference: Some(text.into()), ..orders() };
    let cases = [
        (orders(), vec![plain, named, &done]),
        (state(OrderState::Pending), vec![plain, named]),
        (state(OrderState::Submitted), vec![&done]),
        (state(OrderState::Failed), vec![]),
        (reference("cart"), vec![named]),
        (reference("unknown"), vec![]),
        (OrderFilter { state: Some(OrderState::Submitted), ..reference("cart") }, vec![]),
        (OrderFilter { created_after: created(plain), ..reference("cart") }, vec![]),
        (OrderFilter { page: page(Some(named.id().to_string()), 9), ..reference("cart") }, vec![]),
        (OrderFilter { created_after: created(named), ..orders() }, vec![plain, named]),
        (OrderFilter { created_before: created(named), ..orders() }, vec![&done]),
        (
            OrderFilter { created_after: created(named), created_before: created(plain), ..orders() },
            vec![named],
        ),
        (OrderFilter { page: page(Some("no cursor".into()), 9), ..orders() }, vec![]),
        (OrderFilter { merchant: "unknown".into(), ..orders() }, vec![]),
    ];
    for (filter, wanted) in cases {
        let wanted = wanted.into_iter().map(|order| order.id()).collect();
        assert_eq!(store.orders(&filter).await, Ok(wanted), "{filter:?}");
    }
}

pub async fn pages_of_orders_leave_none_out_that_were_created_in_time(store: Db) {
    let shop = Shop::new();
    let mut made: Vec<Arc<OrderAggregate>> = Vec::new();
    for number in 0..12 {
        let (mut order, created) = shop.order(None);
        commit(&store, created).await;
        if number % 4 == 0 {
            commit(&store, shop.checkout(&mut order, "main")).await;
        }
        made.insert(0, order);
    }
    // Ids of about the same moment are looked at and ruled out, in each of the states.
    let (newest, oldest) = (made[3].header.created_at, made[10].header.created_at);
    let mut found: Vec<OrderId> = Vec::new();
    loop {
        let before = found.last().map(OrderId::to_string);
        let filter = OrderFilter {
            created_after: Some(oldest),
            created_before: Some(newest),
            page: page(before, 2),
            ..orders()
        };
        let rows = store.orders(&filter).await.unwrap();
        found.extend(&rows);
        if rows.len() < 2 {
            break;
        }
    }
    assert_eq!(found, made[4..=10].iter().map(|order| order.id()).collect::<Vec<_>>());
}

fn row_of(order: &OrderAggregate) -> Cursor {
    Cursor { at: order.payments[0].created_at, id: order.payments[0].id.uuid() }
}

pub async fn payments_are_listed_newest_first_as_the_filter_says(store: Db) {
    let shop = Shop::new();
    let paid = order_history(&store, &shop, None).await.pop().unwrap();
    let (mut open, created) = shop.order(None);
    commit(&store, created).await;
    commit(&store, shop.checkout(&mut open, "main")).await;
    let (mut others, created) = shop.order_of("another", None);
    commit(&store, created).await;
    commit(&store, shop.checkout(&mut others, "third")).await;
    let (open, paid) = (row_of(&open), row_of(&paid));
    let status = |status| PaymentFilter { status: Some(status), ..payments() };
    let account = |name: &str| PaymentFilter { account: Some(name.into()), ..payments() };
    let cases = [
        (payments(), vec![open, paid]),
        (status(PaymentStatus::Paid), vec![paid]),
        (status(PaymentStatus::Disputed), vec![]),
        (account("main"), vec![open]),
        (account("reserve"), vec![paid]),
        (account("unknown"), vec![]),
        (PaymentFilter { before: Some(open), ..payments() }, vec![paid]),
        (PaymentFilter { merchant: "unknown".into(), ..payments() }, vec![]),
        (PaymentFilter { merchant: "another".into(), ..payments() }, vec![row_of(&others)]),
    ];
    for (filter, wanted) in cases {
        assert_eq!(store.payments(&filter).await, Ok(wanted), "{filter:?}");
    }
    for (account, oldest) in [("main", Some(open.at)), ("reserve", None), ("unknown", None)] {
        assert_eq!(store.oldest_open_payment(account).await, Ok(oldest));
    }
}

pub async fn attention_is_listed_newest_first_as_the_filter_says(store: Db) {
    let shop = Shop::new();
    let mut rows = Vec::new();
    for resolved in [true, false] {
        let (mut order, created) = shop.order(None);
        commit(&store, created).await;
        commit(&store, shop.checkout(&mut order, "main")).await;
        commit(&store, shop.refund(&mut order)).await;
        rows.push(Cursor { at: order.attention[0].raised_at, id: order.attention[0].id.uuid() });
        if resolved {
            commit(&store, shop.refunded(&mut order)).await;
        }
    }
    let [resolved, open] = [rows[0], rows[1]];
    let (mut others, created) = shop.order_of("another", None);
    commit(&store, created).await;
    commit(&store, shop.checkout(&mut others, "main")).await;
    commit(&store, shop.refund(&mut others)).await;
    let others = Cursor { at: others.attention[0].raised_at, id: others.attention[0].id.uuid() };
    let account = |name: &str| AttentionFilter { account: Some(name.into()), ..attention() };
    let code = |code| AttentionFilter { code: Some(code), ..attention() };
    let cases = [
        (attention(), vec![open, resolved]),
        (AttentionFilter { open: Some(true), ..attention() }, vec![open]),
        (AttentionFilter { open: Some(false), ..attention() }, vec![resolved]),
        (AttentionFilter { before: Some(open), ..attention() }, vec![resolved]),
        (AttentionFilter { limit: 1, ..attention() }, vec![open]),
        (code(AttentionCode::RefundNeeded), vec![open, resolved]),
        (code(AttentionCode::Dispute), vec![]),
        (account("main"), vec![open, resolved]),
        (account("reserve"), vec![]),
        (AttentionFilter { merchant: "unknown".into(), ..attention() }, vec![]),
        (AttentionFilter { merchant: "another".into(), ..attention() }, vec![others]),
    ];
    for (filter, wanted) in cases {
        assert_eq!(store.attention(&filter).await, Ok(wanted), "{filter:?}");
    }
}

pub async fn profiles_are_listed_newest_first_until_they_are_deleted(store: Db) {
    let shop = Shop::new();
    let mut made = Vec::new();
    for number in 0..3 {
        let (profile, stored) = shop.profile(&format!("P-{number}"));
        commit(&store, stored).await;
        made.insert(0, profile);
    }
    let (others, stored) = shop.profile_of("another", "P-9");
    commit(&store, stored).await;
    let ids: Vec<ProfileId> = made.iter().map(|profile| profile.id).collect();
    let after_first = ProfileFilter { page: page(Some(ids[0].to_string()), 1), ..profiles() };
    let cases = [
        (profiles(), ids.clone()),
        (after_first, vec![ids[1]]),
        (ProfileFilter { customer_id: "other".into(), ..profiles() }, vec![]),
        (ProfileFilter { merchant: "another".into(), ..profiles() }, vec![others.id]),
        (ProfileFilter { page: page(Some("no cursor".into()), 9), ..profiles() }, vec![]),
    ];
    for (filter, wanted) in cases {
        assert_eq!(store.profiles(&filter).await, Ok(wanted), "{filter:?}");
    }
    commit(&store, shop.change("delete", &mut made[1], vec![ProfileEvent::Deleted])).await;
    assert_eq!(store.profiles(&profiles()).await, Ok(vec![ids[0], ids[2]]));
    // Its provider's id still leads to it, so that it is not stored anew.
    assert_eq!(store.profile_with_reference("main", "P-1").await, Ok(Some(ids[1])));
}

pub async fn pages_do_not_move_while_rows_are_added(store: Db) {
    let shop = Shop::new();
    let (mut ids, mut payment_rows, mut positions) = (Vec::new(), Vec::new(), BTreeSet::new());
    for account in ["main", "reserve", "main", "third", "main", "reserve", "main"] {
        let (mut order, created) = shop.order(None);
        commit(&store, created).await;
        commit(&store, shop.checkout(&mut order, account)).await;
        ids.insert(0, order.id());
        payment_rows.insert(0, row_of(&order));
        let changes = store.changes_of(order.uuid(), 0, 9).await.unwrap();
        positions.extend(changes.iter().map(|change| change.position));
    }
    let (mut by_order, mut by_payment, mut by_change) = (Vec::new(), Vec::<Cursor>::new(), Vec::new());
    for round in 0..6 {
        if round < 3 {
            let before = by_order.last().map(OrderId::to_string);
            let found = store.orders(&OrderFilter { page: page(before, 3), ..orders() }).await.unwrap();
            by_order.extend(found);
            let text = by_payment.last().map(|row| row.text());
            let before = text.map(|text| Cursor::read(&text).unwrap());
            by_payment
                .extend(store.payments(&PaymentFilter { before, limit: 3, ..payments() }).await.unwrap());
        }
        let up_to = by_change.last().map(|position| position - 1);
        let filter = PublicFilter { merchant: MERCHANT.into(), from: None, to: None, up_to, limit: 3 };
        by_change.extend(store.public_changes(&filter).await.unwrap().iter().map(|change| change.position));
        let (mut order, created) = shop.order(None);
        commit(&store, created).await;
        commit(&store, shop.checkout(&mut order, "main")).await;
    }
    assert_eq!(by_order, ids);
    assert_eq!(by_payment, payment_rows);
    assert_eq!(by_change, positions.into_iter().rev().collect::<Vec<_>>());
}

pub async fn public_changes_are_those_with_public_events(store: Db) {
    let shop = Shop::new();
    let started = shop.now();
    let order = order_history(&store, &shop, None).await.pop().unwrap();
    let ended = shop.now();
    commit(&store, shop.endpoint().1).await;
    commit(&store, shop.order_of("another", None).1).await;
    let filter = |from, to| PublicFilter { merchant: MERCHANT.into(), from, to, up_to: None, limit: 50 };
    let listed = |filter: PublicFilter| {
        let store = store.clone();
        async move { store.public_changes(&filter).await.unwrap() }
    };
    let all = listed(filter(None, None)).await;
    let changes = store.recorded::<OrderAggregate>(order.uuid(), 0).await.unwrap();
    let public =
        changes.iter().filter(|change| change.recorded_events().any(|event| event.public_sequence.is_some()));
    assert_eq!(
        all.iter().map(|change| change.first).collect::<Vec<_>>(),
        public.rev().map(|change| change.first).collect::<Vec<_>>()
    );
    assert!(all.iter().all(|change| change.subject == order.uuid()));
    assert_eq!(listed(filter(Some(started), Some(ended))).await, all);
    for (from, to) in [(Some(ended), None), (None, Some(started))] {
        assert_eq!(listed(filter(from, to)).await, []);
    }
}
