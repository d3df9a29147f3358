//! Errors of a provider call, by whether the call can have taken effect.

use std::time::Duration;

/// What went wrong in one operation at a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ProviderError {
    /// Nothing reached the provider.
    #[error("nothing was sent: {0}")]
    NotSent(String),
    /// The provider refused for now, provably without effect.
    #[error("the provider is busy")]
    Busy {
        /// When to try again, if the provider said so.
        retry_after: Option<Duration>,
    },
    /// The provider refused our credentials or permissions.
    #[error("the provider refused our credentials")]
    Misconfigured,
    /// A read did not work; nothing can have changed.
    #[error("the provider could not be read: {0}")]
    Unavailable(String),
    /// A read was answered with something that cannot be read; nothing can have changed.
    #[error("the provider's answer cannot be read: {0}")]
    Unreadable(String),
    /// A business "no" to the payment or the operation.
    #[error("the provider declined")]
    Declined {
        /// The provider's code, verbatim.
        code: Option<String>,
        /// The provider's text.
        text: Option<String>,
    },
    /// The provider says that our request is wrong.
    #[error("the provider rejected the request")]
    Rejected {
        /// The provider's code, verbatim.
        code: Option<String>,
        /// The provider's text, verbatim.
        text: Option<String>,
    },
    /// The provider requests another amount or currency; nothing more can be paid there.
    #[error("the provider asks for another amount: {0}")]
    AmountDiffers(String),
    /// The provider does not know the object.
    #[error("the provider does not know this payment")]
    NotFound,
    /// Not among the adapter's capabilities; routing never gets here.
    #[error("the provider cannot {0}")]
    Unsupported(&'static str),
    /// It may have taken effect.
    #[error("the outcome is unknown: {0}")]
    #[strum(serialize = "unknown")]
    OutcomeUnknown(String),
}

/// What the caller may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// It had no effect: another account may be tried.
    TryElsewhere,
    /// Nothing changed: the same read may be tried later.
    RetryLater,
    /// It is declined for good.
    Stop,
    /// Read until the outcome is known; never send again blindly, and not to another account if money may have moved.
    ResolveUnknown,
}

impl ProviderError {
    /// What may be done next.
    pub fn advice(&self) -> Advice {
        match self {
            Self::NotSent(_) | Self::Busy { .. } | Self::Misconfigured => Advice::TryElsewhere,
            Self::Unavailable(_) | Self::Unreadable(_) => Advice::RetryLater,
            Self::Declined { .. }
            | Self::Rejected { .. }
            | Self::AmountDiffers(_)
            | Self::NotFound
            | Self::Unsupported(_) => Advice::Stop,
            Self::OutcomeUnknown(_) => Advice::ResolveUnknown,
        }
    }

    /// The outcome as a metric label, from a closed set.
    pub fn label(&self) -> &'static str {
        self.into()
    }

    /// A refusal with the provider's code and text where it gave them.
    pub fn declined(code: Option<&str>, text: Option<&str>) -> Self {
        Self::Declined { code: code.map(brief), text: text.map(brief) }
    }

    /// A complaint about our request with the provider's code and text where it gave them.
    pub fn rejected(code: Option<&str>, text: Option<&str>) -> Self {
        Self::Rejected { code: code.map(brief), text: text.map(brief) }
    }
}

/// As much of a provider's text as is worth keeping.
pub(crate) fn brief(text: &str) -> String {
    const MAX: usize = 300;
    text.chars().take(MAX).collect()
}
