//! Acme's JSON: only the fields that are used. Statuses stay text.

use paymux_port::{Currency, Decimal};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub(super) struct NewPayment {
    pub(super) amount: Decimal,
    pub(super) currency: Currency,
    pub(super) reference: String,
}

#[derive(Deserialize)]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) page: Option<String>,
}
