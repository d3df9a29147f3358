//! How a merchant talks to the gateway: with idempotency keys or without, twice by mistake, again after silence, and
//! once more long after the answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use paymux::domain::{Actor, AttemptState, OrderAggregate, Outcome};
use paymux::engine::{Command, CommandError, IdempotencyKey};
use paymux::orders::Orders;
use paymux::payments::PaymentError;
use paymux::store::IdempotencyRow;
use port::{AttemptId, OrderId, sign};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::answers;
use crate::customer::{Ticket, visit};
use crate::host::{Down, read};
use crate::random::Random;
use crate::world::World;

/// The one merchant.
pub(crate) const MERCHANT: &str = "simulated";

/// How often a request with a key is sent at most.
const TRIES: u32 = 6;

/// How often a key is looked up again after another request took it meanwhile, as HTTP does.
const MAX_LOOKUPS: u32 = 3;

/// How merchants send their requests in a run.
pub(crate) struct Habits {
    /// Requests that are lost on their way, and answers.
    lost_permille: u64,
    /// Requests with a key that are sent once more long after they were answered.
    repeated_permille: u64,
}

impl Habits {
    pub(crate) fn draw(random: &Random) -> Self {
        let lossy = random.percent(30);
        Self {
            lost_permille: if lossy { random.between(20, 250) } else { 0 },
            repeated_permille: if lossy { random.between(100, 500) } else { 40 },
        }
    }
}

/// A merchant's dealings around one order.
pub(crate) struct Shop {
    pub(crate) world: Arc<World>,
    /// Attempts whose page a customer has got.
    served: Vec<AttemptId>,
    customers: JoinSet<()>,
}

/// A request of a merchant, however often it is sent.
struct Request<A> {
    world: Arc<World>,
    what: String,
    command: Command,
    /// Whether it is to create a session.
    creates_session: bool,
    act: A,
    /// One request with a key runs at a time, as HTTP has it.
    turn: Mutex<()>,
}

impl Shop {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, served: Vec::new(), customers: JoinSet::new() }
    }

    /// Sends a request until it is answered, as a careful merchant does. `None` if it was refused, or its outcome is
    /// unknown.
    pub(crate) async fn send<A, F>(&self, what: &str, act: A) -> Option<Outcome>
    where
        A: Fn(Orders, Command) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Outcome, PaymentError>> + Send + 'static,
    {
        self.request(what, false, act).await
    }

    /// The same for a request that is to create a session.
    pub(crate) async fn send_for_session<A, F>(&self, what: &str, act: A) -> Option<Outcome>
    where
        A: Fn(Orders, Command) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Outcome, PaymentError>> + Send + 'static,
    {
        self.request(what, true, act).await
    }

    async fn request<A, F>(&self, what: &str, creates_session: bool, act: A) -> Option<Outcome>
    where
        A: Fn(Orders, Command) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Outcome, PaymentError>> + Send + 'static,
    {
        let (world, random) = (self.world.clone(), &self.world.random);
        let key = random.percent(70).then(|| {
            IdempotencyKey::new(format!("{:016x}", random.roll()), sign::sha256(&[what.as_bytes()]))
        });
        let repeated = key.is_some() && random.permille(world.habits.repeated_permille);
        let command = Command { key, ..Command::of(Actor::Merchant) };
        let what = what.to_owned();
        let request = Request { world, what, command, creates_session, act, turn: Mutex::default() };
        let request = Arc::new(request);
        let outcome = until_answered(&request).await;
        if repeated {
            let later = random.span(Duration::from_secs(4 * 3_600));
            self.world.network(async move {
                sleep(later).await;
                drop(until_answered(&request).await);
            });
        }
        outcome
    }

    /// The order as it is now; a merchant waits for a gateway that is down.
    pub(crate) async fn order(&self, order: OrderId) -> Arc<OrderAggregate> {
        loop {
            let found = read(&self.world, |store| async move { store.order(order).await }).await;
            match found {
                Ok(Some(order)) => return order,
                Ok(None) => panic!("order {order} is gone"),
                Err(Down) => sleep(self.world.random.millis(500, 5_000)).await,
            }
        }
    }

    /// Gives every page that is new to a customer.
    pub(crate) fn serve(&mut self, order: &OrderAggregate) {
        for ticket in self.new_tickets(order) {
            self.customers.spawn(visit(self.world.clone(), ticket));
        }
    }

    /// What customers could have in hand and have not yet.
    pub(crate) fn new_tickets(&mut self, order: &OrderAggregate) -> Vec<Ticket> {
        let created = |attempt: &AttemptId| {
            order.attempt(*attempt).is_some_and(|found| found.state == AttemptState::Created)
        };
        let current = order.sessions.iter().map(|session| session.attempt).filter(created);
        let new: Vec<AttemptId> = current.filter(|attempt| !self.served.contains(attempt)).collect();
        self.served.extend(&new);
        new.into_iter().filter_map(|attempt| Ticket::of(order.attempt(attempt)?)).collect()
    }

    /// Until every customer has gone.
    pub(crate) async fn close(mut self) {
        while let Some(gone) = self.customers.join_next().await {
            gone.expect("customers do not panic");
        }
    }
}

/// Whether the request had its effect is not known.
struct Unsure;

async fn until_answered<A, F>(request: &Arc<Request<A>>) -> Option<Outcome>
where
    A: Fn(Orders, Command) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Outcome, PaymentError>> + Send + 'static,
{
    let random = &request.world.random;
    let has_key = request.command.key.is_some();
    for _ in 0..TRIES {
        let answer = if has_key && random.percent(5) {
            let twice = join(once(request), once(request)).await;
            if matches!(twice.0, Ok(Some(_))) { twice.0 } else { twice.1 }
        } else {
            once(request).await
        };
        match answer {
            Ok(outcome) => return outcome,
            Err(Unsure) if has_key => sleep(random.millis(500, 90_000)).await,
            Err(Unsure) => return None,
        }
    }
    None
}

/// Sends a request once. On the way there and back it may be lost.
async fn once<A, F>(request: &Arc<Request<A>>) -> Result<Option<Outcome>, Unsure>
where
    A: Fn(Orders, Command) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Outcome, PaymentError>> + Send + 'static,
{
    let (world, what) = (&request.world, &request.what);
    let lost = || world.random.permille(world.habits.lost_permille);
    if lost() {
        world.log(&format!("merchant {what}: lost on the way there"));
        return Err(Unsure);
    }
    let carried_out = {
        let request = request.clone();
        world.gateway(|orders| async move { carry_out(&request, orders).await }).await
    };
    if lost() {
        world.log(&format!("merchant {what}: lost on the way back"));
        return Err(Unsure);
    }
    match carried_out {
        Ok(Ok((outcome, row))) => {
            world.log(&format!("merchant {what}: {:?} at {}", outcome.status, outcome.order.head.sequence));
            if let Some(row) = row {
                answers::shown(world, what, &row, &outcome, request.creates_session);
            }
            Ok(Some(outcome))
        }
        Ok(Err(fault)) => {
            world.log(&format!("merchant {what}: {fault:?}"));
            let unsure = match fault {
                PaymentError::Command(fault) => {
                    matches!(fault, CommandError::Store(_) | CommandError::IdempotencyKeyTaken)
                }
                PaymentError::Provider(_)
                | PaymentError::ProvidersUnavailable { .. }
                | PaymentError::CredentialsRefused { .. } => true,
                PaymentError::Route { .. } | PaymentError::AccountNotConfigured { .. } => false,
            };
            if unsure { Err(Unsure) } else { Ok(None) }
        }
        Err(Down) => {
            world.log(&format!("merchant {what}: silence"));
            Err(Unsure)
        }
    }
}

/// Carries a request out, once for each key, as HTTP does; a repeat comes to the same.
async fn carry_out<A, F>(
    request: &Request<A>,
    orders: Orders,
) -> Result<(Outcome, Option<IdempotencyRow>), PaymentError>
where
    A: Fn(Orders, Command) -> F + Send + Sync,
    F: Future<Output = Result<Outcome, PaymentError>> + Send,
{
    let mut command = request.command.clone();
    let Some(text) = command.key.as_ref().map(|key| key.text.clone()) else {
        return Ok(((request.act)(orders, command).await?, None));
    };
    let _turn = request.turn.lock().await;
    let store = orders.payments.engine.store.clone();
    for _ in 0..MAX_LOOKUPS {
        let row = store.idempotency(MERCHANT, &text).await?;
        if let Some(row) = &row
            && let Some(outcome) = orders.recall(&command.following(), row, request.creates_session).await?
        {
            return Ok((outcome, Some(row.clone())));
        }
        if let Some(key) = &mut command.key {
            key.replaces = row.map(|row| (row.subject, row.sequence));
        }
        match (request.act)(orders.clone(), command.clone()).await {
            Err(PaymentError::Command(CommandError::IdempotencyKeyTaken)) => {}
            outcome => {
                let outcome = outcome?;
                // Whether it was recorded: what changed nothing is decided anew each time.
                let row = store.idempotency(MERCHANT, &text).await.ok().flatten();
                return Ok((outcome, row));
            }
        }
    }
    Err(CommandError::IdempotencyKeyTaken.into())
}
