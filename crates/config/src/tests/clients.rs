//! What commands need.

use secrecy::ExposeSecret;

use super::given::{Given, env, lines};
use crate::client::ClientSettings;
use crate::contexts::Context;

#[test]
fn clients_need_little() {
    let resolve = |given: &Given| ClientSettings::resolve(&given.sources(), None);
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

/// A token is for the address that it was kept with.
#[test]
fn contexts_stand_behind_what_is_given() {
    let context = Context {
        name: "prod".to_owned(),
        url: "https://prod.example".parse().unwrap(),
        token: Some("kept".into()),
        is_current: true,
    };
    let resolve = |given: &Given| {
        let client = ClientSettings::resolve(&given.sources(), Some(&context)).unwrap();
        let token = client.token.map(|token| token.expose_secret().to_owned());
        (client.url.to_string(), token, client.token_from)
    };
    let text = |text: &str| Some(text.to_owned());
    let prod = "https://prod.example/".to_owned();
    let from = |name: &str| Some(format!("POSTRIDER_{name} (environment)"));
    assert_eq!(resolve(&env(&[])), (prod.clone(), text("kept"), text("the context prod")));
    let given = env(&[("POSTRIDER_TOKEN", "given")]);
    assert_eq!(resolve(&given), (prod.clone(), text("given"), from("TOKEN")));
    let given = env(&[("POSTRIDER_URL", "https://prod.example")]);
    assert_eq!(resolve(&given), (prod, text("kept"), text("the context prod")));
    let given = env(&[("POSTRIDER_URL", "https://other.example")]);
    assert_eq!(resolve(&given), ("https://other.example/".to_owned(), None, None));
}
