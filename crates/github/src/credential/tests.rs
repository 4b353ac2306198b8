use proptest::prelude::*;

use super::{TokenKind, TokenWarning, base_62, check_token, crc_32};

/// A token made up here, with the checksum that belongs to it.
fn genuine(prefix: &str, random: &str) -> String {
    let checksum = base_62(crc_32(random.as_bytes()));
    format!("{prefix}{random}{}", std::str::from_utf8(&checksum).unwrap())
}

const RANDOM: &str = "abcdefghijABCDEFGHIJ0123456789";

#[test]
fn crc_32_is_the_one_of_ieee() {
    // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
    assert_eq!(crc_32(b"123456789"), 0xcbf4_3926);
    assert_eq!(crc_32(b""), 0);
}

#[test]
fn base_62_counts_digits_capitals_small_letters() {
    let table = [
        (0, b"000000"),
        (9, b"000009"),
        (10, b"00000A"),
        (35, b"00000Z"),
        (36, b"00000a"),
        (61, b"00000z"),
        (62, b"000010"),
        (u32::MAX, b"4gfFC3"),
    ];
    for (value, expected) in table {
        assert_eq!(&base_62(value), expected, "{value}");
    }
}

#[test]
fn kinds_by_prefix() {
    let table = [
        ("ghp_x", TokenKind::ClassicPat),
        ("github_pat_x", TokenKind::FineGrainedPat),
        ("gho_x", TokenKind::OAuth),
        ("ghu_x", TokenKind::UserToServer),
        ("ghs_123456_eyJ.e.x", TokenKind::Installation),
        ("ghr_x", TokenKind::Refresh),
        ("0123456789abcdef0123456789abcdef01234567", TokenKind::Unknown),
        ("", TokenKind::Unknown),
    ];
    for (token, kind) in table {
        assert_eq!(TokenKind::of(token), kind, "{token}");
    }
}

#[test]
fn mistakes_are_warned_of() {
    let good = genuine("ghp_", RANDOM);
    let table = [
        (good.clone(), vec![]),
        (format!("{good}\n"), vec![TokenWarning::Surrounded]),
        (format!("Bearer {good}"), vec![TokenWarning::WithScheme]),
        (format!("token {good}"), vec![TokenWarning::WithScheme]),
        (good.replace("ABC", "A C"), vec![TokenWarning::BrokenUp, TokenWarning::Checksum]),
        (good.replace('A', "B"), vec![TokenWarning::Checksum]),
        (" ".to_owned(), vec![TokenWarning::Empty]),
        (String::new(), vec![TokenWarning::Empty]),
        ("ghr_abc".to_owned(), vec![TokenWarning::Refresh]),
        (format!("ghs_123456_{RANDOM}.{RANDOM}.{RANDOM}"), vec![]),
        ("github_pat_11AAA_bbb".to_owned(), vec![]),
    ];
    for (value, warnings) in table {
        assert_eq!(check_token(&value).warnings, warnings, "{value:?}");
    }
}

proptest! {
    #[test]
    fn one_wrong_character_is_noticed(position in 4_usize..34, other in "[a-zA-Z0-9]") {
        let good = genuine("gho_", RANDOM);
        let mut wrong = good.clone();
        wrong.replace_range(position..=position, &other);
        let expected = if wrong == good { vec![] } else { vec![TokenWarning::Checksum] };
        prop_assert_eq!(check_token(&wrong).warnings, expected);
    }

    #[test]
    fn nothing_said_holds_the_token(value in "(ghp_|gho_|ghr_)?[a-zA-Z0-9 ]{20,40}") {
        let check = check_token(&value);
        let said = format!("{check:?} {}", check.kind.as_str());
        prop_assert!(!said.contains(value.trim()));
    }
}
