//! Taking a request's body in, bounded in size, in time and over all requests together.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Bytes that one unit of the budget stands for.
const UNIT: usize = 1024;

/// Units for all requests at once: 128 MiB.
const CAPACITY: u32 = 128 * 1024;

/// Until a body has arrived, and its answer is made.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What is taken of a body that is too large, before its refusal is answered.
const DRAINED: usize = 4 * 1024 * 1024;
const DRAINED_WITHIN: Duration = Duration::from_secs(2);

/// Memory for what is being taken in: 128 MiB. Bodies and the events made of them hold a permit
/// until they are answered, so that memory is bounded however many clients call. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<Semaphore>);

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub struct MemoryPermit {
    permit: OwnedSemaphorePermit,
    units: usize,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(CAPACITY as usize)))
    }
}

impl MemoryBudget {
    /// A first permit, one KiB large.
    ///
    /// # Errors
    /// 503: the budget is used up.
    pub fn enter(&self) -> Result<MemoryPermit, Problem> {
        Ok(MemoryPermit { permit: self.take(1)?, units: 1 })
    }

    /// Makes a permit at least `units` KiB large.
    ///
    /// # Errors
    /// 503: the budget is used up.
    fn grow(&self, held: &mut MemoryPermit, units: usize) -> Result<(), Problem> {
        if let Some(missing) = units.checked_sub(held.units).filter(|missing| *missing > 0) {
            held.permit.merge(self.take(missing)?);
            held.units = units;
        }
        Ok(())
    }

    /// Whether nobody holds a permit.
    pub fn is_empty(&self) -> bool {
        self.0.available_permits() == CAPACITY as usize
    }

    fn take(&self, units: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let units = u32::try_from(units).map_err(|_| full())?;
        Arc::clone(&self.0).try_acquire_many_owned(units).map_err(|_| full())
    }
}

fn full() -> Problem {
    Problem::away("too much is being taken in at once: try again")
}

/// How much of a body is taken, and how long its arrival may last.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the body, packed or not.
    pub bytes: usize,
    /// Until its last byte.
    pub time: Duration,
}

/// The whole body, unpacked. The permit grows with it and is to be held as long as what was read.
///
/// # Errors
/// 413 when it is too large, 408 when it comes too slowly, 415 when it is packed otherwise than by
/// gzip, 400 when it breaks off, 503 when the memory of all requests is used up.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    memory: &MemoryBudget,
    permit: &mut MemoryPermit,
    limits: Limits,
) -> Result<Vec<u8>, Problem> {
    let is_packed = is_packed(headers)?;
    let bytes = received(body, memory, permit, limits).await?;
    if is_packed { unpacked(&bytes, memory, permit, limits.bytes) } else { Ok(bytes) }
}

/// Whether the body is packed by gzip; 415 for all else that could be done to it (RFC 9110,
/// section 8.4).
fn is_packed(headers: &HeaderMap) -> Result<bool, Problem> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut encodings = values.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let is_identity = |one: &str| one.is_empty() || one.eq_ignore_ascii_case("identity");
    let first = encodings.by_ref().map(str::trim).find(|one| !is_identity(one));
    let is_gzip = |one: &str| ["gzip", "x-gzip"].iter().any(|name| one.eq_ignore_ascii_case(name));
    match first {
        None => Ok(false),
        Some(one) if is_gzip(one) && encodings.all(|one| is_identity(one.trim())) => Ok(true),
        Some(_) => {
            let detail = "this Content-Encoding is not supported: send the body as it is, or gzip";
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
            Err(problem.header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip")))
        }
    }
}

/// Never more than `limit` bytes are unpacked, whatever is in the body.
fn unpacked(
    bytes: &[u8],
    memory: &MemoryBudget,
    permit: &mut MemoryPermit,
    limit: usize,
) -> Result<Vec<u8>, Problem> {
    let mut unpacked = Vec::new();
    let mut source = MultiGzDecoder::new(bytes);
    let mut piece = vec![0; 64 * UNIT];
    loop {
        let read = source.read(&mut piece);
        let count = read.map_err(|_| Problem::bad("", "the body is no gzip: pack it again"))?;
        let Some(piece) = piece.get(..count).filter(|piece| !piece.is_empty()) else {
            return Ok(unpacked);
        };
        if unpacked.len() + count > limit {
            return Err(too_large(limit));
        }
        memory.grow(permit, (bytes.len() + unpacked.len() + count).div_ceil(UNIT))?;
        unpacked.extend_from_slice(piece);
    }
}

async fn received(
    body: Body,
    memory: &MemoryBudget,
    permit: &mut MemoryPermit,
    limits: Limits,
) -> Result<Vec<u8>, Problem> {
    tokio::time::timeout(limits.time, collect(body, memory, permit, limits.bytes))
        .await
        .unwrap_or_else(|_| {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))
        })
}

async fn collect(
    body: Body,
    memory: &MemoryBudget,
    permit: &mut MemoryPermit,
    limit: usize,
) -> Result<Vec<u8>, Problem> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let mut stream = body.into_data_stream();
    let mut taken = Vec::with_capacity(expected.min(limit));
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| Problem::bad("", "the body broke off: send it whole"))?;
        if taken.len() + piece.len() > limit {
            drop(taken);
            drain(stream).await;
            return Err(too_large(limit));
        }
        memory.grow(permit, (taken.len() + piece.len()).div_ceil(UNIT))?;
        taken.extend_from_slice(&piece);
    }
    Ok(taken)
}

/// Takes a little more and throws it away: a client that is still sending when the connection is
/// closed may never read the answer.
async fn drain(mut stream: BodyDataStream) {
    let rest = async {
        let mut left = DRAINED;
        while let Some(Ok(piece)) = stream.next().await {
            let Some(still) = left.checked_sub(piece.len()) else { return };
            left = still;
        }
    };
    // Whoever is slower finds out by itself.
    let _too_slow = tokio::time::timeout(DRAINED_WITHIN, rest).await.is_err();
}

/// 413 for a body.
fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {} KiB: send less in one call", limit / 1024),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back() {
        let memory = MemoryBudget::default();
        let mut permit = memory.enter().unwrap();
        memory.grow(&mut permit, CAPACITY as usize).unwrap();
        assert_eq!(memory.enter().unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        drop(permit);
        assert!(memory.is_empty());
        assert!(memory.enter().is_ok());
    }
}
