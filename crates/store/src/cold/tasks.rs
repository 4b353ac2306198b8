//! Leases of work that one process does at a time and that may be done twice without harm.

use std::time::Duration;

use postrider_domain::EventId;
use uuid::Uuid;

use super::query::Query;
use crate::codec::pair_hash;
use crate::{Store, StoreError, WorkerId};

const TAKE: &str = "
insert into task_leases (name, owner, lease_until) values ($1, $2, {now+ms:$3})
on conflict (name) do update set owner = excluded.owner, lease_until = excluded.lease_until
where task_leases.owner = excluded.owner or task_leases.lease_until <= {now}
returning owner";

const GIVE_UP: &str = "delete from task_leases where owner = $1";

const UNHASHED: &str = "
select id, broker, consumer, provider from events where pair_hash is null
order by id desc limit $1";

const HASH: &str = "update events set pair_hash = $2 where id = $1 and pair_hash is null";

impl Store {
    /// Takes or renews the lease of a task; whether it is held.
    pub async fn task_lease(
        &self,
        name: &'static str,
        owner: WorkerId,
        length: Duration,
    ) -> Result<bool, StoreError> {
        let take = Query::new(TAKE).bind(name).bind(owner.0).bind(length);
        Ok(!self.changed("task_lease", take).await?.is_empty())
    }

    /// Gives all of an owner's task leases up.
    pub async fn task_give_up(&self, owner: WorkerId) -> Result<(), StoreError> {
        self.run("task_give_up", Query::new(GIVE_UP).bind(owner.0)).await.map(drop)
    }

    /// Gives events that have no hash of their pair one, newest first, `limit` of them at most;
    /// how many. Only events of before there were any, and those that processes of the version
    /// before take in, have none.
    pub async fn hash_events(&self, limit: u32) -> Result<u64, StoreError> {
        let rows = self.rows("unhashed_events", &Query::new(UNHASHED).bind(limit)).await?;
        let mut hashes: Vec<(Uuid, i64)> = Vec::with_capacity(rows.len());
        for row in &rows {
            let hash = pair_hash(row.text("broker")?, row.text("consumer")?, row.text("provider")?);
            hashes.push((row.uuid("id")?, hash));
        }
        let done = hashes.len() as u64;
        if done > 0 {
            self.change("hash_events", hashes, |hashes, mut tx| {
                Box::pin(async move {
                    for (id, hash) in hashes {
                        tx.run(&Query::new(HASH).bind(EventId(*id)).bind(*hash)).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        }
        Ok(done)
    }
}
