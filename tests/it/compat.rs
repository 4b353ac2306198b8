//! The broker's API in front of real deliveries: what is shown starred still arrives, logs tell
//! what was sent, whitelists hold to the end.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::harness::{Api, EVENT_NAME, Looking, Mode, Plan, SOON, event, wait_until};

/// A target that takes everything and keeps the heads of requests.
struct Target {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
    _tasks: TaskTracker,
}

impl Target {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let tasks = TaskTracker::new();
        let (kept, connections) = (Arc::clone(&heads), tasks.clone());
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(take(stream, Arc::clone(&kept)));
            }
        });
        Ok(Self { address, heads, _tasks: tasks })
    }

    /// The head of the request to this path.
    fn head(&self, path: &str) -> Option<String> {
        let heads = self.heads.lock().ok()?;
        heads.iter().find(|head| head.starts_with(&format!("POST {path} "))).cloned()
    }
}

/// Answers one request with 204 and closes.
async fn take(mut stream: TcpStream, heads: Arc<Mutex<Vec<String>>>) -> Result<()> {
    let mut bytes = Vec::new();
    let end = loop {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "cut off");
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < end + 4 + length {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "cut off");
    }
    let head = with_lower_case_names(&String::from_utf8_lossy(&bytes[..end]));
    heads.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.push(head);
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await?;
    Ok(())
}

/// A request's head with the names of its headers in lower case.
fn with_lower_case_names(head: &str) -> String {
    let lower = |line: &str| match line.split_once(": ") {
        Some((name, value)) => format!("{}: {value}", name.to_lowercase()),
        None => line.to_owned(),
    };
    head.lines().map(lower).collect::<Vec<_>>().join("\r\n")
}

/// A webhook for the seed's event with this request.
fn hook(request: &Value) -> Value {
    json!({
        "provider": {"name": "billing"},
        "events": [{"name": EVENT_NAME}],
        "request": request,
    })
}

/// Ids of the deliveries of one event, all of them final.
async fn published(api: &Api) -> Result<Vec<Value>> {
    let accepted = api.publish(&event(1, "billing")).await?;
    wait_until("all deliveries to be final", SOON, async || {
        let open = api.unfinished().await?;
        Ok(Looking::when(open.is_none(), || open.unwrap_or_default()))
    })
    .await?;
    let ids = accepted["deliveries"].as_array().context("deliveries")?;
    let ids = ids.iter().filter_map(|one| one["id"].as_str().map(str::to_owned)).collect();
    api.each_delivery(ids).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_secrets_survive_being_read() -> Result<()> {
    Box::pin(secrets_survive_being_read(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_secrets_survive_being_read() -> Result<()> {
    Box::pin(secrets_survive_being_read(Mode::Distributed)).await
}

/// A GET put back by PUT, stars and all, keeps every secret.
async fn secrets_survive_being_read(mode: Mode) -> Result<()> {
    let target = Target::start().await?;
    let cluster = Plan::new(mode).start().await?;
    let api = cluster.api()?;
    let at = |user: &str, path: &str| format!("http://{user}{}{path}", target.address);
    let requests = [
        json!({
            "method": "POST", "url": at("", "/headers"),
            "headers": {"Authorization": "Bearer inl1ne", "X-Api-Token": "t0ken", "X-Plain": "p"},
            "body": {"a": 1},
        }),
        json!({
            "method": "POST", "url": at("", "/basic"), "username": "robot", "password": "passw0rd",
        }),
        json!({"method": "POST", "url": at("robot:in-url@", "/url"), "body": "text"}),
    ];
    for request in &requests {
        let uuid = api.create_webhook(&hook(request)).await?;
        put_back(&api, &uuid).await?;
    }
    let deliveries = published(&api).await?;
    ensure!(deliveries.len() == requests.len(), "{deliveries:?}");
    let basic = |pair: &str| format!("authorization: Basic {}", STANDARD.encode(pair));
    for (path, expected) in [
        ("/headers", "authorization: Bearer inl1ne".to_owned()),
        ("/headers", "x-api-token: t0ken".to_owned()),
        ("/headers", "x-plain: p".to_owned()),
        ("/basic", basic("robot:passw0rd")),
        ("/url", basic("robot:in-url")),
    ] {
        let head = target.head(path).with_context(|| format!("a request to {path}"))?;
        ensure!(head.lines().any(|line| line == expected), "{path}: {expected} in {head}");
    }
    for delivery in &deliveries {
        check_log(&api, delivery).await?;
    }
    check_status(&api, requests.len()).await?;
    cluster.finish().await
}

async fn put_back(api: &Api, uuid: &str) -> Result<()> {
    let path = format!("/webhooks/{uuid}");
    let shown = api.get(&path).await?;
    for secret in ["inl1ne", "t0ken", "passw0rd", "in-url"] {
        ensure!(!shown.text.contains(secret), "{}", shown.text);
    }
    let put = api.with_json("PUT", &path, &shown.json()?).await?;
    ensure!(put.status == 200, "{put:?}");
    let (mut before, mut after) = (shown.json()?, put.json()?);
    for document in [&mut before, &mut after] {
        document["updatedAt"] = Value::Null;
    }
    ensure!(before == after, "{before} became {after}");
    Ok(())
}

/// The log names what was sent, and no secret.
async fn check_log(api: &Api, delivery: &Value) -> Result<()> {
    let id = delivery["id"].as_str().context("an id")?;
    let log = api.get(&format!("/triggered-webhooks/{id}/logs")).await?;
    ensure!(log.status == 200, "{log:?}");
    for part in [
        " DEBUG: Webhook context {\"base_url\":",
        " INFO: HTTP/1.1 POST http://127.0.0.1:",
        " INFO: HTTP/1.1 204 No Content\n",
        " INFO: Successfully executed webhook\n",
    ] {
        ensure!(log.text.contains(part), "{part} in {}", log.text);
    }
    for secret in ["inl1ne", "t0ken", "passw0rd", "in-url", &STANDARD.encode("robot:passw0rd")] {
        ensure!(!log.text.contains(secret), "{secret} in {}", log.text);
    }
    Ok(())
}

async fn check_status(api: &Api, webhooks: usize) -> Result<()> {
    let path = "/pacts/provider/billing/consumer/checkout/webhooks/status";
    let status = api.get(path).await?.ok()?;
    ensure!(status["summary"] == json!({"successful": webhooks, "failed": 0}), "{status}");
    let link = &status["_embedded"]["triggeredWebhooks"][0]["_links"]["pb:logs"]["href"];
    let link = link.as_str().and_then(|href| href.strip_prefix(api.base())).context("a link")?;
    ensure!(api.get(link).await?.status == 200, "{link}");
    Ok(())
}

/// Intakes that allow more than workers stand for a webhook stored before a list was tightened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whitelists_hold_at_delivery_too() -> Result<()> {
    let target = Target::start().await?;
    let mut plan = Plan::new(Mode::Distributed).set("WEBHOOK_HTTP_METHOD_WHITELIST", "POST PUT");
    for worker in ["worker-1", "worker-2"] {
        plan = plan.set_for(worker, "WEBHOOK_HTTP_METHOD_WHITELIST", "POST").set_for(
            worker,
            "WEBHOOK_HOST_WHITELIST",
            "127.0.0.1",
        );
    }
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    let elsewhere = target.address.replace("127.0.0.1", "localhost");
    let cases = [
        ("POST", format!("http://{}/taken", target.address), "delivered", "accepted"),
        ("PUT", format!("http://{}/method", target.address), "failed", "blocked"),
        ("POST", format!("http://{elsewhere}/host"), "failed", "blocked"),
    ];
    let mut expected = Vec::new();
    for (method, url, status, outcome) in cases {
        let uuid = api.create_webhook(&hook(&json!({"method": method, "url": url}))).await?;
        expected.push((uuid, status, outcome));
    }
    let deliveries = published(&api).await?;
    for (uuid, status, outcome) in expected {
        let delivery = deliveries.iter().find(|one| one["webhook_uuid"] == uuid.as_str());
        let delivery = delivery.context("a delivery")?;
        let found = (&delivery["status"], &delivery["last_outcome"]);
        ensure!(found == (&json!(status), &json!(outcome)), "{delivery}");
    }
    let heads = target.heads.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.len();
    ensure!(heads == 1, "{heads} requests arrived");
    cluster.finish().await
}

/// PactFlow's teams: a secret that moves to another team is as good as gone for its webhooks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_another_team_is_never_sent() -> Result<()> {
    let target = Target::start().await?;
    let cluster = Plan::new(Mode::Embedded).start().await?;
    let api = cluster.api()?;
    let secret = json!({"name": "token", "value": "s3cret-value"});
    let created = api.with_json("POST", "/secrets", &secret).await?.ok()?;
    let own = created["_links"]["self"]["href"].as_str().context("a link")?;
    let own = own.strip_prefix(api.base()).context("a path")?.to_owned();
    api.create_webhook(&hook(&json!({
        "method": "POST", "url": format!("http://{}/x", target.address),
        "headers": {"Authorization": "Bearer ${user.token}"},
    })))
    .await?;
    let moved = json!({"name": "token", "teamUuid": "a-team"});
    ensure!(api.with_json("PUT", &own, &moved).await?.status == 200, "moved");
    api.publish(&event(1, "billing")).await?;
    wait_until("the lane to be held", SOON, async || {
        let lane = api.lane("/token").await?.unwrap_or_default();
        Ok(Looking::when(lane["state"] == "held", || lane.to_string()))
    })
    .await?;
    ensure!(target.head("/x").is_none(), "nothing was sent");
    let back = json!({"name": "token"});
    ensure!(api.with_json("PUT", &own, &back).await?.status == 200, "moved back");
    wait_until("the delivery", SOON, async || {
        Ok(Looking::when(target.head("/x").is_some(), || "nothing yet".to_owned()))
    })
    .await?;
    let head = target.head("/x").context("a request")?;
    ensure!(head.contains("authorization: Bearer s3cret-value"), "{head}");
    cluster.finish().await
}
