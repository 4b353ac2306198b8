//! What a pair owes, dispatched again: first what would be, then the act. The rule and the
//! comparison with what is here are those of the command `reconcile`.

use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::{StatusCode, Uri};
use jiff::{SignedDuration, Timestamp};
use postrider_api::{DeliveryDetail, DeliveryList, EventDetail};
use postrider_broker::reconcile::{self, Here, Owed, State, Taken, Trouble, Wanted, look};
use postrider_broker::{Broker, BrokerError, Pair, Scope, Survey};
use postrider_domain::{DeliveryId, EventId};
use serde_json::Value;

use crate::doctor::known_broker;
use crate::page::answer::{Fault, shown};
use crate::page::show::{self, Moment, quoted};
use crate::page::visit::{Frame, Visit};
use crate::page::words::Words;

/// Where it is planned, and done.
pub(super) const DISPATCH: &str = "/ui/pairs/dispatch";

/// How far back debts are looked for, as the command does unasked.
const BACK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long all may take: a browser waits, and what was done is not done twice.
const WITHIN: Duration = Duration::from_secs(25);
/// Events of one act.
const MOST: usize = 100;

/// A debt as it is shown.
#[derive(Debug)]
struct Row {
    consumer_version: String,
    provider_version: String,
    because: String,
    since: Moment,
    state: &'static str,
    tone: &'static str,
    detail: String,
}

impl Row {
    fn of((owed, state): &(Owed, State), now: Timestamp) -> Self {
        let roles = owed.debt.provider.roles();
        Self {
            consumer_version: owed.debt.consumer_version.clone(),
            provider_version: owed.debt.provider.version.clone(),
            because: roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            since: Moment::of(owed.debt.since, now),
            state: state.name(),
            tone: match state {
                State::Delivered | State::Dispatched(1..) => show::tone::GOOD,
                State::Lost | State::Refused(_) | State::Dispatched(0) => show::tone::BAD,
                State::Later | State::Gone | State::Unclear => show::tone::CALM,
            },
            detail: state.detail(),
        }
    }
}

#[derive(Template)]
#[template(path = "dispatch.html")]
struct DispatchView {
    frame: Frame,
    asked: Asked,
    /// What the form sends to have it done.
    sent: Words,
    rows: Vec<Row>,
    /// Those that would be dispatched.
    lost: usize,
    /// Nothing is lost, as far as can be told, and all can be told.
    is_settled: bool,
    is_done: bool,
    /// The plan that includes what no broker would have told of.
    with_later: Option<String>,
    /// The command that does the same for all pairs.
    command: String,
}

/// Which pair's debts.
#[derive(Debug)]
struct Asked {
    pair: Pair,
    broker: String,
    later: bool,
}

impl Asked {
    fn of(words: &Words) -> Result<Self, Fault> {
        let named = |name: &str| {
            let text = words.get(name).map(str::to_owned);
            text.ok_or_else(|| Fault::bad(format!("the {name} has to be named")))
        };
        Ok(Self {
            pair: Pair { consumer: named("consumer")?, provider: named("provider")? },
            broker: named("broker")?,
            later: words.get("later").is_some(),
        })
    }

    fn words(&self) -> Words {
        Words::from([
            ("consumer", self.pair.consumer.as_str()),
            ("provider", self.pair.provider.as_str()),
            ("broker", self.broker.as_str()),
        ])
    }
}

impl Here for Visit {
    type Fault = Fault;

    async fn deliveries(&self, query: &[(&str, String)]) -> Result<DeliveryList, Fault> {
        let words = Words::default();
        let words = query.iter().fold(words, |words, (name, value)| words.with(name, value));
        self.get(&words.at("/api/v1/deliveries")).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<DeliveryDetail, Fault> {
        self.get(&format!("/api/v1/deliveries/{id}")).await
    }

    async fn event(&self, id: EventId) -> Result<EventDetail, Fault> {
        self.get(&format!("/api/v1/events/{id}")).await
    }

    async fn take(&self, event: &Value) -> Result<Taken, Fault> {
        match self.post("/events?source=reconcile", event).await {
            Ok(accepted) => Ok(Taken::Accepted(accepted)),
            Err(Fault {
                status: StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY,
                detail,
            }) => Ok(Taken::Refused(detail)),
            Err(fault) => Err(fault),
        }
    }
}

/// `GET /ui/pairs/dispatch`.
pub(super) async fn plan(visit: Visit, uri: Uri) -> Result<Response, Fault> {
    told(visit, Asked::of(&Words::of(&uri)?)?, false).await
}

/// `POST /ui/pairs/dispatch`: what is lost by then.
pub(super) async fn act(visit: Visit, body: Body) -> Result<Response, Fault> {
    told(visit, Asked::of(&Words::sent(body).await?)?, true).await
}

async fn told(visit: Visit, asked: Asked, acts: bool) -> Result<Response, Fault> {
    let work = Box::pin(work(&visit, &asked, acts));
    let late = |_| Fault::new(StatusCode::GATEWAY_TIMEOUT, "the broker did not answer in time");
    let states = tokio::time::timeout(WITHIN, work).await.map_err(late)??;
    let has_later = states.iter().any(|(_, state)| *state == State::Later);
    shown(&DispatchView {
        rows: states.iter().map(|one| Row::of(one, visit.frame.now)).collect(),
        lost: states.iter().filter(|(_, state)| *state == State::Lost).count(),
        is_settled: states.iter().all(|(_, state)| state.is_settled()),
        is_done: acts,
        with_later: has_later.then(|| asked.words().with("later", "true").at(DISPATCH)),
        command: format!("postrider reconcile --since 7d --broker {}", quoted(&asked.broker)),
        sent: if asked.later { asked.words().with("later", "true") } else { asked.words() },
        frame: visit.frame,
        asked,
    })
}

/// What is owed, and what became of it.
async fn work(visit: &Visit, asked: &Asked, acts: bool) -> Result<Vec<(Owed, State)>, Fault> {
    let config = known_broker(&visit.brokers, &asked.broker).map_err(Fault::bad)?;
    let broker = Broker::new(config).map_err(|error| away(&error))?;
    let survey = Survey::new(&broker, Scope::Few);
    let since = visit.frame.now.checked_sub(BACK).unwrap_or(visit.frame.now);
    let wanted = Wanted { broker: &asked.broker, since, later: asked.later };
    let looked = look(&survey, visit, &asked.pair, wanted).await;
    let mut states = looked.map_err(fault)?;
    if acts {
        let lost = states.iter_mut().filter(|(_, state)| *state == State::Lost);
        for (owed, state) in lost.take(MOST) {
            let dispatched = reconcile::dispatch(&survey, visit, owed, &asked.broker).await;
            *state = dispatched.map_err(fault)?;
        }
    }
    Ok(states)
}

fn fault(trouble: Trouble<Fault>) -> Fault {
    match trouble {
        Trouble::Here(fault) => fault,
        Trouble::Broker(error) => away(&error),
    }
}

fn away(error: &BrokerError) -> Fault {
    Fault::new(StatusCode::BAD_GATEWAY, error.to_string())
}
