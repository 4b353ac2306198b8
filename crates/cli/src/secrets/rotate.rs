//! `postrider secrets rotate`: one value takes another's place, in steps of which each can be
//! repeated.
//!
//! The server keeps how far it came: a value that is pending, or in use already. So the command
//! can be killed anywhere and started again with the same value, or with none while one is pending.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use postrider_api::{
    Credential, FollowingValue, PendingSet, SecretProbe, SecretSet, SwitchRequest,
};
use postrider_domain::{ProbeVerdict, WhichValue, counted, parse_duration, suggested_token_name};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::time::Instant;

use super::drain::{Seen, Users};
use super::probe::{self, drop_pending, no_app};
use super::value::{Source, name, value, value_if_any};
use crate::{Api, Body, Connection, Exit, Failure, Format, Out, OutputArgs, complain, printable};

/// The pause between two looks at what waits.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a worker may take for a probe.
const PROBE_WITHIN: Duration = Duration::from_mins(2);

/// Which secret, and its new value.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Name of the secret
    #[arg(value_parser = name)]
    name: String,
    #[command(flatten)]
    source: Source,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Try the new value and switch nothing
    #[arg(long)]
    rehearse: bool,
    /// Switch although the owner differs or a probe does not find the new value good
    #[arg(long)]
    force: bool,
    /// How long to watch what waited
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    wait: Duration,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Story {
    name: String,
    rehearsed: bool,
    switched: bool,
    rev: Option<i64>,
    lanes_opened: Vec<String>,
    owner_before: Option<String>,
    probe: Option<SecretProbe>,
    waiting: u64,
    drained: bool,
    old_value: Option<&'static str>,
}

/// Carries it out.
pub(super) async fn run(
    api: &Api,
    args: &RotateArgs,
    env: &BTreeMap<String, String>,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let before = credential(api, &args.name).await?;
    no_app(&before)?;
    let mut rotation = Rotation { api, args, out, story: Story::default() };
    rotation.story.name.clone_from(&args.name);
    rotation.story.owner_before = owner(api, &before).await;
    let is_pending = rotation.prepare(&before, env).await?;
    let mut exit = Exit::Fine;
    if is_pending {
        if let Some(refused) = rotation.try_out().await? {
            exit = refused;
        } else {
            rotation.switch().await?;
        }
    } else {
        rotation.try_again().await?;
    }
    if rotation.story.switched || !is_pending {
        exit = rotation.drain(&before).await?;
        rotation.old_value().await?;
    }
    let Rotation { story, out, .. } = rotation;
    if args.output.format() == Format::Json {
        out.json(&story);
    }
    Ok(exit)
}

async fn credential(api: &Api, name: &str) -> Result<Credential, Failure> {
    probe::credential(api, name).await?.ok_or_else(|| {
        Failure::new(Exit::No, format!("there is no secret {name}"))
            .fix(format!("set its first value with `postrider secrets set {name}`"))
    })
}

/// Whose the value in use is; a probe learns it of one that is not known dead.
async fn owner(api: &Api, before: &Credential) -> Option<String> {
    let is_dead = before.last_refusal_at > before.last_success_at;
    if before.owner.is_some() || is_dead || before.used_by.webhooks.is_empty() {
        return before.owner.clone();
    }
    let probe = probe::ask(api, &before.name, WhichValue::Current, PROBE_WITHIN).await.ok()?;
    probe.found?.owner
}

/// What to do at GitHub first.
fn advice(today: Timestamp) -> String {
    let name = suggested_token_name(today);
    format!(
        "At GitHub, as the machine user that owns the old one, make a token named {name} with the \
         scope repo; then give it here."
    )
}

/// A rotation under way.
struct Rotation<'r> {
    api: &'r Api,
    args: &'r RotateArgs,
    out: &'r mut Out,
    story: Story,
}

impl Rotation<'_> {
    fn say(&mut self, line: &str) {
        if self.args.output.format() == Format::Table {
            self.out.line(printable(line));
        }
    }

    fn path<'a>(&'a self, end: &'a str) -> [&'a str; 5] {
        ["api", "v1", "secrets", &self.args.name, end]
    }

    /// Sets the new value beside the old one; `false` when it is in use already.
    async fn prepare(
        &mut self,
        before: &Credential,
        env: &BTreeMap<String, String>,
    ) -> Result<bool, Failure> {
        let (name, source) = (&self.args.name, &self.args.source);
        let given = if before.pending.is_some() {
            value_if_any(name, source, env)?
        } else {
            if source.is_terminal() {
                complain(&advice(Timestamp::now()));
            }
            Some(value(name, source, env)?)
        };
        let Some(given) = given else {
            let since = before.pending.map(|pending| pending.since.to_string());
            self.say(&format!("1. A value waits since {}: going on.", since.unwrap_or_default()));
            return Ok(true);
        };
        let body = FollowingValue { value: given.expose_secret().to_owned() };
        let body =
            serde_json::to_value(&body).map_err(|error| Failure::usage(error.to_string()))?;
        let path = self.path("pending");
        let set: PendingSet = self.api.send(Method::PUT, &path, Body::Json(&body)).await?;
        for warning in &set.warnings {
            complain(&format!("warning: {warning}"));
        }
        match set.pending_since {
            Some(_) => self.say("1. The new value is kept beside the old one."),
            None => self.say("1. The new value is in use already."),
        }
        Ok(set.pending_since.is_some())
    }

    /// Compares owners and reads every repository; how it ends when nothing is to be switched.
    async fn try_out(&mut self) -> Result<Option<Exit>, Failure> {
        let (api, args) = (self.api, self.args);
        let probe = probe::ask(api, &args.name, WhichValue::Pending, PROBE_WITHIN).await?;
        self.say(&format!("2. Tried: {}.", probe::sentence(probe.verdict)));
        if args.output.format() == Format::Table {
            probe::print(&probe, self.out);
        }
        let owner = probe.found.as_ref().and_then(|found| found.owner.clone());
        let stranger = match (&self.story.owner_before, &owner) {
            (Some(before), Some(owner)) if !before.eq_ignore_ascii_case(owner) => {
                Some(format!("it belongs to {owner}, the one in use to {before}"))
            }
            _ => None,
        };
        // Where no read can try it there is no probe that could fail: what it is worth shows in use.
        let is_untried = probe.verdict == Some(ProbeVerdict::Nothing) && !args.rehearse;
        let found = if is_untried { Exit::Fine } else { probe::exit(probe.verdict) };
        self.story.probe = Some(probe);
        let refused = match (&stranger, found) {
            (None, Exit::Fine) => None,
            (Some(_), Exit::Fine) => Some(Exit::No),
            (_, exit) => Some(exit),
        };
        if let Some(stranger) = &stranger {
            self.say(&format!("   Its owner is another: {stranger}."));
        }
        if args.rehearse {
            drop_pending(api, &args.name).await?;
            self.story.rehearsed = true;
            self.say("   A rehearsal: nothing was switched, and the new value is forgotten.");
            return Ok(Some(refused.unwrap_or(Exit::Fine)));
        }
        if refused.is_some() && !args.force {
            self.say("   Nothing was switched; the new value stays beside the old one. Mend it and run this again, or say --force.");
            return Ok(refused);
        }
        Ok(None)
    }

    /// What the value that is in use is worth now, whatever it was refused before.
    async fn try_again(&mut self) -> Result<(), Failure> {
        let (api, name) = (self.api, self.args.name.as_str());
        let probe = probe::ask(api, name, WhichValue::Current, PROBE_WITHIN).await?;
        self.say(&format!("2. Tried again: {}.", probe::sentence(probe.verdict)));
        if self.args.output.format() == Format::Table {
            probe::print(&probe, self.out);
        }
        self.story.probe = Some(probe);
        Ok(())
    }

    async fn switch(&mut self) -> Result<(), Failure> {
        let tried = self.story.probe.as_ref().and_then(|probe| probe.verdict);
        let is_untried = tried == Some(ProbeVerdict::Nothing);
        let force = (self.args.force && tried != Some(ProbeVerdict::Ok)) || is_untried;
        let order = SwitchRequest { reason: self.args.reason.clone(), force: Some(force) };
        let set: SecretSet = self.api.post(&self.path("switch"), &order).await?;
        self.say(&format!("3. Switched: revision {} is in use.", set.rev));
        for lane in &set.lanes_opened {
            self.say(&format!("   Lane {lane} is open."));
        }
        self.story.switched = true;
        (self.story.rev, self.story.lanes_opened) = (Some(set.rev), set.lanes_opened);
        Ok(())
    }

    /// Watches until nothing waits for it.
    async fn drain(&mut self, before: &Credential) -> Result<Exit, Failure> {
        let until = Instant::now() + self.args.wait;
        let users = Users::of(before);
        loop {
            let Seen { waiting, refused, .. } = users.look(self.api).await?;
            self.story.waiting = waiting;
            if waiting == 0 {
                self.story.drained = true;
                self.say("4. Nothing waits for it any more.");
                return Ok(Exit::Fine);
            }
            if let Some(lane) = refused {
                let is_good = !self.story.switched
                    && self.story.probe.as_ref().and_then(|probe| probe.verdict)
                        == Some(ProbeVerdict::Ok);
                self.say(&if is_good {
                    format!(
                        "4. Lane {lane} is still held, although the value is taken now: its next \
                         probe opens it, or `postrider lanes release {lane}` does."
                    )
                } else {
                    format!("4. Lane {lane} is held: the new value is refused too.")
                });
                return Ok(if is_good { Exit::No } else { Exit::Credential });
            }
            if Instant::now() >= until {
                let many = counted(waiting, "delivery", "deliveries");
                self.say(&format!("4. Still waiting: {many}; see `postrider lanes list`."));
                return Ok(Exit::No);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Says whether the old value is still good.
    async fn old_value(&mut self) -> Result<(), Failure> {
        let (api, name) = (self.api, self.args.name.as_str());
        let (word, line) = match probe::ask(api, name, WhichValue::Previous, PROBE_WITHIN).await {
            Ok(probe) => match probe.verdict {
                Some(ProbeVerdict::Refused) => ("refused", "The old value is refused."),
                Some(ProbeVerdict::Ok | ProbeVerdict::Insufficient) => (
                    "accepted",
                    "The old value is still taken: delete it at GitHub, then look with \
                     `postrider secrets probe NAME --which previous`.",
                ),
                Some(ProbeVerdict::Limited | ProbeVerdict::Unknown | ProbeVerdict::Nothing)
                | None => ("unknown", "Whether the old value is refused is not known."),
            },
            Err(failure) if failure.exit == Exit::No => {
                ("gone", "The old value is not kept: it was seen refused, or there was none.")
            }
            Err(failure) => return Err(failure),
        };
        self.story.old_value = Some(word);
        self.say(&format!("5. {}", line.replace("NAME", name)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_new_token_has_the_day() {
        let told = advice("2026-11-29T12:00:00Z".parse().unwrap());
        assert!(told.contains("pactflow-webhook-2026-11-29 "), "{told}");
    }
}
