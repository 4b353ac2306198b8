//! The Dockerfile: what it builds is what cargo builds, and what it ships is not root.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{VERSION, path, read, read_lines, texts};
use crate::structure::metadata;

/// One instruction with its continuation lines.
#[derive(Debug, Clone)]
struct Instruction {
    name: String,
    rest: String,
}

fn instructions() -> Result<Vec<Instruction>> {
    let text = read("deploy/Dockerfile")?;
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let split = joined.lines().filter_map(|line| line.trim().split_once(' '));
    Ok(split
        .map(|(name, rest)| Instruction {
            name: name.to_owned(),
            rest: rest.split_whitespace().collect::<Vec<_>>().join(" "),
        })
        .collect())
}

/// The instructions of the last stage.
fn last_stage() -> Result<Vec<Instruction>> {
    let all = instructions()?;
    let from = all.iter().rposition(|one| one.name == "FROM").context("a stage")?;
    Ok(all.get(from..).unwrap_or_default().to_vec())
}

fn only(stage: &[Instruction], name: &str) -> Result<String> {
    let mut found = stage.iter().filter(|one| one.name == name);
    let one = found.next().with_context(|| format!("{name} in the last stage"))?;
    ensure!(found.next().is_none(), "{name} is there once");
    Ok(one.rest.clone())
}

/// What the image sets for every process.
pub(super) fn environment() -> Result<BTreeMap<String, String>> {
    let env = only(&last_stage()?, "ENV")?;
    let pairs = env.split(' ').map(|pair| pair.split_once('=').context("NAME=VALUE"));
    pairs.map(|pair| pair.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

/// The number of the image's user.
pub(super) fn user() -> Result<u32> {
    let user = only(&last_stage()?, "USER")?;
    Ok(user.split(':').next().unwrap_or_default().parse()?)
}

/// The arguments of the image's own health check.
pub(super) fn health_check() -> Result<Vec<String>> {
    let check = only(&last_stage()?, "HEALTHCHECK")?;
    let (_, command) = check.split_once("CMD ").context("a command")?;
    let mut command: Vec<String> = serde_json::from_str(command).context("the exec form")?;
    ensure!(command.remove(0) == "/usr/local/bin/postrider", "it is the binary that is asked");
    Ok(command)
}

/// Names of the binaries of our packages.
fn binaries(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let bins = targets.filter(|target| texts(&target["kind"]).contains(&"bin"));
    bins.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect()
}

#[test]
fn the_image_runs_the_binary_as_nobody_in_particular() -> Result<()> {
    let stage = last_stage()?;
    let user = only(&stage, "USER")?;
    let (user, group) = user.split_once(':').context("user and group")?;
    ensure!(user.parse::<u32>()? > 0 && group.parse::<u32>()? > 0, "by numbers, not root");
    let entry: Vec<String> = serde_json::from_str(&only(&stage, "ENTRYPOINT")?)?;
    ensure!(entry == ["/usr/local/bin/postrider"], "{entry:?}");
    let arguments: Vec<String> = serde_json::from_str(&only(&stage, "CMD")?)?;
    ensure!(arguments == ["serve"], "{arguments:?}");
    let copies: Vec<&Instruction> = stage.iter().filter(|one| one.name == "COPY").collect();
    ensure!(copies.iter().all(|copy| copy.rest.contains("--from=build ")), "{copies:?}");
    let binary =
        copies.iter().any(|copy| copy.rest.ends_with("/out/postrider /usr/local/bin/postrider"));
    ensure!(binary, "the binary is where it is started");
    let owned = format!("--chown={user}:{group} ");
    let data = environment()?["POSTRIDER_DATA_DIR"].clone();
    let data = copies.iter().any(|copy| copy.rest.contains(&owned) && copy.rest.ends_with(&data));
    ensure!(data, "the data dir is the user's own");
    ensure!(only(&stage, "STOPSIGNAL")? == "SIGTERM", "the signal that drains");
    ensure!(!stage.iter().any(|one| one.name == "RUN"), "there is no shell to run anything");
    ensure!(health_check()? == ["health"], "{:?}", health_check()?);
    Ok(())
}

#[test]
fn ports_and_version_are_those_of_the_program() -> Result<()> {
    let stage = last_stage()?;
    let env = environment()?;
    let port = |name: &str| env[name].rsplit_once(':').map(|(_, port)| port.to_owned());
    let ports = [port("POSTRIDER_LISTEN"), port("POSTRIDER_ADMIN_LISTEN")];
    let [Some(listen), Some(admin)] = ports else { anyhow::bail!("two ports in {env:?}") };
    ensure!(only(&stage, "EXPOSE")? == format!("{listen} {admin}"), "both are told");
    let arguments = stage.iter().filter(|one| one.name == "ARG");
    let arguments: Vec<&str> = arguments.map(|one| one.rest.as_str()).collect();
    ensure!(arguments.contains(&format!("VERSION={VERSION}").as_str()), "{arguments:?}");
    Ok(())
}

#[test]
fn it_builds_what_cargo_builds_with_a_compiler_new_enough() -> Result<()> {
    let all = instructions()?;
    let build = all.iter().find(|one| one.name == "RUN" && one.rest.contains("cargo build"));
    let build = &build.context("a build")?.rest;
    let metadata = metadata(&path(""))?;
    ensure!(binaries(&metadata).iter().any(|name| name == "postrider"), "a binary of that name");
    for part in
        ["--locked", "--release", "--bin postrider", "target/release/postrider /out/postrider"]
    {
        ensure!(build.contains(part), "{part} in {build}");
    }
    let images: Vec<&str> =
        all.iter().filter(|one| one.name == "FROM").map(|one| one.rest.as_str()).collect();
    let [compiler, runtime] = images[..] else { anyhow::bail!("two stages: {images:?}") };
    let number = compiler.strip_prefix("rust:1.").and_then(|rest| rest.split('-').next());
    let least = read("Cargo.toml")?;
    let least =
        least.split_once("rust-version = \"1.").and_then(|(_, rest)| rest.split('"').next());
    let (number, least) = (number.context("1.N")?, least.context("rust-version")?);
    ensure!(number.parse::<u32>()? >= least.parse::<u32>()?, "1.{number} is older than 1.{least}");
    // Bookworm is Debian 12: a newer libc at build time would be missing at run time.
    ensure!(compiler.contains("-bookworm ") && runtime.contains("-debian12:nonroot"), "{images:?}");
    Ok(())
}

/// The files that reach the build are enough for cargo, and all that is copied does reach it.
#[test]
fn the_build_context_is_whole() -> Result<()> {
    let let_in: Vec<String> = read_lines(".dockerignore")?
        .iter()
        .filter_map(|line| line.strip_prefix('!').map(str::to_owned))
        .collect();
    let dir = tempfile::tempdir()?;
    let copies = instructions()?;
    let copies = copies.iter().filter(|one| one.name == "COPY" && !one.rest.contains("--from"));
    for copy in copies {
        let words: Vec<&str> = copy.rest.split(' ').collect();
        let (_, sources) = words.split_last().context("a destination")?;
        for &source in sources {
            ensure!(let_in.iter().any(|name| name == source), "{source} does not reach the build");
            let status = Command::new("cp").arg("-R").arg(path(source)).arg(dir.path()).status()?;
            ensure!(status.success(), "copying {source}");
        }
    }
    ensure!(!let_in.iter().any(|name| name.starts_with("deploy")), "secrets stay outside");
    let metadata = metadata(dir.path())?;
    ensure!(binaries(&metadata).iter().any(|name| name == "postrider"), "cargo finds the binary");
    // What the program includes at compile time besides its sources.
    ensure!(dir.path().join("migrations/postgres").is_dir(), "the migrations");
    ensure!(dir.path().join("Cargo.lock").is_file(), "the lock file");
    Ok(())
}
