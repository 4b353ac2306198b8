//! `[[lane]]` tables.

use postrider_domain::{LaneLimits, Rate};

use super::given::file;

#[test]
fn lanes_of_the_file() {
    let settings = file(
        "lane_rate = '30/min'\n[[lane]]\nmatch = ['api.github.com/*', 'x/y']\nname = 'gh'\nrate = '10/s'\nburst = 2\nconcurrency = 3\nper_hour = 450\n",
    )
    .settings();
    let rule = settings.lanes.overrides.first().unwrap();
    assert_eq!(rule.matches, ["api.github.com/*", "x/y"]);
    assert_eq!(rule.name.as_deref(), Some("gh"));
    assert_eq!(rule.rate, Some("10/s".parse::<Rate>().unwrap()));
    assert_eq!((rule.burst, rule.concurrency, rule.per_hour), (Some(2), Some(3), Some(450)));
    let rate: Rate = "30/min".parse().unwrap();
    assert_eq!(settings.lanes.github, LaneLimits { rate, ..LaneLimits::GITHUB });
    assert_eq!(settings.lanes.other, LaneLimits { rate, ..LaneLimits::OTHER });
}
