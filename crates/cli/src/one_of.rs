//! Arguments that are one of a few words.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use postrider_domain::EventName;

/// Takes one of these by its word, which help names and completions offer.
pub(crate) fn one_of<T: Copy + Send + Sync + 'static>(
    all: impl IntoIterator<Item = T>,
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let all: Vec<T> = all.into_iter().collect();
    let words = PossibleValuesParser::new(all.iter().map(|one| word(*one)));
    words.try_map(move |given| {
        let found = all.iter().copied().find(|one| word(*one) == given);
        found.ok_or("none of them")
    })
}

/// The names of events, that of a test of a webhook among them.
pub(crate) fn event_name() -> impl TypedValueParser<Value = EventName> {
    one_of(EventName::ALL.into_iter().chain([EventName::Test]), EventName::as_str)
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};
    use postrider_domain::DeliveryStatus;

    use super::*;

    #[test]
    fn each_word_is_taken_and_a_mistyped_one_is_told() {
        let parser = one_of(DeliveryStatus::ALL, DeliveryStatus::as_str);
        let command = Command::new("x").arg(Arg::new("status").value_parser(parser));
        for status in DeliveryStatus::ALL {
            let matches = command.clone().try_get_matches_from(["x", status.as_str()]).unwrap();
            assert_eq!(matches.get_one("status"), Some(&status));
        }
        let error = command.try_get_matches_from(["x", "faild"]).unwrap_err().to_string();
        assert!(error.contains("failed, discarded"), "{error}");
        assert!(error.contains("'failed'"), "the likely one: {error}");
    }
}
