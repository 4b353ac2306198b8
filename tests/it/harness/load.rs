//! Events under load: several senders, each event sent until it is accepted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use uuid::Uuid;

use super::wait::{Looking, wait_until};

/// Events of one call.
const BATCH: usize = 10;
/// Calls under way at once.
const SENDERS: usize = 8;
/// A sender gives an answer up after this long, and asks again with the same keys.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A batch that is not accepted for this long fails the test.
const ACCEPTED_WITHIN: Duration = Duration::from_mins(2);

/// Addresses of the intakes that run, as they come and go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intakes(Arc<Mutex<Vec<String>>>);

impl Intakes {
    /// Replaces the addresses.
    pub(crate) fn set(&self, bases: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bases;
    }

    /// One of them, another one for each number.
    pub(crate) fn pick(&self, number: usize) -> Option<String> {
        let bases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bases.get(number % bases.len().max(1)).cloned()
    }
}

/// An event that was answered with 202.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// Number of the event within its load.
    pub(crate) number: usize,
    pub(crate) event_id: String,
    pub(crate) deliveries: Vec<String>,
    /// When the answer was read.
    pub(crate) at: Instant,
}

/// So many events, spread over a time.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    events: usize,
    over: Duration,
    client: reqwest::Client,
    key: Uuid,
    token: Option<String>,
    senders: usize,
}

impl Load {
    /// As fast as they are accepted.
    pub(crate) fn of(events: usize) -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
        Ok(Self {
            events,
            over: Duration::ZERO,
            client,
            key: Uuid::now_v7(),
            token: None,
            senders: SENDERS,
        })
    }

    /// Evenly over this time.
    pub(crate) fn over(mut self, time: Duration) -> Self {
        self.over = time;
        self
    }

    /// Each call after the answer to the one before, so that all events have an order.
    pub(crate) fn one_after_the_other(mut self) -> Self {
        self.senders = 1;
        self
    }

    /// With this token.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Sends the events that `event` makes, each until it is accepted.
    pub(crate) async fn send(
        &self,
        intakes: &Intakes,
        event: impl Fn(usize) -> Value,
    ) -> Result<Vec<Accepted>> {
        let batches = self.events.div_ceil(BATCH);
        let pause = self.over / u32::try_from(batches.max(1))?;
        let mut clock = tokio::time::interval(pause.max(Duration::from_micros(1)));
        let pacer = stream::poll_fn(move |context| clock.poll_tick(context).map(Some));
        let accepted: Vec<Vec<Accepted>> = pacer
            .take(batches)
            .enumerate()
            .map(|(batch, _)| {
                let numbers = batch * BATCH..self.events.min((batch + 1) * BATCH);
                let events = numbers.clone().map(|number| self.keyed(number, event(number)));
                let body = Value::Array(events.collect());
                self.until_accepted(intakes, batch, numbers, body)
            })
            .buffer_unordered(self.senders)
            .try_collect()
            .await?;
        let mut accepted: Vec<Accepted> = accepted.into_iter().flatten().collect();
        accepted.sort_by_key(|event| event.number);
        ensure!(accepted.len() == self.events, "{} of {} accepted", accepted.len(), self.events);
        Ok(accepted)
    }

    fn keyed(&self, number: usize, mut event: Value) -> Value {
        event["id"] = format!("{}-{number}", self.key).into();
        event
    }

    async fn until_accepted(
        &self,
        intakes: &Intakes,
        batch: usize,
        numbers: std::ops::Range<usize>,
        body: Value,
    ) -> Result<Vec<Accepted>> {
        let tried = std::cell::Cell::new(batch);
        wait_until("a batch of events to be accepted", ACCEPTED_WITHIN, async || {
            tried.set(tried.get() + 1);
            let Some(base) = intakes.pick(tried.get()) else {
                return Ok(Looking::NotYet("no intake runs".to_owned()));
            };
            match self.post(&base, &body).await {
                Ok(answers) => read(numbers.clone(), &answers),
                Err(error) => Ok(Looking::NotYet(format!("{error:#}"))),
            }
        })
        .await
    }

    /// The elements of the answer; an error when the call has to be repeated.
    async fn post(&self, base: &str, body: &Value) -> Result<Vec<Value>> {
        let mut call = self.client.post(format!("{base}/events")).json(body);
        if let Some(token) = &self.token {
            call = call.bearer_auth(token);
        }
        let response = call.send().await?;
        let status = response.status();
        let text = response.text().await?;
        let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        match answer {
            Value::Array(elements) => Ok(elements),
            _ => anyhow::bail!("answered {status}: {text}"),
        }
    }
}

/// All elements accepted, or not yet all; any answer but 202 and 503 is wrong.
fn read(numbers: std::ops::Range<usize>, answers: &[Value]) -> Result<Looking<Vec<Accepted>>> {
    ensure!(answers.len() == numbers.len(), "{} answers: {answers:?}", answers.len());
    let mut accepted = Vec::new();
    for (number, answer) in numbers.zip(answers) {
        match answer["status"].as_u64() {
            Some(202) => accepted.push(accepted_one(number, answer)?),
            Some(503) => return Ok(Looking::NotYet(answer.to_string())),
            _ => anyhow::bail!("event {number} was answered {answer}"),
        }
    }
    Ok(Looking::Found(accepted))
}

fn accepted_one(number: usize, answer: &Value) -> Result<Accepted> {
    let deliveries = answer["deliveries"].as_array().context("deliveries")?;
    let ids = deliveries.iter().map(|one| one["id"].as_str().context("id").map(str::to_owned));
    let event_id = answer["event_id"].as_str().context("event_id")?.to_owned();
    Ok(Accepted { number, event_id, deliveries: ids.collect::<Result<_>>()?, at: Instant::now() })
}
