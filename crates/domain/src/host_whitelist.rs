//! Where webhooks may point: the host whitelist, as Pact Broker 2.120 matches it
//! (`check_host_whitelist.rb`).
//!
//! | entry          | matches                                                              |
//! |----------------|----------------------------------------------------------------------|
//! | `10.0.0.0/8`   | hosts that are addresses, and nothing else matches those             |
//! | `/regexp/`     | names in which it is found, case-sensitive, not anchored             |
//! | `*.domain`     | as in a certificate: one label more, any letter case                 |
//! | anything else  | the very name                                                        |
//!
//! One difference: URLs are read the way browsers do, which turns names into lower case, so an
//! exact entry is compared without regard to case and a regexp sees the lower-case name.

use std::net::IpAddr;

use ipnet::IpNet;
use regex::Regex;
use url::{Host, Url};

/// Hosts that webhooks may point to; the empty list allows all.
#[derive(Debug, Clone, Default)]
pub struct HostWhitelist {
    entries: Vec<(String, Entry)>,
}

#[derive(Debug, Clone)]
enum Entry {
    Net(IpNet),
    Regexp(Regex),
    Wildcard(String),
    Name(String),
}

/// An entry can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHostEntry {
    /// It looks like a network, and is none.
    #[error("{0:?} is no network: use an address or address/bits, such as 10.2.3.4 or 10.0.0.0/8")]
    Net(String),
    /// Its regular expression can't be compiled.
    #[error("{entry:?} is no regular expression: {reason}")]
    Regexp {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl HostWhitelist {
    /// Reads entries separated by blanks.
    pub fn parse(text: &str) -> Result<Self, InvalidHostEntry> {
        let entries = text.split_whitespace().map(|word| Ok((word.to_owned(), entry(word)?)));
        Ok(Self { entries: entries.collect::<Result<_, InvalidHostEntry>>()? })
    }

    /// Whether a webhook may point to this URL.
    pub fn allows(&self, url: &Url) -> bool {
        let Some(host) = url.host() else { return false };
        self.entries.is_empty() || self.entries.iter().any(|(_, entry)| entry.matches(&host))
    }

    /// Whether there is no entry, so that all hosts are allowed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries as they were given, for messages.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(text, _)| text.as_str())
    }
}

fn entry(word: &str) -> Result<Entry, InvalidHostEntry> {
    if let Some(pattern) = word.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        return regexp(word, pattern);
    }
    if let Some(net) = parse_net(word) {
        return Ok(Entry::Net(net));
    }
    if word.contains('/') {
        return Err(InvalidHostEntry::Net(word.to_owned()));
    }
    Ok(if word.starts_with('*') {
        Entry::Wildcard(word.to_owned())
    } else {
        Entry::Name(word.to_owned())
    })
}

fn regexp(word: &str, pattern: &str) -> Result<Entry, InvalidHostEntry> {
    Regex::new(pattern).map(Entry::Regexp).map_err(|error| InvalidHostEntry::Regexp {
        entry: word.to_owned(),
        reason: error.to_string(),
    })
}

fn parse_net(word: &str) -> Option<IpNet> {
    let bare = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(word);
    bare.parse::<IpNet>().ok().or_else(|| bare.parse::<IpAddr>().ok().map(IpNet::from))
}

impl Entry {
    fn matches(&self, host: &Host<&str>) -> bool {
        match host {
            Host::Ipv4(ip) => self.matches_address(IpAddr::V4(*ip)),
            Host::Ipv6(ip) => self.matches_address(IpAddr::V6(*ip)),
            Host::Domain(name) => self.matches_name(name),
        }
    }

    fn matches_address(&self, ip: IpAddr) -> bool {
        match self {
            Self::Net(net) => net.contains(&ip) || net.contains(&ip.to_canonical()),
            Self::Regexp(_) | Self::Wildcard(_) | Self::Name(_) => false,
        }
    }

    fn matches_name(&self, host: &str) -> bool {
        match self {
            Self::Net(_) => false,
            Self::Regexp(regexp) => regexp.is_match(host),
            Self::Wildcard(pattern) => matches_wildcard(pattern, host),
            Self::Name(name) => name.eq_ignore_ascii_case(host),
        }
    }
}

/// The `*` stands for at least one character at the beginning of the left-most label; all
/// other labels are equal.
fn matches_wildcard(pattern: &str, host: &str) -> bool {
    let (Some((wanted, wanted_rest)), Some((label, rest))) =
        (pattern.split_once('.'), host.split_once('.'))
    else {
        return false;
    };
    let ending = wanted.trim_start_matches('*').to_ascii_lowercase();
    wanted_rest.eq_ignore_ascii_case(rest)
        && !ending.contains('*')
        && label.to_ascii_lowercase().strip_suffix(&ending).is_some_and(|start| !start.is_empty())
}

#[cfg(test)]
mod tests;
