//! Acme: one sentence about how a payment goes there.

mod wire;

use async_trait::async_trait;
use paymux_port::{
    About, AdapterState, AmountLimits, Approach, Attempt, CancelSupport, Capabilities, CaptureSupport,
    CreatedPayment, Ctx, Currencies, HttpRequest, Lookup, Next, Notification, NotificationAuth,
    NotificationError, NotificationTarget, PaymentRequest, Provider, ProviderError, ProviderStatus,
    ProviderView, RefundSupport, Repeat, Repeats, Result, Secret, Setting, Truth,
};

/// Acme, as routing and the contract see it. What is not said to be possible is never asked for.
pub(crate) static ABOUT: About = About {
    name: "acme",
    title: "Acme",
    base_url: "https://api.acme.example",
    capabilities: Capabilities {
        approaches: &[Approach::Hosted],
        capture: CaptureSupport::Automatic,
        cancel: CancelSupport::None,
        refund: RefundSupport::None,
        lookup: Lookup::ByProviderReference,
        repeat: Repeats {
            create: Repeat::Unsafe,
            capture: Repeat::Unsafe,
            cancel: Repeat::Unsafe,
            refund: Repeat::Unsafe,
        },
        notification_auth: NotificationAuth::None,
        truth: Truth::Fetch,
        create_moves_money: false,
        delivers_links: false,
        currencies: Currencies { only: &[], max_decimals: 2 },
        limits: AmountLimits {
            min_minor: 1,
            max_minor: i64::MAX,
            authorization_lifetime: None,
            page_lifetime: None,
        },
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

    async fn create(&self, ctx: &Ctx<'_>, attempt: &Attempt, _: &PaymentRequest) -> Result<CreatedPayment> {
        let exact = attempt.money.to_major_within(ABOUT.capabilities.currencies.max_decimals);
        let amount = exact.ok_or_else(|| ProviderError::NotSent("too many decimals".to_owned()))?;
        let reference = attempt.id.to_string();
        let payment = wire::NewPayment { amount, currency: attempt.currency(), reference };
        let call = HttpRequest::post("/which/path/starts/a/payment").bearer(&self.key).json(&payment)?;
        let started: wire::Payment = ctx.send(call, |_| None).await?;
        let page = started.page.ok_or_else(|| ProviderError::OutcomeUnknown("no page".to_owned()))?;
        let view = ProviderView {
            provider_status: ProviderStatus::new("payment", started.status),
            ..ProviderView::default()
        };
        Ok(CreatedPayment {
            reference: started.id,
            next: Next::Page(page),
            view,
            adapter_state: AdapterState::new(),
        })
    }

    async fn fetch(&self, _: &Ctx<'_>, _: &Attempt) -> Result<ProviderView> {
        Err(ProviderError::Unsupported("be read: which path reads a payment?"))
    }

    fn read_notification(
        &self,
        _: &Notification<'_>,
    ) -> std::result::Result<Vec<NotificationTarget>, NotificationError> {
        Err(NotificationError::Unverified)
    }
}
