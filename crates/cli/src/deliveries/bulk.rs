//! `postrider deliveries replay` and `discard`: what they would do, and doing it.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use postrider_api::{
    DeliveryDetail, DeliveryFilter, DeliveryList, DiscardPlan, DiscardRequest, ReplayLane,
    ReplayPlan, ReplayRequest,
};
use postrider_domain::{DeliveryId, counted};
use serde::Serialize;
use uuid::Uuid;

use super::args::{BulkArgs, ReplayArgs};
use crate::pages::read;
use crate::{Api, Connection, Exit, Failure, Format, Out, complain, follow, seconds};

/// Beginnings of ids that are looked up at a time.
const PARALLEL: usize = 8;

/// Sends them again and, where that was asked for, follows them.
pub(super) async fn replay(
    args: ReplayArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let ReplayArgs { bulk: which, forget_marks, wait } = args;
    let act = Act::Replay { forget_marks };
    if wait.wait && !which.yes {
        return Err(Failure::usage("--wait waits for what is sent: it needs --yes").into());
    }
    if which.resume.is_none() || wait.wait {
        names_some(&which, act)?;
    }
    let api = connect(&which.connection)?;
    let format = which.output.format();
    let which = Which::of(&api, which).await?;
    if !wait.wait {
        return Ok(bulk(&api, &which, act, out).await?);
    }
    let followed = named(&api, &which).await?;
    let exit = bulk(&api, &which, act, out).await?;
    let ended = follow::to_the_end(&api, followed, wait.timeout).await?;
    match format {
        Format::Json => complain(&serde_json::to_string(&ended)?),
        Format::Table => ended.print(out),
    }
    Ok(if exit == Exit::Fine { ended.exit() } else { exit })
}

/// Discards them.
pub(super) async fn discard(
    args: BulkArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    if args.resume.is_none() {
        names_some(&args, Act::Discard)?;
    }
    let api = connect(&args.connection)?;
    let which = Which::of(&api, args).await?;
    Ok(bulk(&api, &which, Act::Discard, out).await?)
}

/// Which deliveries, each by its whole id.
#[derive(Debug)]
struct Which {
    ids: Vec<DeliveryId>,
    args: BulkArgs,
}

impl Which {
    /// Looks up those of which only the beginning is given.
    async fn of(api: &Api, args: BulkArgs) -> Result<Self, Failure> {
        let whole = |text: &String| {
            let text = text.clone();
            async move {
                if let Ok(id) = text.parse::<DeliveryId>() {
                    return Ok(id);
                }
                let path = ["api", "v1", "deliveries", &text];
                let found: Result<DeliveryDetail, Failure> = api.get(&path, &[]).await;
                found.map(|found| found.id).map_err(|mut failure| {
                    failure.message = format!("{text}: {}", failure.message);
                    failure
                })
            }
        };
        let ids = stream::iter(args.ids.iter().map(whole)).buffered(PARALLEL);
        let ids = ids.try_collect().await?;
        Ok(Self { ids, args })
    }
}

/// Those that ids and filter name before anything is done.
async fn named(api: &Api, which: &Which) -> Result<Vec<DeliveryId>, Failure> {
    let Which { ids, args } = which;
    let filter = args.filter.words().given();
    if filter.is_empty() {
        return Ok(ids.clone());
    }
    let most = u32::try_from(follow::MOST).unwrap_or(u32::MAX);
    let (rows, next) = read::<DeliveryList>(api, "deliveries", &filter, most).await?;
    if next.0.is_some() {
        let what = format!("more than {most} deliveries are too many to wait for");
        return Err(Failure::usage(what).fix("leave --wait out, or narrow the filter"));
    }
    let is_asked = |id: &DeliveryId| ids.is_empty() || ids.contains(id);
    Ok(rows.into_iter().map(|row| row.id).filter(is_asked).collect())
}

/// What is done to many deliveries.
#[derive(Debug, Clone, Copy)]
enum Act {
    Replay { forget_marks: bool },
    Discard,
}

/// What such an act does, or would do.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Plan {
    Replay(ReplayPlan),
    Discard(DiscardPlan),
}

impl Plan {
    fn done(&self) -> u64 {
        match self {
            Self::Replay(plan) => plan.done,
            Self::Discard(plan) => plan.done,
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Self::Replay(plan) => plan.finished,
            Self::Discard(plan) => plan.finished,
        }
    }

    fn lanes(&self) -> &[ReplayLane] {
        match self {
            Self::Replay(plan) => &plan.lanes,
            Self::Discard(plan) => &plan.lanes,
        }
    }

    /// Deliveries that were asked for and are not touched, and why.
    fn left_alone(&self) -> Vec<(u64, &'static str)> {
        match self {
            Self::Replay(plan) => vec![
                (plan.open, "not touched: on their way already"),
                (plan.without_webhook, "not touched: their webhook is deleted or disabled"),
            ],
            Self::Discard(plan) => {
                vec![(plan.not_waiting, "not touched: they are being sent, or are final")]
            }
        }
    }

    /// Deliveries that the call knew of.
    fn known(&self) -> u64 {
        let touched: u64 = self.lanes().iter().map(|lane| lane.deliveries).sum();
        touched + self.left_alone().iter().map(|(count, _)| count).sum::<u64>()
    }
}

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// To be told what would be done.
    Plan,
    /// To begin, under this id.
    Begin(Uuid),
    /// To go on with what has this id.
    Resume(Uuid),
}

impl Asked {
    /// What the first call asks for; `id` is the act's own.
    fn first(args: &BulkArgs, id: Uuid) -> Self {
        match (args.resume, args.yes) {
            (Some(resumed), _) => Self::Resume(resumed),
            (None, true) => Self::Begin(id),
            (None, false) => Self::Plan,
        }
    }
}

impl Act {
    async fn call(self, api: &Api, which: &Which, asked: Asked) -> Result<Plan, Failure> {
        let given = &which.ids;
        let (id, resume, dry_run) = match asked {
            Asked::Plan => (None, None, Some(true)),
            Asked::Begin(id) => (Some(id), None, Some(false)),
            Asked::Resume(id) => (None, Some(id), None),
        };
        let (ids, filter) = match asked {
            Asked::Resume(_) => (None, DeliveryFilter::default()),
            Asked::Plan | Asked::Begin(_) => {
                ((!given.is_empty()).then(|| given.clone()), which.args.filter.words())
            }
        };
        match self {
            Self::Replay { forget_marks } => {
                let forget_marks = resume.is_none().then_some(forget_marks);
                let request = ReplayRequest { ids, dry_run, forget_marks, id, resume, filter };
                let path = ["api", "v1", "deliveries", "replay"];
                Ok(Plan::Replay(api.post(&path, &request).await?))
            }
            Self::Discard => {
                let request = DiscardRequest { ids, dry_run, id, resume, filter };
                let path = ["api", "v1", "deliveries", "discard"];
                Ok(Plan::Discard(api.post(&path, &request).await?))
            }
        }
    }
}

async fn bulk(api: &Api, which: &Which, act: Act, out: &mut Out) -> Result<Exit, Failure> {
    let args = &which.args;
    let acts = args.yes || args.resume.is_some();
    // Known before the first call: whoever is interrupted in it can go on, too.
    let id = args.resume.unwrap_or_else(Uuid::now_v7);
    if acts {
        match args.output.format() {
            Format::Table => out.line(format_args!("id {id}")),
            Format::Json => {
                complain(&format!("id {id}: after an interruption goes on by --resume"));
            }
        }
    }
    let mut plan = act.call(api, which, Asked::first(args, id)).await?;
    let mut known = plan.known();
    while acts && !plan.is_finished() {
        if args.output.format() == Format::Table {
            let done = plan.done();
            out.line(format_args!(
                "{done} so far; goes on, after an interruption by --resume {id}"
            ));
        }
        plan = act.call(api, which, Asked::Resume(id)).await?;
        known += plan.known();
    }
    match args.output.format() {
        Format::Json => out.json(&plan),
        Format::Table => print_plan(&plan, act, acts, out),
    }
    let all_known = known >= which.ids.len() as u64;
    Ok(if all_known { Exit::Fine } else { Exit::No })
}

fn names_some(args: &BulkArgs, act: Act) -> Result<(), Failure> {
    if !args.ids.is_empty() || !args.filter.words().given().is_empty() {
        return Ok(());
    }
    let (what, example) = match act {
        Act::Replay { .. } => ("replay", "--status failed --since 2h"),
        Act::Discard => ("discard", "--lane api.github.com/old"),
    };
    Err(Failure::usage(format!("{what} needs to know which deliveries"))
        .fix(format!("give ids or a filter, e.g. {example}")))
}

fn print_plan(plan: &Plan, act: Act, acted: bool, out: &mut Out) {
    let row = |lane: &ReplayLane| {
        let drain = lane.drain_seconds.map(|needed| Duration::from_secs(needed).as_secs_f64());
        let drain = drain.map_or("-".to_owned(), seconds);
        vec![lane.lane.clone(), lane.deliveries.to_string(), drain]
    };
    let (nothing, done, wish) = match act {
        Act::Replay { .. } => ("nothing to send again", "are sent again", "send them again"),
        Act::Discard => ("nothing to discard", "are discarded", "discard them"),
    };
    let lanes = plan.lanes();
    out.table(&["lane", "deliveries", "needs"], lanes.iter().map(row).collect(), nothing);
    for (count, what) in plan.left_alone().into_iter().filter(|(count, _)| *count > 0) {
        out.line(format_args!("{count} {what}"));
    }
    if acted {
        let (count, is_one) = (plan.done(), plan.done() == 1);
        let done = if is_one { done.replacen("are", "is", 1) } else { done.to_owned() };
        out.line(format_args!("{} {done}", counted(count, "delivery", "deliveries")));
    } else if !lanes.is_empty() {
        out.line(format_args!("nothing was done yet: add --yes to {wish}"));
    }
}
