//! Brokers that are asked what happened there.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use postrider_api::{Broker, BrokerList, ShortPageQuery};
use postrider_http_server::Problem;
use postrider_http_server::openapi::{Operation, Tag};
use postrider_store::BrokerRead;
use serde_json::json;

use crate::api::example::TIME;
use crate::api::params::{Params, ShortPage};
use crate::app::App;

/// `GET /api/v1/brokers`: as many as the settings name.
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Response, Problem> {
    let params = Params::of(&uri, &[ShortPageQuery::NAMES])?;
    let reads = app.store().broker_reads().await?;
    let brokers: Vec<Broker> = reads.into_iter().map(document).collect();
    let page = ShortPage::of(brokers, |broker| &broker.name, &params)?;
    let ShortPage { rows: brokers, next, total } = page;
    Ok(Json(BrokerList { brokers, next, total, total_is_exact: true }).into_response())
}

pub(super) fn list_described() -> Operation {
    let example = json!({
        "name": "default",
        "answered_at": TIME,
        "failing_since": TIME,
        "cause": "away",
        "detail": "no answer within 30 seconds",
    });
    Operation::new(Tag::Operations, "listBrokers", "List the brokers that are asked")
        .description("With whether they answer. Empty where only relayed events tell what happens.")
        .query::<ShortPageQuery>()
        .answers::<BrokerList>(200, "Fine.")
        .example(
            200,
            json!({"brokers": [example], "next": null, "total": 1, "total_is_exact": true}),
        )
}

fn document(read: BrokerRead) -> Broker {
    let failing = read.failing;
    Broker {
        name: read.broker,
        answered_at: read.answered_at,
        failing_since: failing.as_ref().map(|(since, ..)| *since),
        cause: failing.as_ref().map(|(_, trouble, _)| trouble.as_str().to_owned()),
        detail: failing.map(|(.., detail)| detail),
    }
}
