//! Which call a request is.

use http::Method;

use crate::app::AppCall;
use crate::journal::Kind;

/// A call that the double knows. `repo` is `owner/repo` as in the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Dispatch {
        repo: String,
    },
    WorkflowDispatch {
        repo: String,
    },
    Hook {
        name: String,
    },
    RateLimit,
    User,
    Repo {
        repo: String,
    },
    /// What an Actions list or run tells; `what` is `runs`, `runs/{id}` or `workflows`.
    Actions {
        repo: String,
        what: String,
    },
    Versions,
    App(AppCall),
    Journal,
    Control,
    Unknown,
}

impl Route {
    /// GitHub's paths are known with and without Enterprise Server's `/api/v3`; a trailing slash
    /// makes an unknown path (GitHub docs: troubleshooting).
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let path = without_root(path);
        let segments: Vec<&str> = path.split('/').skip(1).take(8).collect();
        match (method.as_str(), segments.as_slice()) {
            ("POST", ["repos", owner, repo, "dispatches"]) => {
                Self::Dispatch { repo: slug(owner, repo) }
            }
            ("POST", ["repos", owner, repo, "actions", "workflows", id, "dispatches"])
                if !id.is_empty() =>
            {
                Self::WorkflowDispatch { repo: slug(owner, repo) }
            }
            (_, ["hook", name]) if !name.is_empty() => Self::Hook { name: (*name).to_owned() },
            ("GET", ["rate_limit"]) => Self::RateLimit,
            ("GET", ["user"]) => Self::User,
            ("GET", ["repos", owner, repo]) if !repo.is_empty() => {
                Self::Repo { repo: slug(owner, repo) }
            }
            ("GET", ["repos", owner, repo, "actions", what @ ("runs" | "workflows")]) => {
                Self::Actions { repo: slug(owner, repo), what: (*what).to_owned() }
            }
            ("GET", ["repos", owner, repo, "actions", "runs", id]) if !id.is_empty() => {
                Self::Actions { repo: slug(owner, repo), what: format!("runs/{id}") }
            }
            ("GET", ["versions"]) => Self::Versions,
            ("GET", ["_journal"]) => Self::Journal,
            ("POST", ["_control"]) => Self::Control,
            (method, segments) => AppCall::of(method, segments).map_or(Self::Unknown, Self::App),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Dispatch { .. } | Self::WorkflowDispatch { .. } => Kind::Dispatch,
            Self::Hook { .. } => Kind::Hook,
            Self::RateLimit
            | Self::User
            | Self::Repo { .. }
            | Self::Actions { .. }
            | Self::Versions => Kind::Read,
            Self::App(_) => Kind::App,
            Self::Journal | Self::Control | Self::Unknown => Kind::Other,
        }
    }

    pub(crate) fn repo(&self) -> Option<&str> {
        match self {
            Self::Dispatch { repo }
            | Self::WorkflowDispatch { repo }
            | Self::Repo { repo }
            | Self::Actions { repo, .. } => Some(repo),
            Self::Hook { .. }
            | Self::RateLimit
            | Self::User
            | Self::Versions
            | Self::App(_)
            | Self::Journal
            | Self::Control
            | Self::Unknown => None,
        }
    }

    pub(crate) fn hook(&self) -> Option<&str> {
        match self {
            Self::Hook { name } => Some(name),
            Self::Dispatch { .. }
            | Self::WorkflowDispatch { .. }
            | Self::Repo { .. }
            | Self::Actions { .. }
            | Self::RateLimit
            | Self::User
            | Self::Versions
            | Self::App(_)
            | Self::Journal
            | Self::Control
            | Self::Unknown => None,
        }
    }

    /// Name under which a script for this call is found.
    pub(crate) fn script_target(&self, path: &str) -> Option<String> {
        match self {
            Self::Dispatch { repo } | Self::WorkflowDispatch { repo } => Some(repo.clone()),
            Self::Hook { name } => Some(name.clone()),
            Self::App(AppCall::Token(_)) => Some(format!("POST {}", without_root(path))),
            Self::RateLimit
            | Self::User
            | Self::Repo { .. }
            | Self::Actions { .. }
            | Self::Versions
            | Self::App(_) => Some(format!("GET {}", without_root(path))),
            Self::Journal | Self::Control | Self::Unknown => None,
        }
    }

    /// Whether a status means that the request was carried out.
    pub(crate) fn accepts(&self, status: u16) -> bool {
        match self {
            Self::Dispatch { .. } => status == 204,
            Self::WorkflowDispatch { .. } => status == 200 || status == 204,
            Self::Hook { .. } => (200..300).contains(&status),
            Self::RateLimit
            | Self::User
            | Self::Repo { .. }
            | Self::Actions { .. }
            | Self::Versions
            | Self::App(_)
            | Self::Journal
            | Self::Control
            | Self::Unknown => false,
        }
    }
}

fn without_root(path: &str) -> &str {
    match path.strip_prefix("/api/v3") {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) | None => path,
    }
}

fn slug(owner: &str, repo: &str) -> String {
    format!("{owner}/{repo}")
}

#[cfg(test)]
mod tests;
