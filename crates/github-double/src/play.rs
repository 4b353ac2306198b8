//! What a script lets the double do with one request.

use std::time::Duration;

use serde::Deserialize;

use crate::recorded::recorded;

/// One step of a script, used up by one request.
///
/// A play is what GitHub does, whatever the request: token, limit and body are not checked, except
/// by [`Play::Check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Play {
    /// The recorded answer of this case, byte for byte (`responses/<case>.json`).
    Recorded(&'static str),
    /// The recorded answer with some headers set or replaced, e.g. a shorter `Retry-After`.
    RecordedWith {
        /// Case of the recorded answer.
        case: &'static str,
        /// Headers by name and value.
        headers: Vec<(String, String)>,
    },
    /// Any answer.
    Status {
        /// Status code, 200 to 999.
        status: u16,
        /// Headers by name and value.
        headers: Vec<(String, String)>,
        /// Body.
        body: String,
    },
    /// Take the request without a check, as 204 (200 on a hook).
    Accept,
    /// The ordinary treatment, with all checks.
    Check,
    /// Do the inner play, but answer this much later. The request counts from its arrival on.
    Delay(Duration, Box<Play>),
    /// Read the request, then reset the connection (RST).
    Reset,
    /// Reset the connection when the request's head has arrived, without reading its body.
    ResetBeforeRead,
    /// Read the request and never answer; the connection stays open until the client gives up.
    HalfOpen,
    /// Answer with a body that arrives in pieces.
    SlowBody {
        /// Status code.
        status: u16,
        /// The whole body.
        body: String,
        /// Bytes per piece, at least 1.
        chunk: usize,
        /// Wait before each piece.
        every: Duration,
    },
    /// Take the request as accepted, then close the connection without an answer.
    LostAnswer,
    /// Answer with a body of so many bytes.
    HugeBody {
        /// Status code.
        status: u16,
        /// Length of the body in bytes.
        bytes: u64,
    },
    /// Answer as GitHub does for a renamed repository.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Value of `Location`.
        location: String,
    },
}

/// A script that cannot be played.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScriptError {
    /// No recorded answer has this name.
    #[error("there is no recorded answer named {0:?}")]
    UnknownCase(String),
    /// The status code is outside 200..=999.
    #[error("{0} is not a status code that an answer can have")]
    BadStatus(u16),
    /// A header's name or value cannot be sent.
    #[error("the header {0:?} cannot be sent")]
    BadHeader(String),
}

impl Play {
    /// Shorthand for an answer with a status and nothing else.
    pub fn status(status: u16) -> Self {
        Self::Status { status, headers: Vec::new(), body: String::new() }
    }

    /// Checks names, codes and headers, so that playing cannot fail later.
    pub(crate) fn check(&self) -> Result<(), ScriptError> {
        match self {
            Self::Recorded(case) => check_case(case),
            Self::RecordedWith { case, headers } => {
                check_case(case)?;
                check_headers(headers)
            }
            Self::Status { status, headers, .. } => {
                check_status(*status)?;
                check_headers(headers)
            }
            Self::SlowBody { status, .. } | Self::HugeBody { status, .. } => check_status(*status),
            Self::Redirect { status, location } => {
                check_status(*status)?;
                check_headers(&[("location".to_owned(), location.clone())])
            }
            Self::Delay(_, then) => then.check(),
            Self::Accept
            | Self::Check
            | Self::Reset
            | Self::ResetBeforeRead
            | Self::HalfOpen
            | Self::LostAnswer => Ok(()),
        }
    }
}

fn check_case(case: &str) -> Result<(), ScriptError> {
    match recorded(case) {
        Some(_) => Ok(()),
        None => Err(ScriptError::UnknownCase(case.to_owned())),
    }
}

fn check_status(status: u16) -> Result<(), ScriptError> {
    if (200..=999).contains(&status) { Ok(()) } else { Err(ScriptError::BadStatus(status)) }
}

fn check_headers(headers: &[(String, String)]) -> Result<(), ScriptError> {
    for (name, value) in headers {
        let sendable = http::HeaderName::try_from(name.as_str()).is_ok()
            && http::HeaderValue::try_from(value.as_str()).is_ok();
        if !sendable {
            return Err(ScriptError::BadHeader(name.clone()));
        }
    }
    Ok(())
}

/// A play as the control interface writes it: `"accept"`, `{"recorded":"not-found-404"}`,
/// `{"delay":{"ms":50,"then":"accept"}}` and so on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PlayText {
    Recorded(String),
    RecordedWith {
        case: String,
        headers: Vec<(String, String)>,
    },
    Status {
        status: u16,
        #[serde(default)]
        headers: Vec<(String, String)>,
        #[serde(default)]
        body: String,
    },
    Accept,
    Check,
    Delay {
        ms: u64,
        then: Box<PlayText>,
    },
    Reset,
    ResetBeforeRead,
    HalfOpen,
    SlowBody {
        status: u16,
        body: String,
        chunk: usize,
        every_ms: u64,
    },
    LostAnswer,
    HugeBody {
        status: u16,
        bytes: u64,
    },
    Redirect {
        status: u16,
        location: String,
    },
}

impl TryFrom<PlayText> for Play {
    type Error = ScriptError;

    fn try_from(text: PlayText) -> Result<Self, ScriptError> {
        Ok(match text {
            PlayText::Recorded(case) => Self::Recorded(known(case)?),
            PlayText::RecordedWith { case, headers } => {
                Self::RecordedWith { case: known(case)?, headers }
            }
            PlayText::Status { status, headers, body } => Self::Status { status, headers, body },
            PlayText::Accept => Self::Accept,
            PlayText::Check => Self::Check,
            PlayText::Delay { ms, then } => {
                Self::Delay(Duration::from_millis(ms), Box::new((*then).try_into()?))
            }
            PlayText::Reset => Self::Reset,
            PlayText::ResetBeforeRead => Self::ResetBeforeRead,
            PlayText::HalfOpen => Self::HalfOpen,
            PlayText::SlowBody { status, body, chunk, every_ms } => {
                Self::SlowBody { status, body, chunk, every: Duration::from_millis(every_ms) }
            }
            PlayText::LostAnswer => Self::LostAnswer,
            PlayText::HugeBody { status, bytes } => Self::HugeBody { status, bytes },
            PlayText::Redirect { status, location } => Self::Redirect { status, location },
        })
    }
}

fn known(case: String) -> Result<&'static str, ScriptError> {
    match recorded(&case) {
        Some(recording) => Ok(recording.case.as_str()),
        None => Err(ScriptError::UnknownCase(case)),
    }
}
