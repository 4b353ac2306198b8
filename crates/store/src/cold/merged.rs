//! Calls of brokers that were merged with an event of the watch.

use postrider_domain::{EventId, MergedBecause};

use super::query::Query;
use super::row::Row;
use crate::fault::Fault;
use crate::{MergedCalls, Store, StoreError, codec};

const NOTE: &str = "
insert into merged_calls (event_id, calls, last_at, why) values ($1, 1, {now}, $2)
on conflict (event_id) do update set
    calls = merged_calls.calls + 1, last_at = excluded.last_at, why = excluded.why";

const OF_EVENT: &str = "select calls, last_at, why from merged_calls where event_id = $1";

/// With the events themselves.
pub(super) const PRUNE: &str = "
delete from merged_calls where last_at < {now-ms:$1}
    and not exists (select 1 from events e where e.id = merged_calls.event_id)";

impl Store {
    /// Notes that a call of a broker was merged with an event.
    pub async fn note_merged(&self, event: EventId, why: MergedBecause) -> Result<(), StoreError> {
        let note = Query::new(NOTE).bind(event).bind(why.as_str());
        self.run("note_merged", note).await.map(drop)
    }

    /// The calls of a broker that were merged with an event.
    pub(super) async fn merged_calls(
        &self,
        event: EventId,
    ) -> Result<Option<MergedCalls>, StoreError> {
        let row = self.row("merged_calls", &Query::new(OF_EVENT).bind(event)).await?;
        Ok(row.as_ref().map(merged).transpose()?)
    }
}

fn merged(row: &Row) -> Result<MergedCalls, Fault> {
    Ok(MergedCalls {
        calls: row.tally("calls")?,
        last_at: row.at("last_at")?,
        because: codec::merged_because(row.text("why")?)?,
    })
}
