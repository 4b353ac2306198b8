//! What the compose files start, run as plain processes: the same commands, environment and made
//! secrets. Other than in containers are only the addresses, because all share one machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};
use tempfile::TempDir;

use super::{Secrets, Start, compose, image, kubernetes};
use crate::harness::{
    Api, Looking, Process, SOON, Services, Setting, event, run, setting, wait_until, webhook,
};

/// Longest stop of a process that has nothing in flight.
const STOPS_WITHIN: Duration = Duration::from_secs(20);

/// The processes of one compose file.
struct Running {
    secrets: Secrets,
    processes: Vec<Process>,
    dir: TempDir,
}

/// Changes what can't be on one machine without containers, and lets deliveries reach the double.
fn on_one_machine(settings: Vec<Setting>, data: &Path) -> Vec<Setting> {
    let moved = settings.into_iter().map(|(name, value)| match name.as_str() {
        "LISTEN" | "ADMIN_LISTEN" => {
            let address = value.rsplit_once(':').map_or("", |(address, _)| address);
            setting(&name, format!("{address}:0"))
        }
        "DATA_DIR" => setting(&name, data.display()),
        _ => (name, value),
    });
    let double = [
        setting("WEBHOOK_SCHEME_WHITELIST", "https http"),
        setting("WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8"),
        setting("MONITOR_INTERVAL", "500ms"),
    ];
    moved.chain(double).collect()
}

impl Running {
    fn new(secrets: Secrets) -> Result<Self> {
        Ok(Self { secrets, processes: Vec::new(), dir: tempfile::tempdir()? })
    }

    fn settings(&self, start: &Start) -> Result<Vec<Setting>> {
        Ok(on_one_machine(start.settings(&self.secrets)?, &self.dir.path().join("data")))
    }

    async fn start(&mut self, start: &Start, name: &str) -> Result<()> {
        let settings = self.settings(start)?;
        let mut process = Process::spawn(name, &start.args(), settings, None, self.dir.path())?;
        process.ready().await?;
        self.processes.push(process);
        Ok(())
    }

    /// Where events go.
    fn url(&self) -> Result<String> {
        let listen = self.processes.iter().find_map(Process::listen).context("an intake")?;
        Ok(format!("http://{listen}"))
    }

    fn api(&self, role: &str) -> Result<Api> {
        let token = self.secrets.value(&format!("{role}-token"))?;
        Ok(Api::new(&self.url()?)?.with_token(&token))
    }

    /// An event in, a dispatch out.
    async fn deliver(&self, client: &[Setting]) -> Result<()> {
        let double = Double::start(Options::default()).await?;
        let set = run(&["secrets", "set", "githubToken"], client, "test-token\n").await?;
        ensure!(set.status.success(), "{set:?}");
        let hook = webhook(&double.base_url(), "acme/billing", "billing", "githubToken");
        self.api("operate")?.create_webhook(&hook).await?;
        self.api("ingest")?.publish(&event(1, "billing")).await?;
        double.wait_for(1, SOON).await?;
        let reader = self.api("read")?;
        wait_until("the delivery to be recorded", SOON, async || {
            let delivered = reader.deliveries("status=delivered").await?.len();
            Ok(Looking::when(delivered == 1, || format!("{delivered} delivered")))
        })
        .await?;
        let listed = run(&["deliveries", "list", "--json"], client, "").await?;
        ensure!(listed.status.success(), "{listed:?}");
        let stranger = Api::new(&self.url()?)?.publish(&event(2, "billing")).await;
        ensure!(stranger.is_err(), "nobody gets in without a token");
        Ok(())
    }

    /// The image's health check and the manifests' probes answer on every process.
    async fn probe(&self) -> Result<()> {
        let check = image::health_check()?;
        let check: Vec<&str> = check.iter().map(String::as_str).collect();
        for process in &self.processes {
            let admin = process.admin().context("an admin address")?;
            let healthy = run(&check, &[setting("ADMIN_LISTEN", admin)], "").await?;
            ensure!(healthy.status.success(), "{}: {healthy:?}", process.name());
            let api = Api::new(&format!("http://{admin}"))?;
            for path in kubernetes::probed()? {
                let answer = api.get(&path).await?;
                ensure!(answer.status == 200, "{}{path}: {}", process.name(), answer.text);
            }
        }
        Ok(())
    }

    /// What autoscaling asks for is shown where it is looked for.
    async fn shows_metrics(&self, name: &str) -> Result<()> {
        let process = self.processes.iter().find(|process| process.name() == name);
        let admin = process.and_then(Process::admin).context("a monitor")?;
        let api = Api::new(&format!("http://{admin}"))?;
        let wanted = kubernetes::metrics()?;
        ensure!(wanted.len() == 2, "{wanted:?}");
        wait_until("the metrics that autoscaling asks for", SOON, async || {
            let text = api.get("/metrics").await?.text;
            let shown =
                |metric: &&String| text.lines().any(|line| line.starts_with(metric.as_str()));
            let missing: Vec<&String> = wanted.iter().filter(|metric| !shown(metric)).collect();
            Ok(Looking::when(missing.is_empty(), || format!("{missing:?} missing")))
        })
        .await
    }

    async fn stop(mut self) -> Result<()> {
        for process in &mut self.processes {
            process.terminate(STOPS_WITHIN).await?;
        }
        Ok(())
    }
}

fn service<'a>(starts: &'a BTreeMap<String, Start>, name: &str) -> Result<&'a Start> {
    starts.get(name).with_context(|| format!("a service {name}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_docker_compose_starts_delivers() -> Result<()> {
    let services = Services::shared().await?;
    let secrets = Secrets::make()?;
    secrets.replace("database-url", &services.database_url()?)?;
    secrets.replace("amqp-url", &services.amqp_url()?)?;
    let starts = compose::starts(compose::DISTRIBUTED)?;
    let mut running = Running::new(secrets)?;
    let migrate = service(&starts, "migrate")?;
    let migrated = run(&migrate.args(), &running.settings(migrate)?, "").await?;
    ensure!(migrated.status.success(), "{migrated:?}");
    let scaled = [
        ("ingest", "ingest"),
        ("worker-1", "worker"),
        ("worker-2", "worker"),
        ("monitor", "monitor"),
    ];
    for (name, of) in scaled {
        running.start(service(&starts, of)?, name).await?;
    }
    // The client's own environment, but for where the intake is.
    let client = running.settings(service(&starts, "cli")?)?;
    let client = client.into_iter().filter(|(name, _)| name != "URL");
    let client: Vec<Setting> = client.chain([setting("URL", running.url()?)]).collect();
    running.deliver(&client).await?;
    running.probe().await?;
    running.shows_metrics("monitor").await?;
    running.stop().await?;
    services.remove().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_embedded_compose_file_starts_delivers() -> Result<()> {
    let starts = compose::starts(compose::EMBEDDED)?;
    let mut running = Running::new(Secrets::make()?)?;
    running.start(service(&starts, "postrider")?, "serve").await?;
    let token = running.secrets.file("operate-token");
    let client = [setting("URL", running.url()?), setting("TOKEN_FILE", token.display())];
    running.deliver(&client).await?;
    running.probe().await?;
    running.stop().await
}
