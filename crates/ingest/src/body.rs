//! Taking a request's body in, bounded in size, in time and over all requests together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Bytes that one unit of room stands for.
const UNIT: usize = 1024;

/// Units for all requests at once: 128 MiB.
const CAPACITY: u32 = 128 * 1024;

/// Room for what is being taken in. Bodies and the events made of them hold a share of it until
/// they are answered, so that memory is bounded however many clients call.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

/// A share of the room.
#[derive(Debug)]
pub(crate) struct Share {
    permit: OwnedSemaphorePermit,
    units: usize,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(CAPACITY as usize)))
    }

    /// A first share, one unit large; 503 when the room is full.
    pub(crate) fn enter(&self) -> Result<Share, Problem> {
        Ok(Share { permit: self.take(1)?, units: 1 })
    }

    /// Makes a share at least `units` large.
    pub(crate) fn grow(&self, share: &mut Share, units: usize) -> Result<(), Problem> {
        if let Some(missing) = units.checked_sub(share.units).filter(|missing| *missing > 0) {
            share.permit.merge(self.take(missing)?);
            share.units = units;
        }
        Ok(())
    }

    /// Whether nobody holds a share.
    pub(crate) fn is_empty(&self) -> bool {
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
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

/// The whole body. 413 when it is too large, 408 when it comes too slowly.
pub(crate) async fn read(
    body: Body,
    room: &Room,
    share: &mut Share,
    limits: Limits,
) -> Result<Vec<u8>, Problem> {
    tokio::time::timeout(limits.time, collect(body, room, share, limits.bytes))
        .await
        .unwrap_or_else(|_| {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"))
        })
}

async fn collect(
    body: Body,
    room: &Room,
    share: &mut Share,
    limit: usize,
) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let mut taken = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| Problem::bad("", "the body broke off: send it whole"))?;
        if taken.len() + piece.len() > limit {
            return Err(too_large(limit));
        }
        room.grow(share, (taken.len() + piece.len()).div_ceil(UNIT))?;
        taken.extend_from_slice(&piece);
    }
    Ok(taken)
}

/// 413 for a body.
pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {} KiB: send less in one call", limit / 1024),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back() {
        let room = Room::new();
        let mut share = room.enter().unwrap();
        room.grow(&mut share, CAPACITY as usize).unwrap();
        assert_eq!(room.enter().unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        drop(share);
        assert!(room.is_empty());
        assert!(room.enter().is_ok());
    }
}
