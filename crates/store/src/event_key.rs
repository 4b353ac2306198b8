//! How an event of a broker is known again, whoever brings it.

use aws_lc_rs::digest::{SHA256, digest};
use postrider_domain::{Event, content_of};

use crate::StoreError;

/// What in a webhook's pact URL follows the content.
const METADATA: &str = "/metadata/";

/// The key that the broker's own call and the watch's event have in common.
///
/// It is made of broker, event, both applications and their versions, and the sha of the content
/// in the pact's URL; of nothing else. A call and its repeat were seen to differ in the URL's
/// metadata, the result's URL, the branch and the statuses (Pact Broker 2.120).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKey {
    /// The key. `None` when the event tells neither a pact nor a consumer version: then nothing
    /// tells a repeat from the next publication.
    pub text: Option<String>,
    /// Hash of what the key is made of.
    pub fingerprint: [u8; 16],
}

impl EventKey {
    /// The key of an event. Fails only when its names can't be written as JSON.
    pub fn of(event: &Event) -> Result<Self, StoreError> {
        let (consumer, provider) = (&event.consumer, &event.provider);
        let content = serde_json::to_vec(&(
            event.event_name,
            &event.broker,
            [&consumer.name, &consumer.version_number],
            [&provider.name, &provider.version_number],
            content(&event.pact_url),
        ));
        let content = content.map_err(|error| {
            StoreError::Unusable(format!("the event's key can't be made: {error}"))
        })?;
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&digest(&SHA256, &content).as_ref()[..16]);
        let is_telling = !event.pact_url.is_empty() || !consumer.version_number.is_empty();
        let text = is_telling.then(|| format!("relay:{}", hex::encode(fingerprint)));
        Ok(Self { text, fingerprint })
    }
}

/// The content that a pact's URL leads to; where it names none, the URL without what a webhook adds.
fn content(pact_url: &str) -> &str {
    let path = pact_url.split(['?', '#']).next().unwrap_or(pact_url);
    let without = || path.split_once(METADATA).map_or(pact_url, |(content, _)| content);
    content_of(pact_url).unwrap_or_else(without)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_what_a_pact_url_says_of_it() {
        let url = "https://b/pacts/provider/P%2F/consumer/C/pact-version/5d44";
        for (url, expected) in [
            (format!("{url}/metadata/Y3Zu"), "5d44"),
            (format!("{url}?x=1"), "5d44"),
            (url.to_owned(), "5d44"),
            (url.replace("https://b", "http://other:9292/pact"), "5d44"),
            ("http://b/pacts/1".to_owned(), "http://b/pacts/1"),
            ("http://b/pacts/1/metadata/Y3".to_owned(), "http://b/pacts/1"),
            (String::new(), ""),
        ] {
            assert_eq!(content(&url), expected, "{url}");
        }
    }
}
