use postrider_domain::{LaneLimits, Rate};
use std::time::Duration;

use crate::api::lanes::drain_seconds;

#[test]
fn time_to_drain() {
    let limits = |rate: &str, per_hour| LaneLimits {
        rate: rate.parse().unwrap(),
        burst: 1,
        concurrency: 1,
        per_hour,
    };
    assert_eq!(drain_seconds(&limits("unlimited", None), 1_000_000), 0);
    assert_eq!(drain_seconds(&limits("unlimited", Some(100)), 250), 7_200);
    assert_eq!(drain_seconds(&limits("unlimited", Some(100)), 100), 0);
    let rate: Rate = "60/min".parse().unwrap();
    let interval = rate.interval().unwrap();
    assert!(interval > Duration::from_secs(1));
    let drained = Duration::from_secs(drain_seconds(&limits("60/min", None), 60));
    let exact = interval * 60;
    assert!(exact <= drained && drained < exact + Duration::from_secs(1), "{drained:?}");
    assert_eq!(drain_seconds(&limits("60/min", None), 0), 0);
}
