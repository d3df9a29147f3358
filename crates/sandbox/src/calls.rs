//! What reached the providers: the newest requests, without their credentials.

use std::collections::{BTreeMap, VecDeque};

use crate::dialect::rfc3339;
use crate::doc::Doc;
use crate::http::Request;
use crate::object::Provider;

/// Older calls are forgotten.
const MAX_CALLS: usize = 10_000;

/// Longer bodies are cut.
const MAX_BODY: usize = 16 * 1024;

struct NotedCall {
    provider: Provider,
    at: i64,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A bounded log of requests.
#[derive(Default)]
pub(crate) struct Calls(VecDeque<NotedCall>);

impl Calls {
    pub(crate) fn record(&mut self, provider: Provider, request: &Request, now: i64) {
        if self.0.len() >= MAX_CALLS {
            self.0.pop_front();
        }
        let mark = if request.query.is_empty() { "" } else { "?" };
        let headers = request.headers.iter().map(|(name, value)| {
            let shown = if is_credential(name) { "[hidden]" } else { value.as_str() };
            (name.clone(), shown.to_owned())
        });
        let body = request.body.get(..MAX_BODY).unwrap_or(&request.body);
        self.0.push_back(NotedCall {
            provider,
            at: now,
            method: request.method.clone(),
            path: format!("{}{mark}{}", request.path, request.query),
            headers: headers.collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        });
    }

    /// Oldest first; of one provider or of all.
    pub(crate) fn show(&self, provider: Option<Provider>) -> impl Iterator<Item = Doc> {
        let wanted = move |call: &&NotedCall| provider.is_none_or(|wanted| wanted == call.provider);
        self.0.iter().filter(wanted).map(|call| {
            Doc::default()
                .put("provider", call.provider)
                .put("at", rfc3339(call.at))
                .put("method", &call.method)
                .put("path", &call.path)
                .put("headers", &call.headers)
                .put("body", &call.body)
        })
    }
}

fn is_credential(header: &str) -> bool {
    let key_names = ["authorization", "x-api-key", "cookie"];
    key_names.contains(&header)
        || header.starts_with("x-paymennt-api-")
        || header.starts_with("x-pointcheckout-")
}
