//! Stored cards: listing, charging and forgetting them. They are stored by the card frame in a merchant's own
//! page, which the gateway does not offer, so nothing here starts a session that stores one.

use async_trait::async_trait;
use paymux_port::{
    Attempt, CreatedPayment, Ctx, Currency, Customer, Decimal, HttpRequest, Next, PaymentRequest,
    ProviderError, ProviderStatus, ProviderView, Result, StoredProfile, Vault, VaultView, encoded,
};
use serde::{Deserialize, Serialize};

use super::Paymennt;
use super::order::{self, Order};
use super::wire::{self, created, money};

/// Under this name the id of a charge's payment is kept with its attempt; the reference is the checkout's id.
pub(super) const PAYMENT: &str = "payment";

/// More cards than anybody stores with one merchant; asked for as a single page.
const MAX_CARDS: u8 = 100;

const NO_SESSION: ProviderError = ProviderError::Unsupported("store a card without the merchant's own page");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Debit<'a> {
    source: Source<'a>,
    checkout_details: Order<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Source<'a> {
    r#type: &'static str,
    token: &'a str,
    shopper_interaction: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    id: String,
    status: String,
    currency: Currency,
    amount: Decimal,
    redirect_url: Option<String>,
    checkout_details: Option<wire::Checkout>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Card {
    token: String,
    card_brand: Option<String>,
    card_last4: Option<String>,
    expiry: Option<String>,
}

#[async_trait]
impl Vault for Paymennt {
    async fn create(&self, _: &Ctx<'_>, _: &Attempt, _: &PaymentRequest) -> Result<CreatedPayment> {
        Err(NO_SESSION)
    }

    async fn fetch(&self, _: &Ctx<'_>, _: &Attempt) -> Result<VaultView> {
        Err(NO_SESSION)
    }

    async fn cancel(&self, _: &Ctx<'_>, _: &Attempt) -> Result<VaultView> {
        Err(NO_SESSION)
    }

    async fn list(&self, ctx: &Ctx<'_>, customer: &Customer) -> Result<Vec<StoredProfile>> {
        // They know a customer's cards only by the merchant's own id of the customer.
        let Some(id) = &customer.id else { return Ok(Vec::new()) };
        let path = format!("/card/list?customerReferenceId={}&size={MAX_CARDS}", encoded(id));
        let listed: wire::Listed<Card> = self.send(ctx, HttpRequest::get(path)).await?;
        Ok(listed.content.into_iter().map(profile).collect())
    }

    fn charges(&self) -> bool {
        true
    }

    async fn charge(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment> {
        let token = request.profile.as_deref().ok_or(ProviderError::NotFound)?;
        // The customer is away, and nothing says that there is a schedule.
        let source = Source { r#type: "STORED_CARD", token, shopper_interaction: "UNSCHEDULED" };
        let debit = Debit { source, checkout_details: order::web(attempt, request)? };
        let mut payment: Payment = self.send(ctx, HttpRequest::post("/payment/debit").json(&debit)?).await?;
        if payment.status.eq_ignore_ascii_case("AUTHORIZED") {
            self.capture_now(ctx, &mut payment).await;
        }
        let Some(checkout) = payment.checkout_details.take() else {
            return Err(Ctx::unreadable(false, "a payment without its checkout".to_owned()));
        };
        let mut created = created(checkout, false)?;
        created.view = stands(&payment, created.view, false)?;
        created.next = payment.redirect_url.map_or(Next::Nothing, Next::Page);
        created.adapter_state.insert(PAYMENT.to_owned(), payment.id);
        Ok(created)
    }

    async fn detach(&self, ctx: &Ctx<'_>, profile: &str) -> Result<()> {
        let path = format!("/card/delete?cardToken={}", encoded(profile));
        self.send_for_success(ctx, HttpRequest::post(path)).await.map(|_| ())
    }
}

impl Paymennt {
    /// Takes what a debit has only held, as the vendor's own plugin does. If that fails the payment stays
    /// reported as held, which is the truth and raises attention.
    async fn capture_now(&self, ctx: &Ctx<'_>, payment: &mut Payment) {
        let path = format!("/payment/{}/capture", encoded(&payment.id));
        if let Ok(captured) = self.send::<Payment>(ctx, HttpRequest::post(path)).await {
            payment.status = captured.status;
        }
    }

    /// A charge whose checkout is open: only the payment tells a challenge from a decline.
    pub(super) async fn fetch_charge(
        &self,
        ctx: &Ctx<'_>,
        payment: &str,
        checkout: ProviderView,
    ) -> Result<ProviderView> {
        let payment: Payment =
            self.send(ctx, HttpRequest::get(format!("/payment/{}", encoded(payment)))).await?;
        stands(&payment, checkout, true)
    }
}

/// The payment's own word and amount; the rest is its checkout's.
fn stands(payment: &Payment, checkout: ProviderView, reads_only: bool) -> Result<ProviderView> {
    let total = money(payment.amount, payment.currency, reads_only)?;
    Ok(ProviderView {
        provider_status: ProviderStatus::new("payment", payment.status.as_str()),
        total: Some(total),
        ..checkout
    })
}

fn profile(card: Card) -> StoredProfile {
    let shown = [card.card_brand, card.card_last4].into_iter().flatten().collect::<Vec<_>>().join(" ");
    StoredProfile {
        reference: card.token,
        // They state nothing: a card that is on the list can be charged.
        provider_status: ProviderStatus::new("profile", "ACTIVE"),
        kind: "CARD".to_owned(),
        display_name: Some(shown).filter(|shown| !shown.is_empty()),
        expires_on: card.expiry,
    }
}
