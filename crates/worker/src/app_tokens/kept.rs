//! The tokens of a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_github::{Scope, TokenState, token_state};
use secrecy::SecretString;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use super::mint::{Minted, Minter};
use super::wanted::{Failure, Key, Wanted};
use crate::clock::BoottimeInstant;

/// Tokens that are kept; of more the one that was not used for longest is dropped.
const KEPT: usize = 1_024;
/// Tokens that are minted at a time.
const MINTED_AT_A_TIME: usize = 16;
/// So long one waits for its turn.
const PLACE_WITHIN: Duration = Duration::from_secs(5);
/// A failure is told again for so long without asking.
const FAILURE_TOLD_FOR: Duration = Duration::from_secs(1);
/// How often somebody waits for others' tokens before going without.
const ROUNDS: usize = 4;

/// A token.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) value: SecretString,
    /// Unlike that of every other token of this process.
    pub(crate) number: u64,
    scope: Scope,
    minted: BoottimeInstant,
    lives: Duration,
}

impl Token {
    fn state(&self) -> TokenState {
        token_state(self.lives.saturating_sub(self.minted.elapsed()))
    }
}

/// Why somebody got none.
#[derive(Debug)]
pub(crate) enum NoToken {
    Failed(Failure),
    /// It is still being minted.
    NotInTime,
}

type Flight = watch::Receiver<Option<Result<Arc<Token>, Failure>>>;

/// What is known of one token.
#[derive(Debug)]
struct Entry {
    /// As it was found for an owner.
    installation: Option<u64>,
    token: Option<Arc<Token>>,
    /// Set while one is minted.
    flight: Option<Flight>,
    failed: Option<(BoottimeInstant, Failure)>,
    /// The newest token that was refused and for which another was minted; until one is taken.
    refused: Option<u64>,
    used: BoottimeInstant,
}

/// What somebody who wants a token does.
enum Look {
    Use(Arc<Token>),
    Fail(Failure),
    /// Wait; the token, if there is one, does where that fails.
    Wait(Flight, Option<Arc<Token>>),
}

/// The tokens of a process. A clone has the same.
#[derive(Debug, Clone)]
pub(crate) struct AppTokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    minter: Minter,
    entries: Mutex<Entries>,
    minting: Semaphore,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Entries {
    of: HashMap<Key, Entry>,
    minted: u64,
}

impl AppTokens {
    pub(crate) fn new(minter: Minter) -> Self {
        Self(Arc::new(Inner {
            minter,
            entries: Mutex::default(),
            minting: Semaphore::new(MINTED_AT_A_TIME),
            tasks: TaskTracker::new(),
        }))
    }

    /// A token that suffices; waits for one no longer than `patience`.
    pub(crate) async fn token(
        &self,
        key: &Key,
        wanted: &Wanted,
        patience: Duration,
    ) -> Result<Arc<Token>, NoToken> {
        let deadline = Instant::now() + patience;
        for _ in 0..ROUNDS {
            let (mut flight, spare) = match self.look(key, wanted) {
                Look::Use(token) => return Ok(token),
                Look::Fail(failure) => return Err(NoToken::Failed(failure)),
                Look::Wait(flight, spare) => (flight, spare),
            };
            let Ok(landed) = timeout_at(deadline, flight.wait_for(Option::is_some)).await else {
                return spare.ok_or(NoToken::NotInTime);
            };
            let came = landed.ok().and_then(|landed| landed.clone());
            match came.unwrap_or_else(|| Err(Failure::away("minting was cut off"))) {
                Ok(token) if token.scope.covers(&wanted.need) => return Ok(token),
                Err(failure) if failure.concerns(&wanted.need) => {
                    return spare.ok_or(NoToken::Failed(failure));
                }
                // It was another's, for something else.
                Ok(_) | Err(_) => {}
            }
        }
        Err(NoToken::NotInTime)
    }

    fn look(&self, key: &Key, wanted: &Wanted) -> Look {
        let mut entries = self.locked();
        let entry = entries.entry(key);
        entry.used = BoottimeInstant::now();
        let token = entry.token.clone().filter(|token| token.scope.covers(&wanted.need));
        let state = token.as_ref().map_or(TokenState::Over, |token| token.state());
        let token = token.filter(|_| state != TokenState::Over);
        if let (Some(token), TokenState::Fresh) = (&token, state) {
            return Look::Use(Arc::clone(token));
        }
        if let Some(flight) = &entry.flight {
            return Look::Wait(flight.clone(), token);
        }
        let failed = entry.failed.as_ref().filter(|(at, failure)| {
            at.elapsed() < FAILURE_TOLD_FOR && failure.concerns(&wanted.need)
        });
        if let Some((_, failure)) = failed {
            return token.map_or_else(|| Look::Fail(failure.clone()), Look::Use);
        }
        let (sender, flight) = watch::channel(None);
        entry.flight = Some(flight.clone());
        let installation = entry.installation;
        let landing = Landing { tokens: self.clone(), key: key.clone(), sender };
        let wanted = wanted.clone();
        let tokens = self.clone();
        self.0.tasks.spawn(async move {
            let Inner { minter, minting, .. } = &*tokens.0;
            let minted = match tokio::time::timeout(PLACE_WITHIN, minting.acquire()).await {
                Ok(Ok(_permit)) => minter.mint(&landing.key, &wanted, installation).await,
                Ok(Err(_)) | Err(_) => Err(Failure::away("too many are minted at a time")),
            };
            landing.land(minted);
        });
        Look::Wait(flight, token)
    }

    /// GitHub refused a token, which is used no more. Whether it is worth another: not when it
    /// was minted for one that had been refused.
    pub(crate) fn refused(&self, used: &InUse) -> bool {
        let mut entries = self.locked();
        let Some(entry) = entries.of.get_mut(&used.key) else { return true };
        entry.token = entry.token.take().filter(|token| token.number != used.number);
        // Several requests may have been under way with the same token.
        used.number <= *entry.refused.get_or_insert(used.number)
    }

    /// A token is used no more.
    pub(crate) fn forget(&self, used: &InUse) {
        if let Some(entry) = self.locked().of.get_mut(&used.key) {
            entry.token = entry.token.take().filter(|token| token.number != used.number);
        }
    }

    /// GitHub took a token.
    pub(crate) fn taken(&self, used: &InUse) {
        if let Some(entry) = self.locked().of.get_mut(&used.key) {
            entry.refused = entry.refused.filter(|refused| used.number <= *refused);
        }
    }

    /// Nothing panics while the lock is held, so a poisoned one still holds whole entries.
    fn locked(&self) -> MutexGuard<'_, Entries> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn entry(&mut self, key: &Key) -> &mut Entry {
        if !self.of.contains_key(key) && self.of.len() >= KEPT {
            let idle = self.of.iter().filter(|(_, entry)| entry.flight.is_none());
            let oldest = idle.max_by_key(|(_, entry)| entry.used.elapsed());
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.of.remove(&oldest);
            }
        }
        self.of.entry(key.clone()).or_insert_with(|| Entry {
            installation: None,
            token: None,
            flight: None,
            failed: None,
            refused: None,
            used: BoottimeInstant::now(),
        })
    }
}

/// A token that a request is made with.
#[derive(Debug, Clone)]
pub(crate) struct InUse {
    pub(crate) key: Key,
    pub(crate) number: u64,
}

/// Where a minted token, or what became of it, is noted; also when minting panics.
struct Landing {
    tokens: AppTokens,
    key: Key,
    sender: watch::Sender<Option<Result<Arc<Token>, Failure>>>,
}

impl Landing {
    fn land(&self, minted: Result<Minted, Failure>) {
        let mut entries = self.tokens.locked();
        entries.minted += 1;
        let number = entries.minted;
        let entry = entries.entry(&self.key);
        let landed = minted.map(|minted| {
            let token = Arc::new(Token {
                value: minted.token,
                number,
                scope: minted.scope,
                minted: BoottimeInstant::now(),
                lives: minted.lives,
            });
            entry.installation = Some(minted.installation);
            entry.token = Some(Arc::clone(&token));
            entry.failed = None;
            token
        });
        if let Err(failure) = &landed {
            if failure.doubts_installation() {
                entry.installation = None;
            }
            entry.failed = Some((BoottimeInstant::now(), failure.clone()));
        }
        entry.flight = None;
        self.sender.send_replace(Some(landed));
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if self.sender.borrow().is_none()
            && let Some(entry) = self.tokens.locked().of.get_mut(&self.key)
        {
            entry.flight = None;
        }
    }
}

#[cfg(test)]
mod tests;
