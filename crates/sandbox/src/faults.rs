//! The fault switchboard: what goes wrong, for which operation, how often.

use serde::{Deserialize, Serialize};

use crate::object::Provider;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    /// Something payable is created, or a stored card is charged.
    Create,
    Read,
    Capture,
    Cancel,
    Refund,
    /// A notification to the merchant.
    Notify,
    /// Telness: the provider-side order is made, changed or submitted.
    Order,
    /// Telness: the provider-side order is priced; where its amounts are, a `create` with wrong amounts applies here.
    Price,
    /// Any request, but no notification.
    Any,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    TimeoutBefore,
    TimeoutAfter,
    ResetBefore,
    ResetAfter,
    #[serde(rename = "status_500")]
    Status500,
    #[serde(rename = "status_503")]
    Status503,
    #[serde(rename = "status_429")]
    Status429,
    #[serde(rename = "status_401")]
    Status401,
    Garbage,
    Truncated,
    UnknownWord,
    WrongAmount,
    WrongCurrency,
    Slow,
    Lose,
    Duplicate,
    Reorder,
    Delay,
    BadSignature,
}

impl Fault {
    /// Befalls notifications and nothing else.
    pub(crate) fn is_of_notify(self) -> bool {
        matches!(self, Self::Lose | Self::Duplicate | Self::Reorder | Self::Delay | Self::BadSignature)
    }

    /// The HTTP status that is answered instead of doing anything.
    pub(crate) fn status(self) -> Option<u16> {
        match self {
            Self::Status500 => Some(500),
            Self::Status503 => Some(503),
            Self::Status429 => Some(429),
            Self::Status401 => Some(401),
            _ => None,
        }
    }

    /// Milliseconds, where the order for the fault names none.
    fn usual_delay_ms(self) -> u64 {
        match self {
            Self::TimeoutBefore | Self::TimeoutAfter => 35_000,
            Self::Slow | Self::Delay => 5_000,
            _ => 0,
        }
    }
}

/// An order for a fault: `times` requests that fit will suffer it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Planned {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    pub operation: Operation,
    pub fault: Fault,
    #[serde(default = "once")]
    pub times: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
}

fn once() -> u32 {
    1
}

/// Longer than any client waits.
const MAX_DELAY_MS: u64 = 120_000;

/// More faults than this at one time are a mistake.
const MAX_PLANNED: usize = 1_000;

impl Planned {
    fn fits(&self, provider: Provider, operation: Operation) -> bool {
        let falsifies_money = matches!(self.fault, Fault::WrongAmount | Fault::WrongCurrency);
        let fits = match self.operation {
            Operation::Any => operation != Operation::Notify,
            Operation::Create if falsifies_money && provider == Provider::Telness => {
                operation == Operation::Price
            }
            wanted => wanted == operation,
        };
        fits && self.provider.is_none_or(|wanted| wanted == provider)
    }
}

/// A fault that befalls the request at hand.
#[derive(Clone, Copy)]
pub(crate) struct ActiveFault {
    pub fault: Fault,
    pub delay_ms: u64,
}

/// The faults still to come, in the order in which they were ordered.
#[derive(Default)]
pub(crate) struct Switchboard {
    planned: Vec<Planned>,
}

impl Switchboard {
    /// Takes an order for a fault; says why if it can never happen.
    pub(crate) fn plan(&mut self, planned: Planned) -> Result<(), &'static str> {
        if planned.fault.is_of_notify() != (planned.operation == Operation::Notify) {
            return Err("this fault does not befall this operation");
        }
        if planned.times == 0 || self.planned.len() >= MAX_PLANNED {
            return Err("times must be at least 1, and at most 1000 faults can wait");
        }
        self.planned.push(planned);
        Ok(())
    }

    pub(crate) fn planned(&self) -> &[Planned] {
        &self.planned
    }

    pub(crate) fn clear(&mut self) {
        self.planned.clear();
    }

    /// Takes the fault for this operation, if there is one.
    pub(crate) fn take(&mut self, provider: Provider, operation: Operation) -> Option<ActiveFault> {
        let index = self.planned.iter().position(|planned| planned.fits(provider, operation))?;
        let planned = self.planned.get_mut(index)?;
        planned.times -= 1;
        let delay_ms = planned.delay_ms.unwrap_or(planned.fault.usual_delay_ms()).min(MAX_DELAY_MS);
        let active = ActiveFault { fault: planned.fault, delay_ms };
        if planned.times == 0 {
            self.planned.remove(index);
        }
        Some(active)
    }
}
