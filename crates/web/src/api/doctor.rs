//! Why a verification is not there.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use postrider_api::{DoctorQuery, DoctorReport};
use postrider_domain::doctor::Asked;
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use serde_json::json;

use crate::api::example::TIME;
use crate::api::params::{Params, wrong};
use crate::app::App;
use crate::doctor;

const KNOWN: [&str; 5] = ["consumer", "version", "provider", "environment", "broker"];

/// `GET /api/v1/doctor`.
pub(super) async fn examine(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[&KNOWN])?;
    let needed = |name: &str| {
        let given = params.get(name).map(str::to_owned);
        given.ok_or_else(|| wrong(name, "is required"))
    };
    let owned = |name: &str| params.get(name).map(str::to_owned);
    let asked = Asked {
        consumer: needed("consumer")?,
        version: owned("version"),
        provider: needed("provider")?,
        environment: owned("environment"),
        broker: owned("broker").unwrap_or_else(|| "default".to_owned()),
    };
    let diagnosis = Box::pin(doctor::examine(app.store(), &app.config, asked)).await?;
    Ok(Json(DoctorReport::from(diagnosis)).into_response())
}

pub(super) fn examine_described() -> Operation {
    let hop = |hop: &str, state: &str, detail: &str| json!({"hop": hop, "state": state, "at": null, "detail": detail, "links": []});
    let example = json!({
        "verdict": "event_not_received",
        "summary": "no event told of 5f0c1d9: the broker has no webhook that comes here",
        "since": TIME,
        "provider_version": "5f0c1d9",
        "hops": [
            hop("published", "ok", "checkout published 1.4.2"),
            hop("required", "ok", "5f0c1d9 counts as main"),
            hop("received", "broken", "the broker has no webhook that comes here"),
            hop("matched", "waiting", ""),
            hop("sent", "waiting", ""),
            hop("run", "waiting", ""),
            hop("verified", "waiting", ""),
            hop("deployable", "waiting", ""),
        ],
        "next": ["postrider connect --broker URL --public-url URL"],
        "others": [],
    });
    Operation::new(Tag::Operations, "examine", "Tell why a verification is not there")
        .description(
            "Walks from the contract's publication to what may be deployed, asking the broker, the \
             store and GitHub, and names the first hop that is broken.",
        )
        .query::<DoctorQuery>()
        .answers::<DoctorReport>(200, "Fine, whatever the verdict.")
        .example(200, example)
}
