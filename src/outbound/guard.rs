//! Refuses to connect to addresses that are not on the public internet (SSRF protection).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

pub(super) const PRIVATE: &str = "the address is private";

/// A DNS resolver that returns only public addresses.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(PRIVATE.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Refuses a URL whose host is a private address itself: such a host is never looked up. All spellings of an address
/// (`127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1`) are normalized when the URL is parsed.
pub(super) fn literal(url: &Url) -> Result<(), &'static str> {
    let fine = match url.host() {
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(_)) => true,
        None => false,
    };
    fine.then_some(()).ok_or(PRIVATE)
}

/// Whether an address may be on the public internet, by the special-purpose registries of IANA.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let this_network = a == 0;
    let carrier_nat = a == 100 && (64..128).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0);
    let relay_to_v6 = (a, b, c) == (192, 88, 99);
    let benchmarks = a == 198 && (b == 18 || b == 19);
    let multicast_or_reserved = a >= 224;
    !(this_network
        || carrier_nat
        || protocols
        || relay_to_v6
        || benchmarks
        || multicast_or_reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        // IPv4-mapped, and NAT64 by its well-known prefix: what counts is the address inside.
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        // IPv4-compatible (with it unspecified and loopback), and NAT64 by a prefix of one's own.
        [0, 0, 0, 0, 0, 0] | [0x64, 0xff9b, 1, ..] => false,
        // 6to4 carries an IPv4 address.
        [0x2002, high, low, ..] => v4(high, low),
        // Protocols (Teredo among them), benchmarks, ORCHID; documentation.
        [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] => false,
        // Only 2000::/3 is given out, its end for documentation: unique-local, link-local, site-local and multicast
        // addresses lie outside.
        [first, ..] => (0x2000..0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_let_through() {
        let refused = "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.0.1 169.254.169.254 \
                       172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 \
                       203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 \
                       :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 \
                       64:ff9b::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b:1::8.8.8.8 2002:7f00:1::1 2002:a00:1::1 \
                       2002:c0a8:101::1 2001::1 2001:10::1 2001:20::1 2001:db8::1 3fff::1 fc00::1 fd12::1 fe80::1 \
                       fec0::1 ff02::1 100::1 5f00::1";
        for address in refused.split_whitespace() {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        let fine = "1.1.1.1 8.8.8.8 100.63.0.1 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1 198.20.0.1 \
                    223.255.255.254 2606:4700::1111 2a00:1450::1 2001:4860:4860::8888 2002:808:808::1 \
                    ::ffff:8.8.8.8 64:ff9b::8.8.8.8";
        for address in fine.split_whitespace() {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_recognised() {
        let refused = [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http://[::1]/",
            "http://[0:0:0:0:0:ffff:7f00:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://user@10.0.0.1:8080/",
        ];
        for text in refused {
            assert_eq!(literal(&Url::parse(text).unwrap()), Err(PRIVATE), "{text}");
        }
        assert_eq!(literal(&Url::parse("https://1.1.1.1/").unwrap()), Ok(()));
        assert_eq!(literal(&Url::parse("https://api.example/").unwrap()), Ok(()));
    }
}
