//! How a merchant talks to the gateway: with idempotency keys or without, twice by mistake, again after silence.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::join;
use paymux::domain::{Actor, AttemptState, Cause, OrderAggregate};
use paymux::orders::{CommandContext, Key, OrderError, Orders};
use port::{AttemptId, OrderId};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::customer::{Ticket, visit};
use crate::gateway_host::{Down, read};
use crate::world::World;

/// The one merchant.
pub(crate) const MERCHANT: &str = "simulated";

/// A merchant's dealings around one order.
pub(crate) struct MerchantClient {
    pub(crate) world: Arc<World>,
    /// Attempts whose page a customer has got.
    served: Vec<AttemptId>,
    customers: JoinSet<()>,
}

/// What became of a request.
pub(crate) enum Answer<T> {
    /// This.
    Done(T),
    /// The key says that it had its effect on this order before.
    Before(OrderId),
    /// Nothing, or nobody knows.
    No,
}

impl MerchantClient {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, served: Vec::new(), customers: JoinSet::new() }
    }

    /// Sends a request until it is answered, as a careful merchant does.
    pub(crate) async fn ask<T, F>(&self, what: &str, act: impl Fn(Orders, CommandContext) -> F) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, OrderError>> + Send + 'static,
    {
        let rng = &self.world.rng;
        let key = rng.percent(70).then(|| format!("{:016x}", rng.roll()));
        let context = CommandContext {
            merchant: MERCHANT.into(),
            cause: Cause { actor: Actor::Merchant, request: None },
            key: key.clone().map(|text| Key { text, fingerprint: what.to_owned(), replaces: None }),
            expects: None,
        };
        for _ in 0..5 {
            let answer = if key.is_some() && rng.percent(5) {
                let twice = join(self.once(what, &context, &act), self.once(what, &context, &act)).await;
                if matches!(twice.0, Ok(Some(_))) { twice.0 } else { twice.1 }
            } else {
                self.once(what, &context, &act).await
            };
            match answer {
                Ok(Some(done)) => return Answer::Done(done),
                Ok(None) => return Answer::No,
                Err(Unsure) => {}
            }
            let Some(key) = &key else { return Answer::No };
            sleep(rng.millis(500, 90_000)).await;
            if let Ok(Some(order)) = self.order_of_key(key).await {
                return Answer::Before(order);
            }
        }
        Answer::No
    }

    async fn once<T, F>(
        &self,
        what: &str,
        context: &CommandContext,
        act: &impl Fn(Orders, CommandContext) -> F,
    ) -> Result<Option<T>, Unsure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, OrderError>> + Send + 'static,
    {
        let context = context.clone();
        match self.world.gateway(|orders| act(orders, context)).await {
            Ok(Ok(done)) => {
                self.world.note(&format!("merchant {what}: done"));
                Ok(Some(done))
            }
            Ok(Err(fault)) => {
                self.world.note(&format!("merchant {what}: {fault:?}"));
                let unsure =
                    matches!(fault, OrderError::Store(_) | OrderError::KeyTaken | OrderError::Payment(_));
                if unsure { Err(Unsure) } else { Ok(None) }
            }
            Err(Down) => {
                self.world.note(&format!("merchant {what}: silence"));
                Err(Unsure)
            }
        }
    }

    async fn order_of_key(&self, key: &str) -> Result<Option<OrderId>, Down> {
        let key = key.to_owned();
        let row = read(&self.world, |store| async move { store.key(MERCHANT, &key).await }).await?;
        Ok(row.and_then(|used| used.row).map(|row| row.order))
    }

    /// The order as it is now; a merchant waits for a gateway that is down.
    pub(crate) async fn file(&self, order: OrderId) -> OrderAggregate {
        loop {
            let found = read(&self.world, |store| async move { store.order(order).await }).await;
            match found {
                Ok(Some(order)) => return order,
                Ok(None) => panic!("order {order} is gone"),
                Err(Down) => sleep(self.world.rng.millis(500, 5_000)).await,
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
        let begun = |attempt: &AttemptId| {
            order.attempt(*attempt).is_some_and(|found| found.state == AttemptState::Created)
        };
        let current = order.sessions.iter().map(|session| session.attempt).filter(begun);
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
