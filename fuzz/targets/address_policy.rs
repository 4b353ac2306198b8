//! A URL that names an address of this machine or of a private network is refused, however the
//! address is written.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use postrider_domain::AddressPolicy;
use url::{Host, Url};

fn is_inner(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.to_ipv4_mapped().is_some_and(|ip| is_inner(IpAddr::V4(ip)))
        }
    }
}

fuzz_target!(|text: &str| {
    let policy = AddressPolicy::new(Vec::new());
    // What WHATWG reads as a host is what the client connects to.
    for text in [text.to_owned(), format!("https://{text}/")] {
        let Ok(url) = Url::parse(&text) else { continue };
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
            Some(Host::Domain(_)) | None => {
                let _ = (policy.check_url(&url), policy.check_proxied(&url));
                continue;
            }
        };
        if is_inner(ip) {
            assert!(policy.check(ip).is_err(), "{ip}");
            assert!(policy.check_url(&url).is_err(), "{url}");
            assert!(policy.check_proxied(&url).is_err(), "{url} by a proxy");
        }
    }
});
