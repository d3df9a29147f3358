//! Where deliveries never go.

use super::receiver::Receiver;
use super::{Host, outbound, until_idle};

#[tokio::test]
async fn no_spelling_of_a_private_address_is_reached() {
    let host = Host::new();
    let receiver = Receiver::taking();
    let port = receiver.url.trim_end_matches("/hook").rsplit(':').next().unwrap().to_owned();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fc00::1]",
        // A name that leads to this machine.
        "localhost",
    ];
    let mut endpoints = Vec::new();
    for name in hosts {
        endpoints.push((name, host.endpoint(&format!("http://{name}:{port}/hook")).await.id));
    }
    host.create().await;
    let mut runner = host.runner_over(outbound(false));
    until_idle(&mut runner).await;
    for (name, endpoint) in endpoints {
        let tries = host.tries(endpoint).await;
        let said = tries.iter().map(|tried| (tried.delivered, tried.error.as_deref())).collect::<Vec<_>>();
        assert_eq!(said, [(false, Some("not sent: the address is private"))], "{name}");
    }
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let inside = Receiver::taking();
    for status in [301, 302, 303, 307, 308] {
        let host = Host::new();
        let location = format!("Location: {}\r\n", inside.url);
        let receiver = Receiver::start(move |_, _| (status, location.clone()));
        let endpoint = host.endpoint(&receiver.url).await;
        host.create().await;
        until_idle(&mut host.runner()).await;
        let tries = host.tries(endpoint.id).await;
        assert_eq!((tries.len(), tries[0].delivered, tries[0].response_code), (1, false, Some(status)));
    }
    assert_eq!(inside.count(), 0);
}
