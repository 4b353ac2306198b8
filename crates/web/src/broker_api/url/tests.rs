use super::*;

fn checked(url: &str) -> Result<(), UrlFault> {
    check(url, &["https".to_owned(), "ftps".to_owned()], &HostWhitelist::default())
}

#[test]
fn accepted() {
    for url in [
        "https://h",
        "HTTPS://h/",
        "ftps://h/x",
        "https://h?x=1",
        "https://u:p@h/",
        "https://[::1]:8443/",
        "https://under_score.example/x",
        "https://h/?a={b}",
        "https://h/?t=${user.x}",
        "https://h/services/${user.x|url}/${postrider.deliveryId}#${user.y}",
        "https://${user.x}:${user.y}@h/",
        "https://h/a%20b;c=d,e(f)*!'$&+~",
        "https://h:8443/x#frag?/",
        "https://h/${pactbroker.consumerName}/x",
        "https://h/?c=${pactbroker.consumerName}&p=${pactbroker.unknown}",
        "https://${pactbroker.consumerName}@h/",
        "https://**********@h/",
    ] {
        assert_eq!(checked(url), Ok(()), "{url}");
    }
}

#[test]
fn invalid() {
    for url in [
        "h",
        "/x",
        "//h/x",
        "https:h",
        "https://",
        "https:///x",
        "https://:80/",
        "mailto:a@b",
        "https://h/a b",
        "https://h/?a b",
        "https://h/\u{fc}",
        "https://h/a|b",
        "https://h/[x]",
        "https://h/%zz",
        "https://h/%2",
        "https://h/${user.a/b}",
        "https://h/${user.}",
        "https://h/${other.x}",
        "https://h/{x}",
        "https://h:${user.x}/",
        "https://h:${pactbroker.consumerName}/",
        "https://h:99999/",
        "https://[::1/",
        "https://[x]/",
        "1https://h/",
        "https://h/\n",
        " https://h/",
        "https://h/${pactbroker.}",
    ] {
        assert_eq!(checked(url), Err(UrlFault::Invalid), "{url}");
    }
}

#[test]
fn other_faults() {
    for url in [
        "https://${pactbroker.consumerName}/",
        "https://a.${pactbroker.x}.b:80/x",
        "https://${user.x}/",
        "https://${postrider.deliveryId}.example/",
    ] {
        assert_eq!(checked(url), Err(UrlFault::TemplatedHost), "{url}");
    }
    for url in ["http://h/", "${pactbroker.x}://h/", "javascript://h/"] {
        assert_eq!(checked(url), Err(UrlFault::Scheme), "{url}");
    }
    let hosts = HostWhitelist::parse("*.foo.bar 10.0.0.0/8").unwrap();
    let with_hosts = |url| check(url, &["https".to_owned()], &hosts);
    assert_eq!(with_hosts("https://a.foo.bar/"), Ok(()));
    assert_eq!(with_hosts("https://10.1.2.3/"), Ok(()));
    assert_eq!(with_hosts("https://foo.bar/"), Err(UrlFault::Host));
    assert_eq!(with_hosts("https://11.1.2.3/"), Err(UrlFault::Host));
}

#[test]
fn user_information() {
    assert_eq!(user_info("https://u:p@h/x@y"), Some("u:p"));
    assert_eq!(user_info("https://h/x@y"), None);
    assert_eq!(user_info("https://h?x@y"), None);
    assert_eq!(with_user_info("https://u:p@h:1/x@y", "***"), "https://***@h:1/x@y");
    assert_eq!(with_user_info("https://h/", "***"), "https://h/");
}

#[test]
fn hosts_for_descriptions() {
    assert_eq!(host_of("https://u:p@example.org:8443/${pactbroker.pactUrl}"), "example.org");
    assert_eq!(host_of("https://[::1]:8443/"), "[::1]");
}
