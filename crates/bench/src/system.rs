//! The program under measurement, as child processes.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use base64::Engine;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Args, Mode};

/// How long a process may take to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);

/// Running roles.
pub(crate) struct System {
    roles: Vec<(String, Child)>,
    base: String,
    mode: Mode,
    dir: TempDir,
}

impl System {
    pub(crate) async fn start(args: &Args, target: SocketAddr) -> anyhow::Result<Self> {
        let mut system = Self {
            roles: Vec::new(),
            base: String::new(),
            mode: args.mode,
            dir: tempfile::tempdir()?,
        };
        match args.mode {
            Mode::Embedded => system.base = system.role(args, target, "serve").await?,
            Mode::Distributed => {
                let migrated = system.command(args, target, "migrate")?.status()?;
                anyhow::ensure!(migrated.success(), "migrate failed");
                system.base = system.role(args, target, "ingest").await?;
                system.role(args, target, "worker").await?;
            }
        }
        Ok(system)
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.base)
    }

    pub(crate) fn is_distributed(&self) -> bool {
        self.mode == Mode::Distributed
    }

    pub(crate) fn processes(&self) -> impl Iterator<Item = (String, u32)> {
        self.roles.iter().map(|(role, child)| (role.clone(), child.id()))
    }

    /// SIGTERM to all, and their ends.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        for (_, child) in &self.roles {
            Command::new("kill").arg(child.id().to_string()).status()?;
        }
        for (role, child) in &mut self.roles {
            let status = child.wait()?;
            anyhow::ensure!(status.success(), "{role} ended with {status}");
        }
        Ok(())
    }

    fn command(&self, args: &Args, target: SocketAddr, role: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(&args.program);
        let key = base64::engine::general_purpose::STANDARD.encode([7_u8; 32]);
        command
            .arg(role)
            .env_clear()
            .env("POSTRIDER_DATA_DIR", self.dir.path().join("data"))
            .env("POSTRIDER_LISTEN", "127.0.0.1:0")
            .env("POSTRIDER_ADMIN_LISTEN", "127.0.0.1:0")
            .env("POSTRIDER_MASTER_KEY", key)
            .env("POSTRIDER_WEBHOOK_SCHEME_WHITELIST", "https http")
            .env("POSTRIDER_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8")
            .env("POSTRIDER_LANE_RATE", "unlimited")
            .env("NO_PROXY", target.ip().to_string())
            .stdin(Stdio::null());
        if args.mode == Mode::Distributed {
            let database = args.database_url.as_deref().context("--database-url is missing")?;
            let amqp = args.amqp_url.as_deref().context("--amqp-url is missing")?;
            command.env("POSTRIDER_DATABASE_URL", database).env("POSTRIDER_AMQP_URL", amqp);
        }
        Ok(command)
    }

    /// Starts a role; the address it listens on.
    async fn role(
        &mut self,
        args: &Args,
        target: SocketAddr,
        role: &str,
    ) -> anyhow::Result<String> {
        let log = self.dir.path().join(format!("{role}.log"));
        let child = self
            .command(args, target, role)?
            .stdout(File::create(&log)?)
            .spawn()
            .with_context(|| format!("{}: build it first", args.program.display()))?;
        self.roles.push((role.to_owned(), child));
        let deadline = Instant::now() + LISTENS_WITHIN;
        loop {
            let text = std::fs::read_to_string(&log)?;
            let line = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(found) = line.into_iter().find(|line| line["message"] == "listening") {
                return Ok(found["listen"].as_str().unwrap_or_default().to_owned());
            }
            if Instant::now() > deadline {
                bail!("{role} did not listen within {LISTENS_WITHIN:?}: {text}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        for (_, child) in &mut self.roles {
            // Already ended is as good as killed.
            drop(child.kill().and_then(|()| child.wait()));
        }
    }
}
