//! Who may see the page, and who may change something by it: what a cookie says, judged before
//! anything else is looked at.

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use postrider_http_server::{Access, Session, SignedIn, Tokens};
use postrider_store::MasterKey;
use url::Url;

use crate::page::answer::{Fault, on_to, strict};
use crate::page::assets;
use crate::page::words::Words;

/// Where the page is.
pub(super) const HOME: &str = "/ui";
/// Where a token is asked for.
pub(super) const SIGN_IN: &str = "/ui/sign-in";
/// Where a session ends.
pub(super) const SIGN_OUT: &str = "/ui/sign-out";

/// Whether a path is the page's.
pub(crate) fn is_page(path: &str) -> bool {
    path == HOME || path.starts_with("/ui/")
}

/// What it judges by.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    tokens: Tokens,
    key: MasterKey,
    /// Where the page is for browsers, if the settings say so.
    origin: Option<String>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It needs nobody.
    Open,
    /// It goes on for whoever this is; the cookie is to be set again where it is given.
    In(SignedIn, Option<HeaderValue>),
    /// It does not go on.
    Out(Response),
}

impl Gate {
    pub(crate) fn new(tokens: Tokens, key: MasterKey, base_url: Option<&Url>) -> Self {
        Self { tokens, key, origin: base_url.map(|base| base.origin().ascii_serialization()) }
    }

    /// Whether tokens are asked for.
    pub(super) fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Judges a request to the page.
    pub(crate) fn admit(&self, request: &Request, now: Timestamp) -> Admission {
        let path = request.uri().path();
        if path == SIGN_IN || path.starts_with(assets::FOLDER) {
            return Admission::Open;
        }
        if !self.has_tokens() {
            return Admission::In(SignedIn::local(), None);
        }
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let Some(session) = self.session(request.headers(), now) else {
            return Admission::Out(strict(stranger(request, reads)));
        };
        let Session { signed_in, .. } = &session;
        let fault = if reads {
            None
        } else if !self.is_own(request) {
            Some("this was not sent by a page of postrider: open the page and do it there")
        } else if !signed_in.may_change() && path != SIGN_OUT {
            Some("this token has not the role operate, which changes need")
        } else {
            None
        };
        if let Some(detail) = fault {
            return Admission::Out(strict(
                Fault::new(StatusCode::FORBIDDEN, detail).into_response(),
            ));
        }
        let again = session.is_due(now).then(|| self.cookie(signed_in, now)).flatten();
        Admission::In(session.signed_in, again)
    }

    /// Whose token this is, and the cookie that stands for it.
    pub(super) fn sign_in(&self, token: &str, now: Timestamp) -> Result<HeaderValue, &'static str> {
        let signed_in = self.tokens.sign_in(token, &self.key).map_err(|access| match access {
            Access::WrongRole => {
                "This token may only send events: use one of role read or operate."
            }
            Access::Granted | Access::Unknown => "No token is this one.",
        })?;
        self.cookie(&signed_in, now).ok_or("No token is this one.")
    }

    /// Makes browsers forget the cookie.
    pub(super) fn farewell(&self) -> Option<HeaderValue> {
        self.set("", 0)
    }

    fn cookie(&self, signed_in: &SignedIn, now: Timestamp) -> Option<HeaderValue> {
        self.set(&self.tokens.cookie(signed_in, &self.key, now), Session::LENGTH.as_secs())
    }

    fn set(&self, value: &str, seconds: u64) -> Option<HeaderValue> {
        let secure = if self.is_https() { "Secure; " } else { "" };
        let name = self.name();
        let rest = format!("{secure}HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}");
        HeaderValue::from_str(&format!("{name}={value}; {rest}")).ok()
    }

    fn is_https(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.starts_with("https:"))
    }

    fn name(&self) -> &'static str {
        if self.is_https() { "__Host-postrider" } else { "postrider" }
    }

    fn session(&self, headers: &HeaderMap, now: Timestamp) -> Option<Session> {
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.name()).then_some(value)
        });
        pairs.find_map(|value| self.tokens.session(value, &self.key, now))
    }

    /// Whether a page of ours sent it: browsers name the origin of every form and script that
    /// sends something.
    fn is_own(&self, request: &Request) -> bool {
        let text = |value: Option<&'_ HeaderValue>| value?.to_str().ok().map(str::to_owned);
        let Some(origin) = text(request.headers().get(header::ORIGIN)) else { return false };
        let named = request.uri().authority().map(ToString::to_string);
        let host = named.or_else(|| text(request.headers().get(header::HOST)));
        let place = origin.split_once("://").map(|(_, place)| place);
        let is_host =
            place.zip(host).is_some_and(|(place, host)| place.eq_ignore_ascii_case(&host));
        is_host || self.origin.as_ref() == Some(&origin)
    }
}

/// Whoever has not signed in is asked to, and comes back to what was wanted. Scripts can't: they
/// are told where to send the browser.
fn stranger(request: &Request, reads: bool) -> Response {
    let wanted = request.uri().path_and_query().map_or(HOME, |wanted| wanted.as_str());
    let is_script = request.headers().contains_key("hx-request");
    let next = if reads && !is_script { wanted } else { HOME };
    let place = Words::from([("next", next)]).at(SIGN_IN);
    match HeaderValue::from_str(&place) {
        Ok(place) if is_script => {
            (StatusCode::UNAUTHORIZED, [("hx-redirect", place)]).into_response()
        }
        Ok(_) | Err(_) => on_to(&place),
    }
}

/// Where to go after signing in: below the page, whatever was asked for.
pub(super) fn next_view(wanted: Option<&str>) -> &str {
    let is_plain = |next: &&str| {
        let path = next.split(['?', '#']).next().unwrap_or_default();
        let dots = path.split('/').any(|part| part == "." || part == "..");
        let odd = next.chars().any(|c| c == '\\' || c.is_control() || !c.is_ascii());
        is_page(path) && !path.contains("//") && !dots && !odd && path != SIGN_IN
    };
    wanted.filter(is_plain).unwrap_or(HOME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for good in ["/ui", "/ui/lanes", "/ui/deliveries?status=failed&consumer=a%2Fb", "/ui?x"] {
            assert_eq!(next_view(Some(good)), good);
        }
        for bad in [
            "",
            "/",
            "/uix",
            "//ui",
            "/ui//evil.example",
            "/ui/../webhooks",
            "/ui/sign-in",
            "https://evil.example/ui",
            "\\ui",
            "/ui/\\evil",
            "/ui\r\nx: y",
        ] {
            assert_eq!(next_view(Some(bad)), HOME, "{bad}");
        }
        assert_eq!(next_view(None), HOME);
    }

    #[test]
    fn only_forms_of_our_own_pages_count() {
        let gate = |base: Option<&str>| {
            let base = base.map(|base| base.parse().unwrap());
            Gate::new(Tokens::default(), MasterKey::generate(), base.as_ref())
        };
        let sent = |origin: Option<&str>, host: &str| {
            let mut request = Request::builder().uri("/ui/lanes/hold").header("host", host);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            request.body(axum::body::Body::empty()).unwrap()
        };
        let plain = gate(None);
        assert!(plain.is_own(&sent(Some("http://h.test:9393"), "h.test:9393")));
        assert!(!plain.is_own(&sent(Some("http://h.test"), "h.test:9393")));
        assert!(!plain.is_own(&sent(Some("null"), "h.test")));
        assert!(!plain.is_own(&sent(None, "h.test")));
        let behind = gate(Some("https://pact.example/"));
        assert!(behind.is_own(&sent(Some("https://pact.example"), "inner:9393")));
        assert!(!behind.is_own(&sent(Some("https://pact.example.evil"), "inner:9393")));
        let cookie = behind.farewell().unwrap();
        let expected = "__Host-postrider=; Secure; HttpOnly; SameSite=Lax; Path=/; Max-Age=0";
        assert_eq!(cookie.to_str().unwrap(), expected);
    }
}
