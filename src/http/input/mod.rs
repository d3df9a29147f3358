//! Reading requests: bytes into checked values, with every fault at once.

mod attention;
mod checkout;
mod item;
mod json;
mod money;
mod order;
mod profiles;
mod query;
mod reader;
mod submit;
mod values;
mod webhooks;

pub(super) use attention::decision;
pub(super) use checkout::{Lifetimes, checkout, order_and_checkout};
pub(super) use item::item;
pub(super) use money::{part, refund};
pub(super) use order::{Defaults, new_order, order_changes};
pub(super) use profiles::profile_session;
pub(super) use query::{Query, cursor};
use reader::Value;
pub(super) use submit::{fulfilment, signature, submission};
pub(super) use values::MAX_CUSTOMER;
pub(super) use webhooks::{endpoint, endpoint_changes, range, redelivery};

use super::problem::{Code, Problem};
use super::request::ApiRequest;

impl ApiRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// `malformed_json`, `card_data_refused`, or every fault that the reader found.
    pub(super) fn read<T>(&self, reader: impl FnOnce(Value<'_>) -> Option<T>) -> Result<T, Problem> {
        let body: &[u8] = if self.raw.body.is_empty() { b"{}" } else { &self.raw.body };
        let root = json::parse(body).map_err(|fault| Problem::new(Code::MalformedJson, fault.to_string()))?;
        reader::read(&root, reader)
    }

    /// Reads a body that says nothing.
    ///
    /// # Errors
    /// As [`ApiRequest::read`].
    pub(super) fn read_nothing(&self) -> Result<(), Problem> {
        self.read(|body| body.object(|_| Some(())))
    }
}
