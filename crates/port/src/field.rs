//! The fields of an order that a provider may insist on or limit.

use crate::{Address, PaymentRequest};

/// Something of an order that a provider may insist on, or take only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `customer.id`
    CustomerId,
    /// `customer.email`
    Email,
    /// `customer.phone`; its length is that of its digits.
    Phone,
    /// `customer.firstName`
    FirstName,
    /// `customer.lastName`
    LastName,
    /// A part of `billingAddress`.
    Billing(AddressPart),
    /// A part of `shippingAddress`.
    Shipping(AddressPart),
    /// At least one line.
    Items,
}

/// A part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
#[expect(missing_docs, reason = "named as the fields of an address")]
pub enum AddressPart {
    Name,
    Line1,
    City,
    Region,
    PostalCode,
    Country,
}

impl AddressPart {
    fn of(self, address: Option<&Address>) -> Option<&str> {
        let address = address?;
        let part = match self {
            Self::Name => &address.name,
            Self::Line1 => &address.line1,
            Self::City => &address.city,
            Self::Region => &address.region,
            Self::PostalCode => &address.postal_code,
            Self::Country => &address.country,
        };
        part.as_deref()
    }
}

impl Field {
    /// As the API names it.
    pub fn name(self) -> String {
        match self {
            Self::CustomerId => "customer.id".to_owned(),
            Self::Email => "customer.email".to_owned(),
            Self::Phone => "customer.phone".to_owned(),
            Self::FirstName => "customer.firstName".to_owned(),
            Self::LastName => "customer.lastName".to_owned(),
            Self::Billing(part) => format!("billingAddress.{}", <&str>::from(part)),
            Self::Shipping(part) => format!("shippingAddress.{}", <&str>::from(part)),
            Self::Items => "items".to_owned(),
        }
    }

    fn text(self, request: &PaymentRequest) -> Option<&str> {
        let customer = &request.customer;
        match self {
            Self::CustomerId => customer.id.as_deref(),
            Self::Email => customer.email.as_deref(),
            Self::Phone => customer.phone.as_deref(),
            Self::FirstName => customer.first_name.as_deref(),
            Self::LastName => customer.last_name.as_deref(),
            Self::Billing(part) => part.of(request.billing_address.as_ref()),
            Self::Shipping(part) => part.of(request.shipping_address.as_ref()),
            Self::Items => None,
        }
    }

    pub(crate) fn given(self, request: &PaymentRequest) -> bool {
        match self {
            Self::Items => !request.items.is_empty(),
            field => field.text(request).is_some(),
        }
    }

    /// In characters.
    pub(crate) fn length(self, request: &PaymentRequest) -> usize {
        match self {
            Self::Phone => request.customer.phone_digits().map_or(0, |digits| digits.len()),
            field => field.text(request).map_or(0, |text| text.chars().count()),
        }
    }
}
