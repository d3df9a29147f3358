//! Creating an order and changing it while it is a cart.

use port::{Currency, ItemId, OrderId, Timestamp};

use super::{OrderCommand, Orders};
use crate::domain::cart::{content, edit, price_order, sign};
use crate::domain::{
    Content, DomainError, Erasable, Event, LineItem, OrderAggregate, OrderHeader, OrderState, Outcome,
    PersonalData, Requirement, Signature, price, requirements,
};
use crate::engine::{Command, Decision, WorkingCopy};
use crate::payments::PaymentError;
use crate::store::StoreError;

/// A new order, checked for its shape.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// The merchant's own reference.
    pub reference: Option<String>,
    /// Of every amount.
    pub currency: Currency,
    /// The lines.
    pub items: Vec<LineItem>,
    /// Delivery, minor units.
    pub shipping: i64,
    /// Whether prices include their tax.
    pub tax_included: bool,
    /// Whether a signature is needed.
    pub requires_signing: Requirement,
    /// Whether a person approves it.
    pub requires_approval: bool,
    /// Whether a completed payment submits it.
    pub auto_submit: bool,
    /// Customer, addresses, metadata.
    pub personal: PersonalData,
    /// After how long without a request it expires, seconds.
    pub idle_seconds: u64,
}

/// A change of an order's content.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Anything but the lines. What is absent stays.
    Fields(Box<OrderFields>),
    /// One more line.
    AddItem(LineItem),
    /// A line as it shall be; its id says which.
    ChangeItem(LineItem),
    /// A line less.
    RemoveItem(ItemId),
}

/// New values for an order; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFields {
    /// Delivery, minor units.
    pub shipping: Option<i64>,
    /// Whether prices include their tax.
    pub tax_included: Option<bool>,
    /// Whether a signature is needed.
    pub requires_signing: Option<Requirement>,
    /// Whether a person approves it.
    pub requires_approval: Option<bool>,
    /// Whether a completed payment submits it.
    pub auto_submit: Option<bool>,
    /// Customer, addresses, metadata as they shall be.
    pub personal: Option<PersonalData>,
}

impl Orders {
    /// Creates an order.
    ///
    /// # Errors
    /// [`CommandError::ReferenceTaken`](crate::engine::CommandError::ReferenceTaken), `KeyTaken`, or that of the store.
    pub async fn create(
        &self,
        merchant: &str,
        command: &Command,
        new: NewOrder,
    ) -> Result<Outcome, PaymentError> {
        let created =
            Event::OrderCreated(Box::new(self.header_of(merchant, new, self.payments.engine.now())));
        let order = self.commit_new("create", command, vec![created]).await?;
        Ok(super::outcome(&order, Some(1)))
    }

    pub(super) async fn commit_new(
        &self,
        name: &'static str,
        command: &Command,
        events: Vec<Event>,
    ) -> Result<WorkingCopy<OrderAggregate>, StoreError> {
        self.payments.engine.create(name, command, Decision::from(events)).await
    }

    /// The header of a new order, not priced.
    pub(super) fn header_of(&self, merchant: &str, new: NewOrder, now: Timestamp) -> OrderHeader {
        let engine = &self.payments.engine;
        OrderHeader {
            id: OrderId::from_uuid(engine.subject_id()),
            merchant: merchant.to_owned(),
            reference: new.reference,
            currency: new.currency,
            state: OrderState::Pending,
            items: new.items,
            shipping: new.shipping,
            tax_included: new.tax_included,
            requires_signing: new.requires_signing,
            requires_approval: new.requires_approval,
            auto_submit: new.auto_submit,
            personal: Erasable::new(new.personal, engine.env.nonce()),
            price: None,
            requirements: None,
            signature: None,
            external_payment: None,
            fulfilment: None,
            external_payment_id: None,
            payment_source: None,
            profile_session: None,
            created_at: now,
            updated_at: now,
            idle_seconds: new.idle_seconds,
            expires_at: now.plus(std::time::Duration::from_secs(new.idle_seconds)),
            submitted_at: None,
            completed_at: None,
        }
    }

    /// A header that is priced as its order is created.
    pub(super) fn priced(mut header: OrderHeader, now: Timestamp) -> Result<OrderHeader, PaymentError> {
        let price = price(&header, now)?;
        header.price = Some(price);
        header.requirements = Some(requirements(&header, price.total));
        Ok(header)
    }
}

impl OrderCommand<'_> {
    /// Changes the content of a cart, as `change` wants it of the order as it is: nothing if it wants nothing.
    ///
    /// # Errors
    /// Those of `change`, and [`PaymentError::Command`] for an order that is none any more, or has no such line.
    pub async fn edit<E: From<StoreError> + From<PaymentError>>(
        self,
        change: impl Fn(&OrderAggregate) -> Result<Option<Edit>, E>,
    ) -> Result<Outcome, E> {
        self.run("edit", |order, _| {
            self.command.ensure_version(order.version()).map_err(PaymentError::from)?;
            let Some(change) = change(order)? else { return Ok(Vec::new()) };
            let content = self.edited(order, change).map_err(PaymentError::from)?;
            Ok(edit(order, content).map_err(PaymentError::from)?)
        })
        .await
    }

    fn edited(&self, order: &OrderAggregate, change: Edit) -> Result<Content, DomainError> {
        let mut content = content(&order.header);
        let position = |items: &[LineItem], id: ItemId| {
            items.iter().position(|item| item.id == id).ok_or(DomainError::NoSuchItem)
        };
        match change {
            Edit::AddItem(item) => content.items.push(item),
            Edit::ChangeItem(item) => {
                let at = position(&content.items, item.id)?;
                content.items.splice(at..=at, [item]);
            }
            Edit::RemoveItem(id) => {
                content.items.remove(position(&content.items, id)?);
            }
            Edit::Fields(fields) => self.set_fields(order, &mut content, *fields),
        }
        Ok(content)
    }

    fn set_fields(&self, order: &OrderAggregate, content: &mut Content, fields: OrderFields) {
        let header = &order.header;
        let old = header.personal.value().cloned().unwrap_or_default();
        content.shipping = fields.shipping.unwrap_or(content.shipping);
        content.tax_included = fields.tax_included.unwrap_or(content.tax_included);
        content.requires_signing = fields.requires_signing.unwrap_or(content.requires_signing);
        content.requires_approval = fields.requires_approval.unwrap_or(content.requires_approval);
        content.auto_submit = fields.auto_submit.unwrap_or(content.auto_submit);
        let Some(personal) = fields.personal else { return };
        let same_people = PersonalData { metadata: old.metadata.clone(), ..personal.clone() } == old;
        let same_rest = content.shipping == header.shipping
            && content.tax_included == header.tax_included
            && content.requires_signing == header.requires_signing
            && content.requires_approval == header.requires_approval
            && content.auto_submit == header.auto_submit;
        content.only_metadata = same_people && same_rest;
        content.personal = Erasable::new(personal, self.payments().engine.env.nonce());
    }

    /// Computes totals and requirements.
    ///
    /// # Errors
    /// [`PaymentError::Command`].
    pub async fn price(self) -> Result<Outcome, PaymentError> {
        self.run("price", |order, now| {
            self.command.ensure_version(order.version())?;
            Ok::<_, PaymentError>(vec![price_order(&order.header, now)?])
        })
        .await
    }

    /// Records a signature.
    ///
    /// # Errors
    /// [`PaymentError::Command`].
    pub async fn sign(self, signature: Signature) -> Result<Outcome, PaymentError> {
        let signature = Erasable::new(signature, self.payments().engine.env.nonce());
        self.run("sign", |order, _| {
            self.command.ensure_version(order.version())?;
            Ok::<_, PaymentError>(sign(order, signature.clone())?)
        })
        .await
    }
}
