//! Which webhooks a collection is about.

use postrider_domain::{Selector, Webhook};

/// The pacticipants named in the path of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) consumer: Option<String>,
    pub(crate) provider: Option<String>,
}

impl Scope {
    pub(crate) fn all() -> Self {
        Self { consumer: None, provider: None }
    }

    pub(crate) fn provider(provider: &str) -> Self {
        Self { consumer: None, provider: Some(provider.to_owned()) }
    }

    pub(crate) fn consumer(consumer: &str) -> Self {
        Self { consumer: Some(consumer.to_owned()), provider: None }
    }

    pub(crate) fn pair(provider: &str, consumer: &str) -> Self {
        Self { consumer: Some(consumer.to_owned()), provider: Some(provider.to_owned()) }
    }

    /// Whether the collection holds the webhook: the sides in the path by name, the other side
    /// without a name (Pact Broker 2.120: one by label counts as that).
    pub(crate) fn lists(&self, webhook: &Webhook) -> bool {
        let (consumer, provider) =
            (name(webhook.consumer.as_ref()), name(webhook.provider.as_ref()));
        match (&self.consumer, &self.provider) {
            (None, None) => true,
            (wanted_consumer, wanted_provider) => {
                consumer == wanted_consumer.as_deref() && provider == wanted_provider.as_deref()
            }
        }
    }
}

fn name(selector: Option<&Selector>) -> Option<&str> {
    match selector {
        Some(Selector::Name(name)) => Some(name),
        Some(Selector::Label(_)) | None => None,
    }
}
