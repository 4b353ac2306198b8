//! A running program of ours, killed when dropped.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, kill_process};
use serde_json::Value;

use super::SOON;
use super::wait::{Looking, wait_until};

pub(crate) use rustix::process::Signal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_postrider");

/// A setting as an environment variable, without its prefix.
pub(crate) type Setting = (String, String);

/// A setting by its name without `POSTRIDER_`; those of others (`OTEL_*`, `PACT_BROKER_*`) whole.
#[expect(clippy::needless_pass_by_value, reason = "so that literals and values can be given alike")]
pub(crate) fn setting(name: &str, value: impl ToString) -> Setting {
    (name.to_owned(), value.to_string())
}

/// One process of ours.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    /// Soft and hard limit of its descriptors, where the test sets them.
    descriptors: Option<(u32, u32)>,
    args: Vec<String>,
    settings: Vec<Setting>,
    logs: PathBuf,
    runs: u32,
    child: Child,
    exited: Option<ExitStatus>,
    listen: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

impl Process {
    /// Starts a role. Its output goes to `<logs>/<name>.<run>.out` and `.err`.
    pub(crate) fn spawn(
        name: &str,
        args: &[&str],
        settings: Vec<Setting>,
        descriptors: Option<(u32, u32)>,
        logs: &Path,
    ) -> Result<Self> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let child = start((name, 1), &args, &settings, descriptors, logs)?;
        Ok(Self {
            name: name.to_owned(),
            descriptors,
            args,
            settings,
            logs: logs.to_owned(),
            runs: 1,
            child,
            exited: None,
            listen: None,
            admin: None,
        })
    }

    /// Waits until it says where it listens.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        let what = format!("{} to listen", self.name);
        let line = wait_until(&what, SOON, async || {
            if let Some(status) = self.exit_status()? {
                bail!("{} ended with {status}: {}", self.name, self.errors());
            }
            let text = fs::read_to_string(self.output_path())?;
            let line = text.lines().find(|line| line.contains(r#""message":"listening""#));
            Ok(Looking::from_option(line.map(str::to_owned)))
        })
        .await?;
        let line: Value = serde_json::from_str(&line).context("the line \"listening\"")?;
        let address = |key: &str| line[key].as_str().and_then(|text| text.parse().ok());
        self.listen = address("listen");
        self.admin = address("admin_listen");
        Ok(())
    }

    /// Whether its role has a link to the queue.
    pub(crate) fn has_queue(&self) -> bool {
        self.args.first().is_some_and(|role| role == "ingest" || role == "worker")
    }

    /// Waits until this run has a link to the queue.
    pub(crate) async fn queue_up(&self) -> Result<()> {
        let what = format!("{} to reach the queue", self.name);
        wait_until(&what, SOON, async || {
            let text = fs::read_to_string(self.output_path())?;
            let up = text.lines().any(|line| line.contains(r#""message":"queue.up""#));
            Ok(Looking::when(up, || "no line \"queue.up\" yet".to_owned()))
        })
        .await
    }

    /// Starts it again, with the settings it has now. It must have ended.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        if self.exit_status()?.is_none() {
            bail!("{} still runs", self.name);
        }
        self.runs += 1;
        let run = (self.name.as_str(), self.runs);
        self.child = start(run, &self.args, &self.settings, self.descriptors, &self.logs)?;
        self.exited = None;
        self.ready().await
    }

    /// Sets a setting for when it is started again.
    pub(crate) fn set(&mut self, name: &str, value: impl ToString) {
        self.unset(name);
        self.settings.push(setting(name, value));
    }

    /// Drops a setting for the next start.
    pub(crate) fn unset(&mut self, name: &str) {
        self.settings.retain(|(known, _)| known != name);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where intake and APIs listen, for a role that has them.
    pub(crate) fn listen(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// Where health and metrics are.
    pub(crate) fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Sends a signal, if it still runs.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exit_status()?.is_none() {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            kill_process(pid.context("a process id")?, signal)?;
        }
        Ok(())
    }

    /// `kill -9`, and gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.ended(SOON).await?;
        Ok(())
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, cap: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        wait_until(&what, cap, async || Ok(Looking::from_option(self.exit_status()?))).await
    }

    /// Waits until it killed itself at its armed step.
    pub(crate) async fn crashed(&mut self, cap: Duration) -> Result<()> {
        let status = self.ended(cap).await?;
        if status.signal() != Some(Signal::KILL.as_raw()) {
            bail!("{} ended with {status} instead of killing itself", self.name);
        }
        Ok(())
    }

    /// SIGTERM, and it ends well within `grace`.
    pub(crate) async fn terminate(&mut self, grace: Duration) -> Result<()> {
        if self.exit_status()?.is_some() {
            return Ok(());
        }
        self.signal(Signal::TERM)?;
        let status = self.ended(grace).await?;
        if !status.success() {
            bail!("{} ended with {status} after SIGTERM", self.name);
        }
        Ok(())
    }

    pub(crate) fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait()?;
        }
        Ok(self.exited)
    }

    /// Everything it logged, over all its runs.
    pub(crate) fn output(&self) -> String {
        (1..=self.runs)
            .map(|run| log_path(&self.logs, &self.name, run, "out"))
            .map(|path| fs::read_to_string(path).unwrap_or_default())
            .collect()
    }

    /// Its log lines of one message.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        let wanted = format!(r#""message":"{message}""#);
        let output = self.output();
        let lines = output.lines().filter(|line| line.contains(&wanted));
        lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What its last run wrote to standard error.
    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(log_path(&self.logs, &self.name, self.runs, "err")).unwrap_or_default()
    }

    fn output_path(&self) -> PathBuf {
        log_path(&self.logs, &self.name, self.runs, "out")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

fn log_path(logs: &Path, name: &str, run: u32, ending: &str) -> PathBuf {
    logs.join(format!("{name}.{run}.{ending}"))
}

fn start(
    (name, run): (&str, u32),
    args: &[String],
    settings: &[Setting],
    descriptors: Option<(u32, u32)>,
    logs: &Path,
) -> Result<Child> {
    let file = |ending: &str| File::create(log_path(logs, name, run, ending));
    command(args, &variables(settings), descriptors)
        .stdin(Stdio::null())
        .stdout(file("out")?)
        .stderr(file("err")?)
        .current_dir(logs)
        .spawn()
        .with_context(|| format!("starting {name}"))
}

/// The environment variables of settings. Those of OpenTelemetry and of the broker's clients are
/// called the same everywhere.
fn variables(settings: &[Setting]) -> Vec<(String, String)> {
    let is_foreign = |name: &str| name.starts_with("OTEL_") || name.starts_with("PACT_BROKER_");
    let prefix = |name: &str| if is_foreign(name) { "" } else { "POSTRIDER_" };
    let variable = |(name, value): &Setting| (format!("{}{name}", prefix(name)), value.clone());
    settings.iter().map(variable).collect()
}

/// Our program with nothing in its environment but these variables. It dies with the test.
fn command(
    args: &[String],
    variables: &[(String, String)],
    descriptors: Option<(u32, u32)>,
) -> Command {
    let mut command = match descriptors {
        Some((soft, hard)) => {
            let mut limited = Command::new("prlimit");
            limited.arg(format!("--nofile={soft}:{hard}")).arg("setpriv");
            limited
        }
        None => Command::new("setpriv"),
    };
    command.args(["--pdeathsig", "KILL", "--", PROGRAM]).args(args).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.envs(variables.iter().cloned());
    command
}

/// Runs a command of ours to its end.
///
/// # Errors
/// It could not be started, or ran for longer than a minute.
pub(crate) async fn run(args: &[&str], settings: &[Setting], input: &str) -> Result<Output> {
    run_with(args, &variables(settings), input).await
}

/// Runs a command of ours to its end, with variables of any name.
///
/// # Errors
/// It could not be started, or ran for longer than a minute.
pub(crate) async fn run_with(
    args: &[&str],
    variables: &[(String, String)],
    input: &str,
) -> Result<Output> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    fs::write(path("in"), input)?;
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let mut child = command(&args, variables, None)
        .stdin(File::open(path("in"))?)
        .stdout(File::create(path("out"))?)
        .stderr(File::create(path("err"))?)
        .current_dir(dir.path())
        .spawn()?;
    let what = format!("postrider {} to end", args.join(" "));
    let ended = wait_until(&what, SOON, async || Ok(Looking::from_option(child.try_wait()?))).await;
    let Ok(status) = ended else {
        child.kill()?;
        child.wait()?;
        bail!("{what}: killed after {SOON:?}");
    };
    Ok(Output { status, stdout: fs::read(path("out"))?, stderr: fs::read(path("err"))? })
}

/// Runs a command of ours and kills it once it has written a line that begins like this, if it
/// does; what it wrote by then.
///
/// # Errors
/// It could not be started, or ran for longer than a minute.
pub(crate) async fn run_until(
    args: &[&str],
    settings: &[Setting],
    input: &str,
    line: &str,
) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    fs::write(path("in"), input)?;
    let owned: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let mut child = command(&owned, &variables(settings), None)
        .stdin(File::open(path("in"))?)
        .stdout(File::create(path("out"))?)
        .stderr(File::create(path("err"))?)
        .current_dir(dir.path())
        .spawn()?;
    let what = format!("postrider {} to write {line:?}", args.join(" "));
    let seen = wait_until(&what, SOON, async || {
        let has_ended = child.try_wait()?.is_some();
        let told = fs::read_to_string(path("out"))?;
        let is_there = told.lines().any(|told| told.starts_with(line));
        Ok(Looking::when(is_there || has_ended, || told))
    })
    .await;
    child.kill()?;
    child.wait()?;
    seen?;
    Ok(fs::read_to_string(path("out"))?)
}
