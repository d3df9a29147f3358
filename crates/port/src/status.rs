//! Status tables, and the function that applies them to a provider's view.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Failure, Money, ProviderView};

/// A provider status, verbatim, with the kind of object it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderStatus {
    /// The section of the table, such as `order`.
    pub object: String,
    /// The status, verbatim.
    pub status: String,
}

impl ProviderStatus {
    /// The `status` of an object.
    pub fn new(of: &str, status: impl Into<String>) -> Self {
        Self { object: of.to_owned(), status: status.into() }
    }
}

/// The status of a payment. The status model says what each means for the money.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentStatus {
    /// Waiting for the customer.
    Pending,
    /// The customer must do something more.
    RequiresAction,
    /// The payment is being processed.
    Processing,
    /// Money is authorized.
    Authorized,
    /// Collected.
    Paid,
    /// A part was refunded.
    PartiallyRefunded,
    /// It was refunded whole.
    Refunded,
    /// Not captured.
    Failed,
    /// Cancelled, or the authorization was voided.
    Cancelled,
    /// Not paid in time.
    Expired,
    /// The customer's bank questions it or takes it back.
    Disputed,
}

impl PaymentStatus {
    /// As the API and metric labels write it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Whether a payment profile can be used.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ProfileStatus {
    /// It can.
    Active,
    /// It cannot.
    Inactive,
    /// It cannot any more.
    Expired,
    /// The customer has to do something first.
    RequiresAction,
}

/// Whether an order of the provider's own was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ProviderOrderStatus {
    /// It was not.
    NotSubmitted,
    /// It was, whatever became of it then.
    Submitted,
}

/// A detail that the status does not express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Detail {
    /// The page was opened.
    Viewed,
    /// Past the deadline, late tries still allowed.
    Overdue,
    /// The customer refused on the page.
    CustomerRejected,
    /// Collected outside the provider.
    #[serde(rename = "PAID_OUTSIDE")]
    PaidExternally,
    /// A refund is under way.
    RefundPending,
    /// A refund did not go through.
    RefundFailed,
    /// A refund was reversed.
    RefundReversed,
    /// A reversal is under way.
    ReversalPending,
    /// A reversal did not go through.
    ReversalFailed,
    /// Reversed by the provider.
    Reversed,
    /// A payout order was made.
    PayoutCreated,
    /// A test.
    Test,
    /// Paid, waiting for the provider to confirm.
    AwaitingConfirmation,
}

/// The stage of a dispute.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum DisputeStage {
    /// The bank requests documents.
    Retrieval,
    /// The bank reports fraud.
    FraudAdvice,
    /// Before a compliance case.
    PreCompliance,
    /// A compliance case.
    Compliance,
    /// The bank has taken the money back.
    Chargeback,
    /// The merchant contests.
    Representation,
    /// Before arbitration.
    PreArbitration,
    /// The scheme decides.
    Arbitration,
    /// An appeal without rights.
    GoodFaith,
}

impl DisputeStage {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it is an inquiry, in which the bank has taken no money yet.
    pub fn is_inquiry(self) -> bool {
        matches!(self, Self::Retrieval | Self::FraudAdvice | Self::PreCompliance)
    }
}

/// The meaning of a provider status for a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusMapping {
    /// This status.
    Status(PaymentStatus),
    /// The status stays as it is.
    Unchanged,
    /// What was captured and refunded decides.
    FromAmounts,
    /// Reversed: a refund if it was captured, else a cancel.
    Reversed,
    /// The table has no such status. Nothing may follow from it.
    Unmapped,
}

impl<'de> Deserialize<'de> for StatusMapping {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "UNCHANGED" => Ok(Self::Unchanged),
            "FROM_AMOUNTS" => Ok(Self::FromAmounts),
            "REVERSED" => Ok(Self::Reversed),
            status => {
                let status = serde::de::value::StrDeserializer::<D::Error>::new(status);
                PaymentStatus::deserialize(status).map(Self::Status)
            }
        }
    }
}

/// How a row of a table is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Seen in running code or a real answer.
    Seen,
    /// In the provider's documents.
    Documented,
    /// Assumed.
    Assumed,
}

/// What a status of a payment means.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The status it implies.
    pub meaning: StatusMapping,
    /// How we know.
    pub evidence: Evidence,
    /// Whether the status is final at the provider.
    #[serde(default)]
    pub terminal: bool,
    /// The detail to store.
    #[serde(default)]
    pub detail: Option<Detail>,
    /// The stage, with `DISPUTED`.
    #[serde(default)]
    pub stage: Option<DisputeStage>,
}

/// What a status of something else than a payment means.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainRow<M> {
    meaning: M,
    evidence: Evidence,
}

/// The rows of one kind of object, by status.
type Section<R> = BTreeMap<String, R>;

/// What a provider's statuses mean, by kind of object.
#[derive(Clone, Debug, Deserialize)]
pub struct StatusTable {
    source: String,
    /// Of payment profiles.
    #[serde(default)]
    profile: Section<PlainRow<ProfileStatus>>,
    /// Of orders of the provider's own.
    #[serde(default)]
    provider_order: Section<PlainRow<ProviderOrderStatus>>,
    /// Of payments, and of sessions that store a method: PAID means there that it is stored.
    #[serde(flatten)]
    payments: BTreeMap<String, Section<Row>>,
}

/// A `statuses.toml` that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("statuses.toml: {0}")]
pub struct TableError(String);

impl StatusTable {
    /// Reads a `statuses.toml`.
    ///
    /// # Errors
    /// [`TableError`] for anything that is not a table of rows, a status that is not in its normal spelling, or a
    /// dispute without its stage.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let table: Self = toml::from_str(text).map_err(|fault| TableError(fault.to_string()))?;
        for (of, status) in table.statuses() {
            if normal(status) != status {
                return Err(TableError(format!("[{of}] `{status}` is not in lower case with underscores")));
            }
        }
        for (of, status, row) in table.rows() {
            if (row.meaning == StatusMapping::Status(PaymentStatus::Disputed)) != row.stage.is_some() {
                return Err(TableError(format!(
                    "[{of}] `{status}`: a stage goes with DISPUTED and with nothing else"
                )));
            }
        }
        Ok(table)
    }

    /// Where the table's knowledge comes from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What a status of a payment means; `None` if the table has no row.
    pub fn row(&self, provider_status: &ProviderStatus) -> Option<&Row> {
        self.payments.get(&provider_status.object)?.get(&normal(&provider_status.status))
    }

    /// Whether the table says that this status of a payment is that one.
    pub fn means(&self, provider_status: &ProviderStatus, status: PaymentStatus) -> bool {
        self.row(provider_status).is_some_and(|row| row.meaning == StatusMapping::Status(status))
    }

    /// What a status of a payment profile means; `None` if the table has no such row.
    pub fn profile(&self, provider_status: &str) -> Option<ProfileStatus> {
        self.profile.get(&normal(provider_status)).map(|row| row.meaning)
    }

    /// What a status of the provider's own order means; `None` if the table has no such row.
    pub fn provider_order(&self, provider_status: &str) -> Option<ProviderOrderStatus> {
        self.provider_order.get(&normal(provider_status)).map(|row| row.meaning)
    }

    /// Every row about payments as `(section, status, row)`.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str, &Row)> {
        self.payments
            .iter()
            .flat_map(|(of, rows)| rows.iter().map(move |(status, row)| (of.as_str(), status.as_str(), row)))
    }

    /// Every other row as `(section, status, meaning, evidence)`.
    pub fn plain_rows(&self) -> impl Iterator<Item = (&'static str, &str, &'static str, Evidence)> {
        let profiles = plain(PROFILE, &self.profile);
        profiles.chain(plain(PROVIDER_ORDER, &self.provider_order))
    }

    /// Every status that has a row, with its section.
    fn statuses(&self) -> impl Iterator<Item = (&str, &str)> {
        let plain = self.plain_rows().map(|(of, status, ..)| (of, status));
        self.rows().map(|(of, status, _)| (of, status)).chain(plain)
    }
}

/// The section of payment profiles.
const PROFILE: &str = "profile";

/// The section of orders of the provider's own.
const PROVIDER_ORDER: &str = "provider_order";

fn plain<'a, M: Copy + Into<&'static str>>(
    of: &'static str,
    rows: &'a Section<PlainRow<M>>,
) -> impl Iterator<Item = (&'static str, &'a str, &'static str, Evidence)> + use<'a, M> {
    rows.iter().map(move |(status, row)| (of, status.as_str(), row.meaning.into(), row.evidence))
}

/// The normal spelling of a status: lower case, blanks and dashes as underscores.
fn normal(status: &str) -> String {
    let trimmed = status.trim().chars().take(100);
    trimmed.map(|c| if c == ' ' || c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// A provider's view of a payment and what it means.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The status it implies, if any.
    pub meaning: StatusMapping,
    /// Whether the provider will not change its mind.
    pub terminal: bool,
    /// The detail.
    pub detail: Option<Detail>,
    /// The stage of a dispute.
    pub stage: Option<DisputeStage>,
    /// The provider status, as it is shown.
    pub provider_status: ProviderStatus,
    /// The whole amount to be paid.
    pub total: Option<Money>,
    /// What is or was authorized.
    pub authorized: Option<Money>,
    /// What was captured.
    pub captured: Option<Money>,
    /// What was refunded.
    pub refunded: Option<Money>,
    /// What is in dispute.
    pub disputed: Option<Money>,
    /// Our reference as echoed.
    pub merchant_reference: Option<String>,
    /// Whether it is a test.
    pub is_test: Option<bool>,
    /// The last decline.
    pub failure: Option<Failure>,
    /// What the customer paid with.
    pub method: Option<crate::PaymentMethod>,
    /// The time it is about: the provider's own, else that of the read.
    pub as_of: crate::Timestamp,
}

/// Combines a view with the row of its status. There is no default row: an unknown status is
/// [`StatusMapping::Unmapped`]. A mark gives its name, and its detail unless there is one that says more than how
/// far the customer is. `as_of` is used if the provider states no time.
pub fn translate(table: &StatusTable, view: ProviderView, as_of: crate::Timestamp) -> Observation {
    let row = table.row(&view.provider_status);
    let mark = view.mark.filter(|_| row.is_some());
    let marked = mark.as_ref().and_then(|mark| table.row(mark)?.detail);
    let detail = row.and_then(|row| row.detail);
    let kept = detail.filter(|detail| !matches!(detail, Detail::Viewed | Detail::Overdue));
    Observation {
        meaning: row.map_or(StatusMapping::Unmapped, |row| row.meaning),
        terminal: row.is_some_and(|row| row.terminal),
        detail: kept.or(marked).or(detail),
        stage: row.and_then(|row| row.stage),
        provider_status: mark.unwrap_or(view.provider_status),
        total: view.total,
        authorized: view.authorized,
        captured: view.captured,
        refunded: view.refunded,
        disputed: view.disputed,
        merchant_reference: view.merchant_reference,
        is_test: view.is_test,
        failure: view.failure,
        method: view.method,
        as_of: view.at.unwrap_or(as_of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_shown_and_hides_nothing_about_the_money() {
        let table = StatusTable::parse(
            r#"
            source = "none"
            [order]
            paid     = { meaning = "PAID",      evidence = "seen" }
            received = { meaning = "PAID",      evidence = "seen", detail = "PAID_OUTSIDE" }
            viewed   = { meaning = "PENDING",   evidence = "seen", detail = "VIEWED" }
            test     = { meaning = "UNCHANGED", evidence = "seen", detail = "TEST" }
            "#,
        )
        .unwrap();
        let paid = StatusMapping::Status(PaymentStatus::Paid);
        let pending = StatusMapping::Status(PaymentStatus::Pending);
        let cases = [
            ("paid", true, paid, Some(Detail::Test), "test"),
            ("viewed", true, pending, Some(Detail::Test), "test"),
            ("received", true, paid, Some(Detail::PaidExternally), "test"),
            ("received", false, paid, Some(Detail::PaidExternally), "received"),
            ("test", false, StatusMapping::Unchanged, Some(Detail::Test), "test"),
            ("of_tomorrow", true, StatusMapping::Unmapped, None, "of_tomorrow"),
        ];
        for (status, marked, meaning, detail, shown) in cases {
            let mark = marked.then(|| ProviderStatus::new("order", "test"));
            let provider_status = ProviderStatus::new("order", status);
            let view = ProviderView { provider_status, mark, ..ProviderView::default() };
            let seen = translate(&table, view, crate::Timestamp::default());
            let came = (seen.meaning, seen.detail, seen.provider_status.status.as_str());
            assert_eq!(came, (meaning, detail, shown), "{status}");
        }
    }
}
