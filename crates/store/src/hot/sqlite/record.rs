//! T6-T11: what became of a claim, recorded only under its `claim_no` (FENCE).

mod rows;

use super::fault::Fault;
use super::lane_state::Lanes;
use super::rows::json;
use super::writer::Turn;
use super::{SqliteStore, claims_limited, health};
use crate::record::first_of_each_claim;
use crate::{RecordReport, Recorded, StoreError};

impl SqliteStore {
    pub(crate) async fn record(&self, batch: &[Recorded]) -> Result<RecordReport, StoreError> {
        let batch: Vec<Recorded> = first_of_each_claim(batch).into_iter().cloned().collect();
        if batch.is_empty() {
            return Ok(RecordReport::default());
        }
        match self.record_batch(batch.clone()).await {
            Err(StoreError::Corrupt(_)) => self.record_singly(batch).await,
            result => result,
        }
    }

    async fn record_batch(&self, batch: Vec<Recorded>) -> Result<RecordReport, StoreError> {
        self.write(batch, |batch, turn| Box::pin(record(batch, turn))).await
    }

    /// One outcome that can't be written must not take the others with it. Its attempt is left
    /// out then, as the state of a delivery matters more than the text of an answer.
    async fn record_singly(&self, batch: Vec<Recorded>) -> Result<RecordReport, StoreError> {
        let mut whole = RecordReport::default();
        for item in batch {
            let id = item.id;
            let part = match self.record_batch(vec![item.clone()]).await {
                Err(StoreError::Corrupt(why)) => {
                    tracing::error!(delivery_id = %id, why, "record.attempt_not_kept");
                    self.record_batch(vec![Recorded { attempt: None, ..item }]).await
                }
                result => result,
            };
            match part {
                Ok(part) => {
                    whole.late.extend(part.late);
                    whole.held.extend(part.held);
                }
                Err(StoreError::Corrupt(why)) => {
                    // Its claim expires and the attempt is made again, marked.
                    tracing::error!(delivery_id = %id, why, "record.outcome_not_kept");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(whole)
    }
}

/// Lanes first, so that the deliveries' next states follow what they come to.
async fn record(batch: &[Recorded], turn: &mut Turn) -> Result<RecordReport, Fault> {
    let lanes = Lanes::record(batch, turn).await?;
    give_back(batch, turn).await?;
    let in_time = rows::update(batch, &lanes, turn).await?;
    rows::insert_attempts(batch, turn).await?;
    let (in_time, late): (Vec<&Recorded>, Vec<&Recorded>) =
        batch.iter().partition(|item| in_time.contains(&(item.id, item.claim_no)));
    health::record(&in_time, turn).await?;
    let late = late.into_iter().map(|item| (item.id, item.claim_no)).collect();
    Ok(RecordReport { late, held: lanes.held })
}

/// T11: what was not sent is given back to the hour as well.
async fn give_back(batch: &[Recorded], turn: &mut Turn) -> Result<(), Fault> {
    let released = batch.iter().filter(|item| item.is_release());
    let released: Vec<_> = released.map(|item| (item.id, item.claim_no)).collect();
    if released.is_empty() {
        return Ok(());
    }
    claims_limited::give_back(&json(&released)?, None, turn).await
}
