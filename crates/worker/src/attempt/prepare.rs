//! Everything a request is made from, and why there is none.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use postrider_domain::{Answer, Classified, Event, FailedRule, RetryPolicy, Target, by_own_rule};
use postrider_http_client::{Reply, Trouble};
use postrider_render::{RenderError, RenderedRequest, Signer, Variables};
use postrider_store::Claim;
use postrider_telemetry::TRACEPARENT;

use super::made::{Made, Story};
use super::{Context, HeldClaim};
use crate::app_tokens::{Equipped, InUse, Unequipped, equip};
use crate::cache::{Prepared, Unsealed};
use crate::traced::Traced;
use crate::{WorkerConfig, log, policy};

pub(super) enum NotReady {
    StoreAway,
    Unreadable(String),
    /// The webhook has left the lane whose permit this is: another's limit would not know of the
    /// request (LANE_JOIN).
    Moved,
    /// A token of an app comes too late for this claim.
    TokenLate,
    LocalTrouble(Trouble),
    /// An attempt at which nothing was sent.
    Unsendable(Box<(Ready, Made<'static>)>),
}

/// Everything that a request is rendered from.
pub(super) struct Ready {
    pub(super) prepared: Arc<Prepared>,
    pub(super) unsealed: Arc<Unsealed>,
    pub(super) event: Event,
    /// Tokens of apps among the values.
    pub(super) used: Vec<InUse>,
}

pub(super) async fn prepare(context: &Context, held: &HeldClaim) -> Result<Ready, NotReady> {
    let claim = &held.claim;
    let event: Event = serde_json::from_str(&claim.event)
        .map_err(|error| NotReady::Unreadable(format!("the stored event: {error}")))?;
    let store_away = |error: postrider_store::StoreError| match error {
        postrider_store::StoreError::Corrupt(what) => NotReady::Unreadable(what),
        other => {
            tracing::warn!(delivery_id = %claim.id, error = %other, "delivery.not_prepared");
            NotReady::StoreAway
        }
    };
    let prepared = context.cache.prepared(claim).await.map_err(store_away)?;
    if !prepared.is_of(claim.lane_id) {
        return Err(NotReady::Moved);
    }
    let unsealed = context.cache.unsealed(claim, &prepared).await.map_err(store_away)?;
    let ready = Ready { prepared, unsealed, event, used: Vec::new() };
    if ready.unsealed.apps.is_empty() { Ok(ready) } else { ready.equipped(context, held).await }
}

/// A request that may leave, and where it goes: what measures, reads and judges its answer.
pub(crate) struct Sendable {
    pub(crate) request: RenderedRequest,
    pub(crate) target: Target,
}

impl Sendable {
    /// A rendered request of this webhook.
    pub(crate) fn new(
        request: RenderedRequest,
        prepared: &Prepared,
        config: &WorkerConfig,
    ) -> Self {
        let target = Target::of(&request.url, &config.github_hosts, prepared.has_credential());
        Self { request, target }
    }
}

impl Ready {
    fn variables<'a>(&'a self, claim: &Claim) -> Variables<'a> {
        let event_name = self.event.event_name.as_str();
        Variables { event: &self.event, event_name, delivery_id: claim.id }
    }

    /// With tokens of apps in the place of their secrets, as long as the claim permits to wait.
    async fn equipped(self, context: &Context, held: &HeldClaim) -> Result<Self, NotReady> {
        let of = (&context.tokens, &context.cache, &context.config);
        let unsealed = Arc::clone(&self.unsealed);
        let variables = self.variables(&held.claim);
        let equipped = equip(of, &self.prepared, unsealed, &variables, held.time_left()).await;
        let (unsendable, target) = match equipped {
            Ok(Equipped { unsealed, used }) => return Ok(Self { unsealed, used, ..self }),
            Err(Unequipped::NotInTime) => return Err(NotReady::TokenLate),
            Err(Unequipped::Local(trouble)) => return Err(NotReady::LocalTrouble(trouble)),
            Err(Unequipped::Unusable(name, why)) => {
                (Unsendable::Secret { name, is_missing: false, why }, None)
            }
            Err(Unequipped::Render(error)) => (Unsendable::from_render(error), None),
            Err(Unequipped::Failed { target, answer, why }) => {
                let why = self.unsealed.redactor.redact(&why).into_owned();
                (Unsendable::Token { answer, why }, Some(target))
            }
        };
        Err(NotReady::Unsendable(Box::new((self, Made { target, ..unsendable.made() }))))
    }

    /// Renders and asks the policies; a refusal is an attempt at which nothing was sent.
    pub(super) fn render(
        &self,
        claim: &Claim,
        config: &WorkerConfig,
        traced: &Traced,
    ) -> Result<Sendable, Unsendable> {
        let variables = self.variables(claim);
        let rendered =
            self.prepared.request.render(&variables, &self.unsealed.values, &config.user_agent);
        let mut request = rendered.map_err(Unsendable::from_render)?;
        self.signer().map_err(Unsendable::from_render)?;
        policy::check(&request, config).map_err(Unsendable::Blocked)?;
        if let Ok(value) = traced.request.to_traceparent().parse() {
            request.headers.insert(TRACEPARENT, value);
        }
        Ok(Sendable::new(request, &self.prepared, config))
    }

    /// What signs the webhook's requests; `None` when nothing does.
    fn signer(&self) -> Result<Option<Signer>, RenderError> {
        let signing = self.prepared.extensions().signing.as_ref();
        signing.map(|signing| Signer::new(signing, &self.unsealed.values)).transpose()
    }

    /// Signs a request that is about to be sent. [`render`](Self::render) refuses one that can't
    /// be signed.
    pub(super) fn sign(&self, claim: &Claim, request: &mut RenderedRequest) {
        if let Ok(Some(signer)) = self.signer() {
            signer.sign(request, claim.id, Timestamp::now().as_second());
        }
    }

    /// The webhook's own schedule, else the setting's.
    pub(super) fn retry<'a>(&'a self, config: &'a WorkerConfig) -> &'a RetryPolicy {
        self.prepared.extensions().retry.as_ref().unwrap_or(&config.retry)
    }

    /// The codes that the webhook's own rule calls a success.
    pub(super) fn success_codes(&self) -> &[u16] {
        let rule = self.prepared.extensions().success.as_ref();
        rule.and_then(|rule| rule.codes.as_deref()).unwrap_or_default()
    }

    /// Whether what was sent can be made again from event and webhook alone.
    pub(super) fn can_be_rendered_again(&self) -> bool {
        self.prepared.extensions().signing.is_none()
    }

    /// What an attempt comes to by the webhook's own rule for a success.
    pub(super) fn judged(
        &self,
        classified: Classified,
        story: &Story<'_>,
    ) -> (Classified, Option<FailedRule>) {
        match (&self.prepared.extensions().success, story) {
            (Some(rule), Story::Answered { status, headers, body, .. }) => {
                let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                by_own_rule(classified, rule, status.as_u16(), content_type, body)
            }
            (Some(_), Story::Unsent(_) | Story::Unanswered { .. }) | (None, _) => {
                (classified, None)
            }
        }
    }

    /// What the answer says beside its meaning.
    pub(super) fn measure(&self, context: &Context, target: Target, reply: &Reply) {
        if let Reply::Answered { headers, .. } = reply
            && postrider_github::is_answer_of_github(target, headers)
        {
            log::measure_github(&context.metrics, &self.prepared, headers);
        }
    }
}

/// Why nothing was sent.
pub(super) enum Unsendable {
    /// A secret has no value, or none that can stand there.
    Secret {
        name: String,
        is_missing: bool,
        why: String,
    },
    Render(String),
    Blocked(String),
    /// There is no token of an app.
    Token {
        answer: Answer,
        why: String,
    },
}

impl Unsendable {
    fn from_render(error: RenderError) -> Self {
        let why = error.to_string();
        match error {
            RenderError::SecretMissing { name } => Self::Secret { name, is_missing: true, why },
            RenderError::SecretUnusable { name, .. } => {
                Self::Secret { name, is_missing: false, why }
            }
            _ => Self::Render(why),
        }
    }

    pub(super) fn made(self) -> Made<'static> {
        let (answer, lacks, why) = match self {
            Self::Secret { name, is_missing: true, why } => {
                (Answer::SecretMissing, Some(name), why)
            }
            Self::Secret { name, is_missing: false, why } => {
                (Answer::SecretUnusable, Some(name), why)
            }
            Self::Render(why) => (Answer::RenderFailed, None, why),
            Self::Blocked(why) => (Answer::Blocked, None, why),
            Self::Token { answer, why } => (answer, None, why),
        };
        Made {
            answer,
            target: None,
            lacks,
            asks_too_long: false,
            started_at: Timestamp::now(),
            duration: Duration::ZERO,
            status_code: None,
            github_request_id: None,
            story: Story::Unsent(why),
            span: None,
        }
    }
}
