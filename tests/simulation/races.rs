//! Races: several people want something of the same money at the same moment, and delays decide who is first.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use paymux::domain::{OrderAggregate, OrderState, Payment};
use paymux::orders::{MoneyRequest, OrderAction};
use port::CaptureMode;
use tokio::time::sleep;

use crate::cart;
use crate::crowd;
use crate::merchant::refund;
use crate::portal::{look, notify_again, refund as refund_in_portal};
use crate::shop::Shop;
use crate::world::World;

/// Every race by its name.
pub(crate) const RACES: [&str; 6] =
    ["refund-refund", "capture-void", "learn", "checkout-cancel", "submit-expire", READ_LIMIT];

/// The one that needs a day of its own: more reads are due than the read limit allows.
pub(crate) const READ_LIMIT: &str = "read-limit";

type Racer<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs one race, then lets its order live on.
pub(crate) async fn run(world: Arc<World>, name: &'static str) {
    let mut shop = Shop::new(world.clone());
    world.log(&format!("race {name}"));
    match name {
        "refund-refund" => refunds(&mut shop).await,
        "capture-void" => capture_or_void(&mut shop).await,
        "learn" => learn(&mut shop).await,
        "checkout-cancel" => checkout_or_cancel(&mut shop).await,
        READ_LIMIT => crowd::run(&mut shop).await,
        _ => submit_or_expire(&mut shop).await,
    }
    shop.close().await;
}

/// Everybody starts within a moment.
async fn start(world: &World, racers: Vec<Racer<'_>>) {
    let late = world.random.pick(&[0, 20, 400, 6_000]);
    let racers = racers.into_iter().map(|racer| async move {
        sleep(world.random.millis(0, late)).await;
        racer.await;
    });
    join_all(racers).await;
}

/// An order that waits for its payment at an account.
async fn opened(
    shop: &mut Shop,
    account: &str,
    capture: CaptureMode,
    idle_seconds: Option<u64>,
) -> Option<Arc<OrderAggregate>> {
    let world = shop.world.clone();
    let mut new = cart::new_order(&world, &format!("{:016x}", world.random.roll()));
    new.currency = "EUR".parse().expect("a currency");
    new.idle_seconds = idle_seconds.unwrap_or(new.idle_seconds);
    let order = shop.create_and_checkout(new, cart::checkout_at(&world, account, capture)).await?;
    Some(shop.order(order).await)
}

/// The same, paid or held, as far as the faults of the day allow.
async fn paid(
    shop: &mut Shop,
    account: &str,
    capture: CaptureMode,
) -> Option<(Arc<OrderAggregate>, Payment)> {
    let world = shop.world.clone();
    let order = opened(shop, account, capture, None).await?;
    let ticket = shop.new_tickets(&order).pop()?;
    ticket.play(&world, "paid").await;
    let payment = order.payments.last()?.id;
    for _ in 0..3 {
        look(&world, order.id(), payment).await;
        let order = shop.order(order.id()).await;
        let payment = order.payment(payment)?.clone();
        if payment.state.holds_money() {
            return Some((order, payment));
        }
        sleep(Duration::from_secs(10)).await;
    }
    None
}

/// Refunds that together are more than there is, some of them in the portal.
async fn refunds(shop: &mut Shop) {
    let world = shop.world.clone();
    let account = world.random.pick(&["decta-demo", "paymennt-demo"]);
    let Some((order, payment)) = paid(shop, account, CaptureMode::Automatic).await else { return };
    let taken = payment.state.captured;
    let shop = &*shop;
    let mut racers: Vec<Racer<'_>> = Vec::new();
    for _ in 0..world.random.between(2, 4) {
        let amount = world.random.pick(&[None, Some(taken * 3 / 5), Some(taken / 3), Some(1)]);
        racers.push(Box::pin(shop.operate(order.id(), &payment, refund(amount))));
    }
    if world.random.percent(40) {
        let (world, reference) = (world.clone(), order.attempts.last().map(|attempt| attempt.id.to_string()));
        racers.push(Box::pin(async move {
            let entry = world.ledger().into_iter().find(|entry| Some(&entry.reference) == reference.as_ref());
            entry.iter().for_each(|entry| refund_in_portal(&world, entry));
        }));
    }
    if world.random.percent(30) {
        racers.push(Box::pin(shop.finish(order.id(), OrderAction::Cancel)));
    }
    start(&world, racers).await;
}

/// A hold that is to be taken and released.
async fn capture_or_void(shop: &mut Shop) {
    let world = shop.world.clone();
    let Some((order, payment)) = paid(shop, "decta-demo", CaptureMode::Manual).await else { return };
    let half = Some(payment.money.minor / 2).filter(|half| *half > 0);
    let shop = &*shop;
    let mut racers: Vec<Racer<'_>> = vec![
        Box::pin(shop.operate(order.id(), &payment, MoneyRequest::Capture { amount: None })),
        Box::pin(shop.operate(order.id(), &payment, MoneyRequest::Void)),
    ];
    if world.random.percent(50) {
        racers.push(Box::pin(shop.operate(order.id(), &payment, MoneyRequest::Capture { amount: half })));
    }
    if world.random.percent(30) {
        racers.push(Box::pin(shop.finish(order.id(), OrderAction::Cancel)));
    }
    if world.random.percent(30) {
        racers.push(Box::pin(shop.operate(order.id(), &payment, refund(None))));
    }
    start(&world, racers).await;
    // What was captured may be wanted back at once.
    shop.operate(order.id(), &payment, refund(half)).await;
}

/// The customer pays, and everybody hears of it at once: notification, return, poll, operator, merchant.
async fn learn(shop: &mut Shop) {
    let world = shop.world.clone();
    let account = world.random.pick(&["decta-demo", "paymennt-demo", "telness-demo"]);
    let Some(order) = opened(shop, account, CaptureMode::Automatic, None).await else { return };
    let Some(ticket) = shop.new_tickets(&order).pop() else { return };
    let Some(payment) = order.payments.last().map(|payment| payment.id) else { return };
    // About when a job asks too.
    sleep(world.random.millis(5_000, 8_000)).await;
    let (shop, reference) = (&*shop, order.attempts.last().map(|attempt| attempt.id.to_string()));
    let again = {
        let world = world.clone();
        async move {
            let entry = world.ledger().into_iter().find(|entry| Some(&entry.reference) == reference.as_ref());
            entry.iter().for_each(|entry| notify_again(&world, entry));
        }
    };
    let look = async {
        look(&world, order.id(), payment).await;
    };
    let racers: Vec<Racer<'_>> = vec![
        Box::pin(ticket.play(&world, "paid")),
        Box::pin(again),
        Box::pin(look),
        Box::pin(shop.refresh(&order)),
        Box::pin(shop.submit_session(&order)),
    ];
    start(&world, racers).await;
    let order = shop.order(order.id()).await;
    let refunded = async {
        if let Some(payment) = order.payments.last() {
            shop.operate(order.id(), payment, refund(None)).await;
        }
    };
    let racers: Vec<Racer<'_>> =
        vec![Box::pin(refunded), Box::pin(shop.finish(order.id(), OrderAction::Cancel))];
    start(&world, racers).await;
}

/// The order is checked out and cancelled at once, while the customer pays.
async fn checkout_or_cancel(shop: &mut Shop) {
    let world = shop.world.clone();
    let account = world.random.pick(&["decta-demo", "paymennt-demo", "telness-demo"]);
    let Some(order) = opened(shop, account, CaptureMode::Automatic, None).await else { return };
    let tickets = shop.new_tickets(&order);
    let Some(session) = order.sessions.last().map(|session| session.id) else { return };
    let request = cart::checkout(&world);
    let (shop, order) = (&*shop, order.id());
    let checkout = || shop.open_session(order, request.clone());
    let mut racers: Vec<Racer<'_>> = vec![Box::pin(shop.close_session(order, session)), Box::pin(checkout())];
    if world.random.percent(70) {
        racers.push(Box::pin(shop.finish(order, OrderAction::Cancel)));
    }
    if world.random.percent(50) {
        racers.push(Box::pin(checkout()));
    }
    racers.extend(tickets.iter().map(|ticket| Box::pin(ticket.play(&world, "paid")) as Racer<'_>));
    start(&world, racers).await;
}

/// The order runs out of time while it is paid and submitted.
async fn submit_or_expire(shop: &mut Shop) {
    let world = shop.world.clone();
    let account = world.random.pick(&["decta-demo", "paymennt-demo", "telness-demo"]);
    let Some(order) = opened(shop, account, CaptureMode::Automatic, Some(600)).await else { return };
    let tickets = shop.new_tickets(&order);
    if world.random.percent(50) {
        for ticket in &tickets {
            ticket.play(&world, "paid").await;
        }
    }
    let session = order.sessions.last().map_or(order.header.expires_at, |session| session.expires_at);
    let ends = world.random.pick(&[session, session.max(order.header.expires_at)]);
    let early = world.random.millis(0, 3_000);
    sleep(ends.minus(early).since(world.now())).await;
    let shop = &*shop;
    let mut racers: Vec<Racer<'_>> = vec![Box::pin(shop.submit_session(&order))];
    racers.extend(tickets.iter().map(|ticket| Box::pin(ticket.play(&world, "paid")) as Racer<'_>));
    if order.header.state != OrderState::Pending {
        racers.push(Box::pin(shop.refresh(&order)));
    }
    start(&world, racers).await;
}
