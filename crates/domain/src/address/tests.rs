use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use url::Url;

use super::{AddressPolicy, DENIED_V4, DENIED_V6};

fn policy(allow: &[&str]) -> AddressPolicy {
    AddressPolicy::new(allow.iter().map(|net| net.parse().unwrap()).collect())
}

fn range(address: &str) -> Option<&'static str> {
    policy(&[]).check(address.parse().unwrap()).err().map(|blocked| blocked.range)
}

#[test]
fn ranges_have_names() {
    let table = [
        ("127.0.0.1", Some("loopback")),
        ("127.255.255.255", Some("loopback")),
        ("0.0.0.0", Some("this network")),
        ("10.1.2.3", Some("private")),
        ("172.31.255.255", Some("private")),
        ("172.32.0.0", None),
        ("192.168.0.1", Some("private")),
        ("169.254.169.254", Some("cloud metadata")),
        ("169.254.0.1", Some("link-local")),
        ("100.64.0.1", Some("carrier-grade NAT")),
        ("100.128.0.0", None),
        ("198.19.255.255", Some("benchmarking")),
        ("224.0.0.1", Some("multicast")),
        ("255.255.255.255", Some("reserved or broadcast")),
        ("140.82.112.5", None),
        ("8.8.8.8", None),
        ("::", Some("unspecified or IPv4-compatible")),
        ("::1", Some("loopback")),
        ("::7f00:1", Some("unspecified or IPv4-compatible")),
        ("::ffff:127.0.0.1", Some("loopback")),
        ("::ffff:169.254.169.254", Some("cloud metadata")),
        ("::ffff:8.8.8.8", None),
        ("::ffff:0:127.0.0.1", Some("IPv4-translated")),
        ("64:ff9b::a00:1", Some("NAT64")),
        ("64:ff9b:1::a00:1", Some("NAT64")),
        ("2001::1", Some("Teredo")),
        ("2002:7f00:1::1", Some("6to4")),
        ("2001:db8::1", Some("documentation")),
        ("fd00:ec2::254", Some("unique local")),
        ("fe80::1", Some("link-local")),
        ("ff02::1", Some("multicast")),
        ("2606:50c0:8000::153", None),
        ("2a0a:a440::1", None),
    ];
    for (address, expected) in table {
        assert_eq!(range(address), expected, "{address}");
    }
}

#[test]
fn the_allow_list_wins() {
    let policy = policy(&["127.0.0.0/8", "fd00::/8"]);
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "fd00::1", "8.8.8.8"] {
        assert_eq!(policy.check(address.parse().unwrap()), Ok(()), "{address}");
    }
    for address in ["10.0.0.1", "::1", "64:ff9b::127.0.0.1"] {
        assert!(policy.check(address.parse().unwrap()).is_err(), "{address}");
    }
}

#[test]
fn addresses_in_urls_are_judged_in_every_spelling() {
    let policy = policy(&[]);
    for url in [
        "http://127.0.0.1/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "http://169.254.169.254/latest/meta-data",
    ] {
        assert!(policy.check_url(&Url::parse(url).unwrap()).is_err(), "{url}");
    }
    for url in ["http://8.8.8.8/", "http://localhost/", "mailto:a@example.org"] {
        assert_eq!(policy.check_url(&Url::parse(url).unwrap()), Ok(()), "{url}");
    }
}

#[test]
fn the_message_names_address_and_range() {
    let blocked = policy(&[]).check("::ffff:10.0.0.1".parse().unwrap()).unwrap_err();
    assert_eq!(blocked.to_string(), "deliveries to 10.0.0.1 are blocked (private address)");
}

/// An address of a network, chosen by its host bits.
fn in_v4(net: Ipv4Net, host: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(net.network().to_bits() | (host & net.hostmask().to_bits()))
}

fn in_v6(net: Ipv6Net, host: u128) -> Ipv6Addr {
    Ipv6Addr::from_bits(net.network().to_bits() | (host & net.hostmask().to_bits()))
}

fn nat64(ip: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(0x0064_ff9b_u128 << 96 | u128::from(ip.to_bits()))
}

proptest! {
    #[test]
    fn denied_v4_is_denied_in_every_form(
        (net, _) in prop::sample::select(DENIED_V4.to_vec()),
        host: u32,
    ) {
        let ip = in_v4(net, host);
        let forms = [
            IpAddr::V4(ip),
            IpAddr::V6(ip.to_ipv6_mapped()),
            IpAddr::V6(ip.to_ipv6_compatible()),
            IpAddr::V6(nat64(ip)),
        ];
        for form in forms {
            prop_assert!(policy(&[]).check(form).is_err(), "{form}");
        }
    }

    #[test]
    fn denied_v6_is_denied(
        (net, _) in prop::sample::select(DENIED_V6.to_vec()),
        host: u128,
    ) {
        let ip = in_v6(net, host);
        prop_assert!(policy(&[]).check(IpAddr::V6(ip)).is_err(), "{ip}");
    }

    /// Judged by the standard library's own words for the ranges.
    #[test]
    fn what_the_standard_library_calls_special_is_denied(bits: u32) {
        let ip = Ipv4Addr::from_bits(bits);
        let is_special = ip.is_loopback()
            || ip.is_private()
            || ip.is_link_local()
            || ip.is_multicast()
            || ip.is_broadcast()
            || ip.is_documentation()
            || ip.is_unspecified();
        if is_special {
            prop_assert!(policy(&[]).check(IpAddr::V4(ip)).is_err(), "{ip}");
        }
    }

    #[test]
    fn an_allowed_network_is_reachable_whole(
        (net, _) in prop::sample::select(DENIED_V4.to_vec()),
        host: u32,
    ) {
        let policy = AddressPolicy::new(vec![IpNet::V4(net)]);
        let ip = in_v4(net, host);
        prop_assert!(policy.check(IpAddr::V4(ip)).is_ok());
        prop_assert!(policy.check(IpAddr::V6(ip.to_ipv6_mapped())).is_ok());
    }
}
