//! Customers: what people do on the page that a checkout gave them, in time and long after, and their way back.

use std::sync::Arc;
use std::time::Duration;

use paymux::domain::{Actor, Attempt, OrderAggregate, subject_of};
use paymux::engine::Command;
use paymux::orders::Orders;
use paymux_sandbox::Request;
use port::{Next, Timestamp};
use serde_json::json;
use tokio::time::sleep;

use crate::world::{SANDBOX_URL, World};

/// What a customer has in hand.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    provider: String,
    /// The provider's id of the object.
    object: String,
    /// The page's path; a widget has none.
    page: Option<String>,
}

impl Ticket {
    /// What an attempt gives the customer, once it does.
    pub(crate) fn of(attempt: &Attempt) -> Option<Self> {
        let (provider, object) = (attempt.provider.clone(), attempt.reference.clone()?);
        let page = match attempt.next.as_ref()?.value()? {
            Next::Page(url) => Some(url.strip_prefix(SANDBOX_URL)?.to_owned()),
            Next::Widget(_) => None,
            Next::Nothing => return None,
        };
        Some(Self { provider, object, page })
    }

    /// The customer presses a button, and is perhaps sent back to us.
    pub(crate) async fn play(&self, world: &Arc<World>, scenario: &str) {
        match &self.page {
            Some(page) => {
                let request = Request::new("POST", page).body(format!("scenario={scenario}"));
                let answer = world.serve(&request, None, false);
                let headers = answer.response.map(|response| response.headers).unwrap_or_default();
                let back = headers.into_iter().find(|(name, _)| name == "location").map(|(_, url)| url);
                if let Some(url) = back.filter(|_| world.random.percent(80)) {
                    sleep(world.random.millis(50, 2_000)).await;
                    come_back(world, &url).await;
                }
            }
            None => {
                let outcome = match scenario {
                    "transfer" => "slow",
                    "challenge" => "action_required",
                    "approve" => "paid",
                    "deny" => "declined",
                    "cancel" => "cancelled",
                    "close" => return,
                    other => other,
                };
                let pay = json!({ "provider": self.provider, "id": self.object, "outcome": outcome });
                world.control("/control/pay", &pay);
            }
        }
    }

    /// The customer pays and is gone, so that only the provider reports it.
    pub(crate) fn pay_and_leave(&self, world: &Arc<World>) {
        match &self.page {
            Some(page) => {
                world.serve(&Request::new("POST", page).body("scenario=paid"), None, false);
            }
            None => {
                let pay = json!({ "provider": self.provider, "id": self.object, "outcome": "paid" });
                world.control("/control/pay", &pay);
            }
        }
    }

    /// When the gateway last accepted a notification about the object.
    pub(crate) fn notified_at(&self, world: &World) -> Option<Timestamp> {
        world.seen().notified.get(&self.object).copied()
    }

    /// Opens the page.
    pub(crate) fn look(&self, world: &Arc<World>) {
        if let Some(page) = &self.page {
            world.serve(&Request::new("GET", page), None, false);
        }
    }
}

/// A customer's whole business with one page.
pub(crate) async fn visit(world: Arc<World>, ticket: Ticket) {
    let random = &world.random;
    if random.percent(10) {
        return;
    }
    let patience = if random.percent(80) { 20 * 60 } else { 20 * 3_600 };
    sleep(random.span(Duration::from_secs(patience))).await;
    ticket.look(&world);
    for _ in 0..random.between(0, 2) {
        sleep(random.millis(2_000, 60_000)).await;
        let scenario = random.pick(&["declined", "declined", "close", "challenge"]);
        ticket.play(&world, scenario).await;
    }
    sleep(random.millis(1_000, 90_000)).await;
    let end = match random.between(0, 10) {
        0..=4 => "paid",
        5 => "slow",
        6 => "transfer",
        7 => "challenge",
        8 => "cancel",
        9 => "declined_final",
        _ => "close",
    };
    ticket.play(&world, end).await;
    if end == "challenge" {
        sleep(random.millis(1_000, 40_000)).await;
        let answer = random.pick(&["approve", "approve", "deny"]);
        ticket.play(&world, answer).await;
    }
    if random.percent(15) {
        // The page was left open, and is tried again.
        sleep(random.span(Duration::from_secs(30 * 3_600))).await;
        ticket.look(&world);
        ticket.play(&world, "paid").await;
    }
}

/// The browser arrives at our return address.
async fn come_back(world: &Arc<World>, url: &str) {
    let Some((_, token)) = url.split_once("/return/") else { return };
    let token = token.split(['?', '#']).next().unwrap_or_default().to_owned();
    let fetched = world.gateway(|orders| async move { come_back_with(&orders, &token).await }).await;
    world.log(&format!("a customer is back: {fetched:?}"));
}

/// Finds the attempt, and fetches its status while its session is open. Returns the session's status then.
async fn come_back_with(orders: &Orders, token: &str) -> Option<&'static str> {
    let payments = &orders.payments;
    let attempt = payments.providers.returns().read(token)?.attempt;
    let order = payments.engine.store.load::<OrderAggregate>(subject_of(attempt.uuid())).await.ok()??;
    let session = order.session(order.attempt(attempt)?.session)?;
    let (id, payment) = (session.id, session.payment);
    if !session.status.is_open() {
        return Some(session.status.as_str());
    }
    if payments.reserve_customer_fetch(payment, Duration::from_secs(1)).is_none() {
        return Some(session.status.as_str());
    }
    let command = Command::of(Actor::Customer);
    let fetched = payments.fetch_status_for_customer(order.clone(), payment, &command).await;
    fetched.unwrap_or(order).session(id).map(|session| session.status.as_str())
}
