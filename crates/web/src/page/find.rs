//! Where is it? From a contract, or whatever is known of it, to what became of its verification.

use askama::Template;
use axum::response::Response;
use http::Uri;
use percent_encoding::percent_decode_str;
use postrider_api::{DoctorHop, DoctorReport};
use postrider_domain::DeliveryId;
use postrider_domain::doctor::HopState;

use crate::page::answer::{Fault, on_to, shown};
use crate::page::deliveries::DELIVERIES;
use crate::page::show::{self, Moment, tone};
use crate::page::visit::{Frame, Visit};
use crate::page::words::Words;

const FIND: &str = "/ui/find";
const ASKED: [&str; 5] = ["consumer", "version", "provider", "environment", "broker"];

/// A hop as it is shown.
#[derive(Debug)]
struct HopRow {
    name: &'static str,
    state: &'static str,
    tone: &'static str,
    at: Option<Moment>,
    detail: String,
    links: Vec<String>,
}

impl HopRow {
    fn of(hop: &DoctorHop, frame: &Frame) -> Self {
        Self {
            name: hop.hop.as_str(),
            state: hop.state.as_str(),
            tone: match hop.state {
                HopState::Ok => tone::GOOD,
                HopState::Broken => tone::BAD,
                HopState::Waiting => tone::WARN,
                HopState::Unknown => tone::CALM,
            },
            at: Moment::if_any(hop.at, frame.now),
            detail: hop.detail.clone(),
            links: hop.links.iter().filter_map(|link| show::link(link)).collect(),
        }
    }
}

/// What was found out.
#[derive(Debug)]
struct Found {
    verdict: &'static str,
    tone: &'static str,
    summary: String,
    since: Option<Moment>,
    provider_version: Option<String>,
    hops: Vec<HopRow>,
    next: Vec<String>,
    /// Other provider versions: which, the verdict, in words.
    others: Vec<(String, &'static str, String)>,
    deliveries: String,
}

#[derive(Template)]
#[template(path = "find.html")]
struct FindView {
    frame: Frame,
    words: Words,
    found: Option<Found>,
    trouble: Option<String>,
}

/// `GET /ui/find`: by names, by the URL of a pact, or by the id of a delivery.
pub(super) async fn show(visit: Visit, uri: Uri) -> Result<Response, Fault> {
    let asked = Words::of(&uri)?;
    if let Some(text) = asked.get("q").map(str::trim) {
        return by_text(text);
    }
    let words = asked.only(&ASKED);
    let is_asked = words.get("consumer").is_some() && words.get("provider").is_some();
    let (found, trouble) = if is_asked {
        match visit.get::<DoctorReport>(&words.at("/api/v1/doctor")).await {
            Ok(report) => (Some(found(report, &words, &visit.frame)), None),
            Err(fault) => (None, Some(fault.detail)),
        }
    } else {
        let half = !words.is_empty();
        (None, half.then(|| "Name a consumer and a provider.".to_owned()))
    };
    shown(&FindView { frame: visit.frame, words, found, trouble })
}

/// A pact's URL names a pair and a version, an id a delivery.
fn by_text(text: &str) -> Result<Response, Fault> {
    if let Ok(id) = text.parse::<DeliveryId>() {
        return Ok(on_to(&format!("{DELIVERIES}/{id}")));
    }
    let pact = pact(text).ok_or_else(|| {
        Fault::bad(
            "this is neither the URL of a pact (…/pacts/provider/P/consumer/C/version/V) nor the \
             id of a delivery",
        )
    })?;
    Ok(on_to(&pact.at(FIND)))
}

/// The names in a pact's URL.
fn pact(url: &str) -> Option<Words> {
    let path = url.split(['?', '#']).next()?;
    let mut parts = path.split('/').skip_while(|part| *part != "pacts").skip(1);
    let mut named = |name: &str| {
        (parts.next() == Some(name)).then(|| parts.next()).flatten().and_then(|part| {
            let decoded = percent_decode_str(part).decode_utf8().ok()?;
            Some(decoded.into_owned())
        })
    };
    let (provider, consumer) = (named("provider")?, named("consumer")?);
    let words = Words::from([("consumer", consumer.as_str()), ("provider", provider.as_str())]);
    Some(match named("version") {
        Some(version) => words.with("version", &version),
        None => words,
    })
}

fn found(report: DoctorReport, words: &Words, frame: &Frame) -> Found {
    let others = report.others.into_iter();
    Found {
        verdict: report.verdict.as_str(),
        tone: if report.verdict.is_fine() { tone::GOOD } else { tone::BAD },
        summary: report.summary,
        since: Moment::if_any(report.since, frame.now),
        provider_version: report.provider_version,
        hops: report.hops.iter().map(|hop| HopRow::of(hop, frame)).collect(),
        next: report.next,
        others: others
            .map(|other| (other.provider_version, other.verdict.as_str(), other.summary))
            .collect(),
        deliveries: words.only(&["consumer", "provider"]).at(DELIVERIES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pact_s_url_names_what_is_looked_for() {
        let at = |url: &str| pact(url).map(|words| words.at("/x"));
        let url = "https://b.example/pacts/provider/Order%20API/consumer/web/version/1.2?x=y";
        assert_eq!(at(url).unwrap(), "/x?consumer=web&provider=Order+API&version=1.2");
        let url = "https://b.example/base/pacts/provider/P/consumer/C/latest";
        assert_eq!(at(url).unwrap(), "/x?consumer=C&provider=P");
        for odd in ["", "x", "https://b.example/pacts/consumer/C", "/pacts/provider/P/consumer"] {
            assert_eq!(at(odd), None, "{odd}");
        }
    }
}
