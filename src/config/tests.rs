use port::{About, Approach, Capabilities, Setting, SettingsError};

use super::*;

const PAYMUX_TOML: &str = include_str!("../../config/paymux.toml");

fn read(text: &str, environment: &Environment) -> Result<Settings, ConfigErrors> {
    Settings::read("paymux.toml", text, environment).and_then(|(settings, faults)| faults.or(settings))
}

fn faults_of(text: &str) -> Vec<String> {
    let faults = read(text, &Environment::default()).unwrap_err();
    faults.0.iter().map(ConfigError::to_string).collect()
}

/// The file with its commented-out settings switched on: those that follow their `#` without a blank.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn keys(prefix: &str, value: &toml::Value) -> Vec<String> {
    match value {
        toml::Value::Table(table) => {
            table.iter().flat_map(|(key, value)| keys(&format!("{prefix}.{key}"), value)).collect()
        }
        _ => vec![prefix.to_owned()],
    }
}

#[test]
fn the_annotated_file_names_every_setting_with_its_default() {
    let defaults = Settings::default();
    assert_eq!(read(PAYMUX_TOML, &Environment::default()), Ok(defaults.clone()));
    let in_file: toml::Value = toml::from_str(PAYMUX_TOML).unwrap();
    let in_code = toml::Value::try_from(&defaults).unwrap();
    assert_eq!(keys("", &in_file), keys("", &in_code));
}

#[test]
fn the_commented_merchant_in_the_annotated_file_names_every_setting_of_a_merchant() {
    let text = uncommented(PAYMUX_TOML);
    let merchant = read(&text, &Environment::default()).unwrap().merchant("shop");
    assert_eq!(merchant.policy.late_payment, PolicyAction::Refund);
    let in_file: toml::Value = toml::from_str(&text).unwrap();
    let in_code = toml::Value::try_from(merchant).unwrap();
    assert_eq!(keys("", &in_file["merchants"]["shop"]), keys("", &in_code));
}

#[test]
fn the_environment_wins_over_the_file() {
    let text = "[store]\nqueue = 5\nbatch = 6\n[server]\nworkers = 7\n[logs]\nformat = \"json\"";
    let environment = Environment::default()
        .with("PAYMUX__STORE__BATCH", "60")
        .with("PAYMUX__SERVER__WORKERS", "70")
        .with("PAYMUX__OUTBOUND__ALLOW_PRIVATE_ADDRESSES", "true")
        .with("PAYMUX_CRASH_AT", "none of ours");
    let settings = read(text, &environment).unwrap();
    assert_eq!((settings.store.queue, settings.store.batch, settings.server.workers), (5, 60, 70));
    assert!(settings.outbound.allow_private_addresses);
    assert_eq!(settings.logs.format, LogFormat::Json);
    assert_eq!(settings.orders, Orders::default());
}

#[test]
fn a_variable_that_lacks_an_underscore_is_a_fault_and_any_other_is_not() {
    let faults = |name: &str| {
        let read = read("", &Environment::default().with(name, "x"));
        read.err().map(|faults| faults.to_string())
    };
    for (name, meant) in [
        ("PAYMUX_LOGS_LEVEL", "PAYMUX__LOGS__LEVEL"),
        ("PAYMUX_LOGS__LEVEL", "PAYMUX__LOGS__LEVEL"),
        ("PAYMUX_SERVER_OPS_LISTEN", "PAYMUX__SERVER__OPS_LISTEN"),
        ("PAYMUX_MERCHANTS_SHOP_2_AUTO_SUBMIT", "PAYMUX__MERCHANTS__SHOP_2__AUTO_SUBMIT"),
        ("PAYMUX_MERCHANTS_SHOP_POLICY_LATE_PAYMENT", "PAYMUX__MERCHANTS__SHOP__POLICY__LATE_PAYMENT"),
    ] {
        let expected = format!("environment: {name}: is not read; did you mean `{meant}`?");
        assert_eq!(faults(name), Some(expected));
    }
    for name in
        ["PAYMUX_CRASH_AT", "PAYMUX_LOGS", "PAYMUX_PORT", "PAYMUX_SERVER_PORT", "PAYMUX", "LOGS_LEVEL"]
    {
        assert_eq!(faults(name), None, "{name}");
    }
}

#[test]
fn the_database_has_to_be_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let of = |path: &str| faults_of(&format!("[store]\npath = {path:?}"));
    assert_eq!(of(""), ["paymux.toml:2: store.path: must name a file"]);
    for path in [folder, "data/", "."] {
        assert_eq!(of(path), ["paymux.toml:2: store.path: must name a file, not a folder"]);
    }
    let variable = Environment::default().with("PAYMUX__STORE__PATH", "");
    assert!(read("", &variable).unwrap_err().to_string().contains("PAYMUX__STORE__PATH: must name a file"));
}

#[test]
fn a_merchant_starts_from_the_common_policy() {
    let text = "[policy]\nlate_payment = \"refund\"\n\
                [merchants.shop]\nauto_submit = false\n\
                [merchants.kiosk.policy]\nlate_payment = \"hold\"\nduplicate_payment = \"refund\"";
    let environment = Environment::default().with("PAYMUX__MERCHANTS__SHOP__REQUIRES_SIGNING", "REQUIRED");
    let settings = read(text, &environment).unwrap();
    let (shop, kiosk, other) =
        (settings.merchant("shop"), settings.merchant("kiosk"), settings.merchant("other"));
    assert_eq!((shop.auto_submit, shop.requires_signing), (false, RequirementSetting::Required));
    assert_eq!(shop.policy, settings.policy);
    assert_eq!((kiosk.auto_submit, kiosk.policy.late_payment), (true, PolicyAction::Hold));
    assert_eq!(kiosk.policy.duplicate_payment, PolicyAction::Refund);
    assert_eq!(other, Merchant { policy: settings.policy, ..Merchant::default() });
}

#[test]
fn every_fault_of_the_settings_is_told_at_once_with_its_line() {
    let text = "[server]\nlisten = 5\nlistn = \"x\"\nworkers = 1000\npublic_url = \"shop.example\"\n\n\
                [policy]\nlate_payment = \"keep\"\n[store]\nqueue = \"many\"\nbatch = 1.5\n\
                [merchants.Shop]\nauto_submit = true\n[merchants.shop]\nauto_sumbit = true\n[lgos]\nlevel = \"info\"\n\
                [logs.level]\nx = 1";
    let faults = faults_of(text);
    let expected = [
        ":2: server.listen: must be an IP address with its port, such as \"127.0.0.1:8080\"",
        ":3: server.listn: is not a known key; did you mean `server.listen`?",
        ":4: server.workers: must be a whole number from 0 to 256",
        ":5: server.public_url: must be an http or https address",
        ":8: policy.late_payment: must be \"hold\" or \"refund\"",
        ":10: store.queue: must be a whole number from 1 to 65536",
        ":11: store.batch: must be a whole number from 1 to 1024",
        ":13: merchants.Shop.auto_submit: a merchant's name has small letters",
        ":15: merchants.shop.auto_sumbit: is not a known key of merchant `shop`; did you mean `auto_submit`?",
        ":17: lgos.level: is not a known key; did you mean `logs.level`?",
        ":19: logs.level.x: is not a known key; did you mean `logs.level`?",
    ];
    for wanted in expected {
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{wanted} is not in {faults:#?}");
    }
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
}

#[test]
fn faults_outside_the_file_are_told_by_their_own_name() {
    let environment = Environment::default()
        .with("PAYMUX__SERVER__LISTN", "127.0.0.1:1")
        .with("PAYMUX__SERVER__WORKERS", "two")
        .with("PAYMUX__STORE", "x");
    let faults = read("", &environment).unwrap_err();
    let faults: Vec<_> = faults.0.iter().map(ConfigError::to_string).collect();
    assert_eq!(
        faults[0],
        "environment: PAYMUX__SERVER__LISTN: is not a known key; did you mean `server.listen`?"
    );
    assert_eq!(faults[1], "environment: PAYMUX__SERVER__WORKERS: must be a whole number from 0 to 256");
    assert_eq!(faults[2], "environment: PAYMUX__STORE: must be a table");
}

#[test]
fn settings_that_contradict_each_other_are_told_where_one_of_them_is_given() {
    assert_eq!(
        faults_of("[outbound]\ntimeout_ms = 5000\n[server]\nops_listen = \"127.0.0.1:8080\""),
        [
            "paymux.toml:4: server.ops_listen: `server.listen` and `server.ops_listen` are the same",
            "paymux.toml:2: outbound.timeout_ms: `outbound.read_timeout_ms` is longer than `outbound.timeout_ms`",
        ]
    );
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let faults = faults_of("[server]\nworkers = \nlisten = \"127.0.0.1:1\"\nqueue == 3\n");
    assert!(faults.iter().any(|fault| fault.starts_with("paymux.toml:2: ")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.starts_with("paymux.toml:4: ")), "{faults:?}");
    assert!(faults_of("workers = 1\nworkers = 2")[0].starts_with("paymux.toml:2: duplicate key"));
}

#[test]
fn a_file_that_is_not_there_is_a_fault() {
    let missing = std::path::Path::new("no/such/paymux.toml");
    let faults = Settings::load(Some(missing), &Environment::default()).unwrap_err();
    assert!(faults.to_string().starts_with("no/such/paymux.toml: cannot be read"));
    assert_eq!(Settings::load(None, &Environment::default()), Ok(Settings::default()));
}

static ACME: About = About {
    name: "acme",
    title: "Acme",
    base_url: "https://api.acme.example/v1",
    capabilities: Capabilities { approaches: &[Approach::Hosted], ..Capabilities::NONE },
    settings: &[
        Setting::secret("api_key", "from the portal"),
        Setting::notification_secret("shared_key", "of the notifications"),
        Setting::optional_text("branch", "which branch"),
    ],
    statuses: "",
    build: |_| Err(SettingsError::Invalid("branch", "is not a branch")),
};

fn accounts(text: &str, allow_private_addresses: bool) -> Result<Vec<AccountConfig>, ConfigErrors> {
    let environment = Environment::default().with("ACME_KEY", "k-1").with("NOTIFY", "0123456789abcdef");
    let known: &[&'static About] = &[&ACME];
    AccountConfig::parse(
        "accounts.toml",
        text,
        &Providers { known, environment: &environment, allow_private_addresses },
    )
}

fn faults_with(text: &str, environment: &Environment) -> Vec<String> {
    let known: &[&'static About] = &[&ACME];
    let providers = Providers { known, environment, allow_private_addresses: false };
    let faults = AccountConfig::parse("accounts.toml", text, &providers).unwrap_err();
    faults.0.iter().map(ConfigError::to_string).collect()
}

fn account_faults(text: &str) -> Vec<String> {
    accounts(text, false).unwrap_err().0.iter().map(ConfigError::to_string).collect()
}

#[test]
fn every_fault_of_the_accounts_is_told_at_once_with_its_line() {
    let text = "[accounts.one]\nprovider = \"acmee\"\n\
                [accounts.two]\nprovider = \"acme\"\napi_key = \"sk_live_1\"\nbrnch = \"x\"\nnotify_key = \"short\"\n\
                [accounts.three]\nprovider = \"acme\"\ntest = \"yes\"\nreads_per_second = 0\n\
                base_url = \"http://api.acme.example\"\n\
                [accounts.four]\nprovider = \"acme\"\napi_key = \"${NOT_SET}\"\nbase_url = \"http://127.0.0.1:1\"\n\
                [accounts.\"Five!\"]\n[acounts]\n";
    assert_eq!(
        account_faults(text),
        [
            "accounts.toml:2: accounts.one.provider: `acmee` is no provider of this build; did you mean `acme`?",
            "accounts.toml:5: accounts.two.api_key: is a secret: name it as \"${NAME}\" or \"file:/path\" and keep it \
             out of this file",
            "accounts.toml:6: accounts.two.brnch: is not a known key; did you mean `branch`?",
            "accounts.toml:7: accounts.two.notify_key: is a secret: name it as \"${NAME}\" or \"file:/path\" and keep \
             it out of this file",
            "accounts.toml:8: accounts.three: `api_key` is missing: from the portal",
            "accounts.toml:10: accounts.three.test: must be true or false",
            "accounts.toml:11: accounts.three.reads_per_second: must be a whole number from 1 to 1000",
            "accounts.toml:12: accounts.three.base_url: must start with https://",
            "accounts.toml:15: accounts.four.api_key: the environment has no `NOT_SET`",
            "accounts.toml:16: accounts.four.base_url: is on this machine, which `outbound.allow_private_addresses` \
             must allow",
            "accounts.toml:17: accounts.Five!: must be named with small letters, digits, `-` and `_`, 40 at most",
            "accounts.toml:17: accounts.Five!: `provider` is missing",
            "accounts.toml:18: acounts: is not a known key; did you mean `accounts`?",
        ]
    );
}

#[test]
fn an_adapter_has_the_last_word_on_its_settings() {
    let text = "[accounts.one]\nprovider = \"acme\"\napi_key = \"${ACME_KEY}\"\nbranch = \"x\"";
    assert_eq!(account_faults(text), ["accounts.toml:4: accounts.one.branch: is not a branch"]);
}

#[test]
fn a_file_without_accounts_is_refused() {
    assert_eq!(account_faults("# nothing"), ["accounts.toml:1: has no account"]);
}

#[test]
fn base_urls_must_be_safe_to_send_secrets_to() {
    let table = [
        ("https://api.acme.example/v1/", true),
        ("http://127.0.0.1:8090/x", true),
        ("http://[::1]:8090", true),
        ("http://localhost:8090", true),
        ("http://127.1:8090", true),
        ("ftp://127.0.0.1/", false),
        ("http://10.0.0.1/", false),
        ("https://api.acme.example/?key=1", false),
        ("https://user:word@api.acme.example/", false),
        ("api.acme.example", false),
        ("", false),
    ];
    for (url, fine) in table {
        let text = format!(
            "[accounts.one]\nprovider = \"acme\"\napi_key = \"${{ACME_KEY}}\"\nbranch = \"x\"\nbase_url = \"{url}\""
        );
        let faults = accounts(&text, true).unwrap_err();
        let complaint = faults.0.iter().find(|fault| fault.key.ends_with("base_url"));
        assert_eq!(complaint.is_none(), fine, "{url}: {complaint:?}");
    }
}

#[test]
fn a_secret_that_no_provider_can_have_given_is_refused_with_its_line_and_not_shown() {
    let text = "[accounts.one]\nprovider = \"acme\"\nbranch = \"x\"\napi_key = \"${KEY}\"\nnotify_key = \"${KEY}\"\n";
    for secret in
        ["half-\n-secret-half", "half-\u{feff}-secret-half", "half-\u{e5}-secret-half", "half- -secret-half"]
    {
        let environment = Environment::default().with("KEY", secret);
        let known: &[&'static About] = &[&ACME];
        let providers = Providers { known, environment: &environment, allow_private_addresses: false };
        let faults = AccountConfig::parse("accounts.toml", text, &providers).unwrap_err().to_string();
        for setting in [":4: accounts.one.api_key: has a blank", ":5: accounts.one.notify_key: has a blank"] {
            assert!(faults.contains(setting), "{secret:?}: {faults}");
        }
        assert!(!faults.contains("half"), "{faults}");
    }
}

#[test]
fn a_value_as_some_tool_left_it_is_refused_and_not_shown() {
    let text = "[accounts.one]\nprovider = \"acme\"\napi_key = \"${KEY}\"\nnotify_key = \"${KEY}\"\nbranch = \"${KEY}\"\n";
    let table = [
        ("\"sk_test_0123456789\"", "is in quotes"),
        ("'sk_test_0123456789'", "is in quotes"),
        ("\"sk_test_0123456789", "is in quotes"),
        ("sk_test_0123456789'", "is in quotes"),
        ("${SK_TEST_0123456789}", "is still a `${NAME}`"),
        ("sk_test_${REST}0123456789", "is still a `${NAME}`"),
    ];
    for (value, complaint) in table {
        let faults = faults_with(text, &Environment::default().with("KEY", value));
        assert_eq!(faults.len(), 3, "{value}: {faults:?}");
        for (line, key) in [(3, "api_key"), (4, "notify_key"), (5, "branch")] {
            let expected = format!("accounts.toml:{line}: accounts.one.{key}: {complaint}");
            assert!(faults.iter().any(|fault| fault.starts_with(&expected)), "{value}: {faults:?}");
        }
        assert!(!faults.concat().to_ascii_lowercase().contains("sk_test"), "{faults:?}");
    }
}

#[test]
fn what_verifies_notifications_must_be_too_long_to_guess() {
    let text = "[accounts.one]\nprovider = \"acme\"\napi_key = \"${SHORT}\"\nshared_key = \"${SHORT}\"\n\
                notify_key = \"${SHORT}\"\n";
    let faults = |value| faults_with(text, &Environment::default().with("SHORT", value)).join("\n");
    for short in ["k", "0123456789abcde"] {
        let faults = faults(short);
        for setting in [":4: accounts.one.shared_key: verifies", ":5: accounts.one.notify_key: is part"] {
            assert!(faults.contains(setting) && faults.contains("16 characters at least"), "{faults}");
        }
        assert!(!faults.contains("api_key"), "{faults}");
    }
    assert_eq!(faults("0123456789abcdef"), "accounts.toml:1: accounts.one.branch: is not a branch");
}

#[test]
fn what_can_be_read_of_the_settings_is_set_although_something_else_is_wrong() {
    let text =
        "[outbound]\nallow_private_addresses = true\n[files]\naccounts = \"a.toml\"\n[store]\nqueue = 0\n";
    let environment = Environment::default().with("PAYMUX__SERVER__LISTN", "x");
    let (settings, faults) = Settings::read("paymux.toml", text, &environment).unwrap();
    assert_eq!(faults.0.len(), 2, "{faults}");
    assert!(settings.outbound.allow_private_addresses);
    assert_eq!(
        (settings.files.accounts.to_str(), settings.store),
        (Some("a.toml"), Settings::default().store)
    );
}

#[test]
fn a_public_address_has_no_password() {
    let faults = faults_of("[server]\npublic_url = \"https://user:word@shop.example\"");
    assert!(faults[0].starts_with("paymux.toml:2: ") && !faults[0].contains("word@"), "{faults:?}");
}

#[test]
fn a_literal_secret_is_taken_in_the_sandbox_and_never_printed() {
    let account = "[accounts.one]\nprovider = \"acme\"\nsandbox = true\napi_key = \"sk_literal\"\n";
    let faults = accounts(account, false).unwrap_err();
    assert_eq!(faults.to_string(), "accounts.toml:1: accounts.one.branch: is not a branch");
    let secret = format!("{account}notify_key = \"p/ssword-of-the-shop\"");
    let shown = format!("{:?}", accounts(&secret, false));
    assert!(shown.contains("is part of an address") && !shown.contains("ssword"), "{shown}");
}
