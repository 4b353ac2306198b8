//! Lanes for people and for the monitor; L8: holds and releases by hand.

use std::collections::HashMap;

use jiff::Timestamp;
use postrider_domain::{AuditAction, AuditKind, LaneId, WebhookId};

use super::audit::Change;
use super::limits::limit_columns;
use super::parked;
use super::query::Query;
use super::row::Row;
use crate::fault::Fault;
use crate::lanes::Backlog;
use crate::{LaneInfo, ManualHold, Store, StoreError, StoredWebhook, codec};

/// All lanes, or the one named `$1`.
const LANES: &str = "
select l.id, l.name, coalesce(m.name, l.name) as limit_name,
    coalesce(m.limited, l.limited) as limited, m.rate_count, m.rate_per_ms,
    coalesce(m.burst, 1) as burst, coalesce(m.concurrency, 1) as concurrency, m.per_hour,
    l.hold_cause, l.held_since, l.hold_reason, l.hold_until, m.last_send_at,
    case when m.pause_until > {now} then m.pause_until end as paused_until,
    exists (select 1 from deliveries d where d.lane_id = l.id and d.next_at is not null) as open
from lanes l left join limits m on m.id = l.limit_id
where $1 is null or l.name = $1";

/// Of each lane's open deliveries: how many, up to `$2`, which the index tells alone; and of the
/// first `$3` that are due and the first `$3` that are not, which have to be read, since when they
/// are open. What is being sent is not due before its claim is over.
pub(crate) const BACKLOGS: &str = "
select l.id,
    (select count(*) from (
        select 1 as one from deliveries d {by:deliveries_due}
        where d.lane_id = l.id and d.next_at is not null
        order by d.next_at, d.id limit $2) as c) as open,
    (select min(c.created_at) from (
        select d.created_at from deliveries d {by:deliveries_due}
        where d.lane_id = l.id and d.next_at <= {now}
        order by d.next_at, d.id limit $3) as c) as due_since,
    (select min(c.created_at) from (
        select d.created_at from deliveries d {by:deliveries_due}
        where d.lane_id = l.id and d.next_at > {now}
        order by d.next_at, d.id limit $3) as c) as later_since,
    (select min(case when c.status = 'waiting' then c.created_at end) from (
        select d.created_at, d.status from deliveries d {by:deliveries_due}
        where d.lane_id = l.id and d.next_at > {now}
        order by d.next_at, d.id limit $3) as c) as later_waiting_since,
    (select count(*) from (
        select d.status from deliveries d {by:deliveries_due}
        where d.lane_id = l.id and d.next_at > {now}
        order by d.next_at, d.id limit $3) as c where c.status = 'sending') as sending
from lanes l where l.id {in:$1}";

/// L8.
const HOLD_BY_HAND: &str = "
update lanes set hold_cause = 'manual', hold_gen = hold_gen + 1,
    held_since = coalesce(held_since, {now}), next_probe_at = null,
    hold_reason = $2, hold_until = $3
where name = $1";

/// What ends a hold.
macro_rules! release {
    () => {
        "update lanes set hold_cause = null, held_since = null, next_probe_at = null, \
         strikes = 0, strike_webhook = null, probe_step = 0, probe_newest = null, \
         probe_last = null, hold_reason = null, hold_until = null where "
    };
}

/// L8.
const RELEASE_BY_HAND: &str = concat!(release!(), "name = $1 and hold_cause is not null");

/// L8: of holds that end by themselves.
const RELEASE_DUE: &str =
    concat!(release!(), "hold_cause = 'manual' and hold_until <= {now} returning name");

/// L5.
pub(crate) const OPEN: &str = concat!(release!(), "id {in:$1}");

/// The one whose answer held the lane, else any. Deliveries wait for it.
pub(crate) const WEBHOOK_OF: &str = "
select w.id from webhooks w where w.lane_id = $1 and w.state = 'enabled'
order by w.id = (select l.strike_webhook from lanes l where l.id = $1) desc nulls last, w.id limit 1";

/// Open deliveries that one call counts, over all lanes, and those that it reads.
const COUNTED: u64 = 1_000_000;
const READ: u64 = 50_000;
/// Of one lane so many are read in any case.
const READ_LEAST: u64 = 10;
/// Lanes looked at by one statement.
const CHUNK: usize = 1_000;

impl Store {
    /// All lanes for people, busiest first. Open deliveries are counted up to a million over all
    /// lanes, so that the answer comes in time however many wait; which of them is the oldest, and
    /// which are being sent, is looked for among 50,000 that are due and as many that are not.
    pub async fn lanes(&self) -> Result<Vec<LaneInfo>, StoreError> {
        let mut lanes = self.lane_infos(None).await?;
        lanes.sort_by(|a, b| (b.backlog, &a.name).cmp(&(a.backlog, &b.name)));
        Ok(lanes)
    }

    /// L8. Holds a lane by hand; `None` when there is no such lane.
    pub async fn hold_by_hand(
        &self,
        name: &str,
        hold: &ManualHold,
    ) -> Result<Option<LaneInfo>, StoreError> {
        let change = Change::new(AuditKind::Lane, name, AuditAction::Held).saying(hold.to_string());
        let query = Query::new(HOLD_BY_HAND).bind(name).bind(&hold.reason).bind(hold.until);
        self.run_noted("hold_by_hand", query, change).await?;
        Ok(self.lane_infos(Some(name)).await?.pop())
    }

    /// L8, W5. Opens a lane by hand, whatever held it, and ends the parks of its webhooks; `None`
    /// when there is no such lane.
    pub async fn release_by_hand(&self, name: &str) -> Result<Option<LaneInfo>, StoreError> {
        self.change_noted("release_by_hand", name.to_owned(), |name, mut tx| {
            Box::pin(async move {
                let opened = tx.run(&Query::new(RELEASE_BY_HAND).bind(name)).await?;
                let parks = tx.run(&Query::new(parked::RELEASE_OF_LANE).bind(name)).await?;
                let released = Change::new(AuditKind::Lane, name, AuditAction::Released)
                    .saying(format!("webhooks that were held: {parks}"));
                Ok(((), if opened + parks > 0 { vec![released] } else { Vec::new() }))
            })
        })
        .await?;
        Ok(self.lane_infos(Some(name)).await?.pop())
    }

    /// L8. Opens the lanes whose hold by hand has come to its end; their names.
    pub async fn release_due_holds(&self) -> Result<Vec<String>, StoreError> {
        self.change_noted("release_due_holds", (), |(), mut tx| {
            Box::pin(async move {
                let rows = tx.rows(&Query::new(RELEASE_DUE)).await?;
                let names: Vec<String> =
                    rows.iter().map(|row| row.string("name")).collect::<Result<_, _>>()?;
                let released = |name: &String| {
                    Change::new(AuditKind::Lane, name, AuditAction::Released)
                        .saying("its hold was given until then".to_owned())
                };
                let changes = names.iter().map(released).collect();
                Ok((names, changes))
            })
        })
        .await
    }

    /// A webhook whose request can prove a lane's credential: an enabled webhook of the lane, the
    /// one whose answer held it if that is one.
    pub async fn lane_webhook(&self, lane: LaneId) -> Result<Option<StoredWebhook>, StoreError> {
        let rows = self.served("webhook_of_lane", &Query::new(WEBHOOK_OF).bind(lane.0)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(self.webhooks_by_id(&[WebhookId(row.int("id")?)]).await?.pop())
    }

    async fn lane_infos(&self, name: Option<&str>) -> Result<Vec<LaneInfo>, StoreError> {
        let rows = self.rows("lanes", &Query::new(LANES).bind(name)).await?;
        let mut busy = Vec::new();
        for row in &rows {
            if row.is("open")? {
                busy.push(LaneId(row.int("id")?));
            }
        }
        let backlogs = self.backlogs(&busy).await?;
        let none = Backlog { is_exact: true, ..Backlog::default() };
        let lane = |row: &Row| {
            let backlog = backlogs.get(&LaneId(row.int("id")?)).copied().unwrap_or(none);
            info(row, backlog)
        };
        Ok(rows.iter().map(lane).collect::<Result<_, Fault>>()?)
    }

    /// What is open in these lanes, counted up to a million over all of them.
    pub(crate) async fn backlogs(
        &self,
        lanes: &[LaneId],
    ) -> Result<HashMap<LaneId, Backlog>, StoreError> {
        let busy = (lanes.len() as u64).max(1);
        let (counted, read) = (COUNTED / busy, (READ / busy).max(READ_LEAST));
        let limit = |most: u64| i64::try_from(most).unwrap_or(i64::MAX);
        let mut backlogs = HashMap::with_capacity(lanes.len());
        for chunk in lanes.chunks(CHUNK) {
            let ids: Vec<i64> = chunk.iter().map(|lane| lane.0).collect();
            let query = Query::new(BACKLOGS).bind(ids).bind(limit(counted)).bind(limit(read));
            for row in &self.rows("backlogs", &query).await? {
                backlogs.insert(LaneId(row.int("id")?), backlog(row, counted)?);
            }
        }
        Ok(backlogs)
    }
}

/// Of so many that were counted at most.
fn backlog(row: &Row, counted: u64) -> Result<Backlog, Fault> {
    let (open, sending) = (row.tally("open")?, row.tally("sending")?);
    let due = row.at_opt("due_since")?;
    let oldest = |other: Option<Timestamp>| [due, other].into_iter().flatten().min();
    Ok(Backlog {
        waiting: open.saturating_sub(sending),
        sending,
        oldest_at: oldest(row.at_opt("later_waiting_since")?),
        open_since: oldest(row.at_opt("later_since")?),
        is_exact: open < counted,
    })
}

fn info(row: &Row, backlog: Backlog) -> Result<LaneInfo, Fault> {
    Ok(LaneInfo {
        id: LaneId(row.int("id")?),
        name: row.string("name")?,
        limit: row.string("limit_name")?,
        limits: limit_columns(row)?.limits()?,
        state: codec::lane_state(row.text_opt("hold_cause")?)?,
        held_since: row.at_opt("held_since")?,
        hold: ManualHold {
            reason: row.string_opt("hold_reason")?,
            until: row.at_opt("hold_until")?,
        },
        paused_until: row.at_opt("paused_until")?,
        last_send_at: row.at_opt("last_send_at")?,
        backlog: backlog.waiting,
        backlog_is_exact: backlog.is_exact,
        sending: backlog.sending,
        oldest_at: backlog.oldest_at,
        open_since: backlog.open_since,
    })
}
