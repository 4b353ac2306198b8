//! Asking the broker about many pairs without asking too much of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use postrider_broker::{Broker, BrokerError, LineChoice, Pair, Scope, SideChoice, Survey};
use postrider_domain::owed::PairState;
use postrider_domain::suggestions;
use tokio::sync::OnceCell;

use super::by::By;
use super::judge::{Answer, Finding, Question, Rule, judge, newest};
use super::rule::Owes;

/// Questions that the broker works on at one time.
const SIDE_BY_SIDE: usize = 4;
/// After so many unanswered questions the rest is not asked: with time-outs and repeats each
/// costs minutes.
const MAX_AWAY: u32 = 3;

/// Asks about every pair; the findings are in the questions' order.
pub(super) async fn all(
    broker: &Broker,
    questions: Vec<Question>,
    by: &By,
    rule: &Rule<'_>,
) -> Vec<Finding> {
    let scope = if questions.len() > 2 { Scope::Many } else { Scope::Few };
    let survey = Survey::new(broker, scope);
    let asking = Asking { broker, survey, by, names: OnceCell::new(), away: AtomicU32::new(0) };
    // Draws on standard error, and only if that is a terminal.
    let progress = match questions.len() {
        1 => ProgressBar::hidden(),
        several => ProgressBar::new(several as u64),
    };
    let findings = stream::iter(questions)
        .map(async |question| {
            let answer = asking.one(&question, rule).await;
            progress.inc(1);
            Finding { question, answer }
        })
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await;
    progress.finish_and_clear();
    findings
}

struct Asking<'a> {
    broker: &'a Broker,
    survey: Survey<'a>,
    by: &'a By,
    /// The broker's pacticipants, read when a name seems wrong.
    names: OnceCell<Vec<String>>,
    away: AtomicU32,
}

impl Asking<'_> {
    async fn one(&self, question: &Question, rule: &Rule<'_>) -> Answer {
        if self.away.load(Ordering::Relaxed) >= MAX_AWAY {
            return Answer::NotAsked;
        }
        let asked = match self.by {
            By::AnyResult => self.any_result(question, rule).await,
            By::Rule(lines, side) => self.by_rule(question, lines, side, rule).await,
        };
        match asked {
            Ok(answer) => answer,
            Err(BrokerError::UnknownName { names, .. }) => {
                let mut hinted = Vec::new();
                for name in names {
                    let hint = self.hint(&name).await;
                    hinted.push((name, hint));
                }
                Answer::UnknownName(hinted)
            }
            Err(error) => {
                self.away.fetch_add(weight(&error), Ordering::Relaxed);
                Answer::Failed(error)
            }
        }
    }

    async fn any_result(
        &self,
        question: &Question,
        rule: &Rule<'_>,
    ) -> Result<Answer, BrokerError> {
        let pair = &question.pair;
        let rows = self.broker.matrix(pair).await?;
        if !rows.is_empty() {
            return Ok(judge(&rows, question.max_age, rule));
        }
        let unknown = self.unknown(pair).await;
        Ok(if unknown.is_empty() {
            Answer::Unverified { published_at: None }
        } else {
            Answer::UnknownName(unknown)
        })
    }

    async fn by_rule(
        &self,
        question: &Question,
        lines: &LineChoice,
        side: &SideChoice,
        rule: &Rule<'_>,
    ) -> Result<Answer, BrokerError> {
        let Question { pair, max_age } = question;
        let view = self.survey.view(pair, lines, side).await?;
        if view.contracts.is_empty() && !view.is_dropped {
            return Ok(Answer::Unverified { published_at: None });
        }
        let mut owes = Owes::of(&self.survey, pair, &view, *max_age, rule.quiet, rule.now).await?;
        let newest = newest(&view.rows, rule);
        // A pair that has no result at all is no better for being young.
        if newest.is_none() && owes.judged.state == PairState::Owing {
            let rows = self.broker.matrix(pair).await?;
            owes.is_unverified = rows.iter().all(|row| row.verification.is_none());
        }
        Ok(Answer::Judged(Box::new(owes), newest))
    }

    /// The pair's names that the broker doesn't know; none when it doesn't say what it knows.
    async fn unknown(&self, pair: &Pair) -> Vec<(String, String)> {
        let known = self.known().await;
        let mut unknown = Vec::new();
        for name in [&pair.consumer, &pair.provider] {
            if !known.is_empty() && !known.contains(name) {
                unknown.push((name.clone(), self.hint(name).await));
            }
        }
        unknown
    }

    async fn hint(&self, name: &str) -> String {
        suggestions::hint(name, self.known().await.iter().map(String::as_str))
    }

    async fn known(&self) -> &[String] {
        self.names.get_or_init(async || names(self.broker).await).await
    }
}

/// Every name that the broker knows, or none when it doesn't say; then nothing can be hinted at.
async fn names(broker: &Broker) -> Vec<String> {
    match broker.pacticipants().await {
        Ok(names) if !names.is_empty() => names,
        Ok(_) | Err(_) => {
            let pairs = broker.pairs().await.unwrap_or_default();
            let names = pairs.into_iter().flat_map(|pair| [pair.consumer, pair.provider]);
            names.collect::<BTreeSet<_>>().into_iter().collect()
        }
    }
}

/// A refused credential and a rate limit hold for every pair, trouble perhaps only for one.
fn weight(error: &BrokerError) -> u32 {
    match error {
        BrokerError::Credential { .. } | BrokerError::RateLimited { .. } => MAX_AWAY,
        BrokerError::Away { .. } | BrokerError::Unexpected { .. } => 1,
        BrokerError::Setup { .. } | BrokerError::UnknownName { .. } => 0,
    }
}
