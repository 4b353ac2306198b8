//! From a value as it was written to what it means.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use postrider_domain::{
    HostPatterns, HostWhitelist, Rate, RetryPolicy, parse_duration, print_duration,
};
use secrecy::SecretString;
use url::Url;

use crate::value::{Raw, Wrong};

/// A duration within bounds, ends included.
pub(crate) fn duration(
    least: Duration,
    most: Duration,
) -> impl Fn(&Raw) -> Result<Duration, Wrong> {
    move |raw| {
        let bounds =
            || format!("write {} to {}, e.g. 15s", print_duration(least), print_duration(most));
        let value =
            parse_duration(&raw.text()).map_err(|error| Wrong::new(error.to_string(), bounds()))?;
        if value < least || value > most {
            return Err(Wrong::new(format!("{:?} is out of range", raw.text()), bounds()));
        }
        Ok(value)
    }
}

/// A whole number within bounds, ends included.
pub(crate) fn number<T: FromStr + PartialOrd + std::fmt::Display + Copy>(
    least: T,
    most: T,
) -> impl Fn(&Raw) -> Result<T, Wrong> {
    move |raw| match raw.text().parse::<T>() {
        Ok(value) if value >= least && value <= most => Ok(value),
        Ok(_) | Err(_) => Err(Wrong::new(
            format!("{:?} is no number from {least} to {most}", raw.text()),
            "write a whole number in that range",
        )),
    }
}

/// `HOST:PORT` with an address or `localhost` as the host.
pub(crate) fn listen(raw: &Raw) -> Result<SocketAddr, Wrong> {
    let text = raw.text().replacen("localhost:", "127.0.0.1:", 1);
    text.parse().map_err(|_| {
        Wrong::new(
            format!("{:?} is no address with a port", raw.text()),
            "write ADDRESS:PORT, e.g. 127.0.0.1:9393 or [::]:9393",
        )
    })
}

/// A path.
pub(crate) fn path(raw: &Raw) -> Result<PathBuf, Wrong> {
    let text = raw.text();
    if text.is_empty() {
        return Err(Wrong::new("is empty", "write a path"));
    }
    Ok(PathBuf::from(text))
}

/// An `http` or `https` URL.
pub(crate) fn http_url(raw: &Raw) -> Result<Url, Wrong> {
    let wrong = |what: &str| Wrong::new(what, "write an http or https URL, e.g. https://host:9393");
    let url = Url::parse(&raw.text()).map_err(|error| wrong(&format!("is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("is no http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a user name or password"));
    }
    Ok(url)
}

/// A secret URL of one of these schemes; messages never quote it.
pub(crate) fn secret_url(
    schemes: &'static [&'static str],
    example: &'static str,
) -> impl Fn(&Raw) -> Result<SecretString, Wrong> {
    move |raw| {
        let fix = format!("write a URL such as {example}");
        let text = raw.text();
        match Url::parse(&text) {
            Err(error) => Err(Wrong::new(format!("is no URL: {error}"), fix)),
            Ok(url) if schemes.contains(&url.scheme()) => Ok(SecretString::from(text)),
            Ok(_) => Err(Wrong::new(format!("is no URL of {}", schemes.join(", ")), fix)),
        }
    }
}

/// Networks; a bare address is a network of one.
pub(crate) fn networks(raw: &Raw) -> Result<Vec<IpNet>, Wrong> {
    raw.items().iter().map(|item| network(item)).collect()
}

fn network(item: &str) -> Result<IpNet, Wrong> {
    let alone = item.parse::<IpAddr>().map(IpNet::from);
    item.parse::<IpNet>().or(alone).map_err(|_| {
        Wrong::new(
            format!("{item:?} is no network"),
            "write ADDRESS/BITS, e.g. 10.0.0.0/8, separated by spaces",
        )
    })
}

/// HTTP status codes, at least one.
pub(crate) fn status_codes(raw: &Raw) -> Result<Vec<u16>, Wrong> {
    let fix = "write codes from 100 to 599 separated by spaces, e.g. 200 201 204";
    let codes: Vec<u16> = raw
        .items()
        .iter()
        .map(|item| match item.parse() {
            Ok(code) if (100..=599).contains(&code) => Ok(code),
            Ok(_) | Err(_) => Err(Wrong::new(format!("{item:?} is no HTTP status code"), fix)),
        })
        .collect::<Result<_, _>>()?;
    if codes.is_empty() { Err(Wrong::new("names no status code", fix)) } else { Ok(codes) }
}

/// URL schemes, in lower case.
pub(crate) fn schemes(raw: &Raw) -> Result<Vec<String>, Wrong> {
    let fix = "write https, or https http";
    words(raw, fix, |item| match item.to_lowercase().as_str() {
        scheme @ ("http" | "https") => Some(scheme.to_owned()),
        _ => None,
    })
}

/// HTTP methods, in upper case.
pub(crate) fn methods(raw: &Raw) -> Result<Vec<String>, Wrong> {
    let fix = "write methods separated by spaces, e.g. POST PUT";
    words(raw, fix, |item| {
        item.bytes().all(|byte| byte.is_ascii_alphabetic()).then(|| item.to_uppercase())
    })
}

fn words(
    raw: &Raw,
    fix: &str,
    known: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Wrong> {
    let read = |item: &String| {
        known(item).ok_or_else(|| Wrong::new(format!("{item:?} can't be used"), fix))
    };
    let words: Vec<String> = raw.items().iter().map(read).collect::<Result<_, _>>()?;
    if words.is_empty() { Err(Wrong::new("is empty", fix)) } else { Ok(words) }
}

/// Entries of the host whitelist. Only spaces separate them: a regular expression may hold
/// commas.
pub(crate) fn host_whitelist(raw: &Raw) -> Result<HostWhitelist, Wrong> {
    HostWhitelist::parse(&raw.text()).map_err(|error| {
        Wrong::new(error.to_string(), "write host names, *.domain, networks or /regexp/")
    })
}

/// Host patterns.
pub(crate) fn host_patterns(raw: &Raw) -> Result<HostPatterns, Wrong> {
    raw.items().join(" ").parse().map_err(|error: postrider_domain::InvalidHostPattern| {
        Wrong::new(error.to_string(), "write host names such as api.github.com or api.*.ghe.com")
    })
}

/// Waits between attempts.
pub(crate) fn retry_schedule(raw: &Raw) -> Result<RetryPolicy, Wrong> {
    let fix = "write seconds separated by spaces, e.g. 10 60 120";
    raw.items()
        .join(" ")
        .parse()
        .map_err(|error: postrider_domain::InvalidDuration| Wrong::new(error.to_string(), fix))
}

/// `N/s|min|h` or `unlimited`.
pub(crate) fn rate(raw: &Raw) -> Result<Rate, Wrong> {
    raw.text().parse().map_err(|error: postrider_domain::InvalidRate| {
        Wrong::new(error.to_string(), "write N/s, N/min, N/h or unlimited")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Raw {
        Raw::Text(text.to_owned())
    }

    #[test]
    fn lists_may_be_texts_or_arrays() {
        assert_eq!(status_codes(&text("200, 201 204")).unwrap(), [200, 201, 204]);
        let list = Raw::List(vec!["200".to_owned(), "204".to_owned()]);
        assert_eq!(status_codes(&list).unwrap(), [200, 204]);
        assert!(status_codes(&text("2000")).is_err());
    }

    #[test]
    fn addresses() {
        assert_eq!(listen(&text("localhost:1")).unwrap().to_string(), "127.0.0.1:1");
        assert_eq!(listen(&text("[::]:0")).unwrap().to_string(), "[::]:0");
        assert!(listen(&text("9393")).is_err());
    }

    #[test]
    fn networks_and_single_addresses() {
        let networks = networks(&text("10.0.0.0/8 ::1, 127.0.0.1")).unwrap();
        let shown: Vec<String> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "::1/128", "127.0.0.1/32"]);
    }

    #[test]
    fn secret_urls_are_never_quoted() {
        let parse = secret_url(&["postgres"], "postgres://host/db");
        for wrong in ["mysql://u:hunter2@h/d", "hunter2"] {
            let wrong = parse(&text(wrong)).unwrap_err();
            assert!(!format!("{wrong:?}").contains("hunter2"));
        }
    }

    #[test]
    fn words_are_normalised() {
        assert_eq!(schemes(&text("HTTPS")).unwrap(), ["https"]);
        assert_eq!(methods(&text("post put")).unwrap(), ["POST", "PUT"]);
        assert!(schemes(&text("ftp")).is_err());
        assert!(methods(&text(" ")).is_err());
    }
}
