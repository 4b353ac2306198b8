//! Tokens are told apart, over rotations too.

use http::HeaderValue;

use super::Tokens;
use crate::journal::TokenSeen;

fn look_up(tokens: &Tokens, header: &'static str) -> TokenSeen {
    tokens.look_up(Some(&HeaderValue::from_static(header)))
}

#[test]
fn both_schemes_and_nothing_else() {
    let tokens = Tokens::new(vec!["one".to_owned(), "two".to_owned()]);
    assert_eq!(look_up(&tokens, "Bearer one"), TokenSeen::Accepted(0));
    assert_eq!(look_up(&tokens, "token two"), TokenSeen::Accepted(1));
    assert_eq!(look_up(&tokens, "bearer three"), TokenSeen::Unknown);
    assert_eq!(look_up(&tokens, "Basic one"), TokenSeen::Missing);
    assert_eq!(look_up(&tokens, "one"), TokenSeen::Missing);
    assert_eq!(tokens.look_up(None), TokenSeen::Missing);
}

#[test]
fn a_rotated_token_is_dead_and_may_return() {
    let mut tokens = Tokens::new(vec!["old".to_owned()]);
    tokens.accept(vec!["new".to_owned()]);
    assert_eq!(look_up(&tokens, "Bearer old"), TokenSeen::Dead(0));
    assert_eq!(look_up(&tokens, "Bearer new"), TokenSeen::Accepted(1));
    tokens.accept(vec!["old".to_owned()]);
    assert_eq!(look_up(&tokens, "Bearer old"), TokenSeen::Accepted(0));
    assert_eq!(look_up(&tokens, "Bearer new"), TokenSeen::Dead(1));
}

#[test]
fn tokens_are_starred_and_not_debugged() {
    let tokens = Tokens::new(vec!["s3cret".to_owned()]);
    assert_eq!(tokens.star("a s3cret b s3cret".to_owned()), "a *** b ***");
    assert!(!format!("{tokens:?}").contains("s3cret"));
}
