//! Plays one operation of an adapter against given answers and sees what comes of it.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use paymux_port::{
    About, AdapterState, Attempt, Ctx, HttpRequest, Money, Notification, PaymentRequest, Provider,
    ProviderError, RefundRequest, StatusTable, Timestamp, Transport, Vault,
};

use crate::facts::{RunResult, state_lines};
use crate::recording::{Operation, Recording, RecordingInput};
use crate::world::{self, Answer, FixedEnv, Memory, Script};

/// Everything that an operation can be given, to be changed before it is played.
#[derive(Clone)]
pub struct Setup {
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
    /// Whether the keeper works.
    pub saves_state: bool,
}

/// What came of an operation.
pub struct Run {
    /// What was sent.
    pub calls: Vec<HttpRequest>,
    /// What was kept.
    pub saved_state: AdapterState,
    pub(crate) result: RunResult,
}

impl Run {
    /// The error, if it failed.
    pub fn error(&self) -> Option<&ProviderError> {
        match &self.result {
            RunResult::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether it failed, or a notification was refused.
    pub fn failed(&self) -> bool {
        matches!(self.result, RunResult::Failed(_) | RunResult::Refused(_))
    }

    /// One fact a line, as recordings hold them.
    pub fn facts(&self, table: &StatusTable) -> Vec<String> {
        self.result.facts(table).into_iter().chain(state_lines(&self.saved_state)).collect()
    }

    /// Everything that could be printed of it.
    pub fn shown(&self) -> String {
        let error = self.error().map(ToString::to_string);
        format!("{:?} {:?} {}", self.result, self.calls, error.unwrap_or_default())
    }
}

impl Setup {
    /// As a recording asks for it.
    pub fn of(input: &RecordingInput) -> Self {
        let mut attempt = world::attempt();
        attempt.money = input.money;
        attempt.approach = input.approach;
        attempt.capture = input.capture;
        attempt.reference.clone_from(&input.reference);
        attempt.adapter_state.clone_from(&input.adapter_state);
        let mut request = world::checkout(input.money);
        request.link_delivery = input.link_delivery;
        request.save_profile = input.save;
        request.profile.clone_from(&input.profile);
        let amount = input.amount.and_then(|major| Money::from_major(major, input.money.currency).ok());
        let part = Money::new(500, input.money.currency);
        let id = world::REFUND.parse().expect("a TypeID");
        Self {
            attempt,
            request,
            refund: RefundRequest { id, money: amount.unwrap_or(part), reason: Some("Damaged".to_owned()) },
            captured: amount.unwrap_or(input.money),
            now: input.at,
            settings: input.settings.clone(),
            saves_state: true,
        }
    }

    /// As an operation is asked for without a recording.
    pub fn usual(operation: Operation) -> Self {
        Self::of(&RecordingInput::usual(operation))
    }

    /// The adapter for this world's settings.
    ///
    /// # Panics
    /// If it cannot be built of them.
    pub fn provider(&self, about: &About) -> Box<dyn Provider> {
        let built = (about.build)(&world::settings(about, &self.settings));
        built.unwrap_or_else(|why| panic!("{} cannot be built of the usual settings: {why}", about.name))
    }

    /// Plays `operation` against `answers`; the result is settled, as the gateway would see it.
    pub fn play(&self, about: &About, operation: Operation, answers: Vec<Answer>) -> Run {
        let script = Script::new(answers);
        let run = self.play_over(about, operation, &script);
        Run { calls: script.calls(), ..run }
    }

    /// The same over any transport; what is sent is seen there.
    pub fn play_over(&self, about: &About, operation: Operation, transport: &dyn Transport) -> Run {
        let provider = self.provider(about);
        let keeper = if self.saves_state { Memory::default() } else { Memory::broken() };
        let source = FixedEnv::new(self.now);
        let ctx = Ctx::new(about.base_url, transport, &keeper, &source);
        let end = at_once(self.run(provider.as_ref(), &ctx, operation));
        let end = ctx.classify(end).unwrap_or_else(RunResult::Failed);
        Run { calls: Vec::new(), saved_state: keeper.kept(), result: end }
    }

    /// Plays a recording's operation against other answers than its own.
    pub fn replay(&self, about: &About, recording: &Recording, answers: Vec<Answer>) -> Run {
        if recording.operation == Operation::Note {
            let end = self.note(about, &Note::of(recording));
            return Run { calls: Vec::new(), saved_state: AdapterState::new(), result: end };
        }
        self.play(about, recording.operation, answers)
    }

    pub(crate) fn note(&self, about: &About, note: &Note) -> RunResult {
        let notification = Notification {
            headers: &note.headers,
            body: &note.body,
            received_at: self.now,
            address_key: note.address_key,
        };
        match self.provider(about).read_notification(&notification) {
            Ok(targets) => RunResult::Hints(targets),
            Err(why) => RunResult::Refused(why),
        }
    }

    async fn run(
        &self,
        provider: &dyn Provider,
        ctx: &Ctx<'_>,
        operation: Operation,
    ) -> paymux_port::Result<RunResult> {
        let (attempt, request) = (&self.attempt, &self.request);
        let stands = |view| RunResult::Stands(Box::new(view));
        match operation {
            Operation::Begin => Ok(RunResult::Begun(Box::new(provider.create(ctx, attempt, request).await?))),
            Operation::Fetch => provider.fetch(ctx, attempt).await.map(stands),
            Operation::Find => {
                let found = provider.find_by_reference(ctx, attempt).await?;
                Ok(found.map_or(RunResult::Nothing, |created| RunResult::Begun(Box::new(created))))
            }
            Operation::Capture => provider.capture(ctx, attempt, self.captured).await.map(stands),
            Operation::Cancel => provider.cancel(ctx, attempt).await.map(stands),
            Operation::Refund => provider.refund(ctx, attempt, &self.refund).await.map(stands),
            Operation::HandOver => {
                provider.submit_provider_order(ctx, attempt).await.map(|()| RunResult::Done)
            }
            Operation::Note => Err(ProviderError::Unsupported("call for a notification")),
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
    ) -> paymux_port::Result<RunResult> {
        let (attempt, request) = (&self.attempt, &self.request);
        match operation {
            Operation::ProfileBegin => {
                Ok(RunResult::Begun(Box::new(vault.create(ctx, attempt, request).await?)))
            }
            Operation::ProfileCharge => {
                Ok(RunResult::Begun(Box::new(vault.charge(ctx, attempt, request).await?)))
            }
            Operation::ProfileFetch => vault.fetch(ctx, attempt).await.map(RunResult::Saved),
            Operation::ProfileCancel => vault.cancel(ctx, attempt).await.map(RunResult::Saved),
            Operation::ProfileList => vault.list(ctx, &request.customer).await.map(RunResult::Profiles),
            _ => {
                let profile = request.profile.as_deref().unwrap_or_default();
                vault.detach(ctx, profile).await.map(|()| RunResult::Done)
            }
        }
    }
}

/// A notification that can be changed on its way.
#[derive(Clone)]
pub(crate) struct Note {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) address_key: bool,
}

impl Note {
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

/// Runs what never waits.
///
/// # Panics
/// If it does wait: an adapter has nothing to wait for but its calls, which are answered at once.
pub fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an adapter waits for nothing but its calls"),
    }
}
