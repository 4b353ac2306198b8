//! What a pair owes at its broker, held against the deliveries that are here: what was lost, and
//! how it is dispatched again. For the command `reconcile` and the page.

mod owed;
mod state;

use jiff::{SignedDuration, Timestamp};
use postrider_api::{AcceptedEvent, DeliveryDetail, DeliveryList, EventDetail};
use postrider_domain::{DeliveryId, Event, EventId, EventSource};
use serde_json::Value;

use crate::{BrokerError, LineChoice, Pair, SideChoice, Survey};
pub use owed::Owed;
use owed::{covers, document, is_candidate, owed};
use state::MAX_COMPARED;
pub use state::State;

/// The broker's clock may be ahead of postrider's by so much.
const CLOCKS: SignedDuration = SignedDuration::from_mins(10);
/// How often one event is sent anew because nobody wanted it before.
const SENT_ANEW: usize = 5;

/// What the intake says to an event.
#[derive(Debug)]
pub enum Taken {
    /// It is stored, or was before.
    Accepted(AcceptedEvent),
    /// It is not taken as it is; why.
    Refused(String),
}

/// What is here, as the API tells it, and where events are taken.
pub trait Here: Sync {
    /// Why they can't be told.
    type Fault: Send;

    /// `GET /api/v1/deliveries` with these parameters.
    fn deliveries(
        &self,
        query: &[(&str, String)],
    ) -> impl Future<Output = Result<DeliveryList, Self::Fault>> + Send;

    /// `GET /api/v1/deliveries/{id}`.
    fn delivery(
        &self,
        id: DeliveryId,
    ) -> impl Future<Output = Result<DeliveryDetail, Self::Fault>> + Send;

    /// `GET /api/v1/events/{id}`.
    fn event(&self, id: EventId) -> impl Future<Output = Result<EventDetail, Self::Fault>> + Send;

    /// `POST /events?source=reconcile`.
    fn take(&self, event: &Value) -> impl Future<Output = Result<Taken, Self::Fault>> + Send;
}

/// Which of the two sides could not tell.
#[derive(Debug)]
pub enum Trouble<F> {
    /// Postrider.
    Here(F),
    /// The broker.
    Broker(BrokerError),
}

/// What is asked of each pair.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The name under which postrider knows the broker.
    pub broker: &'a str,
    /// Debts that came to be since then.
    pub since: Timestamp,
    /// Those, too, of which no broker would have told: they count as lost.
    pub later: bool,
}

/// What a pair owes, oldest first, and whether a delivery here is about it.
///
/// # Errors
/// One of the two sides could not tell.
pub async fn look<H: Here>(
    survey: &Survey<'_>,
    here: &H,
    pair: &Pair,
    wanted: Wanted<'_>,
) -> Result<Vec<(Owed, State)>, Trouble<H::Fault>> {
    let lines = LineChoice { branches_since: Some(wanted.since), ..LineChoice::default() };
    let view = match survey.view(pair, &lines, &SideChoice::Broker).await {
        Ok(view) => view,
        // Deleted between the two requests.
        Err(BrokerError::UnknownName { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(Trouble::Broker(error)),
    };
    let mut owed = owed(pair, &view, wanted.since);
    for one in &mut owed {
        let content = survey.content(pair, &one.debt.consumer_version).await;
        one.content = content.map_err(Trouble::Broker)?;
    }
    let Some(oldest) = owed.iter().map(|owed| owed.debt.published_at).min() else {
        return Ok(Vec::new());
    };
    let since = oldest.checked_sub(CLOCKS).unwrap_or(oldest);
    let mut states =
        compare(here, pair, owed, since, wanted.broker).await.map_err(Trouble::Here)?;
    for (owed, state) in &mut states {
        if *state != State::Lost {
            continue;
        }
        survey.refine(pair, &mut owed.debt).await.map_err(Trouble::Broker)?;
        if !owed.is_published() && !wanted.later {
            *state = State::Later;
        }
    }
    Ok(states)
}

/// Sends the event of a debt that is lost, with the values that `broker` itself would have sent.
///
/// # Errors
/// One of the two sides could not tell, or did not take it and may do so later.
pub async fn dispatch<H: Here>(
    survey: &Survey<'_>,
    here: &H,
    owed: &Owed,
    broker: &str,
) -> Result<State, Trouble<H::Fault>> {
    let event = survey.event(&owed.pair, &owed.debt, broker).await.map_err(Trouble::Broker)?;
    match event {
        Some(event) => send(here, &event, owed.of_no_use()).await.map_err(Trouble::Here),
        None => Ok(State::Gone),
    }
}

/// An event that was sent before and that nobody wanted is sent anew where somebody wants it now.
async fn send<H: Here>(
    here: &H,
    event: &Event,
    mut of_no_use: Vec<String>,
) -> Result<State, H::Fault> {
    let mut dispatched = 0;
    for _ in 0..SENT_ANEW {
        let accepted = match document(event, &of_no_use) {
            Ok(document) => match here.take(&document).await? {
                Taken::Accepted(accepted) => accepted,
                Taken::Refused(why) => return Ok(State::Refused(why)),
            },
            Err(error) => return Ok(State::Refused(error.to_string())),
        };
        dispatched = accepted.deliveries.len();
        let led_to_nothing = accepted.duplicate && dispatched == 0;
        if !led_to_nothing || !is_wanted_now(&here.event(accepted.event_id).await?) {
            break;
        }
        of_no_use.push(accepted.event_id.to_string());
    }
    Ok(State::Dispatched(dispatched))
}

/// Whether a webhook that was made or changed since would want the event.
fn is_wanted_now(event: &EventDetail) -> bool {
    event.unwanted_by.iter().any(|webhook| webhook.reason.is_none())
}

/// Says of each debt whether a delivery here is about it, newest deliveries first.
async fn compare<H: Here>(
    here: &H,
    pair: &Pair,
    owed: Vec<Owed>,
    since: Timestamp,
    broker: &str,
) -> Result<Vec<(Owed, State)>, H::Fault> {
    let mut states: Vec<(Owed, State)> = owed.into_iter().map(|owed| (owed, State::Lost)).collect();
    let mut compared = 0;
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![
            ("consumer", pair.consumer.clone()),
            ("provider", pair.provider.clone()),
            ("since", since.to_string()),
            ("limit", MAX_COMPARED.to_string()),
        ];
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = here.deliveries(&query).await?;
        let rows = page.deliveries;
        for row in rows.iter().filter(|row| is_candidate(row.event_name, &row.broker, broker)) {
            if states.iter().all(|(_, state)| *state == State::Delivered) {
                return Ok(states);
            }
            if compared == MAX_COMPARED {
                return Ok(unclear(states));
            }
            compared += 1;
            let delivery = here.delivery(row.id).await?;
            let told = states.iter_mut().filter(|(owed, _)| owed.is_told_by(&delivery.event));
            for (owed, state) in told {
                // What the broker told of may have been overwritten since.
                if owed.is_of_another_content(&delivery.event)
                    && tells_one_content(here.event(delivery.event_id).await?.source)
                {
                    continue;
                }
                if covers(delivery.status) {
                    *state = State::Delivered;
                } else {
                    owed.failed.push(delivery.id);
                }
            }
        }
        cursor = page.next.0;
        if rows.is_empty() || cursor.is_none() {
            return Ok(states);
        }
    }
}

fn tells_one_content(source: Option<EventSource>) -> bool {
    source.is_some_and(EventSource::tells_one_content)
}

fn unclear(states: Vec<(Owed, State)>) -> Vec<(Owed, State)> {
    let judge = |state| if state == State::Lost { State::Unclear } else { state };
    states.into_iter().map(|(owed, state)| (owed, judge(state))).collect()
}

#[cfg(test)]
mod tests;
