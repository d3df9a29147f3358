//! Lists and their pages.

use paymux::domain::{OrderAggregate, OrderState};
use paymux::store::{OrderFilter, Page, PaymentFilter};
use port::{OrderId, PaymentId, PaymentStatus};

use super::files::whole_life;
use super::fixtures::{MERCHANT, OrderFactory};
use super::{TestStore, commit};

fn orders() -> OrderFilter {
    OrderFilter {
        merchant: MERCHANT.into(),
        state: None,
        reference: None,
        created_after: None,
        created_before: None,
        page: Page { before: None, limit: 50 },
    }
}

fn payments() -> PaymentFilter {
    PaymentFilter {
        merchant: MERCHANT.into(),
        status: None,
        account: None,
        order: None,
        page: Page { before: None, limit: 50 },
    }
}

async fn listed(store: &TestStore, filter: OrderFilter) -> Vec<OrderId> {
    store.orders(&filter).await.unwrap().iter().map(OrderAggregate::id).collect()
}

pub async fn orders_are_listed_newest_first_as_the_filter_says(store: TestStore) {
    let factory = OrderFactory::new();
    let done = whole_life(&store, &factory, Some("done")).await.pop().unwrap();
    let mut cart = Vec::new();
    for reference in [Some("cart"), None] {
        let (order, change) = factory.place(reference);
        commit(&store, change).await;
        cart.push(order);
    }
    let [named, plain] = [&cart[0], &cart[1]];
    assert_eq!(store.orders(&orders()).await, Ok(vec![plain.clone(), named.clone(), done.clone()]));
    let of = |state| OrderFilter { state: Some(state), ..orders() };
    assert_eq!(listed(&store, of(OrderState::Pending)).await, [plain.id(), named.id()]);
    assert_eq!(listed(&store, of(OrderState::Submitted)).await, [done.id()]);
    assert_eq!(listed(&store, of(OrderState::Failed)).await, []);
    let by_name = OrderFilter { reference: Some("cart".into()), ..orders() };
    assert_eq!(listed(&store, by_name).await, [named.id()]);
    let between = OrderFilter {
        created_after: Some(named.header.created_at),
        created_before: Some(plain.header.created_at),
        ..orders()
    };
    assert_eq!(listed(&store, between).await, [named.id()]);
    assert_eq!(listed(&store, OrderFilter { merchant: "another".into(), ..orders() }).await, []);
}

pub async fn payments_are_listed_with_their_orders(store: TestStore) {
    let factory = OrderFactory::new();
    let paid = whole_life(&store, &factory, None).await.pop().unwrap();
    let (mut open, placed) = factory.place(None);
    commit(&store, placed).await;
    commit(&store, factory.checkout(&mut open, "main")).await;
    let pair = |order: &OrderAggregate| (order.payments[0].id, order.clone());
    assert_eq!(store.payments(&payments()).await, Ok(vec![pair(&open), pair(&paid)]));
    let only = [
        (PaymentFilter { status: Some(PaymentStatus::Paid), ..payments() }, vec![pair(&paid)]),
        (PaymentFilter { status: Some(PaymentStatus::Disputed), ..payments() }, vec![]),
        (PaymentFilter { account: Some("main".into()), ..payments() }, vec![pair(&open)]),
        (PaymentFilter { account: Some("reserve".into()), ..payments() }, vec![pair(&paid)]),
        (PaymentFilter { order: Some(open.id()), ..payments() }, vec![pair(&open)]),
        (PaymentFilter { order: Some(open.id()), merchant: "another".into(), ..payments() }, vec![]),
    ];
    for (filter, wanted) in only {
        assert_eq!(store.payments(&filter).await, Ok(wanted), "{filter:?}");
    }
}

pub async fn pages_do_not_move_while_orders_are_added(store: TestStore) {
    let factory = OrderFactory::new();
    let mut made: Vec<(OrderId, PaymentId)> = Vec::new();
    for _ in 0..7 {
        let (mut order, placed) = factory.place(None);
        commit(&store, placed).await;
        commit(&store, factory.checkout(&mut order, "main")).await;
        made.insert(0, (order.id(), order.payments[0].id));
    }
    let (mut by_order, mut by_payment) = (Vec::new(), Vec::new());
    let page = |before: Option<String>| Page { before, limit: 3 };
    for _ in 0..3 {
        let before = by_order.last().map(OrderId::to_string);
        by_order.extend(listed(&store, OrderFilter { page: page(before), ..orders() }).await);
        let before = by_payment.last().map(|(_, id): &(_, PaymentId)| id.to_string());
        let found = store.payments(&PaymentFilter { page: page(before), ..payments() }).await.unwrap();
        by_payment.extend(found.into_iter().map(|(id, order)| (order.id(), id)));
        commit(&store, factory.place(None).1).await;
    }
    assert_eq!(by_payment, made);
    assert_eq!(by_order, made.iter().map(|(order, _)| *order).collect::<Vec<_>>());
}
