//! The merchant's own listener: what it hears of its orders, and what befalls it.

use std::sync::Arc;

use async_trait::async_trait;
use paymux::domain::{Actor, EndpointSettings};
use paymux::engine::Command;
use paymux::webhooks::Endpoints;
use port::{HttpRequest, HttpResponse, Transport, TransportError};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::time::sleep;

use crate::shop::MERCHANT;
use crate::world::{Received, World, held};

/// Where the merchant listens; nothing does.
const URL: &str = "https://shop.test/events";

/// The way from the gateway to the merchant.
pub(crate) struct Listener {
    world: Arc<World>,
}

impl Listener {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// The merchant wants to hear of everything.
    pub(crate) async fn subscribe(world: &World) {
        let new = EndpointSettings { url: URL.to_owned(), types: Vec::new(), description: None };
        let subscribing = world.gateway(|orders| async move {
            let endpoints = Endpoints { engine: orders.payments.engine.clone() };
            let command = Command::of(Actor::Merchant);
            loop {
                // The store may fail after it has written.
                match endpoints.list(MERCHANT).await.as_deref() {
                    Ok([made, ..]) => {
                        let secret = made.secret.value().expect("it was not erased");
                        return secret.expose().to_owned();
                    }
                    Ok([]) => drop(endpoints.by(MERCHANT, &command).create(new.clone()).await),
                    Err(_) => {}
                }
            }
        });
        let secret = subscribing.await.expect("the gateway runs");
        world.signs_with.set(secret).expect("the merchant subscribes once");
    }
}

/// Whether the merchant would believe that this comes from the gateway.
fn is_signed(world: &World, call: &HttpRequest) -> bool {
    let header = |name: &str| {
        let found = call.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.expose()).unwrap_or_default()
    };
    let webhook = Webhook::new(world.signs_with.get().expect("the merchant has subscribed"));
    let at = header("webhook-timestamp").parse().unwrap_or_default();
    let expected = webhook.and_then(|webhook| webhook.sign(header("webhook-id"), at, &call.body));
    expected.is_ok_and(|expected| header("webhook-signature").split(' ').any(|one| one == expected))
}

#[async_trait]
impl Transport for Listener {
    async fn send(&self, _: &str, call: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let world = &self.world;
        let disturbance = held(&world.conditions).at_the_listener(&world.random, world.now());
        sleep(disturbance.there).await;
        if disturbance.refused {
            return Err(TransportError::NotSent("connection refused".to_owned()));
        }
        if !is_signed(world, call) {
            world.fail("an event was not signed".to_owned());
        }
        if !disturbance.fails {
            let event: Value = serde_json::from_slice(&call.body).expect("events are JSON");
            let text = |name: &str| event[name].as_str().expect("events have it").to_owned();
            let sequence = event["sequence"].as_u64().expect("events have a place");
            world.seen().received.push(Received { order: text("orderId"), event: text("id"), sequence });
        }
        sleep(disturbance.back).await;
        if disturbance.lost {
            return Err(TransportError::Lost("the connection was closed".to_owned()));
        }
        let status = if disturbance.fails { 503 } else { 204 };
        Ok(HttpResponse { status, retry_after: None, body: Vec::new() })
    }
}
