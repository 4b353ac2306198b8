//! The window slides, charges by points and bans.

use std::time::{Duration, Instant};

use super::{Cost, Limiter, Verdict};
use crate::options::{LimitStyle, Window};

fn limiter(count: u32, ban: bool) -> Limiter {
    let per = Duration::from_mins(1);
    Limiter::new(Some(Window { count, per }), ban, LimitStyle::Secondary403)
}

#[test]
fn a_window_holds_its_writes_and_no_more() {
    let mut limiter = limiter(180, false);
    let start = Instant::now();
    for n in 0..180 {
        let now = start + Duration::from_millis(n * 10);
        assert_eq!(limiter.judge(0, Cost::Write, now), Verdict::Within);
    }
    let late = start + Duration::from_secs(50);
    let wait = Duration::from_secs(10);
    assert_eq!(limiter.judge(0, Cost::Write, late), Verdict::Exceeded(wait));
    assert_eq!(limiter.judge(1, Cost::Write, late), Verdict::Within, "other token");
    assert_eq!(limiter.judge(0, Cost::Write, late + wait), Verdict::Within);
    assert_eq!(
        limiter.judge(0, Cost::Write, late + wait),
        Verdict::Exceeded(Duration::from_millis(10)),
        "only the first write has left the window"
    );
}

#[test]
fn five_reads_cost_as_much_as_a_write() {
    let mut limiter = limiter(2, false);
    let now = Instant::now();
    for _ in 0..5 {
        assert_eq!(limiter.judge(0, Cost::Read, now), Verdict::Within);
    }
    assert_eq!(limiter.judge(0, Cost::Write, now), Verdict::Within);
    let wait = Duration::from_mins(1);
    assert_eq!(limiter.judge(0, Cost::Read, now), Verdict::Exceeded(wait));
}

#[test]
fn a_ban_lasts() {
    let mut limiter = limiter(1, true);
    let now = Instant::now();
    assert_eq!(limiter.judge(0, Cost::Write, now), Verdict::Within);
    assert!(!limiter.any_banned());
    assert!(matches!(limiter.judge(0, Cost::Write, now), Verdict::Exceeded(_)));
    assert!(limiter.any_banned());
    let much_later = now + Duration::from_hours(1);
    assert_eq!(limiter.judge(0, Cost::Write, much_later), Verdict::Banned);
    assert_eq!(limiter.judge(1, Cost::Write, much_later), Verdict::Within);
}
