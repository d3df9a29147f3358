//! Acme: one sentence about how a payment goes there.

mod wire;

use async_trait::async_trait;
use paymux_port::{
    About, Approach, Attempt, Begun, Call, Cancel, Capabilities, Capture, Checkout, Ctx, Currencies, Hint,
    Limits, Lookup, Next, Notices, Notification, NotificationError, Provider, ProviderError, Refund, Repeat,
    Repeats, Result, Secret, Setting, Snapshot, StatusWord, Theirs, Truth,
};

/// Acme, as routing and the contract see it. What is not said to be possible is never asked for.
pub(crate) static ABOUT: About = About {
    name: "acme",
    title: "Acme",
    base_url: "https://api.acme.example",
    can: Capabilities {
        approaches: &[Approach::Hosted],
        capture: Capture::Automatic,
        cancel: Cancel::None,
        refund: Refund::None,
        lookup: Lookup::ByTheirs,
        repeat: Repeats {
            begin: Repeat::Unsafe,
            capture: Repeat::Unsafe,
            cancel: Repeat::Unsafe,
            refund: Repeat::Unsafe,
        },
        notices: Notices::None,
        truth: Truth::Fetch,
        begin_moves_money: false,
        delivers_links: false,
        currencies: Currencies { only: &[], most_decimals: 2 },
        limits: Limits { smallest_minor: 1, largest_minor: i64::MAX, hold: None, page: None },
        needs: &[],
    },
    settings: &[Setting {
        key: "secret_key",
        required: true,
        secret: true,
        help: "Where in the provider's portal is it found?",
    }],
    statuses: include_str!("statuses.toml"),
    build: |settings| Ok(Box::new(Acme { key: settings.secret("secret_key")? })),
};

struct Acme {
    key: Secret,
}

#[async_trait]
impl Provider for Acme {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn begin(&self, ctx: &Ctx<'_>, attempt: &Attempt, _: &Checkout) -> Result<Begun> {
        let exact = attempt.money.to_major_within(ABOUT.can.currencies.most_decimals);
        let amount = exact.ok_or_else(|| ProviderError::NotSent("too many decimals".to_owned()))?;
        let reference = attempt.id.to_string();
        let payment = wire::NewPayment { amount, currency: attempt.currency(), reference };
        let call = Call::post("/which/path/starts/a/payment").bearer(&self.key).json(&payment)?;
        let started: wire::Payment = ctx.send(call, |_| None).await?;
        let page = started.page.ok_or_else(|| ProviderError::OutcomeUnknown("no page".to_owned()))?;
        let snapshot = Snapshot { word: StatusWord::new("payment", started.status), ..Snapshot::default() };
        Ok(Begun { reference: started.id, next: Next::Page(page), snapshot, theirs: Theirs::new() })
    }

    async fn fetch(&self, _: &Ctx<'_>, _: &Attempt) -> Result<Snapshot> {
        Err(ProviderError::Unsupported("be read: which path reads a payment?"))
    }

    fn read_notification(&self, _: &Notification<'_>) -> std::result::Result<Vec<Hint>, NotificationError> {
        Err(NotificationError::Unverified)
    }
}
