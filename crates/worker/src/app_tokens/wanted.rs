//! What a token is asked for, and why there may be none.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::{Answer, GithubAnswer};
use postrider_github::Scope;
use postrider_http_client::Trouble;
use postrider_store::AppSecret;

/// What a request needs.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Name of the secret.
    pub(crate) name: String,
    pub(crate) app: Arc<AppSecret>,
    /// Owner and name of the repository that the request is about.
    pub(crate) repository: Option<(String, String)>,
    pub(crate) need: Scope,
}

/// Which token it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) rev: i64,
    pub(crate) place: Place,
    /// Where each repository has a token of its own.
    pub(crate) repository: Option<String>,
}

/// Which installation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Id(u64),
    /// In lower case.
    Owner(String),
}

/// Why there is no token.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// It means this for what waits.
    Means {
        answer: Answer,
        why: String,
        /// Set where it is about what these requests need, and not about all.
        need: Option<Scope>,
    },
    /// This machine can't ask.
    Local(Trouble),
}

impl Failure {
    pub(super) fn of_github(answer: GithubAnswer, wait: Option<Duration>, why: String) -> Self {
        // The status says nothing beside what GitHub's answer means.
        let answer =
            Answer::Response { status: 500, github: Some(answer), wait, asks_to_sign_in: false };
        Self::Means { answer, why, need: None }
    }

    pub(super) fn away(why: &str) -> Self {
        Self::of_github(GithubAnswer::ServerError, None, format!("no installation token: {why}"))
    }

    pub(super) fn concerns(&self, wanted: &Scope) -> bool {
        match self {
            Self::Means { need, .. } => need.as_ref().is_none_or(|need| need == wanted),
            Self::Local(_) => true,
        }
    }

    /// Whether the installation may be another one than was found once.
    pub(super) fn doubts_installation(&self) -> bool {
        match self {
            Self::Means { answer: Answer::Response { github, .. }, .. } => {
                *github == Some(GithubAnswer::TokenRefused)
            }
            Self::Means { .. } | Self::Local(_) => false,
        }
    }
}
