//! What becomes of a broker's webhooks.

use postrider_domain::STARS;
use serde_json::{Value, json};

use super::copy::{Decision, Step, example, plan, switched_off};
use super::map::Mapping;
use crate::webhooks::plan::Action;

/// As Pact Broker 2.120.0 shows one.
fn source() -> Value {
    json!({
        "uuid": "arqvHhuNAgQ68n0WOEC7dw", "description": "d1",
        "provider": {"name": "Example API"}, "enabled": true,
        "request": {
            "method": "POST", "url": "https://api.github.com/repos/o/r/dispatches",
            "headers": {"accept": "a", "authorization": STARS},
            "body": {"event_type": "e"},
        },
        "events": [{"name": "contract_requiring_verification_published"}],
        "createdAt": "2026-11-21T23:57:48+00:00", "_links": {"self": {"href": "x"}},
    })
}

fn mapping() -> Vec<Mapping> {
    vec![Mapping::parse("Authorization=${user.githubToken}").unwrap()]
}

fn one(source: Value, here: &[Value], mappings: &[Mapping]) -> Decision {
    let (mut steps, _) = plan(vec![source], here, mappings, false);
    let Step { decision, .. } = steps.remove(0);
    decision
}

#[test]
fn everything_but_the_server_s_own_members_comes_over() {
    let Decision::Copy { document, action } = one(source(), &[], &mapping()) else {
        panic!("a copy");
    };
    assert_eq!(action, Action::Create);
    let mut expected = source();
    expected["request"]["headers"]["authorization"] = json!("Bearer ${user.githubToken}");
    for key in ["createdAt", "_links"] {
        expected.as_object_mut().unwrap().shift_remove(key);
    }
    assert_eq!(document, expected);
}

#[test]
fn what_is_starred_needs_a_secret() {
    let mut with_password = source();
    with_password["request"]["password"] = json!(STARS);
    let needs = ["request.headers.authorization", "request.password"].map(str::to_owned).to_vec();
    assert_eq!(one(with_password.clone(), &[], &[]), Decision::Needs(needs));
    let rest = vec!["request.password".to_owned()];
    assert_eq!(one(with_password, &[], &mapping()), Decision::Needs(rest));
    assert_eq!(example("request.headers.x-token"), "--map 'x-token=${user.NAME}'");
}

#[test]
fn a_second_time_nothing_changes() {
    let mut here = source();
    here["createdAt"] = json!("2026-11-22T00:00:00+00:00");
    for mappings in [mapping(), Vec::new()] {
        let decision = one(source(), &[here.clone()], &mappings);
        assert!(
            matches!(decision, Decision::Copy { action: Action::Unchanged { .. }, .. }),
            "{decision:?}"
        );
    }
    let mut off = source();
    off["enabled"] = json!(false);
    let decision = one(off.clone(), &[here.clone()], &mapping());
    assert!(
        matches!(decision, Decision::Copy { action: Action::Unchanged { .. }, .. }),
        "an original that was switched off doesn't switch its copy off: {decision:?}"
    );
    let Decision::Copy { document, .. } = one(off, &[], &mapping()) else { panic!("a copy") };
    assert_eq!(document["enabled"], false, "a webhook that was off comes over as it is");
    let mut edited = source();
    edited["request"]["url"] = json!("https://api.github.com/repos/o/other/dispatches");
    let decision = one(edited, &[here], &mapping());
    assert!(
        matches!(decision, Decision::Copy { action: Action::Replace { .. }, .. }),
        "{decision:?}"
    );
}

#[test]
fn the_relay_stays() {
    let mut relay = source();
    relay["request"]["url"] =
        json!("https://p.example/hooks/broker?eventName=${pactbroker.eventName}");
    assert_eq!(one(relay, &[], &[]), Decision::Relay);
}

#[test]
fn unused_mappings_are_known() {
    let mappings = [mapping(), vec![Mapping::parse("X-Nope=${user.a}").unwrap()]].concat();
    let (_, used) = plan(vec![source()], &[], &mappings, false);
    assert_eq!(used, [true, false]);
}

#[test]
fn switching_off_keeps_all_else() {
    let off = switched_off(&source());
    let mut expected = source();
    for key in ["createdAt", "_links", "uuid"] {
        expected.as_object_mut().unwrap().shift_remove(key);
    }
    expected["enabled"] = json!(false);
    assert_eq!(off, expected);
}
