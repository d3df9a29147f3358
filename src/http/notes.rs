//! Notifications of providers: proven, kept and answered at once; followed up later, at our own pace.
//!
//! A notification that proves itself (a signature, a shared key) is stored raw before it is answered. One that is
//! proven by the secret part of its address alone says nothing about its content: it leaves no trace but a read of
//! the provider that was allowed anyway, so a flood of forged ones costs neither disk nor the provider's patience.

use std::collections::BTreeMap;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse};
use port::{Hint, NoteId, Notification, NotificationError, PaymentId, Timestamp, sign};

use super::call::Incoming;
use super::problem::{Code, Problem};
use super::rate::Buckets;
use crate::config::Limits;
use crate::metrics::NotificationOutcome;
use crate::payments::{Account, PaymentError, Payments};
use crate::reconcile::keep_note;
use crate::store::NoteRow;

/// `POST /webhooks/{account}` and `POST /webhooks/{account}/{key}`
pub(super) async fn take(incoming: Incoming) -> Result<HttpResponse, Problem> {
    let (payments, inbox) = (incoming.state.payments(), incoming.state.inbox());
    let shared = &payments.shared;
    let account = shared.accounts.get(incoming.segment("account")).ok_or_else(Problem::not_found)?;
    let count = |outcome| shared.metrics.notification(&account.name, outcome);
    let now = shared.now();
    if let Some(wait) = inbox.buckets.take(&account.name.as_str().into(), now).wait {
        count(NotificationOutcome::Limited);
        let detail = "More notifications come to this account than are taken.";
        return Err(Problem::new(Code::RateLimited, detail).retry_after(wait));
    }
    let headers = headers_of(&incoming.request);
    let note = Notification { headers: &headers, body: &incoming.body, received_at: now, address_key: false };
    let Ok((proof, hints)) = read(account, &note, incoming.segment("key")) else {
        count(NotificationOutcome::Unverified);
        let detail = "This does not prove that it comes from the provider.";
        return Err(Problem::new(Code::Unauthenticated, detail));
    };
    let taken = match proof {
        Proof::Own => keep(payments, account, &note, hints).await,
        Proof::Address => follow(payments, inbox, account, hints, now).await,
    };
    count(taken.map_err(not_taken)?);
    Ok(HttpResponse::Ok().finish())
}

/// Any fault is answered 503: then the provider sends it again.
fn not_taken(fault: PaymentError) -> Problem {
    let detail = "The notification could not be taken. Send it again.";
    Problem::new(Code::Overloaded, detail).caused_by(fault)
}

/// What shows that a notification comes from the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// Something in it: a signature, or a key that was agreed on.
    Own,
    /// Only the address that it came to.
    Address,
}

struct Unproven;

/// What a notification points at, and how it proved itself. `None` where it is not understood. Whether a proof of
/// its own is needed, and there, only the adapter knows, so it is asked without the address first.
fn read(
    account: &Account,
    note: &Notification<'_>,
    key: &str,
) -> Result<(Proof, Option<Vec<Hint>>), Unproven> {
    let address_key = account.notify_key.as_ref().is_some_and(|held| sign::same_secret(held, key.as_bytes()));
    let proofs = [(Proof::Own, false), (Proof::Address, true)];
    for (proof, address_key) in proofs.into_iter().filter(|(_, needs_key)| !needs_key || address_key) {
        match account.adapter.read_notification(&Notification { address_key, ..*note }) {
            Ok(hints) => return Ok((proof, Some(hints))),
            Err(NotificationError::Unreadable) => return Ok((proof, None)),
            Err(NotificationError::Unverified) => {}
        }
    }
    Err(Unproven)
}

/// Has a notification stored, and followed up if it points at anything.
async fn keep(
    payments: &Payments,
    account: &Account,
    note: &Notification<'_>,
    hints: Option<Vec<Hint>>,
) -> Result<NotificationOutcome, PaymentError> {
    let outcome = match hints {
        Some(_) => NotificationOutcome::Accepted,
        None => NotificationOutcome::Unreadable,
    };
    let hints = hints.unwrap_or_default();
    let row = NoteRow {
        id: NoteId::from_uuid(payments.shared.source.uuid()),
        account: account.name.clone(),
        identity: identity(note, &hints),
        headers: kept_headers(note.headers),
        body: note.body.to_vec(),
        hints: serde_json::to_string(&hints).expect("plain data is always JSON"),
        received_at: note.received_at,
    };
    keep_note(payments, row, !hints.is_empty()).await?;
    Ok(outcome)
}

/// What makes a notification the same as another one.
fn identity(note: &Notification<'_>, hints: &[Hint]) -> String {
    let event = hints.iter().find_map(|hint| hint.event.as_ref());
    event.map_or_else(|| sign::hex(&sign::sha256(&[note.body])), |event| format!("event {event}"))
}

/// More objects than this are not looked at in one notification. The providers name one, or a few.
const MOST_HINTS: usize = 20;

/// Has the provider asked about what an unsigned notification points at.
async fn follow(
    payments: &Payments,
    inbox: &Inbox,
    account: &Account,
    hints: Option<Vec<Hint>>,
    now: Timestamp,
) -> Result<NotificationOutcome, PaymentError> {
    let Some(hints) = hints else { return Ok(NotificationOutcome::Unreadable) };
    let mut outcome = NotificationOutcome::Unmatched;
    for reference in hints.into_iter().filter_map(|hint| hint.reference).take(MOST_HINTS) {
        if !inbox.adds_nothing(payments, account, &reference, now) {
            let Some(planned) = payments.hint(&account.name, &reference).await? else { continue };
            inbox.remember(account, reference, planned);
        }
        outcome = NotificationOutcome::Accepted;
    }
    Ok(outcome)
}

/// Headers by their lower-case names. One that is not text proves nothing.
fn headers_of(request: &HttpRequest) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = request.headers().iter();
    headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}

/// The headers that are stored. A list of what is harmless: where a provider puts its secrets is its own affair.
const KEPT_HEADERS: [&str; 6] =
    ["content-type", "user-agent", "message-id", "message-timestamp", "webhook-id", "webhook-timestamp"];

fn kept_headers(headers: &[(String, String)]) -> String {
    let kept = headers.iter().filter(|(name, _)| KEPT_HEADERS.contains(&name.as_str()));
    let kept: BTreeMap<_, _> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    serde_json::to_string(&kept).expect("text is always JSON")
}

/// What all workers share about notifications: how many may come, and what need not be looked up again.
pub(super) struct Inbox {
    buckets: Buckets,
    planned: moka::sync::Cache<(String, String), Planned>,
}

/// The read that is planned about a reference of ours. Until then, another notification about it adds nothing,
/// unless that read has begun earlier.
#[derive(Clone, Copy)]
struct Planned {
    payment: PaymentId,
    at: Timestamp,
}

/// References that are remembered.
const MOST_PLANNED: u64 = 50_000;

/// As many seconds' worth of notifications may come at once.
const BURST_S: u32 = 2;

impl Inbox {
    /// Within the operator's limits.
    pub(super) fn new(limits: &Limits) -> Self {
        let per_second = limits.notifications_per_second;
        let buckets = Buckets::new(per_second, per_second.saturating_mul(BURST_S));
        Self { buckets, planned: moka::sync::Cache::new(MOST_PLANNED) }
    }

    /// Whether a read is planned that will answer a notification about this reference too.
    fn adds_nothing(&self, payments: &Payments, account: &Account, reference: &str, now: Timestamp) -> bool {
        let planned = self.planned.get(&(account.name.clone(), reference.to_owned()));
        planned.is_some_and(|planned| now < planned.at && payments.awaits_read(planned.payment))
    }

    fn remember(&self, account: &Account, reference: String, (payment, at): (PaymentId, Timestamp)) {
        self.planned.insert((account.name.clone(), reference), Planned { payment, at });
    }
}
