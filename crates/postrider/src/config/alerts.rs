//! Who is told of incidents.

use std::time::Duration;

use postrider_monitor::SigningKey;
use secrecy::SecretString;

use super::parse;
use super::reader::{Key, Reader, Reported};
use super::value::{Raw, Show, Wrong};

/// Whoever knows this URL may write to the channel.
const SLACK_URL: Key = Key { ending: "ALERT_SLACK_URL", fallbacks: &[], show: Show::Stars };
const ALERTMANAGER_URL: Key =
    Key { ending: "ALERT_ALERTMANAGER_URL", fallbacks: &[], show: Show::UrlStars };
const WEBHOOK_URL: Key = Key { ending: "ALERT_WEBHOOK_URL", fallbacks: &[], show: Show::Stars };
const WEBHOOK_SECRET: Key =
    Key { ending: "ALERT_WEBHOOK_SECRET", fallbacks: &[], show: Show::Stars };

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_mins(1);

/// Who is told, and how.
#[derive(Debug, Clone)]
pub(crate) struct AlertSettings {
    /// An incoming webhook of Slack.
    pub(crate) slack: Option<SecretString>,
    /// An Alertmanager.
    pub(crate) alertmanager: Option<SecretString>,
    /// A receiver of Alertmanager's webhook body.
    pub(crate) webhook: Option<SecretString>,
    /// Signs what goes there.
    pub(crate) signing_key: Option<SigningKey>,
    /// How often open incidents are told to Alertmanager again.
    pub(crate) resend: Duration,
    /// Wait after the first failed try.
    pub(crate) retry: Duration,
    /// Time of one request.
    pub(crate) timeout: Duration,
}

/// Reads all of it.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<AlertSettings, Reported> {
    let url = |example| parse::secret_url(&["https", "http"], example);
    let slack = reader.optional(SLACK_URL, url("https://hooks.slack.com/services/T0/B0/x"));
    let alertmanager = reader.optional(ALERTMANAGER_URL, url("http://alertmanager:9093"));
    let webhook = reader.optional(WEBHOOK_URL, url("https://alerts.example/postrider"));
    let signing_key = reader.optional(WEBHOOK_SECRET, signing_key);
    let resend =
        reader.get(Key::plain("ALERT_RESEND"), "1m", parse::duration(10 * MILLISECOND, MINUTE));
    let retry =
        reader.get(Key::plain("ALERT_RETRY"), "5s", parse::duration(10 * MILLISECOND, 10 * MINUTE));
    let timeout =
        reader.get(Key::plain("ALERT_TIMEOUT"), "10s", parse::duration(MILLISECOND, MINUTE));
    if let (Ok(None), Ok(Some(_))) = (&webhook, &signing_key) {
        let fix = "set POSTRIDER_ALERT_WEBHOOK_URL too, or leave the secret out";
        reader.setting_problem(WEBHOOK_SECRET, "is set, but there is nothing to sign", fix);
        return Err(Reported);
    }
    Ok(AlertSettings {
        slack: slack?,
        alertmanager: alertmanager?,
        webhook: webhook?,
        signing_key: signing_key?,
        resend: resend?,
        retry: retry?,
        timeout: timeout?,
    })
}

fn signing_key(raw: &Raw) -> Result<SigningKey, Wrong> {
    SigningKey::parse(&SecretString::from(raw.text()))
        .map_err(|error| Wrong::new(error.to_string(), "write whsec_ and base64, or any text"))
}
