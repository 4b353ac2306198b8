//! What is built in is what `deny.toml` allows: licences, banned crates, sources.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use spdx::{Expression, ParseMode};

use crate::structure::root;

#[derive(Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: HashSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
}

fn rules() -> Result<Rules> {
    Ok(toml::from_str(&fs::read_to_string(root().join("deny.toml"))?)?)
}

/// The packages that are built for the targets of `deny.toml`, ours included.
fn packages(rules: &Rules) -> Result<Vec<Value>> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version", "1", "--offline", "--locked"]);
    // The machine's own target is what was fetched; others are resolved from the same lock file.
    for target in
        rules.graph.targets.iter().filter(|target| target.starts_with(std::env::consts::ARCH))
    {
        command.args(["--filter-platform", target]);
    }
    let output = command.current_dir(root()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let nodes = metadata["resolve"]["nodes"].as_array().context("the resolved graph")?;
    let built: HashSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let all = metadata["packages"].as_array().context("packages")?;
    let is_built = |package: &&Value| package["id"].as_str().is_some_and(|id| built.contains(id));
    Ok(all.iter().filter(is_built).cloned().collect())
}

/// Why a package may not be built in.
fn objection(package: &Value, rules: &Rules) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    if rules.bans.deny.iter().any(|ban| ban.name == name) {
        return Some("is banned".to_owned());
    }
    let source = package["source"].as_str();
    if source.is_some_and(|source| !source.starts_with("registry+")) {
        return Some(format!("comes from {source:?}"));
    }
    let Some(license) = package["license"].as_str() else {
        return Some("names no licence".to_owned());
    };
    let Ok(expression) = Expression::parse_mode(license, ParseMode::LAX) else {
        return Some(format!("its licence can't be read: {license}"));
    };
    let allowed = expression.evaluate(|one| rules.licenses.allow.contains(&one.to_string()));
    (!allowed).then(|| format!("its licence is not allowed: {license}"))
}

#[test]
fn dependencies_are_allowed() -> Result<()> {
    let rules = rules()?;
    let packages = packages(&rules)?;
    ensure!(packages.len() > 100, "only {} packages were found", packages.len());
    let faults: Vec<String> = packages
        .iter()
        .filter_map(|package| Some(format!("{}: {}", package["name"], objection(package, &rules)?)))
        .collect();
    ensure!(faults.is_empty(), "not allowed by deny.toml:\n{}", faults.join("\n"));
    let registries: BTreeSet<&str> =
        packages.iter().filter_map(|package| package["source"].as_str()).collect();
    ensure!(registries.len() == 1, "more than one registry: {registries:?}");
    Ok(())
}

/// The test above would see a copyleft licence, a banned crate and a foreign source.
#[test]
fn what_is_not_allowed_is_seen() -> Result<()> {
    let rules = rules()?;
    let package = |name: &str, license: &str, source: &str| serde_json::json!({ "name": name, "license": license, "source": source });
    let good = package("a", "MIT OR GPL-3.0-only", "registry+x");
    ensure!(objection(&good, &rules).is_none());
    for bad in [
        package("a", "GPL-3.0-only", "registry+x"),
        package("a", "MIT AND GPL-3.0-only", "registry+x"),
        package("a", "MIT", "git+https://example.org/a"),
        package("openssl-sys", "MIT", "registry+x"),
        serde_json::json!({ "name": "a", "license": null, "source": null }),
    ] {
        ensure!(objection(&bad, &rules).is_some(), "{bad} is not seen");
    }
    Ok(())
}
