//! A copy of a subject, with the changes made and loaded since it was read.

use std::ops::Deref;
use std::sync::Arc;

use crate::domain::{Step, Subject};

/// A subject as its holder last read or changed it.
#[derive(Clone, Debug)]
pub struct WorkingCopy<S: Subject> {
    current: Arc<S>,
    steps: Vec<Step<S>>,
}

impl<S: Subject> WorkingCopy<S> {
    /// A copy of a subject that was read.
    pub fn of(current: Arc<S>) -> Self {
        Self { current, steps: Vec::new() }
    }

    pub(super) fn advance(&mut self, step: Step<S>) {
        self.current = step.after.clone();
        self.steps.push(step);
    }

    pub fn current(&self) -> &Arc<S> {
        &self.current
    }

    /// The changes since the one whose first event has this sequence.
    pub fn steps_from(&self, first: u64) -> &[Step<S>] {
        let before = self.steps.partition_point(|step| step.change.first < first);
        self.steps.get(before..).unwrap_or_default()
    }
}

impl<S: Subject> Deref for WorkingCopy<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.current
    }
}
