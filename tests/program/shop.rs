//! A merchant and its customers, over HTTP.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, header, redirect};
use serde_json::{Value, json};

/// The accounts of the demo, one of each style.
pub const ACCOUNTS: [&str; 3] = ["decta-demo", "telness-demo", "paymennt-demo"];

/// A shop that uses one gateway.
#[derive(Clone)]
pub struct Shop {
    client: Client,
    pub url: String,
    sandbox: String,
}

/// What a request with an idempotency key was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Whether it says to be a repeat.
    pub replayed: bool,
    pub text: String,
}

impl Answer {
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|fault| panic!("{fault}: {}", self.text))
    }

    /// The code of a problem, empty for anything else.
    pub fn code(&self) -> String {
        self.body()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// How long something that is due may take, at most.
pub const PATIENCE: Duration = Duration::from_secs(90);

impl Shop {
    pub fn new(url: &str, sandbox: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().redirect(redirect::Policy::none()).timeout(Duration::from_secs(60));
        Self { client: client.build().unwrap(), url: url.to_owned(), sandbox: sandbox.to_owned() }
    }

    /// A checkout of one item at an account; `None` lets the routing decide.
    pub fn order(account: Option<&str>, currency: &str, amount: i64) -> Value {
        json!({
            "order": {
                "currency": currency,
                "customer": {"email": "ann@example.test", "firstName": "Ann", "lastName": "Berg"},
                "billingAddress": {"name": "Ann Berg", "line1": "Brivibas 1", "city": "Riga", "country": "LV"},
                "items": [{"title": "Mug", "quantity": 1, "unitPrice": amount}],
            },
            "checkout": {
                "approach": "HOSTED",
                "account": account,
                "returnUrls": {
                    "success": "http://localhost:3000/thanks",
                    "inProgress": "http://localhost:3000/wait",
                    "failure": "http://localhost:3000/sorry",
                    "cancel": "http://localhost:3000/cart",
                },
            },
        })
    }

    /// One try of a checkout.
    pub async fn try_checkout(&self, key: &str, body: &Value) -> reqwest::Result<(StatusCode, Value)> {
        let mut body = body.clone();
        if body["checkout"]["account"].is_null() {
            body["checkout"].as_object_mut().unwrap().remove("account");
        }
        let request = self.client.post(format!("{}/v1/checkouts", self.url));
        let answer =
            request.bearer_auth("pmx_test_demo").header("Idempotency-Key", key).json(&body).send().await?;
        Ok((answer.status(), answer.json().await?))
    }

    /// A checkout, tried with the same key until the gateway has an answer, as a client would that lives
    /// through the gateway's death.
    pub async fn checkout(&self, key: &str, body: &Value) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.try_checkout(key, body).await {
                Ok((StatusCode::CREATED, answer)) => return answer,
                Ok((status, answer)) if !may_repeat(status) => panic!("{status} {answer}"),
                last => assert!(tokio::time::Instant::now() < deadline, "{last:?}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Reads something of the API.
    pub async fn get(&self, path: &str) -> Value {
        loop {
            let request = self.client.get(format!("{}{path}", self.url)).bearer_auth("pmx_test_demo");
            let answer = request.send().await.unwrap();
            if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                tokio::time::sleep(retry_after(&answer)).await;
                continue;
            }
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            return answer.json().await.unwrap();
        }
    }

    /// Reads something of the API that may not answer.
    pub async fn try_get(&self, path: &str) -> reqwest::Result<Value> {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth("pmx_test_demo");
        request.send().await?.json().await
    }

    /// Does something with an idempotency key, where the gateway may not answer.
    pub async fn try_post(&self, path: &str, key: &str, body: &Value) -> reqwest::Result<StatusCode> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth("pmx_test_demo");
        Ok(request.header("Idempotency-Key", key).json(body).send().await?.status())
    }

    /// Does something with an idempotency key, as soon as the rate limit allows.
    pub async fn send(&self, path: &str, key: &str, body: &Value) -> Answer {
        loop {
            let request = self.client.post(format!("{}{path}", self.url)).bearer_auth("pmx_test_demo");
            let answer = request.header("Idempotency-Key", key).json(body).send().await.unwrap();
            if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                tokio::time::sleep(retry_after(&answer)).await;
                continue;
            }
            let status = answer.status().as_u16();
            let replayed = answer.headers().contains_key("idempotent-replayed");
            return Answer { status, replayed, text: answer.text().await.unwrap() };
        }
    }

    /// Has the sandbox do something that no customer does.
    pub async fn control(&self, what: &str, body: &Value) -> StatusCode {
        self.client.post(format!("{}/control/{what}", self.sandbox)).json(body).send().await.unwrap().status()
    }

    /// Does something to the API's objects.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth("pmx_test_demo");
        let answer = request.json(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
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
        const MOST_HOPS: usize = 4;
        for _ in 0..MOST_HOPS {
            let next = location(&answer, page)?;
            if next.starts_with("http://localhost:3000/") {
                return Some(next);
            }
            // A gateway that was killed does not answer; the customer is left with an error page.
            answer = self.client.get(&next).send().await.ok()?;
        }
        None
    }

    /// Every object of the sandbox's ledger.
    pub async fn ledger(&self) -> Vec<Value> {
        let answer = self.client.get(format!("{}/control/ledger", self.sandbox)).send().await.unwrap();
        let ledger: Value = answer.json().await.unwrap();
        ledger["data"].as_array().unwrap().clone()
    }

    /// Reads the order until it is as it should be.
    pub async fn until(&self, order: &str, done: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let read = self.get(&format!("/v1/orders/{order}")).await;
            if done(&read) {
                return read;
            }
            assert!(tokio::time::Instant::now() < deadline, "still {read}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// How long a polite client waits when it is told that it asks too often.
fn retry_after(answer: &Response) -> Duration {
    let seconds = answer.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    Duration::from_secs(seconds)
}

fn may_repeat(status: StatusCode) -> bool {
    matches!(status, StatusCode::ACCEPTED | StatusCode::CONFLICT) || status.is_server_error()
}

fn location(answer: &Response, page: &str) -> Option<String> {
    let given = answer.headers().get(header::LOCATION)?.to_str().unwrap();
    let base = reqwest::Url::parse(page).unwrap();
    Some(base.join(given).unwrap().to_string())
}
