//! Many orders wait for their customers at an account with a read limit of one a second; some are paid.

use std::sync::Arc;
use std::time::Duration;

use port::CaptureMode;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cart;
use crate::shop::Shop;
use crate::world::{Notified, World};

/// Orders that wait: so many that reading all of them on schedule takes more than there is.
const WAITING: u32 = 120;

/// Orders that are paid meanwhile, one after the other.
const PAID: u32 = 8;

/// How long the sessions of those that wait live.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long a notification may be under way.
const MAX_UNDER_WAY: Duration = Duration::from_secs(10 * 60);

/// Fills an account, then pays.
pub(crate) async fn run(shop: &mut Shop) {
    let world = shop.world.clone();
    let account = world.random.pick(&["decta-demo", "paymennt-demo", "telness-demo"]);
    let mut waiting = JoinSet::new();
    for _ in 0..WAITING {
        let (world, late) = (world.clone(), world.random.millis(0, 600_000));
        waiting.spawn(async move {
            sleep(late).await;
            open(&mut Shop::new(world), account, LIFETIME).await;
        });
    }
    while let Some(opened) = waiting.join_next().await {
        opened.expect("merchants do not panic");
    }
    for _ in 0..PAID {
        sleep(world.random.millis(30_000, 90_000)).await;
        pay(&world, shop, account).await;
    }
    if world.seen().prompt.is_empty() {
        world.fail("no payment was notified".to_owned());
    }
}

/// Creates an order and opens a session for it.
async fn open(shop: &mut Shop, account: &str, lifetime: Duration) -> Option<port::OrderId> {
    let world = &shop.world;
    let mut new = cart::new_order(world, &format!("{:016x}", world.random.roll()));
    new.currency = "EUR".parse().expect("a currency");
    new.idle_seconds = 24 * 3_600;
    let mut request = cart::checkout_at(world, account, CaptureMode::Automatic);
    request.expires_in = lifetime;
    shop.create_and_checkout(new, request).await
}

/// A customer pays and leaves, and the provider notifies.
async fn pay(world: &Arc<World>, shop: &mut Shop, account: &str) {
    let Some(order) = open(shop, account, 2 * LIFETIME).await else { return };
    let current = shop.order(order).await;
    let Some(ticket) = shop.new_tickets(&current).pop() else { return };
    // A customer takes a while, in which the payment is read now and then.
    sleep(world.random.millis(5_000, 60_000)).await;
    let paid_at = world.now();
    ticket.pay_and_leave(world);
    let until = paid_at.plus(MAX_UNDER_WAY);
    while world.now() < until {
        if let Some(at) = ticket.notified_at(world).filter(|at| *at >= paid_at) {
            world.seen().prompt.push(Notified { order, at });
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}
