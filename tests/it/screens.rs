//! What people see in a terminal of 80 columns and in one of 200, in a real one (tmux): lists, a
//! delivery, what is followed live, errors, the tour.

mod tmux;

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options, Play};
use regex::Regex;

use crate::harness::{
    Cluster, Looking, Mode, Plan, SOON, event, hook_webhook, setting, wait_until, webhook,
};
use tmux::Tmux;

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 50)];

/// Deliveries that were taken, that failed, and that wait for a dead credential.
struct Scene {
    double: Double,
    cluster: Cluster,
}

impl Scene {
    async fn start() -> Result<Self> {
        let double = Double::start(Options::default().with_tokens(["good-token"])).await?;
        let plan = Plan::new(Mode::Embedded).set("GITHUB_HOSTS", double.addr());
        let cluster = plan.set("WEBHOOK_RETRY_SCHEDULE", "1").start().await?;
        let api = cluster.api()?;
        api.set_secret("githubToken", "dead-token").await?;
        double.script_repeating("refused", vec![Play::status(422)])?;
        for webhook in [
            webhook(&double.base_url(), "acme/billing", "billing", "githubToken"),
            hook_webhook(&double.base_url(), "taken", "ledger"),
            hook_webhook(&double.base_url(), "refused", "orders"),
        ] {
            api.create_webhook(&webhook).await?;
        }
        // One after the other, so that their order is always the same.
        for (provider, status) in
            [("ledger", "delivered"), ("orders", "failed"), ("billing", "held")]
        {
            api.publish(&event(1, provider)).await?;
            wait_until(&format!("a delivery to be {status}"), SOON, async || {
                let found = api.deliveries(&format!("status={status}")).await?;
                Ok(Looking::when(found.len() == 1, || format!("{found:?}")))
            })
            .await?;
        }
        wait_until("the incident", SOON, async || {
            let open = api.get("/api/v1/incidents?open=true").await?.ok()?;
            let is_told = open["incidents"].as_array().is_some_and(|all| !all.is_empty());
            Ok(Looking::when(is_told, || open.to_string()))
        })
        .await?;
        Ok(Self { double, cluster })
    }

    fn terminal(&self, size: (u16, u16)) -> Result<Tmux> {
        let url = self.cluster.api()?.base().to_owned();
        Tmux::start(size, &[setting("POSTRIDER_URL", url)], self.cluster.dir())
    }

    /// The same whenever and wherever it is looked at.
    fn still(&self, seen: &str) -> Result<String> {
        let mut text = seen.replace(&self.double.addr().to_string(), "github.example");
        text = text.replace(self.cluster.api()?.base(), "http://postrider.example");
        masked(&text)
    }
}

/// Ids, times and what else differs each time, without a change of what is around.
fn masked(text: &str) -> Result<String> {
    let mut text = text.to_owned();
    for (differs, same) in [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
        (r"\b01[0-9a-f]{4,}(-[0-9a-f-]*)?…?", "ID"),
        // Sixteen bytes: it may begin with a hyphen, and ends with one of four letters.
        (r"(^|[^A-Za-z0-9_-])[A-Za-z0-9_-]{21}[AQgw]\b", "${1}UUID"),
        (r"is held for .*?…", "is held for …"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z?", "TIME"),
        (r"127\.0\.0\.1:\d+", "github.example"),
        (r"\b[0-9A-F]{4}(:[0-9A-F]+){2,}…?", "REQUEST"),
        (r"\b00-[0-9a-f]{32}-[0-9a-f]{16}-01", "TRACE"),
        (r"  (now|\d+s ago)\b", "  AGO"),
        (r"\b\d\d:\d\d:\d\d\b", "HH:MM:SS"),
        (r"\b\d+(\.\d+)? ?(ms|s|m|h|MiB|KiB)\b", "N"),
        (r"held peak: +\d+", "held peak: N"),
        (r"\d+ deliveries", "N deliveries"),
        (r"(date|content-length|x-github-request-id|x-ratelimit-\S+): .*", "$1: …"),
        (r" {2,}", "  "),
    ] {
        text = Regex::new(differs)?.replace_all(&text, same).into_owned();
    }
    let lines = text.lines().map(str::trim_end);
    Ok(lines.collect::<Vec<_>>().join("\n").trim().to_owned())
}

/// Lists whose rows have to fit.
const LISTS: [&str; 9] = [
    "deliveries list",
    "deliveries list --status held",
    "lanes list",
    "webhooks list",
    "secrets list",
    "incidents list",
    "events list",
    "freshness",
    "audit list",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_a_delivery_fit_the_terminal() -> Result<()> {
    let scene = Scene::start().await?;
    for size in SIZES {
        let (columns, _) = size;
        let mut terminal = scene.terminal(size)?;
        for list in LISTS {
            let (_, seen) = terminal.run(&format!("postrider {list}")).await?;
            // A row that is too wide is a block, whose sentences go on in the next line.
            let rows = seen.lines().filter(|line| !line.starts_with("SUMMARY "));
            let widest = rows.map(|line| line.chars().count()).max().unwrap_or_default();
            ensure!(widest <= usize::from(columns), "{list} takes {widest} of {columns}:\n{seen}");
        }
        let (_, list) = terminal.run("postrider deliveries list").await?;
        insta::assert_snapshot!(format!("list_{columns}"), scene.still(&list)?);
        let failed = scene.cluster.api()?.deliveries("status=failed").await?;
        let id = failed[0]["id"].as_str().context("an id")?.to_owned();
        // As a list cuts it.
        let id: String = id.chars().take(16).collect();
        let (_, shown) = terminal.run(&format!("postrider deliveries show {id}…")).await?;
        insta::assert_snapshot!(format!("show_{columns}"), scene.still(&shown)?);
        let (_, incidents) = terminal.run("postrider incidents list --open").await?;
        insta::assert_snapshot!(format!("incidents_{columns}"), scene.still(&incidents)?);
    }
    scene.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_followed_and_what_goes_wrong_is_readable() -> Result<()> {
    let scene = Scene::start().await?;
    for (number, size) in (2..).zip(SIZES) {
        let (columns, _) = size;
        let mut terminal = scene.terminal(size)?;
        terminal.types("postrider deliveries tail --status delivered").await?;
        // It may not listen yet: until it does, what happens is not told.
        wait_until("a line", SOON, async || {
            scene.cluster.api()?.publish(&event(number, "ledger")).await?;
            let seen = terminal.sees()?;
            Ok(Looking::when(seen.contains("checkout → ledger"), || seen))
        })
        .await?;
        terminal.interrupts()?;
        let (_, seen) = terminal.until_prompt().await?;
        let line = seen.lines().find(|line| line.contains("checkout → ledger"));
        let line = line.context("a line")?;
        ensure!(line.chars().count() <= usize::from(columns), "{line}");
        insta::assert_snapshot!(format!("tail_{columns}"), scene.still(line)?);
        let mut told = Vec::new();
        for wrong in [
            "postrider deliveries list --url http://127.0.0.1:9",
            "postrider deliveries list --status faild",
            "postrider deliveries show 0000",
            "postrider secrets set githubToken --from-file none.txt",
            "postrider delivery list",
        ] {
            let (code, seen) = terminal.run(wrong).await?;
            told.push(format!("$ {wrong}\n{seen}\nexit {code}\n"));
        }
        insta::assert_snapshot!(format!("errors_{columns}"), scene.still(&told.join("\n"))?);
    }
    scene.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tour_fits_the_terminal() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for size in SIZES {
        let mut terminal = Tmux::start(size, &[], dir.path())?;
        let (code, seen) = terminal.run("postrider demo").await?;
        ensure!(code == 0, "{code}: {seen}");
        insta::assert_snapshot!(format!("demo_{}", size.0), masked(&seen)?);
    }
    Ok(())
}
