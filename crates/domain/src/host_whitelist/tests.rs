use url::Url;

use super::HostWhitelist;

fn allows(entries: &str, host: &str) -> bool {
    let url = Url::parse(&format!("https://{host}/path")).unwrap();
    HostWhitelist::parse(entries).unwrap().allows(&url)
}

/// The examples were measured on Pact Broker 2.120's own matching, but for the one marked.
#[test]
fn entries_match_as_in_the_broker() {
    let table = [
        ("", "anything.example", true),
        ("foo.bar", "foo.bar", true),
        ("foo.bar", "a.foo.bar", false),
        ("foo.bar", "foo.bar:8443", true),
        // Different here: URLs come with lower-case names.
        ("Foo.bar", "foo.bar", true),
        ("*.foo.bar", "a.foo.bar", true),
        ("*.foo.bar", "A.FOO.bar", true),
        ("*.FOO.bar", "a.foo.bar", true),
        ("*.foo.bar", "foo.bar", false),
        ("*.foo.bar", "a.b.foo.bar", false),
        ("*foo.bar.com", "xfoo.bar.com", true),
        ("*foo.bar.com", "foo.bar.com", false),
        ("*", "localhost", false),
        ("*", "a.com", false),
        ("*.com", "a.com", true),
        ("*.*.com", "a.b.com", false),
        ("*a*.com", "bab.com", false),
        ("/foo/", "a-foo-b.example", true),
        ("/^foo$/", "foo", true),
        ("/^foo$/", "foo.bar", false),
        ("/FOO/", "foo.example", false),
        ("/(?i)FOO/", "foo.example", true),
        ("10.0.0.0/8", "10.2.3.4", true),
        ("10.0.0.0/8", "11.2.3.4", false),
        ("10.2.3.4", "10.2.3.4", true),
        ("10.2.3.4", "10.2.3.5", false),
        ("10.0.0.0/8", "ten.example", false),
        ("::1", "[::1]", true),
        ("[::1]", "[::1]:8443", true),
        ("fd00::/8", "[fd00::1]", true),
        ("/.*/", "10.2.3.4", false),
        ("/.*/", "[::1]", false),
        ("*.3.4", "10.2.3.4", false),
        ("a.example b.example", "b.example", true),
        ("a.example 10.0.0.0/8", "c.example", false),
    ];
    for (entries, host, expected) in table {
        assert_eq!(allows(entries, host), expected, "{entries:?} {host}");
    }
}

#[test]
fn a_url_without_a_host_is_never_allowed() {
    let mail = Url::parse("mailto:a@example.org").unwrap();
    assert!(!HostWhitelist::default().allows(&mail));
}

#[test]
fn entries_are_kept_as_given() {
    let list = HostWhitelist::parse(" a.example  /x/\n10.0.0.0/8 *.b.example").unwrap();
    let entries: Vec<&str> = list.entries().collect();
    assert_eq!(entries, ["a.example", "/x/", "10.0.0.0/8", "*.b.example"]);
    assert!(!list.is_empty());
    assert!(HostWhitelist::parse("  ").unwrap().is_empty());
}

#[test]
fn bad_entries_are_named() {
    for (entry, part) in [("/(/", "regular expression"), ("10.0.0.0/33", "10.0.0.0/8")] {
        let error = HostWhitelist::parse(&format!("good.example {entry}")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(entry) && text.contains(part), "{text}");
    }
}
