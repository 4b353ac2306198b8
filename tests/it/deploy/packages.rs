//! What a release is made of: the Debian package's units, the action, the script that packs them.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde_json::Value;

use super::{BEYOND_GRACE, document, path, read, text};
use crate::harness::{run, setting};

const DIR: &str = "deploy/debian";

/// The units by name, each with the lines of its keys.
fn units() -> Result<BTreeMap<String, Vec<(String, String)>>> {
    let mut units = BTreeMap::new();
    for entry in fs::read_dir(path(DIR))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(unit) = name.strip_suffix(".service") {
            let text = read(&format!("{DIR}/{name}"))?;
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            let pairs = lines.filter_map(|line| line.split_once('='));
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
            units.insert(unit.to_owned(), pairs.collect());
        }
    }
    Ok(units)
}

fn values<'a>(unit: &'a [(String, String)], key: &str) -> Vec<&'a str> {
    unit.iter().filter(|(known, _)| known == key).map(|(_, value)| value.as_str()).collect()
}

#[tokio::test]
async fn units_start_commands_with_settings_that_there_are() -> Result<()> {
    let units = units()?;
    let names: Vec<&str> = units.keys().map(String::as_str).collect();
    let roles = [
        "postrider",
        "postrider-ingest",
        "postrider-migrate",
        "postrider-monitor",
        "postrider-worker",
    ];
    ensure!(names == roles, "{names:?}");
    let mut ports = Vec::new();
    for (name, unit) in &units {
        let role = name.strip_prefix("postrider-").unwrap_or("serve");
        let start = format!("/usr/bin/postrider {role} --config /etc/postrider/postrider.toml");
        ensure!(values(unit, "ExecStart") == [start], "{name}");
        ensure!(values(unit, "User") == ["postrider"], "{name} is not root");
        ensure!(values(unit, "NoNewPrivileges") == ["yes"], "{name}");
        let env = values(unit, "Environment").into_iter();
        let env: Vec<_> =
            env.filter_map(|pair| pair.strip_prefix("POSTRIDER_")?.split_once('=')).collect();
        ensure!(!env.is_empty(), "{name}: a data dir of its own");
        let config = path(DIR).join("postrider.toml");
        let config = config.to_str().context("a path")?;
        let settings: Vec<_> = env.iter().map(|(name, value)| setting(name, value)).collect();
        let checked = run(&["config", "check", "--config", config], &settings, "").await?;
        ensure!(checked.status.success(), "{name}: {checked:?}");
        if role != "migrate" {
            let stop = values(unit, "TimeoutStopSec")[0].trim_end_matches('s').parse::<u64>()?;
            // The default of POSTRIDER_SHUTDOWN_GRACE.
            ensure!(stop >= 20 + BEYOND_GRACE, "{name} may take longer to stop");
            ensure!(values(unit, "RestartPreventExitStatus") == ["2"], "{name}");
            ports.extend(
                env.iter().filter(|(key, _)| *key == "ADMIN_LISTEN").map(|(_, value)| *value),
            );
        }
    }
    ports.sort_unstable();
    // All roles in one process, and the intake, are never both there.
    ensure!(
        ports == ["127.0.0.1:9394", "127.0.0.1:9394", "127.0.0.1:9395", "127.0.0.1:9396"],
        "{ports:?}"
    );
    Ok(())
}

/// Every key of the package's settings file is one, once its example is taken.
#[tokio::test]
async fn the_settings_file_names_settings() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (master, rest) = ("master_key_file", "master-key");
    let text = read(&format!("{DIR}/postrider.toml"))?;
    let given: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.contains(" = "))
        .collect();
    ensure!(given.iter().any(|line| line.starts_with(master)), "{given:?}");
    let contents = [
        ("database-url", "postgres://postrider@db/postrider?sslmode=disable"),
        ("amqp-url", "amqp://postrider@mq"),
        (rest, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("api-tokens", "operate:0123456789abcdef0123456789abcdef"),
    ];
    for (name, content) in contents {
        fs::write(dir.path().join(name), content)?;
    }
    let here = dir.path().to_str().context("a path")?;
    let file = dir.path().join("postrider.toml");
    fs::write(&file, given.join("\n").replace("/etc/postrider", here))?;
    let checked =
        run(&["config", "check", "--config", file.to_str().context("a path")?], &[], "").await?;
    ensure!(checked.status.success(), "{checked:?}");
    Ok(())
}

#[test]
fn the_release_is_packed_of_what_is_there() -> Result<()> {
    let script = read("deploy/release.sh")?;
    for name in fs::read_dir(path(DIR))? {
        let name = name?.file_name().to_string_lossy().into_owned();
        let is_packed = name.ends_with(".service") || script.contains(&name);
        ensure!(is_packed, "{DIR}/{name} goes into no package");
    }
    let named = Regex::new(r"\$(root|debian)/([A-Za-z0-9./_-]+)")?;
    for found in named.captures_iter(&script) {
        let dir = if &found[1] == "debian" { DIR } else { "." };
        let made_later = found[2].starts_with("target/");
        ensure!(made_later || path(dir).join(&found[2]).exists(), "{}", &found[0]);
    }
    for name in [
        "deploy/release.sh",
        "deploy/try-package.sh",
        "deploy/debian/postinst",
        "deploy/debian/prerm",
        "deploy/debian/postrm",
    ] {
        let checked = Command::new("sh").arg("-n").arg(path(name)).output()?;
        ensure!(checked.status.success(), "{name}: {checked:?}");
    }
    let listed = read(&format!("{DIR}/conffiles"))?;
    for file in listed.lines() {
        ensure!(script.contains(&format!("\"$tree{file}\"")), "{file} is in no package");
    }
    let workflow = document(".github/workflows/release.yml")?;
    let steps = workflow["jobs"]["packages"]["steps"].as_array().context("steps")?;
    ensure!(steps.iter().any(|step| step["run"] == "deploy/release.sh dist"), "{steps:?}");
    Ok(())
}

/// What the action hands on are options of the command, and each of its inputs is handed on.
#[tokio::test]
async fn the_action_asks_as_the_command_does() -> Result<()> {
    let action = document("action.yml")?;
    let steps = action["runs"]["steps"].as_array().context("steps")?;
    let check = steps.last().context("a step")?;
    let script = text(&check["run"])?;
    let help = run(&["check", "verification", "--help"], &[], "").await?;
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let flag = Regex::new(r"--[a-z-]+")?;
    let flags: Vec<&str> = flag.find_iter(script).map(|found| found.as_str()).collect();
    ensure!(flags.len() >= 9, "{flags:?}");
    for flag in flags {
        ensure!(help.contains(&format!("{flag} <")), "there is no {flag}");
    }
    let env = check["env"].as_object().context("an environment")?;
    let handed: Vec<&str> = env.values().filter_map(Value::as_str).collect();
    for input in action["inputs"].as_object().context("inputs")?.keys() {
        let expression = format!("${{{{ inputs.{input} }}}}");
        ensure!(
            input == "version" || handed.contains(&expression.as_str()),
            "{input} goes nowhere"
        );
    }
    // An input in a script would be code.
    let scripts = steps.iter().map(|step| text(&step["run"])).collect::<Result<Vec<_>>>()?;
    ensure!(scripts.iter().all(|script| !script.contains("${{")), "{scripts:?}");
    let release = read("deploy/release.sh")?;
    ensure!(release.contains("name=postrider-$version-linux-$arch"), "the archive's name");
    ensure!(scripts[0].contains("name=postrider-$version-linux-$arch"), "the same name");
    Ok(())
}
