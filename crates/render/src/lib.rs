//! From a webhook's template and an event to the request that is sent, and from a request or
//! an answer to what may be shown of it. Pure: no I/O, no clock, no randomness.
//!
//! The template language has three kinds of placeholder: `${pactbroker.NAME}` (the 20 names of
//! [`BrokerVar`]), `${user.NAME}` (a secret) and `${postrider.deliveryId}`. Everything else
//! stays as it is written. Values are put in once and never looked at again, and each place has
//! its own encoding (module `template`), so that a value can't break or extend what surrounds
//! it. Neither an error nor a `Debug` text of this crate holds a value.

mod again;
mod app_key;
mod app_use;
mod body;
mod compile;
mod decode;
mod describe;
mod dispatch;
mod encode;
mod error;
mod filter;
mod headers;
mod inspect;
mod lint;
mod mistyped;
mod redact;
mod sign;
mod template;
mod url_template;
mod vars;

pub use again::{RENDERER, RenderedAgain, render_again};
pub use app_key::{AppKey, InvalidAppKey};
pub use app_use::app_misuse;
pub use body::MAX_BODY_BYTES;
pub use compile::{CompiledRequest, RenderedRequest, render};
pub use describe::{MAX_SHOWN_BYTES, describe_acceptance, describe_request, describe_response};
pub use dispatch::{MAX_DISPATCH_BYTES, MAX_EVENT_TYPE_CHARS, MAX_PAYLOAD_KEYS};
pub use error::{Place, RenderError};
pub use inspect::{
    InvalidFilter, UnknownVariable, invalid_filter, secret_names, unknown_variables,
};
pub use lint::{Finding, LintRule, Linted, Severity, body_advice, lint};
pub use mistyped::{Mistyped, mistyped_keys};
pub use redact::{Redactor, is_secret_parameter, is_token, star_parameters};
pub use sign::{InvalidSigningKey, SIGNATURE_HEADERS, Signer, SigningKey};
pub use vars::{BrokerVar, Variables};

#[cfg(test)]
mod tests;
