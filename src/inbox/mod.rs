//! Notifications of providers: proven, and kept before they are answered; acted on later, at our own pace; acted on
//! again when somebody asks for it; forgotten in time.
//!
//! A notification is a hint and never a fact: all it leads to is a read of the provider.

mod process;
mod receive;
mod replay;

pub use process::process;
pub use receive::NotificationReceiver;
pub use replay::{prune, replay};

/// More objects than this are not looked at in one notification. The providers name one, or a few.
const MAX_TARGETS: usize = 20;
