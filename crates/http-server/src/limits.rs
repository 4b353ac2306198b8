//! How many calls, and how many events, a caller may send.
//!
//! A bucket for each token, or for each address where there are no tokens. It holds what a second
//! allows, at least one, and fills evenly.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ipnet::IpNet;
use postrider_domain::Rate;
use postrider_store::MasterKey;

use crate::auth::{LOCAL, Tokens};
use crate::problem::Problem;

/// Buckets kept; beyond, those that are full are forgotten.
const MAX_BUCKETS: usize = 10_000;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The token of this place.
    Token(usize),
    /// Without tokens: whoever is there.
    Peer(IpAddr),
}

impl Caller {
    /// Who a call is from.
    pub fn of(request: &Request, tokens: &Tokens, trusted: &[IpNet]) -> Self {
        match tokens.place(request.headers()) {
            Some(place) => Self::Token(place),
            None => Self::peer(request, trusted),
        }
    }

    /// How it is called in metrics: a token by its name, else by its role and a hash; whoever has
    /// none `local`.
    pub fn name(self, tokens: &Tokens, key: &MasterKey) -> String {
        match self {
            Self::Token(place) => tokens.name(place, |token| key.short_hash(token)),
            Self::Peer(_) => LOCAL.to_owned(),
        }
    }

    /// Who a call without tokens is from: the address connected from, or the one that a trusted
    /// proxy tells. What a stranger writes into the header does not count.
    fn peer(request: &Request, trusted: &[IpNet]) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::from([127, 0, 0, 1]), |ConnectInfo(peer)| peer.ip());
        Self::Peer(forwarded(peer.to_canonical(), request.headers(), trusted))
    }
}

/// The last address in the chain that no trusted proxy has.
fn forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let told = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let chain: Vec<&str> = told.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut found = peer;
    for hop in chain.into_iter().rev() {
        if !is_trusted(&found) {
            break;
        }
        let Ok(address) = hop.parse::<IpAddr>() else { break };
        found = address.to_canonical();
    }
    found
}

/// The buckets of one rate.
#[derive(Debug)]
pub struct Limit {
    rate: Rate,
    buckets: Mutex<HashMap<Caller, Bucket>>,
}

impl Limit {
    /// Full buckets.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::default() }
    }

    /// Whether anything is limited.
    pub fn is_on(&self) -> bool {
        self.rate != Rate::Unlimited
    }

    /// Takes `amount`, all or nothing.
    ///
    /// # Errors
    /// 429, with the time after which there will be enough.
    pub fn take(&self, caller: Caller, amount: u32, now: Instant) -> Result<(), Problem> {
        let Rate::Limited { count, per } = self.rate else { return Ok(()) };
        let pace = Pace::of(count, per);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&caller) {
            buckets.retain(|_, bucket| !bucket.is_full(pace, now));
        }
        let bucket = buckets.entry(caller).or_insert(Bucket { level: pace.burst, at: now });
        bucket.take(pace, amount, now).map_err(too_many)
    }
}

fn too_many(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let seconds = seconds.max(1);
    let detail = format!("too many in too short a time: try again after {seconds} s");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
        .header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// How a bucket fills.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pace {
    per_second: f64,
    burst: f64,
}

impl Pace {
    fn of(count: u32, per: Duration) -> Self {
        let per_second = f64::from(count) / per.as_secs_f64().max(f64::EPSILON);
        Self { per_second, burst: per_second.max(1.0) }
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Below zero when more was taken at once than it holds.
    level: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, pace: Pace, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * pace.per_second).min(pace.burst);
        self.at = self.at.max(now);
    }

    fn is_full(&mut self, pace: Pace, now: Instant) -> bool {
        self.fill(pace, now);
        self.level >= pace.burst
    }

    /// More than the bucket holds is let through when it is full, and leaves it in debt: else it
    /// could never be sent.
    fn take(&mut self, pace: Pace, amount: u32, now: Instant) -> Result<(), Duration> {
        self.fill(pace, now);
        let needed = f64::from(amount).min(pace.burst);
        if self.level >= needed {
            self.level -= f64::from(amount);
            return Ok(());
        }
        let wait = (needed - self.level) / pace.per_second;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Caller = Caller::Token(0);

    /// Seconds to wait; 0 when it was let through.
    fn wait(limit: &Limit, caller: Caller, amount: u32, now: Instant) -> u64 {
        match limit.take(caller, amount, now) {
            Ok(()) => 0,
            Err(problem) => {
                let after = problem.headers()[header::RETRY_AFTER].to_str().unwrap().to_owned();
                after.parse().unwrap()
            }
        }
    }

    fn limit(rate: &str) -> Limit {
        Limit::new(rate.parse().unwrap())
    }

    #[test]
    fn a_second_s_worth_goes_at_once_and_the_rest_in_time() {
        let (limit, start) = (limit("2/s"), Instant::now());
        assert_eq!([0, 0, 1].map(|_| wait(&limit, PEER, 1, start)), [0, 0, 1]);
        assert_eq!(wait(&limit, Caller::Token(1), 1, start), 0, "each has a bucket of its own");
        let later = start + Duration::from_millis(500);
        assert_eq!([0, 1].map(|_| wait(&limit, PEER, 1, later)), [0, 1]);
    }

    #[test]
    fn slow_rates_let_one_through_and_say_how_long_to_wait() {
        let (limit, start) = (limit("6/min"), Instant::now());
        assert_eq!(wait(&limit, PEER, 1, start), 0);
        assert_eq!(wait(&limit, PEER, 1, start), 10);
        assert_eq!(wait(&limit, PEER, 1, start + Duration::from_secs(4)), 6);
        assert_eq!(wait(&limit, PEER, 1, start + Duration::from_secs(10)), 0);
    }

    #[test]
    fn a_batch_goes_whole_or_not_at_all_and_leaves_a_debt() {
        let (limit, start) = (limit("10/s"), Instant::now());
        assert_eq!(wait(&limit, PEER, 4, start), 0);
        assert_eq!(wait(&limit, PEER, 7, start), 1, "6 are left");
        assert_eq!(wait(&limit, PEER, 6, start), 0, "nothing was taken by the refused one");
        let full = start + Duration::from_secs(5);
        assert_eq!(wait(&limit, PEER, 35, full), 0);
        assert_eq!(wait(&limit, PEER, 1, full), 3, "25 in debt");
        assert_eq!(wait(&limit, PEER, 1, full + Duration::from_millis(2_600)), 0);
    }

    #[test]
    fn without_a_rate_nothing_is_limited() {
        let (limit, now) = (Limit::new(Rate::Unlimited), Instant::now());
        assert!((0..1_000).all(|_| wait(&limit, PEER, 1_000, now) == 0));
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("1.1.1.1, 2.2.2.2"));
        headers.append("x-forwarded-for", HeaderValue::from_static("10.0.0.9"));
        let told = |peer: &str| forwarded(peer.parse().unwrap(), &headers, &trusted).to_string();
        assert_eq!(told("10.0.0.1"), "2.2.2.2");
        assert_eq!(told("3.3.3.3"), "3.3.3.3");
        headers.insert("x-forwarded-for", HeaderValue::from_static("odd"));
        let told = forwarded("10.0.0.1".parse().unwrap(), &headers, &trusted);
        assert_eq!(told.to_string(), "10.0.0.1");
    }
}
