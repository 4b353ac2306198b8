//! Who is told of incidents.

use std::time::Duration;

use postrider_render::SigningKey;
use secrecy::SecretString;

use crate::declaration::{MONITOR, Setting};
use crate::kinds::{MILLISECOND, MINUTE, duration, secret_url};
use crate::reader::{Reader, Reported};
use crate::section::settings;
use crate::value::{Raw, Wrong};

const WEBHOOK_SECRET: &str = "ALERT_WEBHOOK_SECRET";
const HTTP: &[&str] = &["https", "http"];

settings! {
    /// Who is told of incidents.
    pub struct AlertSettings {
        /// An incoming webhook of Slack. Whoever knows it may write to the channel.
        pub slack: Option<SecretString> =
            secret_url("ALERT_SLACK_URL", HTTP, "https://hooks.slack.com/services/T0/B0/x")
                .of(MONITOR)
                .optional(),
        /// An Alertmanager.
        pub alertmanager: Option<SecretString> =
            secret_url("ALERT_ALERTMANAGER_URL", HTTP, "http://alertmanager:9093")
                .of(MONITOR)
                .secret_password()
                .optional(),
        /// How often open incidents are told to Alertmanager again.
        pub resend: Duration =
            duration("ALERT_RESEND", 10 * MILLISECOND, MINUTE).of(MONITOR).example("30s").default("1m"),
        /// Wait after the first failed try; later ones grow.
        pub retry: Duration =
            duration("ALERT_RETRY", 10 * MILLISECOND, 10 * MINUTE).of(MONITOR).example("10s").default("5s"),
        /// Longest time of one request.
        pub timeout: Duration =
            duration("ALERT_TIMEOUT", MILLISECOND, MINUTE).of(MONITOR).example("20s").default("10s"),
    }
}

settings! {
    /// A receiver of alerts of your own.
    pub struct AlertReceiver {
        /// A receiver of Alertmanager's webhook body.
        pub url: Option<SecretString> =
            secret_url("ALERT_WEBHOOK_URL", HTTP, "https://alerts.example/postrider")
                .of(MONITOR)
                .optional(),
        /// Signs what goes to that receiver, in the way of Standard Webhooks.
        pub signing_key: Option<SigningKey> =
            Setting::new(WEBHOOK_SECRET, "whsec_ and base64, or any text", signing_key)
                .of(MONITOR)
                .secret()
                .example("whsec_$(openssl rand -base64 32)")
                .optional(),
    }
}

pub(crate) fn receiver(reader: &mut Reader<'_>) -> Result<AlertReceiver, Reported> {
    let receiver = AlertReceiver::read(reader)?;
    if receiver.url.is_none() && receiver.signing_key.is_some() {
        let fix = "set POSTRIDER_ALERT_WEBHOOK_URL too, or leave the secret out";
        return Err(reader.problem(WEBHOOK_SECRET, "is set, but there is nothing to sign", fix));
    }
    Ok(receiver)
}

fn signing_key(raw: &Raw) -> Result<SigningKey, Wrong> {
    SigningKey::parse(&SecretString::from(raw.text()))
        .map_err(|error| Wrong::new(error.to_string(), "write whsec_ and base64, or any text"))
}
