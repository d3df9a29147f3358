//! Notifications of providers: verified, stored before they are answered, processed by a job, replayed on request, and
//! pruned.
//!
//! A notification proves nothing about a payment: it only causes a read of the provider.

mod process;
mod receive;
mod replay;

pub use process::process;
pub use receive::{NotificationReceiver, Verified, verify};
pub use replay::{prune, replay};

/// The most targets of a notification that are processed. Providers name one or a few.
const MAX_TARGETS: usize = 20;
