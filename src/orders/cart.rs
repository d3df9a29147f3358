//! Placing an order and changing it while it is a cart.

use port::{Currency, ItemId, OrderId, Timestamp};

use super::{CommandContext, OrderError, Orders};
use crate::domain::cart::{content, edit, price_order, sign};
use crate::domain::{
    Content, Erasable, Event, LineItem, OrderAggregate, OrderHeader, OrderState, PersonalData, Requirement,
    Signature, price, requirements,
};
use crate::store::Change;

/// A new order, checked for its shape.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The merchant's own reference.
    pub reference: Option<String>,
    /// Of every amount.
    pub currency: Currency,
    /// The lines; their ids are made here.
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
    /// Customer, addresses, notes.
    pub personal: PersonalData,
    /// After how long without a request it expires, seconds.
    pub idle_seconds: u64,
}

/// A change of an order's content.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Anything but the lines. What is absent stays.
    Fields(Box<Fields>),
    /// One more line.
    AddItem(LineItem),
    /// A line as it shall be; its id says which.
    ChangeItem(LineItem),
    /// A line less.
    RemoveItem(ItemId),
}

/// New values for an order; what is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Fields {
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
    /// Customer, addresses, notes as they shall be.
    pub personal: Option<PersonalData>,
}

impl Orders {
    /// Makes an order.
    ///
    /// # Errors
    /// [`OrderError::ReferenceTaken`], [`OrderError::KeyTaken`], [`OrderError::Store`].
    pub async fn create(&self, context: &CommandContext, draft: Draft) -> Result<OrderAggregate, OrderError> {
        let now = self.payments.shared.now();
        let header = self.header_of(context, draft, now);
        self.commit_new(context, header, Vec::new(), now, "place").await
    }

    /// The order of a draft, not priced.
    pub(super) fn header_of(&self, context: &CommandContext, draft: Draft, now: Timestamp) -> OrderHeader {
        let env = &self.payments.shared.env;
        OrderHeader {
            id: OrderId::from_uuid(env.uuid()),
            merchant: context.merchant.to_string(),
            reference: draft.reference,
            currency: draft.currency,
            state: OrderState::Pending,
            items: draft.items,
            shipping: draft.shipping,
            tax_included: draft.tax_included,
            requires_signing: draft.requires_signing,
            requires_approval: draft.requires_approval,
            auto_submit: draft.auto_submit,
            personal: Erasable::new(draft.personal, env.nonce()),
            price: None,
            requirements: None,
            signature: None,
            external_payment: None,
            fulfilment: None,
            external_payment_id: None,
            payment_source: None,
            created_at: now,
            updated_at: now,
            idle_seconds: draft.idle_seconds,
            expires_at: now.plus(std::time::Duration::from_secs(draft.idle_seconds)),
            submitted_at: None,
            completed_at: None,
        }
    }

    /// The order, priced as it is placed.
    pub(super) fn priced(mut header: OrderHeader, now: Timestamp) -> Result<OrderHeader, OrderError> {
        let price = price(&header, now).map_err(crate::domain::DomainError::from)?;
        header.price = Some(price);
        header.requirements = Some(requirements(&header, price.total));
        Ok(header)
    }

    /// Commits a new order together with what follows at once.
    pub(super) async fn commit_new(
        &self,
        context: &CommandContext,
        header: OrderHeader,
        more: Vec<Event>,
        now: Timestamp,
        name: &'static str,
    ) -> Result<OrderAggregate, OrderError> {
        let shared = &self.payments.shared;
        let placed = Event::OrderCreated(Box::new(header));
        let Some(mut order) = OrderAggregate::create(&placed) else { return Err(OrderError::NotFound) };
        let events = std::iter::once(placed).chain(more).collect();
        let meta = crate::domain::EventMeta { at: now, cause: &context.cause };
        let mut change = Change::of(name, &mut order, events, &meta, &mut shared.ids())?;
        change.writes.splice(0..0, context.key_row(order.id(), 1, now));
        shared.commit(&order.header.merchant, change).await?;
        Ok(order)
    }

    /// Changes the content of a cart.
    ///
    /// # Errors
    /// [`OrderError::Refused`] for an order that is none any more, or has no such line.
    pub async fn edit(
        &self,
        context: &CommandContext,
        order: OrderId,
        change: Edit,
    ) -> Result<OrderAggregate, OrderError> {
        let mut order = self.order(context, order).await?;
        self.change("edit", context, &mut order, |order, _| {
            let content = self.edited(order, change.clone())?;
            Ok(edit(order, content)?)
        })
        .await?;
        Ok(order)
    }

    fn edited(&self, order: &OrderAggregate, change: Edit) -> Result<Content, OrderError> {
        let mut content = content(&order.header);
        let position = |items: &[LineItem], id: ItemId| {
            items.iter().position(|item| item.id == id).ok_or(crate::domain::DomainError::NoSuchItem)
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

    fn set_fields(&self, order: &OrderAggregate, content: &mut Content, fields: Fields) {
        let old = order.header.personal.value().cloned().unwrap_or_default();
        content.shipping = fields.shipping.unwrap_or(content.shipping);
        content.tax_included = fields.tax_included.unwrap_or(content.tax_included);
        content.requires_signing = fields.requires_signing.unwrap_or(content.requires_signing);
        content.requires_approval = fields.requires_approval.unwrap_or(content.requires_approval);
        content.auto_submit = fields.auto_submit.unwrap_or(content.auto_submit);
        let Some(personal) = fields.personal else { return };
        let same_people = PersonalData { metadata: old.metadata.clone(), ..personal.clone() } == old;
        let same_rest = content.shipping == order.header.shipping
            && content.tax_included == order.header.tax_included
            && content.requires_signing == order.header.requires_signing
            && content.requires_approval == order.header.requires_approval
            && content.auto_submit == order.header.auto_submit;
        content.only_metadata = same_people && same_rest;
        content.personal = Erasable::new(personal, self.payments.shared.env.nonce());
    }

    /// Computes totals and requirements.
    ///
    /// # Errors
    /// [`OrderError::Refused`].
    pub async fn price(
        &self,
        context: &CommandContext,
        order: OrderId,
    ) -> Result<OrderAggregate, OrderError> {
        let mut order = self.order(context, order).await?;
        self.change("price", context, &mut order, |order, now| Ok(vec![price_order(&order.header, now)?]))
            .await?;
        Ok(order)
    }

    /// Records a signature.
    ///
    /// # Errors
    /// [`OrderError::Refused`].
    pub async fn sign(
        &self,
        context: &CommandContext,
        order: OrderId,
        signature: Signature,
    ) -> Result<OrderAggregate, OrderError> {
        let mut order = self.order(context, order).await?;
        let sealed = Erasable::new(signature, self.payments.shared.env.nonce());
        self.change("sign", context, &mut order, |order, _| Ok(sign(order, sealed.clone())?)).await?;
        Ok(order)
    }
}
