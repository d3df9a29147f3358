//! Sessions that store a payment method, at a provider whose answers are those of the test.

use std::time::Duration;

use async_trait::async_trait;
use paymux::domain::{Actor, Metadata, ProfileSessionRequest, ReturnUrls, SessionStatus, Urgency};
use paymux::engine::Command;
use paymux::orders::Orders;
use paymux::payments::{Account, Accounts, NewProfileSession, PaymentError, ReadPass, StartOutcome};
use paymux::routing::{RouteError, RuledOut};
use port::{
    About, AdapterState, Approach, Attempt, Capabilities, CreatedPayment, CreatedProfileSession, Ctx, Next,
    Notification, NotificationError, NotificationTarget, PaymentRequest, ProfileStatus, Provider,
    ProviderError, ProviderStatus, ProviderView, StoreAttempt, StoreRequest, StoredProfile, Vault,
    VaultSupport, VaultView,
};
use serde_json::Value;

use super::gateway::orders;
use super::refused::request;
use super::{Gateway, fake_provider, id, small_order};

/// The attention of an order whose paid session stored no usable method of its customer.
const MISSING: &str = "PROFILE_MISSING";

static ABOUT: About = About {
    name: "strongbox",
    title: "The strongbox",
    base_url: "https://strongbox.test",
    capabilities: Capabilities {
        approaches: &[Approach::Hosted],
        vault: Some(VaultSupport {
            approaches: &[Approach::Hosted],
            payments_store: true,
            lists: true,
            charges: false,
            detaches: false,
        }),
        ..Capabilities::NONE
    },
    settings: &[],
    statuses: "source = \"the test\"\n\
               [payment]\npaid = { meaning = \"PAID\", evidence = \"seen\" }\n\
               [profile_session]\nstored = { meaning = \"PAID\", evidence = \"seen\" }\n\
               [profile]\nusable = { meaning = \"ACTIVE\", evidence = \"seen\" }\n",
    build: |_| unreachable!("the test makes its adapters itself"),
};

/// A provider that has stored the same method at every first read. What it takes is paid at once.
struct Strongbox {
    page: &'static str,
    method_status: Option<&'static str>,
}

impl Strongbox {
    fn stored(&self) -> StoredProfile {
        StoredProfile {
            reference: "card-1".to_owned(),
            provider_status: self.method_status.map(str::to_owned),
            kind: "CARD".to_owned(),
            display_name: None,
            expires_on: None,
        }
    }
}

#[async_trait]
impl Provider for Strongbox {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn create(
        &self,
        _: &Ctx<'_>,
        attempt: &Attempt,
        _: &PaymentRequest,
    ) -> port::Result<CreatedPayment> {
        let view = ProviderView {
            provider_status: ProviderStatus::new("payment", "PAID"),
            total: Some(attempt.money),
            captured: Some(attempt.money),
            ..ProviderView::default()
        };
        Ok(CreatedPayment {
            reference: attempt.id.to_string(),
            next: Next::Page(self.page.to_owned()),
            view,
            adapter_state: AdapterState::new(),
        })
    }

    async fn fetch(&self, _: &Ctx<'_>, _: &Attempt) -> port::Result<ProviderView> {
        Err(ProviderError::Unsupported("be paid"))
    }

    fn read_notification(&self, _: &Notification<'_>) -> Result<Vec<NotificationTarget>, NotificationError> {
        Err(NotificationError::Unverified)
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

#[async_trait]
impl Vault for Strongbox {
    async fn list(&self, _: &Ctx<'_>, _: &str) -> port::Result<Vec<StoredProfile>> {
        Ok(vec![self.stored()])
    }

    async fn create(
        &self,
        _: &Ctx<'_>,
        attempt: &StoreAttempt,
        _: &StoreRequest,
    ) -> port::Result<CreatedProfileSession> {
        Ok(CreatedProfileSession {
            reference: attempt.session.to_string(),
            next: Next::Page(self.page.to_owned()),
            adapter_state: AdapterState::new(),
        })
    }

    async fn fetch(&self, _: &Ctx<'_>, _: &StoreAttempt) -> port::Result<VaultView> {
        Ok(VaultView {
            provider_status: ProviderStatus::new("profile_session", "STORED"),
            profile: Some(self.stored()),
        })
    }
}

fn new_session() -> NewProfileSession {
    new_session_of("c-1")
}

fn new_session_of(customer: &str) -> NewProfileSession {
    NewProfileSession {
        approach: Approach::Hosted,
        expires_in: Duration::from_secs(3_600),
        account: None,
        request: ProfileSessionRequest {
            customer_id: customer.to_owned(),
            return_urls: ReturnUrls::default(),
            language: None,
            metadata: Metadata::new(),
        },
    }
}

/// The use cases of a gateway whose only account is at this provider.
fn orders_at(gateway: &Gateway, provider: Strongbox) -> Orders {
    let account = Account::new("one".to_owned(), Box::new(provider), String::new(), false, None).unwrap();
    orders(&gateway.orders.payments.engine, Accounts::new([account]), "https://pay.test")
}

#[tokio::test]
async fn a_payment_profile_is_as_usable_as_its_status_says_and_one_that_nobody_knows_is_counted_and_is_not() {
    let unknown = "paymux_unknown_provider_statuses_total{provider=\"strongbox\"} 1";
    for (status, expected, counted) in [
        (Some("USABLE"), ProfileStatus::Active, false),
        (None, ProfileStatus::Active, false),
        (Some("SHINY"), ProfileStatus::Inactive, true),
    ] {
        let gateway = Gateway::start().await;
        let provider = Strongbox { page: "https://strongbox.test/store", method_status: status };
        let payments = orders_at(&gateway, provider).payments;
        let command = Command::of(Actor::Merchant);
        let created = payments.create_profile_session("shop", &new_session(), &command).await.unwrap();
        let (mut session, outcome) = created;
        assert_eq!(outcome, StartOutcome::Created);
        payments.refresh_profile_session(&mut session, true, &command).await.unwrap();
        assert_eq!(session.status, SessionStatus::Completed);
        let method = payments.profile("shop", session.profile.unwrap()).await.unwrap();
        assert_eq!(method.status, expected, "{status:?}");
        assert_eq!(payments.engine.metrics.render().contains(unknown), counted, "{status:?}");
    }
}

#[tokio::test]
async fn a_page_that_would_run_a_script_stores_nothing_and_is_shown_to_nobody() {
    let gateway = Gateway::start().await;
    let provider = Strongbox { page: "javascript:alert(1)", method_status: None };
    let payments = orders_at(&gateway, provider).payments;
    let command = Command::of(Actor::Merchant);
    let created = payments.create_profile_session("shop", &new_session(), &command).await.unwrap();
    let (session, outcome) = created;
    assert_eq!((outcome, session.status), (StartOutcome::Ended, SessionStatus::Failed));
    assert!(session.attempts.iter().all(|attempt| attempt.next.is_none()));
}

#[tokio::test]
async fn a_method_that_is_stored_already_is_nobody_elses_and_is_not_stored_anew_once_it_was_deleted() {
    let gateway = Gateway::start().await;
    let provider = Strongbox { page: "https://strongbox.test/store", method_status: None };
    let payments = orders_at(&gateway, provider).payments;
    let command = Command::of(Actor::Merchant);
    let stored_by = async |merchant: &str, customer: &str| {
        let new = new_session_of(customer);
        let (mut session, _) = payments.create_profile_session(merchant, &new, &command).await.unwrap();
        payments.refresh_profile_session(&mut session, true, &command).await.unwrap();
        assert_eq!(session.status == SessionStatus::Completed, session.profile.is_some());
        session.profile
    };
    let method = stored_by("shop", "c-1").await.unwrap();
    assert_eq!(stored_by("shop", "c-1").await, Some(method));
    for (merchant, customer) in [("shop", "c-2"), ("other", "c-1")] {
        assert_eq!(stored_by(merchant, customer).await, None, "{merchant} {customer}");
    }
    assert!(payments.profile("other", method).await.is_err());
    let mut profile = payments.profile("shop", method).await.unwrap();
    payments.delete_profile(&mut profile, &command).await.unwrap();
    assert_eq!(stored_by("shop", "c-1").await, None);
    assert!(payments.profile("shop", method).await.is_err());
}

#[tokio::test]
async fn an_order_that_requires_a_payment_profile_counts_neither_another_customers_nor_one_that_is_unusable()
{
    for (owner, method_status, missing) in
        [("c-1", "USABLE", Value::Null), ("c-2", "USABLE", MISSING.into()), ("c-1", "SHINY", MISSING.into())]
    {
        let gateway = Gateway::start().await;
        let provider = Strongbox { page: "https://strongbox.test/store", method_status: Some(method_status) };
        let orders = orders_at(&gateway, provider);
        let command = Command::of(Actor::Merchant);
        let new = new_session_of(owner);
        let created = orders.payments.create_profile_session("shop", &new, &command).await;
        orders.payments.refresh_profile_session(&mut created.unwrap().0, true, &command).await.unwrap();

        let mut new = small_order();
        new["requiresPaymentProfile"] = "REQUIRED".into();
        let order = gateway.post("/v1/orders").json(&new).await.expect(201);
        let path = format!("/v1/orders/{}", id(&order));
        gateway.post(&format!("{path}/price")).await_it().await.expect(200);
        let order = id(&order).parse().unwrap();
        let paid = orders.on("shop", &command, order).checkout(&request()).await.unwrap();
        let (session, pass) = (paid.order.sessions[0].id, ReadPass::of(Urgency::Scheduled));
        orders.payments.sync_profiles(order, session, &command, &pass).await.unwrap();
        let order = gateway.get(&path).await.expect(200);
        let state = if missing.is_null() { "PROCESSING" } else { "PENDING_PAYMENT" };
        assert_eq!((&order["state"], &order["attention"]["code"]), (&state.into(), &missing), "{owner}");
    }
}

#[tokio::test]
async fn what_an_account_that_is_not_configured_any_more_would_have_to_do_is_refused_without_effect() {
    let gateway = Gateway::start().await;
    let provider = Strongbox { page: "https://strongbox.test/store", method_status: None };
    let payments = orders_at(&gateway, provider).payments;
    let command = Command::of(Actor::Merchant);
    let (mut session, _) = payments.create_profile_session("shop", &new_session(), &command).await.unwrap();
    let (open, _) = payments.create_profile_session("shop", &new_session(), &command).await.unwrap();
    payments.refresh_profile_session(&mut session, true, &command).await.unwrap();
    // The gateway has an account of this name, which stores nothing; there it is gone altogether.
    let engine = &gateway.orders.payments.engine;
    let without = orders(engine, Accounts::default(), "https://pay.test");
    let method = session.profile.unwrap();
    let gone = |of: &str| format!("the account `one` of this {of} is not configured any more");

    let mut stored = without.payments.profile("shop", method).await.unwrap();
    let refused = without.payments.delete_profile(&mut stored, &command).await.unwrap_err();
    assert_eq!(refused.to_string(), gone("payment profile"));
    assert!(!without.payments.profile("shop", method).await.unwrap().deleted);

    let mut open = without.payments.profile_session("shop", open.id).await.unwrap();
    let refused = without.payments.cancel_profile_session(&mut open, &command).await.unwrap_err();
    assert_eq!(refused.to_string(), gone("payment profile session"));
    assert_eq!(without.payments.profile_session("shop", open.id).await.unwrap().closing, None);

    let order = gateway.priced_order().await["id"].as_str().unwrap().parse().unwrap();
    let charge = without.on("shop", &command, order).charge(method).await;
    assert_eq!(charge.unwrap_err().to_string(), gone("payment profile"));
}

#[tokio::test]
async fn what_cannot_be_routed_is_called_what_it_is_and_says_why_for_each_account() {
    let gateway = Gateway::start().await;
    let at =
        |name: &str, provider| Account::new(name.to_owned(), provider, String::new(), false, None).unwrap();
    let strongbox = Strongbox { page: "https://strongbox.test/store", method_status: None };
    let accounts = [
        at("one", fake_provider::adapter(&gateway.provider, "one")),
        at("two", Box::new(strongbox) as Box<dyn Provider>),
    ];
    let payments =
        orders(&gateway.orders.payments.engine, Accounts::new(accounts), "https://pay.test").payments;
    let command = Command::of(Actor::Merchant);
    let pinned = |name: &str| NewProfileSession { account: Some(name.to_owned()), ..new_session() };
    let refused = payments.create_profile_session("shop", &pinned("one"), &command).await.unwrap_err();
    let PaymentError::Route { error, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(error.to_string(), "no account can take this payment profile session");
    let out = |account: &str, why: &str| RuledOut { account: account.to_owned(), why: vec![why.to_owned()] };
    let unable = out("one", "cannot store a payment method this way");
    let RouteError::NoRoute { ruled_out, .. } = error else { panic!("{error:?}") };
    assert_eq!(ruled_out, [unable, out("two", "the request is pinned to one")]);
    let (session, _) = payments.create_profile_session("shop", &pinned("two"), &command).await.unwrap();
    let tried: Vec<_> =
        session.routing.tried.iter().map(|tried| (&*tried.account, &*tried.outcome)).collect();
    assert_eq!(tried, [("one", "the request is pinned to two")]);
}
