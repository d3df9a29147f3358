//! In which states something may be done.

use super::error::DomainError;
use super::order::{OrderHeader, OrderState};

/// Refuses unless the order is in one of the states.
pub(super) fn ensure(
    header: &OrderHeader,
    action: &'static str,
    allowed: &'static [OrderState],
) -> Result<(), DomainError> {
    if allowed.contains(&header.state) {
        return Ok(());
    }
    Err(DomainError::InvalidState { action, state: header.state, allowed })
}
