//! Paths are told apart.

use http::Method;

use super::Route;

#[track_caller]
fn check(method: &Method, path: &str, expected: &Route) {
    assert_eq!(&Route::of(method, path), expected, "{method} {path}");
}

#[test]
fn known_calls() {
    let repo = || "o/r".to_owned();
    let dispatch = Route::Dispatch { repo: repo() };
    check(&Method::POST, "/repos/o/r/dispatches", &dispatch);
    check(&Method::POST, "/api/v3/repos/o/r/dispatches", &dispatch);
    let workflow = Route::WorkflowDispatch { repo: repo() };
    let path = "/repos/o/r/actions/workflows/ci.yml/dispatches";
    check(&Method::POST, path, &workflow);
    check(&Method::GET, "/repos/o/r", &Route::Repo { repo: repo() });
    check(&Method::GET, "/api/v3/user", &Route::User);
    check(&Method::GET, "/rate_limit", &Route::RateLimit);
    check(&Method::GET, "/versions", &Route::Versions);
    let name = "a".to_owned();
    check(&Method::PUT, "/hook/a", &Route::Hook { name });
}

#[test]
fn everything_else_is_unknown() {
    for path in [
        "/repos/o/r/dispatches/",
        "/repos/o/dispatches",
        "/api/v3",
        "/api/v3x/repos/o/r/dispatches",
        "/hook/",
        "/",
        "",
        "/repos/o/r/actions/workflows//dispatches",
    ] {
        check(&Method::POST, path, &Route::Unknown);
    }
    check(&Method::GET, "/repos/o/r/dispatches", &Route::Unknown);
    check(&Method::POST, "/user", &Route::Unknown);
}
