//! Which webhooks want an event.

use crate::{Event, Pacticipant, Selector, Webhook};

/// Whether a delivery is owed: the webhook is enabled, subscribes to the event, and both of
/// its sides match (Pact Broker 2.120: by name, by a label that the pacticipant carries at the
/// time of the event, or any), and nothing of its own rule keeps the event out.
pub fn wants(webhook: &Webhook, event: &Event) -> bool {
    webhook.enabled
        && webhook.events.contains(&event.event_name)
        && selects(webhook.consumer.as_ref(), &event.consumer)
        && selects(webhook.provider.as_ref(), &event.provider)
        && webhook.extensions.when.as_ref().is_none_or(|when| when.kept_out(event).is_none())
}

fn selects(selector: Option<&Selector>, side: &Pacticipant) -> bool {
    match selector {
        None => true,
        Some(Selector::Name(name)) => *name == side.name,
        Some(Selector::Label(label)) => side.labels.contains(label),
    }
}

#[cfg(test)]
mod tests;
