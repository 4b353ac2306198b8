//! What the broker knows of a contract, and of telling of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use postrider_broker::{
    Broker, BrokerConfig, BrokerError, Pair, PairView, RelayWebhook, Scope, SideChoice, Survey,
    TriggeredCall, VersionFound,
};
use postrider_domain::EventName;
use postrider_domain::doctor::{Asked, Known, NotReceived, Publication, RequiredVersion};
use postrider_domain::owed::{Contract, Counted, Debt, Due, VersionResult};

use crate::WebConfig;

/// How long the broker may take in all.
const WITHIN: Duration = Duration::from_secs(15);
/// How long each of its answers may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What the broker says.
pub(super) struct AtBroker {
    pub(super) publication: Known<Publication>,
    pub(super) required: Known<Vec<RequiredVersion>>,
    pub(super) latest: Option<VersionResult>,
    pub(super) not_received: Known<NotReceived>,
    /// Sha of the contract's content, if it is known.
    pub(super) content: Option<String>,
}

impl AtBroker {
    fn unknown(why: &str) -> Self {
        Self {
            publication: Known::Unknown(why.to_owned()),
            required: Known::Unknown(why.to_owned()),
            latest: None,
            not_received: Known::Unknown(why.to_owned()),
            content: None,
        }
    }

    fn without(publication: Publication) -> Self {
        Self {
            publication: Known::Is(publication),
            required: Known::Is(Vec::new()),
            latest: None,
            not_received: Known::Unknown("nothing was published".to_owned()),
            content: None,
        }
    }
}

/// Asks the broker; that it can't tell is an answer.
pub(super) async fn ask(config: &WebConfig, asked: &Asked) -> AtBroker {
    let known = match known_broker(&config.brokers, &asked.broker) {
        Ok(known) => known,
        Err(why) => return AtBroker::unknown(&why),
    };
    let reading = Box::pin(read(known, asked));
    match tokio::time::timeout(WITHIN, reading).await {
        Ok(Ok(said)) => said,
        Ok(Err(BrokerError::UnknownName { .. })) => AtBroker::without(Publication::NoVersion),
        Ok(Err(error)) => AtBroker::unknown(&error.to_string()),
        Err(_) => AtBroker::unknown("the broker did not answer in time"),
    }
}

/// How the broker of this name is asked while somebody waits for the answer.
pub(crate) fn known_broker(
    brokers: &BTreeMap<String, BrokerConfig>,
    name: &str,
) -> Result<BrokerConfig, String> {
    let Some(config) = brokers.get(name) else {
        return Err(format!(
            "this process is given no broker named {name:?}: set PACT_BROKER_BASE_URL, or a \
             [[broker]] in the settings file"
        ));
    };
    Ok(BrokerConfig { timeout: ANSWER_WITHIN.min(config.timeout), ..config.clone() })
}

async fn read(config: BrokerConfig, asked: &Asked) -> Result<AtBroker, BrokerError> {
    let broker = Broker::new(config)?;
    let survey = Survey::new(&broker, Scope::Few);
    let pair = Pair { consumer: asked.consumer.clone(), provider: asked.provider.clone() };
    let side = match &asked.environment {
        Some(environment) => SideChoice::Environment(environment.clone()),
        None => SideChoice::Broker,
    };
    let (found, view) = survey.version_view(&pair, asked.version.as_deref(), &side).await?;
    let publication = match found {
        VersionFound::Nothing => Publication::NoVersion,
        VersionFound::NoContract(version) => Publication::NoContract { version },
        VersionFound::Dropped(version) => Publication::Dropped { version },
        VersionFound::Contract(version) => {
            let of = Of { survey: &survey, broker: &broker, name: &asked.broker, pair: &pair };
            return contract(of, version, view).await;
        }
    };
    Ok(AtBroker::without(publication))
}

/// What a contract is asked about.
#[derive(Clone, Copy)]
struct Of<'a> {
    survey: &'a Survey<'a>,
    broker: &'a Broker,
    /// Its name here.
    name: &'a str,
    pair: &'a Pair,
}

async fn contract(of: Of<'_>, version: String, view: PairView) -> Result<AtBroker, BrokerError> {
    let Of { survey, broker, name, pair } = of;
    let PairView { counts, contracts, .. } = view;
    let Some(contract) = contracts.into_iter().next() else {
        return Ok(AtBroker::without(Publication::NoVersion));
    };
    let mut required = Vec::new();
    for counted in counts {
        required.push(one(survey, pair, &contract, counted).await?);
    }
    let pact = survey.pact(pair, &version).await?;
    let latest = match &pact {
        Some(pact) => broker.latest_result(pair, &pact.sha).await?,
        None => None,
    };
    let latest = latest.and_then(|latest| {
        let (provider_version, success) = (latest.provider_version, latest.success);
        Some(VersionResult { provider_version, success, at: latest.at? })
    });
    let (content, url) = pact.map(|pact| (pact.sha, pact.content_url)).unzip();
    let url = url.unwrap_or_default();
    let at = contract.published_at;
    let not_received = match not_received(broker, name, pair, (&version, at)).await {
        Ok(why) => Known::Is(why),
        Err(error) => Known::Unknown(error.to_string()),
    };
    Ok(AtBroker {
        publication: Known::Is(Publication::Is { version, at, url }),
        required: Known::Is(required),
        latest,
        not_received,
        content,
    })
}

/// A version that counts, with whether it was to be told of the contract.
async fn one(
    survey: &Survey<'_>,
    pair: &Pair,
    contract: &Contract,
    counted: Counted,
) -> Result<RequiredVersion, BrokerError> {
    let counts_since = counted.since().unwrap_or(contract.published_at);
    let result = contract.result_of(&counted.version).cloned();
    let mut due = if counts_since <= contract.published_at { Due::Published } else { Due::Later };
    let mut since = counts_since.max(contract.published_at);
    // As what is owed is looked at everywhere else.
    let of_it = |debt: &Debt| debt.provider.version == counted.version;
    let mut debts = contract.owes(std::slice::from_ref(&counted));
    if let Some(debt) = debts.iter_mut().find(|debt| of_it(debt)) {
        survey.refine(pair, debt).await?;
        (due, since) = (debt.due, debt.since.max(contract.published_at));
    }
    Ok(RequiredVersion { counted, due, since, result })
}

/// Why an event about the contract would not be here.
async fn not_received(
    broker: &Broker,
    name: &str,
    pair: &Pair,
    (version, published_at): (&str, Timestamp),
) -> Result<NotReceived, BrokerError> {
    let mut relays = broker.relays().await?;
    relays.retain(|relay| relay.is_for(name));
    let mut calls = broker.triggered_calls(pair, version).await?;
    // Those before were about what was overwritten since.
    calls.retain(|call| call.at.as_second() >= published_at.as_second());
    Ok(why_not(&relays, &calls))
}

/// Of several relays the one speaks that could have told.
fn why_not(relays: &[RelayWebhook], calls: &[TriggeredCall]) -> NotReceived {
    let wanted = EventName::ContractRequiringVerificationPublished.as_str();
    let tells = |relay: &&RelayWebhook| relay.enabled && relay.events.iter().any(|e| e == wanted);
    let Some(relay) = relays.iter().find(tells) else {
        return match relays.iter().find(|relay| relay.enabled).or_else(|| relays.first()) {
            None => NotReceived::NoRelay,
            Some(relay) if relay.enabled => {
                let (uuid, events) = (relay.uuid.clone(), relay.events.clone());
                NotReceived::RelayForOthers { uuid, events }
            }
            Some(relay) => NotReceived::RelayDisabled { uuid: relay.uuid.clone() },
        };
    };
    let is_its = |call: &&TriggeredCall| {
        call.event == wanted && call.webhook.as_ref().is_none_or(|uuid| *uuid == relay.uuid)
    };
    let Some(call) = calls.iter().filter(is_its).max_by_key(|call| call.at) else {
        return NotReceived::NeverTriggered;
    };
    match call.status.as_str() {
        "success" => NotReceived::SaidToBeTold { at: call.at },
        "failure" => NotReceived::Refused { at: call.at, is_repeated: false },
        "retrying" => NotReceived::Refused { at: call.at, is_repeated: true },
        _ => NotReceived::NotRun { at: call.at },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(enabled: bool, events: &[&str]) -> RelayWebhook {
        RelayWebhook {
            uuid: "r".to_owned(),
            enabled,
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            url: "https://p.example/hooks/broker?eventName=x".parse().unwrap(),
        }
    }

    fn call(status: &str, webhook: Option<&str>) -> TriggeredCall {
        TriggeredCall {
            event: "contract_requiring_verification_published".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            status: status.to_owned(),
            webhook: webhook.map(str::to_owned),
        }
    }

    #[test]
    fn why_nothing_came() {
        let wanted = "contract_requiring_verification_published";
        let at = Timestamp::UNIX_EPOCH;
        let uuid = || "r".to_owned();
        let good = || vec![relay(true, &[wanted])];
        let others = vec!["contract_published".to_owned()];
        for (relays, calls, expected) in [
            (vec![], vec![], NotReceived::NoRelay),
            (vec![relay(false, &[wanted])], vec![], NotReceived::RelayDisabled { uuid: uuid() }),
            (
                vec![relay(true, &["contract_published"])],
                vec![call("success", None)],
                NotReceived::RelayForOthers { uuid: uuid(), events: others },
            ),
            (good(), vec![], NotReceived::NeverTriggered),
            (good(), vec![call("success", Some("another"))], NotReceived::NeverTriggered),
            (good(), vec![call("not_run", Some("r"))], NotReceived::NotRun { at }),
            (good(), vec![call("success", None)], NotReceived::SaidToBeTold { at }),
            (good(), vec![call("failure", None)], NotReceived::Refused { at, is_repeated: false }),
            (good(), vec![call("retrying", None)], NotReceived::Refused { at, is_repeated: true }),
        ] {
            assert_eq!(why_not(&relays, &calls), expected);
        }
    }
}
