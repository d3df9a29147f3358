//! `paymux demo`: the gateway and a sandbox of three providers, in one process.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use port::{Approach, CaptureMode, ExposeSecret as _, HttpRequest, LinkDelivery, Method, Transport};

use super::build::{BuildError, Plan, is_new, names, open_engine, provider_transport};
use super::cli::DemoArgs;
use super::{keys, serve};
use crate::config::{
    self, AccountConfig, ConfigErrors, DEMO_ROUTING, Environment, Merchant, Providers, SANDBOX_ACCOUNTS,
    Settings,
};
use crate::domain::{Actor, LineItem, Metadata, Outcome, PersonalData, Requirement, ReturnUrls, TaxRate};
use crate::engine::{Command, Engine};
use crate::metrics::Metrics;
use crate::orders::{NewOrder, Orders};
use crate::payments::{CheckoutRequest, PaymentError};
use crate::routing::Rules;
use crate::store::StoreError;

/// The one API key of the demo. It is no secret, so the demo listens on loopback only, and a database that has it, revoked
/// or not, is a demo's and nothing else's.
const KEY: &str = "pmx_test_demo";

const MERCHANT: &str = "demo";

/// Runs the demo until a stop signal.
pub(super) async fn run(args: &DemoArgs, metrics: Arc<Metrics>) -> Result<ExitCode, BuildError> {
    for address in [args.listen, args.ops_listen] {
        if !address.ip().is_loopback() && !args.allow_remote {
            let why = "the demo's API key is no secret, so it listens on loopback only";
            return Err(format!("{why}, not on {address}; --allow-remote overrides").into());
        }
    }
    // Locks the folder before anything in it is touched.
    let engine = open(args, metrics).await?;
    let (sandbox, sandbox_url) = match &args.sandbox {
        Some(url) => (None, url.trim_end_matches('/').to_owned()),
        None => {
            let running = paymux_sandbox::serve(paymux_sandbox::Options {
                listen: args.sandbox_listen,
                directory: Some(args.data_dir.join("sandbox")),
                ..paymux_sandbox::Options::default()
            })
            .await?;
            let url = format!("http://{}", running.address());
            (Some(running), url)
        }
    };
    let plan = plan(args, &sandbox_url)?;
    let accounts = plan.accounts.clone();
    let transport = provider_transport(&plan.settings.outbound)?;
    let gateway = serve::start(plan, engine).await?;
    let (url, orders) = (gateway.url(), gateway.orders());
    subscribe(&*transport, &accounts, &sandbox_url, &url).await?;
    let link = ready_link(orders).await;
    print_banner(&gateway, &sandbox_url, link.as_deref());
    gateway.until_stopped().await?;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// The hash of the demo's key, which only a demo's database has.
pub(super) fn key_hash() -> String {
    keys::hash(KEY)
}

/// Whether a database is a demo's.
pub(super) async fn owns(engine: &Engine) -> Result<bool, StoreError> {
    Ok(engine.store.api_key(&key_hash()).await?.is_some())
}

/// Why a database that is a demo's is not used for anything else.
pub(super) fn refusal(database: &Path) -> String {
    format!(
        "{} is the database of `paymux demo`, whose API key is public; name another file in `store.path`",
        database.display()
    )
}

/// Opens the demo's database and adds its key.
///
/// # Errors
/// Also if it is the database of a gateway that is no demo.
async fn open(args: &DemoArgs, metrics: Arc<Metrics>) -> Result<Engine, BuildError> {
    let path = database(args);
    let engine = open_engine(&config::Store { path: path.clone(), ..config::Store::default() }, metrics)?;
    if !owns(&engine).await? && !is_new(&engine).await? {
        let why = "is not a demo's database; name another folder by --data-dir";
        return Err(format!("{} {why}", path.display()).into());
    }
    keys::put(&engine, KEY, MERCHANT, &["payments", "finance", "ops"]).await?;
    Ok(engine)
}

fn database(args: &DemoArgs) -> PathBuf {
    args.data_dir.join("paymux.db")
}

fn plan(args: &DemoArgs, sandbox_url: &str) -> Result<Plan, ConfigErrors> {
    let mut settings = Settings::default();
    settings.server.listen = args.listen;
    settings.server.ops_listen = args.ops_listen;
    settings.server.drain_s = 0;
    settings.server.public_url = format!("http://{}", args.listen);
    settings.store.path = database(args);
    settings.outbound.allow_private_addresses = true;
    settings.webhooks.allow_private_addresses = true;
    let demo = Merchant { unpaid_orders: true, ..settings.merchant(MERCHANT) };
    settings.merchants.insert(MERCHANT.to_owned(), demo);
    let environment = Environment::default().with("PAYMUX_SANDBOX_URL", sandbox_url);
    let providers =
        Providers { known: paymux_providers::ALL, environment: &environment, allow_private_addresses: true };
    let accounts = AccountConfig::parse("config/sandbox.toml", SANDBOX_ACCOUNTS, &providers)?;
    let rules = rules(args.routing.as_deref(), &names(&accounts))?;
    Ok(Plan { settings, accounts, rules })
}

fn rules(file: Option<&Path>, accounts: &[&str]) -> Result<Rules, ConfigErrors> {
    let usual = Path::new("config/routing.toml");
    match file.or(usual.exists().then_some(usual)) {
        Some(file) => Rules::load(file, accounts),
        None => Rules::parse("the built-in routing", DEMO_ROUTING, accounts),
    }
}

/// Subscribes to each provider's notifications at the sandbox, as one would in a provider's portal.
async fn subscribe(
    transport: &dyn Transport,
    accounts: &[AccountConfig],
    sandbox_url: &str,
    url: &str,
) -> Result<(), BuildError> {
    for account in accounts {
        let key =
            account.notify_key.as_ref().map(|key| format!("/{}", key.expose_secret())).unwrap_or_default();
        let secrets = ["webhook_secret", "webhook_key"].map(|name| account.settings.text(name));
        let secret = secrets.into_iter().flatten().next();
        let secret = secret.or_else(|| Some(account.notify_key.as_ref()?.expose_secret().to_owned()));
        let body = serde_json::json!({
            "provider": account.about.name,
            "url": format!("{url}/webhooks/{}{key}", account.name),
            "secret": secret.unwrap_or_default(),
        });
        let call = HttpRequest::new(Method::Put, "/control/subscriptions".to_owned())
            .json_bytes(body.to_string().into_bytes());
        let answer = transport.send(sandbox_url, &call).await;
        if !answer.is_ok_and(|response| response.ok()) {
            return Err(format!("there is no sandbox at {sandbox_url}").into());
        }
    }
    Ok(())
}

/// A payment link to click. The demo runs without one if it cannot be created.
async fn ready_link(orders: &Orders) -> Option<String> {
    let outcome = match create_and_checkout(orders).await {
        Ok(outcome) => outcome,
        Err(fault) => {
            tracing::warn!("the ready payment link could not be created: {fault}");
            return None;
        }
    };
    let session = outcome.order.session(outcome.session?)?;
    match outcome.order.attempt(session.attempt)?.next.as_ref()?.value()? {
        port::Next::Page(url) => Some(url.clone()),
        port::Next::Widget(_) | port::Next::Nothing => None,
    }
}

async fn create_and_checkout(orders: &Orders) -> Result<Outcome, PaymentError> {
    let item = LineItem {
        id: port::ItemId::from_uuid(orders.payments.engine.env.uuid()),
        sku: None,
        title: "A paymux mug".to_owned(),
        quantity: 1,
        unit_price: 1_999,
        tax_rate: TaxRate::zero(),
        discount: 0,
        recurring: None,
    };
    let mut personal = PersonalData::default();
    personal.customer.email = Some("ann@example.test".to_owned());
    let new = NewOrder {
        reference: None,
        currency: "EUR".parse().expect("EUR is a currency"),
        items: vec![item],
        shipping: 0,
        tax_included: false,
        requires_signing: Requirement::NotRequired,
        requires_approval: false,
        payment_optional: false,
        profile_required: false,
        auto_submit: true,
        personal,
        idle_seconds: 7 * 24 * 3_600,
    };
    let request = CheckoutRequest {
        approach: Approach::Link,
        capture: CaptureMode::Automatic,
        return_urls: ReturnUrls::default(),
        link_delivery: LinkDelivery::default(),
        expires_in: Duration::from_secs(7 * 24 * 3_600),
        language: None,
        payment_methods: Vec::new(),
        max_attempts: None,
        save_payment_profile: None,
        payment_profile_id: None,
        charge: false,
        account: None,
        metadata: Metadata::new(),
    };
    orders.create_and_checkout(MERCHANT, &Command::of(Actor::Merchant), new, &request).await
}

fn print_banner(gateway: &serve::Gateway, sandbox_url: &str, link: Option<&str>) {
    let (url, ops) = (gateway.url(), gateway.ops_url());
    println!(
        "\npaymux demo\n\n  API       {url}   (key {KEY})\n  metrics   {ops}/metrics\n  sandbox   {sandbox_url}\n\n\
         Open a checkout:\n\n  curl -s {url}/v1/checkouts -H 'Authorization: Bearer {KEY}' \\\n    \
         -H 'Content-Type: application/json' \\\n    -d '{}'\n",
        example(sandbox_url)
    );
    if let Some(link) = link {
        println!("Or pay one that is ready, in a browser:\n\n  {link}\n");
    }
    println!("Test card 4242 4242 4242 4242, 12/25, CVV 100, TEST USER. Ctrl-C stops; the data stays.\n");
}

/// The body of the curl line: pasted as it is, it opens a hosted checkout, which ends on the sandbox's shop pages.
fn example(sandbox_url: &str) -> String {
    let page = |name: &str| format!("{sandbox_url}/demo/{name}");
    serde_json::json!({
        "order": {
            "currency": "EUR",
            "customer": {"email": "ann@example.test"},
            "items": [{"title": "Mug", "quantity": 1, "unitPrice": 1_999}],
        },
        "checkout": {
            "approach": "HOSTED",
            "returnUrls": {"success": page("thanks"), "inProgress": page("wait"), "failure": page("sorry")},
        },
    })
    .to_string()
}
