//! What Acme is sent.

use paymux_port::{Attempt, JsonObject, Result};

use super::ABOUT;

/// The body that starts a payment.
pub(super) fn payment(attempt: &Attempt) -> Result<JsonObject> {
    Ok(JsonObject::new()
        .put("amount", ABOUT.capabilities.currencies.to_major(attempt.money)?)
        .put("currency", attempt.currency())
        .put("reference", attempt.id.to_string()))
}
