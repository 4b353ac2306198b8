//! Documents of the broker's API, made of the model (Pact Broker 2.120: `lib/pact_broker/api`).

use serde_json::{Value, json};
use url::Url;

use super::matrix;
use super::matrix::{parameter, time};
use super::model::{Model, Party, Place, Version};
use super::webhooks::encoded;

/// Status and document.
pub(super) type Document = (u16, Value);

/// Answers a GET. `base` is the broker's own address, `url` what was asked for.
pub(super) fn answer(model: &Model, base: &str, url: &Url) -> Document {
    let decode = |segment: &str| {
        percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
    };
    let path: Vec<String> =
        url.path_segments().into_iter().flatten().filter(|s| !s.is_empty()).map(decode).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let said = match path[..] {
        [] => Some(json!({ "_links": { "self": { "href": base } } })),
        ["integrations"] => Some(integrations(model, url)),
        ["pacticipants"] => Some(pacticipants(model)),
        ["webhooks"] => Some(webhooks(model, base)),
        ["webhooks", uuid] => webhook(model, uuid),
        ["matrix"] => return matrix::matrix(model, base, url),
        ["environments"] => Some(environments(model, base)),
        ["environments", id, what, _] => places(
            model,
            base,
            id,
            what == "released-versions",
            parameter(url, "pacticipant").as_ref(),
        ),
        ["pacticipants", name, ref rest @ ..] => of_party(model, base, url, name, rest),
        ["pacts", "provider", provider, "consumer", consumer, ref rest @ ..] => {
            of_pact(model, base, provider, consumer, rest)
        }
        _ => None,
    };
    let nothing = "The requested document was not found on this server.";
    said.map_or_else(|| (404, json!({ "error": nothing })), |document| (200, document))
}

/// The part of a list that was asked for, and what says where it is.
fn page<T: Clone>(url: &Url, all: &[T]) -> (Vec<T>, Value) {
    let number = |name: &str| parameter(url, name).and_then(|text| text.parse::<usize>().ok());
    let size = number("pageSize").unwrap_or(usize::MAX).max(1);
    let page = number("pageNumber").unwrap_or(1).max(1);
    let found = all.iter().skip((page - 1).saturating_mul(size)).take(size).cloned().collect();
    let pages = all.len().div_ceil(size);
    let place = json!({
        "number": page, "size": size.min(all.len()), "totalElements": all.len(),
        "totalPages": pages,
    });
    (found, place)
}

/// Newest change first.
fn integrations(model: &Model, url: &Url) -> Value {
    let newest: Vec<_> = model.integrations.iter().rev().cloned().collect();
    let (found, page) = page(url, &newest);
    let found = found.iter().map(|(consumer, provider)| {
        json!({ "consumer": { "name": consumer }, "provider": { "name": provider }, "_links": {} })
    });
    json!({ "_embedded": { "integrations": found.collect::<Vec<_>>() }, "page": page })
}

fn pacticipants(model: &Model) -> Value {
    let parties = model.parties.iter().map(|party| json!({ "name": party.name }));
    json!({ "_embedded": { "pacticipants": parties.collect::<Vec<_>>() } })
}

fn pacticipant(party: &Party) -> Value {
    let labels: Vec<Value> = party.labels.iter().map(|name| json!({ "name": name })).collect();
    let mut document = json!({
        "name": party.name,
        "displayName": party.name,
        "createdAt": time(party.created_at),
        "_embedded": { "labels": labels },
    });
    if let Some(branch) = &party.main_branch {
        document["mainBranch"] = json!(branch);
    }
    if party.updated_at != party.created_at {
        document["updatedAt"] = json!(time(party.updated_at));
    }
    document
}

fn of_party(model: &Model, base: &str, url: &Url, name: &str, rest: &[&str]) -> Option<Value> {
    let party = model.party(name)?;
    let document = |version: &Version| version_document(model, base, party, version);
    match rest {
        [] => Some(pacticipant(party)),
        ["branches", branch, "latest-version"] => model.branch_head(name, branch).map(document),
        ["latest-version"] => party.versions.last().map(document),
        ["latest-version", tag] => model.tagged(name, tag).map(document),
        ["versions"] => {
            let newest: Vec<Version> = party.versions.iter().rev().cloned().collect();
            let (found, page) = page(url, &newest);
            let found: Vec<Value> = found.iter().map(document).collect();
            Some(json!({ "_embedded": { "versions": found }, "page": page }))
        }
        ["versions", number] => model.version(name, number).map(document),
        _ => None,
    }
}

fn version_document(model: &Model, base: &str, party: &Party, version: &Version) -> Value {
    let name = encoded(&party.name);
    let branches: Vec<Value> = version
        .branches
        .iter()
        .map(|branch| {
            let head = model.branch_head(&party.name, branch);
            let is_head = head.is_some_and(|head| head.number == version.number);
            json!({ "name": branch, "latest": is_head, "_links": {} })
        })
        .collect();
    let tags: Vec<Value> = version.tags.iter().map(|tag| json!({ "name": tag })).collect();
    let pacts = model
        .pacts
        .iter()
        .filter(|pact| pact.consumer == party.name && pact.version == version.number);
    let pacts: Vec<Value> = pacts
        .map(|pact| {
            let (provider, number) = (encoded(&pact.provider), encoded(&pact.version));
            json!({
                "title": "Pact",
                "name": format!("Pact between {} ({}) and {}", pact.consumer, pact.version, pact.provider),
                "href": format!("{base}/pacts/provider/{provider}/consumer/{name}/version/{number}"),
            })
        })
        .collect();
    let mut document = json!({
        "number": version.number,
        "createdAt": time(version.created_at),
        "_embedded": { "branches": branches, "branchVersions": branches, "tags": tags },
        "_links": { "pb:pact-versions": pacts },
    });
    if let Some(build) = &version.build_url {
        document["buildUrl"] = json!(build);
    }
    document
}

fn webhooks(model: &Model, base: &str) -> Value {
    let relays = model.relay.iter();
    let links = relays.map(|(uuid, _)| json!({ "href": format!("{base}/webhooks/{uuid}") }));
    json!({ "_links": { "pb:webhooks": links.collect::<Vec<_>>() } })
}

fn webhook(model: &Model, uuid: &str) -> Option<Value> {
    let (_, url) = model.relay.as_ref().filter(|(known, _)| known == uuid)?;
    Some(
        json!({ "uuid": uuid, "enabled": !model.relay_is_off, "request": { "method": "POST", "url": url } }),
    )
}

/// An environment's uuid is made of its place in the list.
fn environment_id(place: usize) -> String {
    format!("00000000-0000-4000-8000-{place:012}")
}

fn environments(model: &Model, base: &str) -> Value {
    let all = model.environments.iter().enumerate().map(|(place, name)| {
        let id = environment_id(place);
        json!({
            "uuid": id, "name": name, "displayName": name, "production": name == "prod",
            "_links": { "self": { "href": format!("{base}/environments/{id}") } },
        })
    });
    json!({ "_embedded": { "environments": all.collect::<Vec<_>>() } })
}

fn places(
    model: &Model,
    base: &str,
    id: &str,
    is_release: bool,
    party: Option<&String>,
) -> Option<Value> {
    let place = (0..model.environments.len()).find(|place| environment_id(*place) == id)?;
    let environment = model.environments.get(place)?;
    let wanted = |place: &&Place| {
        place.environment == *environment
            && place.is_release == is_release
            && place.is_current
            && party.is_none_or(|party| *party == place.party)
    };
    let document = |place: &Place| {
        let (name, number) = (encoded(&place.party), encoded(&place.version));
        let href = format!("{base}/pacticipants/{name}/versions/{number}");
        json!({
            "createdAt": time(place.at),
            "currentlyDeployed": true,
            "currentlySupported": true,
            "applicationInstance": place.instance,
            "target": place.instance,
            "_embedded": {
                "pacticipant": { "name": place.party },
                "version": { "number": place.version, "_links": { "self": { "href": href } } },
            },
        })
    };
    let found: Vec<Value> = model.places.iter().filter(wanted).map(document).collect();
    let name = if is_release { "releasedVersions" } else { "deployedVersions" };
    Some(json!({ "_embedded": { name: found } }))
}

fn of_pact(
    model: &Model,
    base: &str,
    provider: &str,
    consumer: &str,
    rest: &[&str],
) -> Option<Value> {
    let below =
        format!("{base}/pacts/provider/{}/consumer/{}", encoded(provider), encoded(consumer));
    match rest {
        ["version", number] => {
            let pact = model.pact(consumer, number, provider)?;
            Some(json!({
                "consumer": { "name": consumer }, "provider": { "name": provider },
                "interactions": [],
                "createdAt": time(pact.at),
                "_links": {
                    "self": { "href": format!("{below}/version/{}", encoded(number)) },
                    "pb:pact-version": {
                        "name": pact.sha, "href": format!("{below}/pact-version/{}", pact.sha),
                    },
                },
            }))
        }
        ["version", number, "triggered-webhooks"] => {
            model.pact(consumer, number, provider)?;
            let of_it = model.triggers.iter().filter(|trigger| {
                trigger.consumer == consumer
                    && trigger.consumer_version == *number
                    && trigger.provider == provider
            });
            let of_it = of_it.map(|trigger| {
                let relay = model.relay.as_ref();
                let webhook = relay.map(|(uuid, _)| json!({ "href": format!("{base}/webhooks/{uuid}") }));
                json!({
                    "name": "POST postrider", "status": trigger.status.as_str(),
                    "eventName": trigger.event, "triggeredAt": time(trigger.triggered_at),
                    "triggerType": "resource_creation",
                    "_links": webhook.map_or_else(|| json!({}), |link| json!({ "pb:webhook": link })),
                })
            });
            Some(json!({ "_embedded": { "triggeredWebhooks": of_it.collect::<Vec<_>>() } }))
        }
        ["pact-version", sha, "verification-results", "latest"] => {
            let result = model.latest_result(consumer, provider, sha, None)?;
            let href = format!("{below}/pact-version/{sha}/verification-results/{}", result.number);
            Some(json!({
                "success": result.success,
                "providerApplicationVersion": result.version,
                "verificationDate": time(result.at),
                "_links": { "self": { "href": href } },
            }))
        }
        _ => None,
    }
}
