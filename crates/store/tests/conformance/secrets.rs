//! Secrets and L5.

use std::collections::BTreeSet;

use postrider_domain::{GithubApp, ProbeVerdict, WhichValue};
use postrider_store::{
    AuditFilter, Author, CredentialNews, CredentialRow, GithubFacts, PendingPut, ProbeAsked,
    ProbeFindings, SecretContent, SecretInfo, SecretPut, SecretWrite, Store, Switched,
};
use postrider_testkit::acts::*;
use secrecy::{ExposeSecret, SecretString};

use crate::harness::World;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub(crate) async fn values_come_back(world: World) {
    let store = world.store();
    assert!(store.secrets().await.unwrap().is_empty());
    let (first, _) = store.set_secret("b", &"one".into()).await.unwrap();
    store.set_secret("a", &"".into()).await.unwrap();
    let (second, _) = store.set_secret("b", &"two".into()).await.unwrap();
    assert_eq!(first.uuid, second.uuid);
    assert!(second.rev > first.rev && second.updated_at > first.updated_at);
    assert_eq!(second.key_id, world.key().id());
    let listed: Vec<_> = store.secrets().await.unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(listed, ["a", "b"]);
    let values = store.secret_values(&names(&["a", "b", "none"]), None).await.unwrap().values;
    let clear: Vec<_> =
        values.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    assert_eq!(clear, [("a", ""), ("b", "two")]);
    assert!(store.delete_secret("b").await.unwrap());
    assert!(!store.delete_secret("b").await.unwrap());
    assert!(store.secret_values(&names(&["b"]), None).await.unwrap().values.is_empty());
}

/// A new secret of this name, value and team.
fn new(name: &str, value: &str, team: Option<&str>) -> SecretWrite {
    SecretWrite {
        uuid: None,
        name: name.to_owned(),
        description: None,
        team_uuid: team.map(str::to_owned),
        value: Some(value.into()),
    }
}

async fn written(store: &Store, write: &SecretWrite) -> (SecretInfo, Vec<String>) {
    match store.put_secret(write).await.unwrap() {
        SecretPut::Written { secret, opened } => (secret, opened),
        other @ (SecretPut::NameTaken | SecretPut::NotFound) => panic!("{other:?}"),
    }
}

async fn value(store: &Store, name: &str, team: Option<&str>) -> Option<String> {
    let values = store.secret_values(&names(&[name]), team).await.unwrap().values;
    values.get(name).map(|value| value.expose_secret().to_owned())
}

pub(crate) async fn a_written_secret_comes_back_by_uuid(world: World) {
    let store = world.store();
    let write = SecretWrite { description: Some("d".to_owned()), ..new("a", "one", Some("t")) };
    let (first, _) = written(store, &write).await;
    let shown = (first.name.as_str(), first.description.as_deref(), first.team_uuid.as_deref());
    assert_eq!(shown, ("a", Some("d"), Some("t")));
    assert_eq!((first.key_id, first.rev), (world.key().id(), 1));
    let listed = store.secrets().await.unwrap();
    assert_eq!((listed.len(), &listed[0].uuid), (1, &first.uuid));
    assert_eq!(listed[0].description.as_deref(), Some("d"));
    // By name a value is set; the rest stays.
    let (again, _) = store.set_secret("a", &"two".into()).await.unwrap();
    let kept = (again.uuid, again.description.as_deref(), again.team_uuid.as_deref());
    assert_eq!(kept, (first.uuid, Some("d"), Some("t")));
    assert_eq!(value(store, "a", Some("t")).await.as_deref(), Some("two"));
}

pub(crate) async fn what_a_write_leaves_out_is_kept_and_names_are_unique(world: World) {
    let store = world.store();
    let (first, _) = written(store, &new("a", "one", None)).await;
    written(store, &new("b", "two", None)).await;
    let change = |name: &str, uuid: &str| SecretWrite {
        uuid: Some(uuid.to_owned()),
        value: None,
        description: Some("words".to_owned()),
        ..new(name, "", None)
    };
    let (described, _) = written(store, &change("a", &first.uuid)).await;
    assert!(described.rev > first.rev && described.description.is_some());
    assert_eq!(value(store, "a", None).await.as_deref(), Some("one"));
    let (renamed, _) = written(store, &change("c", &first.uuid)).await;
    assert_eq!((renamed.uuid.as_str(), renamed.name.as_str()), (first.uuid.as_str(), "c"));
    assert_eq!(value(store, "c", None).await.as_deref(), Some("one"), "sealed under its new name");
    assert_eq!(value(store, "a", None).await, None);
    for write in [new("b", "x", None), new("c", "x", Some("t")), change("b", &first.uuid)] {
        let put = store.put_secret(&write).await.unwrap();
        assert!(matches!(put, SecretPut::NameTaken), "{put:?}");
    }
    assert_eq!(value(store, "b", None).await.as_deref(), Some("two"));
    for stranger in ["00000000-0000-0000-0000-000000000000", "no uuid"] {
        let put = store.put_secret(&change("d", stranger)).await.unwrap();
        assert!(matches!(put, SecretPut::NotFound), "{put:?}");
    }
    assert_eq!(store.secrets().await.unwrap().len(), 2);
}

pub(crate) async fn a_secret_is_resolved_for_its_team_only(world: World) {
    let store = world.store();
    written(store, &new("open", "o", None)).await;
    written(store, &new("teams", "t", Some("team"))).await;
    let wanted = names(&["open", "teams"]);
    for (team, expected) in
        [(None, vec!["open"]), (Some("team"), vec!["teams"]), (Some("other"), vec![])]
    {
        let values = store.secret_values(&wanted, team).await.unwrap().values;
        let found: Vec<_> = values.keys().map(String::as_str).collect();
        assert_eq!(found, expected, "{team:?}");
    }
}

pub(crate) async fn a_github_app_stands_for_no_value(world: World) {
    let store = world.store();
    let app = GithubApp::new("12", Some(7), None, true, None).unwrap();
    let key = SecretString::from("the private key");
    let content = SecretContent::GithubApp { app: app.clone(), private_key: key };
    let (set, _) = store.set_secret_to("app", content.clone()).await.unwrap();
    assert_eq!(set.github_app.as_deref(), Some(&app));
    let wanted = names(&["app", "moved"]);
    let found = async || store.secret_values(&wanted, None).await.unwrap();
    let secrets = found().await;
    assert!(secrets.values.is_empty(), "{:?}", secrets.values.keys());
    let own = &secrets.apps["app"];
    assert_eq!((&own.app, own.private_key.expose_secret()), (&app, "the private key"));
    assert_eq!((&own.uuid, own.rev), (&set.uuid, set.rev));
    // Renamed, it stays what it is.
    let keep = SecretWrite { uuid: Some(set.uuid.clone()), value: None, ..new("moved", "", None) };
    let (moved, _) = written(store, &keep).await;
    assert!(moved.github_app.is_some() && moved.rev > set.rev);
    assert_eq!(found().await.apps["moved"].private_key.expose_secret(), "the private key");
    // A value takes its place, and it a value's.
    let (valued, _) = store.set_secret("moved", &"v".into()).await.unwrap();
    assert!(valued.github_app.is_none() && found().await.apps.is_empty());
    assert_eq!(value(store, "moved", None).await.as_deref(), Some("v"));
    let (again, _) = store.set_secret_to("moved", content).await.unwrap();
    assert!(again.github_app.is_some() && found().await.values.is_empty());
    let listed = store.secrets().await.unwrap();
    assert_eq!(listed[0].github_app.as_deref(), Some(&app));
}

/// What is known of the only secret.
async fn known(store: &Store) -> CredentialRow {
    store.credentials().await.unwrap().pop().unwrap()
}

/// What follows the only secret's value, if a value may follow it.
async fn prepare(store: &Store, value: &str) -> PendingPut {
    store.set_pending("token", &value.into()).await.unwrap()
}

pub(crate) async fn nothing_follows_a_github_app(world: World) {
    let author = Author { who: "ci".to_owned(), route: "PUT /x".to_owned() };
    let store = &world.store().by(author);
    put_write(store, &write(webhook("one"), &unlimited("one"), &["token"])).await;
    let (secret, _) = store.set_secret("token", &"v".into()).await.unwrap();
    assert!(matches!(prepare(store, "next").await, PendingPut::Pending(_)));
    // A value that is written is the one that counts, whichever way; words change nothing.
    let keep = SecretWrite { uuid: Some(secret.uuid), value: None, ..new("token", "", None) };
    written(store, &keep).await;
    assert!(known(store).await.pending_at.is_some());
    written(store, &SecretWrite { value: Some("w".into()), ..keep }).await;
    assert!(known(store).await.pending_at.is_none());
    assert!(matches!(prepare(store, "next").await, PendingPut::Pending(_)));
    assert!(matches!(
        store.ask_probe("token", WhichValue::Pending).await.unwrap(),
        ProbeAsked::No(1)
    ));
    let app = GithubApp::new("12", Some(7), None, true, None).unwrap();
    let content = SecretContent::GithubApp { app, private_key: "the private key".into() };
    store.set_secret_to("token", content).await.unwrap();
    assert!(known(store).await.pending_at.is_none());
    assert!(store.take_probe(HOUR).await.unwrap().is_none(), "there is nothing to try any more");
    assert_eq!(prepare(store, "next").await, PendingPut::GithubApp);
    let switched = store.switch_secret("token", None, true).await.unwrap();
    assert!(matches!(switched, Switched::GithubApp), "{switched:?}");
    for which in WhichValue::ALL {
        assert_eq!(store.ask_probe("token", which).await.unwrap(), ProbeAsked::GithubApp);
    }
    assert_eq!(store.ask_due_probes(std::time::Duration::ZERO).await.unwrap(), 0);
    // What GitHub says of one of its tokens is over with it.
    let facts = GithubFacts {
        owner: Some("octo".to_owned()),
        scopes: Some(Vec::new()),
        expires_at: Some(jiff::Timestamp::now()),
    };
    let news = CredentialNews {
        name: "token".to_owned(),
        github: Some(facts),
        succeeded: Some(std::time::Duration::ZERO),
        refused: None,
    };
    store.save_credential_news(std::slice::from_ref(&news)).await.unwrap();
    let of_app = known(store).await;
    assert!(of_app.secret.github_app.is_some() && of_app.last_success_at.is_some(), "{of_app:?}");
    assert_eq!((of_app.owner, of_app.scopes, of_app.expires_at), (None, None, None));
    let told = store.audit(&AuditFilter::default(), None, 1).await.unwrap().entries;
    assert!(told[0].detail.starts_with("a GitHub App, revision "), "{told:?}");
    // A value in its place is tried and known like any other.
    store.set_secret("token", &"x".into()).await.unwrap();
    store.save_credential_news(&[news]).await.unwrap();
    assert_eq!(known(store).await.owner.as_deref(), Some("octo"));
    assert!(matches!(prepare(store, "next").await, PendingPut::Pending(_)));
    store.ask_probe("token", WhichValue::Pending).await.unwrap();
    let task = store.take_probe(HOUR).await.unwrap().unwrap();
    store.finish_probe(&task, ProbeVerdict::Ok, &ProbeFindings::default()).await.unwrap();
    let switched = store.switch_secret("token", None, false).await.unwrap();
    assert!(matches!(switched, Switched::Done { .. }), "{switched:?}");
}

pub(crate) async fn a_change_of_name_or_team_opens_lanes_and_of_words_none(world: World) {
    let store = world.store();
    let (secret, _) = written(store, &new("token", "v", None)).await;
    let stored = put_write(store, &write(webhook("one"), &unlimited("one"), &["token"])).await;
    let other = put_write(store, &write(webhook("two"), &unlimited("two"), &["later"])).await;
    hold_with(store, &stored).await;
    hold_with(store, &other).await;
    let revs = async || {
        [lane(store, stored.lane_id).await.secret_rev, lane(store, other.lane_id).await.secret_rev]
    };
    let before = revs().await;
    let keep = SecretWrite { uuid: Some(secret.uuid), value: None, ..new("token", "", None) };
    let words = SecretWrite { description: Some("words".to_owned()), ..keep.clone() };
    assert_eq!(written(store, &words).await.1, [""; 0]);
    assert_eq!(revs().await, before, "nothing to look at again");
    let renamed = SecretWrite { name: "later".to_owned(), ..keep.clone() };
    let (_, mut opened) = written(store, &renamed).await;
    opened.sort();
    assert_eq!(opened, ["one", "two"], "those that lost it and those that gained it");
    assert_eq!(revs().await, [before[0] + 1, before[1] + 1]);
    let moved = SecretWrite { team_uuid: Some("t".to_owned()), ..renamed };
    written(store, &moved).await;
    assert_eq!(revs().await, [before[0] + 1, before[1] + 2]);
}

pub(crate) async fn nothing_secret_stands_in_the_rows(world: World) {
    let store = world.store();
    let secret = "s3cr3t-v4lue-that-nobody-reads";
    let mut sealed = webhook("one");
    sealed.request.url = format!("https://user:{secret}@host/x");
    sealed.request.password = Some(secret.to_owned());
    for header in ["authorization", "x-api-token", "proxy-authorization"] {
        sealed.request.headers.push((header.to_owned(), format!("Bearer {secret}")));
    }
    put_write(store, &write(sealed.clone(), &unlimited("a"), &["token"])).await;
    sealed.request.url = format!("https://user:{secret}@host/y");
    put_write(store, &write(sealed, &unlimited("a"), &["token"])).await;
    store.set_secret("token", &SecretString::from(secret)).await.unwrap();
    store.set_secret("token", &SecretString::from(format!("{secret}2"))).await.unwrap();
    store.check_key().await.unwrap();
    let dump = world.dump().await;
    assert!(dump.contains("webhook one"), "the dump shows rows");
    assert!(!dump.contains(secret));
    let key = world.key().to_base64();
    assert!(!dump.contains(key.expose_secret()));
}
