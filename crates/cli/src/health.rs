//! `postrider health`: a probe for containers without a shell or curl.

use std::time::Duration;

use clap::Args;
use postrider_api::{Health, Unhealthy};
use postrider_config::ClientSettings;
use postrider_http_client::ProxyRules;
use reqwest::Method;
use url::Url;

use super::{Api, Body};
use crate::{Exit, Failure, Out};

/// A role judges its own readiness in less: it gives its database two seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// Whom to ask.
#[derive(Debug, Args)]
pub struct HealthArgs {
    #[arg(
        long,
        value_name = "URL",
        help = "Address of health and metrics [default: http:// and POSTRIDER_ADMIN_LISTEN]"
    )]
    admin_url: Option<String>,
}

impl HealthArgs {
    /// The address that was given.
    pub fn admin_url(&self) -> Option<&str> {
        self.admin_url.as_deref()
    }
}

/// Asks for `/readyz`: fine when ready, no when not, not reachable when there is no answer.
pub async fn run(admin_url: Url, out: &mut Out) -> Result<Exit, Failure> {
    let unreachable = |what: &str| {
        Failure::new(Exit::Unreachable, format!("cannot reach a role at {admin_url}: {what}")).fix(
            "start it, or name its health endpoints with --admin-url or POSTRIDER_ADMIN_LISTEN",
        )
    };
    let api = Api::new(&ClientSettings {
        url: admin_url.clone(),
        token: None,
        token_from: None,
        ingest_token: None,
        proxies: ProxyRules::default(),
    })?;
    let asked = api.call(Method::GET, &["readyz"], &[], Body::None);
    let answer = match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => return Err(unreachable("nothing answers there")),
        Err(_) => return Err(unreachable("no answer in time")),
    };
    let is_ready = serde_json::from_value::<Health>(answer.body.clone())
        .is_ok_and(|health| health == Health::ok());
    let unready = serde_json::from_value::<Unhealthy>(answer.body).ok();
    match (answer.status.as_u16(), unready) {
        (200, None) if is_ready => {
            out.line("ready");
            Ok(Exit::Fine)
        }
        (503, Some(Unhealthy { reason, .. })) => {
            Err(Failure::new(Exit::No, format!("not ready: {reason}")))
        }
        _ => Err(unreachable("what answers there is no health endpoint of postrider")),
    }
}
