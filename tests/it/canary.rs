//! No secret value is found in clear anywhere: logs, databases, queue, answers, command lines.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postrider_github_double::{App, AppKeys, Double, Options, Play};
use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Row};
use tokio_util::task::TaskTracker;

use crate::harness::{
    Api, Canaries, Cluster, Load, Looking, Mode, Plan, SOON, escaped, event, hook_webhook, run,
    setting, wait_until, webhook,
};

const EVENTS: usize = 40;

/// Everything secret of one run.
struct Secrets {
    canaries: Canaries,
    token: String,
    dead_token: String,
    other: String,
    pending: String,
    follower: String,
    operate: String,
    ingest: String,
    inline: String,
    password: String,
    in_url: String,
    app: AppKeys,
}

impl Secrets {
    fn new() -> Self {
        let mut canaries = Canaries::new();
        let app = AppKeys::generate().expect("keys of an app");
        // Each line of it is as good as the whole.
        for line in app.private_pem.lines().filter(|line| line.len() == 64) {
            canaries.add("the private key of the app", line);
        }
        let mut make = |name: &str| canaries.make(name);
        Self {
            token: make("the webhook secret"),
            dead_token: make("the webhook secret's first value"),
            other: make("another webhook secret"),
            pending: make("a value that is to follow"),
            follower: make("a value that has taken another's place"),
            operate: make("the token for operating"),
            ingest: make("the token for sending events"),
            inline: make("the inline credential"),
            password: make("the basic password"),
            in_url: make("the password in a URL"),
            app,
            canaries,
        }
    }
}

async fn no_secret_in_clear(mode: Mode) -> Result<()> {
    let mut secrets = Secrets::new();
    let double = Double::start(Options::default().with_tokens([&secrets.token])).await?;
    let tokens = format!("operate:{},ingest:{}", secrets.operate, secrets.ingest);
    let master_key = STANDARD.encode(rand::random::<[u8; 32]>());
    secrets.canaries.add("the master key", &master_key);
    let plan = Plan::new(mode)
        .set("API_TOKENS", tokens)
        .set("MASTER_KEY", &master_key)
        .set("GITHUB_HOSTS", double.addr())
        .set("LANE_RATE", "500/s")
        .set("WEBHOOK_RETRY_SCHEDULE", "1");
    let mut cluster = Box::pin(plan.start()).await?;
    let api = cluster.api()?.with_token(&secrets.operate);
    let mut answers = vec![cli_sets_secret(&cluster, &secrets).await?];
    api.set_secret("otherKey", &secrets.other).await?;
    answers.push(sets_app(&api, &double, &secrets.app).await?);
    make_webhooks(&api, &double, &secrets, &mut answers).await?;
    publish(&cluster, &secrets).await?;
    until_held(&api).await?;
    api.set_secret("githubToken", &secrets.token).await?;
    until_final(&api).await?;
    values_beside_the_one_in_use(&api, &secrets, &mut answers).await?;
    ensure!(double.counts().accepted > 0, "something was delivered: {:?}", double.counts());

    read_everything(&api, &mut answers).await?;
    refuse_strangers(&cluster, &secrets, &mut answers).await?;
    let canaries = &mut secrets.canaries;
    let minted = double.minted();
    ensure!(!minted.is_empty(), "a token was minted");
    for token in &minted {
        canaries.add("a minted token", token);
    }
    canaries.look("an answer", answers.join("\n").as_bytes())?;
    look_at_command_lines(&mut cluster, canaries)?;
    if mode == Mode::Distributed {
        look_into_postgres(&mut cluster, canaries).await?;
    }
    let dir = cluster.dir().to_owned();
    let looked = canaries.look_below(&dir, &["master.key"])?;
    ensure!(looked >= 2, "{looked} files were looked at");
    // RabbitMQ's files, of all virtual hosts of the private instance.
    if let Some(data) = crate::harness::shared_rabbitmq_data() {
        canaries.look_below(&data, &[])?;
    }
    cluster.finish().await
}

/// A GitHub App, whose tokens one webhook uses.
async fn sets_app(api: &Api, double: &Double, keys: &AppKeys) -> Result<String> {
    double.install_app(App::new(12, keys.clone(), 7, "acme"));
    let app = json!({
        "app_id": "12", "private_key": keys.private_pem, "api_url": double.base_url(),
    });
    let body = json!({ "github_app": app });
    let answer = api.with_json("PUT", "/api/v1/secrets/app", &body).await?;
    ensure!(answer.status == 201, "{}: {}", answer.status, answer.text);
    Ok(answer.text)
}

/// A value that is pending, tried and refused, and one that is kept because another followed it.
async fn values_beside_the_one_in_use(
    api: &Api,
    secrets: &Secrets,
    answers: &mut Vec<String>,
) -> Result<()> {
    let root = "/api/v1/secrets";
    for (path, value) in [("githubToken", &secrets.pending), ("otherKey", &secrets.follower)] {
        let path = format!("{root}/{path}/pending");
        let answer = api.with_json("PUT", &path, &json!({ "value": value })).await?;
        ensure!(answer.status == 200, "{}", answer.text);
        answers.push(answer.text);
    }
    let switch = format!("{root}/otherKey/switch");
    answers
        .push(api.with_json("POST", &switch, &json!({ "force": true })).await?.ok()?.to_string());
    let probe = format!("{root}/githubToken/probe");
    api.with_json("POST", &probe, &json!({ "which": "pending" })).await?.ok()?;
    wait_until("the pending value to be tried", SOON, async || {
        let found = api.get(&format!("{probe}?which=pending")).await?;
        let is_refused = found.json()?["verdict"] == "refused";
        answers.push(found.text.clone());
        Ok(Looking::when(is_refused, || found.text))
    })
    .await
}

/// By the command line, so that its way is looked at too.
async fn cli_sets_secret(cluster: &Cluster, secrets: &Secrets) -> Result<String> {
    let settings = [setting("URL", cluster.api()?.base()), setting("TOKEN", &secrets.operate)];
    let output = run(&["secrets", "set", "githubToken"], &settings, &secrets.dead_token).await?;
    let told = format!("{}{}", lossy(&output.stdout), lossy(&output.stderr));
    ensure!(output.status.success(), "secrets set: {told}");
    Ok(told)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Credentials in all the places where a webhook can have them; some targets fail and echo.
async fn make_webhooks(
    api: &Api,
    double: &Double,
    secrets: &Secrets,
    answers: &mut Vec<String>,
) -> Result<()> {
    let base = double.base_url();
    let mut inline = hook_webhook(&base, "inline", "billing");
    inline["request"]["headers"]["Authorization"] = json!(format!("Bearer {}", secrets.inline));
    let mut basic = hook_webhook(&base, "basic", "billing");
    basic["request"]["username"] = json!("robot");
    basic["request"]["password"] = json!(secrets.password);
    let mut in_url = hook_webhook(&base, "url", "billing");
    in_url["request"]["url"] =
        json!(format!("http://robot:{}@{}/hook/url", secrets.in_url, double.addr()));
    let mut header = hook_webhook(&base, "header", "billing");
    header["request"]["headers"]["X-Key"] = json!("${user.otherKey}");
    // Targets that refuse, and say back what they were given.
    let basic_pair = STANDARD.encode(format!("robot:{}", secrets.password));
    let said = [
        ("inline", format!("no: Bearer {}", secrets.inline)),
        ("basic", format!("no: {} {basic_pair}", secrets.password)),
        ("url", format!("no: {}", secrets.in_url)),
        ("header", format!("no: {}", secrets.other)),
    ];
    for (hook, body) in said {
        let play = Play::Status { status: 500, headers: Vec::new(), body };
        double.script_repeating(hook, vec![play])?;
    }
    let seed = webhook(&base, "acme/billing", "billing", "githubToken");
    let by_app = webhook(&base, "acme/apps", "billing", "app");
    for hook in [inline, basic, in_url, header, seed, by_app] {
        let answer = api.with_json("POST", "/webhooks", &hook).await?;
        ensure!(answer.status == 201, "{}: {}", answer.status, answer.text);
        answers.push(format!("{:?}{}", answer.headers, answer.text));
    }
    Ok(())
}

async fn publish(cluster: &Cluster, secrets: &Secrets) -> Result<()> {
    let load = Load::of(EVENTS)?.with_token(&secrets.ingest);
    load.send(&cluster.intakes(), |number| event(number, "billing")).await?;
    Ok(())
}

async fn until_held(api: &Api) -> Result<()> {
    wait_until("the dead token to hold its lane", SOON, async || {
        let lane = api.lane("/githubToken").await?.unwrap_or_default();
        Ok(Looking::when(lane["state"] == "held", || lane.to_string()))
    })
    .await
}

async fn until_final(api: &Api) -> Result<()> {
    wait_until("all deliveries to be final", SOON, async || {
        let open = api.unfinished().await?;
        Ok(Looking::when(open.is_none(), || open.unwrap_or_default()))
    })
    .await
}

/// Every answer that the API gives to somebody who may read.
async fn read_everything(api: &Api, answers: &mut Vec<String>) -> Result<()> {
    let webhooks = api.get("/webhooks").await?.ok()?;
    answers.push(webhooks.to_string());
    for link in webhooks["_links"]["pb:webhooks"].as_array().into_iter().flatten() {
        let path = link["href"].as_str().and_then(|href| href.split_once("/webhooks/"));
        let (_, uuid) = path.context("a link to a webhook")?;
        answers.push(api.get(&format!("/webhooks/{uuid}")).await?.text);
    }
    for path in ["secrets", "lanes", "incidents", "stats", "credentials", "audit"] {
        answers.push(api.get(&format!("/api/v1/{path}")).await?.text);
    }
    let ids = api.deliveries("").await?;
    let ids: Vec<String> =
        ids.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect();
    ensure!(ids.len() == 6 * EVENTS, "{} deliveries", ids.len());
    answers.extend(api.each_delivery(ids).await?.iter().map(Value::to_string));
    Ok(())
}

/// Wrong tokens and broken bodies, whose answers might quote what they were given.
async fn refuse_strangers(
    cluster: &Cluster,
    secrets: &Secrets,
    answers: &mut Vec<String>,
) -> Result<()> {
    let api = cluster.api()?;
    let ingest_only = api.clone().with_token(&secrets.ingest);
    let operate = api.clone().with_token(&secrets.operate);
    let refused = [
        api.get("/webhooks").await?,
        ingest_only.get("/api/v1/secrets").await?,
        operate.with_json("PUT", "/api/v1/secrets/x", &json!({ "valeu": secrets.token })).await?,
        operate.with_json("PUT", "/api/v1/secrets/x", &json!([secrets.token])).await?,
        operate.with_json("POST", "/webhooks", &json!({ "request": secrets.inline })).await?,
    ];
    let statuses: Vec<u16> = refused.iter().map(|answer| answer.status).collect();
    ensure!(statuses[..4] == [401, 403, 400, 400], "{statuses:?}");
    answers.extend(refused.into_iter().map(|answer| answer.text));
    Ok(())
}

fn look_at_command_lines(cluster: &mut Cluster, canaries: &mut Canaries) -> Result<()> {
    for process in cluster.processes() {
        let line = fs::read(format!("/proc/{}/cmdline", process.pid()))?;
        ensure!(!line.is_empty(), "{} runs", process.name());
        canaries.look(process.name(), &line)?;
    }
    Ok(())
}

/// Every row of every table as text.
async fn look_into_postgres(cluster: &mut Cluster, canaries: &mut Canaries) -> Result<()> {
    let database = cluster.services()?.database.clone();
    let pool = PgPool::connect(database.as_str()).await?;
    let tables = sqlx::query(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables \
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&pool)
    .await?;
    let mut rows = 0;
    for table in &tables {
        let table: String = table.try_get(0)?;
        let select = format!("SELECT t::text FROM {table} t");
        for row in sqlx::query(AssertSqlSafe(select)).fetch_all(&pool).await? {
            let text: Option<String> = row.try_get(0)?;
            canaries.look(&table, text.unwrap_or_default().as_bytes())?;
            rows += 1;
        }
    }
    ensure!(tables.len() >= 10 && rows >= 8 * EVENTS, "{} tables, {rows} rows", tables.len());
    pool.close().await;
    Ok(())
}

/// The scan itself finds what it looks for.
#[test]
fn the_scan_finds_a_value_in_each_form() -> Result<()> {
    let mut canaries = Canaries::new();
    let value = canaries.make("a value");
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("clean"), "nothing")?;
    ensure!(canaries.look_below(dir.path(), &[])? == 1, "one file was looked at");
    let forms = [
        value.clone(),
        hex::encode(&value),
        STANDARD.encode(&value),
        STANDARD.encode(format!("robot:{value}")),
        STANDARD.encode(format!("a{value}")),
    ];
    for form in forms.into_iter().chain(escaped(&value)) {
        let found = canaries.look("a text", format!("before {form} after").as_bytes());
        ensure!(found.is_err(), "{form} is not found");
    }
    fs::write(dir.path().join("leak"), &value)?;
    ensure!(canaries.look_below(Path::new(dir.path()), &[]).is_err(), "the file is found");
    Ok(())
}

/// A target that sends back what it got, in every form that somebody might.
async fn echo(request: Request) -> Response {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let mut shapes = escaped(token);
    shapes.push(STANDARD.encode(format!("robot:{}", STANDARD.encode(token))));
    shapes.push(serde_json::json!({ "got": token }).to_string());
    let mut response = Response::builder().status(400).header("x-request-id", token);
    response = response.header("x-github-request-id", format!("{}{token}", "0".repeat(100)));
    for shape in &shapes {
        response = response.header("x-echo", shape).header("location", shape);
    }
    response.body(Body::from(shapes.join("\n"))).unwrap_or_default()
}

/// Whatever a target makes of a secret, it is starred where the answer is kept and shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_targets_send_back_is_starred() -> Result<()> {
    let mut canaries = Canaries::new();
    let token = canaries.make("the webhook secret");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = TaskTracker::new().spawn(async move {
        axum::serve(listener, Router::new().fallback(echo)).await.ok();
    });
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", &token).await?;
    let uuid = api.create_webhook(&webhook(&url, "acme/echo", "echo", "githubToken")).await?;
    api.publish(&event(1, "echo")).await?;
    until_final(&api).await?;
    let deliveries = api.deliveries("").await?;
    let id = deliveries[0]["id"].as_str().context("a delivery")?.to_owned();
    let tested = api.send(api.call("POST", &format!("/webhooks/{uuid}/execute"))?).await?;
    let logs = api.get(&format!("/triggered-webhooks/{id}/logs")).await?;
    for answer in [api.delivery(&id).await?.to_string(), tested.text, logs.text] {
        ensure!(answer.contains("********") && answer.contains("x-echo"), "{answer}");
        canaries.look("an answer", answer.as_bytes())?;
    }
    ensure!(canaries.look_below(cluster.dir(), &[])? > 0, "the data dir was looked at");
    server.abort();
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    Box::pin(no_secret_in_clear(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() -> Result<()> {
    Box::pin(no_secret_in_clear(Mode::Distributed)).await
}
