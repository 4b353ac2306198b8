//! Pairs of a consumer and a provider: whether their contract is verified, and what is owed.

use askama::Template;
use axum::response::Response;
use http::Uri;
use postrider_api::{Basis, FreshnessList, PairFreshness};
use postrider_domain::FreshnessState;

use crate::page::answer::{Fault, shown};
use crate::page::dispatch::DISPATCH;
use crate::page::show::{self, Moment, lasting, quoted};
use crate::page::visit::{Frame, Visit};
use crate::page::words::Words;

const PAIRS: &str = "/ui/pairs";
const FILTERS: [&str; 4] = ["state", "consumer", "provider", "broker"];

/// Pairs that are read for one view, and those that it shows: the worst of them.
const READ: &str = "1000";
const SHOWN: usize = 200;

/// A pair as it is shown.
#[derive(Debug, Clone)]
pub(super) struct PairRow {
    pub(super) broker: String,
    pub(super) consumer: String,
    pub(super) provider: String,
    pub(super) state: &'static str,
    pub(super) tone: &'static str,
    pub(super) critical: bool,
    /// How old what is judged is.
    pub(super) age: Option<String>,
    pub(super) threshold: String,
    pub(super) published: Option<Moment>,
    pub(super) dispatched: Option<Moment>,
    pub(super) verified: Option<Moment>,
    /// In words, where it was told.
    pub(super) result: &'static str,
    pub(super) trouble: Option<String>,
    pub(super) by_relay: bool,
    pub(super) owes: Vec<String>,
    pub(super) failed: Vec<String>,
    pub(super) holds_back: Vec<String>,
    pub(super) deliveries: String,
    /// The plan of dispatching what is owed; none where nothing is.
    pub(super) dispatch: Option<String>,
    /// The command that tells more.
    pub(super) check: String,
}

impl PairRow {
    pub(super) fn of(pair: &PairFreshness, frame: &Frame) -> Self {
        let now = frame.now;
        let (consumer, provider) = (pair.consumer.as_str(), pair.provider.as_str());
        let names = [("consumer", consumer), ("provider", provider)];
        Self {
            broker: pair.broker.clone(),
            consumer: consumer.to_owned(),
            provider: provider.to_owned(),
            state: pair.state.as_str(),
            tone: show::of_freshness(pair.state),
            critical: pair.critical,
            age: pair.age_seconds.map(lasting),
            threshold: lasting(pair.threshold_seconds),
            published: Moment::if_any(pair.last_publication, now),
            dispatched: Moment::if_any(pair.last_dispatch, now),
            verified: Moment::if_any(pair.last_verification, now),
            result: match pair.last_verification_success {
                Some(true) => "succeeded",
                Some(false) => "failed",
                None => "",
            },
            trouble: pair.trouble.clone(),
            by_relay: pair.basis == Basis::Relay,
            owes: owes(pair, frame),
            failed: failed(pair, frame),
            holds_back: holds_back(pair, frame),
            deliveries: Words::from(names).at("/ui/deliveries"),
            dispatch: (!pair.owes.is_empty())
                .then(|| Words::from(names).with("broker", &pair.broker).at(DISPATCH)),
            check: format!(
                "postrider check verification --consumer {} --provider {}",
                quoted(consumer),
                quoted(provider)
            ),
        }
    }
}

fn owes(pair: &PairFreshness, frame: &Frame) -> Vec<String> {
    let told = pair.owes.iter().map(|debt| {
        let (version, contract) = (&debt.provider_version, &debt.consumer_version);
        let (because, since) = (debt.because.join(", "), Moment::of(debt.since, frame.now));
        let blocks = if debt.blocking { ", and blocks deployments" } else { "" };
        let since = since.words;
        format!("{version} ({because}) owes a result for {contract} since {since}{blocks}")
    });
    told.collect()
}

fn failed(pair: &PairFreshness, frame: &Frame) -> Vec<String> {
    let told = pair.failed.iter().map(|failure| {
        let (version, contract) = (&failure.provider_version, &failure.consumer_version);
        let (because, at) = (failure.because.join(", "), Moment::of(failure.failed_at, frame.now));
        format!("{version} ({because}) does not keep the contract of {contract}: {}", at.words)
    });
    told.collect()
}

fn holds_back(pair: &PairFreshness, frame: &Frame) -> Vec<String> {
    let told = pair.holds_back.iter().map(|held| {
        let (version, contract) = (&held.provider_version, &held.consumer_version);
        let (lines, since) = (held.lines.join(", "), Moment::of(held.since, frame.now));
        let since = since.words;
        format!("{contract} ({lines}) has no result of {version}, the main head, since {since}")
    });
    told.collect()
}

#[derive(Template)]
#[template(path = "pairs.html")]
struct PairsView {
    frame: Frame,
    words: Words,
    states: [&'static str; FreshnessState::ALL.len()],
    pairs: Vec<PairRow>,
    /// Pairs that were read and are not shown.
    hidden: usize,
    next: Option<String>,
}

/// `GET /ui/pairs`: the worst first.
pub(super) async fn list(visit: Visit, uri: Uri) -> Result<Response, Fault> {
    let asked = Words::of(&uri)?;
    let words = asked.only(&FILTERS);
    let asked = asked.only(&[FILTERS.as_slice(), &["cursor"]].concat()).with("limit", READ);
    let list: FreshnessList = visit.get(&asked.at("/api/v1/freshness")).await?;
    let mut pairs = list.pairs;
    pairs.sort_by_key(|pair| (worse(pair.state), std::cmp::Reverse(pair.age_seconds)));
    let hidden = pairs.len().saturating_sub(SHOWN);
    let frame = visit.frame;
    let pairs = pairs.iter().take(SHOWN).map(|pair| PairRow::of(pair, &frame)).collect();
    let next = list.next.0.map(|cursor| words.with("cursor", &cursor).at(PAIRS));
    let states = FreshnessState::ALL.map(FreshnessState::as_str);
    shown(&PairsView { frame, words, states, pairs, hidden, next })
}

fn worse(state: FreshnessState) -> usize {
    let place = FreshnessState::ALL.iter().position(|known| *known == state);
    place.unwrap_or(FreshnessState::ALL.len())
}
