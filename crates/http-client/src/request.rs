//! A request in the form that each version of HTTP wants.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderName, PROXY_AUTHORIZATION};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::Full;
use postrider_domain::is_transport_header;
use url::{Position, Url};

use crate::pool::Body;
use crate::proxy::Proxy;
use crate::reply::Reply;

/// What a proxy's 407 means, whatever it was asked for.
pub(crate) const PROXY_CREDENTIALS: &str =
    "the proxy could not be used: it wants other credentials (407)";

/// What to send. Headers that say how the message travels are left out (see
/// [`is_transport_header`]), and `Content-Length` is set by the client.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Method.
    pub method: &'a Method,
    /// Where to; user info and fragment are not sent.
    pub url: &'a Url,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Body; `None` is an empty one.
    pub body: Option<Bytes>,
}

/// The URL has a form that HTTP can't carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the URL can't be sent: {0}")]
pub(crate) struct UnusableUrl(String);

/// A request ready to be sent, as often as it takes.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    request: &'a Request<'a>,
    scheme: Scheme,
    authority: Authority,
    path: PathAndQuery,
    /// The proxy that takes the request itself, if one does.
    through: Option<&'a Proxy>,
}

impl<'a> Prepared<'a> {
    /// `proxy` leads to the URL, if one does.
    pub(crate) fn new(
        request: &'a Request<'a>,
        url: &Url,
        proxy: Option<&'a Proxy>,
    ) -> Result<Self, UnusableUrl> {
        let unusable = |error: http::uri::InvalidUri| UnusableUrl(error.to_string());
        let is_tls = url.scheme() == "https";
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        let path = &url[Position::BeforePath..Position::AfterQuery];
        Ok(Self {
            request,
            scheme: if is_tls { Scheme::HTTPS } else { Scheme::HTTP },
            authority: authority.parse().map_err(unusable)?,
            path: path.parse().map_err(unusable)?,
            through: proxy.filter(|_| !is_tls),
        })
    }

    /// In origin form, or in absolute form for a proxy.
    pub(crate) fn over_http1(&self) -> Result<http::Request<Body>, UnusableUrl> {
        let host = match self.request.headers.get(HOST) {
            Some(own) => own.clone(),
            None => HeaderValue::from_str(self.authority.as_str())
                .map_err(|error| UnusableUrl(error.to_string()))?,
        };
        let mut headers = headers(self.request, Some(host));
        let uri = match &self.through {
            None => Uri::from(self.path.clone()),
            Some(proxy) => {
                if let Some(authorization) = proxy.authorization() {
                    headers.insert(PROXY_AUTHORIZATION, authorization.clone());
                }
                self.absolute(self.authority.clone())?
            }
        };
        Ok(self.request(uri, headers))
    }

    /// The webhook's own `Host` is the authority there, and no header (RFC 9113, section 8.3.1).
    pub(crate) fn over_http2(&self) -> Result<http::Request<Body>, UnusableUrl> {
        let own = self.request.headers.get(HOST);
        let own = own.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let uri = self.absolute(own.unwrap_or_else(|| self.authority.clone()))?;
        Ok(self.request(uri, headers(self.request, None)))
    }

    /// A proxy that wants other credentials did not pass the request on, whoever's answer this
    /// looks like: no target ever answers 407 (RFC 9110, section 15.5.8).
    pub(crate) fn judged(&self, reply: Reply) -> Reply {
        let wants_others = |status: &StatusCode| {
            self.through.is_some() && *status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        };
        if matches!(&reply, Reply::Answered { status, .. } if wants_others(status)) {
            return Reply::ConnectFailed(PROXY_CREDENTIALS.to_owned());
        }
        reply
    }

    fn absolute(&self, authority: Authority) -> Result<Uri, UnusableUrl> {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(authority);
        let uri = uri.path_and_query(self.path.clone()).build();
        uri.map_err(|error| UnusableUrl(error.to_string()))
    }

    fn request(&self, uri: Uri, headers: HeaderMap) -> http::Request<Body> {
        let body = self.request.body.clone().unwrap_or_default();
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = self.request.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }
}

fn headers(request: &Request<'_>, host: Option<HeaderValue>) -> HeaderMap {
    let length = request.body.as_ref().map_or(0, Bytes::len);
    // Room for host, length and a proxy's credentials.
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 3);
    // First, as RFC 9110, section 7.2, recommends.
    headers.extend(host.map(|host| (HOST, host)));
    for (name, value) in request.headers {
        if !is_ours(name) {
            headers.append(name, value.clone());
        }
    }
    if length > 0 || has_body(request.method) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    headers
}

fn is_ours(name: &HeaderName) -> bool {
    name == HOST || name == CONTENT_LENGTH || name == EXPECT || is_transport_header(name.as_str())
}

/// Whether a request with this method says how long its body is even if there is none: strict
/// servers answer 411 otherwise (RFC 9110, section 8.6). Those of the other methods have none.
fn has_body(method: &Method) -> bool {
    let without = [
        Method::GET,
        Method::HEAD,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    !without.contains(method)
}

#[cfg(test)]
mod tests;
