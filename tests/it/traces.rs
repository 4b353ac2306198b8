//! One trace from the call that brought an event to the request that left, exported by OTLP; and
//! a collector that hangs or is away changes nothing else.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use postrider_github_double::{Double, Options, Play};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::harness::{
    Api, Canaries, Cluster, Collector, Load, Looking, Mode, Plan, SOON, Signal, Span, event,
    free_port, hook_webhook, run, setting, variable, wait_until, webhook,
};

const CALLER_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER_SPAN: &str = "b7ad6b7169203331";

fn exporting(mode: Mode, collector: &Collector) -> Plan {
    // Only a message brings the first try, however slow the machine is.
    let plan = Plan::new(mode).set("SWEEP_AFTER", "120s");
    collector.settings().into_iter().fold(plan, |plan, (name, value)| plan.set(&name, value))
}

async fn until_spans(
    collector: &Collector,
    wanted: usize,
    is_one: impl Fn(&Span) -> bool,
) -> Result<Vec<Span>> {
    wait_until("the spans to be exported", SOON, async || {
        let spans: Vec<Span> = collector.spans()?.into_iter().filter(&is_one).collect();
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        let so_far = format!("{names:?}");
        Ok(if spans.len() >= wanted { Looking::Found(spans) } else { Looking::NotYet(so_far) })
    })
    .await
}

async fn until_delivered(api: &Api, count: usize) -> Result<()> {
    wait_until("all to be delivered", SOON, async || {
        let delivered = api.deliveries("status=delivered").await?.len();
        Ok(Looking::when(delivered == count, || format!("{delivered} delivered")))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() -> Result<()> {
    Box::pin(one_trace(Mode::Embedded)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() -> Result<()> {
    Box::pin(one_trace(Mode::Distributed)).await
}

/// The first try fails, the second is taken.
async fn one_trace(mode: Mode) -> Result<()> {
    let collector = Collector::start().await?;
    let double = Double::start(Options::default()).await?;
    double.script("acme/billing", vec![Play::status(502)])?;
    let cluster = exporting(mode, &collector).start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", "test-token").await?;
    api.create_webhook(&webhook(&double.base_url(), "acme/billing", "billing", "githubToken"))
        .await?;
    let caller = format!("00-{CALLER_TRACE}-{CALLER_SPAN}-01");
    let call = api.call("POST", "/events")?.header("traceparent", caller);
    let accepted = api.send(call.json(&event(7, "billing"))).await?.ok()?;
    let delivery = accepted["deliveries"][0]["id"].as_str().context("a delivery")?.to_owned();
    until_delivered(&api, 1).await?;

    let publish = usize::from(mode == Mode::Distributed);
    let wanted = 5 + publish;
    let spans = until_spans(&collector, wanted, |span| span.trace_id == CALLER_TRACE).await?;
    ensure!(spans.len() == wanted, "{spans:#?}");
    let tree = Tree::of(&spans, mode)?;
    check_parents(&tree)?;
    check_attributes(&tree, mode, &delivery, &accepted)?;
    check_outside(&tree, &double, &cluster)?;
    cluster.finish().await
}

/// The spans of one delivery with two attempts.
struct Tree<'a> {
    call: &'a Span,
    publish: Option<&'a Span>,
    /// In the order of time.
    processes: Vec<&'a Span>,
    requests: Vec<&'a Span>,
}

impl<'a> Tree<'a> {
    fn of(spans: &'a [Span], mode: Mode) -> Result<Self> {
        let mut sorted: Vec<&Span> = spans.iter().collect();
        sorted.sort_by_key(|span| span.started);
        let of = |kind: SpanKind| sorted.iter().copied().filter(move |span| span.kind == kind);
        let processes: Vec<&Span> =
            sorted.iter().copied().filter(|span| span.name.starts_with("process")).collect();
        let tree = Self {
            call: of(SpanKind::Server).next().context("a server span")?,
            publish: of(SpanKind::Producer).next(),
            processes,
            requests: of(SpanKind::Client).collect(),
        };
        ensure!(tree.processes.len() == 2 && tree.requests.len() == 2, "{spans:#?}");
        ensure!(tree.publish.is_some() == (mode == Mode::Distributed), "{spans:#?}");
        Ok(tree)
    }
}

fn check_parents(tree: &Tree<'_>) -> Result<()> {
    let [first, second] = tree.processes[..] else { anyhow::bail!("two tries") };
    ensure!(tree.call.parent == CALLER_SPAN, "{:?}", tree.call);
    let mut published = Vec::new();
    if let Some(publish) = tree.publish {
        ensure!(publish.parent == tree.call.id && publish.links.is_empty(), "{publish:?}");
        published.push(publish.id.clone());
    }
    ensure!(first.parent == tree.call.id, "{first:?}");
    ensure!(first.links == published, "the first try points to its message: {first:?}");
    ensure!(second.parent == tree.call.id, "{second:?}");
    ensure!(second.links == [first.id.clone()], "the retry points to the first: {second:?}");
    for (process, request) in tree.processes.iter().zip(&tree.requests) {
        ensure!(request.parent == process.id, "{request:?} below {process:?}");
        let within = process.started <= request.started && request.ended <= process.ended;
        ensure!(within && request.started < request.ended, "{request:?} within {process:?}");
    }
    Ok(())
}

fn check_attributes(tree: &Tree<'_>, mode: Mode, delivery: &str, accepted: &Value) -> Result<()> {
    says(tree.call, "POST /events", &[("http.route", "/events"), ("url.path", "/events")])?;
    says(tree.call, "POST /events", &[("http.response.status_code", "202")])?;
    let [first, second] = tree.processes[..] else { anyhow::bail!("two tries") };
    for (span, number, outcome) in [(first, "1", "server_error"), (second, "2", "accepted")] {
        let about = [
            ("postrider.delivery.id", delivery),
            ("postrider.event.id", accepted["event_id"].as_str().unwrap_or_default()),
            ("postrider.event.name", crate::harness::EVENT_NAME),
            ("postrider.attempt", number),
            ("postrider.outcome", outcome),
            ("pact.consumer.name", "checkout"),
            ("pact.provider.name", "billing"),
        ];
        says(span, "process", &about)?;
        ensure!(span.get("postrider.lane").ends_with("/githubToken"), "{span:?}");
        ensure!(span.is_error == (outcome != "accepted"), "{span:?}");
    }
    let [failed, taken] = tree.requests[..] else { anyhow::bail!("two requests") };
    says(failed, "POST", &[("http.response.status_code", "502"), ("error.type", "502")])?;
    says(failed, "POST", &[("http.request.resend_count", "")])?;
    says(taken, "POST", &[("http.response.status_code", "204"), ("error.type", "")])?;
    says(taken, "POST", &[("http.request.resend_count", "1"), ("server.address", "127.0.0.1")])?;
    ensure!(taken.get("url.full").ends_with("/repos/acme/billing/dispatches"), "{taken:?}");
    if let Some(publish) = tree.publish {
        let name = "publish postrider.deliveries:postrider.deliveries.v2";
        says(
            publish,
            name,
            &[("messaging.system", "rabbitmq"), ("postrider.delivery.id", delivery)],
        )?;
        let destination = publish.get("messaging.destination.name");
        says(first, "process postrider", &[("messaging.destination.name", destination)])?;
        ensure!(first.kind == SpanKind::Consumer, "{first:?}");
    }
    let roles: BTreeSet<&str> = [tree.call, first, second]
        .iter()
        .filter_map(|span| span.resource.get("postrider.role").map(String::as_str))
        .collect();
    let wanted: &[&str] = if mode == Mode::Embedded { &["serve"] } else { &["ingest", "worker"] };
    ensure!(roles.iter().eq(wanted), "{roles:?}");
    let service = tree.call.resource.get("service.name").map(String::as_str);
    ensure!(service == Some("postrider"), "{:?}", tree.call.resource);
    ensure!(tree.call.resource.contains_key("service.instance.id"), "{:?}", tree.call.resource);
    Ok(())
}

fn says(span: &Span, name: &str, wanted: &[(&str, &str)]) -> Result<()> {
    ensure!(span.name.starts_with(name), "{} is no {name}", span.name);
    for (key, value) in wanted {
        ensure!(span.get(key) == *value, "{key} is {:?}, not {value:?}: {span:?}", span.get(key));
    }
    Ok(())
}

/// The target was given the request's span, and the log line names it.
fn check_outside(tree: &Tree<'_>, double: &Double, cluster: &Cluster) -> Result<()> {
    let given: Vec<String> = double
        .journal()
        .into_iter()
        .flat_map(|entry| entry.headers)
        .filter(|(name, _)| name == "traceparent")
        .map(|(_, value)| value)
        .collect();
    let sent = tree.requests.iter().map(|span| format!("00-{CALLER_TRACE}-{}-01", span.id));
    let sent: Vec<String> = sent.collect();
    ensure!(given == sent, "{given:?} is not {sent:?}");
    let mut lines = cluster.lines("delivery.attempted");
    lines.sort_by_key(|line| line["attempt"].as_u64());
    for (line, span) in lines.iter().zip(&tree.requests) {
        ensure!(line["trace_id"] == CALLER_TRACE, "{line}");
        ensure!(line["span_id"] == span.id.as_str(), "{line} is not {span:?}");
    }
    ensure!(lines.len() == 2, "{lines:?}");
    Ok(())
}

/// Whoever calls decides whether a trace is recorded, and a stranger decides nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_sampled_is_not_exported() -> Result<()> {
    let collector = Collector::start().await?;
    let plan = exporting(Mode::Embedded, &collector).set("API_TOKENS", "ingest:letmein");
    let cluster = plan.start().await?;
    let api = cluster.api()?.with_token("letmein");
    let post = async |api: &Api, trace: &str, flags: &str| {
        let value = format!("00-{trace}-{CALLER_SPAN}-{flags}");
        let call = api.call("POST", "/events")?.header("traceparent", value);
        api.send(call.json(&event(1, "billing"))).await
    };
    let not_recorded = CALLER_TRACE.replace("0af7", "1111");
    let stranger = CALLER_TRACE.replace("0af7", "2222");
    ensure!(post(&api, &not_recorded, "00").await?.status == 202, "accepted");
    ensure!(post(&cluster.api()?, &stranger, "01").await?.status == 401, "refused");
    ensure!(post(&api, CALLER_TRACE, "01").await?.status == 202, "accepted");
    until_spans(&collector, 1, |span| span.trace_id == CALLER_TRACE).await?;
    cluster.finish().await?;
    let spans = collector.spans()?;
    ensure!(spans.iter().all(|span| span.trace_id == CALLER_TRACE), "{spans:#?}");
    Ok(())
}

/// Credentials in all the places where a webhook and the exporter can have them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_in_a_span() -> Result<()> {
    let mut canaries = Canaries::new();
    let mut make = |name: &str| canaries.make(name);
    let (key, password, in_url) = (make("a key"), make("a password"), make("a user info"));
    let (token, header) = (make("the collector's token"), make("an inline token"));
    let collector = Collector::start().await?;
    let double = Double::start(Options::default()).await?;
    let plan = exporting(Mode::Embedded, &collector)
        .set("WEBHOOK_RETRY_SCHEDULE", "1")
        .set("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{token}"));
    let cluster = plan.start().await?;
    let api = cluster.api()?;
    api.set_secret("key", &key).await?;
    let base = double.base_url();
    // The broker's rules allow no secret's name in a URL, but whoever writes the value itself ...
    let with_key = |mut hook: Value, url: String| {
        hook["request"]["url"] = json!(url);
        hook["request"]["headers"]["X-Key"] = json!("${user.key}");
        hook
    };
    let path = hook_webhook(&base, "path", "billing");
    let path = with_key(path, format!("{base}/hook/{key}?k={key}"));
    let mut basic = hook_webhook(&base, "basic", "billing");
    basic["request"]["username"] = json!("robot");
    basic["request"]["password"] = json!(password);
    let mut url = hook_webhook(&base, "url", "billing");
    url["request"]["url"] = json!(format!("http://robot:{in_url}@{}/hook/url", double.addr()));
    let mut inline = hook_webhook(&base, "inline", "billing");
    inline["request"]["headers"]["Authorization"] = json!(format!("Bearer {header}"));
    let gone = hook_webhook(&base, "gone", "billing");
    let gone = with_key(gone, format!("http://127.0.0.1:9/hook/{key}"));
    for hook in [path, basic, url, inline, gone] {
        api.create_webhook(&hook).await?;
    }
    api.publish(&event(1, "billing")).await?;
    until_spans(&collector, 6, |span| span.kind == SpanKind::Client).await?;
    cluster.finish().await?;
    let with_token = |headers: &http::HeaderMap| {
        headers.get("authorization").is_some_and(|value| value == &format!("Bearer {token}"))
    };
    ensure!(collector.headers().iter().all(with_token), "the collector was given its token");
    let spans = collector.spans()?;
    let starred = |span: &Span| span.get("url.full").ends_with("/hook/********");
    ensure!(spans.iter().any(starred), "{spans:#?}");
    for body in collector.bodies() {
        canaries.look("an export", &body)?;
    }
    Ok(())
}

/// A collector that takes connections and never answers, and one that is not there: everything is
/// delivered, lost spans are counted, and the end comes in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_for_a_collector() -> Result<()> {
    let hangs = TcpListener::bind("127.0.0.1:0")?;
    let away = TcpListener::bind("127.0.0.1:0")?;
    let (hanging, closed) = (hangs.local_addr()?, away.local_addr()?);
    drop(away);
    Box::pin(lost_spans_cost_nothing(&hanging.to_string(), "queue_full")).await?;
    Box::pin(lost_spans_cost_nothing(&closed.to_string(), "not_exported")).await
}

async fn lost_spans_cost_nothing(collector: &str, reason: &str) -> Result<()> {
    const EVENTS: usize = 100;
    let double = Double::start(Options::default()).await?;
    let mut cluster = Plan::new(Mode::Embedded)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
        .set("OTEL_EXPORTER_OTLP_TIMEOUT", 600_000)
        .set("OTEL_BSP_SCHEDULE_DELAY", 50)
        .set("OTEL_BSP_MAX_QUEUE_SIZE", 20)
        .start()
        .await?;
    let api = cluster.api()?;
    api.create_webhook(&hook_webhook(&double.base_url(), "sink", "billing")).await?;
    let load = Load::of(EVENTS)?;
    load.send(&cluster.intakes(), |number| event(number, "billing")).await?;
    until_delivered(&api, EVENTS).await?;
    let wanted = format!("postrider_spans_dropped_total{{reason=\"{reason}\"}} ");
    wait_until("lost spans to be counted", SOON, async || {
        let text = cluster.admin("serve")?.get("/metrics").await?.text;
        let count = text.lines().find_map(|line| line.strip_prefix(&wanted)?.parse::<u64>().ok());
        Ok(Looking::when(count.is_some_and(|count| count > 0), || format!("{count:?}")))
    })
    .await?;
    let began = Instant::now();
    let serve = cluster.process("serve")?;
    serve.signal(Signal::TERM)?;
    ensure!(serve.ended(SOON).await?.success(), "it ends well");
    // A minute before an export is given up; two seconds are allowed for the last one.
    ensure!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
    let told =
        cluster.lines("spans.not_exported").len() + cluster.lines("spans.not_all_exported").len();
    ensure!((1..=2).contains(&told), "{told} lines tell it");
    cluster.finish().await
}

/// A collector that others wrote. It writes what it reads to a file; killed when dropped.
struct Rotel {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Rotel {
    async fn start() -> Result<Self> {
        let agent = variable("POSTRIDER_TEST_ROTEL").context("POSTRIDER_TEST_ROTEL")?;
        let (port, dir) = (free_port()?, tempfile::tempdir()?);
        let child = Command::new(agent)
            .args(["start", "--disable-batching", "--exporter", "blackhole"])
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{port}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{}", free_port()?)])
            .stdout(File::create(dir.path().join("read"))?)
            .spawn()?;
        let rotel = Self { child, port, dir };
        wait_until("rotel to listen", SOON, async || {
            let connected = TcpStream::connect(("127.0.0.1", port)).await;
            Ok(Looking::when(connected.is_ok(), || format!("{connected:?}")))
        })
        .await?;
        Ok(rotel)
    }

    /// The values of a field of all spans that it read.
    fn read(&self, field: &str) -> Result<BTreeSet<String>> {
        let text = fs::read_to_string(self.dir.path().join("read"))?;
        let fields = text.lines().filter_map(|line| line.trim().split_once(':'));
        let values = fields.filter(|(name, _)| name.trim() == field);
        Ok(values.map(|(_, value)| value.trim().to_owned()).collect())
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs rotel: tests/run installs it where it can, and runs this"]
async fn a_real_collector_understands() -> Result<()> {
    let rotel = Rotel::start().await?;
    let double = Double::start(Options::default()).await?;
    let cluster = Plan::new(Mode::Embedded)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", rotel.port))
        .set("OTEL_BSP_SCHEDULE_DELAY", 50)
        .start()
        .await?;
    let api = cluster.api()?;
    api.create_webhook(&hook_webhook(&double.base_url(), "sink", "billing")).await?;
    let caller = format!("00-{CALLER_TRACE}-{CALLER_SPAN}-01");
    let call = api.call("POST", "/events")?.header("traceparent", caller);
    api.send(call.json(&event(1, "billing"))).await?.ok()?;
    let wanted = ["POST", "POST /events", "process"].map(str::to_owned);
    wait_until("rotel to read the spans", SOON, async || {
        let names = rotel.read("Name")?;
        Ok(Looking::when(names == wanted.clone().into(), || format!("{names:?}")))
    })
    .await?;
    let traces = rotel.read("Trace ID")?;
    ensure!(traces.iter().eq([CALLER_TRACE]), "{traces:?}");
    let kinds = rotel.read("Kind")?;
    let known = ["SPAN_KIND_CLIENT", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER"];
    ensure!(kinds.iter().eq(known), "{kinds:?}");
    cluster.finish().await
}

#[tokio::test]
async fn what_cannot_be_spoken_is_refused() -> Result<()> {
    let settings = [
        setting("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
        setting("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        setting("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2"),
    ];
    let output = run(&["config", "check"], &settings, "").await?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(2), "{}: {told}", output.status);
    ensure!(
        told.contains("OTEL_EXPORTER_OTLP_PROTOCOL") && told.contains("http/protobuf"),
        "{told}"
    );
    let output = run(&["config", "show"], &[settings[0].clone(), settings[2].clone()], "").await?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() && shown.contains("OTEL_EXPORTER_OTLP_HEADERS"), "{shown}");
    ensure!(!shown.contains("hunter2"), "{shown}");
    Ok(())
}
