//! `postrider alerts test`: whether those who are to be told can be told.

use std::process::ExitCode;

use postrider_cli::{Exit, Failure, Format, Out};
use postrider_config::Settings;
use postrider_monitor::send_test;
use serde_json::{Value, json};

use crate::wiring::{alert_config, outbound};

/// Sends to each channel that settings name. Exit 1 when one did not take it, 2 when none is set.
pub(crate) async fn test(
    settings: &Settings,
    format: Format,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let config = alert_config(settings, &outbound(settings)?);
    if config.channels().is_empty() {
        let why = "no channel for alerts is set, so nobody was told anything";
        return Err(Failure::usage(why)
            .fix(
                "set POSTRIDER_ALERT_SLACK_URL, POSTRIDER_ALERT_ALERTMANAGER_URL or \
                 POSTRIDER_ALERT_WEBHOOK_URL",
            )
            .into());
    }
    let sent = send_test(&config).await?;
    let refused = sent.iter().filter(|(_, sent)| sent.is_err()).count();
    match format {
        Format::Json => {
            let channels: Vec<Value> = sent
                .iter()
                .map(|(channel, sent)| {
                    let error = sent.as_ref().err();
                    json!({ "channel": channel.as_str(), "taken": sent.is_ok(), "error": error })
                })
                .collect();
            out.json(&json!({ "channels": channels }));
        }
        Format::Table => {
            for (channel, sent) in &sent {
                let channel = channel.as_str();
                match sent {
                    Ok(()) => out.line(format_args!("{channel}: took the test alert")),
                    Err(why) => out.line(format_args!("{channel}: {why}")),
                }
            }
            if refused > 0 {
                out.line(format_args!(
                    "{refused} of {} channels did not take it: check POSTRIDER_ALERT_*_URL and the \
                     receiver, then run `postrider alerts test` again",
                    sent.len()
                ));
            }
        }
    }
    Ok(if refused == 0 { Exit::Fine } else { Exit::No }.into())
}
