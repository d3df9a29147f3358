//! Charges of a payment profile without the customer, whose answer is lost, at a provider that knows a repeated start by
//! its key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use paymux::domain::{
    Actor, AttemptState, DomainError, Metadata, OrderState, Profile, ProfileOwner, Urgency,
};
use paymux::engine::{Command, CommandError, Decision};
use paymux::payments::{Account, Accounts, PaymentError, ReadPass};
use port::{
    About, Approach, Attempt, Capabilities, CreatedPayment, Ctx, Lookup, Notification, NotificationError,
    NotificationTarget, PaymentRequest, ProfileId, ProfileStatus, Provider, ProviderError, ProviderView,
    Repeat, Repeats, StoredProfile, Vault, VaultSupport,
};

use super::gateway::orders;
use super::{Gateway, id};

static ABOUT: About = About {
    name: "purse",
    title: "The purse",
    base_url: "https://purse.test",
    capabilities: Capabilities {
        approaches: &[Approach::Hosted],
        lookup: Lookup::ByMerchantReference,
        repeat: Repeats { create: Repeat::Deduplicated, ..Repeats::UNSAFE },
        vault: Some(VaultSupport {
            approaches: &[],
            payments_store: false,
            lists: false,
            charges: true,
            detaches: false,
        }),
        ..Capabilities::NONE
    },
    settings: &[],
    statuses: "source = \"the test\"\n[payment]\npaid = { meaning = \"PAID\", evidence = \"seen\" }\n",
    build: |_| unreachable!("the test makes its adapters itself"),
};

/// A provider that answers no start, lists none, and counts them.
#[derive(Clone, Default)]
struct Purse(Arc<AtomicU32>);

impl Purse {
    fn sent(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }

    fn take<T>(&self) -> port::Result<T> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(ProviderError::OutcomeUnknown("silence".to_owned()))
    }
}

#[async_trait]
impl Provider for Purse {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn create(&self, _: &Ctx<'_>, _: &Attempt, _: &PaymentRequest) -> port::Result<CreatedPayment> {
        self.take()
    }

    async fn find_by_reference(&self, _: &Ctx<'_>, _: &Attempt) -> port::Result<Option<CreatedPayment>> {
        Ok(None)
    }

    async fn fetch(&self, _: &Ctx<'_>, _: &Attempt) -> port::Result<ProviderView> {
        Err(ProviderError::NotFound)
    }

    fn read_notification(&self, _: &Notification<'_>) -> Result<Vec<NotificationTarget>, NotificationError> {
        Err(NotificationError::Unverified)
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

#[async_trait]
impl Vault for Purse {
    async fn charge(&self, _: &Ctx<'_>, _: &Attempt, _: &PaymentRequest) -> port::Result<CreatedPayment> {
        self.take()
    }
}

/// A method of a customer; that of all orders here is `c-1`.
async fn payment_profile(gateway: &Gateway, customer: &str) -> ProfileId {
    let engine = &gateway.orders.payments.engine;
    let metadata = Metadata::new();
    let owner = ProfileOwner {
        merchant: "shop",
        customer_id: customer,
        account: "one",
        provider: "purse",
        metadata: &metadata,
    };
    let card = StoredProfile {
        reference: format!("card of {customer}"),
        provider_status: None,
        kind: "CARD".to_owned(),
        display_name: None,
        expires_on: None,
    };
    let method = ProfileId::from_uuid(engine.subject_id());
    let stored = owner.stored(method, card, ProfileStatus::Active, engine.env.nonce());
    let command = Command::of(Actor::Merchant);
    engine.create::<Profile>("store profile", &command, Decision::from(vec![stored])).await.unwrap();
    method
}

#[tokio::test]
async fn a_charge_without_an_answer_is_sent_once_and_looked_for_a_quarter_of_an_hour() {
    let (gateway, purse) = (Gateway::start().await, Purse::default());
    let account =
        Account::new("one".to_owned(), Box::new(purse.clone()), String::new(), false, None).unwrap();
    let accounts = Accounts::new([account]);
    let orders = orders(&gateway.orders.payments.engine, accounts, "https://pay.test");
    let method = payment_profile(&gateway, "c-1").await;
    let order = id(&gateway.priced_order().await).parse().unwrap();
    let command = Command::of(Actor::Merchant);
    let stale = Command { if_match: Some(1), ..command.clone() };
    let refused = orders.on("shop", &stale, order).charge(method).await;
    assert!(
        matches!(refused, Err(PaymentError::Command(CommandError::VersionMismatch { .. }))),
        "{refused:?}"
    );
    let of_another = payment_profile(&gateway, "c-2").await;
    let refused = orders.on("shop", &command, order).charge(of_another).await;
    let unusable = |fault: &PaymentError| {
        matches!(fault, PaymentError::Command(CommandError::Rejected(DomainError::ProfileUnusable(_))))
    };
    assert!(refused.as_ref().is_err_and(unusable), "{refused:?}");
    assert_eq!(purse.sent(), 0);
    let outcome = orders.on("shop", &command, order).charge(method).await.unwrap();
    assert!(outcome.is_pending());
    let attempt = outcome.order.attempts[0].id;
    let session = &outcome.order.sessions[0];
    assert_eq!(session.expires_at, session.created_at.plus(Duration::from_secs(3_600)));
    for (seconds, state, order_state) in [
        (899, AttemptState::Started, OrderState::PendingPayment),
        (1, AttemptState::Ended, OrderState::Pending),
    ] {
        gateway.clock.pass(Duration::from_secs(seconds));
        let pass = ReadPass::of(Urgency::UnknownOutcome);
        orders.payments.resolve_start(order, attempt, &command, &pass).await.unwrap();
        let now = gateway.store.order(order).await.unwrap().unwrap();
        assert_eq!((now.attempts[0].state, now.header.state), (state, order_state), "{seconds} s later");
    }
    assert_eq!(purse.sent(), 1);
}
