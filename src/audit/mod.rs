//! The audit: checkpoints over all changes, verification of the stored data, and erasure of personal data.

mod beside;
mod checkpoint;
mod erase;
mod head;
mod verify;

pub use checkpoint::{CHECKPOINT_INTERVAL, checkpoint};
pub use erase::{Erased, ErasureTarget, erase};
pub use head::{Tail, missing_after, tail};
pub use verify::{AuditReport, verify};
