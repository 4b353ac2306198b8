//! Names that a mistyped one may have meant.

/// How many suggestions a message holds.
const MAX_NEAR: usize = 3;
/// Comparing two texts takes the product of their lengths.
const LONGEST: usize = 128;

/// `; did you mean a, b?` for the names nearest to `wanted`, or nothing when none is near.
pub fn hint<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let near = near(wanted, names);
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) }
}

/// The names nearest to `wanted`, nearest first: those that hold it, and those with few edits.
pub fn near<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let limit = (wanted.chars().count() / 3).max(2);
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let holds = !wanted.is_empty() && lower.contains(&wanted);
            let distance = if holds { 0 } else { distance(&wanted, &lower) };
            (distance <= limit).then_some((distance, name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(MAX_NEAR).map(|(_, name)| name).collect()
}

/// Edits that turn one text into the other (Levenshtein); of long texts only the first 128
/// characters count.
pub fn distance(a: &str, b: &str) -> usize {
    let beginning = |text: &str| text.chars().take(LONGEST).collect::<String>();
    strsim::levenshtein(&beginning(a), &beginning(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("LISTEN", "LISTNE", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
        assert_eq!(distance(&"a".repeat(1_000_000), &"b".repeat(1_000_000)), LONGEST);
    }

    #[test]
    fn near_names() {
        let names = ["api.github.com/githubToken", "hooks.slack.com/slack", "limit"];
        assert_eq!(near("limti", names), ["limit"]);
        assert_eq!(near("githubtoken", names), ["api.github.com/githubToken"]);
        assert_eq!(near("zzzzzz", names), [""; 0]);
        assert_eq!(hint("limi", names), "; did you mean limit?");
        // A third of the letters may differ.
        assert_eq!(near("abcdefghi", ["abcdefxyz"]), ["abcdefxyz"]);
        assert_eq!(near("abcdefgh", ["abcdexyz"]), [""; 0]);
    }
}
