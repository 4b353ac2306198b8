use super::*;

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn later(hours: i64) -> Timestamp {
    now().checked_add(SignedDuration::from_hours(hours)).unwrap()
}

fn codes(facts: &CredentialFacts, users: &[&str]) -> Vec<&'static str> {
    let users: Vec<Pattern> = users.iter().map(|user| Pattern::parse(user)).collect();
    credential_warnings(facts, &users, now()).iter().map(CredentialWarning::code).collect()
}

#[test]
fn the_end_is_told_at_thirty_fourteen_seven_days_and_one() {
    for (hours, expected) in [
        (-1, Some(CredentialWarning::Expired)),
        (0, Some(CredentialWarning::Expired)),
        (1, Some(CredentialWarning::Expires(1))),
        (24, Some(CredentialWarning::Expires(1))),
        (25, Some(CredentialWarning::Expires(7))),
        (7 * 24, Some(CredentialWarning::Expires(7))),
        (8 * 24, Some(CredentialWarning::Expires(14))),
        (15 * 24, Some(CredentialWarning::Expires(30))),
        (30 * 24, Some(CredentialWarning::Expires(30))),
        (30 * 24 + 1, None),
    ] {
        assert_eq!(credential_expiry(later(hours), now()), expected, "{hours}");
    }
}

#[test]
fn scopes_are_too_few_or_too_many() {
    let scopes = |scopes: &[&str]| CredentialFacts {
        scopes: Some(scopes.iter().map(|&scope| scope.to_owned()).collect()),
        ..CredentialFacts::default()
    };
    for (given, expected) in [
        (vec!["repo"], vec![]),
        (vec!["public_repo"], vec![]),
        (vec!["repo", "read:org", "user:email"], vec![]),
        (vec![], vec!["scope_missing"]),
        (vec!["gist"], vec!["scope_missing"]),
        (vec!["repo", "admin:org"], vec!["scope_too_wide"]),
        (vec!["admin:org", "delete_repo"], vec!["scope_missing", "scope_too_wide"]),
    ] {
        assert_eq!(codes(&scopes(&given), &[]), expected, "{given:?}");
    }
    assert!(codes(&CredentialFacts::default(), &[]).is_empty(), "none are known of");
}

#[test]
fn owners_are_expected_or_not() {
    let of = |owner: &str| CredentialFacts {
        owner: Some(owner.to_owned()),
        ..CredentialFacts::default()
    };
    assert!(codes(&of("PactFlow-octo"), &["pactflow-*"]).is_empty(), "case does not count");
    assert_eq!(codes(&of("jane"), &["pactflow-*", "robot"]), ["owner"]);
    assert!(codes(&of("jane"), &[]).is_empty(), "anybody is expected");
    let warning = credential_warnings(&of("jane"), &[Pattern::parse("x")], now());
    assert!(warning[0].sentence().contains("jane"), "{warning:?}");
}

#[test]
fn what_is_not_used_or_stands_in_a_webhook_is_told() {
    let facts = |hours: i64| CredentialFacts {
        last_used_at: Some(later(-hours)),
        is_inline: hours == 0,
        ..CredentialFacts::default()
    };
    assert!(codes(&facts(299 * 24), &[]).is_empty());
    assert_eq!(codes(&facts(300 * 24), &[]), ["unused"]);
    assert_eq!(codes(&facts(0), &[]), ["inline"]);
}

#[test]
fn all_codes_are_listed() {
    let one = |warning: &CredentialWarning| warning.code();
    let all = [
        CredentialWarning::Expired,
        CredentialWarning::Expires(1),
        CredentialWarning::ScopeMissing,
        CredentialWarning::ScopeTooWide(Vec::new()),
        CredentialWarning::Owner(String::new()),
        CredentialWarning::Unused(300),
        CredentialWarning::Inline,
    ];
    assert_eq!(all.each_ref().map(one), CredentialWarning::CODES);
    for (which, text) in WhichValue::ALL.map(|which| (which, which.as_str())) {
        assert_eq!(text.parse(), Ok(which));
    }
    for (verdict, text) in ProbeVerdict::ALL.map(|verdict| (verdict, verdict.as_str())) {
        assert_eq!(text.parse(), Ok(verdict));
    }
    assert!("x".parse::<WhichValue>().is_err() && "x".parse::<ProbeVerdict>().is_err());
}
