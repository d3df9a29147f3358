//! The audit: checkpoints over all changes, verification of the stored data, and erasure of personal data.

mod checkpoint;
mod derived_rows;
mod erase;
mod last_change;
mod verify;

pub use checkpoint::{CHECKPOINT_INTERVAL, checkpoint};
pub use erase::{Erased, ErasureTarget, erase};
pub use last_change::{LastChangeCheck, check_last_change, missing_after};
pub use verify::{AuditReport, verify};
