//! Why a request can't be made.

use std::fmt;

/// Why a delivery's request can't be made. Names and positions only: no text of an error ever
/// holds the value of a variable or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The template names a secret that has no value. Like [`Self::SecretUnusable`] a later
    /// attempt can mend it: the lane is held, cause `secret_missing`.
    #[error("the secret \"{name}\" has no value; set one with `postrider secrets set {name}`")]
    SecretMissing {
        /// The name in `${user.NAME}`.
        name: String,
    },
    /// A secret has a value that can't stand where the webhook puts it. A later value mends it.
    #[error("the secret \"{name}\" {why}; set another value with `postrider secrets set {name}`")]
    SecretUnusable {
        /// The name in `${user.NAME}`.
        name: String,
        /// What is wrong with it; never a part of it.
        why: String,
    },
    /// The method is no HTTP token.
    #[error("request.method is not an HTTP method")]
    InvalidMethod,
    /// With its values filled in, the URL can't be parsed.
    #[error("request.url is not a valid URL once its variables are filled in: {reason}")]
    InvalidUrl {
        /// What the parser says; never part of the URL.
        reason: url::ParseError,
    },
    /// The URL's scheme is another.
    #[error("request.url is neither http nor https")]
    NotHttp,
    /// Scheme, host or port would depend on a variable.
    #[error("request.url cannot have a variable in its scheme, host or port")]
    VariableInHost,
    /// The header `Host` would depend on a variable.
    #[error("the header Host cannot have a variable")]
    VariableInHostHeader,
    /// A value of `.` or `..` would lead to another path than the template's.
    #[error("a variable in the path of request.url has the value \".\" or \"..\"")]
    DotSegment,
    /// A header's name is no HTTP token.
    #[error("the name of header number {position} is not a valid header name")]
    InvalidHeaderName {
        /// Place among the webhook's headers, from 1.
        position: usize,
    },
    /// A header's value would hold a control character, e.g. a line break.
    #[error("the value of header \"{header}\" holds a control character")]
    ControlCharacter {
        /// The header's name.
        header: String,
    },
    /// URL or header beyond what any server takes.
    #[error("{place} is {bytes} bytes long with its variables filled in; at most {limit} are sent")]
    TooLong {
        /// Which one.
        place: Place,
        /// Its size, or a lower bound of it.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The body is larger than the target takes: 65,535 bytes for a GitHub dispatch (GitHub
    /// docs: events that trigger workflows), 1 MiB anywhere.
    #[error(
        "the body is {bytes} bytes long with its variables filled in, the target takes {limit}; \
         send less, e.g. the pact's URL instead of lists of tags"
    )]
    TooLarge {
        /// Its size, or a lower bound of it.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Two keys of one object of the body became equal.
    #[error("two keys of one object in the body are equal once their variables are filled in")]
    DuplicateKey,
    /// GitHub takes 1 to 100 characters (GitHub's `OpenAPI` description).
    #[error("body.event_type has {chars} characters, GitHub takes 1 to {limit}; shorten it")]
    EventType {
        /// How many it has.
        chars: usize,
        /// The most allowed.
        limit: usize,
    },
    /// GitHub takes 10 top-level properties (GitHub's `OpenAPI` description).
    #[error(
        "body.client_payload has {keys} keys, GitHub takes {limit}; \
         nest some of them in one object, nested keys don't count"
    )]
    PayloadKeys {
        /// How many it has.
        keys: usize,
        /// The most allowed.
        limit: usize,
    },
}

/// Part of a request, for errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `request.url`.
    Url,
    /// The header of this name.
    Header(String),
    /// `request.username` and `request.password`.
    BasicAuth,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("request.url"),
            Self::Header(name) => write!(f, "header \"{name}\""),
            Self::BasicAuth => f.write_str("username and password"),
        }
    }
}
