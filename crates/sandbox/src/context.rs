//! Where a request is handled: the ledger, the time, and the rules that hold in every dialect.

use paymux_port::Money;
use serde::Deserialize;

use crate::dialect;
use crate::faults::Fault;
use crate::ids::{self, IdGenerator};
use crate::journal::Record;
use crate::ledger::{Behaviour, Card, Ledger};
use crate::object::{Decline, Effect, Object, Provider, Refusal};

/// What the customer, or the customer's bank, does to an object that can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Paid,
    Hold,
    /// Another try is welcome.
    Declined,
    DeclinedFinal,
    Cancelled,
    ActionRequired,
    Viewed,
    Expired,
    /// The bank is slow: the money is captured [`SLOW_US`] later.
    Slow,
    /// The customer has ordered a bank transfer, which arrives [`TRANSFER_US`] later.
    Transfer,
}

/// How long a slow bank takes, in microseconds.
pub(crate) const SLOW_US: i64 = 5_000_000;

/// How long a bank transfer takes, in microseconds.
pub(crate) const TRANSFER_US: i64 = 15_000_000;

/// One notification before it is addressed and signed.
#[derive(Clone, Debug)]
pub(crate) struct PendingNotification {
    pub provider: Provider,
    /// The same for every repeat of the same change.
    pub event_id: String,
    pub body: String,
}

/// Everything a dialect may touch while it answers one request.
pub(crate) struct RequestContext<'a> {
    pub ledger: &'a mut Ledger,
    pub id_generator: &'a mut IdGenerator,
    /// Unix microseconds.
    pub now: i64,
    /// Scheme, host and port of this server, without a slash at the end.
    pub base_url: &'a str,
    /// The fault that the answer has.
    pub answer_fault: Option<Fault>,
    pub notifications: Vec<PendingNotification>,
}

impl RequestContext<'_> {
    pub(crate) fn find(&self, provider: Provider, name: &str) -> Option<Object> {
        self.ledger.find(provider, name).cloned()
    }

    /// The object as an answer shows it: true, unless a fault falsifies it.
    pub(crate) fn seen(&self, object: &Object) -> Object {
        let mut seen = object.clone();
        match self.answer_fault {
            Some(Fault::UnknownWord) => {
                let word = if object.provider == Provider::Decta { "something_new" } else { "SOMETHING_NEW" };
                seen.word = word.into();
                if let Some(last) = seen.history.last_mut() {
                    last.word = word.into();
                }
            }
            Some(Fault::WrongAmount | Fault::WrongCurrency) => {
                let shown = self.distorted(object.money(object.amount));
                (seen.amount, seen.currency) = (shown.minor, shown.currency);
            }
            _ => {}
        }
        seen
    }

    /// An amount as an answer states it: one minor unit too much, or in another currency, if a fault wants so.
    pub(crate) fn distorted(&self, money: Money) -> Money {
        match self.answer_fault {
            Some(Fault::WrongAmount) => Money::new(money.minor.saturating_add(1), money.currency),
            Some(Fault::WrongCurrency) => {
                let other = if money.currency.code() == "EUR" { "USD" } else { "EUR" };
                Money::new(money.minor, other.parse().expect("EUR and USD are currencies"))
            }
            _ => money,
        }
    }

    /// Stores the object without a change of its status.
    pub(crate) fn save(&mut self, object: &Object) {
        self.ledger.keep(Record::Object(Box::new(object.clone())));
    }

    /// Records the status `word`, whose money was already moved; `status` is what the object shows from now on.
    pub(crate) fn transition(
        &mut self,
        object: &mut Object,
        word: &str,
        status: &str,
    ) -> Result<(), Refusal> {
        object.record(word, status, self.now)?;
        self.save(object);
        self.announce(object, object.history.len() - 1);
        dialect::of(object.provider).followed(self, object);
        Ok(())
    }

    /// Sets the status of the object, and its money to what that status implies.
    pub(crate) fn set(&mut self, object: &mut Object, word: &str, effect: Effect) -> Result<(), Refusal> {
        object.apply(effect);
        self.transition(object, word, word)
    }

    /// Queues the notification of the object's change number `index`.
    pub(crate) fn announce(&mut self, object: &Object, index: usize) {
        let listener = self.ledger.subscription(object.provider);
        let Some(then) = listener.and_then(|_| object.as_of(index)) else { return };
        let event_id = ids::fixed_uuid(&format!("{}/{index}", object.id));
        let body = dialect::of(object.provider).notification_body(self, &then, &event_id);
        self.notifications.push(PendingNotification { provider: object.provider, event_id, body });
    }

    /// What the customer did happens, if the object can still be paid.
    pub(crate) fn apply_outcome(&mut self, object: &mut Object, outcome: Outcome) -> Result<(), Refusal> {
        let dialect = dialect::of(object.provider);
        if !dialect.is_open(object) {
            return Err(Refusal::NotPayable);
        }
        let outcome = self.by_terms(object, outcome);
        let words = dialect.words(object, outcome).ok_or(Refusal::NoSuchOutcome)?;
        if outcome != Outcome::Viewed {
            let takes = match outcome {
                Outcome::Slow => Some(SLOW_US),
                Outcome::Transfer => Some(TRANSFER_US),
                _ => None,
            };
            object.by_transfer =
                outcome == Outcome::Transfer || object.by_transfer && outcome == Outcome::Paid;
            object.slow_until = takes.map(|takes| self.now.saturating_add(takes));
            object.challenged = outcome == Outcome::ActionRequired;
        }
        match outcome {
            Outcome::Paid | Outcome::Hold => self.receive_card(object),
            Outcome::Declined | Outcome::DeclinedFinal => object.declines.push(Decline {
                at: self.now,
                code: "51".into(),
                text: "Insufficient funds".into(),
            }),
            _ => {}
        }
        self.save(object);
        for word in words.iter().copied().filter(|word| *word != object.word).collect::<Vec<_>>() {
            let effect = dialect.effect(object.kind, word).unwrap_or(Effect::Nothing);
            self.set(object, word, effect)?;
        }
        Ok(())
    }

    /// Sets the object to any status of its provider; `false` if there is no such status.
    pub(crate) fn advance(&mut self, object: &mut Object, word: &str) -> Result<bool, Refusal> {
        let dialect = dialect::of(object.provider);
        (object.slow_until, object.challenged) = (None, false);
        if let Some(effect) = dialect.effect(object.kind, word) {
            self.record_payment(object, effect);
            return self.set(object, word, effect).map(|()| true);
        }
        let Some(effect) = dialect.payment_effect(word) else { return Ok(false) };
        self.record_payment(object, effect);
        object.apply(effect);
        let status = object.word.clone();
        self.transition(object, word, &status).map(|()| true)
    }

    /// Lets time do what is due; returns when nothing is.
    pub(crate) fn let_time_pass(&mut self) {
        while let Some(mut object) = self.ledger.take_due(self.now) {
            let dialect = dialect::of(object.provider);
            let passed = match dialect.deadline(&object) {
                _ if object.slow_until.is_some_and(|until| until <= self.now) => {
                    self.apply_outcome(&mut object, Outcome::Paid)
                }
                Some((_, word)) => {
                    let effect = dialect.effect(object.kind, word).unwrap_or(Effect::Nothing);
                    self.set(&mut object, word, effect)
                }
                None => Ok(()),
            };
            if let Err(refusal) = passed {
                tracing::warn!(id = %object.id, %refusal, "time could not change an object of the sandbox");
                return;
            }
        }
    }

    /// Charges a stored card without its customer.
    pub(crate) fn charge(&mut self, object: &mut Object, card: &Card) -> Result<(), Refusal> {
        let outcome = match card.scenario {
            Behaviour::Paid => Outcome::Paid,
            Behaviour::Declined => Outcome::DeclinedFinal,
            Behaviour::Challenge => Outcome::ActionRequired,
        };
        self.apply_outcome(object, outcome)
    }

    /// Stores a card, with a token in the provider's shape.
    pub(crate) fn store_card(&mut self, provider: Provider, customer: &str, scenario: Behaviour) -> Card {
        let token = match provider {
            Provider::Paymennt => format!("ctk_sandbox_{}", self.id_generator.hex(self.now, 64)),
            Provider::Telness | Provider::Decta => self.id_generator.uuid(self.now),
        };
        let last_four = match scenario {
            Behaviour::Paid => "4242",
            Behaviour::Declined => "0002",
            Behaviour::Challenge => "3220",
        };
        let customer = customer.to_owned();
        let last_four = last_four.to_owned();
        let card = Card { provider, token, customer, scenario, last_four, created_at: self.now };
        self.ledger.keep(Record::Card(card.clone()));
        card
    }

    /// The effect of the outcome under the terms with which the object was created.
    fn by_terms(&self, object: &Object, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Paid if object.terms.hold => Outcome::Hold,
            // A charge that was begun without the customer has one try.
            Outcome::Declined if object.payment_id.is_some() => Outcome::DeclinedFinal,
            Outcome::Declined
                if object.terms.most_tries.is_some_and(|most| object.declines.len() + 1 >= most) =>
            {
                Outcome::DeclinedFinal
            }
            _ => outcome,
        }
    }

    fn receive_card(&mut self, object: &mut Object) {
        self.record_payment(object, Effect::Paid);
        let stores = object.terms.save_card && !object.by_transfer;
        if let (true, Some(customer)) = (stores, object.terms.customer.clone()) {
            object.stored_card = Some(self.store_card(object.provider, &customer, Behaviour::Paid).token);
        }
    }

    /// Money that moves has a payment record.
    fn record_payment(&mut self, object: &mut Object, effect: Effect) {
        let takes_money = object.amount > 0 && object.payment_id.is_none();
        if takes_money && !matches!(effect, Effect::Nothing | Effect::Release) {
            object.payment_id = Some(match object.provider {
                Provider::Paymennt => self.id_generator.snowflake(self.now),
                Provider::Telness | Provider::Decta => self.id_generator.uuid(self.now),
            });
        }
    }
}
