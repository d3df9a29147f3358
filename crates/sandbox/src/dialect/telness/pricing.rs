//! What a Telness order costs, worked out by the provider itself, to the minor unit.
//!
//! The public material does not show the fields of an `EXTERNAL_ITEM`. The sandbox takes `name`, `quantity`,
//! `unitPrice` and `discount` (major units; the discount is off the whole line), `currency`, `taxRate` (per cent)
//! and `taxIncluded`. Other kinds of line items belong to a catalogue that the sandbox does not have.

use paymux_port::{Currency, Decimal, Money};
use serde::{Deserialize, Serialize};

use crate::dialect::rfc3339;
use crate::doc::{Doc, Sent, text};
use crate::exact::Exact;

/// A line item as it was sent, under the id that the server gave it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    pub id: String,
    pub sent: Sent,
}

impl Item {
    /// What it is called, where that was sent.
    pub(crate) fn name(&self) -> Option<String> {
        self.sent.string("name")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    quantity: Option<Decimal>,
    unit_price: Option<Decimal>,
    discount: Option<Decimal>,
    currency: Option<String>,
    tax_rate: Option<Decimal>,
    tax_included: Option<bool>,
}

/// One line's price in minor units.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PricedLine {
    item: String,
    name: String,
    /// After the discount; with the tax in it if that is included.
    base: i64,
    discount: i64,
    tax: i64,
    tax_included: bool,
    tax_rate: String,
}

/// A whole order's price in minor units.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Priced {
    pub currency: Currency,
    pub total: i64,
    tax: i64,
    lines: Vec<PricedLine>,
    /// Unix microseconds.
    at: i64,
}

/// Why an order cannot be priced yet.
pub(crate) struct Problem {
    pub item: String,
    pub property: &'static str,
    pub message: &'static str,
    /// Something is not there yet; anything else is wrong and will stay so.
    pub missing: bool,
}

impl PricedLine {
    /// `None` where a sum does not fit.
    fn total(&self) -> Option<i64> {
        self.base.checked_add(if self.tax_included { 0 } else { self.tax })
    }
}

/// Prices every line, or returns all errors.
pub(crate) fn price(items: &[Item], now: i64) -> Result<Priced, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut lines = Vec::new();
    let mut currencies: Vec<Currency> = Vec::new();
    if items.is_empty() {
        problems.push(problem("", "lineItems", "The order has no line items", true));
    }
    for item in items {
        match price_line(item) {
            Ok((line, currency)) => {
                if currencies.iter().any(|other| *other != currency) {
                    problems.push(problem(
                        &item.id,
                        "currency",
                        "All line items must have one currency",
                        false,
                    ));
                }
                currencies.push(currency);
                lines.push(line);
            }
            Err(found) => problems.push(found),
        }
    }
    let add = |sum: Option<i64>, more: Option<i64>| sum?.checked_add(more?);
    let total = lines.iter().map(PricedLine::total).fold(Some(0), add);
    let tax = lines.iter().map(|line| Some(line.tax)).fold(Some(0), add);
    match (currencies.first(), total, tax) {
        (Some(&currency), Some(total), Some(tax)) if problems.is_empty() => {
            Ok(Priced { currency, total, tax, lines, at: now })
        }
        (_, None, _) | (_, _, None) => Err(vec![problem("", "lineItems", "The total is too large", false)]),
        _ => Err(problems),
    }
}

fn problem(item: &str, property: &'static str, message: &'static str, missing: bool) -> Problem {
    Problem { item: item.to_owned(), property, message, missing }
}

fn price_line(item: &Item) -> Result<(PricedLine, Currency), Problem> {
    let wrong = |property: &'static str, message: &'static str| problem(&item.id, property, message, false);
    let absent = |property: &'static str| problem(&item.id, property, "The field is required", true);
    let parsed: Result<Line, _> = serde_json::from_str(&text(&item.sent));
    let line = parsed.map_err(|_| wrong("lineItems", "The line item could not be read"))?;
    if line.kind.as_deref() != Some("EXTERNAL_ITEM") {
        return Err(wrong("type", "The sandbox sells external items only"));
    }
    let name = line.name.ok_or_else(|| absent("name"))?;
    let unit_price = line.unit_price.ok_or_else(|| absent("unitPrice"))?;
    let code = line.currency.ok_or_else(|| absent("currency"))?;
    let currency: Currency = code.parse().map_err(|_| wrong("currency", "Not an ISO 4217 code"))?;
    let zero = Decimal::whole(0);
    let (quantity, rate) = (line.quantity.unwrap_or(Decimal::whole(1)), line.tax_rate.unwrap_or(zero));
    let discount = line.discount.unwrap_or(zero);
    let fits = |major: Decimal| Money::from_major(major, currency).ok().filter(|money| money.minor >= 0);
    let too_fine = "Must not be negative, nor have more decimals than the currency";
    fits(unit_price).ok_or_else(|| wrong("unitPrice", too_fine))?;
    let discount_minor = fits(discount).ok_or_else(|| wrong("discount", too_fine))?.minor;
    if quantity.parts().0 <= 0 || rate.parts().0 < 0 {
        return Err(wrong("quantity", "The quantity must be positive and the tax rate not negative"));
    }
    let included = line.tax_included.unwrap_or(false);
    let sums =
        Exact::from(unit_price).times(quantity).and_then(|gross| gross.minus(discount)).and_then(|base| {
            let hundred = Exact::from(Decimal::whole(100));
            let whole = if included { Exact::from(rate).plus_hundred()? } else { hundred };
            Some((base.to_minor(currency)?, base.share_in_minor(rate.into(), whole, currency)?))
        });
    let (base, tax) = sums.ok_or_else(|| wrong("unitPrice", "The amount is too large"))?;
    if base < 0 {
        return Err(wrong("discount", "The discount exceeds the line's price"));
    }
    let (item, tax_rate) = (item.id.clone(), rate.to_string());
    let tax_included = included;
    Ok((PricedLine { item, name, base, discount: discount_minor, tax, tax_included, tax_rate }, currency))
}

/// The `pricing` object. `shown` is the total as the answer states it.
pub(crate) fn show(priced: &Priced, shown: Money) -> Doc {
    let major = |minor: i64| Money::new(minor, priced.currency).to_major();
    let included = priced.lines.iter().all(|line| line.tax_included);
    let subtotal = priced.total - if included { 0 } else { excluded_tax(priced) };
    let by_line = priced.lines.iter().map(|line| {
        let breakdown = Doc::default()
            .put("description", "Tax")
            .put("amount", major(line.tax))
            .put("rate", rate(&line.tax_rate));
        Doc::default()
            .put("lineItemId", &line.item)
            .put("description", &line.name)
            .put("amount", major(line.base))
            .put("taxAmount", major(line.tax))
            .put("taxIncluded", line.tax_included)
            .put_list("taxBreakdown", [breakdown])
    });
    let in_detail = priced.lines.iter().map(|line| {
        Doc::default()
            .put("lineItemId", &line.item)
            .put("subtotal", major(line.base))
            .put("total", major(line.total().unwrap_or(line.base)))
            .put("taxAmount", major(line.tax))
            .put("taxIncluded", line.tax_included)
            .put("totalDiscounts", major(line.discount))
    });
    Doc::default()
        .put("total", shown.to_major())
        .put("currency", shown.currency)
        .put("calculatedAt", rfc3339(priced.at))
        .put("subtotal", major(subtotal))
        .put("taxAmount", major(priced.tax))
        .put("fees", major(0))
        .put("taxIncluded", included)
        .put_list("lineItemPricing", by_line)
        .put_list("lineItems", in_detail)
}

fn excluded_tax(priced: &Priced) -> i64 {
    priced.lines.iter().filter(|line| !line.tax_included).map(|line| line.tax).sum()
}

fn rate(text: &str) -> Option<Decimal> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priced(lines: &[&str]) -> Result<(i64, i64), Vec<&'static str>> {
        let items: Vec<Item> = lines
            .iter()
            .map(|line| Item { id: "i".into(), sent: serde_json::from_str(line).unwrap() })
            .collect();
        match price(&items, 0) {
            Ok(priced) => Ok((priced.total, priced.tax)),
            Err(problems) => Err(problems.into_iter().map(|problem| problem.property).collect()),
        }
    }

    #[test]
    fn lines_are_priced_to_the_minor_unit() {
        let line = |rest: &str| format!(r#"{{"type":"EXTERNAL_ITEM","name":"n","currency":"EUR",{rest}}}"#);
        let table = [
            (r#""quantity":1,"unitPrice":137.39,"taxRate":0"#, (13739, 0)),
            (r#""quantity":2,"unitPrice":10.00,"taxRate":25"#, (2500, 500)),
            (r#""quantity":1,"unitPrice":125,"taxRate":25,"taxIncluded":true"#, (12500, 2500)),
            (r#""quantity":3,"unitPrice":"0.50","discount":0.5,"taxRate":"12.5""#, (112, 12)),
            (r#""quantity":0.125,"unitPrice":1"#, (12, 0)),
        ];
        for (rest, expected) in table {
            assert_eq!(priced(&[&line(rest)]), Ok(expected), "{rest}");
        }
    }

    #[test]
    fn what_cannot_be_priced_is_named() {
        let eur = r#"{"type":"EXTERNAL_ITEM","name":"n","currency":"EUR","unitPrice":1}"#;
        let sek = r#"{"type":"EXTERNAL_ITEM","name":"n","currency":"SEK","unitPrice":1}"#;
        let fine = r#"{"type":"EXTERNAL_ITEM","name":"n","currency":"EUR","unitPrice":1.005}"#;
        let sub = r#"{"type":"SUBSCRIPTION"}"#;
        let huge = r#"{"type":"EXTERNAL_ITEM","name":"n","currency":"EUR","unitPrice":92233720368547758}"#;
        let less = r#"{"type":"EXTERNAL_ITEM","name":"n","currency":"EUR","unitPrice":1,"discount":2}"#;
        assert_eq!(priced(&[]), Err(vec!["lineItems"]));
        assert_eq!(priced(&[eur, sek]), Err(vec!["currency"]));
        assert_eq!(priced(&[fine]), Err(vec!["unitPrice"]));
        assert_eq!(priced(&[sub]), Err(vec!["type"]));
        assert_eq!(priced(&[huge, huge]), Err(vec!["lineItems"]));
        assert_eq!(priced(&[less]), Err(vec!["discount"]));
    }
}
