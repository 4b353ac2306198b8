//! What the page is looked at with: webhooks whose deliveries fare differently.

use anyhow::Result;

use crate::harness::{
    Api, Cluster, Looking, Mode, Plan, SOON, Scripted, ScriptedTarget, event, hook_webhook,
    wait_until,
};

/// Who may do what, as the setting has it.
pub(crate) const TOKENS: &str = "operate:ann:0123456789abcdef read:bob:fedcba9876543210 \
                                 ingest:ci:00112233445566778899";
/// Of role `operate`.
pub(crate) const ANN: &str = "0123456789abcdef";
/// Of role `read`.
pub(crate) const BOB: &str = "fedcba9876543210";

pub(crate) const TAKES: &[Scripted] = &[Scripted { status: 200, headers: &[], body: "{}" }];
const REFUSES: &[Scripted] = &[Scripted { status: 422, headers: &[], body: "<b>no</b>" }];
const UNKNOWN: &[Scripted] = &[Scripted { status: 401, headers: &[], body: "who?" }];

/// A name that turns the reading direction, and one that is HTML.
pub(crate) const ODD: &str = "web\u{202e}<i>";

/// Three webhooks, of which one delivers, one fails and one is refused, and their deliveries.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    /// As whoever may change something.
    pub(crate) api: Api,
    pub(crate) target: ScriptedTarget,
    /// The webhooks' uuids.
    pub(crate) uuids: Vec<String>,
}

impl Scene {
    /// Without tokens, or with these.
    pub(crate) async fn start(tokens: Option<&str>) -> Result<Self> {
        let scripts = [("/hook/good", TAKES), ("/hook/bad", REFUSES), ("/hook/dead", UNKNOWN)];
        let target = ScriptedTarget::start(&scripts).await?;
        let mut plan = Plan::new(Mode::Embedded).set("PROBE_INTERVAL", "10m");
        if let Some(tokens) = tokens {
            plan = plan.set("API_TOKENS", tokens);
        }
        let cluster = plan.start().await?;
        let api = cluster.api()?;
        let api = if tokens.is_some() { api.with_token(ANN) } else { api };
        let mut uuids = Vec::new();
        for name in ["good", "bad", "dead"] {
            let hook = hook_webhook(target.url(), name, name);
            uuids.push(api.create_webhook(&hook).await?);
            let mut event = event(1, name);
            event["consumer"]["name"] = ODD.into();
            event["build_url"] = "javascript:alert(1)".into();
            api.publish(&event).await?;
        }
        let scene = Self { cluster, api, target, uuids };
        for (provider, status) in [("good", "delivered"), ("bad", "failed"), ("dead", "held")] {
            scene.until(provider, status).await?;
        }
        wait_until("the pairs to be known", SOON, async || {
            let list = scene.api.get("/api/v1/freshness").await?.ok()?;
            let known = list["pairs"].as_array().map_or(0, Vec::len);
            Ok(Looking::when(known == 3, || format!("{known} of 3")))
        })
        .await?;
        Ok(scene)
    }

    /// Waits until the newest delivery of a provider has this status; its id.
    pub(crate) async fn until(&self, provider: &str, status: &str) -> Result<String> {
        let query = format!("provider={provider}");
        wait_until(&format!("a delivery {status}"), SOON, async || {
            let deliveries = self.api.deliveries(&query).await?;
            let newest = deliveries.first().filter(|newest| newest["status"] == status);
            let id = newest.and_then(|newest| newest["id"].as_str()).map(str::to_owned);
            Ok(Looking::from_option(id))
        })
        .await
    }

    /// Waits until an incident of this kind is open; its id.
    pub(crate) async fn incident(&self, kind: &str) -> Result<String> {
        let path = format!("/api/v1/incidents?open=true&kind={kind}");
        wait_until(&format!("an incident {kind}"), SOON, async || {
            let list = self.api.get(&path).await?.ok()?;
            let id = list["incidents"][0]["id"].as_str().map(str::to_owned);
            Ok(Looking::from_option(id))
        })
        .await
    }
}
