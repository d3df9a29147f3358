//! What every step of a use case works with: a subject, the command that its changes follow, and the reads it may make.

use std::ops::Deref;

use port::Timestamp;

use super::{Payments, ReadPass, Result};
use crate::domain::{Context, Event, OrderAggregate, ProfileSession, Subject};
use crate::engine::{Command, Decision, Engine, WorkingCopy};

/// Its changes follow a command that is recorded already, so they have neither its key nor its condition.
pub(super) struct Task<'a, S: Subject> {
    pub(super) engine: &'a Engine,
    pub(super) subject: &'a mut WorkingCopy<S>,
    pub(super) command: Command,
    pub(super) pass: ReadPass,
}

pub(super) type OrderTask<'a> = Task<'a, OrderAggregate>;
pub(super) type ProfileTask<'a> = Task<'a, ProfileSession>;

impl Payments {
    pub(super) fn task<'a, S: Subject>(
        &'a self,
        subject: &'a mut WorkingCopy<S>,
        command: &Command,
        pass: &ReadPass,
    ) -> Task<'a, S> {
        Task { engine: &self.engine, subject, command: command.following(), pass: pass.clone() }
    }
}

impl<S: Subject> Task<'_, S> {
    /// Commits what `decide` makes of the subject as it is. Returns the sequence of its first event, if it has any.
    pub(super) async fn change<D: Into<Decision<S::Event>>>(
        &mut self,
        name: &'static str,
        decide: impl Fn(&S, Timestamp) -> D,
    ) -> Result<Option<u64>> {
        let decide = |subject: &S, now| Ok(decide(subject, now).into());
        self.engine.change(name, &self.command, self.subject, decide).await
    }
}

impl OrderTask<'_> {
    /// As [`Task::change`], for a change that may add parts to the order.
    pub(super) async fn extend<D: Into<Decision<Event>>>(
        &mut self,
        name: &'static str,
        decide: impl Fn(&mut Context<'_>) -> D,
    ) -> Result<Option<u64>> {
        let engine = self.engine;
        self.change(name, |order, now| decide(&mut engine.context(order, now))).await
    }
}

impl<S: Subject> Deref for Task<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.subject
    }
}
