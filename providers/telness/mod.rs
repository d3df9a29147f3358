//! Telness Connect: orders at the provider, payment sessions and links on them, stored payment methods.
//!
//! A payment is an order of the provider's own, its price, and a session or link on it (`begin`); what we send
//! stands in `ask`, what they answer in `wire`. Sessions state no amount, so the price is compared before one is
//! opened. There is no refund and no capture by hand in this API, and none may be imitated here.

mod ask;
mod begin;
mod opened;
#[cfg(test)]
mod tests;
mod vault;
mod wire;

use async_trait::async_trait;
use paymux_port::{
    About, Approach, Attempt, Begun, Call, Cancel, Capabilities, Capture, Checkout, Ctx, Currencies, Hint,
    Limits, Lookup, Notices, Notification, NotificationError, Provider, ProviderError, Refund, Repeat,
    Repeats, Reply, Result, Secret, Setting, Settings, SettingsError, Snapshot, StatusWord, Truth, Vault,
    encoded, sign,
};
use serde::de::DeserializeOwned;

use opened::{Kind, Opened};
use wire::{Envelope, Order};

/// Telness Connect, by its current reference; answers of the earlier one are read too.
pub(crate) static ABOUT: About = About {
    name: "telness",
    title: "Telness Connect",
    base_url: "https://connect.telnesstech.com/api/v2",
    can: Capabilities {
        approaches: &[Approach::Hosted, Approach::Embedded, Approach::Link],
        capture: Capture::Automatic,
        cancel: Cancel::Unpaid,
        refund: Refund::None,
        lookup: Lookup::ByTheirs,
        repeat: Repeats {
            begin: Repeat::Deduplicated,
            capture: Repeat::Unsafe,
            cancel: Repeat::Deduplicated,
            refund: Repeat::Unsafe,
        },
        notices: Notices::SharedKey,
        truth: Truth::Fetch,
        begin_moves_money: false,
        delivers_links: false,
        currencies: Currencies { only: &[], most_decimals: 4 },
        limits: Limits { smallest_minor: 1, largest_minor: i64::MAX, hold: None, page: None },
        needs: &[],
    },
    settings: &[
        Setting {
            key: "api_key",
            required: true,
            secret: true,
            help: "API key of the organisation, made in the Connect portal; one for each environment",
        },
        Setting {
            key: "payment_provider",
            required: false,
            secret: false,
            help: "paymentProvider of the sessions: who processes the cards behind Connect; STRIPE if absent",
        },
        Setting {
            key: "webhook_key",
            required: false,
            secret: true,
            help: "shared key that notices carry in X-Api-Key; without it their address must carry notify_key",
        },
    ],
    statuses: include_str!("statuses.toml"),
    build,
};

fn build(settings: &Settings) -> std::result::Result<Box<dyn Provider>, SettingsError> {
    let payment_provider = settings.text("payment_provider").filter(|name| !name.is_empty());
    Ok(Box::new(Telness {
        api_key: settings.secret("api_key")?,
        payment_provider: payment_provider.unwrap_or_else(|| "STRIPE".to_owned()),
        webhook_key: settings.optional_secret("webhook_key"),
    }))
}

/// One account at Telness Connect.
struct Telness {
    api_key: Secret,
    payment_provider: String,
    webhook_key: Option<Secret>,
}

/// The body of a write that says everything by its path.
const NOTHING_TO_SAY: &str = "{}";

#[async_trait]
impl Provider for Telness {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn begin(&self, ctx: &Ctx<'_>, attempt: &Attempt, ask: &Checkout) -> Result<Begun> {
        self.start(ctx, attempt, ask, Kind::of(attempt.approach)).await
    }

    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<Snapshot> {
        let kind = Kind::of(attempt.approach);
        Ok(snapshot(kind, &self.read(ctx, attempt, kind).await?))
    }

    /// Closes the session or the link. The provider's order is left to expire by itself: nothing on it can be
    /// paid any more, and a second write would only make a certain answer uncertain.
    async fn cancel(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<Snapshot> {
        let kind = Kind::of(attempt.approach);
        Ok(snapshot(kind, &self.close(ctx, attempt, kind).await?))
    }

    fn hands_over(&self) -> bool {
        true
    }

    /// Submits the provider's order. It may already have done so by itself ("submitted automatically once every
    /// requirement is met", submit-order page), so a refusal is checked against the order. A link has no field
    /// in the submit body: its order needs no further proof.
    async fn hand_over(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<()> {
        let order = attempt.theirs.get(begin::ORDER_ID).ok_or(ProviderError::NotFound)?;
        let order = format!("/orders/{}", encoded(order));
        let proof = match Kind::of(attempt.approach) {
            Kind::Session => ask::submit(Some(attempt.their_id()?))?,
            Kind::Link | Kind::ProfileSession => ask::submit(None)?,
        };
        let reply = self.answer(ctx, keyed(attempt, "submit", &format!("{order}/submit"), &proof)).await?;
        match understood::<Order>(&reply, false) {
            Err(refusal @ ProviderError::Rejected { .. }) if matches!(reply.status, 409 | 412) => {
                let order: Order = self.send(ctx, Call::get(order)).await?;
                if order.was_submitted() { Ok(()) } else { Err(refusal) }
            }
            done => done.map(|_| ()),
        }
    }

    fn read_notification(
        &self,
        note: &Notification<'_>,
    ) -> std::result::Result<Vec<Hint>, NotificationError> {
        let proven = match &self.webhook_key {
            Some(key) => note.header("x-api-key").is_some_and(|sent| sign::same_secret(key, sent.as_bytes())),
            None => note.address_key,
        };
        if !proven {
            return Err(NotificationError::Unverified);
        }
        let envelope: Envelope =
            serde_json::from_slice(note.body).map_err(|_| NotificationError::Unreadable)?;
        Ok(envelope.hint().into_iter().collect())
    }

    fn vault(&self) -> Option<&dyn Vault> {
        Some(self)
    }
}

impl Telness {
    /// Reads the attempt's session, link or profile session.
    async fn read(&self, ctx: &Ctx<'_>, attempt: &Attempt, kind: Kind) -> Result<Opened> {
        let path = format!("{}/{}", kind.path(), encoded(attempt.their_id()?));
        self.send(ctx, Call::get(path)).await
    }

    /// Cancels it. An answer that shows the object is believed; one that does not is followed by a read.
    async fn close(&self, ctx: &Ctx<'_>, attempt: &Attempt, kind: Kind) -> Result<Opened> {
        let path = format!("{}/{}/cancel", kind.path(), encoded(attempt.their_id()?));
        let reply = self.answer(ctx, keyed(attempt, "cancel", &path, NOTHING_TO_SAY)).await?;
        match understood(&reply, false) {
            Err(_) if reply.ok() => self.read(ctx, attempt, kind).await,
            done => done,
        }
    }

    /// A write whose repeats the provider recognises.
    async fn post<T: DeserializeOwned>(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        step: &str,
        path: &str,
        body: &str,
    ) -> Result<T> {
        self.send(ctx, keyed(attempt, step, path, body)).await
    }

    async fn send<T: DeserializeOwned>(&self, ctx: &Ctx<'_>, call: Call) -> Result<T> {
        let reads_only = call.reads_only;
        understood(&self.answer(ctx, call).await?, reads_only)
    }

    /// Whatever answer comes.
    async fn answer(&self, ctx: &Ctx<'_>, call: Call) -> Result<Reply> {
        ctx.send_raw(call.header_secret("X-Api-Key", &self.api_key)).await
    }
}

/// An answer's content, or what its refusal proves.
fn understood<T: DeserializeOwned>(reply: &Reply, reads_only: bool) -> Result<T> {
    if !reply.ok() {
        return Err(wire::refusal(reply, reads_only));
    }
    reply.json().map_err(|why| Ctx::unreadable(reads_only, why))
}

/// The same attempt, step and body make the same bytes, which is what Connect compares for 24 hours
/// (idempotency page).
fn keyed(attempt: &Attempt, step: &str, path: &str, body: &str) -> Call {
    Call::post(path)
        .header("X-Idempotency-Key", format!("{}.{step}", attempt.id))
        .json_bytes(body.as_bytes().to_vec())
}

/// Sessions and links state no amounts and no reasons. Their `updatedAt` is not taken as the time of the state:
/// nobody says that every change of the state moves it.
fn snapshot(kind: Kind, shown: &Opened) -> Snapshot {
    Snapshot {
        word: StatusWord::new(kind.section(), &shown.status),
        ours: shown.ours(),
        ..Snapshot::default()
    }
}
