use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use url::Url;

use super::{AddressPolicy, DENIED_V4, DENIED_V6, TEREDO};

fn policy(allow: &[&str]) -> AddressPolicy {
    AddressPolicy::new(allow.iter().map(|net| net.parse().unwrap()).collect())
}

fn range(address: &str) -> Option<&'static str> {
    policy(&[]).check(address.parse().unwrap()).err().map(|blocked| blocked.range)
}

fn check(table: &[(&str, Option<&str>)]) {
    for (address, expected) in table {
        assert_eq!(range(address), *expected, "{address}");
    }
}

#[test]
fn ranges_have_names() {
    check(&[
        ("127.0.0.1", Some("loopback")),
        ("127.255.255.255", Some("loopback")),
        ("0.0.0.0", Some("this network")),
        ("10.1.2.3", Some("private")),
        ("172.31.255.255", Some("private")),
        ("172.32.0.0", None),
        ("192.168.0.1", Some("private")),
        ("169.254.169.254", Some("cloud metadata")),
        ("169.254.0.1", Some("link-local")),
        ("168.63.129.16", Some("cloud metadata")),
        ("168.63.129.17", None),
        ("100.100.100.200", Some("carrier-grade NAT")),
        ("192.0.0.192", Some("IETF protocol assignments")),
        ("192.31.196.1", Some("AS112")),
        ("192.52.193.1", Some("multicast tunneling")),
        ("192.88.99.2", Some("6to4 relay")),
        ("192.175.48.1", Some("AS112")),
        ("100.64.0.1", Some("carrier-grade NAT")),
        ("100.128.0.0", None),
        ("198.19.255.255", Some("benchmarking")),
        ("224.0.0.1", Some("multicast")),
        ("255.255.255.255", Some("reserved or broadcast")),
        ("140.82.112.5", None),
        ("8.8.8.8", None),
    ]);
}

#[test]
fn ranges_of_version_6_have_names() {
    check(&[
        ("::", Some("unspecified or IPv4-compatible")),
        ("::1", Some("loopback")),
        ("::7f00:1", Some("unspecified or IPv4-compatible")),
        ("::ffff:127.0.0.1", Some("loopback")),
        ("::ffff:169.254.169.254", Some("cloud metadata")),
        ("::ffff:8.8.8.8", None),
        ("::ffff:0:127.0.0.1", Some("IPv4-translated")),
        ("64:ff9b::a00:1", Some("private")),
        ("64:ff9b::808:808", None),
        ("64:ff9b:1::808:808", Some("local NAT64")),
        ("2002:7f00:1::1", Some("loopback")),
        ("2002:808:808::1", None),
        // Teredo: server 65.54.227.120, client 192.0.2.45 (RFC 4380's own example); then a
        // public client, then a private server.
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Some("documentation")),
        ("2001:0:4136:e378:8000:63bf:f7f7:f7f7", None),
        ("2001:0:a00:1:8000:63bf:f7f7:f7f7", Some("private")),
        ("100::1", Some("discard")),
        ("100:0:0:1::1", Some("dummy prefix")),
        ("100:0:0:2::1", None),
        ("2001:1::1", Some("IETF protocol assignments")),
        ("2001:20::1", Some("IETF protocol assignments")),
        ("2001:200::1", None),
        ("2620:4f:8000::1", Some("AS112")),
        ("3fff:fff::1", Some("documentation")),
        ("5f00::1", Some("segment routing")),
        ("2001:db8::1", Some("documentation")),
        ("fd00:ec2::254", Some("unique local")),
        ("fe80::1", Some("link-local")),
        ("ff02::1", Some("multicast")),
        ("2606:50c0:8000::153", None),
        ("2a0a:a440::1", None),
    ]);
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

/// Hosts that are an address which may not be reached, however they are written.
const DISGUISES: &[&str] = &[
    // 127.0.0.1
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.255.255.254",
    "2130706433",
    "2130706433.",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.0.0.1",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0.0.0x1",
    "0x7f.0x0.0x0.0x1",
    "0177.0x0.0.1",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "127\u{ff0e}0\u{ff0e}0\u{ff0e}1",
    "\u{2460}\u{2461}\u{2466}.0.0.1",
    // this host
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::0001]",
    // IPv4 in IPv6
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:7f00:1::]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    // private and link-local
    "10.0.0.1",
    "10.1",
    "167772161",
    "0xa.1",
    "192.168.257",
    "0300.0250.0.1",
    "172.16.1",
    "100.64.0.1",
    "[fd00::1]",
    "[fe80::1]",
    "[fe80::5efe:127.0.0.1]",
    "[fec0::1]",
    // metadata services
    "169.254.169.254",
    "169.254.43518",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::169.254.169.254]",
    "[fd00:ec2::254]",
    "168.63.129.16",
    "0xa83f8110",
    "[::ffff:168.63.129.16]",
    "100.100.100.200",
    "192.0.0.192",
    // multicast, broadcast
    "224.0.0.1",
    "255.255.255.255",
    "4294967295",
    "[ff02::1]",
];

#[test]
fn addresses_are_judged_in_every_spelling_with_and_without_a_proxy() {
    let policy = policy(&[]);
    for host in DISGUISES {
        for url in [format!("http://{host}/x"), format!("https://user:pw@{host}:8080/x")] {
            let url = Url::parse(&url).unwrap();
            assert!(policy.check_url(&url).is_err(), "{host} became {url}");
            assert!(policy.check_proxied(&url).is_err(), "{host} became {url}");
        }
    }
    for url in ["http://8.8.8.8/", "http://localhost/", "mailto:a@example.org"] {
        assert_eq!(policy.check_url(&Url::parse(url).unwrap()), Ok(()), "{url}");
    }
}

#[test]
fn a_proxy_is_not_asked_for_what_means_loopback_everywhere() {
    let open = policy(&["::1/128"]);
    for name in ["localhost", "LOCALHOST", "localhost.", "a.b.localhost", "a.localhost."] {
        let url = Url::parse(&format!("https://{name}/x")).unwrap();
        assert!(policy(&[]).check_proxied(&url).is_err(), "{name}");
        assert_eq!(open.check_proxied(&url), Ok(()), "{name}");
    }
    for name in ["localhost.example.org", "notlocalhost", "jenkins.internal", "8.8.8.8"] {
        let url = Url::parse(&format!("https://{name}/x")).unwrap();
        assert_eq!(policy(&[]).check_proxied(&url), Ok(()), "{name}");
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

fn six_to_four(ip: Ipv4Addr, rest: u128) -> Ipv6Addr {
    let prefix = 0x2002_u128 << 112 | u128::from(ip.to_bits()) << 80;
    Ipv6Addr::from_bits(prefix | rest & (u128::MAX >> 48))
}

fn teredo(server: Ipv4Addr, client: Ipv4Addr, flags: u32) -> Ipv6Addr {
    let server = 0x2001_0000_u128 << 96 | u128::from(server.to_bits()) << 64;
    Ipv6Addr::from_bits(server | u128::from(flags) << 32 | u128::from(!client.to_bits()))
}

proptest! {
    #[test]
    fn denied_v4_is_denied_in_every_form(
        (net, _) in prop::sample::select(DENIED_V4.to_vec()),
        host: u32,
        rest: u128,
        flags: u32,
    ) {
        let ip = in_v4(net, host);
        let public = Ipv4Addr::new(8, 8, 8, 8);
        let forms = [
            IpAddr::V4(ip),
            IpAddr::V6(ip.to_ipv6_mapped()),
            IpAddr::V6(ip.to_ipv6_compatible()),
            IpAddr::V6(nat64(ip)),
            IpAddr::V6(six_to_four(ip, rest)),
            IpAddr::V6(teredo(ip, public, flags)),
            IpAddr::V6(teredo(public, ip, flags)),
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
        // Teredo's part of IETF's range is judged by where it leads.
        prop_assume!(!TEREDO.contains(&ip));
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
