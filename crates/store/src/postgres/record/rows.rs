//! A batch of outcomes, column by column, as `unnest` takes it.

use std::borrow::Cow;

use jiff_sqlx::ToSqlx;
use postrider_domain::{Outcome, StoredStatus};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use super::lanes::LaneNews;
use crate::{AttemptRow, Recorded, Transition, codec};

#[derive(Default)]
pub(super) struct RowColumns<'a> {
    ids: Vec<Uuid>,
    claims: Vec<i64>,
    webhooks: Vec<i64>,
    lanes: Vec<i64>,
    statuses: Vec<&'static str>,
    given_back: Vec<i32>,
    after_ms: Vec<Option<i64>>,
    uncertain: Vec<bool>,
    refused: Vec<bool>,
    answered: Vec<bool>,
    attempts: AttemptColumns<'a>,
}

#[derive(Default)]
struct AttemptColumns<'a> {
    numbers: Vec<Option<i32>>,
    started_at: Vec<Option<jiff_sqlx::Timestamp>>,
    durations: Vec<Option<i64>>,
    outcomes: Vec<Option<&'static str>>,
    codes: Vec<Option<i32>>,
    request_ids: Vec<Option<Cow<'a, str>>>,
    duplicates: Vec<Option<bool>>,
    requests: Vec<Option<Cow<'a, str>>>,
    responses: Vec<Option<Cow<'a, str>>>,
    good: Vec<bool>,
    bad: Vec<bool>,
}

/// What a delivery's row becomes.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    status: StoredStatus,
    gives_back: bool,
    /// None: due at once (or final).
    after_ms: Option<i64>,
    uncertain: bool,
    refused: bool,
}

impl Change {
    fn to(status: StoredStatus) -> Self {
        Self { status, gives_back: false, after_ms: None, uncertain: false, refused: false }
    }

    fn given_back() -> Self {
        Self { gives_back: true, ..Self::to(StoredStatus::Waiting) }
    }

    fn of(recorded: &Recorded, news: &LaneNews) -> Self {
        match recorded.transition {
            Transition::Delivered => Self::to(StoredStatus::Delivered),
            Transition::Retry { after, uncertain } => Self {
                after_ms: Some(codec::millis(after)),
                uncertain,
                ..Self::to(StoredStatus::Waiting)
            },
            Transition::Failed { uncertain } => {
                Self { uncertain, ..Self::to(StoredStatus::Failed) }
            }
            Transition::HeldBack { secret_rev, retry_after, .. } => {
                let lane = recorded.lane_id;
                // A refusal of an older secret says nothing: the row is just due again.
                if news.is_held(lane) || !news.is_current(lane, secret_rev) {
                    return Self::given_back();
                }
                let after_ms = Some(codec::millis(retry_after));
                Self { after_ms, refused: true, ..Self::given_back() }
            }
            Transition::Limited { .. } | Transition::Released => Self::given_back(),
        }
    }
}

impl<'a> RowColumns<'a> {
    pub(super) fn of(batch: &[&'a Recorded], news: &LaneNews) -> Self {
        let mut columns = Self::default();
        for &recorded in batch {
            columns.push(recorded, &Change::of(recorded, news));
        }
        columns
    }

    fn push(&mut self, recorded: &'a Recorded, change: &Change) {
        self.ids.push(recorded.id.0);
        self.claims.push(recorded.claim_no.0);
        self.webhooks.push(recorded.webhook_id.0);
        self.lanes.push(recorded.lane_id.0);
        self.statuses.push(change.status.as_str());
        self.given_back.push(i32::from(change.gives_back));
        self.after_ms.push(change.after_ms);
        self.uncertain.push(change.uncertain);
        self.refused.push(change.refused);
        let attempt = recorded.attempt.as_ref();
        self.answered
            .push(attempt.is_some_and(|attempt| attempt.outcome.shows_a_live_credential()));
        self.attempts.push(attempt);
    }

    pub(super) fn bind<'q>(
        &'q self,
        query: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        let query = query
            .bind(&self.ids)
            .bind(&self.claims)
            .bind(&self.webhooks)
            .bind(&self.lanes)
            .bind(&self.statuses)
            .bind(&self.given_back)
            .bind(&self.after_ms)
            .bind(&self.uncertain)
            .bind(&self.refused)
            .bind(&self.answered);
        self.attempts.bind(query)
    }
}

impl<'a> AttemptColumns<'a> {
    /// All null where nothing was attempted.
    fn push(&mut self, attempt: Option<&'a AttemptRow>) {
        let text = |of: fn(&AttemptRow) -> &String| attempt.map(|kept| without_nul(of(kept)));
        let outcome = attempt.map(|kept| kept.outcome);
        self.numbers.push(attempt.map(|kept| i32::try_from(kept.number).unwrap_or(i32::MAX)));
        self.started_at.push(attempt.map(|kept| kept.started_at.to_sqlx()));
        self.durations.push(attempt.map(|kept| codec::millis(kept.duration)));
        self.outcomes.push(outcome.map(Outcome::as_str));
        self.codes.push(attempt.and_then(|kept| kept.status_code).map(i32::from));
        let request_id = attempt.and_then(|kept| kept.github_request_id.as_deref());
        self.request_ids.push(request_id.map(without_nul));
        self.duplicates.push(attempt.map(|kept| kept.possible_duplicate));
        self.requests.push(text(|kept| &kept.request));
        self.responses.push(text(|kept| &kept.response));
        self.good.push(outcome == Some(Outcome::Accepted));
        self.bad.push(outcome.is_some_and(is_failure));
    }

    fn bind<'q>(
        &'q self,
        query: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        query
            .bind(&self.numbers)
            .bind(&self.started_at)
            .bind(&self.durations)
            .bind(&self.outcomes)
            .bind(&self.codes)
            .bind(&self.request_ids)
            .bind(&self.duplicates)
            .bind(&self.requests)
            .bind(&self.responses)
            .bind(&self.good)
            .bind(&self.bad)
    }
}

/// Postgres text can't hold U+0000, which an answer may.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether an outcome counts towards a webhook's streak of failures.
fn is_failure(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Accepted | Outcome::RateLimited | Outcome::Lost)
}
