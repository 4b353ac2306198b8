//! Which events a relay asks for.
//!
//! A broker starts each delivery of a request three seconds after the one before, whatever webhook
//! and event it is of (Pact Broker 2.120): every event that nobody wants delays those that somebody
//! does.

use std::collections::BTreeSet;
use std::str::FromStr;

use postrider_domain::EventName;
use serde_json::Value;

use crate::webhooks::read::{documents, uuids};
use crate::{Api, Failure};

/// What every relay asks for: who has to verify, and what was verified.
const ALWAYS: [EventName; 2] =
    [EventName::ContractRequiringVerificationPublished, EventName::ProviderVerificationPublished];

/// What was asked for on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// What webhooks here want, and verifications.
    Wanted,
    /// Whatever the broker tells of.
    All,
    /// Exactly these.
    These(Events),
}

/// Events, in the broker's order.
pub(crate) type Events = BTreeSet<EventName>;

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "wanted" => return Ok(Self::Wanted),
            "all" => return Ok(Self::All),
            _ => {}
        }
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let events: Result<Events, String> = names.map(named).collect();
        match events? {
            events if events.is_empty() => {
                Err("write wanted, all, or events with commas".to_owned())
            }
            events => Ok(Self::These(events)),
        }
    }
}

fn named(name: &str) -> Result<EventName, String> {
    let all = EventName::ALL.map(EventName::as_str);
    let near = postrider_domain::suggestions::hint(name, all);
    name.parse().map_err(|_| format!("{name} is no event: use one of {}{near}", all.join(", ")))
}

/// The events that enabled webhooks of a running postrider subscribe to.
pub(super) async fn wanted(api: &Api) -> Result<Events, Failure> {
    let uuids = uuids(api).await?;
    let webhooks = documents(api, &uuids).await?;
    let enabled = webhooks.iter().filter(|webhook| webhook.get("enabled") != Some(&false.into()));
    Ok(enabled.flat_map(of).collect())
}

/// The events that a webhook subscribes to.
pub(crate) fn of(webhook: &Value) -> Events {
    let events = webhook.get("events").and_then(Value::as_array);
    let name = |event: &Value| event.get("name")?.as_str()?.parse().ok();
    events.into_iter().flatten().filter_map(name).collect()
}

/// What a relay is to ask for: `current` is what it asks for now, `wanted` what webhooks here want,
/// as far as they could be asked. Without a choice a relay that is there keeps what somebody gave
/// it, and asks for what a webhook wants beside.
pub(super) fn chosen(
    choice: Option<&Choice>,
    current: Option<&Events>,
    wanted: Option<&Events>,
) -> Events {
    let wanted = wanted.into_iter().flatten().copied();
    match (choice, current) {
        (Some(Choice::All), _) => EventName::ALL.into_iter().collect(),
        (Some(Choice::These(events)), _) => events.clone(),
        (None, Some(current)) if !current.is_empty() => {
            current.iter().copied().chain(wanted).collect()
        }
        (None | Some(Choice::Wanted), _) => ALWAYS.into_iter().chain(wanted).collect(),
    }
}

/// Those that a relay asks for although nobody wants them.
pub(super) fn unwanted(asked: &Events, wanted: &Events) -> Events {
    asked
        .iter()
        .copied()
        .filter(|event| !wanted.contains(event) && !ALWAYS.contains(event))
        .collect()
}

/// As people read them.
pub(crate) fn listed(events: &Events) -> String {
    events.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn events(names: &[EventName]) -> Events {
        names.iter().copied().collect()
    }

    #[test]
    fn what_a_relay_asks_for() {
        use EventName as E;
        let always = events(&ALWAYS);
        let all = events(&E::ALL);
        let published = events(&[E::ContractPublished]);
        let more = always.union(&published).copied().collect::<Events>();
        let these = Choice::These(published.clone());
        for (choice, current, wanted, expected) in [
            (None, None, None, &always),
            (None, None, Some(&published), &more),
            (Some(&Choice::All), Some(&published), None, &all),
            (Some(&these), Some(&all), Some(&all), &published),
            // What somebody chose by hand stays, and what is wanted joins it.
            (None, Some(&published), None, &published),
            (None, Some(&published), Some(&always), &more),
            (None, Some(&all), Some(&published), &all),
            (Some(&Choice::Wanted), Some(&all), Some(&published), &more),
            (None, Some(&Events::new()), None, &always),
        ] {
            let found = chosen(choice, current, wanted);
            assert_eq!(&found, expected, "{choice:?} {current:?} {wanted:?}");
        }
        assert_eq!(unwanted(&more, &Events::new()), published);
        assert_eq!(unwanted(&more, &published), Events::new());
    }

    #[test]
    fn choices_are_read() {
        assert_eq!("all".parse(), Ok(Choice::All));
        assert_eq!("wanted".parse(), Ok(Choice::Wanted));
        let one = Choice::These(events(&[EventName::ContractPublished]));
        assert_eq!("contract_published,".parse(), Ok(one));
        let wrong = "contract_publishd".parse::<Choice>().unwrap_err();
        assert!(wrong.contains("did you mean contract_published"), "{wrong}");
        assert!(",".parse::<Choice>().is_err());
    }

    #[test]
    fn events_of_a_document() {
        let document = json!({"events": [{"name": "contract_published"}, {"name": "strange"}]});
        assert_eq!(of(&document), events(&[EventName::ContractPublished]));
    }
}
