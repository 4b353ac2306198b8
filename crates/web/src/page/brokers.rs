//! Brokers: whether they answer, and how their pairs fare.

use askama::Template;
use axum::response::Response;
use postrider_api::{Broker, BrokerList, FreshnessList};
use postrider_domain::FreshnessState;

use crate::page::answer::{Fault, shown};
use crate::page::show::{Moment, tone};
use crate::page::visit::{Frame, Visit};
use crate::page::words::Words;

/// Pairs of one broker that are counted, and brokers for which they are.
const PAIRS: &str = "1000";
const BROKERS: usize = 20;

/// A broker as it is shown.
#[derive(Debug)]
struct Card {
    name: String,
    tone: &'static str,
    answered: Option<Moment>,
    failing: Option<Moment>,
    trouble: String,
    /// How many pairs are in which state, with the view of them; none where they were not counted.
    pairs: Vec<(usize, &'static str, String)>,
    /// There are more pairs than were counted.
    has_more: bool,
}

impl Card {
    fn of(broker: Broker, list: Option<&FreshnessList>, frame: &Frame) -> Self {
        let count = |state: FreshnessState| {
            let pairs = list.iter().flat_map(|list| &list.pairs);
            let count = pairs.filter(|pair| pair.state == state).count();
            let of_state =
                Words::from([("broker", broker.name.as_str()), ("state", state.as_str())]);
            (count, state.as_str(), of_state.at("/ui/pairs"))
        };
        let counted = FreshnessState::ALL.into_iter().map(count).filter(|(count, ..)| *count > 0);
        Self {
            pairs: counted.collect(),
            has_more: list.is_some_and(|list| list.next.0.is_some()),
            tone: if broker.failing_since.is_some() { tone::BAD } else { tone::GOOD },
            answered: Moment::if_any(broker.answered_at, frame.now),
            failing: Moment::if_any(broker.failing_since, frame.now),
            trouble: [broker.cause, broker.detail]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(": "),
            name: broker.name,
        }
    }
}

#[derive(Template)]
#[template(path = "brokers.html")]
struct BrokersView {
    frame: Frame,
    cards: Vec<Card>,
}

/// `GET /ui/brokers`.
pub(super) async fn list(visit: Visit) -> Result<Response, Fault> {
    let brokers = visit.all::<BrokerList>("/api/v1/brokers").await?;
    let mut cards = Vec::new();
    for (place, broker) in brokers.into_iter().enumerate() {
        let of_it = Words::from([("broker", broker.name.as_str()), ("limit", PAIRS)]);
        let pairs: Option<FreshnessList> = if place < BROKERS {
            Some(visit.get(&of_it.at("/api/v1/freshness")).await?)
        } else {
            None
        };
        cards.push(Card::of(broker, pairs.as_ref(), &visit.frame));
    }
    shown(&BrokersView { frame: visit.frame, cards })
}
