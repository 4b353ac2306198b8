use super::*;

#[test]
fn a_url_is_shown_without_its_origin() {
    for (url, expected) in [
        ("https://h:8443/a/b?c=d", "/a/b?c=d"),
        ("http://h/?x=http://y/z", "/?x=http://y/z"),
        ("http://h?x=1", "?x=1"),
        ("http://h", "/"),
        ("", "/"),
    ] {
        assert_eq!(path_of(url), expected, "{url}");
    }
}
