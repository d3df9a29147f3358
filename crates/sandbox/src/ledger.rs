//! The one ledger of all dialects: what exists, found by every name it has.
//!
//! It stores and does not judge. Every change is a [`Record`], so that replaying the journal is the same code as
//! living through it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dialect::{self, telness};
use crate::http::Response;
use crate::journal::{Journal, JournalError, Lock, Record};
use crate::object::{Object, Provider};

/// How a stored card behaves when it is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Behaviour {
    Paid,
    Declined,
    Challenge,
}

/// A stored card. There is no card number in the sandbox, only its last four digits.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Card {
    pub provider: Provider,
    /// In the provider's own shape.
    pub token: String,
    /// The customer's reference or id, as the merchant sent it.
    pub customer: String,
    pub scenario: Behaviour,
    pub last_four: String,
    /// Unix microseconds.
    pub created_at: i64,
}

/// Where a provider's notifications go.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub provider: Provider,
    pub url: String,
    #[serde(default)]
    pub secret: String,
}

/// The first answer to an idempotency key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// Key, method and URL.
    pub scope: String,
    /// Digest of everything that must be the same in a repeat.
    pub fingerprint: String,
    /// Unix microseconds.
    pub at: i64,
    pub response: Response,
}

/// Everything the sandbox stores.
#[derive(Default)]
pub(crate) struct Ledger {
    objects: Vec<Object>,
    by_name: HashMap<(Provider, String), usize>,
    by_reference: HashMap<(Provider, String), usize>,
    /// Objects that time will change, by when (unix microseconds).
    due: BTreeSet<(i64, usize)>,
    orders: BTreeMap<String, telness::Order>,
    cards: Vec<Card>,
    subscriptions: BTreeMap<Provider, Subscription>,
    remembered: HashMap<String, Remembered>,
    spent: HashSet<String>,
    journal: Option<Journal>,
}

impl Ledger {
    /// The ledger in `directory`, which is created if it is absent.
    pub(crate) fn open(directory: &Path) -> Result<Self, JournalError> {
        let mut ledger = Self::default();
        let lock = Lock::take(directory)?;
        for record in Journal::read(&lock)? {
            ledger.apply(record);
        }
        ledger.journal = Some(Journal::rewrite(lock, &ledger.records())?);
        Ok(ledger)
    }

    /// Takes a change over and writes it down.
    pub(crate) fn keep(&mut self, record: Record) {
        if let Some(Err(fault)) = self.journal.as_mut().map(|journal| journal.add(&record)) {
            tracing::error!(%fault, "the sandbox could not write its journal");
        }
        self.apply(record);
    }

    /// Every object, oldest first.
    pub(crate) fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// An object by any of its names: its id, its page's key, its payment's id.
    pub(crate) fn find(&self, provider: Provider, name: &str) -> Option<&Object> {
        let index = self.by_name.get(&(provider, name.to_owned()))?;
        self.objects.get(*index)
    }

    /// The first object that the merchant gave this reference.
    pub(crate) fn find_reference(&self, provider: Provider, reference: &str) -> Option<&Object> {
        let index = self.by_reference.get(&(provider, reference.to_owned()))?;
        self.objects.get(*index)
    }

    /// The earliest object that time changes at or before `now`, removed from the schedule.
    pub(crate) fn take_due(&mut self, now: i64) -> Option<Object> {
        loop {
            let &(at, index) = self.due.first().filter(|(at, _)| *at <= now)?;
            self.due.remove(&(at, index));
            let object = self.objects.get(index);
            if let Some(object) = object.filter(|object| dialect::due(object) == Some(at)) {
                return Some(object.clone());
            }
        }
    }

    pub(crate) fn order(&self, id: &str) -> Option<&telness::Order> {
        self.orders.get(id)
    }

    pub(crate) fn orders(&self) -> impl Iterator<Item = &telness::Order> {
        self.orders.values()
    }

    pub(crate) fn card(&self, provider: Provider, token: &str) -> Option<&Card> {
        self.cards.iter().find(|card| card.provider == provider && card.token == token)
    }

    pub(crate) fn cards(&self, provider: Provider) -> impl Iterator<Item = &Card> {
        self.cards.iter().filter(move |card| card.provider == provider)
    }

    pub(crate) fn subscription(&self, provider: Provider) -> Option<&Subscription> {
        self.subscriptions.get(&provider)
    }

    pub(crate) fn remembered(&self, scope: &str) -> Option<&Remembered> {
        self.remembered.get(scope)
    }

    pub(crate) fn is_spent(&self, token: &str) -> bool {
        self.spent.contains(token)
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Object(object) => self.put(*object),
            Record::Order(order) => drop(self.orders.insert(order.id.clone(), *order)),
            Record::Card(card) => self.cards.push(card),
            Record::CardGone(token) => self.cards.retain(|card| card.token != token),
            Record::Subscription(to) => drop(self.subscriptions.insert(to.provider, to)),
            Record::Remembered(first) => drop(self.remembered.insert(first.scope.clone(), *first)),
            Record::Spent(token) => drop(self.spent.insert(token)),
        }
    }

    fn put(&mut self, object: Object) {
        let provider = object.provider;
        let next = self.objects.len();
        let index = *self.by_name.entry((provider, object.id.clone())).or_insert(next);
        self.by_name.insert((provider, object.key.clone()), index);
        self.by_reference.entry((provider, object.reference.clone())).or_insert(index);
        if let Some(payment) = &object.payment_id {
            self.by_name.insert((provider, payment.clone()), index);
        }
        if let Some(at) = dialect::due(&object) {
            self.due.insert((at, index));
        }
        match self.objects.get_mut(index) {
            Some(place) => *place = object,
            None => self.objects.push(object),
        }
    }

    fn records(&self) -> Vec<Record> {
        let objects = self.objects.iter().map(|object| Record::Object(Box::new(object.clone())));
        let orders = self.orders.values().map(|order| Record::Order(Box::new(order.clone())));
        let cards = self.cards.iter().cloned().map(Record::Card);
        let subscriptions = self.subscriptions.values().cloned().map(Record::Subscription);
        let remembered = self.remembered.values().map(|first| Record::Remembered(Box::new(first.clone())));
        let spent = self.spent.iter().cloned().map(Record::Spent);
        objects.chain(orders).chain(cards).chain(subscriptions).chain(remembered).chain(spent).collect()
    }
}
