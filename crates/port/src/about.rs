//! An adapter's description: capabilities and settings, as constants.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::{
    Approach, CaptureMode, Currency, Decimal, Field, Money, PaymentMethodType, PaymentRequest, Provider,
    ProviderError, Secret,
};

/// Everything there is to know about an adapter before it is configured.
pub struct About {
    /// Folder, configuration key and metric label.
    pub name: &'static str,
    /// The name people use.
    pub title: &'static str,
    /// The provider's production address.
    pub base_url: &'static str,
    /// What it can do.
    pub capabilities: Capabilities,
    /// What an account must or may configure.
    pub settings: &'static [Setting],
    /// The text of `statuses.toml`.
    pub statuses: &'static str,
    /// Makes an adapter for one account.
    pub build: fn(&AdapterSettings) -> Result<Box<dyn Provider>, SettingsError>,
}

/// What a provider can do. Enums, so that no two fields can disagree.
pub struct Capabilities {
    /// Ways to reach the customer.
    pub approaches: &'static [Approach],
    /// Whether money can be authorized first.
    pub capture: CaptureSupport,
    /// What can be cancelled.
    pub cancel: CancelSupport,
    /// What can be refunded.
    pub refund: RefundSupport,
    /// How a payment is looked up after a lost answer.
    pub lookup: Lookup,
    /// What happens when a write is repeated.
    pub repeat: Repeats,
    /// How notifications are verified.
    pub notification_auth: NotificationAuth,
    /// Whether a start can take money before the customer does anything.
    pub create_moves_money: bool,
    /// Whether the provider sends links by itself.
    pub delivers_links: bool,
    /// Which currencies, and how exactly they are written.
    pub currencies: Currencies,
    /// Bounds of amounts and times.
    pub limits: AmountLimits,
    /// What an order must carry for an approach.
    pub needs: &'static [(Approach, &'static [Field])],
    /// How many characters of a field it takes, where it does not take all.
    pub longest: &'static [(Field, usize)],
    /// The kinds of method that a page can be restricted to; empty where it always offers what the account has.
    pub restricts_to: &'static [PaymentMethodType],
    /// Whether the number of tries on a page can be limited.
    pub limits_attempts: bool,
    /// What can be done with payment profiles; `None` if none can be stored.
    pub vault: Option<VaultSupport>,
    /// Whether the provider has an order of its own that must be submitted once ours is.
    pub submits_order: bool,
}

impl Capabilities {
    /// No capabilities at all; an adapter overrides what its provider can do.
    pub const NONE: Self = Self {
        approaches: &[],
        capture: CaptureSupport::Automatic,
        cancel: CancelSupport::None,
        refund: RefundSupport::None,
        lookup: Lookup::None,
        repeat: Repeats::UNSAFE,
        notification_auth: NotificationAuth::None,
        create_moves_money: false,
        delivers_links: false,
        currencies: Currencies { only: &[], max_decimals: 2 },
        limits: AmountLimits::NONE,
        needs: &[],
        longest: &[],
        restricts_to: &[],
        limits_attempts: false,
        vault: None,
        submits_order: false,
    };

    /// Why the provider cannot take this payment, for merchants; empty if it can.
    pub fn ineligible_because(
        &self,
        money: Money,
        approach: Approach,
        capture: CaptureMode,
        request: &PaymentRequest,
    ) -> Vec<String> {
        let mut against = Vec::new();
        if !self.approaches.contains(&approach) {
            against.push(format!("no {} checkout", <&str>::from(approach)));
        }
        if capture == CaptureMode::Manual && self.capture == CaptureSupport::Automatic {
            against.push("no manual capture".to_owned());
        }
        if request.link_delivery.any() && !self.delivers_links {
            against.push("does not deliver links".to_owned());
        }
        if !request.payment_methods.is_empty() && self.offered(request).next().is_none() {
            against.push("its page cannot be restricted to these payment methods".to_owned());
        }
        if request.max_attempts.is_some() && !self.limits_attempts {
            against.push("cannot limit the number of tries".to_owned());
        }
        against.extend(self.cannot_store_for(request).map(str::to_owned));
        against.extend(self.currencies.ineligible_because(money));
        against.extend(self.limits.ineligible_because(money));
        let needed =
            self.needs.iter().filter(|(of, _)| *of == approach).flat_map(|(_, fields)| fields.iter());
        against.extend(
            needed.filter(|field| !field.given(request)).map(|field| format!("needs {}", field.name())),
        );
        let too_long = self.longest.iter().filter(|(field, most)| field.length(request) > *most);
        against.extend(
            too_long.map(|(field, most)| format!("takes no {} of more than {most} characters", field.name())),
        );
        against
    }

    /// Of the methods that a page shall be restricted to, those that it can be.
    pub fn offered<'r>(
        &self,
        request: &'r PaymentRequest,
    ) -> impl Iterator<Item = PaymentMethodType> + use<'r> {
        let known = self.restricts_to;
        request.payment_methods.iter().copied().filter(move |method| known.contains(method))
    }

    /// Why a payment cannot store the method it is paid with, where that is requested. What is stored can only be found
    /// again by the merchant's own id of the customer.
    fn cannot_store_for(&self, request: &PaymentRequest) -> Option<&'static str> {
        let page_stores = self.vault.is_some_and(|vault| vault.payments_store);
        match request.save_profile && request.profile.is_none() {
            true if !page_stores => Some("its page cannot store a payment method"),
            true if request.customer.id.is_none() => Some("needs customer.id to store a payment method"),
            _ => None,
        }
    }

    /// Whether a customer can store a payment method this way without paying.
    pub fn stores_by(&self, approach: Approach) -> bool {
        self.vault.is_some_and(|vault| vault.approaches.contains(&approach))
    }

    /// Whether a payment profile can be charged without the customer.
    pub fn charges(&self) -> bool {
        self.vault.is_some_and(|vault| vault.charges)
    }
}

/// What can be done with payment profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultSupport {
    /// How a customer can store a method without paying.
    pub approaches: &'static [Approach],
    /// Whether a payment stores the method that it is paid with, on request.
    pub payments_store: bool,
    /// Whether the methods of a customer can be listed by the merchant's own id of the customer; where not, a payment
    /// names the method that it has stored.
    pub lists: bool,
    /// Whether a payment profile can be charged without the customer.
    pub charges: bool,
    /// Whether a payment profile can be deleted at the provider.
    pub detaches: bool,
}

/// Whether money can be authorized before it is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureSupport {
    /// Captured at once, always.
    Automatic,
    /// Can be authorized first, with this many captures.
    ManualToo(Captures),
}

/// How many captures an authorization allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captures {
    /// One; the rest is voided.
    One,
    /// Several, until nothing is left.
    Many,
}

/// What a cancel can close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelSupport {
    /// Nothing.
    None,
    /// An unpaid checkout.
    Unpaid,
    /// An authorization.
    Authorization,
    /// Either.
    Both,
}

impl CancelSupport {
    /// Whether an unpaid page can be closed.
    pub fn cancels_checkout(self) -> bool {
        matches!(self, Self::Unpaid | Self::Both)
    }

    /// Whether an authorization can be released.
    pub fn voids_authorization(self) -> bool {
        matches!(self, Self::Authorization | Self::Both)
    }
}

/// What can be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundSupport {
    /// Nothing through the API.
    None,
    /// All or nothing.
    Full,
    /// Any part.
    Partial,
}

/// How an object is found whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Not at all.
    None,
    /// Only by the provider's own id.
    ByProviderReference,
    /// By our reference, with [`Provider::find_by_reference`].
    ByMerchantReference,
}

/// What a second identical write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The provider recognises our key and answers as the first time.
    Deduplicated,
    /// The provider refuses what is already done.
    SelfLimiting,
    /// It may happen twice.
    Unsafe,
}

/// What a repeat does, by operation.
#[derive(Clone, Copy, Debug)]
pub struct Repeats {
    /// Starting.
    pub create: Repeat,
    /// Capturing.
    pub capture: Repeat,
    /// Cancelling or voiding.
    pub cancel: Repeat,
    /// Refunding.
    pub refund: Repeat,
}

impl Repeats {
    /// Nothing is known of any repeat.
    pub const UNSAFE: Self = Self {
        create: Repeat::Unsafe,
        capture: Repeat::Unsafe,
        cancel: Repeat::Unsafe,
        refund: Repeat::Unsafe,
    };
}

/// How a notification proves where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationAuth {
    /// A signature over its bytes.
    Signed,
    /// A shared key in a header, if one is configured; else as `AddressKey`.
    SharedKey,
    /// Only the secret part of the address it was sent to.
    AddressKey,
    /// There are none.
    None,
}

/// Which currencies a provider accepts, and how many decimals its API allows.
#[derive(Clone, Copy, Debug)]
pub struct Currencies {
    /// ISO 4217 codes; empty for any.
    pub only: &'static [&'static str],
    /// The most decimals an amount may have on the wire. A currency with more goes out only where they are zero.
    pub max_decimals: u8,
}

impl Currencies {
    /// Why this amount cannot be sent, if it cannot.
    pub fn ineligible_because(&self, money: Money) -> Option<String> {
        let code = money.currency.code();
        if !self.only.is_empty() && !self.only.contains(&code) {
            return Some(format!("does not take {code}"));
        }
        if money.to_major_within(self.max_decimals).is_none() {
            let most = self.max_decimals;
            return Some(format!(
                "{} needs more than the {most} decimals this account takes",
                self.shown(money.currency)
            ));
        }
        None
    }

    /// The amount in major units, as it goes out.
    ///
    /// # Errors
    /// [`ProviderError::NotSent`] where a decimal would be lost.
    pub fn to_major(&self, money: Money) -> Result<Decimal, ProviderError> {
        money.to_major_within(self.max_decimals).ok_or_else(|| {
            ProviderError::NotSent(format!("{money} has more than {} decimals", self.max_decimals))
        })
    }

    fn shown(&self, currency: Currency) -> String {
        format!("{currency} with {} decimals", currency.exponent())
    }
}

/// Bounds of amounts and times.
#[derive(Clone, Copy, Debug)]
pub struct AmountLimits {
    /// Smallest amount, minor units.
    pub min_minor: i64,
    /// Largest amount, minor units; `i64::MAX` for none known.
    pub max_minor: i64,
    /// How long an authorization is valid, if it expires.
    pub authorization_lifetime: Option<Duration>,
    /// The shortest and longest lifetime of a checkout that can be requested, where the provider closes it by itself.
    pub page_lifetime: Option<(Duration, Duration)>,
}

impl AmountLimits {
    /// Any amount; nothing ends by itself.
    pub const NONE: Self =
        Self { min_minor: 1, max_minor: i64::MAX, authorization_lifetime: None, page_lifetime: None };

    fn ineligible_because(&self, money: Money) -> Option<String> {
        if money.minor < self.min_minor {
            return Some(format!("takes no less than {}", Money::new(self.min_minor, money.currency)));
        }
        if money.minor > self.max_minor {
            return Some(format!("takes no more than {}", Money::new(self.max_minor, money.currency)));
        }
        None
    }
}

/// One thing that an account configures for its adapter.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key in `accounts.toml`.
    pub key: &'static str,
    /// Whether an account without it is refused.
    pub required: bool,
    /// Whether it is a secret: never shown, and never literal in a file.
    pub secret: bool,
    /// Whether it verifies notifications, so that nobody may guess it: such a secret has a least length.
    pub verifies: bool,
    /// What it is and where to find it.
    pub help: &'static str,
}

impl Setting {
    /// A secret that every account must have.
    pub const fn secret(key: &'static str, help: &'static str) -> Self {
        Self { key, required: true, secret: true, verifies: false, help }
    }

    /// A secret that an account may have.
    pub const fn optional_secret(key: &'static str, help: &'static str) -> Self {
        Self { key, required: false, secret: true, verifies: false, help }
    }

    /// A secret that notifications prove themselves with, where an account has it.
    pub const fn notification_secret(key: &'static str, help: &'static str) -> Self {
        Self { key, required: false, secret: true, verifies: true, help }
    }

    /// A plain text that an account may have.
    pub const fn optional_text(key: &'static str, help: &'static str) -> Self {
        Self { key, required: false, secret: false, verifies: false, help }
    }
}

/// The values of an account's settings.
#[derive(Clone, Default)]
pub struct AdapterSettings(BTreeMap<String, Secret>);

impl AdapterSettings {
    /// From pairs of key and value.
    pub fn new(values: impl IntoIterator<Item = (String, Secret)>) -> Self {
        Self(values.into_iter().collect())
    }

    /// A secret that must be there.
    ///
    /// # Errors
    /// [`SettingsError::Missing`] if it is not, or is empty.
    pub fn secret(&self, key: &'static str) -> Result<Secret, SettingsError> {
        self.optional_secret(key).ok_or(SettingsError::Missing(key))
    }

    /// A secret that may be there.
    pub fn optional_secret(&self, key: &'static str) -> Option<Secret> {
        self.0.get(key).filter(|value| !value.expose_secret().is_empty()).cloned()
    }

    /// A plain value that may be there.
    pub fn text(&self, key: &'static str) -> Option<String> {
        self.0.get(key).map(|value| value.expose_secret().to_owned())
    }
}

/// Why an adapter cannot be made of an account's settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A required setting is not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A setting has a value that makes no sense.
    #[error("`{0}` {1}")]
    Invalid(&'static str, &'static str),
}
