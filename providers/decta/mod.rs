//! DECTA Gateway, API v0.6: an order with a hosted page, read back to learn its outcome.
//!
//! Money is written in major units with at most two decimals. Nothing is signed, so a notification only points
//! at an order. `README.md` beside this file names the sources.

mod request;
mod response;
mod vault;

use std::time::Duration;

use async_trait::async_trait;
use paymux_port::{
    About, AdapterState, AmountLimits, Approach, Attempt, CancelSupport, Capabilities, CaptureSupport,
    Captures, CreatedPayment, Ctx, Currencies, Field, HttpRequest, HttpResponse, JsonObject, Lookup, Money,
    Next, Notification, NotificationAuth, NotificationError, NotificationTarget, PaymentRequest, Provider,
    ProviderError, ProviderView, RefundRequest, RefundSupport, Repeat, Repeats, Result, Secret, Setting,
    Vault, VaultSupport, encoded,
};

use response::{NotificationBody, Order, Page};

/// DECTA, as routing and the contract suite see it.
pub(crate) static ABOUT: About = About {
    name: "decta",
    title: "DECTA",
    base_url: "https://gate.decta.com/api/v0.6",
    capabilities: Capabilities {
        approaches: &[Approach::Hosted, Approach::Link],
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
        notification_auth: NotificationAuth::AddressKey,
        currencies: Currencies { only: &[], max_decimals: 2 },
        limits: AmountLimits {
            authorization_lifetime: Some(Duration::from_secs(28 * 24 * 3600)),
            page_lifetime: Some((Duration::from_secs(5 * 60), Duration::MAX)),
            ..AmountLimits::NONE
        },
        needs: &[(Approach::Hosted, &[Field::Email]), (Approach::Link, &[Field::Email])],
        limits_attempts: true,
        vault: Some(VaultSupport {
            approaches: &[],
            payments_store: true,
            // Clients are found by their e-mail only, which proves nothing about who they are.
            lists: false,
            charges: true,
            detaches: false,
        }),
        ..Capabilities::NONE
    },
    settings: &[Setting::secret(
        "secret_key",
        "The secret key of the portal's tab \"E-commerce & API\"; a test key makes test orders.",
    )],
    statuses: include_str!("statuses.toml"),
    build: |settings| Ok(Box::new(Decta { key: settings.secret("secret_key")? })),
};

/// How far the list of orders is read for one whose answer was lost.
const MAX_PAGES: usize = 5;

struct Decta {
    key: Secret,
}

#[async_trait]
impl Provider for Decta {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn create(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment> {
        let (order, page) = self.place(ctx, attempt, request::order(attempt, request)?).await?;
        Ok(CreatedPayment { next: Next::Page(ctx.require(page, "a page")?), ..order })
    }

    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        let response = self.read(ctx, attempt.provider_reference()?).await?;
        let view = ctx.json::<Order>(&response)?.view(ctx, attempt)?;
        ctx.require(view.total, "the total")?;
        Ok(ProviderView { method: response::paid_with(&response), ..view })
    }

    /// Only the address proves a notification: no public client of DECTA's checks a signature.
    fn read_notification(
        &self,
        notification: &Notification<'_>,
    ) -> std::result::Result<Vec<NotificationTarget>, NotificationError> {
        if !notification.address_key {
            return Err(NotificationError::Unverified);
        }
        let body: NotificationBody = notification.json()?;
        Ok(vec![NotificationTarget {
            status: body.status(),
            reference: Some(body.id.into()),
            merchant_reference: body.number.0.map(String::from),
            event: None,
        }])
    }

    /// No filter by `number` is documented, so the newest orders are read until they are older than the attempt.
    async fn find_by_reference(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<Option<CreatedPayment>> {
        let reference = attempt.id.to_string();
        let mut query = "page_size=100".to_owned();
        for _ in 0..MAX_PAGES {
            let page: Page =
                ctx.json(&self.send(ctx, HttpRequest::get(format!("/orders/?{query}"))).await?)?;
            if let Some(row) =
                page.results.iter().find(|row| row.number.as_deref() == Some(reference.as_str()))
            {
                let (order, page) = created(ctx, ctx.json(&self.read(ctx, &row.id).await?)?, attempt)?;
                return Ok(Some(CreatedPayment { next: Next::Page(ctx.require(page, "a page")?), ..order }));
            }
            let Some(next) = page.next.as_deref().filter(|_| !page.ends_before(attempt.started_at)) else {
                return Ok(None);
            };
            query = next.rsplit('?').next().unwrap_or_default().to_owned();
        }
        Err(ProviderError::Unavailable("more orders than are looked through".to_owned()))
    }

    async fn capture(&self, ctx: &Ctx<'_>, attempt: &Attempt, money: Money) -> Result<ProviderView> {
        self.act(ctx, attempt, "capture", Some(money)).await
    }

    async fn cancel(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        self.act(ctx, attempt, "cancel", None).await
    }

    async fn refund(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &RefundRequest,
    ) -> Result<ProviderView> {
        self.act(ctx, attempt, "refund", Some(request.money)).await
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

impl Decta {
    /// Sends a call. A 2xx that carries `errors` is a refusal: an older shape that every official plug-in checks.
    async fn send(&self, ctx: &Ctx<'_>, http_request: HttpRequest) -> Result<HttpResponse> {
        let response = ctx.send_raw(http_request.bearer(&self.key)).await?;
        ctx.ensure_ok(&response, response::complaint)?;
        match response::errors_in_success(&response) {
            Some(complaint) => Err(ctx.refusal_in_success(complaint)),
            None => Ok(response),
        }
    }

    /// Creates an order, and returns it with its page.
    async fn place(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        order: JsonObject,
    ) -> Result<(CreatedPayment, Option<String>)> {
        let http_request = HttpRequest::post("/orders/?response_type=full").json(order)?;
        created(ctx, ctx.json(&self.send(ctx, http_request).await?)?, attempt)
    }

    /// Reads the order in full: only that has the history and the refunds.
    async fn read(&self, ctx: &Ctx<'_>, id: &str) -> Result<HttpResponse> {
        self.send(ctx, HttpRequest::get(format!("/orders/{}/?response_type=full", encoded(id)))).await
    }

    /// Does something to the order and reads it back; what the action itself answers is not documented.
    async fn act(
        &self,
        ctx: &Ctx<'_>,
        of: &Attempt,
        verb: &str,
        money: Option<Money>,
    ) -> Result<ProviderView> {
        let mut http_request =
            HttpRequest::post(format!("/orders/{}/{verb}/", encoded(of.provider_reference()?)));
        if let Some(money) = money {
            http_request = http_request.json(JsonObject::new().put("amount", request::exact(money)?))?;
        }
        self.send(ctx, http_request).await?;
        Provider::fetch(self, ctx, of).await
    }
}

/// An order that exists, with its page; the customer is not sent there yet.
fn created(ctx: &Ctx<'_>, order: Order, attempt: &Attempt) -> Result<(CreatedPayment, Option<String>)> {
    let view = order.view(ctx, attempt)?;
    let created = CreatedPayment {
        reference: ctx.require(order.id.0, "an id")?.into(),
        next: Next::Nothing,
        view,
        adapter_state: AdapterState::new(),
    };
    Ok((created, order.full_page_checkout.0.map(String::from)))
}
