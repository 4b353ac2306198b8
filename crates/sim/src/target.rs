//! Targets and their weather.

use std::time::Duration;

use postrider_domain::{Answer, GithubAnswer, TargetKind};

use crate::chance::Chance;

/// What a target does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Takes them within so many milliseconds.
    Fine(u64),
    /// Takes them after exactly so many.
    Steady(u64),
    /// Takes connections and says nothing.
    Hangs,
    /// Refuses connections.
    Refuses,
    /// Breaks connections once the request is there.
    Resets,
    /// The credential is dead.
    Rejects,
    /// Asks to be left alone for so many milliseconds, or does not say how long.
    Limits(Option<u64>),
    /// Fails with this status.
    Fails(u16),
    /// Any of it.
    Mixed,
}

/// A target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) kind: TargetKind,
    pub(crate) weather: Weather,
}

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaction {
    /// What the sender sees, and after how many milliseconds; `None`: nothing, ever.
    pub(crate) answer: Option<(u64, Answer)>,
    /// It took effect.
    pub(crate) took_effect: bool,
}

impl Target {
    pub(crate) fn react(self, chance: &mut Chance) -> Reaction {
        let weather = match self.weather {
            Weather::Mixed => any(chance),
            other => other,
        };
        let wait = chance.within(1..=30);
        match weather {
            Weather::Fine(most) => Reaction {
                answer: Some((chance.within(1..=most.max(1)), self.taken())),
                took_effect: true,
            },
            Weather::Steady(wait) => {
                Reaction { answer: Some((wait, self.taken())), took_effect: true }
            }
            Weather::Hangs => Reaction { answer: None, took_effect: chance.one_in(2) },
            Weather::Refuses => not_taken(wait, Answer::ConnectFailed),
            Weather::Resets => Reaction {
                answer: Some((wait, Answer::ResetAfterSend)),
                took_effect: chance.one_in(2),
            },
            Weather::Rejects => not_taken(wait, self.says(401, GithubAnswer::TokenRefused, None)),
            Weather::Limits(pause) => {
                let pause = pause.map(Duration::from_millis);
                not_taken(wait, self.says(429, GithubAnswer::RateLimited { wait: pause }, pause))
            }
            Weather::Fails(status) => Reaction {
                answer: Some((wait, self.says(status, GithubAnswer::ServerError, None))),
                took_effect: matches!(status, 502 | 504) && chance.one_in(2),
            },
            Weather::Mixed => not_taken(wait, self.says(503, GithubAnswer::ServerError, None)),
        }
    }

    /// Whether a read with the credential would be answered well, and a pause if it is asked for.
    pub(crate) fn reads(self) -> bool {
        matches!(
            self.weather,
            Weather::Fine(_) | Weather::Steady(_) | Weather::Fails(_) | Weather::Mixed
        )
    }

    fn taken(self) -> Answer {
        self.says(if self.kind.is_github() { 204 } else { 200 }, GithubAnswer::Accepted, None)
    }

    fn says(self, status: u16, github: GithubAnswer, retry_after: Option<Duration>) -> Answer {
        let github = self.kind.is_github().then_some(github);
        Answer::Response { status, github, wait: retry_after, asks_to_sign_in: false }
    }
}

fn not_taken(wait: u64, answer: Answer) -> Reaction {
    Reaction { answer: Some((wait, answer)), took_effect: false }
}

/// Any weather but a mixed one.
pub(crate) fn any(chance: &mut Chance) -> Weather {
    match chance.within(0..=11) {
        0 => Weather::Hangs,
        1 => Weather::Refuses,
        2 => Weather::Resets,
        3 => Weather::Rejects,
        4 if chance.one_in(4) => Weather::Limits(None),
        4 => Weather::Limits(Some(chance.within(500..=20_000))),
        5 => Weather::Fails(503),
        6 => Weather::Fails(502),
        7 => Weather::Fails(504),
        8 => Weather::Fine(2_000),
        _ => Weather::Fine(30),
    }
}
