//! The relay at the broker: compared with what it should be, and made so.

use postrider_broker::{Answer, Broker, error_list, is_a_relay};
use postrider_domain::STARS;
use serde_json::Value;

use super::events::{Choice, Events, chosen, of};
use super::password::Password;
use super::relay::{Relay, remedy};
use crate::broker::failure;
use crate::broker_webhooks::{webhook_path, webhooks};
use crate::webhooks::plan::{Action, compare};
use crate::{Exit, Failure, cell, complain, printable};

/// What the relay is to be.
pub(super) struct Wish<'a> {
    pub(super) relay: &'a Relay,
    pub(super) choice: Option<&'a Choice>,
    /// What webhooks here want, as far as they could be asked.
    pub(super) wanted: Option<&'a Events>,
    pub(super) rotate: bool,
}

/// What was done at the broker, or would be.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) action: Action,
    pub(super) uuid: String,
    pub(super) events: Events,
    /// What is sent, or would be, with the token starred.
    pub(super) document: Value,
}

/// Relays of the broker to one place.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The one that is compared, and stays.
    pub(super) current: Option<Value>,
    /// Uuids of others: with them each event arrives more than once.
    pub(super) others: Vec<String>,
}

/// The relays that are there. Of several the one stays that is enabled and names itself in its URL,
/// else the first that is enabled, else the first.
pub(super) async fn find(broker: &Broker, relay: &Relay) -> Result<Found, Failure> {
    let all = webhooks(broker).await?;
    for other in all.iter().filter(|webhook| is_a_relay(webhook) && !relay.is(webhook)) {
        complain(&format!(
            "note: webhook {} relays to another address or name; delete it if that is an old one",
            printable(&cell(other, "uuid"))
        ));
    }
    let mut found: Vec<Value> = all.into_iter().filter(|webhook| relay.is(webhook)).collect();
    if found.is_empty() {
        return Ok(Found::default());
    }
    let is_enabled = |webhook: &Value| webhook["enabled"] != false;
    let names_itself = |webhook: &Value| is_enabled(webhook) && Relay::names_itself(webhook);
    let best = found.iter().position(names_itself);
    let best = best.or_else(|| found.iter().position(is_enabled)).unwrap_or_default();
    let current = found.remove(best);
    let others = found.iter().map(|webhook| cell(webhook, "uuid")).collect();
    Ok(Found { current: Some(current), others })
}

impl Found {
    /// Fails where there are several and nobody said that they may be removed.
    pub(super) fn is_one(&self, relay: &Relay, may_remove: bool) -> Result<(), Failure> {
        if self.others.is_empty() || may_remove {
            return Ok(());
        }
        let kept = self.current.as_ref().map(|webhook| cell(webhook, "uuid")).unwrap_or_default();
        let others = printable(&self.others.join(", "));
        let message = format!(
            "{} webhooks of the broker go to {}, so every event arrives as often: {}, {others}",
            self.others.len() + 1,
            relay.intake(),
            printable(&kept),
        );
        let fix = format!("add --yes to keep {} and delete {others}", printable(&kept));
        Err(Failure::new(Exit::No, message).fix(fix))
    }

    /// Removes all but the one that stays.
    pub(super) async fn remove_others(&self, broker: &Broker) -> Result<(), Failure> {
        for uuid in &self.others {
            let gone = broker.delete(&webhook_path(uuid)).await.map_err(|error| failure(&error))?;
            if gone.status.as_u16() != 404 {
                broker.ok(gone).map_err(|error| failure(&error))?;
            }
        }
        Ok(())
    }
}

impl Wish<'_> {
    /// Compares with what is there; nothing is sent.
    pub(super) fn plan(&self, current: Option<&Value>, password: &Password) -> Done {
        let starred = password.starred();
        let Some(current) = current else {
            let uuid = uuid::Uuid::now_v7().simple().to_string();
            let events = chosen(self.choice, None, self.wanted);
            let document = self.relay.document(&uuid, &events, starred);
            return Done { action: Action::Create, uuid, events, document };
        };
        let uuid = cell(current, "uuid");
        let events = chosen(self.choice, Some(&of(current)), self.wanted);
        let shown = self.beside(current, &uuid, &events, password.shown());
        let sends_anew = self.rotate && !matches!(password, Password::None);
        let action = compare(&shown, current, sends_anew);
        let document = self.beside(current, &uuid, &events, starred);
        Done { action, uuid, events, document }
    }

    /// Creates the relay, or makes the one that is there what it should be.
    pub(super) async fn carry_out(
        &self,
        broker: &Broker,
        current: Option<&Value>,
        password: &Password,
    ) -> Result<Done, Failure> {
        let mut done = self.plan(current, password);
        match (&done.action, current) {
            (Action::Create, _) => done.uuid = self.create(broker, &done, password).await?,
            (Action::Replace { differences, .. }, Some(current)) => {
                let sends = differences.iter().any(|one| one.field == "request.password");
                let kept = password.basic().map(|(username, _)| (username, STARS));
                let basic = if sends { password.basic() } else { kept };
                let document = self.beside(current, &done.uuid, &done.events, basic);
                self.put(broker, &done.uuid, &document).await?;
            }
            (Action::Replace { .. } | Action::Unchanged { .. }, _) => {}
        }
        Ok(done)
    }

    /// Under a uuid of our own, which the relay's URL names, too. A broker that makes no webhook of
    /// a given uuid gets to choose it.
    async fn create(
        &self,
        broker: &Broker,
        done: &Done,
        password: &Password,
    ) -> Result<String, Failure> {
        let document = self.relay.document(&done.uuid, &done.events, password.basic());
        let put = broker.put_json(&webhook_path(&done.uuid), &document).await;
        let answer = put.map_err(|error| failure(&error))?;
        if !matches!(answer.status.as_u16(), 404 | 405) {
            self.accepted(broker, answer)?;
            return Ok(done.uuid.clone());
        }
        let post = broker.post_json("/webhooks", &document).await;
        let created = self.accepted(broker, post.map_err(|error| failure(&error))?)?;
        let uuid = cell(&created, "uuid");
        let document = self.relay.document(&uuid, &done.events, password.basic());
        self.put(broker, &uuid, &document).await?;
        Ok(uuid)
    }

    async fn put(&self, broker: &Broker, uuid: &str, document: &Value) -> Result<(), Failure> {
        let put = broker.put_json(&webhook_path(uuid), document).await;
        self.accepted(broker, put.map_err(|error| failure(&error))?).map(drop)
    }

    /// The relay's document beside the one that is there: what people may have changed for reasons
    /// of their own is kept, and so is a password when none is given.
    fn beside(
        &self,
        current: &Value,
        uuid: &str,
        events: &Events,
        basic: Option<(&str, &str)>,
    ) -> Value {
        let mut document = self.relay.document(uuid, events, basic);
        for key in ["description", "teamUuid"] {
            if let Some(value) = current.get(key) {
                document[key] = value.clone();
            }
        }
        // The order of a list that says the same is nobody's wish.
        if of(current) == *events
            && let Some(listed) = current.get("events")
        {
            document["events"] = listed.clone();
        }
        let kept: &[&str] = if basic.is_none() { &["username", "password"] } else { &[] };
        for key in kept {
            if let Some(value) = current.pointer(&format!("/request/{key}")) {
                document["request"][*key] = value.clone();
            }
        }
        // No body and an empty object say the same to the intake.
        let has_body = current.pointer("/request/body").is_some_and(|body| !body.is_null());
        if !has_body && let Some(request) = document["request"].as_object_mut() {
            request.shift_remove("body");
        }
        document
    }

    /// The document of a successful answer; what the broker refuses is told with its own words.
    fn accepted(&self, broker: &Broker, answer: Answer) -> Result<Value, Failure> {
        if answer.status.as_u16() == 400 {
            let errors = error_list(answer.body.get("errors"));
            let message = format!("the broker refused the webhook: {}", printable(&answer.said()));
            return Err(Failure::new(Exit::No, message).fix(remedy(&errors, self.relay)));
        }
        broker.ok(answer).map_err(|error| failure(&error))
    }
}
