//! The running double, as its owner holds it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::connection;
use crate::decide::Shared;
use crate::journal::{Counts, Entry};
use crate::options::{Options, Window};
use crate::play::{Play, ScriptError};

/// A running double. It stops, and closes its connections, when it is dropped.
#[derive(Debug)]
pub struct Double {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

/// The double had not accepted as many requests as were waited for.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{accepted} of {wanted} requests were accepted within {cap:?}")]
pub struct NotReached {
    /// Requests waited for.
    pub wanted: u64,
    /// Requests accepted when the wait ended.
    pub accepted: u64,
    /// Longest wait.
    pub cap: Duration,
}

impl Double {
    /// Starts a double on the current runtime.
    ///
    /// # Errors
    /// The address cannot be listened on, or the journal file not be opened.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(options)?);
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(connection::accept(
            listener,
            Arc::clone(&shared),
            stopping.clone(),
            tasks.clone(),
        ));
        Ok(Self { addr, shared, stopping, tasks })
    }

    /// Address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://<address>`, without a slash at the end. As API root both this and
    /// `<base>/api/v3` (Enterprise Server) work.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Closes the listener and all connections and waits until they are closed.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Accepts these tokens and no others from now on.
    pub fn accept_tokens<T: Into<String>>(&self, tokens: impl IntoIterator<Item = T>) {
        let tokens = tokens.into_iter().map(Into::into).collect();
        self.shared.accept_tokens(tokens);
    }

    /// Knows this app from now on, and no other.
    pub fn install_app(&self, app: App) {
        self.shared.install_app(app);
    }

    /// Changes the app that it knows; tokens that were minted stay as they are.
    pub fn change_app(&self, change: impl FnOnce(&mut App)) {
        self.shared.change_app(change);
    }

    /// Accepts no token any more that the app has minted so far.
    pub fn revoke_minted(&self) {
        self.shared.revoke_minted();
    }

    /// Every token that the app has minted.
    pub fn minted(&self) -> Vec<String> {
        self.shared.minted()
    }

    /// Changes the limit. The windows start empty and bans are lifted.
    pub fn set_rate(&self, rate: Option<Window>, ban: bool) {
        self.shared.set_rate(rate, ban);
    }

    /// Changes the wait before each answer.
    pub fn set_latency(&self, latency: Option<Duration>) {
        self.shared.set_latency(latency);
    }

    /// Lets the next requests to `target` be treated as `plays` say, one each, in the order in
    /// which their heads arrive; after the last one they are treated ordinarily again.
    ///
    /// `target` is `owner/repo` for dispatches of both kinds, the name of a hook, or
    /// `GET <path>` (without `/api/v3`) for a read. A former script of the target is replaced.
    ///
    /// # Errors
    /// An unknown case, or a status or header that cannot be sent.
    pub fn script(&self, target: &str, plays: Vec<Play>) -> Result<(), ScriptError> {
        self.shared.script(target, plays, false)
    }

    /// As [`Double::script`], but the last play goes on for all further requests.
    ///
    /// # Errors
    /// As [`Double::script`].
    pub fn script_repeating(&self, target: &str, plays: Vec<Play>) -> Result<(), ScriptError> {
        self.shared.script(target, plays, true)
    }

    /// Drops the script of a target.
    pub fn clear_script(&self, target: &str) {
        self.shared.clear_script(target);
    }

    /// Plays of a target's script that no request has used yet.
    pub fn plays_left(&self, target: &str) -> usize {
        self.shared.plays_left(target)
    }

    /// Entries that the journal still has, oldest first.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.entries(0, usize::MAX)
    }

    /// Entries of accepted requests that the journal still has, oldest first.
    pub fn accepted(&self) -> Vec<Entry> {
        self.shared.accepted()
    }

    /// Totals.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Whether any token was banned for exceeding the limit.
    pub fn banned(&self) -> bool {
        self.shared.banned()
    }

    /// Most dispatches, hooks and reads that were being answered at one time.
    pub fn in_flight_peak(&self) -> usize {
        self.shared.in_flight_peak()
    }

    /// Empties journal and counts, drops scripts, lifts bans. Tokens, limit and latency stay.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Waits until at least `accepted` requests were accepted in all, `cap` at most.
    ///
    /// # Errors
    /// The time was up first; the error tells how many there were.
    pub async fn wait_for(&self, accepted: u64, cap: Duration) -> Result<(), NotReached> {
        let mut seen = self.shared.accepted_watch();
        let reached = tokio::time::timeout(cap, seen.wait_for(|count| *count >= accepted)).await;
        if matches!(reached, Ok(Ok(_))) {
            return Ok(());
        }
        Err(NotReached { wanted: accepted, accepted: self.counts().accepted, cap })
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.tasks.close();
    }
}
