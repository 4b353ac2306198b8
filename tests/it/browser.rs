//! The page in Chromium: how it looks to whoever needs contrast, labels and a keyboard, on a phone,
//! in the dark; that nothing in it is refused by its own policy; and that things are done by it,
//! with scripts and without.
//!
//! Chromium is Debian's, `playwright-core` drives it and `axe-core` judges: both come from npm as the
//! clients of [`crate::real_clients`] do, and where they can't be had this test says so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::harness::{Looking, SOON, wait_until};
use crate::page::{ANN, BOB, ODD, Owing, Scene, TOKENS};
use crate::real_clients::{ended, installed};

/// Longest time for all that the browser does; alone on two cores it takes a tenth of it.
const WALKED_WITHIN: Duration = Duration::from_secs(270);

const PACKAGES: [&str; 2] = ["playwright-core@1.65.1", "axe-core@4.14.1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_walks_the_page() -> Result<()> {
    let Some(modules) = installed("browser", &PACKAGES).await? else { return Ok(()) };
    let scene = Scene::start(Some(TOKENS)).await?;
    let incident = scene.incident("webhook_held").await?;
    let lane = scene.api.lane("/none").await?.context("a lane")?;
    let failed = scene.until("bad", "failed").await?;
    scene.api.set_secret("hookToken", "a-token").await?;
    let owing = Owing::start().await?;
    let told = json!({
        "credential": "hookToken",
        // POSTRIDER_TEST_PICTURES=docs/images has those of the documents made anew.
        "pictures": pictures()?,
        "dispatch": owing.place()?,
        "base": scene.api.base(),
        "tokens": {"operate": ANN, "read": BOB},
        "consumer": ODD,
        "failed": failed,
        "held": scene.until("dead", "held").await?,
        "delivered": scene.until("good", "delivered").await?,
        "parked": scene.uuids.last().context("a webhook")?,
        "lane": lane["name"],
    });
    walk(&modules, &told).await?;
    // What it did was done, once, by whoever signed in.
    wait_until("the replay", SOON, async || {
        let attempts = scene.api.delivery(&failed).await?["attempts"].clone();
        Ok(Looking::when(attempts[1].is_object(), || attempts.to_string()))
    })
    .await?;
    let seen = scene.api.get(&format!("/api/v1/incidents/{incident}")).await?.ok()?;
    ensure!(!seen["acknowledged_at"].is_null(), "{seen}");
    let audit = scene.api.get("/api/v1/audit?kind=lane").await?.ok()?;
    let entries = audit["entries"].as_array().context("entries")?;
    let done: Vec<&Value> = entries.iter().map(|entry| &entry["action"]).collect();
    ensure!(done == ["released", "held", "released", "held"], "{audit}");
    ensure!(entries.iter().all(|entry| entry["who"] == "ann"), "{audit}");
    ensure!(scene.api.lane("/none").await?.context("a lane")?["state"] == "open");
    owing.cluster.finish().await?;
    scene.cluster.finish().await
}

/// The folder for pictures, if any are wanted; a path that is not absolute counts from the root of
/// the repository.
#[expect(clippy::disallowed_methods, reason = "asked for by hand, as settings of tests are")]
fn pictures() -> Result<Option<PathBuf>> {
    let Some(folder) = std::env::var_os("POSTRIDER_TEST_PICTURES") else { return Ok(None) };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    std::fs::create_dir_all(&folder)?;
    Ok(Some(folder.canonicalize()?))
}

/// Runs the walk; it ends with 1 and says what is wrong.
async fn walk(modules: &Path, told: &Value) -> Result<()> {
    let home = tempfile::tempdir()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/it/browser/walk.mjs");
    let mut node = Command::new("node");
    node.arg(script).arg(modules.join("node_modules/").canonicalize()?).arg(told.to_string());
    node.env_clear().env("HOME", home.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let output = ended(&mut node, home.path(), WALKED_WITHIN).await?;
    let text = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&text));
    Ok(())
}
