//! How durations and words of command lines are told in incidents.

use jiff::{SignedDuration, SpanRound, Timestamp, Unit};

/// How long ago that was.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> String {
    told_duration(now.duration_since(since))
}

/// So long, in minutes from a minute on.
pub(crate) fn told_duration(passed: SignedDuration) -> String {
    let unit = if passed.as_secs() < 60 { Unit::Second } else { Unit::Minute };
    let rounded = jiff::Span::try_from(passed)
        .and_then(|span| span.round(SpanRound::new().largest(Unit::Hour).smallest(unit)));
    rounded.map_or_else(|_| "a long time".to_owned(), |span| format!("{span:#}"))
}

/// A word of a command line, quoted for a shell where it has to be.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/:@%+=,-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
