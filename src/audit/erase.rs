//! Erases a customer's personal data from every order that is finished. The events and their hashes stay.

use std::collections::BTreeSet;

use port::{AttemptId, OrderId, ProfileId, ProfileSessionId, Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use crate::domain::{
    Actor, Event, Job, JobKind, OrderAggregate, Payment, Profile, ProfileEvent, ProfileSession,
    ProfileSessionEvent, Subject, SubjectKind, is_given_up, payment_of_job, scheduled,
};
use crate::engine::{Command, Decision, Engine, WorkingCopy};
use crate::store::{StoreError, SubjectRow, Write};

/// Subjects read at a time.
const PAGE: u32 = 200;

/// Whose personal data is erased.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureTarget {
    /// A customer by the merchant's own id: their orders, and once none is open, all that was stored of payment methods.
    Customer(String),
    /// A customer by e-mail address, in capitals or not: their orders.
    Email(String),
    /// One order.
    Order(OrderId),
}

/// What was erased, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Orders whose personal data is gone.
    pub orders: Vec<OrderId>,
    /// Orders of which something is still open, and which are left as they are.
    pub still_open: Vec<OrderId>,
    /// Sessions in which the customer stored a payment method.
    pub profile_sessions: Vec<ProfileSessionId>,
    pub profiles: Vec<ProfileId>,
    /// The merchant's own ids of the customers whose orders were found.
    pub customer_ids: BTreeSet<String>,
}

/// Erases the personal data of a merchant's customer. It may run beside everything else: whether an order has ended is
/// decided together with the change that erases it. `accounts` names the configured accounts, where they are known: what
/// stays open at another one can be given up by a person ([`has_ended`]).
///
/// # Errors
/// [`StoreError`]; what was erased before stays erased, and a second run continues.
pub async fn erase(
    engine: &Engine,
    merchant: &str,
    target: &ErasureTarget,
    accounts: Option<&[String]>,
) -> Result<Erased, StoreError> {
    let mut erased = Erased::default();
    if let ErasureTarget::Order(id) = target {
        let order = engine.load::<OrderAggregate>(id.uuid()).await?;
        if let Some(order) = order.filter(|order| order.header.merchant == merchant) {
            erase_order(engine, order, accounts, &mut erased).await?;
        }
        return Ok(erased);
    }
    let mut last = None;
    while let Some(page) = next_page(engine, merchant, &mut last).await? {
        for row in page.iter().filter(|row| row.kind == SubjectKind::Order) {
            let order = engine.existing::<OrderAggregate>(row.id).await?;
            if is_of(&order, target) {
                erase_order(engine, order, accounts, &mut erased).await?;
            }
        }
    }
    if let (ErasureTarget::Customer(id), true) = (target, erased.still_open.is_empty()) {
        erase_profiles(engine, merchant, id, &mut erased).await?;
    }
    Ok(erased)
}

/// The next page of a merchant's subjects, after `last`; `None` at the end.
async fn next_page(
    engine: &Engine,
    merchant: &str,
    last: &mut Option<Uuid>,
) -> Result<Option<Vec<SubjectRow>>, StoreError> {
    let mut page = engine.store.subjects_after(*last, PAGE).await?;
    let Some(row) = page.last() else { return Ok(None) };
    *last = Some(row.id);
    page.retain(|row| row.merchant == merchant);
    Ok(Some(page))
}

/// Whether the order is final and no job or operation still needs its personal data. What a person has given up counts
/// no more: should its account be configured again, it goes on without that data, and late money is still found.
fn has_ended(order: &OrderAggregate, accounts: Option<&[String]>, now: Timestamp) -> bool {
    let given_up = |payment: &Payment| {
        let account = order.account_of_payment(payment);
        let retired = |account: &str| accounts.is_some_and(|known| !known.iter().any(|name| name == account));
        account.is_some_and(retired) && is_given_up(order, payment)
    };
    let moving = |payment: &&Payment| {
        payment.operation.is_some() || payment.state.is_authorized() || order.reserved(payment.id) > 0
    };
    let waits = |(job, _): &(Job, Timestamp)| {
        let payment = payment_of_job(order, *job).and_then(|id| order.payment(id));
        JobKind::from(job) != JobKind::ApplyRefundPolicy && !payment.is_some_and(given_up)
    };
    let moving = order.payments.iter().filter(moving).any(|payment| !given_up(payment));
    order.header.state.is_final() && !moving && !scheduled(order, now).iter().any(waits)
}

fn is_of(order: &OrderAggregate, target: &ErasureTarget) -> bool {
    let Some(personal) = order.header.content.personal.value() else { return false };
    match target {
        ErasureTarget::Customer(id) => personal.customer.id.as_ref() == Some(id),
        ErasureTarget::Email(email) => {
            personal.customer.email.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(email))
        }
        ErasureTarget::Order(id) => order.id() == *id,
    }
}

async fn erase_order(
    engine: &Engine,
    order: WorkingCopy<OrderAggregate>,
    accounts: Option<&[String]>,
    erased: &mut Erased,
) -> Result<(), StoreError> {
    let id = order.id();
    let customer = order.header.content.personal.value().and_then(|personal| personal.customer.id.clone());
    let decide = |order: &OrderAggregate, now| {
        has_ended(order, accounts, now).then(|| (Event::PersonalDataErased, objects(order)))
    };
    let done = erase_subject(engine, order, decide).await?;
    erased.customer_ids.extend(customer);
    if done {
        erased.orders.push(id)
    } else {
        erased.still_open.push(id)
    }
    Ok(())
}

/// How a stored notification may name an order's objects.
fn objects(order: &OrderAggregate) -> Vec<(String, String)> {
    let attempts = order.attempts.iter();
    attempts.flat_map(|attempt| names(&attempt.account, attempt.id, attempt.reference.as_ref())).collect()
}

/// The same of a profile session.
fn objects_of_session(session: &ProfileSession) -> Vec<(String, String)> {
    let attempts = session.attempts.iter();
    attempts.flat_map(|attempt| names(&attempt.account, attempt.id, attempt.reference.as_ref())).collect()
}

/// The same of a payment profile, which only its provider has named.
fn objects_of_profile(profile: &Profile) -> Vec<(String, String)> {
    profile.reference().map(|reference| (profile.account.clone(), reference.to_owned())).into_iter().collect()
}

/// What an attempt is called in notifications to its account: by our id of it, and by the provider's.
fn names(account: &str, id: AttemptId, reference: Option<&String>) -> impl Iterator<Item = (String, String)> {
    let names = [Some(id.to_string()), reference.cloned()].into_iter().flatten();
    names.map(|name| (account.to_owned(), name))
}

/// Erases a subject if `decide` gives the event that says so, with the names of its objects at providers.
async fn erase_subject<S: Subject>(
    engine: &Engine,
    mut subject: WorkingCopy<S>,
    decide: impl Fn(&S, Timestamp) -> Option<(S::Event, Vec<(String, String)>)>,
) -> Result<bool, StoreError> {
    let command = Command::of(Actor::Operator);
    let erase = |subject: &S, now| {
        let Some((event, objects)) = decide(subject, now) else { return Ok(None.into()) };
        let also = vec![Write::ErasePersonal { subject: subject.uuid(), objects }];
        Ok::<_, StoreError>(Decision { events: vec![event], also })
    };
    Ok(engine.change("erase", &command, &mut subject, erase).await?.is_some())
}

/// A customer's payment profiles, and the sessions in which they were stored. A deleted method that its provider still
/// has stays until it was detached there, which takes the provider's id of it.
async fn erase_profiles(
    engine: &Engine,
    merchant: &str,
    customer: &str,
    erased: &mut Erased,
) -> Result<(), StoreError> {
    let of_session = |session: &ProfileSession, _| {
        let own = session.customer_id() == Some(customer);
        own.then(|| (ProfileSessionEvent::PersonalDataErased, objects_of_session(session)))
    };
    let of_profile = |profile: &Profile, _| {
        let own = profile.customer_id() == Some(customer) && (!profile.deleted || profile.detached);
        own.then(|| (ProfileEvent::PersonalDataErased, objects_of_profile(profile)))
    };
    let mut last = None;
    while let Some(page) = next_page(engine, merchant, &mut last).await? {
        for row in page {
            match row.kind {
                SubjectKind::ProfileSession => {
                    let session = engine.existing::<ProfileSession>(row.id).await?;
                    if erase_subject(engine, session, of_session).await? {
                        erased.profile_sessions.push(ProfileSessionId::from_uuid(row.id));
                    }
                }
                SubjectKind::Profile => {
                    let profile = engine.existing::<Profile>(row.id).await?;
                    if erase_subject(engine, profile, of_profile).await? {
                        erased.profiles.push(ProfileId::from_uuid(row.id));
                    }
                }
                SubjectKind::Order | SubjectKind::WebhookEndpoint => {}
            }
        }
    }
    Ok(())
}
