//! Merchants: what is done with an order from its cart to its end, wisely and unwisely.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use paymux::domain::submit::Submission;
use paymux::domain::{Actor, ExternalPayment, OrderAggregate, OrderState, Payment, Signature};
use paymux::engine::Command;
use paymux::orders::{Edit, MoneyRequest, NewOrder, OrderAction};
use paymux::payments::{CheckoutRequest, PaymentError};
use port::{OrderId, SessionId};
use tokio::time::sleep;

use crate::cart;
use crate::shop::{MERCHANT, Shop};
use crate::world::World;

/// One order's life.
pub(crate) async fn live(world: Arc<World>) {
    let mut shop = Shop::new(world.clone());
    let Some(id) = shop.create().await else { return };
    for _ in 0..world.random.between(2, 8) {
        let order = shop.order(id).await;
        shop.serve(&order);
        let longest = if world.random.percent(70) { 40 * 60 } else { 9 * 3_600 };
        sleep(world.random.span(Duration::from_secs(longest))).await;
        let order = shop.order(id).await;
        shop.serve(&order);
        if world.random.percent(15) {
            join(shop.act(&order), shop.act(&order)).await;
        } else {
            shop.act(&order).await;
        }
    }
    let order = shop.order(id).await;
    shop.serve(&order);
    shop.close().await;
}

impl Shop {
    /// Makes an order, in steps or in one.
    async fn create(&self) -> Option<OrderId> {
        let world = &self.world;
        let new = cart::new_order(world, &format!("{:016x}", world.random.roll()));
        let request = cart::checkout(world);
        if world.random.percent(60) {
            return self.create_and_checkout(new, request).await;
        }
        let created = self.send("create", move |orders, command| {
            let new = new.clone();
            async move { orders.create(MERCHANT, &command, new).await }
        });
        let order = created.await?.order.id();
        self.check_out(order).await;
        Some(order)
    }

    /// Creates an order and checks it out in one go. A repeat goes on with the order that an earlier try has left, as
    /// HTTP does.
    pub(crate) async fn create_and_checkout(
        &self,
        new: NewOrder,
        request: CheckoutRequest,
    ) -> Option<OrderId> {
        let checked_out = self.send_for_session("create and checkout", move |orders, command| {
            let (new, request) = (new.clone(), request.clone());
            async move {
                let earlier = command.key.as_ref().and_then(|key| key.replaces);
                match earlier.map(|(subject, _)| OrderId::from_uuid(subject)) {
                    Some(order) => orders.on(MERCHANT, &command, order).checkout(&request).await,
                    None => orders.create_and_checkout(MERCHANT, &command, new, &request).await,
                }
            }
        });
        Some(checked_out.await?.order.id())
    }

    /// Checks the order out.
    pub(crate) async fn open_session(&self, order: OrderId, request: CheckoutRequest) {
        self.send_for_session("checkout", move |orders, command| {
            let request = request.clone();
            async move { orders.on(MERCHANT, &command, order).checkout(&request).await }
        })
        .await;
    }

    /// Prices the order and checks it out.
    async fn check_out(&self, order: OrderId) {
        self.send("price", move |orders, command| async move {
            orders.on(MERCHANT, &command, order).price().await
        })
        .await;
        self.open_session(order, cart::checkout(&self.world)).await;
    }

    /// Does one thing that a merchant may do to an order in this state, or may not.
    async fn act(&self, order: &Arc<OrderAggregate>) {
        let (id, random) = (order.id(), &self.world.random);
        let chance = random.between(0, 99);
        match (order.header.state, chance) {
            (OrderState::Pending, 0..=54) => self.check_out(id).await,
            (OrderState::Pending, 55..=64) => self.edit(id).await,
            (OrderState::PendingPayment, 0..=19) => self.refresh(order).await,
            (OrderState::PendingPayment, 20..=34) => self.cancel_session(order).await,
            (OrderState::PendingPayment, 35..=39) => self.check_out(id).await,
            (OrderState::Pending, 65..=69) if order.header.content.payment_optional => {
                self.submit(id, Submission::default()).await;
            }
            (OrderState::Pending | OrderState::PendingPayment, 65..=69) => self.submit_external(id).await,
            (OrderState::Pending | OrderState::PendingPayment, 70..=81) => self.submit_session(order).await,
            (OrderState::Pending | OrderState::PendingPayment, 82..=89) => self.sign(id).await,
            (OrderState::PendingApproval, 0..=59) => self.finish(id, OrderAction::Approve).await,
            (OrderState::PendingApproval, 60..=79) => self.finish(id, OrderAction::Reject).await,
            (OrderState::Processing, 0..=29) => {
                let completed = random.percent(80);
                self.finish(id, OrderAction::Fulfil { completed, detail: None }).await;
            }
            (_, 90..=97) => self.finish(id, OrderAction::Cancel).await,
            (_, 98..=99) => self.refresh(order).await,
            _ => self.move_money(order).await,
        }
    }

    async fn edit(&self, order: OrderId) {
        let item = cart::item(&self.world);
        self.send("edit", move |orders, command| {
            let item = item.clone();
            async move {
                let add = |_: &OrderAggregate| Ok::<_, PaymentError>(Some(Edit::AddItem(item.clone())));
                orders.on(MERCHANT, &command, order).edit(add).await
            }
        })
        .await;
    }

    async fn cancel_session(&self, order: &OrderAggregate) {
        let Some(session) = order.sessions.last().map(|session| session.id) else { return };
        self.close_session(order.id(), session).await;
    }

    pub(crate) async fn close_session(&self, order: OrderId, session: SessionId) {
        self.send("cancel session", move |orders, command| async move {
            orders.on(MERCHANT, &command, order).cancel_session(session).await
        })
        .await;
    }

    pub(crate) async fn submit_session(&self, order: &OrderAggregate) {
        let Some(session) = order.sessions.last().map(|session| session.id) else { return };
        self.submit(order.id(), Submission { session: Some(session), ..Submission::default() }).await;
    }

    async fn submit_external(&self, order: OrderId) {
        let external = ExternalPayment {
            reference: format!("{:08x}", self.world.random.roll()),
            receipt_description: None,
            receipt_url: None,
            received_at: self.world.now(),
        };
        self.submit(order, Submission { external: Some(external), ..Submission::default() }).await;
    }

    async fn submit(&self, order: OrderId, with: Submission) {
        self.send("submit", move |orders, command| {
            let with = with.clone();
            async move { orders.on(MERCHANT, &command, order).submit(&with).await }
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
        self.send("sign", move |orders, command| {
            let signature = signature.clone();
            async move { orders.on(MERCHANT, &command, order).sign(signature).await }
        })
        .await;
    }

    pub(crate) async fn finish(&self, order: OrderId, how: OrderAction) {
        self.send(&format!("{how:?}"), move |orders, command| {
            let how = how.clone();
            async move { orders.on(MERCHANT, &command, order).perform(&how).await }
        })
        .await;
    }

    /// Reads the status of the last payment.
    pub(crate) async fn refresh(&self, order: &Arc<OrderAggregate>) {
        let Some(payment) = order.payments.last().map(|payment| payment.id) else { return };
        let known = order.clone();
        let fetched = self.world.gateway(|orders| async move {
            let command = Command::of(Actor::Merchant);
            orders.payments.fetch_status_for_merchant(known, payment, &command).await.map(drop)
        });
        let fetched = fetched.await;
        self.world.log(&format!("merchant refresh: {fetched:?}"));
    }

    /// Captures, voids or refunds, all or a part, or asks for what cannot be.
    async fn move_money(&self, order: &OrderAggregate) {
        let random = &self.world.random;
        let Some(payment) = order.payments.last() else { return };
        let part = |most: i64| (most > 1 && random.percent(60)).then(|| random.minor(1, most));
        let held = payment.state.capturable();
        let taken = payment.state.captured - payment.state.refunded();
        let request = match random.between(0, 99) {
            0..=9 => MoneyRequest::Void,
            10..=14 => MoneyRequest::Capture { amount: None },
            15..=19 => refund(Some(payment.money.minor)),
            _ if held > 0 && random.percent(70) => MoneyRequest::Capture { amount: part(held) },
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
                let reference = Some(format!("{:016x}", self.world.random.roll()));
                MoneyRequest::Refund { amount, reason: None, reference }
            }
            other => other,
        };
        self.send(&format!("{request:?}"), move |orders, command| {
            let request = request.clone();
            async move { orders.on(MERCHANT, &command, order).operate(id, &request).await }
        })
        .await;
    }
}

/// A refund of so much.
pub(crate) fn refund(amount: Option<i64>) -> MoneyRequest {
    MoneyRequest::Refund { amount, reason: None, reference: None }
}
