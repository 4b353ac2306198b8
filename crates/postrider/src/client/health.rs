//! `postrider health`: a probe for containers without a shell or curl.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::Value;
use url::Url;

use super::{Api, Body};
use crate::cli::{Exit, Failure, Out};
use crate::config::ClientSettings;

/// A role judges its own readiness in less: it gives its database two seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// Whom to ask.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    #[arg(
        long,
        value_name = "URL",
        help = "Address of health and metrics [default: http:// and POSTRIDER_ADMIN_LISTEN]"
    )]
    pub(crate) admin_url: Option<String>,
}

/// Asks for `/readyz`: fine when ready, no when not, not reachable when there is no answer.
pub(crate) async fn run(admin_url: Url, out: &mut Out) -> Result<Exit, Failure> {
    let unreachable = |what: &str| {
        Failure::new(Exit::Unreachable, format!("cannot reach a role at {admin_url}: {what}")).fix(
            "start it, or name its health endpoints with --admin-url or POSTRIDER_ADMIN_LISTEN",
        )
    };
    let api =
        Api::new(&ClientSettings { url: admin_url.clone(), token: None, ingest_token: None })?;
    let asked = api.call(Method::GET, &["readyz"], &[], Body::None);
    let answer = match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => return Err(unreachable("nothing answers there")),
        Err(_) => return Err(unreachable("no answer in time")),
    };
    let said = |key: &str| answer.body.get(key).and_then(Value::as_str);
    match (answer.status.as_u16(), said("status"), said("reason")) {
        (200, Some("ok"), _) => {
            out.line("ready");
            Ok(Exit::Fine)
        }
        (503, Some("unavailable"), reason) => {
            let reason = reason.unwrap_or("no reason given");
            Err(Failure::new(Exit::No, format!("not ready: {reason}")))
        }
        _ => Err(unreachable("what answers there is no health endpoint of postrider")),
    }
}
