//! URLs of webhooks, judged as Pact Broker 2.120 (Ruby's RFC 3986 parser) judges them, before
//! anything is known of the event.

use std::collections::BTreeMap;

use postrider_domain::HostWhitelist;
use url::Url;

/// What is wrong with a URL; the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UrlFault {
    /// It does not parse, or has no scheme or host.
    Invalid,
    /// Its host depends on a placeholder.
    TemplatedHost,
    /// Its scheme is not whitelisted.
    Scheme,
    /// Its host is not whitelisted.
    Host,
}

/// Bytes of a host's name (RFC 1035); lanes are named after hosts.
const LONGEST_HOST: usize = 253;

/// Checks a URL with placeholders against the whitelists.
pub(super) fn check(
    template: &str,
    schemes: &[String],
    hosts: &HostWhitelist,
) -> Result<(), UrlFault> {
    let first = filled_in(template, "placeholder");
    let second = filled_in(template, "differentplaceholder");
    let (Some(split), Some(other)) = (Split::of(&first), Split::of(&second)) else {
        return Err(UrlFault::Invalid);
    };
    if split.host.is_empty() || split.host.len() > LONGEST_HOST {
        return Err(UrlFault::Invalid);
    }
    if split.host != other.host {
        return Err(UrlFault::TemplatedHost);
    }
    if !schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(split.scheme)) {
        return Err(UrlFault::Scheme);
    }
    // What will be sent is read by this parser, which is stricter in places (ports, IPv4).
    let url = Url::parse(&first).map_err(|_| UrlFault::Invalid)?;
    if hosts.allows(&url) { Ok(()) } else { Err(UrlFault::Host) }
}

/// The host that a URL with placeholders names; empty when it can't be told.
pub(super) fn host_of(template: &str) -> String {
    let filled = filled_in(template, "placeholder");
    Split::of(&filled).map(|split| split.host.to_owned()).unwrap_or_default()
}

/// What stands before the `@` of the authority.
pub(super) fn user_info(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(info, _)| info)
}

/// Scheme, host with port, and path, as far as a secret sent there is the same receiver's.
pub(super) fn place(url: &str) -> (String, String, String) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = if path.is_empty() { "/" } else { path };
    (scheme.to_ascii_lowercase(), host.to_ascii_lowercase(), path.to_owned())
}

/// The query parameters of a URL as they are written.
pub(super) fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    query.split('&').filter_map(|parameter| parameter.split_once('='))
}

/// The URL with other values for query parameters: `value` is told each one's name, its value, and
/// how many of that name stand before it.
pub(super) fn with_parameters(
    url: &str,
    mut value: impl FnMut(&str, &str, usize) -> Option<String>,
) -> String {
    let Some((before, rest)) = url.split_once('?') else { return url.to_owned() };
    let (query, fragment) = match rest.split_once('#') {
        Some((query, fragment)) => (query, format!("#{fragment}")),
        None => (rest, String::new()),
    };
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let parameters = query.split('&').map(|parameter| {
        let Some((name, old)) = parameter.split_once('=') else { return parameter.to_owned() };
        let nth = seen.entry(name).or_default();
        *nth += 1;
        value(name, old, *nth - 1)
            .map_or_else(|| parameter.to_owned(), |new| format!("{name}={new}"))
    });
    let query = parameters.collect::<Vec<_>>().join("&");
    format!("{before}?{query}{fragment}")
}

/// The URL with other user information.
pub(super) fn with_user_info(url: &str, info: &str) -> String {
    match (url.split_once("://"), user_info(url)) {
        (Some((scheme, rest)), Some(old)) => {
            let after = rest.strip_prefix(old).unwrap_or(rest);
            format!("{scheme}://{info}{after}")
        }
        (Some(_) | None, _) => url.to_owned(),
    }
}

/// Each placeholder replaced: the broker's, secrets and the delivery's id, with or without a
/// filter. Whatever else looks like one stays, as in the broker.
fn filled_in(template: &str, placeholder: &str) -> String {
    let mut pieces = template.split("${");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once('}') {
            Some((inner, after)) if is_placeholder(inner) => {
                out.push_str(placeholder);
                out.push_str(after);
            }
            Some(_) | None => {
                out.push_str("${");
                out.push_str(piece);
            }
        }
    }
    out
}

/// The broker takes any name of its own scope for one.
fn is_placeholder(inner: &str) -> bool {
    let of = |scope: &str| inner.strip_prefix(scope).filter(|name| !name.is_empty());
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'|');
    let ours = of("user.").or(of("postrider."));
    of("pactbroker.").is_some() || ours.is_some_and(|name| name.bytes().all(fits))
}

/// A URL in its parts, if every part holds only what RFC 3986 allows there. A query may hold
/// any visible ASCII character, as Ruby takes it.
struct Split<'a> {
    scheme: &'a str,
    host: &'a str,
}

impl<'a> Split<'a> {
    fn of(text: &'a str) -> Option<Self> {
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        let mut letters = scheme.bytes();
        let is_scheme = letters.next().is_some_and(|b| b.is_ascii_alphabetic())
            && letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let rest = rest.strip_prefix("//").filter(|_| is_scheme)?;
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, _query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (info, host_port) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = host_and_port(host_port)?;
        let fits = is_made_of(info, ":")
            && port.bytes().all(|b| b.is_ascii_digit())
            && is_made_of(path, ":@/")
            && is_made_of(fragment, ":@/?");
        fits.then_some(Self { scheme, host })
    }
}

fn host_and_port(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('[') {
        let end = text.find(']')?;
        let (host, after) = text.split_at(end + 1);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
        let port = if after.is_empty() { "" } else { after.strip_prefix(':')? };
        return is_address.then_some((host, port));
    }
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    is_made_of(host, "").then_some((host, port))
}

/// Unreserved characters, sub-delimiters, whole percent-encodings, and `more`.
fn is_made_of(text: &str, more: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => {
                let mut hex = || bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
                hex() && hex()
            }
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b';' | b'=' => true,
            other => other.is_ascii_alphanumeric() || more.as_bytes().contains(&other),
        };
        if !fits {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests;
