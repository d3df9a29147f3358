//! Reads the queries of lists: filters and pages.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use port::{OrderId, ProfileId};

use super::fields::Fields;
use super::reader::Value;
use super::values::{MAX_ACCOUNT, MAX_CUSTOMER, MAX_REFERENCE, time};
use crate::http::problem::Code;
use crate::store::{AttentionFilter, Cursor, OrderFilter, Page, PaymentFilter, ProfileFilter};

/// The most rows of a page, and the default.
const MAX_LIMIT: i64 = 200;
const DEFAULT_LIMIT: u32 = 50;

/// The position of an event: that of its change, and its sequence.
pub(crate) type Position = (u64, u64);

/// A page: its cursor, parsed by `parse`, and how many rows to query: one more than the page has, which shows whether
/// another page follows.
fn paging<T>(fields: &Fields<'_>, parse: impl FnOnce(&str) -> Option<T>) -> (Option<T>, u32) {
    let limit = fields.optional("limit", |value| value.integer(1..=MAX_LIMIT));
    let before = fields.optional("cursor", |value| {
        let what = "the `nextCursor` of a page before";
        value.parsed_by(what, Code::InvalidValue, |cursor| parse(&read_cursor(cursor)?))
    });
    (before, limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(DEFAULT_LIMIT) + 1)
}

/// A page of rows with a key of this type.
fn page_of<T: FromStr>(fields: &Fields<'_>) -> Page {
    let (before, limit) = paging(fields, |key| key.parse::<T>().ok().map(|_| key.to_owned()));
    Page { before, limit }
}

pub(crate) fn page<T: FromStr>(value: Value<'_>) -> Option<Page> {
    value.object(|fields| Some(page_of::<T>(fields)))
}

/// A page of an order's timeline: the sequence after which it begins, and how many events to query.
pub(crate) fn timeline(value: Value<'_>) -> Option<(Option<u64>, u32)> {
    value.object(|fields| Some(paging(fields, |sequence| sequence.parse().ok())))
}

pub(crate) fn events(value: Value<'_>) -> Option<(Option<Position>, u32)> {
    let position = |text: &str| {
        let (position, sequence) = text.split_once('.')?;
        Some((position.parse().ok()?, sequence.parse().ok()?))
    };
    value.object(|fields| Some(paging(fields, position)))
}

pub(crate) fn orders(value: Value<'_>) -> Option<OrderFilter> {
    value.object(|fields| {
        let page = page_of::<OrderId>(fields);
        let state = fields.may_be_empty("state", |value| value.enum_value());
        let reference = fields.optional("reference", |value| value.text(MAX_REFERENCE));
        let created_after = fields.optional("createdAfter", time);
        let created_before = fields.optional("createdBefore", time);
        let merchant = value.context()?.merchant.to_owned();
        Some(OrderFilter { merchant, state, reference, created_after, created_before, page })
    })
}

/// Payments, of one order or of all.
pub(crate) fn payments(value: Value<'_>) -> Option<(PaymentFilter, Option<OrderId>)> {
    value.object(|fields| {
        let (before, limit) = paging(fields, Cursor::read);
        let order = fields.optional("orderId", |value| {
            value.parsed("the id of an order, such as ord_01h455vb4pex5vsknk084sn02q")
        });
        let status = fields.may_be_empty("status", |value| value.enum_value());
        let account = fields.optional("account", |value| value.text(MAX_ACCOUNT));
        let merchant = value.context()?.merchant.to_owned();
        Some((PaymentFilter { merchant, status, account, before, limit }, order))
    })
}

pub(crate) fn attention(value: Value<'_>) -> Option<AttentionFilter> {
    value.object(|fields| {
        let (before, limit) = paging(fields, Cursor::read);
        let open = fields.optional("open", |value| value.flag());
        let code = fields.may_be_empty("code", |value| value.enum_value());
        let account = fields.optional("account", |value| value.text(MAX_ACCOUNT));
        let merchant = value.context()?.merchant.to_owned();
        Some(AttentionFilter { merchant, open, code, account, before, limit })
    })
}

/// The payment profiles of a customer, and whether to fetch them from the providers first.
pub(crate) fn profiles(value: Value<'_>) -> Option<(ProfileFilter, bool)> {
    value.object(|fields| {
        let page = page_of::<ProfileId>(fields);
        let customer_id = fields.required("customerId", |value| value.text(MAX_CUSTOMER));
        let refresh = fields.optional("refresh", |value| value.flag()).unwrap_or(false);
        let merchant = value.context()?.merchant.to_owned();
        Some((ProfileFilter { merchant, customer_id: customer_id?, page }, refresh))
    })
}

/// Whether to fetch from the provider first.
pub(crate) fn refresh(value: Value<'_>) -> Option<bool> {
    value.object(|fields| Some(fields.optional("refresh", |value| value.flag()).unwrap_or(false)))
}

/// The cursor of the page after this row.
pub(crate) fn cursor(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

fn read_cursor(cursor: &str) -> Option<String> {
    const MAX: usize = 100;
    if cursor.len() > MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok().filter(|id| !id.is_empty())
}
