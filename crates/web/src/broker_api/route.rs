//! Which resource a path names, before anything is looked up.

use percent_encoding::percent_decode_str;

use crate::broker_api::allowed::Allowed;
use crate::broker_api::scope::Scope;

/// A resource of the broker's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    /// `/`
    Index,
    /// `/doc/{rel}`
    Doc(String),
    /// `/webhooks`, and under it those of a provider, a consumer or both.
    Webhooks(Scope),
    /// `/pacts/provider/{provider}/consumer/{consumer}/webhooks`: the same by its old name.
    PactWebhooks(Scope),
    /// `/pacts/provider/{provider}/consumer/{consumer}/webhooks/status`
    Status { provider: String, consumer: String },
    /// `/webhooks/{uuid}`
    Webhook(String),
    /// `/webhooks/{uuid}/execute`
    Execute(String),
    /// `/webhooks/execute`
    ExecuteUnsaved,
    /// `/triggered-webhooks/{uuid}/logs`
    Logs(String),
    /// `/secrets`
    Secrets,
    /// `/secrets/{uuid}`
    Secret(String),
}

/// Why a path is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathFault {
    /// Two slashes follow each other, or the escapes are none.
    Invalid,
    /// It holds an encoded new line.
    NewLine,
    /// It holds an encoded tab.
    Tab,
    /// It holds another encoded control character.
    Control,
}

/// A path as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// `None` when there is nothing there.
    pub(crate) resource: Option<Resource>,
    /// The path ended in `.json`.
    pub(crate) has_json_suffix: bool,
}

/// Reads a path; a slash at its end does not matter.
pub(crate) fn route(path: &str) -> Result<Route, PathFault> {
    if path.contains("//") || !has_whole_escapes(path) {
        return Err(PathFault::Invalid);
    }
    let bare = path.strip_suffix(".json");
    let has_json_suffix = bare.is_some();
    let path = bare.unwrap_or(path).trim_matches('/');
    let decoded = path.split('/').map(|segment| percent_decode_str(segment).decode_utf8());
    let segments: Vec<String> = decoded
        .map(|segment| segment.map(String::from).map_err(|_| PathFault::Invalid))
        .collect::<Result<_, _>>()?;
    match segments.iter().flat_map(|segment| segment.chars()).find(|c| c.is_control()) {
        Some('\n') => return Err(PathFault::NewLine),
        Some('\t') => return Err(PathFault::Tab),
        Some(_) => return Err(PathFault::Control),
        None => {}
    }
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    Ok(Route { resource: resource(&segments), has_json_suffix })
}

/// The names in a path, in its order.
type Names<'a> = [&'a str; 2];

/// What the names in a path make of it.
type Reads = fn(Names<'_>) -> Resource;

/// The paths, each with what it names. Of those that fit the first counts.
pub(crate) const PATHS: [(&str, Reads); 14] = [
    ("/", |_| Resource::Index),
    ("/doc/{rel}", |[rel, _]| Resource::Doc(rel.to_owned())),
    ("/webhooks", |_| Resource::Webhooks(Scope::all())),
    ("/webhooks/execute", |_| Resource::ExecuteUnsaved),
    ("/webhooks/provider/{provider}", |[provider, _]| {
        Resource::Webhooks(Scope::provider(provider))
    }),
    ("/webhooks/consumer/{consumer}", |[consumer, _]| {
        Resource::Webhooks(Scope::consumer(consumer))
    }),
    ("/webhooks/provider/{provider}/consumer/{consumer}", |[provider, consumer]| {
        Resource::Webhooks(Scope::pair(provider, consumer))
    }),
    ("/webhooks/{uuid}/execute", |[uuid, _]| Resource::Execute(uuid.to_owned())),
    ("/webhooks/{uuid}", |[uuid, _]| Resource::Webhook(uuid.to_owned())),
    ("/pacts/provider/{provider}/consumer/{consumer}/webhooks", |[provider, consumer]| {
        Resource::PactWebhooks(Scope::pair(provider, consumer))
    }),
    ("/pacts/provider/{provider}/consumer/{consumer}/webhooks/status", |[provider, consumer]| {
        Resource::Status { provider: provider.to_owned(), consumer: consumer.to_owned() }
    }),
    ("/triggered-webhooks/{uuid}/logs", |[uuid, _]| Resource::Logs(uuid.to_owned())),
    ("/secrets", |_| Resource::Secrets),
    ("/secrets/{uuid}", |[uuid, _]| Resource::Secret(uuid.to_owned())),
];

fn resource(segments: &[&str]) -> Option<Resource> {
    PATHS.iter().find_map(|(path, named)| names(path, segments).map(named))
}

/// The names, where the segments are those of the path.
fn names<'a>(path: &str, segments: &[&'a str]) -> Option<Names<'a>> {
    let mut names = [""; 2];
    let mut unnamed = names.iter_mut();
    let mut parts = path.trim_start_matches('/').split('/');
    for segment in segments {
        let part = parts.next()?;
        if part.starts_with('{') {
            *unnamed.next()? = segment;
        } else if part != *segment {
            return None;
        }
    }
    parts.next().is_none().then_some(names)
}

fn has_whole_escapes(path: &str) -> bool {
    path.split('%').skip(1).all(|after| {
        let mut digits = after.bytes();
        let mut is_hex = || digits.next().is_some_and(|b| b.is_ascii_hexdigit());
        is_hex() && is_hex()
    })
}

impl Resource {
    /// The methods that it knows, in the broker's order, which differs.
    pub(crate) fn allowed(&self) -> Allowed {
        Allowed(match self {
            Self::Index | Self::Doc(_) | Self::Status { .. } | Self::Logs(_) => "GET, OPTIONS",
            Self::Webhooks(scope) if *scope != Scope::all() => "POST, GET, OPTIONS",
            Self::PactWebhooks(_) => "POST, GET, OPTIONS",
            Self::Webhooks(_) | Self::Secrets => "GET, POST, OPTIONS",
            Self::Webhook(_) | Self::Secret(_) => "GET, PUT, DELETE, OPTIONS",
            Self::Execute(_) | Self::ExecuteUnsaved => "POST, OPTIONS",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<Resource> {
        route(path).unwrap().resource
    }

    #[test]
    fn paths() {
        let text = |text: &str| text.to_owned();
        for (path, expected) in [
            ("/", Some(Resource::Index)),
            ("", Some(Resource::Index)),
            ("/webhooks/", Some(Resource::Webhooks(Scope::all()))),
            ("/webhooks/execute", Some(Resource::ExecuteUnsaved)),
            ("/webhooks/x/execute", Some(Resource::Execute(text("x")))),
            ("/webhooks/provider", Some(Resource::Webhook(text("provider")))),
            ("/webhooks/provider/a%2Fb", Some(Resource::Webhooks(Scope::provider("a/b")))),
            ("/triggered-webhooks/u/logs", Some(Resource::Logs(text("u")))),
            ("/doc/webhooks-create", Some(Resource::Doc(text("webhooks-create")))),
            ("/pacts/provider/P/consumer/C/webhooks", {
                Some(Resource::PactWebhooks(Scope::pair("P", "C")))
            }),
            ("/pacts/provider/P/consumer/C/webhooks/status", {
                Some(Resource::Status { provider: text("P"), consumer: text("C") })
            }),
            ("/secrets/u", Some(Resource::Secret(text("u")))),
            ("/pacts/provider/P/consumer/C", None),
            ("/webhooks/a/b", None),
            ("/nothing", None),
        ] {
            assert_eq!(found(path), expected, "{path}");
        }
    }

    #[test]
    fn the_suffix_is_taken_off() {
        let read = route("/webhooks/provider/P.json").unwrap();
        assert!(read.has_json_suffix);
        assert_eq!(read.resource, Some(Resource::Webhooks(Scope::provider("P"))));
        assert!(!route("/webhooks/json").unwrap().has_json_suffix);
    }

    #[test]
    fn paths_that_are_none() {
        for (path, fault) in [
            ("//webhooks", PathFault::Invalid),
            ("/webhooks//x", PathFault::Invalid),
            ("/webhooks/%zz", PathFault::Invalid),
            ("/webhooks/%4", PathFault::Invalid),
            ("/webhooks/%ff", PathFault::Invalid),
            ("/webhooks/a%0Ab", PathFault::NewLine),
            ("/webhooks/a%09b", PathFault::Tab),
            ("/webhooks/a%00b", PathFault::Control),
        ] {
            assert_eq!(route(path), Err(fault), "{path}");
        }
    }
}
