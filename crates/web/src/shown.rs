//! Requests of attempts as they are shown: the text that was kept as evidence, or, for what was
//! plainly accepted, the request rendered again from its event and the webhook as it was.

use postrider_api::RequestOrigin;
use postrider_domain::{Event, RequestTemplate};
use postrider_render::{RENDERER, Variables, render_again};
use postrider_store::{DeliveryView, KeptRequest, Rendition, Store, StoreError};
use postrider_telemetry::TraceContext;
use std::collections::BTreeMap;

/// Sent where a webhook names no user agent of its own.
const USER_AGENT: &str = concat!("postrider/", env!("CARGO_PKG_VERSION"));

/// A request as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ShownRequest {
    /// JSON, redacted; empty when nothing was sent or nothing can be shown.
    pub(crate) text: String,
    /// `None` when there is nothing to show.
    pub(crate) origin: Option<RequestOrigin>,
    /// How long the body was, where no text is kept.
    pub(crate) body_bytes: Option<u32>,
    /// What keeps it from being shown, or from being what was sent.
    pub(crate) note: Option<String>,
}

impl ShownRequest {
    /// As far as it was kept.
    pub(crate) fn kept(request: &KeptRequest) -> Self {
        match request {
            KeptRequest::Nothing | KeptRequest::Rendition(_) => Self::default(),
            KeptRequest::Text(text) => {
                Self { text: text.clone(), origin: Some(RequestOrigin::Stored), ..Self::default() }
            }
        }
    }

    fn noted(rendition: &Rendition, note: String) -> Self {
        let body_bytes = Some(rendition.body_bytes);
        Self { body_bytes, note: Some(note), ..Self::default() }
    }
}

/// The requests of a delivery's attempts, in their order. `redact_more` are the setting's names.
pub(crate) async fn requests(
    store: &Store,
    view: &DeliveryView,
    redact_more: &[String],
) -> Result<Vec<ShownRequest>, StoreError> {
    let mut templates: BTreeMap<i64, Option<RequestTemplate>> = BTreeMap::new();
    let mut shown = Vec::with_capacity(view.attempts.len());
    for attempt in &view.attempts {
        let KeptRequest::Rendition(rendition) = &attempt.request else {
            shown.push(ShownRequest::kept(&attempt.request));
            continue;
        };
        let rev = rendition.webhook_rev;
        let template = match templates.remove(&rev) {
            Some(template) => template,
            None => store.request_at(view.webhook_id, rev).await?,
        };
        shown.push(rendered(template.as_ref(), view, rendition, redact_more));
        templates.insert(rev, template);
    }
    Ok(shown)
}

fn rendered(
    template: Option<&RequestTemplate>,
    view: &DeliveryView,
    rendition: &Rendition,
    redact_more: &[String],
) -> ShownRequest {
    let Some(template) = template else {
        let rev = rendition.webhook_rev;
        let note = format!("the webhook's revision {rev} is not kept any more");
        return ShownRequest::noted(rendition, note);
    };
    // Our own text, which reads unless the store was tampered with.
    let event: Event = match serde_json::from_str(&view.event) {
        Ok(event) => event,
        Err(error) => return ShownRequest::noted(rendition, format!("the event: {error}")),
    };
    let event_name = event.event_name.as_str();
    let vars = Variables { event: &event, event_name, delivery_id: view.row.id };
    let traceparent = traceparent(view, rendition);
    match render_again(template, &vars, USER_AGENT, traceparent.as_deref(), redact_more) {
        Ok(again) => ShownRequest {
            text: again.text,
            origin: Some(RequestOrigin::Rendered),
            body_bytes: Some(rendition.body_bytes),
            note: difference(rendition, again.body_bytes),
        },
        Err(error) => {
            ShownRequest::noted(rendition, format!("it can't be rendered again: {error}"))
        }
    }
}

/// The header that the worker added.
fn traceparent(view: &DeliveryView, rendition: &Rendition) -> Option<String> {
    let trace: TraceContext = view.traceparent.as_deref()?.parse().ok()?;
    Some(trace.child_of(rendition.span_id).to_traceparent())
}

/// How it is known that what is shown is not what was sent.
fn difference(rendition: &Rendition, body_bytes: Option<usize>) -> Option<String> {
    if rendition.renderer != RENDERER {
        return Some("sent by a version that rendered differently".to_owned());
    }
    let sent = rendition.body_bytes;
    let is_other = body_bytes.is_some_and(|bytes| u32::try_from(bytes) != Ok(sent));
    is_other.then(|| format!("the body that was sent had {sent} bytes: it was another"))
}

#[cfg(test)]
mod tests;
