//! The shape of the code: who may depend on whom, circles, the house style, and documents that
//! follow the sources.

mod circles;
mod documents;
mod logs;
mod source;
mod style;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Each crate and what of ours it may use. Arrows point inward: the program, roles, adapters,
/// render, domain. Roles never use each other, nor adapters one another, telemetry and the HTTP
/// client aside.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("render", &["domain"]),
    ("telemetry", &["domain"]),
    ("api", &["domain"]),
    ("queue", &["domain", "render", "telemetry"]),
    ("store", &["domain", "render", "telemetry"]),
    ("github", &["domain", "render", "telemetry"]),
    ("http-client", &["domain", "telemetry"]),
    ("broker", &["domain", "render", "api", "telemetry", "http-client"]),
    // Above the adapters, below the two roles that answer HTTP.
    ("http-server", &["domain", "api", "store", "telemetry"]),
    (
        "ingest",
        &["domain", "render", "api", "queue", "store", "broker", "telemetry", "http-server"],
    ),
    ("web", &["domain", "render", "api", "queue", "store", "broker", "telemetry", "http-server"]),
    // What roles are given, in the words of those who write it down.
    (
        "config",
        &[
            "domain",
            "render",
            "queue",
            "store",
            "broker",
            "telemetry",
            "http-client",
            "http-server",
        ],
    ),
    // Speaks HTTP and nothing else.
    ("cli", &["domain", "render", "api", "broker", "http-client", "config"]),
    // Decides for the worker, and can be driven by anything: it knows nothing that waits.
    ("scheduler", &["domain"]),
    (
        "worker",
        &["domain", "scheduler", "render", "queue", "store", "github", "telemetry", "http-client"],
    ),
    (
        "monitor",
        &["domain", "render", "queue", "store", "github", "broker", "telemetry", "http-client"],
    ),
    (
        "postrider",
        &[
            "domain",
            "render",
            "api",
            "queue",
            "store",
            "github",
            "broker",
            "telemetry",
            "http-client",
            "http-server",
            "ingest",
            "web",
            "worker",
            "monitor",
            "config",
            "cli",
            "github-double",
        ],
    ),
    ("github-double", &[]),
    ("bench", &["domain", "render", "queue", "store", "github"]),
    // For tests alone: real schedulers over a store in memory, and what stores have in common.
    ("sim", &["domain", "scheduler", "store", "testkit"]),
    // Likewise: a year of traffic over the monitor's rules.
    ("year", &["domain", "store", "monitor"]),
    ("testkit", &["domain", "store"]),
];

/// Libraries that only one crate may know.
const ONE_OWNER: &[(&str, &str)] = &[("sqlx", "store"), ("jiff-sqlx", "store"), ("lapin", "queue")];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What cargo tells about the workspace in a directory.
pub(crate) fn metadata(dir: &Path) -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(dir)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The workspace's packages.
fn packages() -> Result<Vec<Value>> {
    let metadata = metadata(&root())?;
    Ok(metadata["packages"].as_array().context("packages")?.clone())
}

/// A crate's name without the project's.
fn short(name: &str) -> &str {
    name.strip_prefix("postrider-").unwrap_or(name)
}

/// What the crate itself depends on, its tests aside.
fn dependencies(package: &Value) -> impl Iterator<Item = &str> {
    let all = package["dependencies"].as_array().into_iter().flatten();
    let own = all.filter(|dependency| dependency["kind"] != "dev");
    own.filter_map(|dependency| dependency["name"].as_str())
}

#[test]
fn arrows_point_inward() -> Result<()> {
    let packages = packages()?;
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    for package in &packages {
        let name = short(package["name"].as_str().context("a name")?);
        let arrows = ARROWS.iter().find(|(crate_name, _)| *crate_name == name);
        let (_, allowed) = arrows.with_context(|| format!("{name} has no row in ARROWS"))?;
        for dependency in dependencies(package).filter(|dependency| names.contains(dependency)) {
            ensure!(allowed.contains(&short(dependency)), "{name} may not use {dependency}");
        }
    }
    ensure!(packages.len() == ARROWS.len(), "each row of ARROWS is a crate: {names:?}");
    Ok(())
}

#[test]
fn one_crate_knows_sql_and_one_knows_amqp() -> Result<()> {
    for package in packages()? {
        let name = short(package["name"].as_str().context("a name")?).to_owned();
        for dependency in dependencies(&package) {
            let owner = ONE_OWNER.iter().find(|(library, _)| *library == dependency);
            // The benchmark also measures the bare pipeline that the product is compared with.
            let may = owner.is_none_or(|(_, owner)| *owner == name || name == "bench");
            ensure!(may, "{name} may not use {dependency}");
        }
    }
    Ok(())
}

/// Fails with all faults at once.
fn none(what: &str, faults: &[String]) -> Result<()> {
    ensure!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
    Ok(())
}
