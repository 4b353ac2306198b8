//! The pure parts of `check verification`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use postrider_broker::{BrokerError, MatrixRow, Pair, Verification};
use postrider_domain::{QuietDays, parse_days};

use super::judge::{Answer, Finding, Question, Rule, judge};
use super::report::Report;
use super::{github, pairs};
use crate::Exit;

const DAY: Duration = Duration::from_hours(24);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn row(version: &str, result: Option<(bool, &str)>) -> MatrixRow {
    MatrixRow {
        consumer_version: version.to_owned(),
        consumer_branch: None,
        provider_version: result.map(|_| "p1".to_owned()),
        provider_branch: None,
        published_at: at("2026-11-01T00:00:00Z"),
        pact_url: String::new(),
        verification: result.map(|(success, time)| Verification {
            success,
            verified_at: at(time),
            number: None,
            url: String::new(),
        }),
    }
}

/// State and age in whole hours at a time.
fn state(rows: &[MatrixRow], now: &str, quiet: &QuietDays, success_only: bool) -> (String, u64) {
    let answer = judge(rows, DAY, &Rule { success_only, quiet, now: at(now) });
    let hours = answer.newest().map_or(0, |newest| newest.age.as_secs() / 3600);
    (answer.name().to_owned(), hours)
}

#[test]
fn the_newest_result_of_any_outcome_counts() {
    let rows = [
        row("3", None),
        row("1", Some((true, "2026-11-20T10:00:00Z"))),
        row("2", Some((false, "2026-11-20T17:00:00Z"))),
    ];
    let none = QuietDays::none();
    let check = |now, success_only, expected: (&str, u64)| {
        let (state, hours) = state(&rows, now, &none, success_only);
        assert_eq!((state.as_str(), hours), expected, "{now} {success_only}");
    };
    check("2026-11-21T17:00:00Z", false, ("fresh", 24));
    check("2026-11-21T17:00:01Z", false, ("stale", 24));
    check("2026-11-21T10:00:00Z", true, ("fresh", 24));
    check("2026-11-21T11:00:00Z", true, ("stale", 25));
    check("2026-11-20T09:00:00Z", false, ("fresh", 0));
}

#[test]
fn no_result_that_counts() {
    let none = QuietDays::none();
    let now = "2026-11-21T00:00:00Z";
    assert_eq!(state(&[row("1", None)], now, &none, false).0, "unverified");
    assert_eq!(state(&[], now, &none, false).0, "unverified");
    let failed = [row("1", Some((false, "2026-11-20T17:00:00Z")))];
    assert_eq!(state(&failed, now, &none, true).0, "unverified");
}

#[test]
fn monday_at_nine_the_weekend_does_not_count() {
    let rows = [row("1", Some((true, "2026-11-20T17:00:00+01:00")))];
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let weekend = QuietDays::new(parse_days("sat,sun").unwrap(), berlin);
    let monday = "2026-11-23T09:00:00+01:00";
    assert_eq!(state(&rows, monday, &weekend, false), ("fresh".to_owned(), 16));
    assert_eq!(state(&rows, monday, &QuietDays::none(), false), ("stale".to_owned(), 64));
}

#[test]
fn a_pairs_file() {
    let text = "\u{feff}# pairs of the shop\nConsumer, Provider, max-age\ncheckout,billing\n\n\
                \"a, b\" ,c d, 7d\n  # indented\n\"#c\",d,\n";
    let questions = pairs::parse(text, DAY).unwrap();
    let read: Vec<_> = questions
        .iter()
        .map(|question| {
            let Pair { consumer, provider } = &question.pair;
            (consumer.as_str(), provider.as_str(), question.max_age.as_secs() / 3600)
        })
        .collect();
    let expected = [("checkout", "billing", 24), ("a, b", "c d", 168), ("#c", "d", 24)];
    assert_eq!(read, expected);
    assert_eq!(pairs::parse("# nothing\n\n", DAY).unwrap(), []);
}

#[test]
fn a_wrong_line_is_named() {
    for (text, expected) in [
        ("a,b\nc\n", "line 2 has 1 fields instead of 2 or 3"),
        ("a,b\nc,d,1h,x\n", "line 2 has 4 fields"),
        ("a,\n", "line 1 names no consumer or no provider"),
        ("a,b,soon\n", "line 1 has a wrong max-age"),
        ("a,b,0\n", "line 1 has a wrong max-age"),
        ("a, \"b, c\"\n", "line 1 has a space before a quote"),
        ("a, \"b\"\n", "line 1 has a space before a quote"),
        ("a,b\n#\na,b\n", "line 3 repeats the pair of line 1"),
    ] {
        let error = pairs::parse(text, DAY).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn annotations_cannot_be_broken_out_of() {
    assert_eq!(
        github::annotation("error", "a:b,c%", "1%\r\n::warning::x, y: z"),
        "::error title=a%3Ab%2Cc%25::1%25%0D%0A::warning::x, y: z"
    );
}

fn finding(consumer: &str, answer: Answer) -> Finding {
    let pair = Pair { consumer: consumer.to_owned(), provider: "P".to_owned() };
    Finding { question: Question { pair, max_age: DAY }, answer }
}

fn report(findings: Vec<Finding>) -> Report {
    let checked_at = at("2026-11-23T09:00:00Z");
    Report { broker: "https://broker".to_owned(), checked_at, findings }
}

#[test]
fn the_worst_exit_code_wins() {
    let broker = String::new;
    let away = || BrokerError::Away { broker: broker(), what: String::new(), retry_after: None };
    let refused = BrokerError::Credential {
        broker: broker(),
        from: None,
        status: 401,
        detail: String::new(),
    };
    let limited = BrokerError::RateLimited { broker: broker(), retry_after: None };
    let none = QuietDays::none();
    let rule = Rule { success_only: false, quiet: &none, now: at("2026-11-20T17:00:00Z") };
    let fresh = judge(&[row("1", Some((true, "2026-11-20T17:00:00Z")))], DAY, &rule);
    // From the least to the most severe: each is hidden by the next.
    let ladder = [
        (fresh, Exit::Fine),
        (Answer::Unverified { published_at: None }, Exit::No),
        (Answer::Failed(limited), Exit::RateLimited),
        (Answer::Failed(away()), Exit::Unreachable),
        (Answer::Failed(refused), Exit::Credential),
        (Answer::UnknownName(Vec::new()), Exit::Usage),
    ];
    let mut findings = vec![finding("a", Answer::NotAsked)];
    assert_eq!(report(findings.clone()).exit(), Exit::Usage, "nothing was checked");
    for (answer, exit) in ladder {
        findings.insert(0, finding("b", answer));
        assert_eq!(report(findings.clone()).exit(), exit);
    }
}

#[test]
fn a_summary_is_a_table_of_bounded_size() {
    let evil = "a|b`<script>\n[x](y)";
    let unverified = Answer::Unverified { published_at: None };
    let text = github::summary(&report(vec![finding(evil, unverified.clone())]), 10_000);
    assert!(text.contains(r"| a\|b\`&lt;script> \[x\](y) | P | unverified |"), "{text}");

    let many = (0..50_000).map(|number| finding(&format!("c{number}"), unverified.clone()));
    let text = github::summary(&report(many.collect()), 1024 * 1024);
    assert!(text.len() <= 1024 * 1024 && text.len() > 1_000_000, "{}", text.len());
    assert!(text.trim_end().ends_with("more."), "it says what is missing");
    assert_eq!(github::summary(&report(vec![finding("c", unverified)]), 50), "");
}
