//! Erases a customer's personal data from every order that has ended. The events and their hashes stay.

use port::{OrderId, Timestamp, Uuid};

use crate::domain::{
    Actor, Event, JobKind, OrderAggregate, Payment, Profile, ProfileEvent, ProfileSession,
    ProfileSessionEvent, Subject, SubjectKind, scheduled,
};
use crate::engine::{Command, Decision, Engine, WorkingCopy};
use crate::store::{StoreError, SubjectRow, Write};

/// Subjects read at a time.
const PAGE: u32 = 200;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Orders whose personal data is gone.
    pub orders: u64,
    /// Orders of the customer that have not ended and are left as they are.
    pub still_open: Vec<OrderId>,
}

/// Erases a merchant's customer, by the merchant's own id of it: orders that have ended, and once no order is open, all
/// that was stored of payment methods.
///
/// # Errors
/// [`StoreError`]; what was erased before stays erased, and a second run continues.
pub async fn erase(engine: &Engine, merchant: &str, customer: &str) -> Result<Erased, StoreError> {
    let (mut erased, mut last) = (Erased::default(), None);
    while let Some(page) = next_page(engine, merchant, &mut last).await? {
        for row in page.iter().filter(|row| row.kind == SubjectKind::Order) {
            let order = engine.existing::<OrderAggregate>(row.id).await?;
            if is_of(&order, customer) && has_ended(&order, engine.now()) {
                erase_order(engine, order).await?;
                erased.orders += 1;
            } else if is_of(&order, customer) {
                erased.still_open.push(order.id());
            }
        }
    }
    if erased.still_open.is_empty() {
        erase_profiles(engine, merchant, customer).await?;
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

/// Whether the order is final and no job or operation still needs its personal data.
fn has_ended(order: &OrderAggregate, now: Timestamp) -> bool {
    let moving = |payment: &Payment| {
        payment.operation.is_some() || payment.state.is_authorized() || order.reserved(payment.id) > 0
    };
    let waits = scheduled(order, now).iter().any(|(job, _)| JobKind::from(job) != JobKind::ApplyRefundPolicy);
    order.header.state.is_final() && !waits && !order.payments.iter().any(moving)
}

fn is_of(order: &OrderAggregate, customer: &str) -> bool {
    let personal = order.header.content.personal.value();
    personal.is_some_and(|personal| personal.customer.id.as_deref() == Some(customer))
}

async fn erase_order(engine: &Engine, order: WorkingCopy<OrderAggregate>) -> Result<(), StoreError> {
    let objects = order.attempts.iter();
    let objects = objects.filter_map(|attempt| Some((attempt.account.clone(), attempt.reference.clone()?)));
    let objects = objects.collect();
    erase_subject(engine, order, Event::PersonalDataErased, objects).await
}

async fn erase_subject<S: Subject>(
    engine: &Engine,
    mut subject: WorkingCopy<S>,
    event: S::Event,
    objects: Vec<(String, String)>,
) -> Result<(), StoreError> {
    let command = Command::of(Actor::Operator);
    let erase = |subject: &S, _| {
        let also = vec![Write::ErasePersonal { subject: subject.uuid(), objects: objects.clone() }];
        Ok::<_, StoreError>(Decision { events: vec![event.clone()], also })
    };
    engine.change("erase", &command, &mut subject, erase).await.map(drop)
}

/// A customer's stored methods, and the sessions in which they were stored. A deleted method that its provider still
/// has stays until it was detached there, which takes the provider's id of it.
async fn erase_profiles(engine: &Engine, merchant: &str, customer: &str) -> Result<(), StoreError> {
    let mut last = None;
    while let Some(page) = next_page(engine, merchant, &mut last).await? {
        for row in page {
            match row.kind {
                SubjectKind::ProfileSession => {
                    let session = engine.existing::<ProfileSession>(row.id).await?;
                    if session.customer_id() == Some(customer) {
                        let event = ProfileSessionEvent::PersonalDataErased;
                        erase_subject(engine, session, event, Vec::new()).await?;
                    }
                }
                SubjectKind::Profile => {
                    let profile = engine.existing::<Profile>(row.id).await?;
                    if profile.customer_id() == Some(customer) && (!profile.deleted || profile.detached) {
                        erase_subject(engine, profile, ProfileEvent::PersonalDataErased, Vec::new()).await?;
                    }
                }
                SubjectKind::Order | SubjectKind::WebhookEndpoint => {}
            }
        }
    }
    Ok(())
}
