//! A batch of outcomes, column by column, as `unnest` takes it: what a row becomes and its
//! attempt.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use postrider_domain::{Due, NextRow, WebhookId};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres};
use uuid::Uuid;

use super::in_time::InTime;
use super::lanes::LaneNews;
use crate::{AttemptRow, Recorded, codec};

/// Writes what each row becomes (only under its claim: FENCE) and its attempt (always), sets
/// poison aside, and answers the ordinals of those that were in time.
///
/// A late attempt replaces the `lost` that the janitor left in its place; anything else that
/// stands there is the same attempt, recorded before.
pub(super) const RECORD: &str = "
with u as (
    select * from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::integer[],
        $6::timestamptz[], $7::bigint[], $8::boolean[], $9::boolean[], $10::integer[],
        $11::integer[], $12::text[], $13::integer[], $14::boolean[], $15::integer[],
        $16::timestamptz[], $17::bigint[], $18::text[], $19::integer[], $20::text[],
        $21::boolean[], $22::text[], $23::text[], $24::bigint[], $25::bigint[], $26::integer[],
        $27::integer[], $28::boolean[])
        with ordinality
        as u (id, claim_no, webhook_id, status, given_back, due_at, due_ms, in_turn, marks,
            rejections, lost_claims, last_outcome, last_status_code, poison, number, started_at,
            duration_ms, outcome, status_code, request_id, duplicate, request, response, rev,
            span_id, renderer, bytes, capped, ord)),
g as (
    update deliveries d set status = u.status, attempt = d.attempt - u.given_back,
        next_at = coalesce(u.due_at, now() + u.due_ms * interval '1 millisecond',
            case when u.in_turn then d.created_at end),
        maybe_sent = d.maybe_sent or u.marks, refusals = u.rejections,
        lost_claims = u.lost_claims,
        attempts_recorded = d.attempts_recorded + (u.outcome is not null)::integer,
        last_outcome = coalesce(u.last_outcome, d.last_outcome),
        last_status_code = case when u.last_outcome is null then d.last_status_code
            else u.last_status_code end,
        claimed_by = null, claimed_until = null, updated_at = now()
    from u
    where d.id = u.id and d.status = 'sending' and d.claim_no = u.claim_no
    returning d.id, u.webhook_id, u.poison, u.ord),
kept as (
    insert into attempts as k (delivery_id, claim_no, number, started_at, duration_ms, outcome,
        status_code, github_request_id, possible_duplicate, request, response, webhook_rev,
        span_id, renderer, request_bytes, retry_after_capped)
    select id, claim_no, number, started_at, duration_ms, outcome, status_code, request_id,
        duplicate, request, response, rev, span_id, renderer, bytes, capped
    from u where outcome is not null
    on conflict (delivery_id, claim_no) do update set
        started_at = excluded.started_at, duration_ms = excluded.duration_ms,
        outcome = excluded.outcome, status_code = excluded.status_code,
        github_request_id = excluded.github_request_id, request = excluded.request,
        response = excluded.response, webhook_rev = excluded.webhook_rev,
        span_id = excluded.span_id, renderer = excluded.renderer,
        request_bytes = excluded.request_bytes,
        retry_after_capped = excluded.retry_after_capped
    where k.outcome = 'lost'),
aside as (
    insert into poisoned (delivery_id, webhook_id)
    select id, webhook_id from g where poison
    on conflict (delivery_id) do update set at = now())
select coalesce(array_agg(ord), '{}') from g";

pub(super) async fn record(
    conn: &mut PgConnection,
    batch: &[&Recorded],
    lanes: &LaneNews,
) -> Result<InTime, sqlx::Error> {
    let next = |each: &&Recorded| (each.webhook_id, each.next(lanes.rejection(each)));
    let claims = ClaimColumns::of(batch);
    let rows = RowColumns::of(batch.iter().map(next));
    let attempts = AttemptColumns::of(batch);
    let is_capped =
        |each: &&Recorded| each.attempt.as_ref().is_some_and(|kept| kept.retry_after_capped);
    let capped: Vec<bool> = batch.iter().map(is_capped).collect();
    let query = attempts.bind(rows.bind(claims.bind(sqlx::query(RECORD)))).bind(capped);
    let recorded: Vec<i64> = sqlx::Row::try_get(&query.fetch_one(conn).await?, 0)?;
    Ok(InTime::new(batch.len(), &recorded))
}

/// Which claims.
#[derive(Default)]
pub(super) struct ClaimColumns {
    ids: Vec<Uuid>,
    claims: Vec<i64>,
    webhooks: Vec<i64>,
}

impl ClaimColumns {
    pub(super) fn of(batch: &[&Recorded]) -> Self {
        let mut columns = Self::default();
        for each in batch {
            columns.ids.push(each.id.0);
            columns.claims.push(each.claim_no.0);
            columns.webhooks.push(each.webhook_id.0);
        }
        columns
    }

    pub(super) fn bind(
        self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Query<'_, Postgres, PgArguments> {
        query.bind(self.ids).bind(self.claims).bind(self.webhooks)
    }
}

/// What the rows become.
#[derive(Default)]
struct RowColumns {
    statuses: Vec<&'static str>,
    given_back: Vec<i32>,
    due_at: Vec<Option<jiff_sqlx::Timestamp>>,
    due_ms: Vec<Option<i64>>,
    in_turn: Vec<bool>,
    marks: Vec<bool>,
    rejections: Vec<i32>,
    lost_claims: Vec<i32>,
    outcomes: Vec<Option<&'static str>>,
    codes: Vec<Option<i32>>,
    poison: Vec<bool>,
}

impl RowColumns {
    fn of(rows: impl Iterator<Item = (WebhookId, NextRow)>) -> Self {
        let mut columns = Self::default();
        rows.for_each(|(webhook, row)| columns.push(webhook, &row));
        columns
    }

    fn push(&mut self, webhook: WebhookId, row: &NextRow) {
        let (due_at, due_ms, in_turn) = match row.due {
            Due::Never => (None, None, false),
            Due::InTurn => (None, None, true),
            Due::First => (Some(Timestamp::UNIX_EPOCH.to_sqlx()), None, false),
            Due::Aside => (Some(aside(webhook).to_sqlx()), None, false),
            Due::After(wait) => (None, Some(codec::millis(wait)), false),
        };
        self.statuses.push(row.status.as_str());
        self.given_back.push(i32::from(row.gives_back));
        self.due_at.push(due_at);
        self.due_ms.push(due_ms);
        self.in_turn.push(in_turn);
        self.marks.push(row.marks);
        self.rejections.push(codec::narrow(row.rejections));
        self.lost_claims.push(codec::narrow(row.lost_claims));
        self.outcomes.push(row.last.map(|last| last.outcome.as_str()));
        self.codes.push(row.last.and_then(|last| last.status_code).map(i32::from));
        self.poison.push(row.is_poisoned());
    }

    fn bind(self, query: Query<'_, Postgres, PgArguments>) -> Query<'_, Postgres, PgArguments> {
        query
            .bind(self.statuses)
            .bind(self.given_back)
            .bind(self.due_at)
            .bind(self.due_ms)
            .bind(self.in_turn)
            .bind(self.marks)
            .bind(self.rejections)
            .bind(self.lost_claims)
            .bind(self.outcomes)
            .bind(self.codes)
            .bind(self.poison)
    }
}

/// The attempts; all null where nothing was attempted.
#[derive(Default)]
pub(super) struct AttemptColumns<'a> {
    numbers: Vec<Option<i32>>,
    started_at: Vec<Option<jiff_sqlx::Timestamp>>,
    durations: Vec<Option<i64>>,
    outcomes: Vec<Option<&'static str>>,
    codes: Vec<Option<i32>>,
    request_ids: Vec<Option<Cow<'a, str>>>,
    duplicates: Vec<Option<bool>>,
    requests: Vec<Option<Cow<'a, str>>>,
    responses: Vec<Option<Cow<'a, str>>>,
    revs: Vec<Option<i64>>,
    spans: Vec<Option<i64>>,
    renderers: Vec<Option<i32>>,
    bytes: Vec<Option<i32>>,
}

impl<'a> AttemptColumns<'a> {
    pub(super) fn of(batch: &[&'a Recorded]) -> Self {
        let mut columns = Self::default();
        for &each in batch {
            columns.push(each.attempt.as_ref());
        }
        columns
    }

    fn push(&mut self, attempt: Option<&'a AttemptRow>) {
        let rendition = attempt.and_then(|kept| kept.request.rendition());
        let request_id = attempt.and_then(|kept| kept.github_request_id.as_deref());
        self.numbers.push(attempt.map(|kept| codec::narrow(kept.number)));
        self.started_at.push(attempt.map(|kept| kept.started_at.to_sqlx()));
        self.durations.push(attempt.map(|kept| codec::millis(kept.duration)));
        self.outcomes.push(attempt.map(|kept| kept.outcome.as_str()));
        self.codes.push(attempt.and_then(|kept| kept.status_code).map(i32::from));
        self.request_ids.push(request_id.map(without_nul));
        self.duplicates.push(attempt.map(|kept| kept.possible_duplicate));
        self.requests.push(attempt.map(|kept| without_nul(kept.request.text())));
        self.responses.push(attempt.map(|kept| without_nul(&kept.response)));
        self.revs.push(rendition.map(|rendition| rendition.webhook_rev));
        self.spans.push(rendition.map(|rendition| i64::from_be_bytes(rendition.span_id)));
        self.renderers.push(rendition.map(|rendition| codec::narrow(rendition.renderer)));
        self.bytes.push(rendition.map(|rendition| codec::narrow(rendition.body_bytes)));
    }

    pub(super) fn bind<'q>(
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
            .bind(&self.revs)
            .bind(&self.spans)
            .bind(&self.renderers)
            .bind(&self.bytes)
    }
}

/// Where a parked webhook's deliveries stand.
fn aside(webhook: WebhookId) -> Timestamp {
    Timestamp::from_microsecond(codec::aside(webhook)).unwrap_or(Timestamp::MAX)
}

/// Postgres text can't hold U+0000, which an answer may.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}
