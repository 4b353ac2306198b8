//! What a pair owes, dispatched again by the page.

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_testkit::broker::ScriptedBroker;

use super::browser::Browser;
use super::scene::TAKES;
use crate::harness::{
    Cluster, Looking, Mode, Plan, SOON, ScriptedTarget, hook_webhook, wait_until,
};

fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

/// Where what the pair owes is planned.
const PLACE: &str = "/ui/pairs/dispatch?consumer=web&provider=billing&broker=default";

/// A pair that owes a verification, and what it would be dispatched to.
pub(crate) struct Owing {
    pub(crate) cluster: Cluster,
    broker: ScriptedBroker,
    target: ScriptedTarget,
}

impl Owing {
    pub(crate) async fn start() -> Result<Self> {
        let broker = ScriptedBroker::start().await?;
        broker.model(|model| {
            model.main_branch("billing", Some("main"), ago(500));
            model.build_on("billing", "5f0c1d9", "main", ago(300));
            model.main_branch("web", Some("main"), ago(2));
            model.build_on("web", "2.0.0", "main", ago(2));
            model.publish("web", "2.0.0", "billing", "2.0.0", ago(2));
        });
        let target = ScriptedTarget::start(&[("/hook/good", TAKES)]).await?;
        let plan = Plan::new(Mode::Embedded)
            .set("BROKER_WATCH", "off")
            .set("BROKER_INTERVAL", "300ms")
            .set("PACT_BROKER_BASE_URL", broker.url());
        let cluster = plan.start().await?;
        cluster.api()?.create_webhook(&hook_webhook(target.url(), "good", "billing")).await?;
        Ok(Self { cluster, broker, target })
    }

    /// Where it is planned, with the host.
    pub(crate) fn place(&self) -> Result<String> {
        Ok(format!("{}{PLACE}", self.cluster.api()?.base()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pair_owes_is_dispatched_again_once() -> Result<()> {
    let Owing { cluster, broker, target } = Owing::start().await?;
    let api = cluster.api()?;
    let mut browser = Browser::at(&api)?;
    let place = PLACE.replace('&', "&amp;");
    wait_until("the pair to be shown", SOON, async || {
        let page = browser.view("/ui/pairs").await?;
        Ok(Looking::when(page.text.contains(&place), || page.text.clone()))
    })
    .await?;

    let page = browser.view(PLACE).await?;
    for text in ["lost", "2.0.0", "5f0c1d9", "main", "Dispatch the lost one"] {
        page.holds(text)?;
    }
    ensure!(target.asked("/hook/good").is_empty(), "a plan did something");
    let form = [("consumer", "web"), ("provider", "billing"), ("broker", "default")];
    let page = browser.post("/ui/pairs/dispatch", &form).await?;
    ensure!(page.status == 200, "{page:?}");
    page.holds("1 accepted for delivery")?;
    wait_until("the delivery", SOON, async || {
        let asked = target.asked("/hook/good").len();
        Ok(Looking::when(asked == 1, || format!("{asked} of 1")))
    })
    .await?;
    // The rule of the command: what is here is not made again, however often it is asked for.
    let page = browser.post("/ui/pairs/dispatch", &form).await?;
    page.holds("delivery_exists")?;
    browser.view(PLACE).await?.holds("Nothing is lost")?;
    let events = api.get("/api/v1/events").await?.ok()?;
    ensure!(events["events"].as_array().map(Vec::len) == Some(1), "{events}");
    ensure!(events["events"][0]["source"] == "reconcile", "{events}");
    for (place, status) in [
        ("/ui/pairs/dispatch?consumer=web&provider=billing", 400),
        ("/ui/pairs/dispatch?consumer=web&provider=billing&broker=other", 400),
    ] {
        ensure!(browser.get(place).await?.status == status, "{place}");
    }
    broker.trouble(Some((503, None, "{}")));
    ensure!(browser.get(PLACE).await?.status == 502, "a broker that is away");
    cluster.finish().await
}
