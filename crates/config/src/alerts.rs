//! Who is told of incidents.

use std::time::Duration;

use jiff::civil::Time;
use postrider_render::SigningKey;
use secrecy::SecretString;

use crate::declaration::{MONITOR, Setting};
use crate::kinds::{DAY, MILLISECOND, MINUTE, duration, secret_url};
use crate::reader::{Reader, Reported};
use crate::section::settings;
use crate::value::{Raw, Wrong};

const WEBHOOK_SECRET: &str = "ALERT_WEBHOOK_SECRET";
const DIGEST: &str = "ALERT_DIGEST";
const WATCHDOG: &str = "ALERT_WATCHDOG";
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
        /// How long an incident stays open and unacknowledged before Slack and the receiver of
        /// your own are reminded of it; each further wait is three times as long, up to a day.
        pub remind: Duration =
            duration("ALERT_REMIND", 10 * MILLISECOND, 30 * DAY).of(MONITOR).example("1h").default("4h"),
        /// At which time of day, where quiet days are, Slack gets a digest of the last 24 hours:
        /// what was delivered, what failed without an incident, what is open, owed or about to
        /// expire. None on quiet days; later where no monitor ran at that time.
        pub digest: Option<Time> =
            Setting::new(DIGEST, "time of day, HH:MM", time_of_day).of(MONITOR).example("09:00").optional(),
        /// Whether Alertmanager has an alert `PostriderWatchdog` as long as a monitor watches, to
        /// be told of its absence.
        pub watchdog: bool =
            Setting::new(WATCHDOG, "on or off", on_or_off).of(MONITOR).example("on").default("off"),
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

pub(crate) fn read(reader: &mut Reader<'_>) -> Result<AlertSettings, Reported> {
    let alerts = AlertSettings::read(reader)?;
    for (is_asked, is_possible, name, needs) in [
        (alerts.digest.is_some(), alerts.slack.is_some(), DIGEST, "POSTRIDER_ALERT_SLACK_URL"),
        (
            alerts.watchdog,
            alerts.alertmanager.is_some(),
            WATCHDOG,
            "POSTRIDER_ALERT_ALERTMANAGER_URL",
        ),
    ] {
        if is_asked && !is_possible {
            let fix = format!("set {needs} too, or leave it out");
            return Err(reader.problem(name, "is set, but there is nobody to tell", &fix));
        }
    }
    Ok(alerts)
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

/// `09:00`.
fn time_of_day(raw: &Raw) -> Result<Time, Wrong> {
    let text = raw.text();
    Time::strptime("%H:%M", &text)
        .map_err(|_| Wrong::new(format!("{text:?} is no time of day"), "write one such as 09:00"))
}

fn on_or_off(raw: &Raw) -> Result<bool, Wrong> {
    match raw.text().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(Wrong::new(format!("{other:?} is neither"), "write on or off")),
    }
}
