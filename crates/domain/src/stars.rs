//! What is shown in a secret's place.

/// What a broker shows instead of a value (Pact Broker 2.120: ten stars).
pub const STARS: &str = "**********";

/// What is shown where a secret was filled in (PactFlow: eight stars).
pub const SECRET_STARS: &str = "********";

/// Whether something in the text may be hidden.
pub fn has_stars(text: &str) -> bool {
    text.contains(STARS)
}

/// Whether it is stars and nothing else, as many as whoever sent it has.
pub fn is_all_stars(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'*')
}

/// What stands in a hidden value's place where nothing is as good as stars: a header, a password.
pub fn is_starred_or_empty(text: &str) -> bool {
    text.is_empty() || is_all_stars(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_what_is_hidden() {
        assert!(has_stars("Bearer **********") && !has_stars(SECRET_STARS) && !has_stars(""));
        assert!(is_all_stars(STARS) && is_all_stars("*"));
        assert!(is_starred_or_empty("") && is_starred_or_empty("**") && !is_starred_or_empty("x"));
        assert!(!is_all_stars("") && !is_all_stars("Bearer **********"));
    }
}
