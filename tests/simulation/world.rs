//! Everything outside the gateway that a run needs: the imitated providers, the network between them and the
//! gateway, and what the checks will want to know afterwards. It outlives every crash of the gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use paymux_sandbox::{Answer, Request, Sandbox};
use port::{Env as _, OrderId, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::answers::LastShown;
use crate::clock::Clock;
use crate::conditions::{Conditions, PROVIDERS};
use crate::host::Host;
use crate::ledger::{self, Entry};
use crate::post;
use crate::random::Random;
use crate::shop::Habits;
use crate::trace::Trace;

/// The address of the sandbox; nothing listens there.
pub(crate) const SANDBOX_URL: &str = "https://sandbox.test";

/// Where each provider's notifications go, and with which secret: as `config/sandbox.toml` has it.
const SUBSCRIPTIONS: [(&str, &str, &str); 3] = [
    ("telness", "http://gateway.test/webhooks/telness-demo", "sandbox-telness-webhook-key"),
    (
        "paymennt",
        "http://gateway.test/webhooks/paymennt-demo",
        "whsec_c2FuZGJveC1wYXltZW5udC13ZWJob29rLXNlY3JldA==",
    ),
    ("decta", "http://gateway.test/webhooks/decta-demo/sandbox-decta-notify-key", "sandbox-decta-notify-key"),
];

/// The world around the gateway.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) clock: Arc<Clock>,
    pub(crate) trace: Trace,
    pub(crate) conditions: Mutex<Conditions>,
    pub(crate) host: Host,
    pub(crate) habits: Habits,
    sandbox: Mutex<Sandbox>,
    /// What the gateway signs its events with.
    pub(crate) signs_with: OnceLock<String>,
    network: Mutex<JoinSet<()>>,
    seen: Mutex<Seen>,
}

/// What was seen from outside, for the checks.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// Refunds and captures that took effect at a provider.
    pub(crate) effects: Vec<Effect>,
    /// When a notification about an object was last accepted by the gateway.
    pub(crate) notified: BTreeMap<String, Timestamp>,
    /// What the merchant's listener has received, in the order of arrival.
    pub(crate) received: Vec<Received>,
    /// Objects whose status was set in the portal.
    pub(crate) changed_in_portal: BTreeSet<String>,
    /// What merchants were last shown of their requests, by idempotency key.
    pub(crate) answers: BTreeMap<String, LastShown>,
    /// Payments that shall be known to be paid soon after their notification.
    pub(crate) prompt: Vec<Notified>,
    /// What must not have happened and did.
    pub(crate) failures: Vec<String>,
}

/// An event that reached the merchant.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) order: String,
    pub(crate) event: String,
    /// Its place among the events of the order that merchants are notified of.
    pub(crate) sequence: u64,
}

/// The first notification about a customer's payment.
#[derive(Clone, Debug)]
pub(crate) struct Notified {
    pub(crate) order: OrderId,
    /// When the gateway had accepted it.
    pub(crate) at: Timestamp,
}

/// Money that moved at a provider because of a call.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) object: String,
    pub(crate) verb: &'static str,
    pub(crate) minor: i64,
    pub(crate) by_gateway: bool,
}

impl World {
    pub(crate) fn new(
        seed: u64,
        conditions: Conditions,
        clock: Arc<Clock>,
        host: Host,
        habits: Habits,
        trace: Trace,
    ) -> Arc<Self> {
        let mut sandbox = Sandbox::in_memory(SANDBOX_URL, seed);
        for (provider, url, secret) in SUBSCRIPTIONS {
            assert!(sandbox.subscribe(provider, url, secret), "the sandbox knows {provider}");
        }
        Arc::new(Self {
            random: Random::new(seed),
            clock,
            trace,
            conditions: Mutex::new(conditions),
            host,
            habits,
            sandbox: Mutex::new(sandbox),
            signs_with: OnceLock::new(),
            network: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn log(&self, line: &str) {
        self.trace.log(self.now(), line);
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        held(&self.seen)
    }

    /// Remembers that something happened which must not.
    pub(crate) fn fail(&self, why: String) {
        self.log(&format!("FAILURE {why}"));
        self.seen().failures.push(why);
    }

    /// Something that goes on outside the gateway, whatever happens to it.
    pub(crate) fn network(&self, going_on: impl Future<Output = ()> + Send + 'static) {
        let mut network = held(&self.network);
        network.spawn(going_on);
        while let Some(ended) = network.try_join_next() {
            ended.expect("nothing outside the gateway panics");
        }
    }

    /// A request reaches the providers, with what befalls it there.
    pub(crate) fn serve(
        self: &Arc<Self>,
        request: &Request,
        fault: Option<&str>,
        by_gateway: bool,
    ) -> Answer {
        let now = self.now();
        let provider =
            PROVIDERS.iter().position(|name| request.path.trim_start_matches('/').starts_with(name));
        let notification_fault =
            provider.and_then(|at| held(&self.conditions).notification_fault(&self.random, at, now));
        let answer = {
            let mut sandbox = held(&self.sandbox);
            let micros = self.clock.micros();
            let verb = ["capture", "refund", "reverse"].into_iter().find(|verb| acts(request, verb));
            let before = verb.map(|_| ledger::read(&mut sandbox, micros));
            if let (Some(fault), Some(at)) = (fault, provider) {
                plan(&mut sandbox, PROVIDERS[at], "any", fault, micros);
            }
            if let (Some(fault), Some(at)) = (notification_fault, provider) {
                plan(&mut sandbox, PROVIDERS[at], "notify", fault, micros);
            }
            let answer = sandbox.answer(request, micros);
            sandbox.answer(&Request::new("DELETE", "/control/faults"), micros);
            if let (Some(verb), Some(before)) = (verb, before) {
                let after = ledger::read(&mut sandbox, micros);
                self.seen().effects.extend(effects(verb, &before, &after, by_gateway));
            }
            answer
        };
        let status = answer.response.as_ref().map_or(0, |response| response.status);
        self.log(&format!("provider {} {} {fault:?} -> {status}", request.method, request.path));
        post::dispatch(self, &answer.notifications);
        answer
    }

    /// Uses the sandbox's control API. What it refuses, such as a status that does not fit, has not happened.
    pub(crate) fn control(self: &Arc<Self>, path: &str, body: &Value) {
        let request = Request::new("POST", path).body(body.to_string());
        let answer = held(&self.sandbox).answer(&request, self.clock.micros());
        let status = answer.response.map_or(0, |response| response.status);
        self.log(&format!("control {path} {body} -> {status}"));
        post::dispatch(self, &answer.notifications);
    }

    /// Lets the providers do what is due.
    pub(crate) fn tick(self: &Arc<Self>) {
        let sent = held(&self.sandbox).tick(self.clock.micros());
        if !sent.is_empty() {
            self.log("the providers' clocks strike");
        }
        post::dispatch(self, &sent);
    }

    /// Everything that exists at the providers.
    pub(crate) fn ledger(&self) -> Vec<Entry> {
        ledger::read(&mut held(&self.sandbox), self.clock.micros())
    }
}

/// Whether a request wants this of an object.
fn acts(request: &Request, verb: &str) -> bool {
    request.method == "POST" && request.path.trim_end_matches('/').ends_with(&format!("/{verb}"))
}

/// Has the next answer or notification of a provider go wrong.
fn plan(sandbox: &mut Sandbox, provider: &str, operation: &str, fault: &str, now: i64) {
    let body = json!({ "provider": provider, "operation": operation, "fault": fault });
    let planned = sandbox.answer(&Request::new("POST", "/control/faults").body(body.to_string()), now);
    let status = planned.response.map(|response| response.status);
    assert_eq!(status, Some(201), "the sandbox knows the fault {fault}");
}

/// What a call has moved. It makes no object, so that the two lists stand side by side.
fn effects(verb: &'static str, before: &[Entry], after: &[Entry], by_gateway: bool) -> Vec<Effect> {
    let moved = |then: &Entry, now: &Entry| match verb {
        "capture" => now.captured - then.captured,
        _ => now.refunded - then.refunded,
    };
    let pairs = before.iter().zip(after).map(|(then, now)| (now.id.clone(), moved(then, now)));
    let moved = pairs.filter(|(_, minor)| *minor != 0);
    moved.map(|(object, minor)| Effect { object, verb, minor, by_gateway }).collect()
}

/// A panic elsewhere is reported where it happened.
pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
