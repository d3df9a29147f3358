//! The sandbox from outside: requests in, answers out, amounts compared as text.

mod control;
mod decta;
mod pages;
mod paymennt;
mod served;
mod telness;

use crate::{Answer, Outgoing, Request, Sandbox};

/// 2026-01-01T00:00:00Z in unix microseconds.
const START: i64 = 1_767_225_600_000_000;

const SECOND: i64 = 1_000_000;

/// Where the sandbox thinks it is.
const BASE: &str = "http://sandbox.test";

/// A sandbox with a clock of its own.
struct Bench {
    sandbox: Sandbox,
    now: i64,
    notified: Vec<Outgoing>,
}

/// An answer that came.
struct Reply {
    status: u16,
    body: String,
    location: String,
}

impl Reply {
    /// The first value of a string field, wherever it stands.
    fn text(&self, field: &str) -> String {
        let marker = format!("\"{field}\":\"");
        let (_, rest) = self.body.split_once(&marker).unwrap_or_else(|| panic!("{field} in {}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }

    fn has(&self, part: &str) -> &Self {
        assert!(self.body.contains(part), "{part} in {} {}", self.status, self.body);
        self
    }

    fn lacks(&self, part: &str) -> &Self {
        assert!(!self.body.contains(part), "no {part} in {} {}", self.status, self.body);
        self
    }

    fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
}

impl Bench {
    fn new() -> Self {
        Self { sandbox: Sandbox::in_memory(BASE, 7), now: START, notified: Vec::new() }
    }

    /// With a subscription of every provider.
    fn subscribed() -> Self {
        let mut bench = Self::new();
        for (provider, secret) in [("decta", "notify-key"), ("paymennt", "whsec_a2V5"), ("telness", "shared")]
        {
            let url = format!("http://shop.test/in/{provider}/notify-key");
            assert!(bench.sandbox.subscribe(provider, &url, secret));
        }
        bench
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let answer = self.sandbox.answer(request, self.now);
        self.notified.extend(answer.notifications.clone());
        answer
    }

    fn reply(&mut self, request: &Request) -> Reply {
        let response = self.answer(request).response.expect("an answer");
        let location = response.headers.iter().find(|(name, _)| name == "location");
        let location = location.map(|(_, value)| value.clone()).unwrap_or_default();
        Reply { status: response.status, body: response.body, location }
    }

    /// A request with every provider's credentials.
    fn send(&mut self, method: &str, target: &str, body: &str) -> Reply {
        self.reply(&keyed(method, target, body))
    }

    fn control(&mut self, path: &str, body: &str) -> Reply {
        self.reply(&Request::new("POST", &format!("/control/{path}")).body(body))
    }

    fn fault(&mut self, provider: &str, operation: &str, fault: &str) {
        let body =
            format!(r#"{{"provider":"{provider}","operation":"{operation}","fault":"{fault}","times":1}}"#);
        self.control("faults", &body).is(201);
    }

    fn pay(&mut self, provider: &str, id: &str, outcome: &str) -> Reply {
        self.control("pay", &format!(r#"{{"provider":"{provider}","id":"{id}","outcome":"{outcome}"}}"#))
    }

    fn advance(&mut self, provider: &str, id: &str, word: &str) -> Reply {
        self.control("advance", &format!(r#"{{"provider":"{provider}","id":"{id}","word":"{word}"}}"#))
    }

    fn ledger(&mut self) -> Reply {
        self.reply(&Request::new("GET", "/control/ledger"))
    }

    fn page(&mut self, method: &str, path: &str, form: &str) -> Reply {
        self.reply(&Request::new(method, path).body(form))
    }
}

fn keyed(method: &str, target: &str, body: &str) -> Request {
    Request::new(method, target)
        .header("Authorization", "Bearer sk_test")
        .header("X-Api-Key", "key")
        .header("X-Paymennt-Api-Key", "key")
        .header("X-Paymennt-Api-Secret", "mer_secret")
        .header("Content-Type", "application/json")
        .body(body)
}

const CARD: &str = "number=4242+4242+4242+4242&expiry=12%2F25&cvv=100&name=TEST+USER&terms=yes";
