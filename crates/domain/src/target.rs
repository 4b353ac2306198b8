//! What kind of target a URL is, and which hosts GitHub's limits apply to.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// How an answer is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// GitHub's "create a repository dispatch event".
    RepositoryDispatch,
    /// GitHub's "create a workflow dispatch event".
    WorkflowDispatch,
    /// Anything else: answers are read by their status alone.
    Other,
}

impl TargetKind {
    /// The kind of a URL without placeholders: by its path alone, on any host, so that GitHub
    /// Enterprise Server behind any name is recognised. Paths are
    /// `[/api/v3]/repos/{owner}/{repo}/dispatches` and
    /// `[/api/v3]/repos/{owner}/{repo}/actions/workflows/{id}/dispatches`; a trailing slash
    /// makes it another resource, as it does at GitHub.
    pub fn of(url: &Url) -> Self {
        let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        let path = match segments.as_slice() {
            ["api", "v3", rest @ ..] | rest => rest,
        };
        if path.iter().any(|segment| segment.is_empty()) {
            return Self::Other;
        }
        match path {
            ["repos", _, _, "dispatches"] => Self::RepositoryDispatch,
            ["repos", _, _, "actions", "workflows", _, "dispatches"] => Self::WorkflowDispatch,
            _ => Self::Other,
        }
    }

    /// Whether it is a dispatch of GitHub's, whose answers are read the GitHub way on any host.
    pub fn is_github(self) -> bool {
        match self {
            Self::RepositoryDispatch | Self::WorkflowDispatch => true,
            Self::Other => false,
        }
    }
}

/// What is known of a target before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// By its path.
    pub kind: TargetKind,
    /// Its host is one to which GitHub's limits apply.
    pub is_github_host: bool,
    /// Its path lies below `[/api/v3]/repos/`, as GitHub's does.
    pub is_below_repos: bool,
    /// A credential goes with the request.
    pub has_credential: bool,
}

impl Target {
    /// The target of a URL without placeholders.
    pub fn of(url: &Url, github_hosts: &HostPatterns, has_credential: bool) -> Self {
        let host = url.host_str().unwrap_or_default();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        Self {
            kind: TargetKind::of(url),
            is_github_host: github_hosts.matches(&authority),
            is_below_repos: matches!(
                segments.as_slice(),
                ["api", "v3", "repos", _, ..] | ["repos", _, ..]
            ),
            has_credential,
        }
    }

    /// Whether every answer is read the GitHub way. Elsewhere an answer may still show that it is
    /// GitHub's, by a request id below [`is_below_repos`](Self::is_below_repos).
    pub fn is_github(self) -> bool {
        self.kind.is_github() || self.is_github_host
    }
}

/// A list of hosts, such as `api.github.com api.*.ghe.com`. A `*` stands for exactly one
/// label. A pattern with a port, `127.0.0.1:8080`, is for that port only. Letter case does not
/// count. The empty list matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostPatterns {
    words: Vec<String>,
}

/// A word is no host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no host pattern: use names such as api.github.com, with * for a whole label as in \
     api.*.ghe.com, and a port if only one is meant"
)]
pub struct InvalidHostPattern(pub String);

impl HostPatterns {
    /// github.com and GitHub Enterprise Cloud with data residency:
    /// `api.github.com api.*.ghe.com`.
    pub fn github() -> Self {
        Self { words: ["api.github.com", "api.*.ghe.com"].map(str::to_owned).to_vec() }
    }

    /// Whether a host, or a `host:port`, is in the list.
    pub fn matches(&self, host: &str) -> bool {
        self.words.iter().any(|pattern| matches_one(pattern, host))
    }

    /// The patterns in lower case, in the order given.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }
}

impl FromStr for HostPatterns {
    type Err = InvalidHostPattern;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
        words.map(parse_pattern).collect::<Result<_, _>>().map(|words| Self { words })
    }
}

impl fmt::Display for HostPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

fn parse_pattern(word: &str) -> Result<String, InvalidHostPattern> {
    let (host, _) = split_port(word);
    let is_address = host.starts_with('[') && host.ends_with(']');
    let allowed = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let label_fits = |label: &str| label == "*" || !label.is_empty() && label.chars().all(allowed);
    if is_address || host.split('.').all(label_fits) {
        Ok(word.to_lowercase())
    } else {
        Err(InvalidHostPattern(word.to_owned()))
    }
}

fn matches_one(pattern: &str, host: &str) -> bool {
    let (wanted_host, wanted_port) = split_port(pattern);
    let (host, port) = split_port(host);
    let label_fits = |(wanted, label): (&str, &str)| {
        !label.is_empty() && (wanted == "*" || wanted.eq_ignore_ascii_case(label))
    };
    (wanted_port.is_none() || wanted_port == port)
        && wanted_host.split('.').count() == host.split('.').count()
        && wanted_host.split('.').zip(host.split('.')).all(label_fits)
}

/// Host and port of `host[:port]`; an IPv6 address stands in brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.is_empty() => {
            (host, Some(port))
        }
        Some(_) | None => (text, None),
    }
}

#[cfg(test)]
mod tests;
