//! What answers say of credentials, until it is written down: seldom, and never by the steps that
//! deliveries wait for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use postrider_domain::{Outcome, Target};
use postrider_github::TokenFacts;
use postrider_store::{CredentialNews, GithubFacts};
use tokio::time::Instant;

/// A success is written at most once in so long.
const EVERY: Duration = Duration::from_mins(1);
/// Secrets that are known of.
const MOST: usize = 10_000;

/// What one answer says of the secret that its request was authenticated with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saw {
    pub(crate) succeeded: bool,
    pub(crate) refused: bool,
    /// From GitHub, to a token that was taken.
    pub(crate) github: Option<TokenFacts>,
}

impl Saw {
    /// What an attempt's answer says.
    pub(crate) fn of(
        outcome: Outcome,
        target: Target,
        answer: Option<(StatusCode, &HeaderMap)>,
    ) -> Self {
        let github = answer.filter(|(status, headers)| {
            status.is_success() && postrider_github::is_answer_of_github(target, headers)
        });
        Self {
            succeeded: outcome == Outcome::Accepted,
            refused: outcome == Outcome::Credential,
            github: github.map(|(_, headers)| postrider_github::token_facts(headers)),
        }
    }

    fn is_nothing(&self) -> bool {
        !self.succeeded && !self.refused && self.github.is_none()
    }
}

/// What is known of the credentials that this process sends.
#[derive(Debug, Default)]
pub(crate) struct Book(Mutex<HashMap<String, Entry>>);

/// A secret.
#[derive(Debug, Default)]
struct Entry {
    github: Option<TokenFacts>,
    succeeded: Option<Instant>,
    refused: Option<Instant>,
    written: Option<Written>,
}

/// What was written of it last.
#[derive(Debug)]
struct Written {
    at: Instant,
    github: Option<TokenFacts>,
    refused: Option<Instant>,
}

impl Entry {
    fn sees(&mut self, saw: Saw, now: Instant) {
        if saw.succeeded {
            self.succeeded = Some(now);
        }
        if saw.refused {
            self.refused = Some(now);
        }
        if saw.github.is_some() {
            self.github = saw.github;
        }
    }

    /// Something else is known than was written, or it was written a while ago.
    fn is_due(&self, now: Instant) -> bool {
        let Some(written) = &self.written else { return true };
        let is_old = now.duration_since(written.at) >= EVERY;
        let is_newer = |at: Option<Instant>| at.is_some_and(|at| at > written.at);
        self.github != written.github
            || (is_newer(self.refused) && (written.refused.is_none() || is_old))
            || (is_newer(self.succeeded) && is_old)
    }

    fn news(&self, name: &str, now: Instant) -> CredentialNews {
        let ago = |at: Option<Instant>| at.map(|at| now.duration_since(at));
        CredentialNews {
            name: name.to_owned(),
            github: self.github.clone().map(|facts| GithubFacts {
                owner: None,
                scopes: facts.scopes,
                expires_at: facts.expires_at,
            }),
            succeeded: ago(self.succeeded),
            refused: ago(self.refused),
        }
    }
}

impl Book {
    /// An answer came to a request that was authenticated with this secret.
    pub(crate) fn sees(&self, secret: &str, saw: Saw) {
        self.sees_at(secret, saw, Instant::now());
    }

    fn sees_at(&self, secret: &str, saw: Saw, now: Instant) {
        if saw.is_nothing() {
            return;
        }
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(secret) {
            entry.sees(saw, now);
        } else if entries.len() < MOST {
            entries.entry(secret.to_owned()).or_default().sees(saw, now);
        }
    }

    /// What is to be written now; it counts as written.
    pub(crate) fn take(&self, now: Instant) -> Vec<CredentialNews> {
        let mut news = Vec::new();
        for (name, entry) in self.entries().iter_mut().filter(|(_, entry)| entry.is_due(now)) {
            news.push(entry.news(name, now));
            let (github, refused) = (entry.github.clone(), entry.refused);
            entry.written = Some(Written { at: now, github, refused });
        }
        news
    }

    /// It could not be written.
    pub(crate) fn put_back(&self, news: &[CredentialNews]) {
        let mut entries = self.entries();
        for one in news {
            if let Some(entry) = entries.get_mut(&one.name) {
                entry.written = None;
            }
        }
    }

    /// Nothing panics while the lock is held.
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn success() -> Saw {
        Saw { succeeded: true, github: Some(TokenFacts::default()), ..Saw::default() }
    }

    fn refusal() -> Saw {
        Saw { refused: true, ..Saw::default() }
    }

    #[test]
    fn a_success_is_written_once_a_minute_and_a_change_at_once() {
        let (book, start) = (Book::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let taken = |seconds| book.take(at(seconds)).len();
        book.sees_at("a", Saw::default(), at(0));
        assert_eq!(taken(0), 0, "it said nothing");
        book.sees_at("a", success(), at(0));
        assert_eq!([taken(0), taken(0)], [1, 0]);
        book.sees_at("a", success(), at(30));
        assert_eq!(taken(30), 0, "not a minute is over");
        assert_eq!([taken(61), taken(61)], [1, 0]);
        let scopes = Some(vec!["repo".to_owned()]);
        let changed = TokenFacts { scopes: scopes.clone(), expires_at: None };
        book.sees_at("a", Saw { github: Some(changed), ..success() }, at(62));
        let news = book.take(at(62));
        assert_eq!(news[0].github.as_ref().unwrap().scopes, scopes);
        assert_eq!(news[0].succeeded, Some(Duration::ZERO));
    }

    #[test]
    fn the_first_refusal_is_written_at_once_and_what_failed_again() {
        let (book, start) = (Book::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        book.sees_at("a", success(), at(0));
        book.take(at(0));
        book.sees_at("a", refusal(), at(1));
        let news = book.take(at(1));
        assert_eq!((news.len(), news[0].refused), (1, Some(Duration::ZERO)));
        book.sees_at("a", refusal(), at(2));
        assert!(book.take(at(2)).is_empty(), "one of many");
        book.put_back(&news);
        assert_eq!(book.take(at(2)).len(), 1);
    }

    #[test]
    fn only_so_many_are_known_of() {
        let book = Book::default();
        for i in 0..=MOST {
            book.sees(&i.to_string(), success());
        }
        assert_eq!(book.take(Instant::now()).len(), MOST);
    }
}
