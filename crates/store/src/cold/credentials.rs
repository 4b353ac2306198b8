//! What is known of credentials: facts from answers, and probes of their values.

use std::time::Duration;

use jiff::Timestamp;
use postrider_domain::{AuditAction, AuditKind, ProbeVerdict, WebhookUuid, WhichValue};

use super::Tx;
use super::audit::Change;
use super::query::Query;
use super::row::Row;
use super::secrets::{self, info};
use super::webhooks::stored;
use crate::fault::Fault;
use crate::seal::Sealed;
use crate::{
    CredentialNews, CredentialRow, ProbeAsked, ProbeFindings, ProbeRow, ProbeTask, Store,
    StoreError, StoredWebhook, codec,
};

/// Only of secrets that are there. What GitHub did not answer says nothing of a token, and what it
/// says of an app's token holds for the hour that the token lives.
const NEWS: &str = "
insert into credential_facts
    (name, owner, scopes, expires_at, last_success_at, last_refusal_at, is_github)
select s.name, case when s.github_app is null then $2 end,
    case when s.github_app is null then $3 end, case when s.github_app is null then $4 end,
    {now-ms:$5}, {now-ms:$6}, $7
from secrets s where s.name = $1
on conflict (name) do update set
    owner = coalesce(excluded.owner, credential_facts.owner),
    scopes = case when $7 then excluded.scopes else credential_facts.scopes end,
    expires_at = case when $7 then excluded.expires_at else credential_facts.expires_at end,
    last_success_at = coalesce(excluded.last_success_at, credential_facts.last_success_at),
    last_refusal_at = coalesce(excluded.last_refusal_at, credential_facts.last_refusal_at),
    is_github = $7 or credential_facts.is_github";

const LIST: &str = concat!(
    "select ",
    secrets::columns!("s."),
    ", s.pending_at, s.previous_at, f.owner, f.scopes, f.expires_at, f.last_success_at, \
     f.last_refusal_at, coalesce(f.is_github, false) as is_github
     from secrets s left join credential_facts f on f.name = s.name order by s.name"
);

const SUCCESSES: &str = "
select w.uuid, h.last_success_at from webhook_health h join webhooks w on w.id = h.webhook_id
where h.last_success_at is not null";

const REFUSED: &str =
    "select name, held_since from lanes where hold_cause = 'credential' and held_since is not null";

/// The revision, or the number, of the value that is asked about; nothing where it is not there.
const VALUE_NO: &str = "
select github_app, case when $2 = 'pending' then pending_no else rev end as value_no from secrets
where name = $1 and ($2 = 'current' or github_app is not null
    or $2 = 'pending' and pending is not null
    or $2 = 'previous' and previous is not null)";

const ASK: &str = "
insert into credential_probes (name, which, no, value_no, is_whole, asked_at)
values ($1, $2, 1, $3, $4, {now})
on conflict (name, which) do update set
    no = credential_probes.no + 1, value_no = excluded.value_no, is_whole = excluded.is_whole,
    asked_at = excluded.asked_at, claimed_until = null, finished_at = null, verdict = null,
    result = null
returning no";

/// What was found of a pending value before this one says nothing of this one.
const PROBE: &str = "
select p.no, p.asked_at, p.finished_at, p.verdict, p.result from credential_probes p
where p.name = $1 and p.which = $2 and (p.which <> 'pending' or exists
    (select 1 from secrets s where s.name = p.name and s.pending_no = p.value_no))";

/// The oldest that nobody is at.
const TAKE: &str = "
update credential_probes set claimed_until = {now+ms:$1}
where name = $2 and which = $3 and no = $4 and finished_at is null
    and (claimed_until is null or claimed_until <= {now})";

const NEXT: &str = "
select name, which, no, is_whole from credential_probes
where finished_at is null and (claimed_until is null or claimed_until <= {now})
order by asked_at limit 1";

const SEALED: &str = "
select case $2 when 'current' then sealed when 'pending' then pending else previous end as sealed
from secrets where name = $1 and github_app is null";

/// Those whose requests carry the value.
const USERS: &str = concat!(
    "select ",
    super::webhooks::columns!(),
    " from webhooks w join lanes l on l.id = w.lane_id
     where w.state = 'enabled'
         and exists (select 1 from {each:w.secret_names} where item.value = $1)
     order by w.id limit $2"
);

const FINISH: &str = "
update credential_probes set finished_at = {now}, verdict = $4, result = $5
where name = $1 and which = $2 and no = $3";

/// The old value is of no use any more once it is refused.
const FORGET_PREVIOUS: &str =
    "update secrets set previous = null, previous_at = null where name = $1";

/// A previous value that nobody ever saw refused.
const FORGET_OLD: &str = "
update secrets set previous = null, previous_at = null where previous_at < {now-ms:$1}";

/// Values that webhooks use and nobody asked about for so long; a new one has a while first.
const DUE: &str = "
insert into credential_probes (name, which, no, value_no, is_whole, asked_at)
select s.name, 'current', 1, s.rev, false, {now} from secrets s
where s.updated_at < {now-ms:$2} and s.github_app is null
    and exists (select 1 from webhooks w
        where w.state = 'enabled'
            and exists (select 1 from {each:w.secret_names} where item.value = s.name))
    and not exists (select 1 from credential_probes p
        where p.name = s.name and p.which = 'current' and p.asked_at >= {now-ms:$1})
on conflict (name, which) do update set
    no = credential_probes.no + 1, value_no = excluded.value_no, is_whole = excluded.is_whole,
    asked_at = excluded.asked_at, claimed_until = null, finished_at = null, verdict = null,
    result = null";

/// Webhooks that one probe looks at.
const MOST: i64 = 1_000;
/// How long a value is left alone before anybody asks about it of himself.
const SETTLED: Duration = Duration::from_mins(10);
/// How long a value is kept that is not used any more.
const KEPT: Duration = Duration::from_hours(7 * 24);

impl Store {
    /// Lanes that are held because their credential was refused, and since when.
    pub async fn refused_lanes(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let rows = self.rows("refused_lanes", &Query::new(REFUSED)).await?;
        let one = |row: &Row| Ok::<_, Fault>((row.string("name")?, row.at("held_since")?));
        Ok(rows.iter().map(one).collect::<Result<_, _>>()?)
    }

    /// When something of each webhook was last accepted, to ten seconds; webhooks of which nothing
    /// was are left out.
    pub async fn last_successes(&self) -> Result<Vec<(WebhookUuid, Timestamp)>, StoreError> {
        let rows = self.rows("last_successes", &Query::new(SUCCESSES)).await?;
        let one = |row: &Row| {
            Ok::<_, Fault>((codec::webhook_uuid(row.text("uuid")?)?, row.at("last_success_at")?))
        };
        Ok(rows.iter().map(one).collect::<Result<_, _>>()?)
    }

    /// Writes what answers said of credentials.
    pub async fn save_credential_news(&self, news: &[CredentialNews]) -> Result<(), StoreError> {
        let statements = news.iter().map(written).collect::<Result<Vec<_>, Fault>>()?;
        self.change("credential_news", statements, |statements, mut tx| {
            Box::pin(async move {
                for statement in statements {
                    tx.run(statement).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// All secrets with what is known of them, by name.
    pub async fn credentials(&self) -> Result<Vec<CredentialRow>, StoreError> {
        let rows = self.rows("credentials", &Query::new(LIST)).await?;
        Ok(rows.iter().map(credential).collect::<Result<_, _>>()?)
    }

    /// Asks for a probe of a value; the one before is forgotten.
    pub async fn ask_probe(&self, name: &str, which: WhichValue) -> Result<ProbeAsked, StoreError> {
        self.change_noted("ask_probe", (name.to_owned(), which), |(name, which), mut tx| {
            Box::pin(async move {
                let find = Query::new(VALUE_NO).bind(name).bind(which.as_str());
                let Some(row) = tx.row(&find).await? else {
                    return Ok((ProbeAsked::NoValue, Vec::new()));
                };
                if row.text_opt("github_app")?.is_some() {
                    return Ok((ProbeAsked::GithubApp, Vec::new()));
                }
                let ask = Query::new(ASK).bind(name).bind(which.as_str());
                let ask = ask.bind(row.int("value_no")?).bind(true);
                let no = tx.one(&ask).await?.int("no")?;
                let change = Change::new(AuditKind::Secret, name, AuditAction::Probed)
                    .saying(format!("its {} value", which.as_str()));
                Ok((ProbeAsked::No(no), vec![change]))
            })
        })
        .await
    }

    /// How the last probe of a value stands.
    pub async fn probe(
        &self,
        name: &str,
        which: WhichValue,
    ) -> Result<Option<ProbeRow>, StoreError> {
        let find = Query::new(PROBE).bind(name).bind(which.as_str());
        let row = self.row("probe", &find).await?;
        Ok(row.as_ref().map(probe_row).transpose()?)
    }

    /// Takes the oldest probe that nobody is at, for `length`; `None` when there is none.
    pub async fn take_probe(&self, length: Duration) -> Result<Option<ProbeTask>, StoreError> {
        // Most of the time there is none: a read is enough to know.
        if self.row("next_probe", &Query::new(NEXT)).await?.is_none() {
            return Ok(None);
        }
        let taken = self.change("take_probe", length, |length, tx| Box::pin(take(*length, tx)));
        let Some((probe, sealed, webhooks)) = taken.await? else { return Ok(None) };
        let (name, which) = (probe.string("name")?, which_of(&probe)?);
        let webhooks: Result<Vec<StoredWebhook>, Fault> =
            webhooks.iter().map(|row| stored(row, self.key())).collect();
        Ok(Some(ProbeTask {
            value: self.key().open(Sealed::Secret, &name, &sealed)?,
            which,
            no: probe.int("no")?,
            is_whole: probe.is("is_whole")?,
            webhooks: webhooks?,
            name,
        }))
    }

    /// Writes what a probe found, if it is still the last one of its value. A previous value that
    /// is refused is forgotten.
    pub async fn finish_probe(
        &self,
        task: &ProbeTask,
        verdict: ProbeVerdict,
        found: &ProbeFindings,
    ) -> Result<(), StoreError> {
        let found = serde_json::to_string(found).map_err(Fault::from)?;
        let finish = Query::new(FINISH)
            .bind(&task.name)
            .bind(task.which.as_str())
            .bind(task.no)
            .bind(verdict.as_str())
            .bind(found);
        let is_dead = task.which == WhichValue::Previous && verdict == ProbeVerdict::Refused;
        let forget = is_dead.then(|| Query::new(FORGET_PREVIOUS).bind(&task.name));
        self.change("finish_probe", (finish, forget), |(finish, forget), mut tx| {
            Box::pin(async move {
                let is_last = tx.run(finish).await? > 0;
                if let Some(forget) = forget.as_ref().filter(|_| is_last) {
                    tx.run(forget).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Asks about each value in use of which nobody asked for `every`: whose it is, and when it
    /// ends. Forgets values that are not used for a week. How many are asked about.
    pub async fn ask_due_probes(&self, every: Duration) -> Result<u64, StoreError> {
        self.run("forget_previous", Query::new(FORGET_OLD).bind(KEPT)).await?;
        self.run("ask_due_probes", Query::new(DUE).bind(every).bind(SETTLED.min(every))).await
    }
}

fn written(news: &CredentialNews) -> Result<Query, Fault> {
    let github = news.github.as_ref();
    let scopes = github.and_then(|facts| facts.scopes.as_ref());
    let millis = |ago: Option<Duration>| ago.map(codec::millis);
    Ok(Query::new(NEWS)
        .bind(&news.name)
        .bind(github.and_then(|facts| facts.owner.clone()))
        .bind(scopes.map(serde_json::to_string).transpose()?)
        .bind(github.and_then(|facts| facts.expires_at))
        .bind(millis(news.succeeded))
        .bind(millis(news.refused))
        .bind(github.is_some()))
}

/// The probe, its sealed value and its webhooks. One whose value is gone is over.
async fn take(length: Duration, mut tx: Tx<'_>) -> Result<Option<(Row, String, Vec<Row>)>, Fault> {
    let Some(probe) = tx.row(&Query::new(NEXT)).await? else { return Ok(None) };
    let (name, which) = (probe.string("name")?, probe.string("which")?);
    let claim = Query::new(TAKE).bind(length).bind(&name).bind(&which).bind(probe.int("no")?);
    if tx.run(&claim).await? == 0 {
        return Ok(None);
    }
    let sealed = tx.row(&Query::new(SEALED).bind(&name).bind(&which)).await?;
    let sealed = sealed.map(|row| row.string_opt("sealed")).transpose()?.flatten();
    let Some(sealed) = sealed else {
        let gone = "delete from credential_probes where name = $1 and which = $2";
        tx.run(&Query::new(gone).bind(&name).bind(&which)).await?;
        return Ok(None);
    };
    let webhooks = tx.rows(&Query::new(USERS).bind(&name).bind(MOST)).await?;
    Ok(Some((probe, sealed, webhooks)))
}

fn which_of(row: &Row) -> Result<WhichValue, Fault> {
    Ok(codec::which_value(row.text("which")?)?)
}

fn probe_row(row: &Row) -> Result<ProbeRow, Fault> {
    Ok(ProbeRow {
        no: row.int("no")?,
        asked_at: row.at("asked_at")?,
        finished_at: row.at_opt("finished_at")?,
        verdict: row.text_opt("verdict")?.map(codec::probe_verdict).transpose()?,
        found: row.text_opt("result")?.map(serde_json::from_str).transpose()?,
    })
}

fn credential(row: &Row) -> Result<CredentialRow, Fault> {
    let scopes = row.text_opt("scopes")?.map(serde_json::from_str).transpose()?;
    Ok(CredentialRow {
        secret: info(row)?,
        owner: row.string_opt("owner")?,
        scopes,
        expires_at: row.at_opt("expires_at")?,
        last_success_at: row.at_opt("last_success_at")?,
        last_refusal_at: row.at_opt("last_refusal_at")?,
        is_github: row.is("is_github")?,
        pending_at: row.at_opt("pending_at")?,
        previous_at: row.at_opt("previous_at")?,
    })
}
