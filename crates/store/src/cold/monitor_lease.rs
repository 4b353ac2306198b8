//! The monitor's lease: one of them is active, and what it writes is written under its lease.

use std::time::Duration;

use super::Tx;
use super::query::Query;
use crate::fault::Fault;
use crate::{MonitorLease, Store, StoreError, WorkerId};

/// Renewal keeps the epoch.
const RENEW: &str = "
update monitor_lease set lease_until = {now+ms:$3}
where owner = $1 and epoch = $2 returning epoch";

/// Acquisition raises it.
const ACQUIRE: &str = "
update monitor_lease set owner = $1, epoch = epoch + 1, lease_until = {now+ms:$2}
where owner is null or lease_until is null or lease_until <= {now} returning epoch";

const GIVE_UP: &str = "update monitor_lease set owner = null where owner = $1 and epoch = $2";

const LOCK_LEASE: &str = "
select epoch from monitor_lease
where owner = $1 and epoch = $2 and lease_until > {now} {lock}";

impl Store {
    /// Takes or renews the monitor's lease; `None` while another's is valid. The epoch is kept
    /// on renewal and raised on acquisition.
    pub async fn monitor_lease(
        &self,
        owner: WorkerId,
        held: Option<MonitorLease>,
        length: Duration,
    ) -> Result<Option<MonitorLease>, StoreError> {
        let renew = held
            .filter(|held| held.owner == owner)
            .map(|held| Query::new(RENEW).bind(owner.0).bind(held.epoch).bind(length));
        let acquire = Query::new(ACQUIRE).bind(owner.0).bind(length);
        let row = self.change("monitor_lease", (renew, acquire), |(renew, acquire), mut tx| {
            Box::pin(async move {
                if let Some(renew) = renew
                    && let Some(row) = tx.row(renew).await?
                {
                    return Ok(Some(row));
                }
                tx.row(acquire).await
            })
        });
        let epoch = row.await?.map(|row| row.int("epoch")).transpose()?;
        Ok(epoch.map(|epoch| MonitorLease { owner, epoch }))
    }

    /// Gives the monitor's lease up.
    pub async fn monitor_give_up(&self, lease: MonitorLease) -> Result<(), StoreError> {
        let give_up = Query::new(GIVE_UP).bind(lease.owner.0).bind(lease.epoch);
        self.run("monitor_give_up", give_up).await.map(drop)
    }
}

/// Whether the lease is valid; it stays so for this transaction.
pub(crate) async fn holds(tx: &mut Tx<'_>, lease: MonitorLease) -> Result<bool, Fault> {
    let valid = Query::new(LOCK_LEASE).bind(lease.owner.0).bind(lease.epoch);
    Ok(tx.row(&valid).await?.is_some())
}
