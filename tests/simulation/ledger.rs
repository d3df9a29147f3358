//! The sandbox's ledger, the oracle: what really happened to the money.

use paymux_sandbox::{Request, Sandbox};
use port::{Currency, Timestamp};
use serde::Deserialize;

/// One object at a provider. Amounts in minor units.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub(crate) provider: String,
    pub(crate) id: String,
    /// Our reference.
    pub(crate) reference: String,
    pub(crate) currency: Currency,
    pub(crate) held: i64,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    #[serde(rename = "word")]
    pub(crate) status: String,
    pub(crate) created_at: Timestamp,
    pub(crate) history: Vec<Step>,
}

/// One change of an object.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Step {
    pub(crate) at: Timestamp,
    pub(crate) held: i64,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
}

impl Entry {
    /// Whether money lies there.
    pub(crate) fn holds_money(&self) -> bool {
        self.held > 0 || self.captured > self.refunded
    }

    /// When it last changed.
    pub(crate) fn changed_at(&self) -> Timestamp {
        self.history.last().map_or(self.created_at, |step| step.at)
    }
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Entry>,
}

/// Reads the whole ledger, oldest object first.
pub(crate) fn read(sandbox: &mut Sandbox, micros: i64) -> Vec<Entry> {
    let answer = sandbox.answer(&Request::new("GET", "/control/ledger"), micros);
    let response = answer.response.expect("the control API answers");
    serde_json::from_str::<Listed>(&response.body).expect("the ledger is JSON").data
}
