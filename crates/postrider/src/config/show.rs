//! `postrider config check` and `config show`.

use serde_json::json;

use super::{Mode, Settings, wiring};
use crate::cli::{Failure, Format, Out};

/// Says that the settings are fine, files that they name included; that they are not was said
/// when they were read.
pub(crate) fn check(settings: &Settings, out: &mut Out) -> Result<(), Failure> {
    wiring::certificates(settings)?;
    out.line(format_args!("settings are fine ({} mode)", mode_name(&settings.mode)));
    Ok(())
}

/// Writes the settings in force with their origin.
pub(crate) fn show(settings: &Settings, format: Format, out: &mut Out) {
    match format {
        Format::Json => {
            let all: Vec<_> = settings
                .effective
                .iter()
                .map(|shown| {
                    json!({
                        "name": shown.name,
                        "value": shown.value,
                        "origin": shown.origin.to_string(),
                    })
                })
                .collect();
            out.json(&json!({ "mode": mode_name(&settings.mode), "settings": all }));
        }
        Format::Table => {
            let rows = settings.effective.iter().map(|shown| {
                let value = shown.value.clone().filter(|value| !value.is_empty());
                vec![
                    shown.name.clone(),
                    value.unwrap_or_else(|| "-".to_owned()),
                    shown.origin.to_string(),
                ]
            });
            out.table(&["setting", "value", "origin"], rows.collect(), "no settings");
        }
    }
}

fn mode_name(mode: &Mode) -> &'static str {
    match mode {
        Mode::Embedded { .. } => "embedded",
        Mode::Distributed { .. } => "distributed",
    }
}
