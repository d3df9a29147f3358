//! Merchants: what is done with an order from its cart to its end, wisely and unwisely.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use paymux::domain::submit::Submission;
use paymux::domain::{Actor, Cause, ExternalPayment, OrderAggregate, OrderState, Payment, Signature};
use paymux::orders::{Edit, Finish, MoneyRequest};
use port::{OrderId, SessionId};
use tokio::time::sleep;

use crate::order_generator;
use crate::shop::{Answer, MerchantClient};
use crate::world::World;

/// One order's life.
pub(crate) async fn live(world: Arc<World>) {
    let mut client = MerchantClient::new(world.clone());
    let Some(id) = client.begin().await else { return };
    for _ in 0..world.rng.between(2, 8) {
        let order = client.file(id).await;
        client.serve(&order);
        let longest = if world.rng.percent(70) { 40 * 60 } else { 9 * 3_600 };
        sleep(world.rng.span(Duration::from_secs(longest))).await;
        let order = client.file(id).await;
        client.serve(&order);
        if world.rng.percent(15) {
            join(client.act(&order), client.act(&order)).await;
        } else {
            client.act(&order).await;
        }
    }
    let order = client.file(id).await;
    client.serve(&order);
    client.close().await;
}

impl MerchantClient {
    /// Makes an order, in steps or in one.
    async fn begin(&self) -> Option<OrderId> {
        let world = &self.world;
        let draft = order_generator::draft(world, &format!("{:016x}", world.rng.roll()));
        let request = order_generator::checkout(world);
        if world.rng.percent(60) {
            let quick = self.ask("quick", |orders, context| {
                let (draft, request) = (draft.clone(), request.clone());
                async move {
                    orders
                        .create_and_checkout(&context, draft, &request)
                        .await
                        .map(|checked| checked.order.id())
                }
            });
            return match quick.await {
                Answer::Done(order) | Answer::Before(order) => Some(order),
                Answer::No => None,
            };
        }
        let placed = self.ask("place", |orders, context| {
            let draft = draft.clone();
            async move { orders.create(&context, draft).await.map(|order| order.id()) }
        });
        let order = match placed.await {
            Answer::Done(order) | Answer::Before(order) => order,
            Answer::No => return None,
        };
        self.check_out(order).await;
        Some(order)
    }

    /// Prices the order and checks it out.
    async fn check_out(&self, order: OrderId) {
        self.ask("price", |orders, context| async move { orders.price(&context, order).await.map(drop) })
            .await;
        let request = order_generator::checkout(&self.world);
        self.ask("checkout", |orders, context| {
            let request = request.clone();
            async move { orders.checkout(&context, order, &request).await.map(drop) }
        })
        .await;
    }

    /// Does one thing that a merchant may do to an order in this state, or may not.
    async fn act(&self, order: &OrderAggregate) {
        let (id, rng) = (order.id(), &self.world.rng);
        let chance = rng.between(0, 99);
        match (order.header.state, chance) {
            (OrderState::Pending, 0..=54) => self.check_out(id).await,
            (OrderState::Pending, 55..=64) => self.edit(id).await,
            (OrderState::PendingPayment, 0..=19) => self.refresh(order).await,
            (OrderState::PendingPayment, 20..=34) => self.cancel_session(order).await,
            (OrderState::PendingPayment, 35..=39) => self.check_out(id).await,
            (OrderState::Pending | OrderState::PendingPayment, 65..=69) => self.submit_external(id).await,
            (OrderState::Pending | OrderState::PendingPayment, 70..=81) => self.submit_session(order).await,
            (OrderState::Pending | OrderState::PendingPayment, 82..=89) => self.sign(id).await,
            (OrderState::PendingApproval, 0..=59) => self.finish(id, Finish::Approve).await,
            (OrderState::PendingApproval, 60..=79) => self.finish(id, Finish::Reject).await,
            (OrderState::Processing, 0..=29) => {
                let completed = rng.percent(80);
                self.finish(id, Finish::Fulfil { completed, detail: None }).await;
            }
            (_, 90..=97) => self.finish(id, Finish::Cancel).await,
            (_, 98..=99) => self.refresh(order).await,
            _ => self.move_money(order).await,
        }
    }

    async fn edit(&self, order: OrderId) {
        let item = order_generator::item(&self.world);
        self.ask("edit", |orders, context| {
            let item = item.clone();
            async move { orders.edit(&context, order, Edit::AddItem(item)).await.map(drop) }
        })
        .await;
    }

    async fn cancel_session(&self, order: &OrderAggregate) {
        let Some(session) = order.sessions.last().map(|session| session.id) else { return };
        self.close_session(order.id(), session).await;
    }

    pub(crate) async fn close_session(&self, order: OrderId, session: SessionId) {
        self.ask("cancel session", |orders, context| async move {
            orders.cancel_session(&context, order, session).await.map(drop)
        })
        .await;
    }

    pub(crate) async fn submit_session(&self, order: &OrderAggregate) {
        let Some(session) = order.sessions.last().map(|session| session.id) else { return };
        self.submit(order.id(), Submission { session: Some(session), ..Submission::default() }).await;
    }

    async fn submit_external(&self, order: OrderId) {
        let external = ExternalPayment {
            reference: format!("{:08x}", self.world.rng.roll()),
            receipt_description: None,
            receipt_url: None,
            received_at: self.world.now(),
        };
        self.submit(order, Submission { external: Some(external), ..Submission::default() }).await;
    }

    async fn submit(&self, order: OrderId, with: Submission) {
        self.ask("submit", |orders, context| {
            let with = with.clone();
            async move { orders.submit(&context, order, &with).await.map(drop) }
        })
        .await;
    }

    async fn sign(&self, order: OrderId) {
        let signature = Signature {
            signer: "Ann".to_owned(),
            method: "BankID".to_owned(),
            reference: "1".to_owned(),
            signed_at: self.world.now(),
        };
        self.ask("sign", |orders, context| {
            let signature = signature.clone();
            async move { orders.sign(&context, order, signature).await.map(drop) }
        })
        .await;
    }

    pub(crate) async fn finish(&self, order: OrderId, how: Finish) {
        self.ask(&format!("{how:?}"), |orders, context| {
            let how = how.clone();
            async move { orders.finish(&context, order, &how).await.map(drop) }
        })
        .await;
    }

    /// Looks how the last payment stands.
    pub(crate) async fn refresh(&self, order: &OrderAggregate) {
        let Some(payment) = order.payments.last().map(|payment| payment.id) else { return };
        let known = order.clone();
        let cause = Cause { actor: Actor::Merchant, request: None };
        let asked = self.world.gateway(|orders| async move {
            orders.payments.fetch_status_for_merchant(known, payment, &cause).await.map(drop)
        });
        let asked = asked.await;
        self.world.note(&format!("merchant refresh: {asked:?}"));
    }

    /// Captures, voids or refunds, all or a part, or asks for what cannot be.
    async fn move_money(&self, order: &OrderAggregate) {
        let rng = &self.world.rng;
        let Some(payment) = order.payments.last() else { return };
        let part = |most: i64| (most > 1 && rng.percent(60)).then(|| rng.minor(1, most));
        let held = payment.state.capturable();
        let taken = payment.state.captured - payment.state.refunded();
        let request = match rng.between(0, 99) {
            0..=9 => MoneyRequest::Void,
            10..=14 => MoneyRequest::Capture { amount: None },
            15..=19 => refund(Some(payment.money.minor)),
            _ if held > 0 && rng.percent(70) => MoneyRequest::Capture { amount: part(held) },
            _ if held > 0 => MoneyRequest::Void,
            _ if taken > 0 => refund(part(taken)),
            _ => return,
        };
        self.operate(order.id(), payment, request).await;
    }

    pub(crate) async fn operate(&self, order: OrderId, payment: &Payment, request: MoneyRequest) {
        let id = payment.id;
        // A refund's reference is its own, so that none can be made twice unseen.
        let request = match request {
            MoneyRequest::Refund { amount, .. } => {
                let reference = Some(format!("{:016x}", self.world.rng.roll()));
                MoneyRequest::Refund { amount, reason: None, reference }
            }
            other => other,
        };
        self.ask(&format!("{request:?}"), |orders, context| {
            let request = request.clone();
            async move { orders.operate(&context, order, id, &request).await.map(drop) }
        })
        .await;
    }
}

/// A refund of so much.
pub(crate) fn refund(amount: Option<i64>) -> MoneyRequest {
    MoneyRequest::Refund { amount, reason: None, reference: None }
}
