//! The event that a broker sends for a debt, with the values of its own webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postrider_domain::owed::Debt;
use postrider_domain::{Event, EventName, Pacticipant};
use url::form_urlencoded::Serializer;

use super::known::Known;
use crate::error::BrokerError;
use crate::listing::Pair;

/// What `contract_requiring_verification_published` says of a debt (Pact Broker 2.120):
/// * tags of the provider version, the result's URL and its success are those of the content's
///   latest result, whichever version it is of, and empty without one;
/// * the provider version's branch is the main branch for its head, else the version's last one;
/// * descriptions come main first, then deployments in their order, then releases.
pub(super) async fn of(
    known: &Known<'_>,
    pair: &Pair,
    debt: &Debt,
    broker_name: &str,
) -> Result<Option<Event>, BrokerError> {
    let broker = known.broker();
    let version = known.version(&pair.consumer, &debt.consumer_version).await?;
    let pact = known.pact(pair, &debt.consumer_version).await?;
    let (Some(version), Some(pact)) = (version, pact) else { return Ok(None) };
    let latest = broker.latest_result(pair, &pact.sha).await?;
    let verified_by = match &latest {
        Some(result) => known.version(&pair.provider, &result.provider_version).await?,
        None => None,
    };
    let branch = if let Some(branch) = &debt.provider.main_branch {
        Some(branch.clone())
    } else {
        let owing = known.version(&pair.provider, &debt.provider.version).await?;
        owing.and_then(|owing| owing.branches.last().cloned())
    };
    let roles = debt.provider.because.iter();
    let descriptions = roles.map(|(role, _)| role.description()).filter(|text| !text.is_empty());
    let pact_url = format!("{}/metadata/{}", pact.content_url, metadata(debt, &version.tags));
    Ok(Some(Event {
        event_name: EventName::ContractRequiringVerificationPublished,
        occurred_at: Some(pact.published_at),
        broker: broker_name.to_owned(),
        consumer: Pacticipant {
            name: pair.consumer.clone(),
            version_number: version.number,
            branch: version.branches.last().cloned().unwrap_or_default(),
            tags: version.tags,
            labels: known.pacticipant(&pair.consumer).await?.labels,
            version_descriptions: Vec::new(),
        },
        provider: Pacticipant {
            name: pair.provider.clone(),
            version_number: debt.provider.version.clone(),
            branch: branch.unwrap_or_default(),
            tags: verified_by.map(|version| version.tags).unwrap_or_default(),
            labels: known.pacticipant(&pair.provider).await?.labels,
            version_descriptions: descriptions.collect(),
        },
        pact_url,
        verification_result_url: latest.as_ref().map(|one| one.url.clone()).unwrap_or_default(),
        verification_success: latest.map(|result| result.success),
        build_url: version.build_url,
        currently_deployed_provider_version_number: String::new(),
    }))
}

/// What a webhook's pact URL says of the version that published: base64url without padding of
/// `cvn=1&cvt[]=a&w=true`.
fn metadata(debt: &Debt, tags: &[String]) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("cvn", &debt.consumer_version);
    for tag in tags {
        query.append_pair("cvt[]", tag);
    }
    query.append_pair("w", "true");
    URL_SAFE_NO_PAD.encode(query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_domain::owed::{Counted, Due};

    #[test]
    fn metadata_as_a_broker_writes_it() {
        let debt = |version: &str| Debt {
            consumer_version: version.to_owned(),
            lines: Vec::new(),
            published_at: jiff::Timestamp::UNIX_EPOCH,
            provider: Counted { version: String::new(), main_branch: None, because: Vec::new() },
            due: Due::Later,
            blocking: false,
            since: jiff::Timestamp::UNIX_EPOCH,
            is_begin_seen: false,
        };
        // As recorded from Pact Broker 2.120.0.
        assert_eq!(metadata(&debt("c3"), &[]), "Y3ZuPWMzJnc9dHJ1ZQ");
        let tags = ["a".to_owned(), "b".to_owned()];
        let recorded = "Y3ZuPTEmY3Z0JTVCJTVEPWEmY3Z0JTVCJTVEPWImdz10cnVl";
        assert_eq!(metadata(&debt("1"), &tags), recorded);
    }
}
