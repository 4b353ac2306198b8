//! Finds out whether a held lane's credential is alive again.
//!
//! At GitHub by a read that proves the credential and changes nothing, never by a delivery
//! (GitHub docs: `GET /rate_limit` does not count against the limit). Elsewhere there is no such
//! read: one delivery of the lane is made, by the holder of the probe alone, and any answer but
//! a refusal of the credential opens the lane.

use std::time::Duration;

use postrider_domain::{Event, EventName, LaneId, Pacticipant, TargetKind};
use postrider_github::ProbeReading;
use postrider_render::{RenderedRequest, Variables};
use postrider_store::{Lease, ProbeClaim, SecretValues, Store, StoreError};
use uuid::Uuid;

use crate::cache::{Prepared, prepare};
use crate::policy;
use crate::step::Context;
use crate::target::Reply;

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// The credential is taken again.
    Good,
    /// It is still refused, or nothing could be learnt.
    StillHeld,
    /// The target wants to be left alone this long.
    Limited(Option<Duration>),
}

/// Makes one probe if it is this worker's to make.
pub(crate) async fn probe(
    context: &Context,
    store: &Store,
    lane: LaneId,
    lease: Option<Lease>,
) -> Result<(), StoreError> {
    let Some(claim) = store.claim_probe(lane, lease, context.config.probe).await? else {
        return Ok(());
    };
    let Some(webhook) = store.lane_webhook(lane).await? else {
        return Ok(());
    };
    let names = webhook.secret_names.clone();
    let values = store.secret_values(&names).await?;
    let has_all = names.iter().all(|name| values.contains_key(name));
    let prepared = prepare(webhook);
    let finding = if has_all {
        ask(context, &prepared, &values).await
    } else {
        Finding::StillHeld
    };
    tracing::info!(lane = prepared.lane, finding = ?finding, "lane.probed");
    conclude(store, lane, claim, finding).await
}

async fn conclude(
    store: &Store,
    lane: LaneId,
    claim: ProbeClaim,
    finding: Finding,
) -> Result<(), StoreError> {
    match finding {
        Finding::Good => {
            if store.release_probed(lane, claim).await? {
                tracing::info!(lane_id = lane.0, "lane.opened");
            }
            Ok(())
        }
        Finding::Limited(pause) => {
            store
                .pause(lane, pause.unwrap_or(Duration::from_mins(1)))
                .await
        }
        Finding::StillHeld => Ok(()),
    }
}

async fn ask(context: &Context, prepared: &Prepared, values: &SecretValues) -> Finding {
    let event = placeholder();
    let variables = Variables {
        event: &event,
        event_name: "test",
        delivery_id: postrider_domain::DeliveryId(Uuid::nil()),
    };
    let rendered = prepared
        .request
        .render(&variables, values, &context.config.user_agent);
    let Ok(request) = rendered else {
        return Finding::StillHeld;
    };
    if policy::check(&request, &context.config).is_err() {
        return Finding::StillHeld;
    }
    match TargetKind::of(&request.url) {
        TargetKind::RepositoryDispatch | TargetKind::WorkflowDispatch => {
            ask_github(context, request).await
        }
        TargetKind::Other => Finding::StillHeld,
    }
}

async fn ask_github(context: &Context, mut request: RenderedRequest) -> Finding {
    let Some(url) = postrider_github::probe_url(&request.url) else {
        return Finding::StillHeld;
    };
    request.url = url;
    request.method = http::Method::GET;
    request.body = None;
    request.headers.remove(http::header::CONTENT_TYPE);
    match context.client.send(&request).await {
        Reply::Answered {
            status,
            headers,
            body,
        } => match postrider_github::read_probe(status.as_u16(), &headers, &body) {
            ProbeReading::Good => Finding::Good,
            ProbeReading::Limited(pause) => Finding::Limited(pause),
            ProbeReading::Refused | ProbeReading::Unknown => Finding::StillHeld,
        },
        Reply::TimedOut { .. } | Reply::ConnectFailed(_) | Reply::Broken(_) | Reply::Blocked(_) => {
            Finding::StillHeld
        }
    }
}

/// Only URL and credential of the rendered request are used.
fn placeholder() -> Event {
    let side = |name: &str| Pacticipant {
        name: name.to_owned(),
        ..Pacticipant::default()
    };
    Event {
        event_name: EventName::ContractPublished,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: side("placeholder-consumer"),
        provider: side("placeholder-provider"),
        pact_url: String::new(),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    }
}
