//! Paces a limited lane in the process that leads it.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use postrider_domain::{LaneLimits, Rate};

/// Lets requests go one interval apart, after an empty start (rule EMPTY_START).
#[derive(Debug)]
pub(crate) struct Pacer {
    limiter: Option<DefaultDirectRateLimiter>,
    clock: DefaultClock,
}

impl Pacer {
    /// A pacer that has nothing to give yet: governor starts with a full burst, which after a
    /// change of leader would go out on top of what the old leader sent.
    pub(crate) fn empty(limits: &LaneLimits) -> Self {
        let limiter = quota(limits).map(RateLimiter::direct);
        if let Some(limiter) = &limiter {
            drain(limiter, limits.burst);
        }
        Self { limiter, clock: DefaultClock::default() }
    }

    /// Waits for the next slot.
    pub(crate) async fn ready(&self) {
        let Some(limiter) = &self.limiter else { return };
        while let Err(not_yet) = limiter.check() {
            tokio::time::sleep(not_yet.wait_time_from(self.clock.now())).await;
        }
    }
}

/// The interval holds the measured margin below the nominal limit.
fn quota(limits: &LaneLimits) -> Option<Quota> {
    let interval = match limits.rate {
        Rate::Unlimited => return None,
        Rate::Limited { .. } => limits.interval()?.max(Duration::from_micros(1)),
    };
    let burst = NonZeroU32::new(limits.usable_burst()).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(interval).map(|quota| quota.allow_burst(burst))
}

fn drain(limiter: &DefaultDirectRateLimiter, burst: u32) {
    for _ in 0..burst.max(1) {
        if limiter.check().is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(count: u32, per_ms: u64, burst: u32) -> LaneLimits {
        let rate = Rate::Limited { count, per: Duration::from_millis(per_ms) };
        LaneLimits { rate, burst, concurrency: 1, per_hour: None }
    }

    #[test]
    fn starts_empty_whatever_the_burst() {
        for burst in [1, 2, 5] {
            let pacer = Pacer::empty(&limits(10, 60_000, burst));
            let limiter = pacer.limiter.as_ref().unwrap();
            assert!(limiter.check().is_err(), "burst {burst} left something to send");
        }
    }

    #[tokio::test]
    async fn no_window_holds_more_than_the_limit() {
        let pacer = Pacer::empty(&limits(20, 200, 1));
        let mut sent = Vec::new();
        for _ in 0..60 {
            pacer.ready().await;
            sent.push(tokio::time::Instant::now());
        }
        for (index, start) in sent.iter().enumerate() {
            let window = *start + Duration::from_millis(200);
            let inside = sent[index..].iter().filter(|at| **at < window).count();
            assert!(inside <= 20, "{inside} requests in a window of 20");
        }
    }

    #[tokio::test]
    async fn an_unlimited_lane_never_waits() {
        let unlimited =
            LaneLimits { rate: Rate::Unlimited, burst: 1, concurrency: 1, per_hour: Some(5) };
        Pacer::empty(&unlimited).ready().await;
    }
}
