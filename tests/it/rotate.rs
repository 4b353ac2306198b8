//! A token dies, and another takes its place: tried first, in steps that can be killed, and what
//! waited goes out once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use postrider_github_double::{Double, Options, Play};
use serde_json::{Value, json};

use crate::harness::{
    Accepted, Api, Cluster, Load, Looking, Mode, Plan, Receiver, Reply, SOON, Setting, Settled,
    event, hook_webhook, run, run_until, setting, settled, wait_until, webhook,
};

const EVENTS: usize = 50;
const OLD: &str = "the-old-token-of-the-robot";
const NEW: &str = "the-new-token-of-the-robot";
const SECRET: &str = "githubToken";

/// A webhook whose token is taken.
struct Bench {
    cluster: Cluster,
    api: Api,
    double: Double,
    settings: Vec<Setting>,
}

impl Bench {
    async fn start(mode: Mode) -> Result<Self> {
        let double = Double::start(Options::default().with_tokens([OLD])).await?;
        let plan = Plan::new(mode).set("GITHUB_HOSTS", double.addr()).set("LANE_RATE", "200/s");
        let cluster = plan.start().await?;
        let api = cluster.api()?;
        api.set_secret(SECRET, OLD).await?;
        api.create_webhook(&webhook(&double.base_url(), "acme/a", "a", SECRET)).await?;
        let settings = vec![setting("URL", api.base())];
        Ok(Self { cluster, api, double, settings })
    }

    /// What a command says, and its exit code.
    async fn command(&self, args: &[&str], input: &str) -> Result<(Option<i32>, String)> {
        let output = run(args, &self.settings, input).await?;
        let told = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8(told)?))
    }

    async fn rotate(&self, more: &[&str], value: &str, exit: i32) -> Result<String> {
        let args = [&["secrets", "rotate", SECRET], more].concat();
        let (code, told) = self.command(&args, value).await?;
        ensure!(code == Some(exit), "{more:?}: {code:?} {told}");
        ensure!(!told.contains(OLD) && !told.contains(NEW), "{told}");
        Ok(told)
    }

    async fn lane(&self) -> Result<Value> {
        self.api.lane("/githubToken").await?.context("the lane")
    }

    async fn credential(&self) -> Result<Value> {
        let all = self.api.get("/api/v1/credentials").await?.ok()?;
        let all = all["credentials"].as_array().context("credentials")?.clone();
        all.into_iter().find(|one| one["name"] == SECRET).context("the credential")
    }

    async fn actions(&self) -> Result<Vec<String>> {
        let path = format!("/api/v1/audit?object={SECRET}");
        let all = self.api.get(&path).await?.ok()?;
        let all = all["entries"].as_array().context("entries")?;
        Ok(all.iter().map(|one| one["action"].as_str().unwrap_or_default().to_owned()).collect())
    }

    async fn incidents(&self, query: &str) -> Result<Vec<Value>> {
        let all = self.api.get(&format!("/api/v1/incidents?{query}")).await?.ok()?;
        Ok(all["incidents"].as_array().context("incidents")?.clone())
    }
}

/// The token dies, and so many deliveries wait.
async fn held(bench: &Bench) -> Result<Vec<Accepted>> {
    let first = Load::of(1)?.send(&bench.cluster.intakes(), |number| event(number, "a")).await?;
    bench.double.wait_for(1, SOON).await?;
    bench.double.accept_tokens([NEW]);
    let load = Load::of(EVENTS)?.one_after_the_other();
    let accepted =
        load.send(&bench.cluster.intakes(), |number| event(number + EVENTS, "a")).await?;
    wait_until("the deliveries to be held", SOON, async || {
        let lane = bench.lane().await?;
        let is_held = lane["state"] == "held" && lane["backlog"] == EVENTS;
        Ok(Looking::when(is_held, || lane.to_string()))
    })
    .await?;
    Ok([first, accepted].concat())
}

async fn the_whole_story(mode: Mode) -> Result<()> {
    let bench = Box::pin(Bench::start(mode)).await?;
    let accepted = held(&bench).await?;
    wait_until("one incident", SOON, async || {
        let open = bench.incidents("open=true").await?;
        let is_told = open.len() == 1 && open[0]["kind"] == "lane_held";
        Ok(Looking::when(is_told, || format!("{open:?}")))
    })
    .await?;
    let told = bench.rotate(&[], "a-token-that-is-wrong", 4).await?;
    ensure!(told.contains("Nothing was switched"), "{told}");
    let told = bench.rotate(&["--rehearse"], NEW, 0).await?;
    ensure!(told.contains("nothing was switched") && told.contains("writable"), "{told}");
    ensure!(bench.credential().await?["pending"].is_null(), "the rehearsal leaves nothing");
    ensure!(bench.lane().await?["state"] == "held", "the lane is still held");
    let reason = ["--reason", "the old one died"];
    let args = [&["secrets", "rotate", SECRET], reason.as_slice()].concat();
    for step in ["1.", "2.", "3.", "4."] {
        let told = run_until(&args, &bench.settings, NEW, step).await?;
        ensure!(told.starts_with("1."), "{step}: {told}");
    }
    let told = bench.rotate(&reason, NEW, 0).await?;
    ensure!(told.contains("in use already") && told.contains("Nothing waits"), "{told}");
    let Settled { duplicates, marked, .. } =
        Box::pin(settled(&bench.api, &bench.double, &accepted, SOON)).await?;
    ensure!(duplicates == 0 && marked == 0, "{duplicates} duplicates, {marked} marked");
    wait_until("the incident to be over", SOON, async || {
        let open = bench.incidents("open=true").await?;
        Ok(Looking::when(open.is_empty(), || format!("{open:?}")))
    })
    .await?;
    let of_lane = bench.incidents("kind=lane_held").await?;
    ensure!(of_lane.len() == 1, "one death, one incident: {of_lane:?}");
    let actions = bench.actions().await?;
    let switches = actions.iter().filter(|action| *action == "switched").count();
    ensure!(switches == 1, "{actions:?}");
    ensure!(bench.credential().await?["pending"].is_null(), "nothing is pending");
    let told = bench.command(&["audit", "list", "--object", SECRET], "").await?.1;
    ensure!(told.contains("the old one died"), "{told}");
    let lines = bench.cluster.lines("change.made");
    let is_switch = |line: &&Value| line["action"] == "switched" && line["who"] == "local";
    // Whoever was killed while the server switched may have ended its line, but not the entry.
    ensure!(lines.iter().filter(is_switch).count() <= 1, "{lines:?}");
    bench.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    Box::pin(the_whole_story(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() -> Result<()> {
    Box::pin(the_whole_story(Mode::Distributed)).await
}

fn user(login: &str, headers: Vec<(String, String)>) -> Play {
    Play::Status { status: 200, headers, body: json!({"login": login}).to_string() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_another_owner_is_switched_by_force_alone() -> Result<()> {
    let bench = Box::pin(Bench::start(Mode::Embedded)).await?;
    bench.double.accept_tokens([OLD, NEW]);
    let (octo, jane) = (user("pactflow-octo", Vec::new()), user("jane", Vec::new()));
    bench.double.script("GET /user", vec![octo, jane.clone()])?;
    let told = bench.rotate(&[], NEW, 1).await?;
    ensure!(told.contains("belongs to jane, the one in use to pactflow-octo"), "{told}");
    ensure!(told.contains("Nothing was switched"), "{told}");
    ensure!(!bench.credential().await?["pending"].is_null(), "it is still pending");
    bench.double.script("GET /user", vec![jane])?;
    // With no value given, the one that is pending goes on.
    let told = bench.rotate(&["--force"], "", 0).await?;
    ensure!(told.contains("going on") && told.contains("still taken"), "{told}");
    bench.double.accept_tokens([NEW]);
    let previous = ["secrets", "probe", SECRET, "--which", "previous"];
    let (code, told) = bench.command(&previous, "").await?;
    ensure!(code == Some(4) && told.contains("it is refused"), "{told}");
    let (code, told) = bench.command(&previous, "").await?;
    ensure!(code == Some(1) && told.contains("not kept"), "{told}");
    bench.cluster.finish().await
}

/// Where no read can try a value it is switched and seen in use; what other webhooks try again is
/// none of its business.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_targets_that_are_not_github_is_switched_untried() -> Result<()> {
    let target = Receiver::start(&[Reply::Status(401), Reply::Status(200)]).await?;
    let failing = Receiver::start(&[Reply::Status(503)]).await?;
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    api.set_secret(SECRET, OLD).await?;
    for (name, at) in [("good", target.url()), ("failing", failing.url())] {
        let mut hook = hook_webhook(at, name, name);
        hook["request"]["headers"]["Authorization"] = json!(format!("Bearer ${{user.{SECRET}}}"));
        api.create_webhook(&hook).await?;
        api.publish(&event(1, name)).await?;
    }
    for (name, status) in [("good", "held"), ("failing", "retrying")] {
        wait_until(status, SOON, async || {
            let now = api.deliveries(&format!("provider={name}&status={status}")).await?;
            Ok(Looking::when(now.len() == 1, || format!("{now:?}")))
        })
        .await?;
    }
    let settings = [setting("URL", api.base())];
    let args = ["secrets", "rotate", SECRET, "--wait", "60s"];
    let output = run(&args, &settings, NEW).await?;
    let told = String::from_utf8([output.stdout, output.stderr].concat())?;
    ensure!(output.status.code() == Some(0), "{}: {told}", output.status);
    ensure!(told.contains("there was nothing to try") && told.contains("3. Switched"), "{told}");
    ensure!(told.contains("Nothing waits for it any more"), "{told}");
    ensure!(api.deliveries("provider=good&status=delivered").await?.len() == 1, "{told}");
    ensure!(api.deliveries("provider=failing&status=retrying").await?.len() == 1, "{told}");
    let output = run(&["secrets", "rotate", SECRET, "--rehearse"], &settings, OLD).await?;
    ensure!(output.status.code() == Some(1), "nothing was tried: {output:?}");
    cluster.finish().await
}

/// What a probe says of the repository that `play` answers for.
async fn probed(bench: &Bench, play: Vec<Play>, exit: i32) -> Result<Value> {
    bench.double.script("GET /repos/acme/a", play)?;
    let args = ["secrets", "probe", SECRET, "-o", "json"];
    let output = run(&args, &bench.settings, "").await?;
    let told = String::from_utf8(output.stdout)?;
    ensure!(output.status.code() == Some(exit), "{:?}: {told}", output.status);
    Ok(serde_json::from_str(&told)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_reads_repositories_and_changes_nothing() -> Result<()> {
    let bench = Box::pin(Bench::start(Mode::Distributed)).await?;
    let base = bench.double.base_url();
    bench.api.create_webhook(&webhook(&base, "acme/a", "other", SECRET)).await?;
    let mut elsewhere = hook_webhook(&base, "elsewhere", "a");
    elsewhere["request"]["headers"]["X-Key"] = json!(format!("${{user.{SECRET}}}"));
    bench.api.create_webhook(&elsewhere).await?;
    let found = probed(&bench, Vec::new(), 0).await?;
    let repositories = found["found"]["repositories"].as_array().context("repositories")?;
    ensure!(repositories.len() == 1, "{found}");
    ensure!(repositories[0]["webhooks"].as_array().map(Vec::len) == Some(2), "{found}");
    ensure!(found["found"]["owner"] == "pactflow-octo", "{found}");
    let not_probed = found["found"]["not_probed"].as_array().context("not_probed")?;
    ensure!(not_probed.len() == 1, "{found}");
    let answer = |status: u16, message: &str| Play::Status {
        status,
        headers: Vec::new(),
        body: json!({"message": message}).to_string(),
    };
    let sso = "Resource protected by organization SAML enforcement.";
    for (play, exit, access) in [
        (answer(404, "Not Found"), 1, "not_visible"),
        (answer(403, sso), 1, "forbidden"),
        (answer(502, "Server Error"), 3, "unknown"),
        (answer(429, "Slow down"), 5, "limited"),
        (answer(401, "Bad credentials"), 4, "refused"),
    ] {
        let found = probed(&bench, vec![play], exit).await?;
        ensure!(found["found"]["repositories"][0]["access"] == access, "{access}: {found}");
    }
    let journal = bench.double.journal();
    let paths: Vec<_> = journal.iter().map(|entry| (&*entry.method, &*entry.path)).collect();
    let known = [("GET", "/user"), ("GET", "/repos/acme/a")];
    ensure!(paths.iter().all(|path| known.contains(path)), "{paths:?}");
    ensure!(bench.lane().await?["state"] == "open", "a probe holds nothing");
    let (code, told) = bench.command(&["secrets", "probe", "unknown"], "").await?;
    ensure!(code == Some(1), "{told}");
    bench.cluster.finish().await
}

/// What answers say of a token is kept, warned of, measured, and an incident.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ends_is_told_of() -> Result<()> {
    let bench = Box::pin(Bench::start(Mode::Distributed)).await?;
    bench.api.publish(&event(1, "a")).await?;
    wait_until("the success to be known", SOON, async || {
        let known = bench.credential().await?;
        let is_known = known["kind"] == "token" && known["last_success_at"].is_string();
        Ok(Looking::when(is_known, || known.to_string()))
    })
    .await?;
    let end = Timestamp::now().checked_add(SignedDuration::from_hours(3 * 24))?;
    let text = end.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let headers = vec![
        ("github-authentication-token-expiration".to_owned(), text),
        ("x-oauth-scopes".to_owned(), "repo, admin:org".to_owned()),
    ];
    bench.double.script("GET /user", vec![user("jane", headers)])?;
    let (code, told) = bench.command(&["secrets", "probe", SECRET], "").await?;
    ensure!(code == Some(0), "{told}");
    let known = bench.credential().await?;
    ensure!(known["owner"] == "jane" && known["scopes"] == json!(["repo", "admin:org"]), "{known}");
    let told = bench.command(&["secrets", "list"], "").await?.1;
    for part in ["it expires within 7 days", "admin:org", "POSTRIDER_MACHINE_USERS"] {
        ensure!(told.contains(part), "{part}: {told}");
    }
    wait_until("the incident", SOON, async || {
        let open = bench.incidents("open=true&kind=credential_expiring").await?;
        Ok(Looking::when(open.len() == 1, || format!("{open:?}")))
    })
    .await?;
    let metric = "postrider_credential_expiry_timestamp_seconds{credential=\"githubToken\"}";
    wait_until("the metric", SOON, async || {
        let text = bench.cluster.admin("monitor")?.get("/metrics").await?.text;
        Ok(Looking::when(text.contains(metric), || "it is not there".to_owned()))
    })
    .await?;
    bench.cluster.finish().await
}

/// Whose a token is, is asked by itself from time to time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_are_asked_for_from_time_to_time() -> Result<()> {
    let double = Double::start(Options::default().with_tokens([OLD])).await?;
    let plan = Plan::new(Mode::Embedded).set("GITHUB_HOSTS", double.addr());
    let cluster = plan.set("CREDENTIAL_INTERVAL", "1s").start().await?;
    let api = cluster.api()?;
    api.set_secret(SECRET, OLD).await?;
    api.create_webhook(&webhook(&double.base_url(), "acme/a", "a", SECRET)).await?;
    let long = SOON + Duration::from_mins(1);
    wait_until("the owner to be known", long, async || {
        let all = api.get("/api/v1/credentials").await?.ok()?;
        let is_known = all["credentials"][0]["owner"] == "pactflow-octo";
        Ok(Looking::when(is_known, || all.to_string()))
    })
    .await?;
    let reads = double.journal();
    ensure!(reads.iter().all(|entry| entry.path == "/user"), "{reads:?}");
    cluster.finish().await
}
