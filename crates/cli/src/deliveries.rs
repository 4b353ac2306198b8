//! `postrider deliveries`.

mod args;
mod last;
mod tail;

use std::time::Duration;

use clap::Subcommand;
use postrider_api::{
    Attempt, Delivery, DeliveryDetail, DeliveryFilter, DeliveryList, DiscardPlan, DiscardRequest,
    ReplayLane, ReplayPlan, ReplayRequest,
};
use postrider_domain::DeliveryId;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::pages::{read, read_from};
use super::{Api, follow};
use crate::{Connection, Exit, Failure, Format, Out, cell_of, complain, printable, seconds};
use args::{BulkArgs, ListArgs, ReplayArgs, ShowArgs, TailArgs};

pub(crate) use last::last;
pub use tail::run as tail;

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// List deliveries, newest first
    #[command(
        after_help = "Example:\n  postrider deliveries list --status held --provider Orders --since 3d"
    )]
    List(ListArgs),
    /// Show a delivery with its event and attempts
    #[command(
        after_help = "Example:\n  postrider deliveries show 01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e"
    )]
    Show(ShowArgs),
    /// Follow deliveries as they change, until Ctrl-C
    #[command(
        after_help = "Example:\n  postrider deliveries tail --provider billing\n\nWith -o json each line is the delivery as the list has it. A lost connection is made again, and what\nhappened meanwhile is told; what was too much for that is said on standard error."
    )]
    Tail(TailArgs),
    /// Send finished deliveries again
    #[command(
        after_help = "Example:\n  postrider deliveries replay --status failed --since 2h --yes\n\nWithout --yes it says what it would do and how long the lanes need for it."
    )]
    Replay(ReplayArgs),
    /// Discard deliveries that wait
    #[command(
        after_help = "Example:\n  postrider deliveries discard --lane api.github.com/old --yes\n\nWithout --yes it says what it would do."
    )]
    Discard(BulkArgs),
}

/// Carries it out.
pub async fn run(
    command: DeliveriesCommand,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    match command {
        DeliveriesCommand::List(args) => {
            let api = connect(&args.connection)?;
            let words = args.filter.words();
            let filter: Vec<_> =
                words.given().map(|(name, value)| (name, value.to_owned())).collect();
            let (deliveries, next) =
                read_from::<DeliveryList>(&api, "deliveries", &filter, args.cursor, args.limit)
                    .await?;
            match args.output.format() {
                Format::Json => out.json(&json!({"deliveries": deliveries, "next": next})),
                Format::Table => {
                    print_list(&deliveries, out);
                    out.more(deliveries.len(), next.0.as_deref());
                }
            }
            Ok(Exit::Fine)
        }
        DeliveriesCommand::Show(args) => {
            let path = ["api", "v1", "deliveries", &args.id];
            let answer: DeliveryDetail = connect(&args.connection)?.get(&path, &[]).await?;
            match args.output.format() {
                Format::Json => out.json(&answer),
                Format::Table => print_one(&answer, out),
            }
            Ok(Exit::Fine)
        }
        DeliveriesCommand::Tail(args) => tail(&args, connect, out).await,
        DeliveriesCommand::Replay(args) => replay(args, connect, out).await,
        DeliveriesCommand::Discard(args) => bulk(args, Act::Discard, connect, out).await,
    }
}

fn print_list(deliveries: &[Delivery], out: &mut Out) {
    let row = |delivery: &Delivery| {
        vec![
            delivery.id.to_string(),
            delivery.created_at.to_string(),
            delivery.event_name.to_string(),
            cell_of(Some(&delivery.consumer)),
            cell_of(Some(&delivery.provider)),
            delivery.status.to_string(),
            delivery.attempts.to_string(),
            last(delivery.last_outcome, delivery.last_status_code),
            cell_of(delivery.next_attempt_at),
            cell_of(Some(&delivery.lane)),
        ]
    };
    out.table(
        &[
            "id", "created", "event", "consumer", "provider", "status", "attempts", "last", "next",
            "lane",
        ],
        deliveries.iter().map(row).collect(),
        "no deliveries",
    );
}

fn print_one(delivery: &DeliveryDetail, out: &mut Out) {
    let fields = [
        ("id", delivery.id.to_string()),
        ("status", delivery.status.to_string()),
        ("lane", cell_of(Some(&delivery.lane))),
        ("webhook_uuid", delivery.webhook_uuid.to_string()),
        ("event_name", delivery.event_name.to_string()),
        ("event_id", delivery.event_id.to_string()),
        ("broker", cell_of(Some(&delivery.broker))),
        ("consumer", cell_of(Some(&delivery.consumer))),
        ("provider", cell_of(Some(&delivery.provider))),
        ("created_at", delivery.created_at.to_string()),
        ("updated_at", delivery.updated_at.to_string()),
        ("next_attempt_at", cell_of(delivery.next_attempt_at)),
        ("event", delivery.event.to_string()),
    ];
    for (key, value) in fields {
        out.line(format_args!("{key:<16} {}", printable(&value)));
    }
    out.line("");
    let row = |attempt: &Attempt| {
        vec![
            attempt.number.to_string(),
            attempt.started_at.to_string(),
            format!("{} ms", attempt.duration_ms),
            last(Some(attempt.outcome), attempt.status_code),
            cell_of(attempt.github_request_id.as_ref()),
            attempt.possible_duplicate.to_string(),
        ]
    };
    out.table(
        &["attempt", "started", "took", "outcome", "github request", "possible duplicate"],
        delivery.attempts.iter().map(row).collect(),
        "no attempts yet",
    );
    for attempt in &delivery.attempts {
        if let Some(run) = &attempt.run {
            let (number, id) = (attempt.number, run.id);
            out.line(format_args!("attempt {number} started run {id}: {}", printable(&run.url)));
        }
    }
}

/// Sends them again and, where that was asked for, follows them.
async fn replay(
    args: ReplayArgs,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let ReplayArgs { bulk: which, forget_marks, wait } = args;
    let act = Act::Replay { forget_marks };
    if !wait.wait {
        return bulk(which, act, connect, out).await;
    }
    if !which.yes {
        return Err(Failure::usage("--wait waits for what is sent: it needs --yes").into());
    }
    names_some(&which, act)?;
    let api = connect(&which.connection)?;
    let format = which.output.format();
    let followed = named(&api, &which).await?;
    let exit = bulk(which, act, connect, out).await?;
    let ended = follow::to_the_end(&api, followed, wait.timeout).await?;
    match format {
        Format::Json => complain(&serde_json::to_string(&ended)?),
        Format::Table => ended.print(out),
    }
    Ok(if exit == Exit::Fine { ended.exit() } else { exit })
}

/// Those that ids and filter name before anything is done.
async fn named(api: &Api, args: &BulkArgs) -> Result<Vec<DeliveryId>, Failure> {
    let words = args.filter.words();
    let filter: Vec<_> = words.given().map(|(name, value)| (name, value.to_owned())).collect();
    if filter.is_empty() {
        return Ok(args.ids.clone());
    }
    let most = u32::try_from(follow::MOST).unwrap_or(u32::MAX);
    let (rows, next) = read::<DeliveryList>(api, "deliveries", &filter, most).await?;
    if next.0.is_some() {
        let what = format!("more than {most} deliveries are too many to wait for");
        return Err(Failure::usage(what).fix("leave --wait out, or narrow the filter"));
    }
    let is_asked = |id: &DeliveryId| args.ids.is_empty() || args.ids.contains(id);
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
    async fn call(self, api: &Api, args: &BulkArgs, asked: Asked) -> Result<Plan, Failure> {
        let (id, resume, dry_run) = match asked {
            Asked::Plan => (None, None, Some(true)),
            Asked::Begin(id) => (Some(id), None, Some(false)),
            Asked::Resume(id) => (None, Some(id), None),
        };
        let (ids, filter) = match asked {
            Asked::Resume(_) => (None, DeliveryFilter::default()),
            Asked::Plan | Asked::Begin(_) => {
                ((!args.ids.is_empty()).then(|| args.ids.clone()), args.filter.words())
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

async fn bulk(
    args: BulkArgs,
    act: Act,
    connect: impl Fn(&Connection) -> anyhow::Result<Api>,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    if args.resume.is_none() {
        names_some(&args, act)?;
    }
    let acts = args.yes || args.resume.is_some();
    // Known before the first call: whoever is interrupted in it can go on, too.
    let id = args.resume.unwrap_or_else(Uuid::now_v7);
    let api = connect(&args.connection)?;
    if acts {
        match args.output.format() {
            Format::Table => out.line(format_args!("id {id}")),
            Format::Json => {
                complain(&format!("id {id}: after an interruption goes on by --resume"));
            }
        }
    }
    let mut plan = act.call(&api, &args, Asked::first(&args, id)).await?;
    let mut known = plan.known();
    while acts && !plan.is_finished() {
        if args.output.format() == Format::Table {
            let done = plan.done();
            out.line(format_args!(
                "{done} so far; goes on, after an interruption by --resume {id}"
            ));
        }
        plan = act.call(&api, &args, Asked::Resume(id)).await?;
        known += plan.known();
    }
    match args.output.format() {
        Format::Json => out.json(&plan),
        Format::Table => print_plan(&plan, act, acts, out),
    }
    let all_known = known >= args.ids.len() as u64;
    Ok(if all_known { Exit::Fine } else { Exit::No })
}

fn names_some(args: &BulkArgs, act: Act) -> Result<(), Failure> {
    if !args.ids.is_empty() || args.filter.words().given().next().is_some() {
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
        out.line(format_args!("{} deliveries {done}", plan.done()));
    } else if !lanes.is_empty() {
        out.line(format_args!("nothing was done yet: add --yes to {wish}"));
    }
}
