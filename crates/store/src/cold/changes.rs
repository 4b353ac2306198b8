//! Deliveries that changed lately, for those who watch.
//!
//! No index tells when a delivery changed, and none shall: it would be written with every attempt.
//! What changes is new, or stands at the front of its lane before it is sent. So a look reads the
//! newest deliveries and those that the caller saw at a front before; each look is bounded, and
//! nothing is written.

use jiff::Timestamp;
use postrider_domain::{DeliveryId, LaneId};
use uuid::Uuid;

use super::access_path::BESIDE;
use super::list::{COLUMNS, delivery_row};
use super::query::Query;
use super::row::Row;
use crate::fault::Fault;
use crate::{DeliveryRow, Store, StoreError};

/// Newest deliveries that one look reads.
const NEWEST: i64 = 2_000;
/// Deliveries that one look answers.
const ANSWERED: i64 = 2_000;
/// Lanes whose fronts are read, and deliveries of all fronts together.
const LANES: usize = 100;
const FRONTS: usize = 1_000;

const CHANGED: &str = "
with k as materialized (
    select id from (select id from deliveries order by id desc limit $1) as newest
    union select id from deliveries where id {in:$2}),
c as materialized (
    select d.* from k cross join deliveries d where d.id = k.id and d.updated_at > $3
    order by d.updated_at desc, d.id desc limit $4) ";

impl Store {
    /// The deliveries that come next in these lanes, up to 1,000 over the first 100 of them.
    pub async fn lane_fronts(&self, lanes: &[LaneId]) -> Result<Vec<DeliveryId>, StoreError> {
        let lanes = lanes.get(..LANES).unwrap_or(lanes);
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let each = i64::try_from(FRONTS / lanes.len()).unwrap_or(1);
        let mut query = Query::new("");
        for (index, lane) in lanes.iter().enumerate() {
            query.push(if index == 0 { "select * from (" } else { " union all select * from (" });
            query.push("select id from deliveries {by:deliveries_due} where ");
            query.push_with("lane_id = $ and next_at is not null ", lane.0);
            query.push_with(&format!("order by next_at, id limit $) as f{index}"), each);
        }
        let rows = self.rows("lane_fronts", &query).await?;
        let id = |row: &Row| Ok::<_, Fault>(DeliveryId(row.uuid("id")?));
        Ok(rows.iter().map(id).collect::<Result<_, _>>()?)
    }

    /// The instant of the look by the database's clock, and the deliveries among the newest 2,000
    /// and among `also` that changed after `since`, last changed first, 2,000 at most. Whoever
    /// looks again has to look back a little: a change is dated by the beginning of its
    /// transaction and seen after its end.
    pub async fn changed_deliveries(
        &self,
        since: Timestamp,
        also: &[DeliveryId],
    ) -> Result<(Timestamp, Vec<DeliveryRow>), StoreError> {
        let now = self.now().await?;
        let also: Vec<Uuid> = also.iter().map(|id| id.0).collect();
        let mut query = Query::new(CHANGED).bind(NEWEST).bind(also).bind(since).bind(ANSWERED);
        query.push(COLUMNS).push(" from c d cross join events e ").push(BESIDE);
        query.push(" and e.id = d.event_id order by d.updated_at desc, d.id desc");
        let rows = self.rows("changed_deliveries", &query).await?;
        let changed = rows.iter().map(delivery_row).collect::<Result<_, Fault>>()?;
        Ok((now, changed))
    }
}
