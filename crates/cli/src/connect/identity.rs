//! Whether it is a broker that answers, before anything secret goes there.

use postrider_broker::{Answer, Broker};
use reqwest::StatusCode;
use serde_json::Value;

use crate::broker::failure;
use crate::{Exit, Failure, printable};

/// Makes sure that a broker's index answers. `open` carries no credential: only where it is told
/// that one is needed does the broker's own credential go there, and no other.
pub(super) async fn ensure(open: &Broker, broker: &Broker) -> Result<(), Failure> {
    let answer = open.get_json("").await.map_err(|error| failure(&error))?;
    let answer = match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let answer = broker.get_json("").await.map_err(|error| failure(&error))?;
            if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                return Err(failure(&broker.refusal(&answer)));
            }
            answer
        }
        _ => answer,
    };
    if answer.status.is_server_error() {
        return Err(failure(&broker.refusal(&answer)));
    }
    if answer.status.is_success() && is_index(&answer.body) {
        return Ok(());
    }
    let what = format!("{} is no Pact Broker: it answered {}", broker.address(), told(&answer));
    Err(Failure::new(Exit::Unreachable, printable(&what))
        .fix("give the broker's own address with --broker; no token was sent there"))
}

/// Whether a document is a broker's index: it links to the broker's resources.
fn is_index(document: &Value) -> bool {
    let links = document.get("_links").and_then(Value::as_object);
    links.is_some_and(|links| links.keys().any(|name| name.starts_with("pb:")))
}

/// Status, content type and server of an answer.
fn told(answer: &Answer) -> String {
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let kind = header("content-type").unwrap_or("no content type");
    let server = header("server").map(|name| format!(", server {name}")).unwrap_or_default();
    format!("{} ({kind}{server})", answer.status.as_u16())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_index_is_known_by_its_links() {
        assert!(is_index(&json!({"_links": {"self": {}, "pb:webhooks": {}}})));
        for other in [json!({"_links": {"self": {}}}), json!({"status": "ok"}), Value::Null] {
            assert!(!is_index(&other), "{other}");
        }
    }
}
