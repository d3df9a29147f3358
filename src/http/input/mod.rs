//! Reads and validates requests, reporting all errors at once, and describes them.

mod attention;
mod checkout;
mod contact;
mod faults;
mod fields;
mod item;
mod json;
mod money;
mod order;
mod profiles;
pub(super) mod query;
mod reader;
pub mod schema;
mod submit;
#[cfg(test)]
mod tests;
mod values;
mod webhooks;

pub(super) use attention::decision;
pub(super) use checkout::{checkout, order_and_checkout, unreachable_by};
use faults::Pointer;
pub(super) use item::{item_changes, new_item};
pub(super) use money::{part, refund};
pub(super) use order::{new_order, order_changes};
pub(super) use profiles::profile_session;
pub(super) use query::cursor;
use reader::Context;
pub(super) use reader::Value;
pub(super) use submit::{fulfilment, signature, submission};
pub(super) use webhooks::{endpoint, endpoint_changes, range, redelivery};

use super::problem::{Code, Problem};
use super::request::ApiRequest;
use crate::domain::{LineItem, OrderAggregate};
use json::Node;
use schema::{Object, Schema};

/// A function that reads a body or query, or describes it.
pub(super) type Reader<T> = fn(Value<'_>) -> Option<T>;

impl ApiRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// `malformed_json`, `card_data_refused`, or all errors that the reader found.
    pub(super) fn read<T>(&self, reader: Reader<T>) -> Result<T, Problem> {
        self.read_in(&self.context(), reader)
    }

    /// Reads the body as a change of this order, or of this item of it.
    pub(super) fn read_change<T>(
        &self,
        order: &OrderAggregate,
        item: Option<&LineItem>,
        reader: Reader<T>,
    ) -> Result<T, Problem> {
        let (currency, personal) = (Some(order.header.currency), order.header.content.personal.value());
        self.read_in(&Context { currency, personal, item, ..self.context() }, reader)
    }

    fn read_in<T>(&self, context: &Context<'_>, reader: Reader<T>) -> Result<T, Problem> {
        let body: &[u8] = if self.raw.body.is_empty() { b"{}" } else { &self.raw.body };
        let root = json::parse(body).map_err(|fault| Problem::new(Code::MalformedJson, fault.to_string()))?;
        reader::read(&root, &Pointer::Body, Some(context), reader)
    }

    pub(super) fn query<T>(&self, reader: Reader<T>) -> Result<T, Problem> {
        read_query(self.raw.request.query_string(), Some(&self.context()), reader)
    }

    /// Requires an empty body.
    pub(super) fn with_empty_body(&self) -> Result<&Self, Problem> {
        self.read(nothing).map(|()| self)
    }

    fn context(&self) -> Context<'_> {
        let state = self.state();
        let (settings, env) = (state.settings(), &*state.engine().env);
        Context { settings, merchant: &self.merchant, env, currency: None, personal: None, item: None }
    }
}

/// The fields of a body or a query.
pub(super) fn describe_object(reader: Reader<()>) -> Object {
    match reader::describe(reader) {
        Schema::Object(object) => object,
        other => unreachable!("a body and a query are objects, not {other:?}"),
    }
}

/// Requires an empty query.
pub(super) fn no_query(text: &str) -> Result<(), Problem> {
    read_query(text, None, nothing)
}

fn nothing(value: Value<'_>) -> Option<()> {
    value.object(|_| Some(()))
}

fn read_query<T>(text: &str, context: Option<&Context<'_>>, reader: Reader<T>) -> Result<T, Problem> {
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    let members = pairs.map(|(name, value)| (name, Node::Parameter(value)));
    reader::read(&Node::Object(members.collect()), &Pointer::Query, context, reader)
}
