//! How calls are refused, by kinds of calls.

use http::StatusCode;
use postrider_api::broker::{
    BrokerError, BrokerFailure, BrokerProblem, BrokerValidationProblem, ValidationErrors,
};
use postrider_api::{FieldError, Problem};
use serde_json::{Map, Value, json};

use super::operation::{Operation, Tag, shared_refusal};
use super::schema::{Schemas, refer};

const PROBLEM: &str = "application/problem+json";
const HAL: &str = "application/hal+json";

/// The refusals that follow from what a call is, by status; its own win.
pub(super) fn complete(path: &str, operation: &mut Operation) {
    let body = operation.members.get("requestBody").cloned();
    let has_parameters = operation.members.contains_key("parameters");
    let mut all = match operation.tag {
        Tag::Admin => Vec::new(),
        Tag::Intake | Tag::Operations => own(body.as_ref(), has_parameters),
        Tag::Webhooks | Tag::Secrets => brokers(path, body.is_some()),
    };
    all.sort_unstable();
    let given = operation.members.remove("responses");
    let mut responses = given.and_then(|given| given.as_object().cloned()).unwrap_or_default();
    for (status, name) in all {
        responses.entry(status).or_insert_with(|| shared_refusal(name));
    }
    if matches!(operation.tag, Tag::Intake | Tag::Operations) {
        problems(&mut responses);
    }
    responses.sort_keys();
    operation.members.insert("responses".into(), responses.into());
}

type Refusals = Vec<(&'static str, &'static str)>;

fn own(body: Option<&Value>, has_parameters: bool) -> Refusals {
    let mut all = vec![
        ("401", "Unauthorized"),
        ("403", "Forbidden"),
        ("500", "Internal"),
        ("503", "Unavailable"),
    ];
    if body.is_some() || has_parameters {
        all.push(("400", "BadRequest"));
    }
    if let Some(body) = body {
        all.extend([("408", "RequestTimeout"), ("413", "TooLarge")]);
        let takes_any_type = body["content"].get("*/*").is_some();
        all.extend((!takes_any_type).then_some(("415", "UnsupportedType")));
    }
    all
}

fn brokers(path: &str, has_body: bool) -> Refusals {
    let mut all = vec![
        ("401", "BrokerUnauthorized"),
        ("406", "BrokerNotAcceptable"),
        ("500", "BrokerInternal"),
        ("503", "BrokerUnavailable"),
    ];
    if path.contains('{') {
        all.extend([("404", "BrokerNotFound"), ("422", "BrokerBadPath")]);
    }
    if has_body {
        all.extend([
            ("400", "BrokerInvalid"),
            ("408", "BrokerRequestTimeout"),
            ("413", "BrokerTooLarge"),
            ("415", "BrokerUnsupportedType"),
        ]);
    }
    all
}

/// Our own refusals are problem documents.
fn problems(responses: &mut Map<String, Value>) {
    for (status, response) in responses {
        let is_refusal = status.as_str() >= "400" && response.get("$ref").is_none();
        if is_refusal && response["content"].get(PROBLEM).is_none() {
            response["content"][PROBLEM] = json!({"schema": refer::<Problem>()});
        }
    }
}

/// What the refusals are made of.
pub(super) fn schemas() -> Schemas {
    let mut schemas = Schemas::default();
    schemas.add::<Problem>();
    schemas.add::<FieldError>();
    schemas.add::<ValidationErrors>();
    schemas.add::<BrokerError>();
    schemas.add::<BrokerFailure>();
    schemas.add::<BrokerProblem>();
    schemas.add::<BrokerValidationProblem>();
    schemas
}

/// All refusals that several calls share, by name.
pub(super) fn all() -> Map<String, Value> {
    own_refusals().into_iter().chain(broker_refusals()).collect()
}

fn own_refusals() -> [(String, Value); 9] {
    let own = |name: &str, description: &str| {
        let content = json!({PROBLEM: {"schema": refer::<Problem>()}});
        (name.to_owned(), json!({"description": description, "content": content}))
    };
    let shown = |(name, mut response): (String, Value), status, detail: &str| {
        response["content"][PROBLEM]["example"] = json!(problem(status, detail));
        (name, response)
    };
    let with = |(name, mut response): (String, Value), header: &str, described: Value| {
        response["headers"] = json!({ header: described });
        (name, response)
    };
    [
        own("BadRequest", "Something about the request is wrong: the answer names the place."),
        with(
            shown(
                own("Unauthorized", "No token, or one that is not known."),
                StatusCode::UNAUTHORIZED,
                "a token is needed: send it as Authorization: Bearer <token>, or as the password \
                 of Basic authentication",
            ),
            "WWW-Authenticate",
            how_to_send(),
        ),
        shown(
            own("Forbidden", "The token has another role."),
            StatusCode::FORBIDDEN,
            "this token has not the role operate, which this call needs",
        ),
        own("NotFound", "There is nothing of this id or name."),
        own("RequestTimeout", "The body did not arrive in time."),
        own("TooLarge", "The body is too large."),
        own("UnsupportedType", "The content type is not taken."),
        shown(
            own("Internal", "An error inside; the log has it."),
            StatusCode::INTERNAL_SERVER_ERROR,
            "an error inside; the log has it",
        ),
        with(
            shown(
                own(
                    "Unavailable",
                    "The store is away, too much is taken in at once, or the process is about to \
                     end: nothing was done half.",
                ),
                StatusCode::SERVICE_UNAVAILABLE,
                "the store is away: try again",
            ),
            "Retry-After",
            retry_after(),
        ),
    ]
}

fn problem(status: StatusCode, detail: &str) -> Problem {
    Problem {
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
        errors: Vec::new(),
    }
}

fn how_to_send() -> Value {
    json!({"description": "How to send the token.", "schema": {"type": "string"}})
}

fn retry_after() -> Value {
    let description = "Seconds after which a repeat is worth it.";
    json!({"description": description, "schema": {"type": "integer"}})
}

fn broker_refusals() -> Vec<(String, Value)> {
    let (error, problem) = (refer::<BrokerError>(), refer::<BrokerProblem>());
    let not_found = json!({"error": "The requested document was not found on this server."});
    let all = [
        ("BrokerInvalid", "The body is wrong.", invalid()),
        (
            "BrokerNotFound",
            "There is nothing.",
            json!({
                "application/json": {"schema": error, "example": not_found},
                "text/html": {"schema": {"type": "string"}},
                PROBLEM: {"schema": problem},
            }),
        ),
        (
            "BrokerNotAcceptable",
            "The client accepts nothing that there is. Without a body.",
            Value::Null,
        ),
        ("BrokerRequestTimeout", "The body did not arrive in time.", one_text()),
        ("BrokerTooLarge", "The body is larger than 1 MiB.", one_text()),
        (
            "BrokerUnsupportedType",
            "The content type is not application/json. Without a body.",
            Value::Null,
        ),
        (
            "BrokerBadPath",
            "The path holds an encoded control character.",
            json!({PROBLEM: {"schema": problem}}),
        ),
        (
            "BrokerUnusable",
            "The path is none, or the value holds a control character.",
            json!({PROBLEM: {"schema": problem}, HAL: {"schema": refer::<ValidationErrors>()}}),
        ),
        ("BrokerInternal", "An error inside; the log has it by the reference.", failure()),
        ("BrokerUnavailable", "The store is away, or too much is taken in at once.", failure()),
        (
            "BrokerUnauthorized",
            "No token, an unknown one, or one of another role, as Pact Broker says it: without a \
             body.",
            json!({"text/plain": {"schema": {"type": "string", "maxLength": 0}}}),
        ),
    ];
    let response = |(name, description, content): (&str, &str, Value)| {
        let mut response = json!({ "description": description });
        if !content.is_null() {
            response["content"] = content;
        }
        let headers = match name {
            "BrokerUnauthorized" => json!({"WWW-Authenticate": how_to_send()}),
            "BrokerUnavailable" => json!({"Retry-After": retry_after()}),
            _ => Value::Null,
        };
        if !headers.is_null() {
            response["headers"] = headers;
        }
        (name.to_owned(), response)
    };
    all.into_iter().map(response).collect()
}

fn invalid() -> Value {
    let (by_field, one) = (refer::<BrokerValidationProblem>(), refer::<BrokerProblem>());
    json!({
        HAL: {
            "schema": refer::<ValidationErrors>(),
            "example": {"errors": {"request.url": ["is missing"]}},
        },
        PROBLEM: {"schema": {"anyOf": [by_field, one]}},
    })
}

fn one_text() -> Value {
    let (hal, problem) = (refer::<BrokerError>(), refer::<BrokerProblem>());
    json!({HAL: {"schema": hal}, PROBLEM: {"schema": problem}})
}

fn failure() -> Value {
    let either = [refer::<BrokerProblem>(), refer::<Problem>()];
    json!({
        HAL: {"schema": refer::<BrokerFailure>()},
        PROBLEM: {"schema": {"anyOf": either}},
    })
}
