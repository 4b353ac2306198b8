//! What a token may do: no more than the requests that it is for.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value, json};

/// A repository permission (GitHub docs: permissions required for GitHub Apps).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// `actions: write`, for workflow dispatches.
    Actions,
    /// `contents: write`, for repository dispatches.
    Contents,
    /// `statuses: write`, for commit statuses.
    Statuses,
}

impl Permission {
    /// GitHub's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Actions => "actions",
            Self::Contents => "contents",
            Self::Statuses => "statuses",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: write", self.as_str())
    }
}

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// These permissions.
    Only(BTreeSet<Permission>),
    /// All that the installation has: some path is none whose permission is known.
    All,
}

impl Scope {
    /// What a request to this URL needs; it may be a template with placeholders.
    pub fn of(url: &str) -> Self {
        let permission = match below_repos(url).as_deref() {
            Some([_, _, "dispatches"]) => Permission::Contents,
            Some([_, _, "actions", "workflows", _, "dispatches"]) => Permission::Actions,
            Some([_, _, "statuses", _]) => Permission::Statuses,
            Some(_) | None => return Self::All,
        };
        Self::Only(BTreeSet::from([permission]))
    }

    /// What both need.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(mut one), Self::Only(other)) => {
                one.extend(other);
                Self::Only(one)
            }
            (Self::All, _) | (_, Self::All) => Self::All,
        }
    }

    /// Whether a token of this scope suffices for what needs `other`.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(own), Self::Only(other)) => own.is_superset(other),
        }
    }

    /// What of it an installation lacks, if it has `granted`, as GitHub tells them.
    pub fn missing(&self, granted: &Map<String, Value>) -> BTreeSet<Permission> {
        let is_granted = |permission: &Permission| {
            matches!(
                granted.get(permission.as_str()).and_then(Value::as_str),
                Some("write" | "admin")
            )
        };
        match self {
            Self::All => BTreeSet::new(),
            Self::Only(own) => own.iter().filter(|one| !is_granted(one)).copied().collect(),
        }
    }

    /// The permissions that it names.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        let own = match self {
            Self::All => None,
            Self::Only(own) => Some(own.iter().copied()),
        };
        own.into_iter().flatten()
    }

    /// The scope without these permissions.
    #[must_use]
    pub fn without(self, missing: &BTreeSet<Permission>) -> Self {
        match self {
            Self::All => Self::All,
            Self::Only(own) => Self::Only(own.difference(missing).copied().collect()),
        }
    }
}

/// Owner and name of the repository that a request is about; `None` where its path names none.
pub fn repository(url: &str) -> Option<(&str, &str)> {
    match below_repos(url)?.as_slice() {
        [owner, repo, ..] if !owner.is_empty() && !repo.is_empty() => Some((owner, repo)),
        _ => None,
    }
}

/// The body of a request for a token: narrowed to the scope, and to one repository if it is given.
pub fn token_request(scope: &Scope, repository: Option<&str>) -> Value {
    let mut body = Map::new();
    if let Scope::Only(_) = scope {
        let named = scope.permissions().map(|one| (one.as_str().to_owned(), json!("write")));
        body.insert("permissions".to_owned(), Value::Object(named.collect()));
    }
    if let Some(repository) = repository {
        body.insert("repositories".to_owned(), json!([repository]));
    }
    Value::Object(body)
}

/// The segments of a path behind `[/api/v3]/repos/`. Placeholders hold no slash.
fn below_repos(url: &str) -> Option<Vec<&str>> {
    let (_, rest) = url.split_once("://")?;
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        ["api", "v3", "repos", rest @ ..] | ["repos", rest @ ..] => Some(rest.to_vec()),
        _ => None,
    }
}
