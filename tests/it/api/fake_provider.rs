//! A provider that the test controls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use port::{
    About, AdapterState, AddressPart, Approach, Attempt, CancelSupport, Capabilities, CaptureSupport,
    Captures, CreatedPayment, Ctx, Currencies, Field, Lookup, Money, Next, Notification, NotificationAuth,
    NotificationError, NotificationTarget, PaymentRequest, Provider, ProviderError, ProviderStatus,
    ProviderView, RefundRequest, RefundSupport, Repeat, Repeats,
};
use tokio::sync::Semaphore;

static ABOUT: About = About {
    name: "teller",
    title: "The teller",
    base_url: "https://teller.test",
    capabilities: Capabilities {
        approaches: &[Approach::Hosted, Approach::Embedded, Approach::Link],
        capture: CaptureSupport::ManualToo(Captures::One),
        cancel: CancelSupport::Both,
        refund: RefundSupport::Partial,
        lookup: Lookup::ByMerchantReference,
        repeat: Repeats {
            create: Repeat::Unsafe,
            capture: Repeat::SelfLimiting,
            cancel: Repeat::SelfLimiting,
            refund: Repeat::Unsafe,
        },
        notification_auth: NotificationAuth::SharedKey,
        delivers_links: true,
        currencies: Currencies { only: &["EUR", "JPY"], max_decimals: 2 },
        needs: &[(Approach::Embedded, &[Field::Billing(AddressPart::City)])],
        ..Capabilities::NONE
    },
    settings: &[],
    statuses: "source = \"the test\"\n[payment]\n\
               waiting = { meaning = \"PENDING\", evidence = \"seen\" }\n\
               held = { meaning = \"AUTHORIZED\", evidence = \"seen\" }\n\
               paid = { meaning = \"PAID\", evidence = \"seen\" }\n\
               charged_back = { meaning = \"DISPUTED\", evidence = \"seen\", stage = \"CHARGEBACK\" }\n\
               refunded = { meaning = \"FROM_AMOUNTS\", evidence = \"seen\" }\n\
               failed = { meaning = \"FAILED\", evidence = \"seen\", terminal = true }\n\
               declined = { meaning = \"FAILED\", evidence = \"seen\" }\n\
               closed = { meaning = \"CANCELLED\", evidence = \"seen\", terminal = true }\n",
    build: |_| unreachable!("the test makes its adapters itself"),
};

/// What a start does.
#[derive(Clone, Default)]
pub enum Start {
    /// Makes an object.
    #[default]
    Works,
    /// Nothing reaches it.
    Down,
    /// It does not know our credentials.
    Locked,
    /// It says no.
    Refuses,
    /// It creates an object and the answer is lost; the object cannot be looked up.
    Silent,
    /// It creates an object, the answer is lost, and a lookup does not find it yet.
    Lags,
    /// It makes an object over another amount.
    Wrong,
    /// It makes an object whose page would run a script.
    Script,
    /// It makes an object over another amount whose page would run a script.
    WrongScript,
    /// It would make one over another amount, and is not let.
    Misquotes,
    /// It waits for a permit first.
    Waits(Arc<Semaphore>),
}

/// What it has, and how it behaves.
#[derive(Default)]
pub struct FakeProvider {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    start: Start,
    /// What an operation answers, if not what it should, and how many pass before it.
    fault: Option<(u32, ProviderError)>,
    /// What every operation answers while it is broken.
    broken: Option<ProviderError>,
    objects: BTreeMap<String, Object>,
    /// How often a status was fetched.
    reads: u32,
    /// What it waits for before it answers a read, if it waits.
    answers: Option<Arc<Semaphore>>,
    /// The account at which it never answers a read.
    mute_at: Option<&'static str>,
}

#[derive(Clone)]
struct Object {
    status: &'static str,
    total: Money,
    captured: i64,
    refunded: i64,
}

impl FakeProvider {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How a start goes from now on.
    pub fn starts(&self, start: Start) {
        self.state().start = start;
    }

    /// The next operation fails like this.
    pub fn fails_once(&self, fault: ProviderError) {
        self.fails_after(0, fault);
    }

    /// After so many operations that pass, one fails like this.
    pub fn fails_after(&self, passes: u32, fault: ProviderError) {
        self.state().fault = Some((passes, fault));
    }

    /// Every operation fails like this until it works again.
    pub fn breaks(&self, fault: ProviderError) {
        self.state().broken = Some(fault);
    }

    /// It works again.
    pub fn works(&self) {
        self.state().broken = None;
    }

    /// What it says of an object from now on.
    pub fn say(&self, reference: &str, status: &'static str) {
        let mut state = self.state();
        let object = state.objects.get_mut(reference).expect("an object of its own");
        object.status = status;
        object.captured = if status == "paid" { object.total.minor } else { 0 };
    }

    /// It asks the customer for another amount.
    pub fn states(&self, reference: &str, minor: i64) {
        self.state().objects.get_mut(reference).expect("an object of its own").total.minor = minor;
    }

    /// What it has given back of an object, minor units.
    pub fn refunded(&self, reference: &str) -> i64 {
        self.state().objects[reference].refunded
    }

    /// How often a status was fetched.
    pub fn reads(&self) -> u32 {
        self.state().reads
    }

    /// It never answers a read.
    pub fn falls_mute(&self) {
        self.answers_with(Arc::new(Semaphore::new(0)));
    }

    /// It reads the status at once, and answers when it has a permit.
    pub fn answers_with(&self, permits: Arc<Semaphore>) {
        self.state().answers = Some(permits);
    }

    /// At one account it never answers a read.
    pub fn falls_mute_at(&self, account: &'static str) {
        self.state().mute_at = Some(account);
    }

    /// The objects it has, by its own ids.
    pub fn references(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// How many objects it has.
    pub fn objects(&self) -> usize {
        self.state().objects.len()
    }
}

/// An adapter for it, of an account.
pub fn adapter(provider: &Arc<FakeProvider>, account: &str) -> Box<dyn Provider> {
    Box::new(Adapter { provider: provider.clone(), account: account.to_owned() })
}

struct Adapter {
    provider: Arc<FakeProvider>,
    account: String,
}

impl Object {
    fn snapshot(&self) -> ProviderView {
        let money = |minor| Some(Money::new(minor, self.total.currency));
        let taken = self.captured > 0;
        ProviderView {
            provider_status: ProviderStatus::new("payment", self.status),
            total: Some(self.total),
            captured: money(self.captured).filter(|_| taken),
            refunded: money(self.refunded).filter(|_| taken),
            ..ProviderView::default()
        }
    }
}

fn created(reference: &str, object: &Object, approach: Approach) -> CreatedPayment {
    let next = match approach {
        Approach::Embedded => Next::Widget(BTreeMap::from([("clientSecret".to_owned(), "cs-1".to_owned())])),
        Approach::Hosted | Approach::Link => Next::Page(format!("https://teller.test/pay/{reference}")),
    };
    CreatedPayment {
        reference: reference.to_owned(),
        next,
        view: object.snapshot(),
        adapter_state: AdapterState::new(),
    }
}

impl Adapter {
    fn change(
        &self,
        attempt: &Attempt,
        act: impl FnOnce(&mut Object),
    ) -> Result<ProviderView, ProviderError> {
        let mut state = self.provider.state();
        if let Some(fault) = &state.broken {
            return Err(fault.clone());
        }
        match state.fault.take() {
            Some((0, fault)) => return Err(fault),
            waits => state.fault = waits.map(|(passes, fault)| (passes - 1, fault)),
        }
        let object = state.objects.get_mut(attempt.provider_reference()?).ok_or(ProviderError::NotFound)?;
        act(object);
        Ok(object.snapshot())
    }
}

#[async_trait]
impl Provider for Adapter {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn create(
        &self,
        _: &Ctx<'_>,
        attempt: &Attempt,
        _: &PaymentRequest,
    ) -> Result<CreatedPayment, ProviderError> {
        let start = self.provider.state().start.clone();
        if let Start::Waits(permits) = &start {
            permits.acquire().await.unwrap().forget();
        }
        let mut total = attempt.money;
        match start {
            Start::Down => return Err(ProviderError::Busy { retry_after: Some(Duration::from_secs(7)) }),
            Start::Locked => return Err(ProviderError::Misconfigured),
            Start::Refuses => return Err(ProviderError::declined(Some("R1"), Some("no such shop"))),
            Start::Misquotes => return Err(ProviderError::AmountDiffers("12.51 EUR".to_owned())),
            Start::Wrong | Start::WrongScript => total.minor += 1,
            Start::Works | Start::Script | Start::Silent | Start::Lags | Start::Waits(_) => {}
        }
        let object = Object { status: "waiting", total, captured: 0, refunded: 0 };
        let reference = format!("t-{}", attempt.id);
        let mut made = created(&reference, &object, attempt.approach);
        if matches!(start, Start::Script | Start::WrongScript) {
            made.next = Next::Page("javascript:alert(1)".to_owned());
        }
        self.provider.state().objects.insert(reference, object);
        match start {
            Start::Silent | Start::Lags => Err(ProviderError::OutcomeUnknown("silence".to_owned())),
            _ => Ok(made),
        }
    }

    async fn find_by_reference(
        &self,
        _: &Ctx<'_>,
        attempt: &Attempt,
    ) -> Result<Option<CreatedPayment>, ProviderError> {
        let state = self.provider.state();
        match state.start {
            Start::Silent => return Err(ProviderError::Unavailable("silence".to_owned())),
            Start::Lags => return Ok(None),
            _ => {}
        }
        let reference = format!("t-{}", attempt.id);
        Ok(state.objects.get(&reference).map(|object| created(&reference, object, attempt.approach)))
    }

    async fn fetch(&self, _: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView, ProviderError> {
        let (permits, mute_at) = {
            let mut state = self.provider.state();
            state.reads += 1;
            (state.answers.clone(), state.mute_at)
        };
        if mute_at == Some(self.account.as_str()) {
            std::future::pending::<()>().await;
        }
        let seen = self.change(attempt, |_| {});
        if let Some(permits) = permits {
            permits.acquire().await.unwrap().forget();
        }
        seen
    }

    /// A list of hints, with a shared key or to the account's own address.
    fn read_notification(
        &self,
        body: &Notification<'_>,
    ) -> Result<Vec<NotificationTarget>, NotificationError> {
        if body.header("x-teller-key") != Some("genuine") && !body.address_key {
            return Err(NotificationError::Unverified);
        }
        let unreadable = |_| NotificationError::Unreadable;
        let said: serde_json::Value = serde_json::from_slice(body.body).map_err(unreadable)?;
        let mut targets: Vec<NotificationTarget> = serde_json::from_slice(body.body).map_err(unreadable)?;
        for (target, said) in targets.iter_mut().zip(said.as_array().into_iter().flatten()) {
            target.status = said["status"].as_str().map(|status| ProviderStatus::new("payment", status));
        }
        Ok(targets)
    }

    async fn capture(
        &self,
        _: &Ctx<'_>,
        attempt: &Attempt,
        money: Money,
    ) -> Result<ProviderView, ProviderError> {
        self.change(attempt, |object| (object.status, object.captured) = ("paid", money.minor))
    }

    /// What is paid is closed no more, and refused as such.
    async fn cancel(&self, _: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView, ProviderError> {
        let mut paid = false;
        let view = self.change(attempt, |object| {
            paid = matches!(object.status, "paid" | "refunded");
            object.status = if paid { object.status } else { "closed" };
        })?;
        if paid { Err(ProviderError::rejected(None, Some("it is paid"))) } else { Ok(view) }
    }

    async fn refund(
        &self,
        _: &Ctx<'_>,
        attempt: &Attempt,
        request: &RefundRequest,
    ) -> Result<ProviderView, ProviderError> {
        self.change(attempt, |object| {
            object.refunded += request.money.minor;
            object.status = "refunded";
        })
    }
}
