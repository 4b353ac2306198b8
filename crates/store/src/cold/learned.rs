//! How long providers take from dispatch to result, and what is learned of it.

use std::time::Duration;

use postrider_domain::{Learned, PairKey, ResultTimes};

use super::query::Query;
use super::row::Row;
use crate::fault::Fault;
use crate::{MonitorLease, Store, StoreError, codec};

const TIMES: &str = "select times from provider_times where broker = $1 and provider = $2";

const SAVE: &str = "
insert into provider_times (broker, provider, times, seen, threshold_ms)
values ($1, $2, $3, $4, $5)
on conflict (broker, provider) do update set times = excluded.times, seen = excluded.seen,
    threshold_ms = excluded.threshold_ms";

const FAILED_RUN: &str = "
update pairs set run_failed = $4 where broker = $1 and consumer = $2 and provider = $3";

const SILENT: &str = "update provider_times set is_silent = $3 where broker = $1 and provider = $2";

/// The columns of what is learned of a provider; alias `t`, a left join, and `p`, the pair.
macro_rules! learned_columns {
    () => {
        "t.threshold_ms, t.seen, t.is_silent, p.run_failed"
    };
}
pub(super) use learned_columns;

impl Store {
    /// Adds times from dispatch to result to those of a provider. `false` without a valid lease.
    pub async fn add_result_times(
        &self,
        lease: MonitorLease,
        (broker, provider): (&str, &str),
        took: &[Duration],
    ) -> Result<bool, StoreError> {
        let known = Query::new(TIMES).bind(broker).bind(provider);
        let row = self.row("result_times", &known).await?;
        let mut times = match row {
            Some(row) => read_times(&row)?,
            None => ResultTimes::default(),
        };
        for took in took {
            times.add(*took);
        }
        let text = serde_json::to_string(&times).map_err(Fault::from)?;
        let save = Query::new(SAVE)
            .bind(broker)
            .bind(provider)
            .bind(text)
            .bind(i64::try_from(times.len()).unwrap_or(i64::MAX))
            .bind(times.threshold().map(codec::millis));
        self.under_lease("add_result_times", lease, vec![save]).await
    }

    /// Notes of providers, by broker and name, whether they are silent. `false` without a valid
    /// lease.
    pub async fn save_silences(
        &self,
        lease: MonitorLease,
        silences: &[(String, String, bool)],
    ) -> Result<bool, StoreError> {
        let save = |(broker, provider, is_silent): &(String, String, bool)| {
            Query::new(SILENT).bind(broker).bind(provider).bind(*is_silent)
        };
        self.under_lease("save_silences", lease, silences.iter().map(save).collect()).await
    }

    /// Notes of pairs whether the run of a late debt is known to have failed. `false` without a
    /// valid lease.
    pub async fn save_failed_runs(
        &self,
        lease: MonitorLease,
        pairs: &[(PairKey, bool)],
    ) -> Result<bool, StoreError> {
        let save = |(key, has_failed): &(PairKey, bool)| {
            let PairKey { broker, consumer, provider } = key;
            Query::new(FAILED_RUN).bind(broker).bind(consumer).bind(provider).bind(*has_failed)
        };
        self.under_lease("save_failed_runs", lease, pairs.iter().map(save).collect()).await
    }
}

fn read_times(row: &Row) -> Result<ResultTimes, Fault> {
    Ok(serde_json::from_str(row.text("times")?)?)
}

/// What a row says of its provider; nothing where nothing is known.
pub(super) fn learned(row: &Row) -> Result<Option<Learned>, Fault> {
    let Some(seen) = row.int_opt("seen")? else { return Ok(None) };
    let millis = row.int_opt("threshold_ms")?.and_then(|millis| u64::try_from(millis).ok());
    Ok(Some(Learned {
        threshold: millis.map(Duration::from_millis),
        seen: usize::try_from(seen).unwrap_or_default(),
        is_silent: row.is_opt("is_silent")?.unwrap_or_default(),
        has_failed_run: row.is_opt("run_failed")?.unwrap_or_default(),
    }))
}
