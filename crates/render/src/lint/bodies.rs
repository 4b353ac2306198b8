//! Bodies that a value could break although they are sent as they are meant.

use std::borrow::Cow;

use postrider_domain::{Body, RequestTemplate};
use serde_json::value::RawValue;

use super::finding::{Finding, LintRule};
use super::spots::{Kind, walk};
use crate::body::{BodyTemplate, body_text};
use crate::filter::Filter;
use crate::template::Template;

/// What a raw body is said to be, with the filter that fits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Xml,
    Form,
    Json,
}

impl Language {
    /// By the media type; `None` for what has no rules that a value could break.
    fn of(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        let (_, kind) = essence.split_once('/')?;
        match kind {
            "xml" => Some(Self::Xml),
            "json" => Some(Self::Json),
            "x-www-form-urlencoded" => Some(Self::Form),
            other if other.ends_with("+xml") => Some(Self::Xml),
            other if other.ends_with("+json") => Some(Self::Json),
            _ => None,
        }
    }

    fn filter(self) -> Filter {
        match self {
            Self::Xml => Filter::Xml,
            Self::Form => Filter::Form,
            Self::Json => Filter::Json,
        }
    }
}

/// Warnings about values that could break or extend the body around them: in a raw body of XML,
/// form data or JSON, and in a string that itself is JSON. Without a type of its own nothing is said
/// of a raw body: a broker sends what is no form at all as one.
pub fn body_advice(request: &RequestTemplate) -> Vec<Finding> {
    let Some(body) = BodyTemplate::parse(request) else { return Vec::new() };
    if body.is_json() { json_in_strings(request) } else { raw(request).into_iter().collect() }
}

fn raw(request: &RequestTemplate) -> Option<Finding> {
    let text = request.body.as_ref().and_then(body_text)?;
    let mut headers = request.headers.iter();
    let (_, content_type) = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"))?;
    let language = Language::of(content_type)?;
    let is_safe = match language {
        Language::Xml => &[Filter::Xml, Filter::Base64, Filter::Url, Filter::Form][..],
        Language::Form => &[Filter::Form, Filter::Url],
        Language::Json => &[Filter::Json, Filter::Base64, Filter::Url, Filter::Form],
    };
    let is_broken = Template::parse(&text).has_value_without(is_safe);
    is_broken.then(|| {
        let filter = language.filter().as_str();
        let what = format!(
            "a value goes into this body of {} as it is, and could break or extend it",
            content_type.split(';').next().unwrap_or_default().trim()
        );
        let fix = format!("write the filter behind the variable, as in ${{pactbroker.x|{filter}}}");
        Finding::new(LintRule::UnescapedValue, "/request/body", what, fix)
    })
}

fn json_in_strings(request: &RequestTemplate) -> Vec<Finding> {
    let value = match &request.body {
        Some(Body::Json(value)) => Cow::Borrowed(value),
        Some(Body::Text(text)) => match serde_json::from_str(text) {
            Ok(value) => Cow::Owned(value),
            Err(_) => return Vec::new(),
        },
        None => return Vec::new(),
    };
    let mut strings = Vec::new();
    walk("/request/body", None, &value, &mut strings);
    let strings = strings.iter().filter(|spot| matches!(spot.kind, Kind::Body(_)));
    strings
        .filter(|spot| is_json_inside(&spot.text))
        .map(|spot| {
            let what = "this string is JSON itself, and a value could break or extend it";
            let fix = "write the filter behind the variable, as in ${pactbroker.x|json}";
            Finding::new(LintRule::UnescapedValue, &spot.pointer, what, fix)
        })
        .collect()
}

/// Whether a text is JSON that a value stands in unescaped.
fn is_json_inside(text: &str) -> bool {
    let is_safe = [Filter::Json, Filter::Base64, Filter::Url, Filter::Form];
    Template::parse(text).has_value_without(&is_safe)
        && serde_json::from_str::<&RawValue>(text).is_ok()
}
