//! Questions about the runs that deliveries started. Whoever wants to know writes one down, a
//! worker answers it: only workers hold the values that GitHub asks for.

use std::time::Duration;

use postrider_domain::DeliveryId;
use postrider_domain::doctor::{Known, RunFinding};

use super::query::Query;
use super::row::Row;
use crate::fault::Fault;
use crate::{RunAnswer, Store, StoreError};

/// An answer that is young enough stands, and so does a question that nobody has answered.
const ASK: &str = "
insert into run_questions (delivery_id, asked_at) values ($1, {now})
on conflict (delivery_id) do update set
    asked_at = excluded.asked_at, claimed_until = null, finished_at = null, result = null
where run_questions.finished_at < {now-ms:$2}";

const ANSWER: &str = "select finished_at, result from run_questions where delivery_id = $1";

/// The oldest that nobody is at.
const NEXT: &str = "
select delivery_id from run_questions
where finished_at is null and (claimed_until is null or claimed_until <= {now})
order by asked_at limit 1";

const TAKE: &str = "
update run_questions set claimed_until = {now+ms:$2}
where delivery_id = $1 and finished_at is null
    and (claimed_until is null or claimed_until <= {now})";

const FINISH: &str = "
update run_questions set finished_at = {now}, result = $2 where delivery_id = $1";

const FORGET: &str = "delete from run_questions where asked_at < {now-ms:$1}";

/// How long answers are kept.
const KEPT: Duration = Duration::from_hours(24);

impl Store {
    /// Asks what the run came to that a delivery started, unless an answer is there that is not
    /// older than `fresh`.
    pub async fn ask_run(&self, delivery: DeliveryId, fresh: Duration) -> Result<(), StoreError> {
        self.run("forget_runs", Query::new(FORGET).bind(KEPT)).await?;
        self.run("ask_run", Query::new(ASK).bind(delivery).bind(fresh)).await.map(drop)
    }

    /// How the question about a delivery's run stands.
    pub async fn run_answer(&self, delivery: DeliveryId) -> Result<RunAnswer, StoreError> {
        let row = self.row("run_answer", &Query::new(ANSWER).bind(delivery)).await?;
        Ok(row.as_ref().map_or(Ok(RunAnswer::NotAsked), answer)?)
    }

    /// Takes the oldest question that nobody is at, for `length`; `None` when there is none.
    pub async fn take_run_question(
        &self,
        length: Duration,
    ) -> Result<Option<DeliveryId>, StoreError> {
        let Some(row) = self.row("next_run", &Query::new(NEXT)).await? else { return Ok(None) };
        let delivery = DeliveryId(row.uuid("delivery_id")?);
        let take = Query::new(TAKE).bind(delivery).bind(length);
        Ok((self.run("take_run", take).await? > 0).then_some(delivery))
    }

    /// Writes down what was found, or why it can't be read.
    pub async fn answer_run(
        &self,
        delivery: DeliveryId,
        found: &Known<RunFinding>,
    ) -> Result<(), StoreError> {
        let found = serde_json::to_string(found).map_err(Fault::from)?;
        self.run("answer_run", Query::new(FINISH).bind(delivery).bind(found)).await.map(drop)
    }
}

fn answer(row: &Row) -> Result<RunAnswer, Fault> {
    if row.at_opt("finished_at")?.is_none() {
        return Ok(RunAnswer::Waiting);
    }
    Ok(RunAnswer::Is(serde_json::from_str(row.text("result")?)?))
}
