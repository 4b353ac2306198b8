//! What a test is rendered from: the latest event that the webhook's sides select, else the
//! placeholders of Pact Broker 2.120. A side by label is looked for by that label, where the
//! broker always takes the placeholder.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postrider_domain::{Event, EventName, Pacticipant, Webhook};
use postrider_store::{Store, StoreError};

const CONSUMER: &str = "placeholder-consumer";
const PROVIDER: &str = "placeholder-provider";
const CONSUMER_VERSION: &str = "gggghhhhjjjjkkkkllll66667777888899990000";
const PROVIDER_VERSION: &str = "aaaabbbbccccddddeeeeffff1111222233334444";
const PACT_SHA: &str = "5d445a4612743728dfd99ccd4210423c052bb9db";

/// The event of a test.
pub(super) async fn event(
    store: &Store,
    webhook: &Webhook,
    base: &str,
) -> Result<Event, StoreError> {
    let (consumer, provider) = (webhook.consumer.as_ref(), webhook.provider.as_ref());
    let latest = store.latest_event(consumer, provider).await?;
    let data = latest.unwrap_or_else(|| placeholder(webhook, base));
    Ok(Event { event_name: EventName::Test, ..data })
}

/// A verification belongs to it only for a webhook that wants all of them.
fn placeholder(webhook: &Webhook, base: &str) -> Event {
    let wants_verification = webhook.events.contains(&EventName::ProviderVerificationPublished);
    let pact =
        format!("{base}/pacts/provider/{PROVIDER}/consumer/{CONSUMER}/pact-version/{PACT_SHA}");
    let mut event = Event {
        event_name: EventName::Test,
        occurred_at: None,
        broker: "default".to_owned(),
        consumer: Pacticipant {
            name: CONSUMER.to_owned(),
            version_number: CONSUMER_VERSION.to_owned(),
            branch: "main".to_owned(),
            tags: vec!["dev".to_owned()],
            labels: vec![format!("{CONSUMER}-label")],
            ..Pacticipant::default()
        },
        provider: Pacticipant {
            name: PROVIDER.to_owned(),
            labels: vec![format!("{PROVIDER}-label")],
            ..Pacticipant::default()
        },
        pact_url: format!("{pact}/metadata/{}", metadata()),
        verification_result_url: String::new(),
        verification_success: None,
        build_url: String::new(),
        currently_deployed_provider_version_number: String::new(),
    };
    if wants_verification {
        PROVIDER_VERSION.clone_into(&mut event.provider.version_number);
        event.provider.tags = vec!["master".to_owned()];
        event.verification_result_url = format!("{pact}/verification-results/1");
        event.verification_success = Some(true);
    }
    event
}

/// Which consumer version the URL is for, as the broker's own URLs say it.
fn metadata() -> String {
    URL_SAFE_NO_PAD.encode(format!("cvn={CONSUMER_VERSION}&cvt%5B%5D=dev&w=true"))
}
