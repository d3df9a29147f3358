//! Use cases: create, edit, price and sign an order.

use port::{Currency, ItemId, OrderId, Timestamp};

use super::{OrderCommand, Orders};
use crate::domain::{
    Content, DomainError, Erasable, Event, LineItem, OrderAggregate, OrderHeader, OrderState, Outcome,
    PersonalData, Requirement, Signature, cart,
};
use crate::engine::Command;
use crate::payments::{PaymentError, Result};
use crate::store::StoreError;

#[derive(Clone, Debug)]
pub struct NewOrder {
    pub reference: Option<String>,
    pub currency: Currency,
    pub items: Vec<LineItem>,
    /// In minor units.
    pub shipping: i64,
    pub tax_included: bool,
    pub requires_signing: Requirement,
    pub requires_approval: bool,
    pub payment_optional: bool,
    pub profile_required: bool,
    pub auto_submit: bool,
    pub personal: PersonalData,
    /// The order expires this long after its last request.
    pub idle_seconds: u64,
}

/// A change of an order's content.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Anything but the items.
    Fields(Box<OrderFields>),
    AddItem(LineItem),
    /// Replaces the item with the same id.
    ChangeItem(LineItem),
    RemoveItem(ItemId),
}

/// New values for an order; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFields {
    /// In minor units.
    pub shipping: Option<i64>,
    pub tax_included: Option<bool>,
    pub requires_signing: Option<Requirement>,
    pub requires_approval: Option<bool>,
    pub payment_optional: Option<bool>,
    pub profile_required: Option<bool>,
    pub auto_submit: Option<bool>,
    pub personal: Option<PersonalData>,
}

impl Orders {
    /// # Errors
    /// [`CommandError::ReferenceTaken`](crate::engine::CommandError::ReferenceTaken), `IdempotencyKeyTaken`, or that of
    /// the store.
    pub async fn create(&self, merchant: &str, command: &Command, new: NewOrder) -> Result<Outcome> {
        let engine = &self.payments.engine;
        let created = Event::OrderCreated(Box::new(self.header_of(merchant, new, engine.now())));
        let order = engine.create("create", command, vec![created]).await?;
        Ok(super::outcome(&order, Some(1)))
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
            content: Content {
                items: new.items,
                shipping: new.shipping,
                tax_included: new.tax_included,
                requires_signing: new.requires_signing,
                requires_approval: new.requires_approval,
                payment_optional: new.payment_optional,
                profile_required: new.profile_required,
                auto_submit: new.auto_submit,
                personal: Erasable::new(new.personal, engine.env.nonce()),
            },
            price: None,
            requirements: None,
            signature: None,
            external_payment: None,
            fulfilment: None,
            external_payment_id: None,
            payment_proof: None,
            profile_session: None,
            created_at: now,
            updated_at: now,
            idle_seconds: new.idle_seconds,
            expires_at: now.plus(std::time::Duration::from_secs(new.idle_seconds)),
            submitted_at: None,
            completed_at: None,
        }
    }
}

impl OrderCommand<'_> {
    /// Changes the content of a cart by the edit that `change` makes of the order as it is, if it makes any.
    ///
    /// # Errors
    /// Those of `change`, and [`PaymentError::Command`] for an order that is no cart any more, or has no such item.
    pub async fn edit<E: From<StoreError> + From<PaymentError>>(
        self,
        change: impl Fn(&OrderAggregate) -> Result<Option<Edit>, E>,
    ) -> Result<Outcome, E> {
        self.run("edit", |context| {
            let order = context.order;
            self.command.ensure_version(order.version()).map_err(PaymentError::from)?;
            let Some(change) = change(order)? else { return Ok(Vec::new()) };
            let (content, only_metadata) = self.edited(order, change).map_err(PaymentError::from)?;
            Ok(cart::edit(order, content, only_metadata).map_err(PaymentError::from)?)
        })
        .await
    }

    /// The new content, and whether only its metadata has changed.
    fn edited(&self, order: &OrderAggregate, change: Edit) -> Result<(Content, bool), DomainError> {
        let mut content = order.header.content.clone();
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
            Edit::Fields(fields) => return Ok(self.with_fields(content, *fields)),
        }
        Ok((content, false))
    }

    fn with_fields(&self, old: Content, fields: OrderFields) -> (Content, bool) {
        let content = Content {
            shipping: fields.shipping.unwrap_or(old.shipping),
            tax_included: fields.tax_included.unwrap_or(old.tax_included),
            requires_signing: fields.requires_signing.unwrap_or(old.requires_signing),
            requires_approval: fields.requires_approval.unwrap_or(old.requires_approval),
            payment_optional: fields.payment_optional.unwrap_or(old.payment_optional),
            profile_required: fields.profile_required.unwrap_or(old.profile_required),
            auto_submit: fields.auto_submit.unwrap_or(old.auto_submit),
            ..old.clone()
        };
        let Some(personal) = fields.personal else { return (content, false) };
        let before = old.personal.value().cloned().unwrap_or_default();
        let same_people = PersonalData { metadata: before.metadata.clone(), ..personal.clone() } == before;
        let only_metadata = same_people && content == old;
        let personal = Erasable::new(personal, self.payments().engine.env.nonce());
        (Content { personal, ..content }, only_metadata)
    }

    pub async fn price(self) -> Result<Outcome> {
        self.run("price", |context| {
            self.command.ensure_version(context.order.version())?;
            Ok::<_, PaymentError>(vec![cart::price_order(&context.order.header, context.now)?])
        })
        .await
    }

    pub async fn sign(self, signature: Signature) -> Result<Outcome> {
        let signature = Erasable::new(signature, self.payments().engine.env.nonce());
        self.run("sign", |context| {
            self.command.ensure_version(context.order.version())?;
            Ok::<_, PaymentError>(cart::sign(context.order, signature.clone())?)
        })
        .await
    }
}
