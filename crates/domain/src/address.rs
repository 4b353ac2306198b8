//! Where deliveries may go: the addresses they may connect to.
//!
//! Whoever may create webhooks must not be able to reach what is only reachable from here: the
//! machine itself, its networks, its cloud's metadata service. The address connected to is
//! judged, not the name, so that no DNS answer gets around it. A name that a proxy resolves is the
//! proxy's to judge.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// Networks that deliveries never reach unless allowed: every block of IANA's special-purpose
/// registry (RFC 6890, as of 2026), multicast, and the addresses at which clouds serve a machine's
/// own credentials. The narrower network comes first.
const DENIED_V4: [(Ipv4Net, &str); 20] = [
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "cloud metadata"),
    (v4(169, 254, 169, 254, 32), "cloud metadata"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "IETF protocol assignments"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 31, 196, 0, 24), "AS112"),
    (v4(192, 52, 193, 0, 24), "multicast tunneling"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(192, 175, 48, 0, 24), "AS112"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved or broadcast"),
];

/// As [`DENIED_V4`]. Addresses that carry an IPv4 address through a gateway are judged by that
/// one ([`embedded`]), but for the forms that no gateway of the Internet takes.
const DENIED_V6: [(Ipv6Net, &str); 15] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "unspecified or IPv4-compatible"),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), "IPv4-translated"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "local NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "discard"),
    (v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64), "dummy prefix"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "IETF protocol assignments"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), "AS112"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "segment routing"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

/// Well-known NAT64 prefix (RFC 6052): the IPv4 address is the last 32 bits.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
/// Teredo (RFC 4380): the server is bits 32 to 63, the client the inverted last 32 bits.
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);
/// 6to4 (RFC 3056): the IPv4 address is bits 16 to 47.
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(s: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), prefix)
}

/// Which addresses deliveries may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressPolicy {
    allow: Vec<IpNet>,
}

/// The address may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("deliveries to {address} are blocked ({range} address)")]
pub struct BlockedAddress {
    /// The address.
    pub address: IpAddr,
    /// What kind of address it is.
    pub range: &'static str,
}

impl AddressPolicy {
    /// A policy that lets deliveries reach these networks whatever they are.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Whether an address may be connected to. An IPv4 address in IPv6's clothes
    /// (`::ffff:10.0.0.1`) is judged as what it is.
    pub fn check(&self, ip: IpAddr) -> Result<(), BlockedAddress> {
        let address = ip.to_canonical();
        if self.allow.iter().any(|net| net.contains(&ip) || net.contains(&address)) {
            return Ok(());
        }
        match denied_range(address) {
            Some(range) => Err(BlockedAddress { address, range }),
            None => Ok(()),
        }
    }

    /// Judges a URL whose host is an address; a name passes, its addresses are judged when it
    /// is resolved. Resolvers never see addresses, so this check is not optional.
    pub fn check_url(&self, url: &Url) -> Result<(), BlockedAddress> {
        match url.host() {
            Some(Host::Ipv4(ip)) => self.check(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => self.check(IpAddr::V6(ip)),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// Judges a URL that a proxy will resolve: an address as always, and the names that mean
    /// loopback wherever they are looked up (RFC 6761). What other names lead to is the proxy's
    /// to know.
    pub fn check_proxied(&self, url: &Url) -> Result<(), BlockedAddress> {
        match url.host() {
            Some(Host::Domain(name)) if is_localhost(name) => self
                .check(IpAddr::V4(Ipv4Addr::LOCALHOST))
                .or_else(|blocked| self.check(Ipv6Addr::LOCALHOST.into()).map_err(|_| blocked)),
            Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | None => self.check_url(url),
        }
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let end = name.rsplit('.').next().unwrap_or_default();
    end.eq_ignore_ascii_case("localhost")
}

fn denied_range(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(ip) => first_containing(&DENIED_V4, |net| net.contains(&ip)),
        IpAddr::V6(ip) => match embedded(ip) {
            Some(inner) => inner.iter().find_map(|ip| denied_range(IpAddr::V4(*ip))),
            None => first_containing(&DENIED_V6, |net| net.contains(&ip)),
        },
    }
}

/// The IPv4 addresses that an IPv6 address leads to through a gateway, each of which must be one
/// that may be reached; `None` when it is no such address.
fn embedded(ip: Ipv6Addr) -> Option<[Ipv4Addr; 2]> {
    let at = |bit: u32| Ipv4Addr::from_bits(low_half(ip.to_bits() >> bit));
    if NAT64.contains(&ip) {
        Some([at(0); 2])
    } else if SIX_TO_FOUR.contains(&ip) {
        Some([at(80); 2])
    } else if TEREDO.contains(&ip) {
        Some([at(64), Ipv4Addr::from_bits(!at(0).to_bits())])
    } else {
        None
    }
}

/// The last 32 bits.
fn low_half(bits: u128) -> u32 {
    let [.., a, b, c, d] = bits.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

fn first_containing<N>(
    table: &[(N, &'static str)],
    contains: impl Fn(&N) -> bool,
) -> Option<&'static str> {
    table.iter().find(|(net, _)| contains(net)).map(|(_, range)| *range)
}

/// Whether a URL names this machine, to which no proxy leads.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests;
