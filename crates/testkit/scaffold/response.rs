//! What Acme answers: only the fields that are used. Statuses stay text.

use paymux_port::{Side, Text};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Payment {
    pub(super) id: Text,
    pub(super) status: Text,
    pub(super) page: Side<Text>,
}
