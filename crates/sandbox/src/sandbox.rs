//! The sandbox: one request in, one answer out.

use std::path::Path;

use strum::VariantArray as _;

use crate::calls::Calls;
use crate::context::{PendingNotification, RequestContext};
use crate::control;
use crate::dialect::{self, Call, Dialect};
use crate::faults::{ActiveFault, Fault, Switchboard};
use crate::http::{Answer, Outgoing, Request, Response};
use crate::ids::IdGenerator;
use crate::journal::{JournalError, Record};
use crate::ledger::{Ledger, Subscription};
use crate::notify::{NotificationSender, SendOptions};
use crate::object::Provider;
use crate::pages;

/// The imitated providers with everything they know.
pub struct Sandbox {
    pub(crate) ledger: Ledger,
    pub(crate) switchboard: Switchboard,
    pub(crate) calls: Calls,
    sender: NotificationSender,
    id_generator: IdGenerator,
    base_url: String,
}

impl Sandbox {
    /// A sandbox in memory. `base_url` (scheme, host, port) is part of the addresses of its pages; equal seeds
    /// and equal requests give equal answers.
    pub fn in_memory(base_url: &str, seed: u64) -> Self {
        Self::over(Ledger::default(), base_url, seed)
    }

    /// A sandbox whose ledger, cards and subscriptions live in `directory`.
    ///
    /// # Errors
    /// [`JournalError`] if the directory cannot be used or its journal is broken.
    pub fn open(directory: &Path, base_url: &str, seed: u64) -> Result<Self, JournalError> {
        Ok(Self::over(Ledger::open(directory)?, base_url, seed))
    }

    fn over(ledger: Ledger, base_url: &str, seed: u64) -> Self {
        Self {
            ledger,
            switchboard: Switchboard::default(),
            calls: Calls::default(),
            sender: NotificationSender::default(),
            id_generator: IdGenerator::new(seed),
            base_url: base_url.trim_end_matches('/').to_owned(),
        }
    }

    /// Answers one request at `now` (unix microseconds).
    pub fn answer(&mut self, request: &Request, now: i64) -> Answer {
        let mut notifications = self.tick(now);
        let path: Vec<&str> = request.path.split('/').filter(|segment| !segment.is_empty()).collect();
        let mut answer = self.route(request, &path, now);
        notifications.append(&mut answer.notifications);
        Answer { notifications, ..answer }
    }

    /// Lets time do what is due at `now` (unix microseconds): deadlines, holds that lapse, slow banks.
    pub fn tick(&mut self, now: i64) -> Vec<Outgoing> {
        self.run(now, None, |context| context.let_time_pass()).1
    }

    /// Sets the address and the secret of the notifications of `provider` (`telness`, `paymennt`, `decta`).
    /// `false` if there is no such provider or the address is no web address.
    pub fn subscribe(&mut self, provider: &str, url: &str, secret: &str) -> bool {
        let known = Provider::VARIANTS.iter().copied().find(|known| known.name() == provider);
        let Some(provider) = known.filter(|_| dialect::is_web_address(url)) else { return false };
        let subscription = Subscription { provider, url: url.into(), secret: secret.into() };
        self.ledger.keep(Record::Subscription(subscription));
        true
    }

    /// Does some work in a context and sends what notifications it led to.
    pub(crate) fn run<T>(
        &mut self,
        now: i64,
        answer_fault: Option<Fault>,
        work: impl FnOnce(&mut RequestContext<'_>) -> T,
    ) -> (T, Vec<Outgoing>) {
        let (done, notifications) = self.without_sending(now, answer_fault, work);
        let Self { sender, ledger, switchboard, .. } = self;
        (done, sender.send(notifications, ledger, switchboard, now))
    }

    /// Does some work in a context and sends its notifications with the given options, whatever faults wait.
    pub(crate) fn run_with_options<T>(
        &mut self,
        now: i64,
        options: &SendOptions,
        work: impl FnOnce(&mut RequestContext<'_>) -> T,
    ) -> (T, Vec<Outgoing>) {
        let (done, notifications) = self.without_sending(now, None, work);
        (done, options.send(&notifications, &self.ledger, now))
    }

    fn without_sending<T>(
        &mut self,
        now: i64,
        answer_fault: Option<Fault>,
        work: impl FnOnce(&mut RequestContext<'_>) -> T,
    ) -> (T, Vec<PendingNotification>) {
        let Self { ledger, id_generator, base_url, .. } = self;
        let mut context =
            RequestContext { ledger, id_generator, now, base_url, answer_fault, notifications: Vec::new() };
        let done = work(&mut context);
        (done, context.notifications)
    }

    fn route(&mut self, request: &Request, path: &[&str], now: i64) -> Answer {
        if let ["control", rest @ ..] = path {
            let (response, notifications) = control::handle(self, request, rest, now);
            return Answer { delay_ms: 0, response: Some(response), notifications };
        }
        for &provider in Provider::VARIANTS {
            if let Some(rest) = path.strip_prefix(dialect::of(provider).base()) {
                return self.serve_provider(provider, request, rest, now);
            }
        }
        let (response, notifications) = self.run(now, None, |context| pages::handle(context, request, path));
        Answer { delay_ms: 0, response: Some(response), notifications }
    }

    /// A request to a provider's API, with whatever fault befalls it.
    fn serve_provider(&mut self, provider: Provider, request: &Request, path: &[&str], now: i64) -> Answer {
        self.calls.record(provider, request, now);
        let dialect = dialect::of(provider);
        let active = self.switchboard.take(provider, dialect.operation(&request.method, path));
        if let Some(answer) = active.and_then(|active| before(dialect, active)) {
            return answer;
        }
        let call = Call { method: &request.method, path: path.to_vec(), request };
        let answer_fault = active.map(|active| active.fault);
        let (response, notifications) = self.run(now, answer_fault, |context| dialect.handle(context, &call));
        let (delay_ms, response) = after(active, response);
        Answer { delay_ms, response, notifications }
    }
}

/// The answer of a fault that prevents any effect of the request.
fn before(dialect: &dyn Dialect, active: ActiveFault) -> Option<Answer> {
    let (delay_ms, response) = match active.fault {
        Fault::TimeoutBefore => (active.delay_ms, None),
        Fault::ResetBefore => (0, None),
        other => {
            let status = other.status()?;
            let response = dialect.trouble(status);
            let response = if status == 429 { response.header("retry-after", "2") } else { response };
            (active.delay_ms, Some(response))
        }
    };
    Some(Answer { delay_ms, response, notifications: Vec::new() })
}

/// What a fault leaves of the answer once the request had its effect.
fn after(active: Option<ActiveFault>, response: Response) -> (u64, Option<Response>) {
    let Some(ActiveFault { fault, delay_ms }) = active else { return (0, Some(response)) };
    match fault {
        Fault::TimeoutAfter => (delay_ms, None),
        Fault::ResetAfter => (0, None),
        Fault::Garbage => {
            (delay_ms, Some(Response::html(200, "<html><body><h1>Scheduled maintenance</h1></body></html>")))
        }
        Fault::Truncated => {
            let half = response.body.char_indices().nth(response.body.chars().count() / 2);
            let body = response.body.get(..half.map_or(0, |(at, _)| at)).unwrap_or_default().to_owned();
            (delay_ms, Some(Response { body, ..response }))
        }
        _ => (delay_ms, Some(response)),
    }
}
