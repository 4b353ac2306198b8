//! A child process: it dies with this program, and says in its log when it is ready.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How often a child's log or its end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// After SIGTERM.
const ENDS_WITHIN: Duration = Duration::from_secs(40);
/// What is shown of a log.
const LAST_LINES: usize = 20;

/// What to start.
pub(crate) struct Start<'a> {
    /// What its figures are called.
    pub(crate) name: String,
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<String>,
    /// All that it finds in its environment, `PATH` aside.
    pub(crate) variables: Vec<(String, String)>,
    /// Where its output goes.
    pub(crate) dir: &'a Path,
}

/// A running child. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    started: Instant,
}

impl Process {
    /// Starts it. Its parent is the calling thread, with which it dies: call this on the main one.
    pub(crate) fn start(start: Start<'_>) -> Result<Self> {
        let log = start.dir.join(format!("{}.log", start.name));
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(start.program).args(&start.arguments);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").envs(start.variables);
        let started = Instant::now();
        let child = own_group(&mut command)
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {}", start.program.display()))?;
        Ok(Self { name: start.name, child, log, started })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Since it was started.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits for a line of its log with this `message`, the `nth` one from 1.
    pub(crate) async fn line(
        &mut self,
        message: &str,
        nth: usize,
        within: Duration,
    ) -> Result<Value> {
        let wanted = format!(r#""message":"{message}""#);
        let deadline = Instant::now() + within;
        loop {
            let text = fs::read_to_string(&self.log)?;
            let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
            if let Some(line) = complete.lines().filter(|line| line.contains(&wanted)).nth(nth - 1)
            {
                return Ok(serde_json::from_str(line)?);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.last_lines());
            }
            if Instant::now() > deadline {
                bail!("{}: no {message:?} within {within:?}:\n{}", self.name, self.last_lines());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("no standard input")?;
        input.write_all(format!("{line}\n").as_bytes())?;
        Ok(input.flush()?)
    }

    /// SIGTERM, and it has to end well.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("a process id")?;
        kill_process(pid, Signal::TERM)?;
        let status = self.ended().await?;
        ensure!(status.success(), "{} ended with {status}:\n{}", self.name, self.last_lines());
        Ok(())
    }

    async fn ended(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + ENDS_WITHIN;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "{} did not end:\n{}", self.name, self.last_lines());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(crate) fn last_lines(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended is as good as one that is killed.
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

/// Ctrl-C is for this program alone, which stops the others in order.
fn own_group(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    command.process_group(0)
}
