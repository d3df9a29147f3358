//! The API over real sockets: a server on a port of its own, a fresh database, and a provider that the test controls.

mod access;
mod answers;
mod attention;
mod cards;
mod charges;
mod checkout;
mod client;
mod disk;
mod fake_provider;
pub mod gateway;
mod head;
mod idempotency;
mod input;
mod lanes;
mod limits;
mod lists;
mod lost;
mod money;
mod notifications;
mod ops;
mod orders;
mod qr;
mod reads;
mod refused;
mod retired;
mod returns;
mod spellings;
mod stream;
mod upkeep;
mod vault;

use client::Reply;
use fake_provider::Start;
use gateway::Gateway;
use serde_json::{Value, json};

/// A small order in euros: two lines, 12.50 in all with tax.
fn small_order() -> Value {
    json!({
        "currency": "EUR",
        "customer": {"id": "c-1", "email": "ann@example.test", "phone": "+4915112345678", "firstName": "Ann"},
        "items": [
            {"title": "Coffee beans", "sku": "BEANS", "quantity": 2, "unitPrice": 400, "taxRate": "25"},
            {"title": "Filter papers", "quantity": 1, "unitPrice": 200},
        ],
        "shipping": 50,
        "metadata": {"channel": "web"},
    })
}

fn hosted() -> Value {
    json!({
        "approach": "HOSTED",
        "returnUrls": {
            "success": "https://shop.test/ok",
            "inProgress": "https://shop.test/wait",
            "failure": "https://shop.test/no",
        },
    })
}

impl Gateway {
    /// An order with a price, as the API shows it.
    async fn priced_order(&self) -> Value {
        let order = self.post("/v1/orders").json(&small_order()).await.expect(201);
        let id = order["id"].as_str().unwrap();
        self.post(&format!("/v1/orders/{id}/price")).await_it().await.expect(200)
    }

    /// A session on a new order, open at the provider.
    async fn session(&self) -> Value {
        let order = self.priced_order().await;
        let path = format!("/v1/orders/{}/checkout", order["id"].as_str().unwrap());
        self.post(&path).json(&hosted()).await.expect(201)
    }

    /// A new order whose session was paid, or held where the capture is by hand: the session.
    async fn paid_session(&self, capture: &str) -> Value {
        let order = self.priced_order().await;
        let path = format!("/v1/orders/{}/checkout", order["id"].as_str().unwrap());
        let mut request = hosted();
        request["captureMode"] = capture.into();
        let session = self.post(&path).json(&request).await.expect(201);
        let reference = session["providerReference"].as_str().unwrap();
        self.provider.say(reference, if capture == "MANUAL" { "held" } else { "paid" });
        let path = format!("/v1/payment-sessions/{}?refresh=true", session["id"].as_str().unwrap());
        self.get(&path).await.expect(200)
    }
}

/// The codes and pointers of the faults in a problem.
fn faults(problem: &Value) -> Vec<(String, String)> {
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
    let all = problem["errors"].as_array().unwrap();
    all.iter().map(|fault| (text(fault, "pointer"), text(fault, "code"))).collect()
}

fn id(resource: &Value) -> &str {
    resource["id"].as_str().unwrap()
}
