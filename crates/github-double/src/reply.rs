//! Answers, as data.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use crate::recorded::{Recording, recorded};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-github-request-id");
const LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What the connection does with a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Reply(Reply),
    Later(Duration, Box<Answer>),
    Reset,
    /// Close without an answer.
    Cut {
        accepted: bool,
    },
    Silent,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: ReplyBody,
}

#[derive(Debug)]
pub(crate) enum ReplyBody {
    Whole(Bytes),
    Drip { body: Bytes, chunk: usize, every: Duration },
    Huge(u64),
}

/// What is different in each live answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Number of the answer.
    pub(crate) serial: u64,
    /// Seconds since 1970.
    pub(crate) epoch: i64,
}

impl Reply {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body: ReplyBody::Whole(body) }
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, json);
        Self::new(status, headers, Bytes::from(body.to_string()))
    }

    /// A recording byte for byte.
    pub(crate) fn exact(recording: &Recording) -> Self {
        Self::new(recording.status, recording.headers.clone(), recording.body.clone())
    }

    /// A recording as if answered now: own request id, today's date, the limit's reset at the next
    /// full hour.
    pub(crate) fn live(recording: &Recording, stamp: Stamp) -> Self {
        let mut reply = Self::exact(recording);
        let headers = &mut reply.headers;
        // The server writes the current one.
        headers.remove(header::DATE);
        if headers.contains_key(REQUEST_ID) {
            headers.insert(REQUEST_ID, stamp.request_id());
        }
        if headers.contains_key(LIMIT_RESET) {
            headers.insert(LIMIT_RESET, stamp.next_hour());
        }
        reply
    }

    /// The recording of this name, live. 500 if there is none, which a test rules out.
    pub(crate) fn case(name: &str, stamp: Stamp) -> Self {
        recorded(name).map_or_else(
            || Self::new(StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new(), Bytes::new()),
            |recording| Self::live(recording, stamp),
        )
    }

    /// Changes the recorded JSON body.
    #[must_use]
    pub(crate) fn edit_body(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        if let ReplyBody::Whole(bytes) = &self.body
            && let Ok(mut json) = serde_json::from_slice(bytes)
        {
            edit(&mut json);
            self.body = ReplyBody::Whole(Bytes::from(json.to_string()));
        }
        self
    }

    /// Sets headers; pairs that cannot be sent were refused when the script was given.
    #[must_use]
    pub(crate) fn with_headers(mut self, headers: &[(String, String)]) -> Self {
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()))
            {
                self.headers.insert(name, value);
            }
        }
        self
    }
}

impl Stamp {
    /// In the form of the recorded ones.
    fn request_id(self) -> HeaderValue {
        let Self { serial, epoch } = self;
        let text = format!(
            "{:04X}:{:04X}:{:07X}:{:07X}:{epoch:08X}",
            serial >> 48 & 0xffff,
            serial >> 32 & 0xffff,
            serial >> 16 & 0xffff,
            serial & 0xffff,
        );
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0:0:0:0:0"))
    }

    /// In the form of the recorded ones.
    pub(crate) fn in_ninety_days(self) -> String {
        let then = jiff::Timestamp::from_second(self.epoch + 90 * 24 * 3600).unwrap_or_default();
        then.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    fn next_hour(self) -> HeaderValue {
        HeaderValue::from(self.epoch - self.epoch.rem_euclid(3600) + 3600)
    }
}

/// A duration as the whole seconds of `Retry-After`, rounded up, at least 1.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(1)
}
