//! Sockets: taking connections, reading requests, answering, resetting, keeping silent.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control;
use crate::decide::Shared;
use crate::play::Play;
use crate::reply::{Answer, Reply, ReplyBody};
use crate::request::{Body, Call};
use crate::route::Route;

/// Connections at one time; more wait in the backlog of the socket.
const CONNECTIONS_MAX: usize = 10_000;
/// Longest body that is read, in bytes.
const BODY_READ_MAX: usize = 4 * 1024 * 1024;
/// Wait after a failed accept, e.g. for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Size of the pieces of a huge body.
const HUGE_PIECE: &[u8] = &[b'x'; 16 * 1024];

type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;
type Answering = Pin<Box<dyn Future<Output = Result<Response<AnswerBody>, Severed>> + Send>>;

/// The connection ends here instead of an answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Severed {
    #[error("connection reset on purpose")]
    Reset,
    #[error("connection closed on purpose")]
    Cut,
}

/// Takes connections until it is stopped.
pub(crate) async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accepting = async {
        while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let serving = serve(stream, Arc::clone(&shared), stopping.clone());
                    tasks.spawn(async move {
                        serving.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stopping.run_until_cancelled(accepting).await;
}

/// Serves one connection to its end, or until the double stops.
async fn serve(stream: TcpStream, shared: Arc<Shared>, stopping: CancellationToken) {
    // Without it answers would wait for the client's acknowledgements.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service =
        service_fn(move |request| -> Answering { Box::pin(answer(request, Arc::clone(&shared))) });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let serving = poll_fn(|cx| connection.poll_without_shutdown(cx));
    let Some(Err(error)) = stopping.run_until_cancelled(serving).await else {
        return;
    };
    match error.source().and_then(|cause| cause.downcast_ref()) {
        Some(Severed::Reset) => reset(&connection.into_parts().io.into_inner()),
        Some(Severed::Cut) => {}
        None => tracing::debug!(%error, "connection ended"),
    }
}

/// With a linger time of zero, closing sends RST instead of FIN.
fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::warn!(%error, "connection closed instead of reset");
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<AnswerBody>, Severed> {
    let arrived = Instant::now();
    let (head, incoming) = request.into_parts();
    let route = Route::of(&head.method, head.uri.path());
    match route {
        Route::Journal => return Ok(response(control::journal(&shared, head.uri.query()))),
        Route::Control => {
            let body = read(incoming).await;
            return Ok(response(control::control(&shared, &body)));
        }
        Route::Dispatch { .. }
        | Route::WorkflowDispatch { .. }
        | Route::Hook { .. }
        | Route::RateLimit
        | Route::User
        | Route::Repo { .. }
        | Route::Actions { .. }
        | Route::Versions
        | Route::App(_)
        | Route::Unknown => {}
    }
    let _in_flight = shared.enter();
    let call = Call {
        route,
        method: head.method,
        path: head.uri.path().to_owned(),
        headers: head.headers,
        arrived,
    };
    let play = shared.next_play(&call);
    let body = match play {
        Some(Play::ResetBeforeRead) => Body::Unread,
        Some(_) | None => read(incoming).await,
    };
    let epoch = jiff::Timestamp::now().as_second();
    let answer = shared.decide(&call, play, &body, epoch);
    perform(answer).await
}

async fn read(incoming: Incoming) -> Body {
    match Limited::new(incoming, BODY_READ_MAX).collect().await {
        Ok(body) => Body::Read(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Body::TooLong,
        Err(_) => Body::Broken,
    }
}

/// Carries an answer out. The waits end when the client goes away or the double stops.
async fn perform(mut answer: Answer) -> Result<Response<AnswerBody>, Severed> {
    loop {
        match answer {
            Answer::Reply(reply) => return Ok(response(reply)),
            Answer::Later(wait, then) => {
                tokio::time::sleep(wait).await;
                answer = *then;
            }
            Answer::Reset => return Err(Severed::Reset),
            Answer::Cut { .. } => return Err(Severed::Cut),
            Answer::Silent => return pending().await,
        }
    }
}

fn response(reply: Reply) -> Response<AnswerBody> {
    let body = match reply.body {
        ReplyBody::Whole(bytes) => Full::new(bytes).boxed_unsync(),
        ReplyBody::Drip { body, chunk, every } => drip(body, chunk, every),
        ReplyBody::Huge(bytes) => huge(bytes),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

fn drip(body: Bytes, chunk: usize, every: Duration) -> AnswerBody {
    let pieces = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(every).await;
        let piece = rest.split_to(chunk.min(rest.len()));
        Some((Ok(Frame::data(piece)), rest))
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn huge(bytes: u64) -> AnswerBody {
    let pieces = stream::unfold(bytes, |left| async move {
        let piece = usize::try_from(left).map_or(HUGE_PIECE.len(), |n| n.min(HUGE_PIECE.len()));
        let after = left - piece as u64;
        (piece > 0).then(|| (Ok(Frame::data(Bytes::from_static(&HUGE_PIECE[..piece]))), after))
    });
    StreamBody::new(pieces).boxed_unsync()
}
