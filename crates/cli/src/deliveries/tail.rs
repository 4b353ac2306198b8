//! `postrider deliveries tail`: what happens to deliveries, a line each, until Ctrl-C.

mod lines;

use std::time::Duration;

use postrider_api::{Delivery, Skipped, StreamQuery};
use reqwest::Response;
use tokio::time::Instant;

use super::args::TailArgs;
use super::last::last;
use crate::output::{cut, short};
use crate::{Api, Connection, Exit, Failure, Format, Out, cell_of, complain, printable};
use lines::{Lines, Message};

/// Pauses before a lost connection is made again, and the longest of them.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MOST: Duration = Duration::from_secs(30);
/// The server sends something every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// Where a listener is.
#[derive(Debug, Default)]
struct Place {
    /// The id of the last event.
    last: Option<String>,
    /// The pause before the next connection.
    pause: Duration,
}

/// Carries it out; Ctrl-C is how it ends.
pub async fn run(
    args: &TailArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let api = connect(&args.connection)?;
    tokio::select! {
        ended = follow(&api, args, out) => Ok(ended?),
        signal = tokio::signal::ctrl_c() => {
            signal?;
            Ok(Exit::Fine)
        }
    }
}

/// Until nobody reads any more, or the server refuses. What is there at the first connection has to
/// be there; later it is waited for.
async fn follow(api: &Api, args: &TailArgs, out: &mut Out) -> Result<Exit, Failure> {
    let topics = StreamQuery { topics: Some("deliveries".to_owned()) };
    let query = [args.filter.words().given(), topics.given()].concat();
    let mut place = Place::default();
    loop {
        let path = ["api", "v1", "stream"];
        match api.stream(&path, &query, place.last.as_deref()).await {
            Ok(response) => {
                if place.pause > AGAIN {
                    complain("connected again");
                }
                read(response, args.output.format(), &mut place, out).await;
            }
            Err(failure) if place.last.is_none() || !comes_back(failure.exit) => {
                return Err(failure);
            }
            Err(failure) if place.pause <= AGAIN => complain(&failure.message),
            Err(_) => {}
        }
        if !out.is_open() {
            return Ok(Exit::Fine);
        }
        tokio::time::sleep(place.pause).await;
        place.pause = (place.pause * 2).clamp(AGAIN, AGAIN_MOST);
    }
}

/// Whether what keeps a listener out may be over soon.
fn comes_back(exit: Exit) -> bool {
    matches!(exit, Exit::Unreachable | Exit::RateLimited)
}

/// Until the stream ends, nothing comes for long, or nobody reads any more.
async fn read(mut response: Response, format: Format, place: &mut Place, out: &mut Out) {
    let mut lines = Lines::default();
    while out.is_open() {
        let chunk = tokio::time::timeout_at(Instant::now() + SILENCE, response.chunk()).await;
        let Ok(Ok(Some(chunk))) = chunk else { break };
        // It answers: the next connection may be made at once.
        place.pause = Duration::ZERO;
        for message in lines.take(&chunk) {
            tell(&message, format, out);
            place.last = message.id.or(place.last.take());
        }
    }
}

fn tell(message: &Message, format: Format, out: &mut Out) {
    match message.event.as_str() {
        "delivery" => match (format, serde_json::from_str::<Delivery>(&message.data)) {
            (Format::Json, _) => out.line(&message.data),
            (Format::Table, Ok(delivery)) => {
                let line = line(&delivery, out.columns());
                out.line(line);
            }
            (Format::Table, Err(error)) => complain(&format!("a delivery can't be read: {error}")),
        },
        "skipped" => {
            if let Ok(Skipped { deliveries }) = serde_json::from_str(&message.data) {
                complain(&format!("and {deliveries} more in this second"));
            }
        }
        "reset" => complain("some were not told: see `postrider deliveries list`"),
        _ => {}
    }
}

/// `2026-11-29T12:00:01Z delivered  checkout → billing  accepted 204  api.github.com/token  0193…`, and
/// for a terminal of so many columns what fits of
/// `12:00:01 delivered  01936f2e-7b1c-7cc0  checkout → billing  accepted 204  api.github.com/token`.
fn line(delivery: &Delivery, columns: Option<usize>) -> String {
    let at = delivery.updated_at;
    let pair =
        format!("{} → {}", cell_of(Some(&delivery.consumer)), cell_of(Some(&delivery.provider)));
    let outcome = last(delivery.last_outcome, delivery.last_status_code);
    let status = delivery.status.as_str();
    let (lane, id) = (&delivery.lane, delivery.id);
    let Some(columns) = columns else {
        return printable(&format!("{at} {status:<9}  {pair}  {outcome}  {lane}  {id}"));
    };
    let (at, id) = (at.strftime("%H:%M:%S"), short(&id.to_string()));
    let mut told = printable(&format!("{at} {status:<9}  {id}  {pair}  {outcome}  {lane}"));
    cut(&mut told, columns);
    told
}
