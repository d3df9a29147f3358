//! Races: several people want something of the same money at the same moment, and delays decide who is first.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use paymux::domain::{OrderAggregate, OrderState, Payment};
use paymux::orders::{Finish, MoneyRequest};
use port::CaptureMode;
use tokio::time::sleep;

use crate::merchant::refund;
use crate::order_generator;
use crate::portal_and_operators::{look, refund as refund_in_portal, tell_again};
use crate::shop::{Answer, MerchantClient};
use crate::world::World;

/// Every race by its name.
pub(crate) const RACES: [&str; 5] =
    ["refund-refund", "capture-void", "learn", "checkout-cancel", "submit-expire"];

type Racer<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs one race, then lets its order live on.
pub(crate) async fn run(world: Arc<World>, name: &'static str) {
    let mut client = MerchantClient::new(world.clone());
    world.note(&format!("race {name}"));
    match name {
        "refund-refund" => refunds(&mut client).await,
        "capture-void" => capture_or_void(&mut client).await,
        "learn" => learn(&mut client).await,
        "checkout-cancel" => checkout_or_cancel(&mut client).await,
        _ => submit_or_expire(&mut client).await,
    }
    client.close().await;
}

/// Everybody starts within a moment.
async fn start(world: &World, racers: Vec<Racer<'_>>) {
    let late = world.rng.pick(&[0, 20, 400, 6_000]);
    let racers = racers.into_iter().map(|racer| async move {
        sleep(world.rng.millis(0, late)).await;
        racer.await;
    });
    join_all(racers).await;
}

/// An order that waits for its payment at an account.
async fn opened(
    client: &mut MerchantClient,
    account: &str,
    capture: CaptureMode,
    idle_seconds: Option<u64>,
) -> Option<OrderAggregate> {
    let world = client.world.clone();
    let mut draft = order_generator::draft(&world, &format!("{:016x}", world.rng.roll()));
    draft.currency = "EUR".parse().expect("a currency");
    draft.idle_seconds = idle_seconds.unwrap_or(draft.idle_seconds);
    let request = order_generator::checkout_at(&world, account, capture);
    let quick = client.ask("quick", |orders, context| {
        let (draft, request) = (draft.clone(), request.clone());
        async move {
            orders.create_and_checkout(&context, draft, &request).await.map(|checked| checked.order.id())
        }
    });
    match quick.await {
        Answer::Done(order) | Answer::Before(order) => Some(client.file(order).await),
        Answer::No => None,
    }
}

/// The same, paid or held, as far as the weather allows.
async fn paid(
    client: &mut MerchantClient,
    account: &str,
    capture: CaptureMode,
) -> Option<(OrderAggregate, Payment)> {
    let world = client.world.clone();
    let order = opened(client, account, capture, None).await?;
    let ticket = client.new_tickets(&order).pop()?;
    ticket.play(&world, "paid").await;
    let payment = order.payments.last()?.id;
    for _ in 0..3 {
        look(&world, order.id(), payment).await;
        let order = client.file(order.id()).await;
        let payment = order.payment(payment)?.clone();
        if payment.state.holds_money() {
            return Some((order, payment));
        }
        sleep(Duration::from_secs(10)).await;
    }
    None
}

/// Refunds that together are more than there is, some of them in the portal.
async fn refunds(client: &mut MerchantClient) {
    let world = client.world.clone();
    let account = world.rng.pick(&["decta-demo", "paymennt-demo"]);
    let Some((order, payment)) = paid(client, account, CaptureMode::Automatic).await else { return };
    let taken = payment.state.captured;
    let client = &*client;
    let mut racers: Vec<Racer<'_>> = Vec::new();
    for _ in 0..world.rng.between(2, 4) {
        let amount = world.rng.pick(&[None, Some(taken * 3 / 5), Some(taken / 3), Some(1)]);
        racers.push(Box::pin(client.operate(order.id(), &payment, refund(amount))));
    }
    if world.rng.percent(40) {
        let (world, reference) = (world.clone(), order.attempts.last().map(|attempt| attempt.id.to_string()));
        racers.push(Box::pin(async move {
            let entry = world.ledger().into_iter().find(|entry| Some(&entry.reference) == reference.as_ref());
            entry.iter().for_each(|entry| refund_in_portal(&world, entry));
        }));
    }
    if world.rng.percent(30) {
        racers.push(Box::pin(client.finish(order.id(), Finish::Cancel)));
    }
    start(&world, racers).await;
}

/// A hold that is to be taken and released.
async fn capture_or_void(client: &mut MerchantClient) {
    let world = client.world.clone();
    let Some((order, payment)) = paid(client, "decta-demo", CaptureMode::Manual).await else { return };
    let half = Some(payment.money.minor / 2).filter(|half| *half > 0);
    let client = &*client;
    let mut racers: Vec<Racer<'_>> = vec![
        Box::pin(client.operate(order.id(), &payment, MoneyRequest::Capture { amount: None })),
        Box::pin(client.operate(order.id(), &payment, MoneyRequest::Void)),
    ];
    if world.rng.percent(50) {
        racers.push(Box::pin(client.operate(order.id(), &payment, MoneyRequest::Capture { amount: half })));
    }
    if world.rng.percent(30) {
        racers.push(Box::pin(client.finish(order.id(), Finish::Cancel)));
    }
    if world.rng.percent(30) {
        racers.push(Box::pin(client.operate(order.id(), &payment, refund(None))));
    }
    start(&world, racers).await;
    // What was captured may be wanted back at once.
    client.operate(order.id(), &payment, refund(half)).await;
}

/// The customer pays, and everybody hears of it at once: notice, return, poll, operator, merchant.
async fn learn(client: &mut MerchantClient) {
    let world = client.world.clone();
    let account = world.rng.pick(&["decta-demo", "paymennt-demo", "telness-demo"]);
    let Some(order) = opened(client, account, CaptureMode::Automatic, None).await else { return };
    let Some(ticket) = client.new_tickets(&order).pop() else { return };
    let Some(payment) = order.payments.last().map(|payment| payment.id) else { return };
    // About when the agenda asks too.
    sleep(world.rng.millis(5_000, 8_000)).await;
    let (client, reference) = (&*client, order.attempts.last().map(|attempt| attempt.id.to_string()));
    let again = {
        let world = world.clone();
        async move {
            let entry = world.ledger().into_iter().find(|entry| Some(&entry.reference) == reference.as_ref());
            entry.iter().for_each(|entry| tell_again(&world, entry));
        }
    };
    let look = async {
        look(&world, order.id(), payment).await;
    };
    let racers: Vec<Racer<'_>> = vec![
        Box::pin(ticket.play(&world, "paid")),
        Box::pin(again),
        Box::pin(look),
        Box::pin(client.refresh(&order)),
        Box::pin(client.submit_session(&order)),
    ];
    start(&world, racers).await;
    let order = client.file(order.id()).await;
    let refunded = async {
        if let Some(payment) = order.payments.last() {
            client.operate(order.id(), payment, refund(None)).await;
        }
    };
    let racers: Vec<Racer<'_>> =
        vec![Box::pin(refunded), Box::pin(client.finish(order.id(), Finish::Cancel))];
    start(&world, racers).await;
}

/// The order is checked out and given up in the same breath, while somebody pays.
async fn checkout_or_cancel(client: &mut MerchantClient) {
    let world = client.world.clone();
    let account = world.rng.pick(&["decta-demo", "paymennt-demo", "telness-demo"]);
    let Some(order) = opened(client, account, CaptureMode::Automatic, None).await else { return };
    let tickets = client.new_tickets(&order);
    let Some(session) = order.sessions.last().map(|session| session.id) else { return };
    let request = order_generator::checkout(&world);
    let (client, order) = (&*client, order.id());
    let checkout = || async {
        client
            .ask("checkout", |orders, context| {
                let request = request.clone();
                async move { orders.checkout(&context, order, &request).await.map(drop) }
            })
            .await;
    };
    let mut racers: Vec<Racer<'_>> =
        vec![Box::pin(client.close_session(order, session)), Box::pin(checkout())];
    if world.rng.percent(70) {
        racers.push(Box::pin(client.finish(order, Finish::Cancel)));
    }
    if world.rng.percent(50) {
        racers.push(Box::pin(checkout()));
    }
    racers.extend(tickets.iter().map(|ticket| Box::pin(ticket.play(&world, "paid")) as Racer<'_>));
    start(&world, racers).await;
}

/// The order runs out of time while it is paid and submitted.
async fn submit_or_expire(client: &mut MerchantClient) {
    let world = client.world.clone();
    let account = world.rng.pick(&["decta-demo", "paymennt-demo", "telness-demo"]);
    let Some(order) = opened(client, account, CaptureMode::Automatic, Some(600)).await else { return };
    let tickets = client.new_tickets(&order);
    if world.rng.percent(50) {
        for ticket in &tickets {
            ticket.play(&world, "paid").await;
        }
    }
    let session = order.sessions.last().map_or(order.header.expires_at, |session| session.expires_at);
    let ends = world.rng.pick(&[session, session.max(order.header.expires_at)]);
    let early = world.rng.millis(0, 3_000);
    sleep(ends.minus(early).since(world.now())).await;
    let client = &*client;
    let mut racers: Vec<Racer<'_>> = vec![Box::pin(client.submit_session(&order))];
    racers.extend(tickets.iter().map(|ticket| Box::pin(ticket.play(&world, "paid")) as Racer<'_>));
    if order.header.state != OrderState::Pending {
        racers.push(Box::pin(client.refresh(&order)));
    }
    start(&world, racers).await;
}
