//! Erasing a customer: the personal data of every order that has ended goes, the events and their chains stay.

use port::OrderId;

use crate::domain::{
    Actor, Event, JobKind, OrderAggregate, Payment, Profile, ProfileEvent, ProfileSession,
    ProfileSessionEvent, Subject, SubjectKind, scheduled,
};
use crate::engine::{Command, Decision, Engine, WorkingCopy};
use crate::store::{OrderFilter, Page, ProfileFilter, StoreError, Write};

/// Subjects read at a time.
const PAGE: u32 = 200;

/// What erasing came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Orders whose personal data is gone.
    pub orders: u64,
    /// Orders of the customer that have not ended and are left as they are.
    pub still_open: Vec<OrderId>,
}

/// Erases a merchant's customer, by the merchant's own id of it.
///
/// # Errors
/// [`StoreError`]; what was erased before stays erased, and a second run goes on.
pub async fn erase(engine: &Engine, merchant: &str, customer: &str) -> Result<Erased, StoreError> {
    let mut erased = Erased::default();
    let mut before = None;
    loop {
        let filter = OrderFilter {
            merchant: merchant.to_owned(),
            state: None,
            reference: None,
            created_after: None,
            created_before: None,
            page: Page { before, limit: PAGE },
        };
        let page = engine.store.orders(&filter).await?;
        before = page.last().map(ToString::to_string);
        for id in &page {
            let Some(order) = engine.load::<OrderAggregate>(id.uuid()).await? else { continue };
            if !is_of(&order, customer) {
                continue;
            }
            if has_ended(&order) {
                erase_order(engine, order).await?;
                erased.orders += 1;
            } else {
                erased.still_open.push(*id);
            }
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    if erased.still_open.is_empty() {
        erase_profiles(engine, merchant, customer).await?;
        erase_profile_sessions(engine, merchant, customer).await?;
    }
    Ok(erased)
}

/// Whether nothing more can happen that would need the data, such as closing a start that was abandoned.
fn has_ended(order: &OrderAggregate) -> bool {
    let moving = |payment: &Payment| {
        payment.operation.is_some() || payment.state.is_held() || order.reserved(payment.id) > 0
    };
    let waits = scheduled(order).iter().any(|(job, _)| JobKind::from(job) != JobKind::ApplyRefundPolicy);
    order.header.state.is_final() && !waits && !order.payments.iter().any(moving)
}

fn is_of(order: &OrderAggregate, customer: &str) -> bool {
    let personal = order.header.personal.value();
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

/// A customer's stored methods. A deleted one that its provider still has stays until it was detached there, which
/// takes the provider's id of it.
async fn erase_profiles(engine: &Engine, merchant: &str, customer: &str) -> Result<(), StoreError> {
    let page = || Page { before: None, limit: PAGE };
    loop {
        let (merchant, customer_id) = (merchant.to_owned(), customer.to_owned());
        let filter = ProfileFilter { merchant, customer_id, page: page() };
        let ids = engine.store.profiles(&filter).await?;
        for id in &ids {
            if let Some(profile) = engine.load::<Profile>(id.uuid()).await? {
                erase_subject(engine, profile, ProfileEvent::PersonalDataErased, Vec::new()).await?;
            }
        }
        if ids.len() < PAGE as usize {
            return Ok(());
        }
    }
}

/// The sessions in which a customer stored methods. They are few, and nothing else leads to them.
async fn erase_profile_sessions(engine: &Engine, merchant: &str, customer: &str) -> Result<(), StoreError> {
    let mut last = None;
    loop {
        let page = engine.store.subjects_after(last, PAGE).await?;
        let sessions = page.iter().filter(|row| {
            row.merchant == merchant && matches!(row.kind, SubjectKind::ProfileSession | SubjectKind::Profile)
        });
        for row in sessions {
            match row.kind {
                SubjectKind::ProfileSession => {
                    let Some(session) = engine.load::<ProfileSession>(row.id).await? else { continue };
                    if session.customer_id() == Some(customer) {
                        let event = ProfileSessionEvent::PersonalDataErased;
                        erase_subject(engine, session, event, Vec::new()).await?;
                    }
                }
                _ => {
                    let Some(profile) = engine.load::<Profile>(row.id).await? else { continue };
                    if profile.customer_id() == Some(customer) && profile.detached {
                        erase_subject(engine, profile, ProfileEvent::PersonalDataErased, Vec::new()).await?;
                    }
                }
            }
        }
        last = page.last().map(|row| row.id);
        if page.len() < PAGE as usize {
            return Ok(());
        }
    }
}
