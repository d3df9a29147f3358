//! DECTA Gateway, API v0.6: an order with a hosted page, read back to learn its outcome.
//!
//! Money is written in major units with at most two decimals. Nothing is signed, so a notification only points
//! at an order. `README.md` beside this file names the sources.

mod order;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use paymux_port::{
    About, AdapterState, AmountLimits, Approach, Attempt, CancelSupport, Capabilities, CaptureSupport,
    Captures, CreatedPayment, Ctx, Currencies, Currency, Decimal, Field, HttpRequest, HttpResponse, Lookup,
    Money, Next, Notification, NotificationAuth, NotificationError, NotificationTarget, PaymentRequest,
    Provider, ProviderError, ProviderStatus, ProviderView, RefundRequest, RefundSupport, Repeat, Repeats,
    Result, Secret, Setting, Timestamp, Truth, encoded,
};

use order::{exact, new_order};
use wire::{Order, Page, Row};

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
        truth: Truth::Fetch,
        create_moves_money: false,
        delivers_links: false,
        currencies: Currencies { only: &[], max_decimals: MAX_DECIMALS },
        limits: AmountLimits {
            min_minor: 1,
            max_minor: i64::MAX,
            authorization_lifetime: Some(Duration::from_secs(28 * 24 * 3600)),
            page_lifetime: Some((Duration::from_secs(5 * 60), Duration::MAX)),
        },
        needs: &[(Approach::Hosted, &[Field::Email]), (Approach::Link, &[Field::Email])],
    },
    settings: &[Setting {
        key: "secret_key",
        required: true,
        secret: true,
        help: "The secret key of the portal's tab \"E-commerce & API\"; a test key makes test orders.",
    }],
    statuses: include_str!("statuses.toml"),
    build: |settings| Ok(Box::new(Decta { key: settings.secret("secret_key")? })),
};

/// Amounts are rounded to this many by DECTA, so no more are ever sent.
const MAX_DECIMALS: u8 = 2;

/// More product lines than this are refused by the white-label SDK.
const MAX_PRODUCTS: usize = 50;

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
        let http_request =
            HttpRequest::post("/orders/?response_type=full").json(&new_order(attempt, request)?)?;
        let response = self.send(ctx, http_request).await?;
        response.json().and_then(|order| created(order, attempt)).map_err(ProviderError::OutcomeUnknown)
    }

    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        let order = self.order(ctx, attempt.provider_reference()?).await?;
        snapshot(&order, attempt).map_err(ProviderError::Unavailable)
    }

    /// Only the address proves a notification: no public client of DECTA's checks a signature.
    fn read_notification(
        &self,
        notification: &Notification<'_>,
    ) -> std::result::Result<Vec<NotificationTarget>, NotificationError> {
        if !notification.address_key {
            return Err(NotificationError::Unverified);
        }
        let row: Row =
            serde_json::from_slice(notification.body).map_err(|_| NotificationError::Unreadable)?;
        Ok(vec![NotificationTarget { reference: Some(row.id), merchant_reference: row.number, event: None }])
    }

    /// No filter by `number` is documented, so the newest orders are read until they are older than the attempt.
    async fn find_by_reference(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<Option<CreatedPayment>> {
        let ours = attempt.id.to_string();
        let mut query = "page_size=100".to_owned();
        for _ in 0..MAX_PAGES {
            let response = self.send(ctx, HttpRequest::get(format!("/orders/?{query}"))).await?;
            let page: Page = response.json().map_err(ProviderError::Unavailable)?;
            if let Some(row) = page.results.iter().find(|row| row.number.as_deref() == Some(&ours)) {
                let order = self.order(ctx, &row.id).await?;
                return created(order, attempt).map(Some).map_err(ProviderError::Unavailable);
            }
            let Some(next) = page.next.as_deref().filter(|_| !ends_before(&page, attempt.started_at)) else {
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
}

impl Decta {
    /// Sends a call. A 2xx that carries `errors` is a refusal: an older shape that every official plug-in checks.
    async fn send(&self, ctx: &Ctx<'_>, http_request: HttpRequest) -> Result<HttpResponse> {
        let reads_only = http_request.reads_only;
        let response = ctx.send_raw(http_request.bearer(&self.key)).await?;
        if !response.ok() {
            return Err(response.into_error(reads_only, wire::complaint(&response)));
        }
        match wire::errors_in_success(&response) {
            Some((code, text)) => Err(ProviderError::rejected(code.as_deref(), text.as_deref())),
            None => Ok(response),
        }
    }

    /// Reads the order in full: only that has the history and the refunds.
    async fn order(&self, ctx: &Ctx<'_>, id: &str) -> Result<Order> {
        let response =
            self.send(ctx, HttpRequest::get(format!("/orders/{}/?response_type=full", encoded(id)))).await?;
        response.json().map_err(ProviderError::Unavailable)
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
            http_request = http_request.json(&BTreeMap::from([("amount", exact(money)?)]))?;
        }
        self.send(ctx, http_request).await?;
        self.fetch(ctx, of).await
    }
}

/// Whether the list runs from new to old and has come to orders from well before the attempt.
fn ends_before(page: &Page, started_at: Timestamp) -> bool {
    let issued = |row: Option<&Row>| row.and_then(|row| row.issued);
    let well_before = started_at.minus(Duration::from_secs(3600)).seconds();
    match (issued(page.results.first()), issued(page.results.last())) {
        (Some(first), Some(last)) => first >= last && last < well_before,
        _ => false,
    }
}

fn created(order: Order, attempt: &Attempt) -> std::result::Result<CreatedPayment, String> {
    let view = snapshot(&order, attempt)?;
    let page = order.full_page_checkout.filter(|_| !order.id.is_empty()).ok_or("an order without page")?;
    Ok(CreatedPayment {
        reference: order.id,
        next: Next::Page(page),
        view,
        adapter_state: AdapterState::new(),
    })
}

/// States no captured amount: at DECTA `captured` is a time. Amounts without a currency are in that of the attempt, so
/// that they are compared all the same.
fn snapshot(order: &Order, attempt: &Attempt) -> std::result::Result<ProviderView, String> {
    let stated = order.currency.as_deref().map_or(Ok(attempt.currency()), str::parse::<Currency>);
    let currency = stated.map_err(|_| "an unknown currency")?;
    let money = |major: Option<Decimal>| major.map(|major| Money::from_major(major, currency)).transpose();
    let unreadable = |fault: paymux_port::MoneyError| format!("an amount of the order: {fault}");
    Ok(ProviderView {
        provider_status: ProviderStatus::new("order", order.status()),
        total: money(order.total).map_err(unreadable)?,
        refunded: money(order.amount_refunded).map_err(unreadable)?,
        merchant_reference: order.number.clone(),
        is_test: order.is_test,
        failure: order.last_decline(),
        ..ProviderView::default()
    })
}
