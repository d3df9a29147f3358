//! A provider's notification, with and without a proof that it is genuine, at every adapter.
//!
//! The input is headers, an empty line and the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use paymux_testkit::{ALL, Operation, World, setting_value};
use port::{About, Notification, NotificationAuth, NotificationError, NotificationTarget, Provider, sign};

use super::message::{head_and_body, headers};

type Headers = Vec<(String, String)>;

/// No adapter panics or takes what is not proven; what it takes, it reads the same way twice, and what it reads out
/// of it is no longer than it was.
pub fn notifications(input: &[u8]) {
    let (head, body) = head_and_body(input);
    let sent = headers(head.lines());
    for about in ALL {
        let world = World::usual(Operation::Notification);
        let provider = world.provider(about);
        let read = |headers: &Headers, body: &[u8], address_key| {
            take(&*provider, &Notification { headers, body, received_at: world.now, address_key })
        };
        let foreign = without_secrets(about, &sent);
        let name = about.name;
        assert_eq!(
            read(&foreign, body, false),
            Err(NotificationError::Unverified),
            "{name} takes a stranger's"
        );
        let proven = with_proofs(&sent, world.now.seconds(), body);
        let taken = read(&proven, body, true);
        assert_ne!(taken, Err(NotificationError::Unverified), "{name} refuses a genuine one");
        if about.capabilities.notification_auth == NotificationAuth::Signed {
            let changed = [body, b" "].concat();
            assert_eq!(
                read(&proven, &changed, true),
                Err(NotificationError::Unverified),
                "{name} takes a changed one"
            );
        }
        let room = input.len() + proven.iter().map(|(_, value)| value.len()).sum::<usize>();
        for target in taken.into_iter().flatten() {
            let texts = [&target.reference, &target.merchant_reference, &target.event].into_iter().flatten();
            assert!(texts.map(String::len).sum::<usize>() <= room, "{name} says more than it was told");
        }
    }
}

fn take(
    provider: &dyn Provider,
    note: &Notification<'_>,
) -> Result<Vec<NotificationTarget>, NotificationError> {
    let targets = provider.read_notification(note);
    assert_eq!(provider.read_notification(note), targets, "read twice");
    if let Ok(targets) = &targets {
        assert!(targets.len() <= note.body.len(), "more hints than bytes");
        let kept = serde_json::to_string(targets).expect("hints can be kept");
        // The status is not kept.
        let read: Vec<NotificationTarget> = serde_json::from_str(&kept).expect("what is kept can be read");
        assert_eq!(serde_json::to_string(&read).ok().as_ref(), Some(&kept));
    }
    targets
}

/// The headers that hold none of the account's secrets.
fn without_secrets(about: &About, sent: &Headers) -> Headers {
    let secrets: Vec<String> = about.settings.iter().map(|setting| setting_value(setting.key)).collect();
    let harmless = |(_, value): &&(String, String)| !secrets.iter().any(|secret| value.contains(secret));
    sent.iter().filter(harmless).cloned().collect()
}

/// The headers with what any of the providers would prove itself by.
fn with_proofs(sent: &Headers, now: i64, body: &[u8]) -> Headers {
    let given = |name: &str| sent.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (id, at) = (given("message-id").unwrap_or("msg_1").to_owned(), now.to_string());
    let key = STANDARD.decode(setting_value("webhook_secret")).expect("a setting's value is base64");
    let mac = sign::hmac_sha256(&key, &[id.as_bytes(), b".", at.as_bytes(), b".", body]);
    let proofs = [
        ("x-api-key", setting_value("webhook_key")),
        ("message-id", id),
        ("message-timestamp", at),
        ("message-signature", format!("v1,{}", STANDARD.encode(mac))),
    ];
    let others = sent.iter().filter(|(name, _)| !proofs.iter().any(|(known, _)| known == name)).cloned();
    let proofs = proofs.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    others.chain(proofs).collect()
}
