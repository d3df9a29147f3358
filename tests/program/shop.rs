//! A merchant and its customers, over HTTP.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header, redirect};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// The accounts of the demo, one of each style.
pub const ACCOUNTS: [&str; 3] = ["decta-demo", "telness-demo", "paymennt-demo"];

/// The API key that the demo accepts.
const KEY: &str = "pmx_test_demo";

/// A shop that uses one gateway.
#[derive(Clone)]
pub struct Shop {
    client: Client,
    pub url: String,
    pub sandbox: String,
    key: String,
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Whether it says to be a repeat.
    pub replayed: bool,
    pub text: String,
}

impl Answer {
    /// The body; null if there is none.
    pub fn body(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|fault| panic!("{fault}: {}", self.text))
    }

    /// The code of a problem, empty for anything else.
    pub fn code(&self) -> String {
        self.body()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// How long something that is due may take, at most.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Looks again and again until there is what is waited for. A look in vain answers what it saw instead, which is
/// told when [`PATIENCE`] ends.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(look: impl Fn() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "still {seen}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

impl Shop {
    pub fn new(url: &str, sandbox: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().redirect(redirect::Policy::none()).timeout(Duration::from_secs(60));
        let (url, sandbox, key) = (url.to_owned(), sandbox.to_owned(), KEY.to_owned());
        Self { client: client.build().unwrap(), url, sandbox, key }
    }

    /// The shop of another merchant at the same gateway.
    pub fn of_another(&self, key: String) -> Self {
        Self { key, ..self.clone() }
    }

    /// A checkout of one item at an account; `None` lets the routing decide.
    pub fn order(account: Option<&str>, currency: &str, amount: i64) -> Value {
        let mut body = json!({
            "order": {
                "currency": currency,
                "customer": {"email": "ann@example.test", "firstName": "Ann", "lastName": "Berg"},
                "billingAddress": {"name": "Ann Berg", "line1": "Brivibas 1", "city": "Riga", "country": "LV"},
                "items": [{"title": "Mug", "quantity": 1, "unitPrice": amount}],
            },
            "checkout": {
                "approach": "HOSTED",
                "returnUrls": {
                    "success": "http://localhost:3000/thanks",
                    "inProgress": "http://localhost:3000/wait",
                    "failure": "http://localhost:3000/sorry",
                    "cancel": "http://localhost:3000/cart",
                },
            },
        });
        if let Some(account) = account {
            body["checkout"]["account"] = json!(account);
        }
        body
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key)
    }

    /// Sends a request, and again as soon as the rate limit allows.
    async fn politely(request: RequestBuilder) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = request.try_clone().expect("a body in memory").send().await.unwrap();
            if answer.status() != StatusCode::TOO_MANY_REQUESTS {
                let replayed = answer.headers().contains_key("idempotent-replayed");
                let status = answer.status().as_u16();
                return Answer { status, replayed, text: answer.text().await.unwrap() };
            }
            assert!(Instant::now() < deadline, "the rate limit never allows it");
            sleep(retry_after(&answer)).await;
        }
    }

    /// Does something, with an idempotency key or without.
    pub async fn send_with(&self, method: Method, path: &str, key: Option<&str>, body: &Value) -> Answer {
        let request = self.request(method, path).json(body);
        let request = key.into_iter().fold(request, |request, key| request.header("Idempotency-Key", key));
        Self::politely(request).await
    }

    /// Does something with an idempotency key.
    pub async fn send(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send_with(Method::POST, path, Some(key), body).await
    }

    /// Does something without.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.send_with(Method::POST, path, None, body).await;
        (answer.status, answer.body())
    }

    /// Reads something of the API.
    pub async fn get(&self, path: &str) -> Value {
        let answer = Self::politely(self.request(Method::GET, path)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.body()
    }

    /// Reads something of the API that may not answer.
    pub async fn try_get(&self, path: &str) -> reqwest::Result<Value> {
        self.request(Method::GET, path).send().await?.json().await
    }

    /// Does something with an idempotency key, where the gateway may not answer.
    pub async fn try_post(&self, path: &str, key: &str, body: &Value) -> reqwest::Result<(u16, Value)> {
        let request = self.request(Method::POST, path).header("Idempotency-Key", key).json(body);
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// A checkout, tried with the same key until the gateway has an answer, as a client would that lives
    /// through the gateway's death.
    pub async fn checkout(&self, key: &str, body: &Value) -> Value {
        eventually(|| async {
            match self.try_post("/v1/checkouts", key, body).await {
                Ok((201, answer)) => Ok(answer),
                Ok((status, answer)) if !may_repeat(status) => panic!("{status} {answer}"),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// Has the sandbox do something that no customer does. Answers its status.
    pub async fn control(&self, what: &str, body: &Value) -> u16 {
        let request = self.client.post(format!("{}/control/{what}", self.sandbox)).json(body);
        request.send().await.unwrap().status().as_u16()
    }

    /// Reads from the sandbox: from a provider, or from its control API.
    pub async fn at_sandbox(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.sandbox)).header("X-Api-Key", "any");
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn listed(&self, path: &str) -> Vec<Value> {
        self.at_sandbox(&format!("/control/{path}")).await["data"].as_array().unwrap().clone()
    }

    /// Every object of the sandbox's ledger.
    pub async fn ledger(&self) -> Vec<Value> {
        self.listed("ledger").await
    }

    /// The calls that a provider has got; the oldest of very many are forgotten.
    pub async fn calls(&self, provider: &str) -> Vec<Value> {
        self.listed(&format!("calls?provider={provider}")).await
    }

    /// How many charges of a stored card paymennt received.
    pub async fn debits(&self) -> usize {
        let is_debit =
            |call: &&Value| call["path"].as_str().is_some_and(|path| path.ends_with("/payment/debit"));
        self.calls("paymennt").await.iter().filter(is_debit).count()
    }

    /// The first payment profile of a customer, once there is one.
    pub async fn payment_profile(&self, customer: &str) -> String {
        let path = format!("/v1/payment-profiles?customerId={customer}&refresh=true");
        let known = self.until_at(&path, |known| known["data"][0]["id"].is_string()).await;
        known["data"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The customer fills in the page with the test card and presses the button.
    pub async fn pay(&self, page: &str) -> Option<String> {
        let card = [
            ("number", "4242 4242 4242 4242"),
            ("expiry", "12/25"),
            ("cvv", "100"),
            ("name", "TEST USER"),
            ("terms", "yes"),
        ];
        self.submit(page, &card).await
    }

    /// The customer plays one of the page's other scenarios.
    pub async fn play(&self, page: &str, scenario: &str) -> Option<String> {
        self.submit(page, &[("scenario", scenario)]).await
    }

    /// Posts the page's form and goes where it leads: through the gateway's return to the merchant. Answers the
    /// merchant's address, if the customer ends up there.
    async fn submit(&self, page: &str, fields: &[(&str, &str)]) -> Option<String> {
        let body = fields.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+")));
        let request =
            self.client.post(page).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut answer = request.body(body.collect::<Vec<_>>().join("&")).send().await.unwrap();
        const MAX_HOPS: usize = 4;
        for _ in 0..MAX_HOPS {
            let next = location(&answer, page)?;
            if next.starts_with("http://localhost:3000/") {
                return Some(next);
            }
            // A gateway that was killed does not answer; the customer is left with an error page.
            answer = self.client.get(&next).send().await.ok()?;
        }
        None
    }

    /// Reads the order until it is as it should be.
    pub async fn until(&self, order: &str, done: impl Fn(&Value) -> bool) -> Value {
        self.until_at(&format!("/v1/orders/{order}"), done).await
    }

    /// Reads something of the API until it is as it should be.
    pub async fn until_at(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        eventually(|| async {
            let read = self.get(path).await;
            if done(&read) { Ok(read) } else { Err(read.to_string()) }
        })
        .await
    }
}

/// How long a client waits after a 429.
fn retry_after(answer: &Response) -> Duration {
    let seconds = answer.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    Duration::from_secs(seconds)
}

fn may_repeat(status: u16) -> bool {
    matches!(status, 202 | 409 | 500..)
}

fn location(answer: &Response, page: &str) -> Option<String> {
    let given = answer.headers().get(header::LOCATION)?.to_str().unwrap();
    let base = reqwest::Url::parse(page).unwrap();
    Some(base.join(given).unwrap().to_string())
}
