use std::time::Duration;

use proptest::prelude::*;

use super::{parse_duration, print_duration};

#[test]
fn every_form_is_read() {
    let table = [
        ("15s", 15_000),
        ("24h", 86_400_000),
        ("30d", 2_592_000_000),
        ("250ms", 250),
        ("5m", 300_000),
        ("5min", 300_000),
        ("10", 10_000),
        ("0", 0),
        (" 1s ", 1_000),
    ];
    for (text, millis) in table {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
}

#[test]
fn errors_show_what_is_accepted() {
    for text in ["", "s", "1.5h", "-1s", "1 s", "1w", "1h30m", "99999999999999999999s", "٣s"] {
        let error = parse_duration(text).unwrap_err().to_string();
        assert!(error.contains("250ms, 15s, 5m, 24h, 30d"), "{error}");
    }
}

#[test]
fn the_longest_unit_that_fits_is_printed() {
    let table = [
        (0, "0s"),
        (250, "250ms"),
        (1_500, "1500ms"),
        (90_000, "90s"),
        (300_000, "5m"),
        (86_400_000, "1d"),
        (90_000_000, "25h"),
    ];
    for (millis, text) in table {
        assert_eq!(print_duration(Duration::from_millis(millis)), text);
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(millis: u64) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(parse_duration(&print_duration(duration)), Ok(duration));
    }

    #[test]
    fn reading_never_panics(text in ".*") {
        let outcome = parse_duration(&text);
        prop_assert!(outcome.is_ok() || outcome.is_err());
    }
}
