//! Bringing webhooks over, and switching the originals off.

use indicatif::ProgressBar;
use postrider_broker::Broker;
use postrider_domain::EventName;
use reqwest::Method;
use serde_json::{Value, json};

use super::copy::{Decision, Step, switched_off};
use crate::broker::failure;
use crate::broker_webhooks::webhook_path;
use crate::connect::{Events, events_of, listed};
use crate::webhooks::plan::Action;
use crate::webhooks::{execute, succeeded};
use crate::{Api, Body};
use crate::{Exit, Failure};

/// What became of a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Outcome {
    /// Why it did not come to its end.
    pub(super) problem: Option<String>,
    /// Whether the copy passed its test, if it was tested.
    pub(super) tested: Option<bool>,
    /// The original was switched off.
    pub(super) switched_off: bool,
}

/// Does all steps, each to its end before the next: an original is off only when its own copy
/// works.
pub(super) async fn act(
    api: &Api,
    broker: &Broker,
    steps: &[Step],
    disable_source: bool,
) -> Result<Vec<Outcome>, Failure> {
    let progress = ProgressBar::new(steps.len() as u64);
    let relayed = relayed(steps);
    let mut outcomes = Vec::with_capacity(steps.len());
    for step in steps {
        let mut outcome = Outcome::default();
        if let Decision::Copy { document, action } = &step.decision {
            outcome.problem = store(api, document, action).await?;
            if outcome.problem.is_none() && disable_source && is_on(step) {
                outcome = match relayed.as_ref().and_then(|sent| unsent(&step.source, sent)) {
                    Some(problem) => Outcome { problem: Some(problem), ..outcome },
                    None => replace_original(api, broker, &step.source).await?,
                };
            }
        }
        outcomes.push(outcome);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(outcomes)
}

/// Events that the broker's relays send here; `None` where it has no relay that is on.
fn relayed(steps: &[Step]) -> Option<Events> {
    let relays = steps.iter().filter(|step| step.decision == Decision::Relay && is_on(step));
    let sent: Vec<Events> = relays.map(|relay| called_for(&relay.source)).collect();
    (!sent.is_empty()).then(|| sent.into_iter().flatten().collect())
}

/// What a webhook is called for: without a word about it `contract_content_changed` (Pact Broker
/// 2.120).
fn called_for(webhook: &Value) -> Events {
    let events = events_of(webhook);
    if events.is_empty() { [EventName::ContractContentChanged].into() } else { events }
}

/// Why the original has to stay on: nobody would tell of its events.
fn unsent(source: &Value, relayed: &Events) -> Option<String> {
    let unsent = &called_for(source) - relayed;
    (!unsent.is_empty()).then(|| {
        format!(
            "the broker's relay does not send {}, so the original stays on: run \
             `postrider connect` first, which adds what webhooks here want",
            listed(&unsent)
        )
    })
}

fn is_on(step: &Step) -> bool {
    step.source.get("enabled") != Some(&json!(false))
}

/// Stores the copy; `Some` when postrider refused the document.
async fn store(api: &Api, document: &Value, action: &Action) -> Result<Option<String>, Failure> {
    if matches!(action, Action::Unchanged { .. }) {
        return Ok(None);
    }
    let uuid = document.get("uuid").and_then(Value::as_str).unwrap_or_default();
    let answer = api.call(Method::PUT, &["webhooks", uuid], &[], Body::Json(document)).await?;
    if answer.status.is_success() {
        return Ok(None);
    }
    let refusal = api.refusal(&answer);
    if refusal.exit == Exit::No { Ok(Some(refusal.message)) } else { Err(refusal) }
}

/// Tests the copy, and switches the original off if the target took it.
async fn replace_original(api: &Api, broker: &Broker, source: &Value) -> Result<Outcome, Failure> {
    let uuid = source.get("uuid").and_then(Value::as_str).unwrap_or_default();
    let tested = execute(api, uuid).await?;
    if !succeeded(&tested) {
        let log = tested.get("logs").and_then(Value::as_str).unwrap_or_default();
        let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let problem = format!("its copy failed the test, so the original stays on: {last}");
        return Ok(Outcome { problem: Some(problem), tested: Some(false), switched_off: false });
    }
    let answer = broker.put_json(&webhook_path(uuid), &switched_off(source)).await;
    let answer = answer.map_err(|error| failure(&error))?;
    let is_off = answer.body.get("enabled") == Some(&json!(false));
    if answer.status.is_success() && is_off {
        return Ok(Outcome { problem: None, tested: Some(true), switched_off: true });
    }
    let refusal = broker.refusal(&answer);
    if !matches!(answer.status.as_u16(), 200..=299 | 400 | 404 | 409 | 422) {
        return Err(failure(&refusal));
    }
    let problem = format!("the broker did not switch the original off: {}", answer.said());
    Ok(Outcome { problem: Some(problem), tested: Some(true), switched_off: false })
}
