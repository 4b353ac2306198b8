//! Headers that belong to a connection or to a proxy, not to a message.

/// Hop-by-hop headers (RFC 9110, section 7.6.1, with the older ones of RFC 2616), in lower case.
/// Those of proxies are known by their first word.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header, in any case, says how a message travels over one connection or through one
/// proxy. Only the client that makes the request knows that: set by a webhook, it could split
/// one request into two, or send the proxy somebody else's credential.
pub fn is_transport_header(name: &str) -> bool {
    let is_of_proxies = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("proxy-"));
    is_of_proxies || HOP_BY_HOP.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_connection_is_known_in_any_case() {
        for name in [
            "Connection",
            "keep-alive",
            "Proxy-Authorization",
            "proxy-connection",
            "PROXY-AUTHENTICATE",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "upgrade",
            "HTTP2-Settings",
        ] {
            assert!(is_transport_header(name), "{name}");
        }
        for name in ["Host", "Content-Length", "Authorization", "X-Proxy", "prox\u{e9}-", "t", ""] {
            assert!(!is_transport_header(name), "{name}");
        }
    }
}
