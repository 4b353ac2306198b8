//! `postrider config check` and `config show`.

use postrider_cli::{Failure, Format, Out, printable};
use postrider_config::{Effective, Settings, Unset, tables};
use postrider_http_client::Outbound;
use serde_json::{Value, json};

use super::ShowArgs;
use crate::wiring;

/// Says that the settings are fine, files that they name included; that they are not was said
/// when they were read.
pub(crate) fn check(settings: &Settings, out: &mut Out) -> Result<Outbound, Failure> {
    let outbound = wiring::outbound(settings)?;
    wiring::check_log_filter(settings)?;
    out.line(format_args!("settings are fine ({} mode)", settings.mode.as_str()));
    Ok(outbound)
}

/// Writes the settings in force with their origin.
pub(crate) fn show(settings: &Settings, args: &ShowArgs, out: &mut Out) {
    match (args.output.format(), args.explain) {
        (Format::Json, explain) => {
            let entry = if explain { explained } else { entry };
            let all: Vec<_> = settings.effective.iter().map(entry).collect();
            out.json(&json!({ "mode": settings.mode.as_str(), "settings": all }));
        }
        (Format::Table, false) => {
            let rows = settings
                .effective
                .iter()
                .map(|shown| vec![shown.name.clone(), value(shown), shown.origin.to_string()]);
            out.table(&["setting", "value", "origin"], rows.collect(), "no settings");
        }
        (Format::Table, true) => explain(settings, out),
    }
}

fn value(shown: &Effective) -> String {
    shown.value.clone().filter(|value| !value.is_empty()).unwrap_or_else(|| "-".to_owned())
}

fn entry(shown: &Effective) -> Value {
    json!({ "name": shown.name, "value": shown.value, "origin": shown.origin.to_string() })
}

fn explained(shown: &Effective) -> Value {
    let declaration = &shown.declaration;
    let (default, default_in_words) = match declaration.unset {
        Unset::Value(value) => (Some(value), None),
        Unset::InWords(words) => (None, Some(words)),
        Unset::Nothing => (None, None),
    };
    let roles: Vec<&str> = declaration.roles.iter().map(|role| role.as_str()).collect();
    json!({
        "name": shown.name,
        "value": shown.value,
        "origin": shown.origin.to_string(),
        "meaning": declaration.meaning(),
        "type": declaration.kind,
        "default": default,
        "default_in_words": default_in_words,
        "example": declaration.example,
        "read_by": roles,
        "else": declaration.fallbacks(),
        "secret": declaration.is_secret(),
        "file_key": declaration.file_key(),
    })
}

fn explain(settings: &Settings, out: &mut Out) {
    for shown in &settings.effective {
        let declaration = &shown.declaration;
        let value = printable(&value(shown));
        out.line(format_args!("{} = {value}  ({})", shown.name, shown.origin));
        out.line(format_args!("  {}", declaration.meaning()));
        for (name, text) in declaration.facts() {
            out.line(format_args!("  {name}: {text}"));
        }
        out.line("");
    }
    for table in tables() {
        out.line(format_args!("[[{}]] in the settings file", table.name));
        out.line(format_args!("  {}", table.meaning));
        for key in table.keys {
            out.line(format_args!("  {} = {}", key.name, key.example));
            out.line(format_args!("    {}", key.meaning));
        }
        out.line("");
    }
}
