//! The books: checkpoints over all changes, checking that everything fits, and erasing personal data.

mod checkpoint;
mod erase;
mod verify;

pub use checkpoint::{CHECKPOINT_INTERVAL, checkpoint};
pub use erase::{Erased, erase};
pub use verify::{AuditReport, verify};
