//! Reads `accounts.toml` and validates each account against its adapter's settings.

use std::fmt;
use std::path::Path;

use port::{About, AdapterSettings, Secret, SettingsError};
use url::{Host, Url};

use super::document::{Document, Section};
use super::environment::{Environment, is_reference};
use super::error::{ConfigErrors, did_you_mean};
use super::load::is_name;
use super::setting::{Declared, Described, Setting, described, settings};

/// One account at one provider.
#[derive(Clone)]
pub struct AccountConfig {
    /// Its name: in routing, in the API, in metrics, in the address of its notifications.
    pub name: String,
    /// Its adapter.
    pub about: &'static About,
    /// Where the provider is called; no slash at the end.
    pub base_url: String,
    /// Whether its payments are tests.
    pub test: bool,
    /// The key in the address of its notifications, where the provider does not sign them.
    pub notify_key: Option<Secret>,
    /// The read limit: reads per second, on average.
    pub reads_per_second: u32,
    /// For how many days a paid payment is fetched daily, where the provider does not notify of refunds and disputes.
    pub poll_after_capture_days: u32,
    /// The settings of its adapter.
    pub settings: AdapterSettings,
}

impl fmt::Debug for AccountConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.about.name)
    }
}

/// The most accounts; each adds time series to the metrics.
const MAX_ACCOUNTS: usize = 64;

settings! {
    /// The settings that every account has.
    struct CommonSettings {
        /// telness, paymennt or decta.
        provider: Option<String>;
        /// Only where the provider gave you another address than its usual one.
        base_url: Option<String>;
        /// Whether the account makes test payments; a live payment on it is never counted as paid,
        /// nor a test payment on a live account.
        test: bool;
        /// Whether it is an account of the sandbox, the only kind whose secrets may be in this file.
        sandbox: bool;
        /// For providers that do not sign: the last part of the address that you give to the provider,
        /// `https://your.gateway/webhooks/{account}/{notify_key}`; 16 characters at least.
        notify_key: Option<String>;
        /// How many reads of payments a second, on average.
        reads_per_second: u32 = 5, 1..=1_000;
        /// For how many days a paid payment is fetched daily; for accounts whose provider sends no notifications of
        /// refunds and disputes.
        poll_after_capture_days: u32 = 0, 0..=540;
    }
}

/// The fewest characters of what verifies notifications, the key in their address or a provider's shared secret: who can
/// guess it can forge them.
const MIN_NOTIFICATION_SECRET: usize = 16;

/// What accounts are validated against.
pub struct Providers<'a> {
    /// The adapters of this build.
    pub known: &'a [&'static About],
    /// Where `${NAME}` is looked up.
    pub environment: &'a Environment,
    /// Whether an account may have a loopback address.
    pub allow_private_addresses: bool,
}

impl AccountConfig {
    /// Reads every account of a file.
    pub fn load(path: &Path, providers: &Providers<'_>) -> Result<Vec<Self>, ConfigErrors> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|why| ConfigErrors::unreadable(&file, &why))?;
        Self::parse(&file, &text, providers)
    }

    /// Every setting of `accounts.toml` but those of the adapters, which [`About::settings`] lists.
    pub fn described() -> Vec<Setting> {
        described::<CommonSettings>("accounts.*")
    }

    /// The names of the accounts of a file, also of those that have errors. `None` if the file cannot be read.
    pub fn names(path: &Path) -> Option<Vec<String>> {
        let text = std::fs::read_to_string(path).ok()?;
        let document = Document::parse(&path.display().to_string(), &text).ok()?;
        let accounts = document.root().section("accounts")?;
        Some(accounts.sections().into_iter().map(|(name, _)| name.to_owned()).collect())
    }

    /// As [`AccountConfig::load`], with the text of the file.
    pub fn parse(file: &str, text: &str, providers: &Providers<'_>) -> Result<Vec<Self>, ConfigErrors> {
        let document = Document::parse(file, text)?;
        let root = document.root();
        root.only(&["accounts"]);
        let sections = root.section("accounts").map(|accounts| accounts.sections()).unwrap_or_default();
        match sections.len() {
            0 => root.fault("has no account"),
            many if many > MAX_ACCOUNTS => root.fault(&format!("names more than {MAX_ACCOUNTS} accounts")),
            _ => {}
        }
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let accounts = sections.iter().filter_map(|(name, section)| {
            let reader = Reader { section, providers, folder, common: section.settings() };
            let before = document.errors_so_far();
            let account = reader.account(name)?;
            if document.errors_so_far() == before {
                reader.try_to_build(&account);
            }
            Some(account)
        });
        let accounts = accounts.collect();
        drop(sections);
        drop(root);
        document.finish(accounts)
    }
}

/// Reads one account.
struct Reader<'a> {
    section: &'a Section<'a>,
    providers: &'a Providers<'a>,
    folder: &'a Path,
    common: CommonSettings,
}

impl Reader<'_> {
    fn account(&self, name: &str) -> Option<AccountConfig> {
        if !is_name(name) {
            self.section.fault("must be named with small letters, digits, `-` and `_`, 40 at most");
        }
        let about = self.provider()?;
        let common = described::<CommonSettings>("");
        let own = about.settings.iter().map(|setting| setting.key);
        self.section.only(&common.iter().map(|setting| &*setting.key).chain(own).collect::<Vec<_>>());
        Some(AccountConfig {
            name: name.to_owned(),
            about,
            base_url: self.base_url(about.base_url),
            test: self.common.test,
            notify_key: self.notify_key(),
            reads_per_second: self.common.reads_per_second,
            poll_after_capture_days: self.common.poll_after_capture_days,
            settings: self.settings(about),
        })
    }

    fn provider(&self) -> Option<&'static About> {
        if !self.section.has("provider") {
            self.section.fault("`provider` is missing");
        }
        let wanted = self.common.provider.as_deref()?;
        let known = self.providers.known;
        let found = known.iter().find(|about| about.name == wanted).copied();
        if found.is_none() {
            let hint = did_you_mean(wanted, known.iter().map(|about| about.name));
            self.section.fault_at("provider", &format!("`{wanted}` is no provider of this build{hint}"));
        }
        found
    }

    fn settings(&self, about: &About) -> AdapterSettings {
        let mut values = Vec::new();
        for setting in about.settings {
            match self.resolve(setting.key, self.section.text(setting.key), setting.secret) {
                Some(value) => {
                    if setting.verifies && !value.is_empty() && value.len() < MIN_NOTIFICATION_SECRET {
                        self.section.fault_at(setting.key, &too_short());
                    }
                    values.push((setting.key.to_owned(), Secret::from(value)));
                }
                None if setting.required && !self.section.has(setting.key) => {
                    self.section.fault(&format!("`{}` is missing: {}", setting.key, setting.help));
                }
                None => {}
            }
        }
        AdapterSettings::new(values)
    }

    /// The text at `key` with its references resolved. A secret must be one reference and nothing else.
    fn resolve(&self, key: &str, text: Option<&str>, secret: bool) -> Option<String> {
        let text = text?;
        if secret && !self.common.sandbox && !is_reference(text) {
            let message =
                "is a secret: name it as \"${NAME}\" or \"file:/path\" and keep it out of this file";
            self.section.fault_at(key, message);
            return None;
        }
        let resolved = self.providers.environment.resolve(text, self.folder);
        let resolved = resolved.map_err(|why| self.section.fault_at(key, &why)).ok()?;
        if let Some(message) = left_over(&resolved) {
            self.section.fault_at(key, message);
            return None;
        }
        // No provider's key or address has another character, and no header can carry it.
        if !resolved.bytes().all(|byte| byte.is_ascii_graphic()) && (secret || key == "base_url") {
            let message = "has a blank, a control character or a letter that is not ASCII in it; check how it was copied";
            self.section.fault_at(key, message);
            return None;
        }
        if resolved.chars().any(char::is_control) {
            self.section.fault_at(key, "has a control character in it, such as a line end");
            return None;
        }
        Some(resolved)
    }

    fn notify_key(&self) -> Option<Secret> {
        let key = self.resolve("notify_key", self.common.notify_key.as_deref(), true)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if key.len() < MIN_NOTIFICATION_SECRET || !key.bytes().all(fits) {
            let message = format!(
                "is part of an address: {MIN_NOTIFICATION_SECRET} characters at least, letters, digits and `-_.~` only"
            );
            self.section.fault_at("notify_key", &message);
        }
        Some(Secret::from(key))
    }

    fn base_url(&self, usual: &str) -> String {
        let given = self.common.base_url.as_deref();
        let Some(text) = self.resolve("base_url", given, false) else { return usual.to_owned() };
        let private = self.providers.allow_private_addresses;
        let complaint = match Url::parse(&text) {
            Err(_) => Some("is not an address"),
            Ok(url) if url.query().is_some() || url.fragment().is_some() => Some("must end with its path"),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                Some("must not hold a user or a password")
            }
            Ok(url) if is_loopback(&url) => (!private)
                .then_some("is on this machine, which `outbound.allow_private_addresses` must allow"),
            Ok(url) if url.scheme() == "https" => None,
            Ok(_) => Some("must start with https://"),
        };
        if let Some(complaint) = complaint {
            self.section.fault_at("base_url", complaint);
        }
        text.trim_end_matches('/').to_owned()
    }

    /// Builds the adapter to validate its settings; the result is discarded.
    fn try_to_build(&self, account: &AccountConfig) {
        match (account.about.build)(&account.settings) {
            Ok(_) => {}
            Err(SettingsError::Missing(key)) => self.section.fault(&format!("`{key}` is missing")),
            Err(SettingsError::Invalid(key, why)) => self.section.fault_at(key, why),
        }
    }
}

fn too_short() -> String {
    format!(
        "verifies notifications, so nobody may guess it: {MIN_NOTIFICATION_SECRET} characters at least; copy it whole, \
         or have the provider make a longer one"
    )
}

/// What a tool has left in a value that it should have replaced or taken away. No value of any setting has either.
fn left_over(value: &str) -> Option<&'static str> {
    if value.contains("${") {
        return Some(
            "is still a `${NAME}` and not its value: set the variable itself, or fill it in before the start",
        );
    }
    let quoted = value.starts_with(['"', '\'']) || value.ends_with(['"', '\'']);
    quoted.then_some("is in quotes, which belong to no value: take them away in the environment or the file")
}

fn is_loopback(url: &Url) -> bool {
    let web = matches!(url.scheme(), "http" | "https");
    web && match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
