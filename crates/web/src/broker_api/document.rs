//! Webhook documents as they are shown: redacted, in the broker's order of keys, null members
//! left out, every link a single object.

use postrider_domain::{
    Body, BodyMode, RequestTemplate, STARS, Selector, Webhook, is_credential_header,
    is_secret_header,
};
use postrider_render::{is_secret_parameter, is_token, star_parameters};
use serde_json::{Map, Value, json};

use crate::broker_api::base::Bases;
use crate::broker_api::time::xml_time;
use crate::broker_api::url::{host_of, user_info, with_user_info};

/// The title of `pb:execute`, as clients show it.
const EXECUTE_TITLE: &str = "Test the execution of the webhook with the latest matching pact or \
                             verification by sending a POST request to this URL";

/// One webhook. `warnings` are shown when there are any; `more` are names of headers and query
/// parameters, in lower case, that are starred beside the usual ones.
pub(super) fn webhook(
    webhook: &Webhook,
    warnings: &[String],
    bases: &Bases,
    more: &[String],
) -> Value {
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            document.insert(key.to_owned(), value);
        }
    };
    put("uuid", json!(webhook.uuid));
    put("description", display_description(webhook).into());
    put("consumer", selector(webhook.consumer.as_ref()));
    put("provider", selector(webhook.provider.as_ref()));
    put("enabled", webhook.enabled.into());
    put("request", request(&webhook.request, more));
    put("events", webhook.events.iter().map(|name| json!({"name": name})).collect());
    put("teamUuid", json!(webhook.team_uuid));
    put("postrider", json!(webhook.extensions.document()));
    if webhook.updated_at != webhook.created_at {
        put("updatedAt", xml_time(webhook.updated_at).into());
    }
    put("createdAt", xml_time(webhook.created_at).into());
    if !warnings.is_empty() {
        put("warnings", json!(warnings));
    }
    put("_links", links(webhook, bases));
    Value::Object(document)
}

/// A list of links to webhooks.
pub(super) fn collection(title: &str, webhooks: &[&Webhook], bases: &Bases) -> Value {
    let items: Vec<Value> = webhooks
        .iter()
        .map(|webhook| {
            json!({
                "title": scope_description(webhook),
                "name": display_description(webhook),
                "href": bases.webhook(&webhook.uuid),
            })
        })
        .collect();
    json!({"_links": {
        "self": {"title": title, "href": bases.request},
        "pb:create": {"title": "POST to create a webhook", "href": bases.request},
        "pb:webhooks": items,
        "curies": [{"name": "pb", "href": bases.docs(), "templated": true}],
    }})
}

/// The description, else `<METHOD> <host>`.
pub(crate) fn display_description(webhook: &Webhook) -> String {
    let given = webhook.description.as_deref().filter(|text| !text.trim().is_empty());
    given.map_or_else(
        || {
            let request = &webhook.request;
            format!("{} {}", request.method.to_uppercase(), host_of(&request.url))
        },
        str::to_owned,
    )
}

fn selector(selector: Option<&Selector>) -> Value {
    match selector {
        None => Value::Null,
        Some(Selector::Name(name)) => json!({"name": name}),
        Some(Selector::Label(label)) => json!({"label": label}),
    }
}

fn request(request: &RequestTemplate, more: &[String]) -> Value {
    let is_hidden = |name: &str| more.iter().any(|hidden| hidden.eq_ignore_ascii_case(name));
    let mut document = Map::new();
    document.insert("method".into(), request.method.as_str().into());
    document.insert("url".into(), shown_url(&request.url, is_hidden).into());
    if !request.headers.is_empty() {
        let headers = request.headers.iter();
        let shown = headers
            .map(|(name, value)| (name.clone(), shown_header(name, value, is_hidden).into()));
        document.insert("headers".into(), Value::Object(shown.collect()));
    }
    match &request.body {
        None => {}
        Some(Body::Json(value)) => drop(document.insert("body".into(), value.clone())),
        Some(Body::Text(text)) => drop(document.insert("body".into(), text.as_str().into())),
    }
    if let Some(username) = &request.username {
        let is_secret = is_token(username, request.password.as_deref());
        let shown = if is_secret { starred(username) } else { username };
        document.insert("username".into(), shown.into());
    }
    if let Some(password) = &request.password {
        document.insert("password".into(), starred(password).into());
    }
    match request.body_mode {
        BodyMode::Json => {}
        BodyMode::Raw => drop(document.insert("bodyMode".into(), json!(BodyMode::Raw))),
    }
    Value::Object(document)
}

fn shown_header<'a>(name: &str, value: &'a str, is_hidden: impl Fn(&str) -> bool) -> &'a str {
    if is_credential_header(name) || is_hidden(name) {
        starred(value)
    } else if is_secret_header(name) && !value.contains("${") && !value.trim().is_empty() {
        // A broker shows it. With a variable in it, it shows no secret here either.
        STARS
    } else {
        value
    }
}

/// Stars, unless the value comes from the event (Pact Broker 2.120: `${user.…}` does not
/// count).
fn starred(value: &str) -> &str {
    if value.contains("${pactbroker.") { value } else { STARS }
}

/// User information is sealed like a secret, and starred like one.
fn shown_url(url: &str, is_hidden: impl Fn(&str) -> bool) -> String {
    let shown = match user_info(url).filter(|info| !info.is_empty()) {
        Some(info) => with_user_info(url, starred(info)),
        None => url.to_owned(),
    };
    let is_secret = |name: &str, value: &str| is_hidden(name) || is_secret_parameter(name, value);
    star_parameters(&shown, is_secret).unwrap_or(shown)
}

fn links(webhook: &Webhook, bases: &Bases) -> Value {
    let mut links = Map::new();
    let uuid = &webhook.uuid;
    let title = display_description(webhook);
    links.insert("self".into(), json!({"title": title, "href": bases.webhook(uuid)}));
    links.insert("pb:execute".into(), json!({"title": EXECUTE_TITLE, "href": bases.execute(uuid)}));
    links.extend(side_link("consumer", "Consumer", webhook.consumer.as_ref(), bases));
    links.extend(side_link("provider", "Provider", webhook.provider.as_ref(), bases));
    if let (Some(consumer), Some(provider)) = (&webhook.consumer, &webhook.provider) {
        let (consumer, provider) = (name_or_nothing(consumer), name_or_nothing(provider));
        let title = format!("All webhooks for consumer {consumer} and provider {provider}");
        let href = bases.pair(provider, consumer);
        links.insert("pb:pact-webhooks".into(), json!({"title": title, "href": href}));
    }
    links.insert("pb:webhooks".into(), json!({"title": "All webhooks", "href": bases.webhooks()}));
    Value::Object(links)
}

fn side_link(
    role: &str,
    title: &str,
    selector: Option<&Selector>,
    bases: &Bases,
) -> Option<(String, Value)> {
    match selector? {
        Selector::Name(name) => {
            let href = bases.pacticipant(name);
            Some((format!("pb:{role}"), json!({"title": title, "name": name, "href": href})))
        }
        Selector::Label(label) => {
            let (title, href) = (format!("{title}s by label"), bases.label(label));
            Some((format!("pb:{role}s"), json!({"title": title, "name": label, "href": href})))
        }
    }
}

/// The broker leaves the segment empty for a label.
fn name_or_nothing(selector: &Selector) -> &str {
    match selector {
        Selector::Name(name) => name,
        Selector::Label(_) => "",
    }
}

fn scope_description(webhook: &Webhook) -> String {
    let both = webhook.consumer.is_some() && webhook.provider.is_some();
    let words = |selector: &Selector, plural: &str| match selector {
        Selector::Name(name) => name.clone(),
        Selector::Label(label) if both => format!("{plural} labeled '{label}'"),
        Selector::Label(label) => format!("labeled '{label}'"),
    };
    let consumer = webhook.consumer.as_ref().map(|selector| words(selector, "consumers"));
    let provider = webhook.provider.as_ref().map(|selector| words(selector, "providers"));
    match (consumer, provider) {
        (Some(consumer), Some(provider)) => {
            format!("A webhook for the pact between {consumer} and {provider}")
        }
        (None, Some(provider)) => format!("A webhook for all pacts with provider {provider}"),
        (Some(consumer), None) => format!("A webhook for all pacts with consumer {consumer}"),
        (None, None) => "A webhook for all pacts".to_owned(),
    }
}

#[cfg(test)]
mod tests;
