//! Events over HTTP, for latency and single callers: answered when they are committed, in batches
//! of those that came while the last batch was.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming as HttpBody;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::publish::Publisher;
use super::store::{Incoming, Store};
use super::{gather, say};
use crate::args::At;

/// Events of one statement.
const BATCH: usize = 100;
/// How long a batch gathers under load.
const MOMENT: Duration = Duration::from_millis(2);
/// Requests that wait for a batch.
const WAITING: usize = 1_024;

/// An event and who waits for its commit.
type Waiting = (Incoming, oneshot::Sender<()>);

pub(super) async fn run(at: &At) -> Result<()> {
    let store = Store::connect(&at.database_url).await?;
    let publisher = Publisher::connect(&at.amqp_url).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say("listening", "listen", &listener.local_addr()?.to_string())?;
    let (requests, waiting) = mpsc::channel(WAITING);
    tokio::select! {
        done = commit(store, publisher, waiting) => done,
        done = accept(listener, requests) => done,
    }
}

async fn commit(
    mut store: Store,
    mut publisher: Publisher,
    mut waiting: mpsc::Receiver<Waiting>,
) -> Result<()> {
    loop {
        let batch = gather::next(&mut waiting, BATCH, MOMENT).await;
        let (events, callers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let ids = store.intake(&events).await?;
        for caller in callers {
            // A caller that went away has its event delivered all the same.
            caller.send(()).ok();
        }
        publisher.publish(&ids).await?;
    }
}

async fn accept(listener: TcpListener, requests: mpsc::Sender<Waiting>) -> Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(serve(accepted?.0, requests.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, requests: mpsc::Sender<Waiting>) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| answer(request, requests.clone()));
    let server = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // A client that went away is no fault of ours.
    server.await.ok();
}

async fn answer(
    request: Request<HttpBody>,
    requests: mpsc::Sender<Waiting>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let (caller, committed) = oneshot::channel();
    let taken = requests.send((Incoming { body }, caller)).await.is_ok();
    let done = taken && committed.await.is_ok();
    let status = if done { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = Response::new(Full::from("{}"));
    *response.status_mut() = status;
    Ok(response)
}
