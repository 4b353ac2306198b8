//! Backup and restore as `docs/operate.md` says, under load: what was accepted before the backup
//! began reaches its outcome after everything else is lost.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use url::Url;

use crate::harness::{
    Accepted, Api, Cluster, Load, Looking, Mode, Plan, SOON, event, run, say, wait_until,
};
use crate::workers::with_webhook;

/// The manual's section.
const SECTION: &str = "## Backup and restore";
/// Longest time for any of its commands, in seconds.
const COMMAND_WITHIN: &str = "60";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    Box::pin(what_was_accepted_before_a_backup_is_delivered(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() -> Result<()> {
    Box::pin(what_was_accepted_before_a_backup_is_delivered(Mode::Distributed)).await
}

async fn what_was_accepted_before_a_backup_is_delivered(mode: Mode) -> Result<()> {
    let double = Double::start(Options::default()).await?;
    // So slow that at any time something waits, and something is on its way.
    let plan = Plan::new(mode).set("GITHUB_HOSTS", double.addr()).set("LANE_RATE", "60/s");
    let mut cluster = with_webhook(plan, &double).await?;
    let kept = Kept::new(&mut cluster)?;

    let before = send(&cluster, Load::of(150)?).await?;
    let load = Load::of(300)?.over(Duration::from_secs(3));
    let (meanwhile, ()) = tokio::try_join!(send(&cluster, load), kept.back_up())?;
    let after = send(&cluster, Load::of(20)?).await?;
    say(&format!("{} arrived when everything was lost", double.counts().accepted));

    for process in cluster.processes() {
        process.kill().await?;
    }
    kept.lose_and_restore(&mut cluster).await?;
    for name in names(&mut cluster) {
        cluster.restart(&name).await?;
    }
    say("restored and started");
    let api = cluster.api()?;
    let known = known(&api, &before, &meanwhile, &after).await?;
    wait_until("what was open to be delivered", SOON, async || {
        let open = api.unfinished().await?;
        Ok(Looking::when(open.is_none(), || format!("{open:?}")))
    })
    .await?;
    let arrived: BTreeSet<String> =
        double.accepted().into_iter().filter_map(|entry| entry.delivery_id).collect();
    for shown in api.each_delivery(known).await? {
        let id = shown["id"].as_str().context("id")?;
        ensure!(shown["status"] == "delivered" && arrived.contains(id), "{shown}");
    }
    cluster.finish().await
}

async fn send(cluster: &Cluster, load: Load) -> Result<Vec<Accepted>> {
    load.send(&cluster.intakes(), |number| event(number, "billing")).await
}

/// The deliveries that are still there: all from before, some that came meanwhile, none of those
/// that came later.
async fn known(
    api: &Api,
    before: &[Accepted],
    meanwhile: &[Accepted],
    after: &[Accepted],
) -> Result<Vec<String>> {
    let listed = api.deliveries("").await?;
    let listed: BTreeSet<&str> = listed.iter().filter_map(|row| row["id"].as_str()).collect();
    let is_there = |id: &&String| listed.contains(id.as_str());
    let all = |events: &[Accepted]| -> Vec<String> {
        events.iter().flat_map(|event| event.deliveries.iter()).filter(is_there).cloned().collect()
    };
    let (kept, some, gone) = (all(before), all(meanwhile), all(after));
    say(&format!("{} of {} that came meanwhile are there", some.len(), meanwhile.len()));
    ensure!(kept.len() == before.len(), "{} of {} are there", kept.len(), before.len());
    ensure!(gone.is_empty(), "accepted after the backup and there: {gone:?}");
    ensure!(listed.len() == kept.len() + some.len(), "{} are listed", listed.len());
    Ok([kept, some].concat())
}

fn names(cluster: &mut Cluster) -> Vec<String> {
    cluster.processes().iter().map(|process| process.name().to_owned()).collect()
}

/// Where the truth lies, and where it is backed up to.
struct Kept {
    mode: Mode,
    data: PathBuf,
    backup: PathBuf,
    database: Option<Url>,
    /// The manual's commands of this mode.
    commands: Vec<String>,
}

impl Kept {
    fn new(cluster: &mut Cluster) -> Result<Self> {
        let (mode, data) = (cluster.mode(), cluster.dir().join("data"));
        let backup = cluster.dir().join("backup");
        fs::create_dir(&backup)?;
        let database = match mode {
            Mode::Embedded => None,
            Mode::Distributed => Some(cluster.services()?.database.clone()),
        };
        Ok(Self { mode, data, backup, database, commands: commands(mode)? })
    }

    async fn back_up(&self) -> Result<()> {
        match self.mode {
            Mode::Embedded => {
                for command in &self.commands {
                    self.carry_out(command).await?;
                }
                Ok(())
            }
            Mode::Distributed => self.carry_out(&self.commands[0]).await,
        }
    }

    async fn lose_and_restore(&self, cluster: &mut Cluster) -> Result<()> {
        match self.mode {
            Mode::Embedded => {
                fs::remove_dir_all(&self.data)?;
                fs::create_dir(&self.data)?;
                for name in ["postrider.db", "master.key"] {
                    fs::copy(self.backup.join(name), self.data.join(name))?;
                }
            }
            Mode::Distributed => {
                cluster.services()?.empty_database().await?;
                for command in &self.commands[1..] {
                    self.carry_out(command).await?;
                }
                let migrated = run(&["migrate"], cluster.settings(), "").await?;
                ensure!(migrated.status.success(), "postrider migrate: {migrated:?}");
            }
        }
        Ok(())
    }

    /// A command of the manual, with the places of this test.
    async fn carry_out(&self, command: &str) -> Result<()> {
        let command = command
            .replace("/var/lib/postrider", &text(&self.data))
            .replace("/backup-of-keys", &text(&self.backup))
            .replace("'/backup/", &format!("'{}/", text(&self.backup)));
        let mut shell = Command::new("timeout");
        shell.args([COMMAND_WITHIN, "sh", "-ec", &command]);
        shell.current_dir(&self.backup).stdin(Stdio::null());
        if let Some(url) = &self.database {
            shell
                .env("PGHOST", url.host_str().context("a host")?)
                .env("PGPORT", url.port().unwrap_or(5432).to_string())
                .env("PGUSER", url.username())
                .env("PGDATABASE", url.path().trim_start_matches('/'));
            if let Some(password) = url.password() {
                shell.env("PGPASSWORD", password);
            }
        }
        let output = tokio::task::spawn_blocking(move || shell.output()).await??;
        ensure!(output.status.success(), "{command}: {output:?}");
        Ok(())
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The lines of the section's first block for embedded mode, of its second for the other.
fn commands(mode: Mode) -> Result<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate.md");
    let manual = fs::read_to_string(path)?;
    let (_, section) = manual.split_once(SECTION).context(SECTION)?;
    let mut blocks = section.split("```sh\n").skip(1);
    let block = match mode {
        Mode::Embedded => blocks.next(),
        Mode::Distributed => blocks.nth(1),
    };
    let (block, _) = block.and_then(|block| block.split_once("```")).context("a block")?;
    let lines: Vec<String> = block.lines().map(str::to_owned).collect();
    ensure!(lines.len() == 2, "two commands: {lines:?}");
    Ok(lines)
}
