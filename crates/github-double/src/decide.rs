//! From a request to its answer and its entry in the journal.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header;
use tokio::sync::watch;

use crate::answers::{
    accepted, app_asks, banned, check_content, exact, limited, not_accessible, plain, redirect,
    refuse,
};
use crate::app::App;
use crate::journal::{BODY_KEPT, Counts, Ending, Entry, Journal, TokenSeen};
use crate::options::{Options, Window};
use crate::play::{Play, ScriptError};
use crate::reply::{Answer, Reply, ReplyBody, Stamp};
use crate::request::{Body, Call, Request, delivery_id, parse};
use crate::route::Route;
use crate::tokens::Tokens;
use crate::window::{Cost, Limiter, Verdict};

/// Headers that the journal keeps: none of them holds a secret.
const KEPT_HEADERS: [&str; 10] = [
    "accept",
    "content-type",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-github-api-version",
    "x-postrider-delivery-id",
];

/// The state of one double.
pub(crate) struct Shared {
    started: Instant,
    accepted: watch::Sender<u64>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    tokens: Tokens,
    app: Option<App>,
    limiter: Limiter,
    latency: Option<Duration>,
    require_user_agent: bool,
    keep_bodies: bool,
    scripts: HashMap<String, Script>,
    journal: Journal,
    serial: u64,
}

struct Script {
    plays: VecDeque<Play>,
    repeat_last: bool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(options: Options) -> io::Result<Self> {
        let journal = Journal::open(options.journal_capacity, options.journal_file.as_deref())?;
        Ok(Self {
            started: Instant::now(),
            accepted: watch::Sender::new(0),
            in_flight: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            state: Mutex::new(State {
                tokens: Tokens::new(options.tokens),
                app: None,
                limiter: Limiter::new(options.rate, options.ban, options.limit_style),
                latency: options.latency,
                require_user_agent: options.require_user_agent,
                keep_bodies: options.journal_bodies,
                scripts: HashMap::new(),
                journal,
                serial: 0,
            }),
        })
    }

    /// A panic under the lock leaves counts that are at worst one request behind.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next play of the call's script.
    pub(crate) fn next_play(&self, call: &Call) -> Option<Play> {
        let mut state = self.state();
        if state.scripts.is_empty() {
            return None;
        }
        let target = call.route.script_target(&call.path)?;
        let script = state.scripts.get_mut(&target)?;
        if script.repeat_last && script.plays.len() == 1 {
            return script.plays.front().cloned();
        }
        let play = script.plays.pop_front();
        if script.plays.is_empty() {
            state.scripts.remove(&target);
        }
        play
    }

    /// Decides the answer and writes the journal. Everything that is decided, the acceptance too,
    /// happens here and before any wait.
    pub(crate) fn decide(
        &self,
        call: &Call,
        play: Option<Play>,
        body: &Body,
        epoch: i64,
    ) -> Answer {
        let json = parse(body);
        let mut state = self.state();
        state.serial += 1;
        let stamp = Stamp { serial: state.serial, epoch };
        let seen = state.tokens.look_up(call.headers.get(header::AUTHORIZATION));
        let request = Request { call, body, json: json.as_ref(), seen, stamp };
        let answer = state.answer(&request, play);
        let entry = state.entry(&request, &answer, self.started);
        let accepted = entry.accepted;
        state.journal.record(entry);
        if accepted {
            self.accepted.send_replace(state.journal.counts().accepted);
        }
        match state.latency {
            Some(latency) => Answer::Later(latency, Box::new(answer)),
            None => answer,
        }
    }

    /// Counts a request as being answered until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(now, Ordering::Relaxed);
        InFlight(self)
    }

    pub(crate) fn accept_tokens(&self, tokens: Vec<String>) {
        self.state().tokens.accept(tokens);
    }

    pub(crate) fn install_app(&self, app: App) {
        self.state().app = Some(app);
    }

    pub(crate) fn change_app(&self, change: impl FnOnce(&mut App)) {
        if let Some(app) = &mut self.state().app {
            change(app);
        }
    }

    pub(crate) fn revoke_minted(&self) {
        self.state().tokens.revoke_minted();
    }

    pub(crate) fn minted(&self) -> Vec<String> {
        self.state().tokens.minted()
    }

    pub(crate) fn set_rate(&self, rate: Option<Window>, ban: bool) {
        self.state().limiter.set(rate, ban);
    }

    pub(crate) fn set_latency(&self, latency: Option<Duration>) {
        self.state().latency = latency;
    }

    pub(crate) fn script(
        &self,
        target: &str,
        plays: Vec<Play>,
        repeat_last: bool,
    ) -> Result<(), ScriptError> {
        for play in &plays {
            play.check()?;
        }
        let script = Script { plays: plays.into(), repeat_last };
        let mut state = self.state();
        if script.plays.is_empty() {
            state.scripts.remove(target);
        } else {
            state.scripts.insert(target.to_owned(), script);
        }
        Ok(())
    }

    pub(crate) fn clear_script(&self, target: &str) {
        self.state().scripts.remove(target);
    }

    pub(crate) fn plays_left(&self, target: &str) -> usize {
        let state = self.state();
        state.scripts.get(target).map_or(0, |s| s.plays.len())
    }

    pub(crate) fn entries(&self, from: u64, limit: usize) -> Vec<Entry> {
        self.state().journal.entries(from, limit)
    }

    pub(crate) fn accepted(&self) -> Vec<Entry> {
        self.state().journal.accepted()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().journal.counts()
    }

    pub(crate) fn banned(&self) -> bool {
        self.state().limiter.any_banned()
    }

    pub(crate) fn in_flight_peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    pub(crate) fn accepted_watch(&self) -> watch::Receiver<u64> {
        self.accepted.subscribe()
    }

    pub(crate) fn reset(&self) {
        let mut state = self.state();
        state.journal.reset();
        state.scripts.clear();
        state.limiter.forget();
        self.accepted.send_replace(0);
        self.peak.store(0, Ordering::Relaxed);
    }
}

/// See [`Shared::enter`].
pub(crate) struct InFlight<'a>(&'a Shared);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    fn answer(&mut self, request: &Request<'_>, play: Option<Play>) -> Answer {
        match request.body {
            Body::Broken => return Answer::Cut { accepted: false },
            Body::Read(_) | Body::TooLong | Body::Unread => {}
        }
        match play {
            Some(play) => self.perform(request, play),
            None => Answer::Reply(self.ordinary(request)),
        }
    }

    fn perform(&mut self, request: &Request<'_>, play: Play) -> Answer {
        let reply = match play {
            Play::Recorded(case) => exact(case),
            Play::RecordedWith { case, headers } => exact(case).with_headers(&headers),
            Play::Status { status, headers, body } => {
                plain(status, ReplyBody::Whole(body.into())).with_headers(&headers)
            }
            Play::Accept => accepted(request),
            Play::Check => self.ordinary(request),
            Play::Delay(wait, then) => {
                return Answer::Later(wait, Box::new(self.perform(request, *then)));
            }
            Play::Reset | Play::ResetBeforeRead => return Answer::Reset,
            Play::HalfOpen => return Answer::Silent,
            Play::SlowBody { status, body, chunk, every } => {
                plain(status, ReplyBody::Drip { body: body.into(), chunk: chunk.max(1), every })
            }
            Play::LostAnswer => return Answer::Cut { accepted: true },
            Play::HugeBody { status, bytes } => plain(status, ReplyBody::Huge(bytes)),
            Play::Redirect { status, location } => redirect(status, &location),
        };
        Answer::Reply(reply)
    }

    /// The treatment of a request that no script speaks of.
    fn ordinary(&mut self, request: &Request<'_>) -> Reply {
        let cost = match &request.call.route {
            Route::Hook { .. } => return accepted(request),
            Route::App(call) => {
                return app_asks(request, call, self.app.as_ref(), &mut self.tokens);
            }
            Route::Journal | Route::Control | Route::Unknown => {
                return request.case("not-found-404");
            }
            Route::Dispatch { .. } | Route::WorkflowDispatch { .. } => Cost::Write,
            Route::RateLimit
            | Route::User
            | Route::Repo { .. }
            | Route::Actions { .. }
            | Route::Versions => Cost::Read,
        };
        if let Some(refused) = self.gate(request, cost) {
            return refused;
        }
        match check_content(request) {
            Ok(()) => accepted(request),
            Err(refusal) => refuse(request, refusal),
        }
    }

    /// User agent, token and limit, in this order.
    fn gate(&mut self, request: &Request<'_>, cost: Cost) -> Option<Reply> {
        let agent = request.header("user-agent").unwrap_or_default();
        if self.require_user_agent && agent.is_empty() {
            return Some(request.case("missing-user-agent-403"));
        }
        if request.call.route == Route::Versions {
            return None;
        }
        let TokenSeen::Accepted(token) = request.seen else {
            return Some(request.case("bad-credentials-401"));
        };
        if let Some(refused) = self.beyond_grant(request, token) {
            return Some(refused);
        }
        match self.limiter.judge(token, cost, request.call.arrived) {
            Verdict::Within => None,
            Verdict::Exceeded(wait) => {
                self.journal.counts_mut().violations += 1;
                Some(limited(request, self.limiter.style, wait))
            }
            Verdict::Banned => {
                self.journal.counts_mut().refused_banned += 1;
                Some(banned())
            }
        }
    }

    /// What a minted token was not minted for.
    fn beyond_grant(&self, request: &Request<'_>, token: usize) -> Option<Reply> {
        let grant = self.tokens.grant(token)?;
        let repo = request.call.route.repo()?;
        let has = |permission| grant.permissions.get(permission).is_some_and(|own| own == "write");
        if grant.repositories.as_ref().is_some_and(|own| !own.iter().any(|own| own == repo)) {
            return Some(request.case("not-found-404"));
        }
        let may = match &request.call.route {
            Route::Dispatch { .. } => has("contents"),
            Route::WorkflowDispatch { .. } => has("actions"),
            _ => true,
        };
        (!may).then(|| not_accessible(request))
    }

    fn entry(&self, request: &Request<'_>, answer: &Answer, started: Instant) -> Entry {
        let call = request.call;
        let told = self.journal.keeps_entries();
        let (status, ending, accepted) = outcome(&call.route, answer);
        let text = |text: Option<&str>| text.filter(|_| told).map(str::to_owned);
        Entry {
            seq: 0,
            at: whole_micros(call.arrived.saturating_duration_since(started)),
            method: call.method.to_string(),
            path: if told { call.path.clone() } else { String::new() },
            kind: call.route.kind(),
            repo: text(call.route.repo()),
            hook: text(call.route.hook()),
            token: request.seen,
            user_agent: text(request.header("user-agent")),
            event_type: text(request.json.and_then(|json| json.get("event_type")?.as_str())),
            delivery_id: delivery_id(request).map(str::to_owned),
            headers: self.kept_headers(request),
            body: self.kept_body(request),
            status,
            ending,
            accepted,
        }
    }

    fn kept_headers(&self, request: &Request<'_>) -> Vec<(String, String)> {
        if !self.keep_bodies {
            return Vec::new();
        }
        KEPT_HEADERS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), request.header(name)?.to_owned())))
            .collect()
    }

    fn kept_body(&self, request: &Request<'_>) -> Option<String> {
        match request.body {
            Body::Read(bytes) if self.keep_bodies => {
                let kept = &bytes[..bytes.len().min(BODY_KEPT)];
                Some(self.tokens.star(String::from_utf8_lossy(kept).into_owned()))
            }
            Body::Read(_) | Body::TooLong | Body::Broken | Body::Unread => None,
        }
    }
}

/// Status, ending and acceptance of an answer.
fn outcome(route: &Route, answer: &Answer) -> (Option<u16>, Ending, bool) {
    match answer {
        Answer::Reply(reply) => {
            let status = reply.status.as_u16();
            (Some(status), Ending::Answered, route.accepts(status))
        }
        Answer::Later(_, then) => outcome(route, then),
        Answer::Reset => (None, Ending::Reset, false),
        Answer::Cut { accepted } => (None, Ending::Cut, *accepted),
        Answer::Silent => (None, Ending::Silent, false),
    }
}

/// The journal's resolution, so that an entry read back equals the one kept.
fn whole_micros(at: Duration) -> Duration {
    Duration::from_micros(u64::try_from(at.as_micros()).unwrap_or(u64::MAX))
}
