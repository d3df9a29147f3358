//! Stored cards: listing, charging and deleting them. They are stored by the card frame in a merchant's own page, which
//! the gateway does not offer, so nothing here starts a session that stores one.

use async_trait::async_trait;
use paymux_port::{
    Attempt, CreatedPayment, Ctx, HttpRequest, PaymentRequest, PaymentStatus, ProviderView, Result,
    StoredProfile, Vault, encoded,
};

use super::response::{Card, Listed, Payment, page};
use super::{Paymennt, request};

/// The adapter state key of a charge's payment id. The provider reference is the checkout's id.
pub(super) const PAYMENT: &str = "payment";

/// The most cards that are listed, in a single page.
const MAX_CARDS: u8 = 100;

#[async_trait]
impl Vault for Paymennt {
    async fn list(&self, ctx: &Ctx<'_>, customer_id: &str) -> Result<Vec<StoredProfile>> {
        let path = format!("/card/list?customerReferenceId={}&size={MAX_CARDS}", encoded(customer_id));
        let listed: Listed<Card> = self.send(ctx, HttpRequest::get(path)).await?;
        Ok(listed.content.into_iter().map(StoredProfile::from).collect())
    }

    async fn charge(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment> {
        let debit = HttpRequest::post("/payment/debit").json(request::debit(attempt, request)?)?;
        let mut payment: Payment = self.send(ctx, debit).await?;
        let checkout = ctx.require(payment.checkout_details.0.take(), "its checkout")?;
        if ctx.statuses().means(&payment.provider_status(), PaymentStatus::Authorized) {
            self.capture_now(ctx, &mut payment).await;
        }
        let mut created = checkout.created(ctx)?;
        created.view = payment.view(ctx, created.view)?;
        created.next = page(payment.redirect_url);
        created.adapter_state.insert(PAYMENT.to_owned(), ctx.require(payment.id.0, "a payment's id")?.into());
        Ok(created)
    }

    async fn detach(&self, ctx: &Ctx<'_>, reference: &str) -> Result<()> {
        let path = format!("/card/delete?cardToken={}", encoded(reference));
        self.send_for_success(ctx, HttpRequest::post(path)).await.map(drop)
    }
}

impl Paymennt {
    /// Captures what a debit has only authorized, as the vendor's own plugin does. If that fails the payment stays
    /// reported as authorized, which is the truth and raises attention.
    async fn capture_now(&self, ctx: &Ctx<'_>, payment: &mut Payment) {
        let Some(id) = payment.id.as_deref() else { return };
        let path = format!("/payment/{}/capture", encoded(id));
        if let Ok(captured) = self.send::<Payment>(ctx, HttpRequest::post(path)).await {
            payment.status = captured.status;
        }
    }

    /// A charge whose checkout is open: only its payment distinguishes a challenge from a decline.
    pub(super) async fn fetch_charge(
        &self,
        ctx: &Ctx<'_>,
        payment: &str,
        checkout: ProviderView,
    ) -> Result<ProviderView> {
        let path = format!("/payment/{}", encoded(payment));
        let payment: Payment = self.send(ctx, HttpRequest::get(path)).await?;
        payment.view(ctx, checkout)
    }
}
