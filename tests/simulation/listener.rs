//! The merchant's own listener: what it hears of its orders, and what befalls it.

use std::sync::Arc;

use async_trait::async_trait;
use paymux::webhooks::{Draft, Endpoints};
use port::{ExposeSecret as _, HttpRequest, HttpResponse, Transport, TransportError};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::time::sleep;

use crate::rng::Rng;
use crate::shop::MERCHANT;
use crate::world::{ReceivedEvent, World, held};

/// Where the merchant listens; nothing does.
const URL: &str = "https://shop.test/events";

/// The way from the gateway to the merchant.
pub(crate) struct Listener {
    world: Arc<World>,
    rng: Arc<Rng>,
}

impl Listener {
    pub(crate) fn new(world: Arc<World>, rng: Arc<Rng>) -> Self {
        Self { world, rng }
    }

    /// The merchant wants to hear of everything.
    pub(crate) async fn subscribe(world: &World) {
        let draft = Draft { url: URL.to_owned(), types: Vec::new(), description: None };
        let subscribing = world.gateway(|orders| async move {
            let shared = &orders.payments.shared;
            let endpoints = Endpoints {
                store: shared.store.clone(),
                registry: shared.endpoint_registry.clone(),
                env: shared.env.clone(),
            };
            loop {
                // The store may stumble after it has written.
                match endpoints.list(MERCHANT).await.as_deref() {
                    Ok([made, ..]) => return made.secret.expose_secret().to_owned(),
                    Ok([]) => drop(endpoints.create(MERCHANT, draft.clone(), None).await),
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
        let fate = held(&world.fault_plan).delivery_fault(&self.rng, world.now());
        sleep(fate.there).await;
        if fate.refused {
            return Err(TransportError::NotSent("connection refused".to_owned()));
        }
        if !is_signed(world, call) {
            world.fail("an event was not signed".to_owned());
        }
        if !fate.stumbles {
            let event: Value = serde_json::from_slice(&call.body).expect("events are JSON");
            let text = |name: &str| event[name].as_str().expect("events have it").to_owned();
            let sequence = event["sequence"].as_u64().expect("events have a place");
            world.facts().received.push(ReceivedEvent {
                order: text("orderId"),
                event: text("id"),
                sequence,
            });
        }
        sleep(fate.back).await;
        if fate.lost {
            return Err(TransportError::Lost("the connection was closed".to_owned()));
        }
        let status = if fate.stumbles { 503 } else { 204 };
        Ok(HttpResponse { status, retry_after: None, body: Vec::new() })
    }
}
