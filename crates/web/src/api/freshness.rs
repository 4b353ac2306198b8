//! How fresh each pair's verification is, judged with the rules of the monitor.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use jiff::Timestamp;
use postrider_api::{
    Basis, FailedVersion, FreshnessList, FreshnessQuery, HeldBackVersion, NextPage, OwedResult,
    PageQuery, PairFreshness,
};
use postrider_domain::{
    BrokerReach, FreshnessState, PairKey, SaidDebt, SaidFailure, SaidHold, Verdict, judge,
};
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::{BrokerRead, PairFilter, PairRow, StoreError, Total};
use serde_json::json;

use crate::api::example::TIME;
use crate::api::params::{Params, cursor_of, cursor_text, wrong};
use crate::app::App;

/// Pairs read by one statement.
const PAGE: u32 = 1_000;
/// Pages that are looked through for pairs of one state.
const PAGES: u32 = 100;

/// `GET /api/v1/freshness`, in the order of broker, consumer and provider.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[FreshnessQuery::NAMES, PageQuery::NAMES])?;
    let states = FreshnessState::ALL.map(FreshnessState::as_str).join(", ");
    let state: Option<FreshnessState> = params.parsed("state", &format!("one of {states}"))?;
    let owned = |name: &str| params.get(name).map(str::to_owned);
    let filter = PairFilter {
        broker: owned("broker"),
        consumer: owned("consumer"),
        provider: owned("provider"),
    };
    let cursor = params.get("cursor").map(read_cursor).transpose()?;
    let judged =
        Judged { app: &app, brokers: app.store().broker_reads().await?, now: Timestamp::now() };
    let (pairs, next) = judged.page(&filter, state, cursor, params.limit()?).await?;
    let total = match state {
        None => app.store().count_named_pairs(&filter).await?,
        Some(state) => judged.count(&filter, state).await?,
    };
    let list = FreshnessList {
        pairs,
        next: NextPage(next.map(|key| cursor_text(&key.to_string()))),
        total: total.count,
        total_is_exact: total.is_exact,
    };
    Ok(Json(list).into_response())
}

pub(super) fn list_described() -> Operation {
    let example = json!({
        "broker": "default",
        "consumer": "checkout",
        "provider": "billing",
        "last_publication": TIME,
        "last_dispatch": TIME,
        "last_verification": null,
        "last_verification_success": null,
        "owed_since": TIME,
        "threshold_seconds": 86400,
        "threshold_from": "setting",
        "threshold_reason": "POSTRIDER_FRESHNESS says so",
        "age_seconds": 90000,
        "state": "stale",
        "critical": false,
        "basis": "broker",
        "owes": [{
            "provider_version": "5f0c1d9",
            "branch": "main",
            "because": ["main", "deployed:production"],
            "due": "published",
            "blocking": true,
            "since": TIME,
            "consumer_version": "1.4.2",
            "lines": ["main"],
        }],
        "failed": [],
        "holds_back": [],
        "trouble": null,
    });
    Operation::new(Tag::Operations, "listFreshness", "List how fresh verifications are")
        .description(
            "By broker, consumer and provider. Where a broker is asked, pairs are judged by its own \
             rule: which provider versions count, and which of them have no result for the contract.",
        )
        .query::<FreshnessQuery>()
        .query::<PageQuery>()
        .answers::<FreshnessList>(200, "Fine.")
        .example(
            200,
            json!({"pairs": [example], "next": null, "total": 1, "total_is_exact": true}),
        )
}

/// Pairs that were read, as the list has them.
pub(super) async fn documents(
    app: &App,
    rows: Vec<PairRow>,
    now: Timestamp,
) -> Result<Vec<(PairKey, PairFreshness)>, StoreError> {
    let judged = Judged { app, brokers: app.store().broker_reads().await?, now };
    let one = |row: PairRow| {
        let document = document(&row, &judged.verdict(&row));
        (row.key, document)
    };
    Ok(rows.into_iter().map(one).collect())
}

/// What pairs are judged by.
struct Judged<'a> {
    app: &'a App,
    brokers: Vec<BrokerRead>,
    now: Timestamp,
}

impl Judged<'_> {
    /// How many pairs are of the state. What state a pair is in no statement can tell.
    async fn count(&self, filter: &PairFilter, state: FreshnessState) -> Result<Total, StoreError> {
        let (mut found, mut after) = (0, None);
        for _ in 0..PAGES {
            let rows = self.app.store().pairs(filter, after.as_ref(), PAGE).await?;
            let of_state = rows.iter().filter(|row| self.verdict(row).state == state).count();
            found += u64::try_from(of_state).unwrap_or(u64::MAX);
            let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            if is_last || found > Total::MOST {
                return Ok(Total::of(found));
            }
            after = rows.into_iter().next_back().map(|row| row.key);
        }
        Ok(Total { is_exact: false, ..Total::of(found) })
    }

    /// Up to `limit` pairs of the state, and the last one looked at when there may be more.
    async fn page(
        &self,
        filter: &PairFilter,
        state: Option<FreshnessState>,
        mut after: Option<PairKey>,
        limit: u32,
    ) -> Result<(Vec<PairFreshness>, Option<PairKey>), Problem> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let rows = self.app.store().pairs(filter, after.as_ref(), PAGE).await?;
            let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            for row in rows {
                if found.len() == limit {
                    return Ok((found, after));
                }
                let verdict = self.verdict(&row);
                if state.is_none_or(|state| state == verdict.state) {
                    found.push(document(&row, &verdict));
                }
                after = Some(row.key);
            }
            if is_last {
                return Ok((found, None));
            }
        }
        Ok((found, after))
    }

    fn verdict(&self, row: &PairRow) -> Verdict {
        let config = &self.app.config;
        let read = self.brokers.iter().find(|read| read.broker == row.key.broker);
        let reach =
            read.map_or(BrokerReach::NotAsked, |read| read.reach(self.now, config.broker_patience));
        judge(&config.freshness, &row.key, &row.facts, reach, self.now)
    }
}

fn document(row: &PairRow, verdict: &Verdict) -> PairFreshness {
    let PairRow { key, facts, .. } = row;
    let says = facts.says.as_ref();
    PairFreshness {
        broker: key.broker.clone(),
        consumer: key.consumer.clone(),
        provider: key.provider.clone(),
        last_publication: facts.newest_publication(),
        last_dispatch: facts.last_dispatch,
        last_verification: facts.last_verification.map(|newest| newest.at),
        last_verification_success: facts.last_verification.and_then(|newest| newest.success),
        owed_since: facts.owed_since(),
        threshold_seconds: verdict.max_age.as_secs(),
        threshold_from: verdict.from,
        threshold_reason: verdict.from.reason().to_owned(),
        age_seconds: verdict.age.map(|age| age.as_secs()),
        state: verdict.state,
        critical: verdict.critical,
        basis: if says.is_some() { Basis::Broker } else { Basis::Relay },
        owes: says.iter().flat_map(|says| &says.owes).map(owed).collect(),
        failed: says.iter().flat_map(|says| &says.failed).map(failed).collect(),
        holds_back: says.iter().flat_map(|says| &says.holds_back).map(held_back).collect(),
        trouble: says.and_then(|says| says.trouble.clone()),
    }
}

fn owed(debt: &SaidDebt) -> OwedResult {
    OwedResult {
        provider_version: debt.provider_version.clone(),
        branch: debt.branch.clone(),
        because: debt.because.clone(),
        due: debt.due,
        blocking: debt.blocking,
        since: debt.since,
        consumer_version: debt.consumer_version.clone(),
        lines: debt.lines.clone(),
    }
}

fn failed(failure: &SaidFailure) -> FailedVersion {
    FailedVersion {
        provider_version: failure.provider_version.clone(),
        because: failure.because.clone(),
        failed_at: failure.failed_at,
        consumer_version: failure.consumer_version.clone(),
        lines: failure.lines.clone(),
    }
}

fn held_back(held: &SaidHold) -> HeldBackVersion {
    HeldBackVersion {
        consumer_version: held.consumer_version.clone(),
        lines: held.lines.clone(),
        provider_version: held.provider_version.clone(),
        since: held.since,
    }
}

fn read_cursor(text: &str) -> Result<PairKey, Problem> {
    let key = cursor_of(text).and_then(|text| text.parse().ok());
    key.ok_or_else(|| wrong("cursor", "must be the member next of an earlier page"))
}
