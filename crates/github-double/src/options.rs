//! What a double is started with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of one double. `Options::default()` listens on a free loopback port and accepts the
/// token `test-token`.
#[derive(Clone)]
pub struct Options {
    /// Tokens that are accepted at first; see [`crate::Double::accept_tokens`].
    pub tokens: Vec<String>,
    /// Secondary limit per token; `None` enforces nothing.
    pub rate: Option<Window>,
    /// A token that exceeds its limit once is banned for good (every further request: 403).
    pub ban: bool,
    /// How an exceeded limit is told to the client.
    pub limit_style: LimitStyle,
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Wait before each answer to a dispatch, read or hook. The request is journalled, and
    /// accepted, before the wait.
    pub latency: Option<Duration>,
    /// Refuse requests without a `User-Agent`, as GitHub does (GitHub docs: troubleshooting).
    pub require_user_agent: bool,
    /// Entries kept in memory; older ones are forgotten, the counts stay exact. 0 keeps none.
    pub journal_capacity: usize,
    /// Keep request bodies (up to 64 KiB each) and a few headers in the journal.
    pub journal_bodies: bool,
    /// Append each entry as one JSON line to this file.
    pub journal_file: Option<PathBuf>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("tokens", &self.tokens.len())
            .field("rate", &self.rate)
            .field("ban", &self.ban)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tokens: vec!["test-token".to_owned()],
            rate: None,
            ban: false,
            limit_style: LimitStyle::Secondary403,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            latency: None,
            require_user_agent: true,
            journal_capacity: 100_000,
            journal_bodies: true,
            journal_file: None,
        }
    }
}

impl Options {
    /// Settings for a receiver in a benchmark: counts and the set of delivery ids, no entries.
    pub fn bench() -> Self {
        Self { journal_capacity: 0, journal_bodies: false, ..Self::default() }
    }

    /// Replaces the tokens that are accepted at first.
    #[must_use]
    pub fn with_tokens<T: Into<String>>(mut self, tokens: impl IntoIterator<Item = T>) -> Self {
        self.tokens = tokens.into_iter().map(Into::into).collect();
        self
    }

    /// Enforces `count` writes per `per` for each token; a violation bans the token if `ban`.
    #[must_use]
    pub fn with_rate(mut self, count: u32, per: Duration, ban: bool) -> Self {
        self.rate = Some(Window { count, per });
        self.ban = ban;
        self
    }
}

/// At most `count` writes within any stretch of time of length `per`.
///
/// As in GitHub's points rule (GitHub docs: rate limits, 900 points a minute), a write costs five
/// points and a read one, and the window holds `5 * count` points: 180 per 60 s is GitHub's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Writes that fit into the window.
    pub count: u32,
    /// Length of the sliding window.
    pub per: Duration,
}

/// The forms in which GitHub tells of an exceeded limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitStyle {
    /// 403 with `Retry-After`.
    #[default]
    Secondary403,
    /// 429 with `Retry-After`.
    Secondary429,
    /// 403 that says so in its body only.
    SecondaryBodyOnly,
    /// 403 with `X-RateLimit-Remaining: 0` and `X-RateLimit-Reset`.
    Primary,
}
