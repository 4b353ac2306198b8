//! A webhook document as sent, validated, before it meets what is stored.

use std::fmt;
use std::ops::Deref;

use postrider_domain::{Body, BodyMode, EventName, Extensions, Selector};
use serde_json::{Map, Value};

use crate::broker_api::faults::{Errors, STRING};

/// A member that may be missing or null, which mean different things on PUT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Member<T> {
    Missing,
    Null,
    Given(T),
}

impl<T> Member<T> {
    /// The value, if there is one.
    pub(super) fn as_given(&self) -> Option<&T::Target>
    where
        T: Deref,
    {
        match self {
            Self::Given(value) => Some(value),
            Self::Missing | Self::Null => None,
        }
    }

    /// The value, whichever way it may lack.
    pub(super) fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Missing | Self::Null => None,
        }
    }
}

/// A text that may be missing or null.
pub(super) fn optional_text(
    object: &Map<String, Value>,
    member: &str,
    key: &str,
    errors: &mut Errors,
) -> Member<String> {
    match object.get(member) {
        None => Member::Missing,
        Some(Value::Null) => Member::Null,
        Some(Value::String(text)) => Member::Given(text.clone()),
        Some(_) => {
            errors.add(key, STRING);
            Member::Null
        }
    }
}

/// A valid document.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) description: Member<String>,
    pub(super) consumer: Option<Selector>,
    pub(super) provider: Option<Selector>,
    pub(super) enabled: bool,
    /// `None` when missing or null: the default, or what is stored.
    pub(super) events: Option<Vec<EventName>>,
    pub(super) request: DraftRequest,
    pub(super) team_uuid: Option<String>,
    /// Missing keeps what is stored, null clears it.
    pub(super) extensions: Member<Extensions>,
}

/// Its request.
#[derive(Clone)]
pub(super) struct DraftRequest {
    pub(super) method: String,
    pub(super) url: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Body>,
    pub(super) body_mode: BodyMode,
    pub(super) username: Option<String>,
    pub(super) password: Member<String>,
}

/// Values may be secrets.
impl fmt::Debug for DraftRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DraftRequest").field("method", &self.method).finish_non_exhaustive()
    }
}
