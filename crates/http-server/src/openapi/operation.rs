//! What the document says of one call.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams, ToSchema};

use super::schema::{Schemas, refer};

/// What a call belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Events in.
    Intake,
    /// The operations API.
    Operations,
    /// Webhooks as at a Pact Broker.
    Webhooks,
    /// Secrets as at PactFlow.
    Secrets,
    /// Health and metrics.
    Admin,
}

impl Tag {
    pub(super) const ALL: [Self; 5] =
        [Self::Intake, Self::Operations, Self::Webhooks, Self::Secrets, Self::Admin];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Operations => "operations",
            Self::Webhooks => "webhooks",
            Self::Secrets => "secrets",
            Self::Admin => "admin",
        }
    }

    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Intake => "Events in.",
            Self::Operations => "What became of them, and what to do about it.",
            Self::Webhooks => {
                "Webhooks as at a Pact Broker. Pacticipants are not stored: names are taken as \
                 given."
            }
            Self::Secrets => "Secrets as at PactFlow.",
            Self::Admin => {
                "Health and metrics of each process, at an address of their own, without a token."
            }
        }
    }

    /// What a success is answered as.
    fn content_type(self) -> &'static str {
        match self {
            Self::Intake | Self::Operations | Self::Admin => "application/json",
            Self::Webhooks | Self::Secrets => "application/hal+json",
        }
    }
}

/// What the document says of one call.
#[derive(Debug)]
pub struct Operation {
    pub(super) tag: Tag,
    pub(super) members: Map<String, Value>,
    pub(super) schemas: Schemas,
}

impl Operation {
    /// A call with a name that is its own, and what it is for in a few words.
    pub fn new(tag: Tag, id: &str, summary: &str) -> Self {
        let mut members = Map::new();
        members.insert("operationId".into(), id.into());
        members.insert("tags".into(), json!([tag.as_str()]));
        members.insert("summary".into(), summary.into());
        Self { tag, members, schemas: Schemas::default() }
    }

    /// More about it, in sentences.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        self.members.insert("description".into(), text.into());
        self
    }

    /// A schema that is referred to ([`refer`]).
    #[must_use]
    pub fn knows<T: ToSchema>(mut self) -> Self {
        self.schemas.add::<T>();
        self
    }

    /// Parameters in the query.
    #[must_use]
    pub fn query<P: IntoParams>(mut self) -> Self {
        for parameter in P::into_params(|| Some(ParameterIn::Query)) {
            self.parameter(json!(parameter));
        }
        self
    }

    /// A text in the query.
    #[must_use]
    pub fn query_text(mut self, name: &str, description: &str) -> Self {
        self.parameter(json!({
            "name": name, "in": "query", "description": description, "schema": {"type": "string"},
        }));
        self
    }

    /// A header that may be sent.
    #[must_use]
    pub fn header(mut self, name: &str, description: &str, schema: &Value) -> Self {
        self.parameter(json!({
            "name": name, "in": "header", "description": description, "schema": schema,
        }));
        self
    }

    /// A name in the path.
    #[must_use]
    pub fn path(mut self, name: &str, description: &str, schema: &Value) -> Self {
        self.parameter(json!({
            "name": name, "in": "path", "required": true, "description": description,
            "schema": schema,
        }));
        self
    }

    fn parameter(&mut self, mut parameter: Value) {
        super::schema::unwrap_lines(&mut parameter);
        let parameters = self.members.entry("parameters").or_insert_with(|| json!([]));
        if let Some(parameters) = parameters.as_array_mut() {
            parameters.push(parameter);
        }
    }

    /// JSON that it takes, with one that would do.
    #[must_use]
    pub fn takes<T: ToSchema>(self, example: impl Serialize) -> Self {
        let schema = refer::<T>();
        self.knows::<T>().takes_as("application/json", &schema, example)
    }

    /// A body of another type, or of another shape than one type.
    #[must_use]
    pub fn takes_as(mut self, content_type: &str, schema: &Value, example: impl Serialize) -> Self {
        let body = self.members.entry("requestBody");
        let body = body.or_insert_with(|| json!({"required": true, "content": {}}));
        body["content"][content_type] = json!({"schema": schema, "example": example});
        self
    }

    /// Its body may be missing.
    #[must_use]
    pub fn optional_body(mut self) -> Self {
        if let Some(body) = self.members.get_mut("requestBody") {
            body["required"] = false.into();
        }
        self
    }

    /// What it answers when all is well.
    #[must_use]
    pub fn answers<T: ToSchema>(self, status: u16, description: &str) -> Self {
        let schema = refer::<T>();
        let content_type = self.tag.content_type();
        self.knows::<T>().answers_as(status, description, content_type, &schema)
    }

    /// An answer of another type, or of another shape than one type. A status may have several.
    #[must_use]
    pub fn answers_as(
        self,
        status: u16,
        description: &str,
        content_type: &str,
        schema: &Value,
    ) -> Self {
        let mut operation = self.answers_nothing(status, description);
        let content = json!({"schema": schema});
        if let Some(response) = operation.response(status) {
            response["content"][content_type] = content;
        }
        operation
    }

    /// An answer without a body; a refusal by our own API is a problem document all the same.
    #[must_use]
    pub fn answers_nothing(mut self, status: u16, description: &str) -> Self {
        let responses = self.members.entry("responses").or_insert_with(|| json!({}));
        if let Some(responses) = responses.as_object_mut() {
            let response = responses.entry(status.to_string()).or_insert_with(|| json!({}));
            response["description"] = description.into();
        }
        self
    }

    /// One such answer of the first content type.
    #[must_use]
    pub fn example(mut self, status: u16, example: impl Serialize) -> Self {
        let content =
            self.response(status).and_then(|response| response["content"].as_object_mut());
        if let Some(content) = content.and_then(|content| content.values_mut().next()) {
            content["example"] = json!(example);
        }
        self
    }

    /// A header of such an answer.
    #[must_use]
    pub fn answers_header(mut self, status: u16, name: &str, description: &str) -> Self {
        if let Some(response) = self.response(status) {
            response["headers"][name] =
                json!({"description": description, "schema": {"type": "string"}});
        }
        self
    }

    /// A refusal that only this kind of call has, by the name under which several share it.
    #[must_use]
    pub fn refuses(mut self, status: u16, refusal: &str) -> Self {
        let responses = self.members.entry("responses").or_insert_with(|| json!({}));
        responses[status.to_string()] = shared_refusal(refusal);
        self
    }

    fn response(&mut self, status: u16) -> Option<&mut Value> {
        self.members.get_mut("responses")?.get_mut(status.to_string())
    }
}

/// A reference to a refusal that several calls share.
pub(super) fn shared_refusal(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}
