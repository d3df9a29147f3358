//! Acme: one sentence about how a payment goes there.

mod request;
mod response;

use async_trait::async_trait;
use paymux_port::{
    About, AdapterState, Approach, Attempt, Capabilities, CreatedPayment, Ctx, Currencies, HttpRequest,
    Lookup, Next, Notification, NotificationError, NotificationTarget, PaymentRequest, Provider,
    ProviderError, ProviderStatus, ProviderView, Result, Secret, Setting,
};

/// Acme, as routing and the contract see it. What is not said to be possible is never asked for.
pub(crate) static ABOUT: About = About {
    name: "acme",
    title: "Acme",
    base_url: "https://api.acme.example",
    capabilities: Capabilities {
        approaches: &[Approach::Hosted],
        lookup: Lookup::ByProviderReference,
        currencies: Currencies { only: &[], max_decimals: 2 },
        ..Capabilities::NONE
    },
    settings: &[Setting::secret("secret_key", "Where in the provider's portal is it found?")],
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
        let payment = request::payment(attempt)?;
        let call = HttpRequest::post("/which/path/starts/a/payment").bearer(&self.key).json(payment)?;
        let started: response::Payment = ctx.send(call, |_| None).await?;
        let view = ProviderView {
            provider_status: ProviderStatus::new("payment", &*started.status),
            ..ProviderView::default()
        };
        Ok(CreatedPayment {
            reference: started.id.into(),
            next: Next::Page(ctx.require(started.page.0, "a page")?.into()),
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
