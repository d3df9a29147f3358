//! Runs one operation of an adapter against given answers and returns its result.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use paymux_port::{
    About, AdapterState, Attempt, Ctx, HttpRequest, Money, Notification, PaymentRequest, Provider,
    ProviderError, RefundRequest, StatusTable, StoreAttempt, StoreRequest, Timestamp, Transport, Vault,
};

use crate::facts::{End, saved_lines};
use crate::recording::{Operation, Recording, RecordingOptions};
use crate::world::{self, Answer, FixedSource, Memory, Script};

/// The arguments and surroundings of an operation; a rule may change them before it runs.
#[derive(Clone)]
pub struct World {
    /// The attempt.
    pub attempt: Attempt,
    /// The order.
    pub request: PaymentRequest,
    /// The refund.
    pub refund: RefundRequest,
    /// What is captured.
    pub captured: Money,
    /// The clock.
    pub now: Timestamp,
    /// Changes to the usual settings.
    pub settings: Vec<(String, Option<String>)>,
    /// Whether the state store works.
    pub saves: bool,
}

/// The result of an operation.
pub struct Played {
    /// The calls that were sent.
    pub calls: Vec<HttpRequest>,
    /// The adapter state that was saved.
    pub saved: AdapterState,
    pub(crate) end: End,
}

impl Played {
    /// The error, if it failed.
    pub fn error(&self) -> Option<&ProviderError> {
        match &self.end {
            End::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether it failed, or a notification was refused.
    pub fn failed(&self) -> bool {
        matches!(self.end, End::Failed(_) | End::Refused(_))
    }

    /// One fact a line, as recordings hold them.
    pub fn facts(&self, table: &StatusTable) -> Vec<String> {
        self.end.facts(table).into_iter().chain(saved_lines(&self.saved)).collect()
    }

    /// Everything that could be printed of it.
    pub fn shown(&self) -> String {
        let error = self.error().map(ToString::to_string);
        format!("{:?} {:?} {}", self.end, self.calls, error.unwrap_or_default())
    }
}

impl World {
    /// As a recording requires.
    pub fn of(options: &RecordingOptions) -> Self {
        let mut attempt = world::attempt();
        attempt.money = options.money;
        attempt.approach = options.approach;
        attempt.capture = options.capture;
        attempt.reference.clone_from(&options.reference);
        attempt.adapter_state.clone_from(&options.adapter_state);
        let mut request = world::checkout(options.money);
        request.link_delivery = options.notify;
        request.save_profile = options.save;
        request.payment_methods.clone_from(&options.methods);
        request.max_attempts = options.tries;
        request.reference.clone_from(&options.merchant);
        request.profile.clone_from(&options.profile);
        let amount = options.amount.and_then(|major| Money::from_major(major, options.money.currency).ok());
        let part = Money::new(500, options.money.currency);
        let id = world::REFUND.parse().expect("a TypeID");
        Self {
            attempt,
            request,
            refund: RefundRequest { id, money: amount.unwrap_or(part), reason: Some("Damaged".to_owned()) },
            captured: amount.unwrap_or(options.money),
            now: options.at,
            settings: options.settings.clone(),
            saves: true,
        }
    }

    /// The defaults of an operation, without a recording.
    pub fn usual(operation: Operation) -> Self {
        Self::of(&RecordingOptions::usual(operation))
    }

    /// The adapter for this world's settings.
    ///
    /// # Panics
    /// If it cannot be built of them.
    pub fn provider(&self, about: &About) -> Box<dyn Provider> {
        let built = (about.build)(&world::settings(about, &self.settings));
        built.unwrap_or_else(|why| panic!("{} cannot be built of the usual settings: {why}", about.name))
    }

    /// The attempt as one that stores a payment method without a payment.
    fn store_attempt(&self) -> StoreAttempt {
        StoreAttempt {
            id: self.attempt.id,
            session: world::PROFILE_SESSION.parse().expect("a TypeID"),
            approach: self.attempt.approach,
            started_at: self.attempt.started_at,
            reference: self.attempt.reference.clone(),
            adapter_state: self.attempt.adapter_state.clone(),
        }
    }

    fn store_request(&self) -> StoreRequest {
        StoreRequest {
            customer_id: self.customer_id(),
            urls: self.request.urls.clone(),
            language: self.request.language.clone(),
            expires_at: self.request.expires_at,
        }
    }

    fn customer_id(&self) -> String {
        self.request.customer.id.clone().expect("every customer of the recordings has an id")
    }

    /// Runs `operation` against `answers`; the result is classified, as the gateway would see it.
    pub fn play(&self, about: &About, operation: Operation, answers: Vec<Answer>) -> Played {
        let script = Script::new(answers);
        let played = self.play_over(about, operation, &script);
        Played { calls: script.calls(), ..played }
    }

    /// The same over any transport, which records the calls.
    pub fn play_over(&self, about: &About, operation: Operation, transport: &dyn Transport) -> Played {
        let provider = self.provider(about);
        let state_store = if self.saves { Memory::default() } else { Memory::broken() };
        let source = FixedSource::new(self.now);
        let statuses = StatusTable::parse(about.statuses).expect("the contract reads the table first");
        let ctx = Ctx::new(about.base_url, &statuses, transport, &state_store, &source);
        let end = at_once(self.run(provider.as_ref(), &ctx, operation));
        let end = ctx.classify(end).unwrap_or_else(End::Failed);
        Played { calls: Vec::new(), saved: state_store.saved(), end }
    }

    /// Runs a recording's operation against other answers than its own.
    pub fn replay(&self, about: &About, recording: &Recording, answers: Vec<Answer>) -> Played {
        if recording.operation == Operation::Notification {
            let end = self.notify(about, &NotificationInput::of(recording));
            return Played { calls: Vec::new(), saved: AdapterState::new(), end };
        }
        self.play(about, recording.operation, answers)
    }

    pub(crate) fn notify(&self, about: &About, notification: &NotificationInput) -> End {
        let notification = Notification {
            headers: &notification.headers,
            body: &notification.body,
            received_at: self.now,
            address_key: notification.address_key,
        };
        match self.provider(about).read_notification(&notification) {
            Ok(targets) => End::Targets(targets),
            Err(why) => End::Refused(why),
        }
    }

    async fn run(
        &self,
        provider: &dyn Provider,
        ctx: &Ctx<'_>,
        operation: Operation,
    ) -> paymux_port::Result<End> {
        let (attempt, request) = (&self.attempt, &self.request);
        let view = |view| End::View(Box::new(view));
        match operation {
            Operation::Create => Ok(End::Created(Box::new(provider.create(ctx, attempt, request).await?))),
            Operation::Fetch => provider.fetch(ctx, attempt).await.map(view),
            Operation::Find => {
                let found = provider.find_by_reference(ctx, attempt).await?;
                Ok(found.map_or(End::Nothing, |created| End::Created(Box::new(created))))
            }
            Operation::Capture => provider.capture(ctx, attempt, self.captured).await.map(view),
            Operation::Cancel => provider.cancel(ctx, attempt).await.map(view),
            Operation::Refund => provider.refund(ctx, attempt, &self.refund).await.map(view),
            Operation::Submit => provider.submit_provider_order(ctx, attempt).await.map(|()| End::Done),
            Operation::Notification => Err(ProviderError::Unsupported("call for a notification")),
            profile => match provider.vault() {
                Some(vault) => self.run_vault(vault, ctx, profile).await,
                None => Err(ProviderError::Unsupported("store a method")),
            },
        }
    }

    async fn run_vault(
        &self,
        vault: &dyn Vault,
        ctx: &Ctx<'_>,
        operation: Operation,
    ) -> paymux_port::Result<End> {
        let (attempt, request) = (&self.attempt, &self.request);
        let storing = self.store_attempt();
        match operation {
            Operation::ProfileCreate => {
                vault.create(ctx, &storing, &self.store_request()).await.map(End::SessionCreated)
            }
            Operation::ProfileCharge => {
                Ok(End::Created(Box::new(vault.charge(ctx, attempt, request).await?)))
            }
            Operation::ProfileFetch => vault.fetch(ctx, &storing).await.map(End::Saved),
            Operation::ProfileCancel => vault.cancel(ctx, &storing).await.map(End::Saved),
            Operation::ProfileList => vault.list(ctx, &self.customer_id()).await.map(End::Profiles),
            Operation::ProfileStored => {
                let stored = vault.stored_by(ctx, attempt).await?;
                Ok(End::Profiles(stored.into_iter().collect()))
            }
            _ => {
                let profile = request.profile.as_deref().unwrap_or_default();
                vault.detach(ctx, profile).await.map(|()| End::Done)
            }
        }
    }
}

/// A notification that a rule may change before it is read.
#[derive(Clone)]
pub(crate) struct NotificationInput {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) address_key: bool,
}

impl NotificationInput {
    /// As it was recorded, at the address with the account's key.
    pub(crate) fn of(recording: &Recording) -> Self {
        let step = recording.steps.first();
        let headers = step.map(|step| step.headers.as_slice()).unwrap_or_default();
        Self {
            headers: headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect(),
            body: step.map(|step| step.body.clone().into_bytes()).unwrap_or_default(),
            address_key: true,
        }
    }
}

/// Runs a future that never waits.
///
/// # Panics
/// If it waits: an adapter waits only for its calls, which are answered at once.
pub fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an adapter waits only for its calls"),
    }
}
