//! What Acme answers: only the fields that are used. Statuses stay text.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) page: Option<String>,
}
