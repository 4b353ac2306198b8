use proptest::prelude::*;

use super::{first_user_name, replace_all};

#[test]
fn known_placeholders_are_replaced() {
    let table = [
        ("a${user.x}b", "aXb"),
        ("${pactbroker.consumerName}${postrider.deliveryId}", "XX"),
        ("${other.x}${user.x}", "${other.x}X"),
        ("${${user.x}", "${X"),
        ("${user.x", "${user.x"),
        ("$user.x}", "$user.x}"),
        ("ä${user.x}ö", "äXö"),
    ];
    for (text, expected) in table {
        assert_eq!(replace_all(text, "X"), expected, "{text}");
    }
}

#[test]
fn the_first_secret_is_found() {
    let long = "a".repeat(65);
    let table = [
        ("Bearer ${user.githubToken}", Some("githubToken")),
        ("${user.a}${user.b}", Some("a")),
        ("${pactbroker.consumerName} ${user.b-1_X}", Some("b-1_X")),
        ("${${user.c}", Some("c")),
        ("${user.}", None),
        ("${user.a b}", None),
        ("${user.x", None),
        ("${User.x}", None),
    ];
    for (text, expected) in table {
        assert_eq!(first_user_name(text), expected, "{text}");
    }
    assert_eq!(first_user_name(&format!("${{user.{long}}}")), None);
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "(\\$|\\{|\\}|user\\.|pactbroker\\.|[a-zä])*") {
        let replaced = replace_all(&text, "");
        prop_assert!(replaced.len() <= text.len());
        prop_assert!(first_user_name(&text).is_none_or(|name| text.contains(name)));
    }
}
