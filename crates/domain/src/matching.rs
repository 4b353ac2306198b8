//! Which webhooks want an event, and why the others do not.

use std::fmt;

use crate::{Event, EventName, KeptOut, Pacticipant, Selector, Webhook};

/// Why a webhook does not want an event: the first reason, in the order in which it is looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwanted {
    /// It is switched off.
    Disabled,
    /// It does not subscribe to this event.
    OtherEvents {
        /// Those that it subscribes to.
        subscribed: Vec<EventName>,
        /// The event's.
        found: EventName,
    },
    /// It is for other consumers.
    OtherConsumer {
        /// Those that it is for.
        wanted: Selector,
        /// The event's name for a selection by name, else its labels.
        found: String,
    },
    /// It is for other providers.
    OtherProvider {
        /// Those that it is for.
        wanted: Selector,
        /// As of the consumer.
        found: String,
    },
    /// Its own rule `postrider.when` keeps the event out.
    KeptOut(KeptOut),
}

/// Names the key of the webhook's document and the value of the event that does not fit.
impl fmt::Display for Unwanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("enabled is false"),
            Self::OtherEvents { subscribed, found } => {
                let names: Vec<&str> = subscribed.iter().map(|name| name.as_str()).collect();
                write!(f, "events names {}, not {found}", names.join(", "))
            }
            Self::OtherConsumer { wanted, found } => other(f, "consumer", wanted, found),
            Self::OtherProvider { wanted, found } => other(f, "provider", wanted, found),
            Self::KeptOut(kept_out) => write!(f, "{kept_out}"),
        }
    }
}

fn other(f: &mut fmt::Formatter<'_>, side: &str, wanted: &Selector, found: &str) -> fmt::Result {
    match wanted {
        Selector::Name(name) => write!(f, "{side}.name is {name:?}, not {found:?}"),
        Selector::Label(label) => {
            write!(f, "{side}.label is {label:?}, which is none of the labels {found:?}")
        }
    }
}

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

/// Why a webhook does not want an event; `None` when it does ([`wants`]).
pub fn unwanted(webhook: &Webhook, event: &Event) -> Option<Unwanted> {
    if !webhook.enabled {
        return Some(Unwanted::Disabled);
    }
    if !webhook.events.contains(&event.event_name) {
        let subscribed = webhook.events.clone();
        return Some(Unwanted::OtherEvents { subscribed, found: event.event_name });
    }
    if let Some((wanted, found)) = other_side(webhook.consumer.as_ref(), &event.consumer) {
        return Some(Unwanted::OtherConsumer { wanted, found });
    }
    if let Some((wanted, found)) = other_side(webhook.provider.as_ref(), &event.provider) {
        return Some(Unwanted::OtherProvider { wanted, found });
    }
    let when = webhook.extensions.when.as_ref()?;
    when.kept_out(event).map(Unwanted::KeptOut)
}

/// How far a webhook is from wanting an event. Sorts the webhooks that somebody may have had in
/// mind to the front: one that is meant for this consumer and this provider is nearer than any that
/// is not, whatever keeps it from wanting the event; among equals fewer reasons are nearer.
pub fn distance(webhook: &Webhook, event: &Event) -> usize {
    let when = webhook.extensions.when.as_ref();
    let sides = [
        selects(webhook.consumer.as_ref(), &event.consumer),
        selects(webhook.provider.as_ref(), &event.provider),
    ];
    let others = [
        webhook.enabled,
        webhook.events.contains(&event.event_name),
        when.is_none_or(|when| when.kept_out(event).is_none()),
    ];
    let unfit = |fits: &[bool]| fits.iter().filter(|fits| !**fits).count();
    unfit(&sides) * (others.len() + 1) + unfit(&others)
}

fn selects(selector: Option<&Selector>, side: &Pacticipant) -> bool {
    match selector {
        None => true,
        Some(Selector::Name(name)) => *name == side.name,
        Some(Selector::Label(label)) => side.labels.contains(label),
    }
}

fn other_side(selector: Option<&Selector>, side: &Pacticipant) -> Option<(Selector, String)> {
    let wanted = selector.filter(|_| !selects(selector, side))?;
    let found = match wanted {
        Selector::Name(_) => side.name.clone(),
        Selector::Label(_) => side.labels.join(", "),
    };
    Some((wanted.clone(), found))
}

#[cfg(test)]
mod tests;
