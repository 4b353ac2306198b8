//! What commands need.

use secrecy::ExposeSecret;

use super::given::{Given, env, lines};
use crate::client::ClientSettings;

#[test]
fn clients_need_little() {
    let resolve = |given: &Given| ClientSettings::resolve(&given.sources());
    let client = resolve(&Given::default()).unwrap();
    assert_eq!(client.url.as_str(), "http://127.0.0.1:9393/");
    assert!(client.token.is_none());
    let mut given = env(&[
        ("DATABASE_URL", "postgres://only/this"),
        ("POSTRIDER_LISTEN", "0.0.0.0:1234"),
        ("POSTRIDER_TOKEN", "t"),
    ]);
    let client = resolve(&given).unwrap();
    assert_eq!(client.url.as_str(), "http://127.0.0.1:1234/");
    assert_eq!(client.token.unwrap().expose_secret(), "t");
    given.flags.insert("URL".to_owned(), "https://p.example/base".to_owned());
    given.flags.insert("TOKEN_FILE".to_owned(), "/secret/token".to_owned());
    let client = resolve(&given).unwrap();
    assert_eq!(client.url.as_str(), "https://p.example/base");
    assert_eq!(client.token.unwrap().expose_secret(), "from-file");
    given.env.insert("POSTRIDER_TOEKN".to_owned(), "x".to_owned());
    insta::assert_snapshot!(
        lines(&resolve(&given).unwrap_err()).join("\n"),
        @"error: POSTRIDER_TOEKN (environment): is not a setting; fix: did you mean POSTRIDER_TOKEN?"
    );
}
