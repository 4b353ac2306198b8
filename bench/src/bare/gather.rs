//! Batches: at once while little comes, gathered while much does.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// With fewer than these at hand there is no load that would be worth waiting for.
const LOAD: usize = 16;

/// The next up to `most` things; empty when no more will come. Waits at most `moment` for more
/// than one after the first.
pub(super) async fn next<T>(from: &mut mpsc::Receiver<T>, most: usize, moment: Duration) -> Vec<T> {
    let mut batch = Vec::with_capacity(most);
    from.recv_many(&mut batch, most).await;
    if batch.len() < LOAD {
        return batch;
    }
    let deadline = Instant::now() + moment;
    while batch.len() < most {
        let room = most - batch.len();
        match timeout_at(deadline, from.recv_many(&mut batch, room)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    batch
}
