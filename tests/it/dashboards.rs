//! Dashboards and alert rules against a real Prometheus that asks a running cluster, its RabbitMQ
//! and its Postgres: every query of every panel is understood and finds something, legends name
//! labels that are there, and each metric that a rule looks at is shown.
//!
//! Panels of traces are checked for their form only: there is no Jaeger here.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use postrider_github_double::{Double, Options, Play};
use regex::Regex;
use serde_json::{Value, json};
use sqlx::postgres::PgPool;

use crate::harness::{
    Api, Cluster, Collector, Load, Looking, Mode, Plan, PostgresExporter, Prometheus, Receiver,
    Reply, SOON, Services, event, hook_webhook, in_ninety_days, taken_for_a_token_that_ends,
    wait_until, webhook,
};

const PROMETHEUS: &str = "postrider-prometheus";
const JAEGER: &str = "postrider-jaeger";
/// Values of a variable that are tried one by one.
const VALUES: usize = 5;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

/// All dashboards, by the names of their files.
fn dashboards() -> Result<Vec<(String, Value)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(deploy("grafana/dashboards"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path())?;
        all.push((name.clone(), serde_json::from_str(&text).context(name)?));
    }
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(all)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A query of a panel.
#[derive(Debug)]
struct Query {
    /// Dashboard and panel.
    place: String,
    expr: String,
    /// Labels that the legend names.
    legend: Vec<String>,
    /// Its variables, each with metric and label that its values come from.
    variables: Vec<Variable>,
}

#[derive(Debug, Clone)]
struct Variable {
    name: String,
    metric: String,
    label: String,
}

fn variables(dashboard: &Value) -> Result<Vec<Variable>> {
    let form = Regex::new(r"^label_values\((\w+), (\w+)\)$")?;
    let asked = list(&dashboard["templating"]["list"]).filter(|one| one["type"] == "query");
    asked
        .map(|one| {
            let parts = form.captures(text(&one["definition"])).context("label_values(m, l)")?;
            ensure!(one["query"]["query"] == one["definition"], "{one}");
            let (metric, label) = (parts[1].to_owned(), parts[2].to_owned());
            Ok(Variable { name: text(&one["name"]).to_owned(), metric, label })
        })
        .collect()
}

/// The queries of all panels that ask Prometheus.
fn queries() -> Result<Vec<Query>> {
    let mut all = Vec::new();
    let label = Regex::new(r"\{\{\s*(\w+)\s*\}\}")?;
    for (name, dashboard) in dashboards()? {
        let known = variables(&dashboard).with_context(|| name.clone())?;
        for panel in list(&dashboard["panels"]) {
            for target in list(&panel["targets"]) {
                if target["datasource"]["uid"] != PROMETHEUS {
                    continue;
                }
                let expr = text(&target["expr"]).to_owned();
                let of_panel = |one: &&Variable| expr.contains(&format!("${}", one.name));
                let legend = text(&target["legendFormat"]);
                all.push(Query {
                    place: format!("{name}: {}", text(&panel["title"])),
                    legend: label.captures_iter(legend).map(|one| one[1].to_owned()).collect(),
                    variables: known.iter().filter(of_panel).cloned().collect(),
                    expr,
                });
            }
        }
    }
    ensure!(all.len() > 40, "{} queries", all.len());
    Ok(all)
}

/// The expression with one value for each variable, as Grafana would write it.
fn filled(query: &Query, value: impl Fn(&str) -> String) -> String {
    let expr = query.expr.replace("$__rate_interval", "1m").replace("$__range", "1m");
    query.variables.iter().fold(expr, |expr, variable| {
        expr.replace(&format!("${}", variable.name), &value(&variable.name))
    })
}

/// Prometheus as a client sees it.
struct Asked(reqwest::Client, String);

impl Asked {
    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.1))?;
        url.query_pairs_mut().extend_pairs(parameters);
        let answer: Value = self.0.get(url).send().await?.json().await?;
        ensure!(answer["status"] == "success", "{parameters:?}: {answer}");
        Ok(answer["data"].clone())
    }

    /// The result of an expression now, one element a series.
    async fn query(&self, expr: &str) -> Result<Vec<Value>> {
        let data = self.get("/api/v1/query", &[("query", expr)]).await?;
        Ok(list(&data["result"]).cloned().collect())
    }

    async fn values(&self, variable: &Variable) -> Result<Vec<String>> {
        let path = format!("/api/v1/label/{}/values", variable.label);
        let data = self.get(&path, &[("match[]", &variable.metric)]).await?;
        Ok(list(&data).map(|value| text(value).to_owned()).collect())
    }

    /// What is wrong with the query now, if anything is.
    async fn fault(&self, query: &Query) -> Result<Option<String>> {
        let Query { place, legend, variables, .. } = query;
        let expr = filled(query, |_| ".*".to_owned());
        let found = self.query(&expr).await.context(place.clone())?;
        let Some(first) = found.first() else {
            return Ok(Some(format!("{place}: nothing of {expr}")));
        };
        for label in legend {
            let is_there = found.iter().any(|series| series["metric"][label].is_string());
            ensure!(is_there, "{place}: the legend names {label}, which is not in {first}");
        }
        for variable in variables {
            let values = self.values(variable).await?;
            let mut hits = 0;
            for value in values.iter().take(VALUES) {
                // Grafana escapes what is to be matched, and the text in its quotes once more.
                let escaped = regex::escape(value).replace('\\', "\\\\");
                let of = |name: &str| {
                    if name == variable.name { escaped.clone() } else { ".*".to_owned() }
                };
                hits += self.query(&filled(query, of)).await.context(place.clone())?.len();
            }
            if hits == 0 {
                return Ok(Some(format!("{place}: nothing of {expr} for one of {values:?}")));
            }
        }
        Ok(None)
    }
}

/// The series that the alert rules look at.
fn looked_at() -> Result<BTreeSet<String>> {
    let rules: Value =
        serde_norway::from_str(&fs::read_to_string(deploy("prometheus/alerts.yml"))?)?;
    let selector = Regex::new(r"\b(?:postrider|process)_\w+(?:\{[^}]*\})?")?;
    let mut all = BTreeSet::new();
    for rule in list(&rules["groups"]).flat_map(|group| list(&group["rules"])) {
        let expr = text(&rule["expr"]);
        let found: Vec<_> = selector.find_iter(expr).map(|one| one.as_str().to_owned()).collect();
        ensure!(!found.is_empty(), "{expr}");
        all.extend(found);
    }
    ensure!(all.len() > 8, "{all:?}");
    Ok(all)
}

/// Targets that take, refuse and fail; a lane held by hand; a relayed call that is refused; a pair
/// that was verified.
async fn set_up(api: &Api, double: &Double) -> Result<()> {
    let expiring = taken_for_a_token_that_ends(in_ninety_days());
    double.script_repeating("acme/billing", vec![expiring])?;
    double.script_repeating("broken", vec![Play::status(500)])?;
    let base = double.base_url();
    api.set_secret("githubToken", "test-token").await?;
    api.set_secret("heldToken", "test-token").await?;
    api.create_webhook(&webhook(&base, "acme/billing", "billing", "githubToken")).await?;
    api.create_webhook(&webhook(&base, "acme/orders", "billing", "heldToken")).await?;
    api.create_webhook(&hook_webhook(&base, "broken", "billing")).await?;
    let held = api.lane("/heldToken").await?.context("a lane")?;
    let held = json!({ "lane": held["name"] });
    api.with_json("POST", "/api/v1/lanes/hold", &held).await?.ok()?;
    let refused = api.with_json("POST", "/hooks/broker", &json!({})).await?;
    ensure!(refused.status == 400, "a relayed call without an event: {}", refused.text);
    let mut verified = event(1, "billing");
    verified["event_name"] = "provider_verification_published".into();
    verified["verification_success"] = true.into();
    api.publish(&verified).await?;
    Ok(())
}

/// A panel shows when it was last, and autovacuum takes its time.
async fn vacuum(cluster: &mut Cluster) -> Result<()> {
    let pool = PgPool::connect(cluster.services()?.database.as_str()).await?;
    sqlx::raw_sql("vacuum deliveries, events, lanes").execute(&pool).await?;
    pool.close().await;
    Ok(())
}

fn yaml(name: &str) -> Result<Value> {
    let text = fs::read_to_string(deploy(name)).with_context(|| name.to_owned())?;
    serde_norway::from_str(&text).with_context(|| name.to_owned())
}

/// What Prometheus is told where it is deployed, with the targets that there are here, each asked
/// more often.
fn configuration(cluster: &mut Cluster, exporter: &PostgresExporter) -> Result<Value> {
    let rabbit = cluster.services()?.rabbit.as_ref().context("a RabbitMQ of our own")?.metrics();
    let of_others = |address: SocketAddr| json!([{ "targets": [address.to_string()] }]);
    let ours = cluster.processes().iter().filter_map(|one| {
        let address = one.admin()?.to_string();
        Some(json!({ "targets": [address], "labels": { "instance": one.name() } }))
    });
    let ours: Vec<Value> = ours.collect();
    let mut jobs = Vec::new();
    for shipped in list(&yaml("prometheus/prometheus.yml")?["scrape_configs"]) {
        let mut job = shipped.clone();
        let (targets, interval) = match text(&job["job_name"]) {
            "postrider" => (json!(ours), "1s"),
            "rabbitmq" | "rabbitmq-queues" => (of_others(rabbit), "2s"),
            "postgres" => (of_others(exporter.address()), "2s"),
            other => bail!("{other}: nobody here answers"),
        };
        let settings = job.as_object_mut().context("a job")?;
        for containers in ["dns_sd_configs", "relabel_configs"] {
            settings.remove(containers);
        }
        settings.insert("static_configs".to_owned(), targets);
        for setting in ["scrape_interval", "scrape_timeout"] {
            settings.insert(setting.to_owned(), interval.into());
        }
        jobs.push(job);
    }
    Ok(json!({ "scrape_configs": jobs }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_every_panel_finds_something() -> Result<()> {
    let double = Double::start(Options::default()).await?;
    let (alerted, collector) =
        (Receiver::start(&[Reply::Status(200)]).await?, Collector::start().await?);
    let services = Services::with_own_rabbit().await?;
    let exporter = PostgresExporter::start(&services.database).await?;
    let plan = Plan::new(Mode::Distributed).workers(1).on(services);
    let plan = plan.set("ALERT_WEBHOOK_URL", alerted.url());
    let plan =
        collector.settings().into_iter().fold(plan, |plan, (name, value)| plan.set(&name, value));
    let mut cluster = Box::pin(plan.start()).await?;
    let api = cluster.api()?;
    set_up(&api, &double).await?;
    vacuum(&mut cluster).await?;
    let prometheus = Prometheus::start(&configuration(&mut cluster, &exporter)?).await?;
    let asked = Asked(reqwest::Client::builder().no_proxy().build()?, prometheus.url());
    Load::of(20)?.send(&cluster.intakes(), |number| event(number, "billing")).await?;
    let (queries, selectors) = (queries()?, looked_at()?);
    let mut number = 100;
    wait_until("every query to find something", SOON * 3, async || {
        // Rates stay above zero however slow this machine is.
        number += 1;
        api.publish(&event(number, "billing")).await?;
        let mut faults = Vec::new();
        for query in &queries {
            faults.extend(asked.fault(query).await?);
        }
        for selector in &selectors {
            if asked.query(selector).await?.is_empty() {
                faults.push(format!("alerts.yml: nothing of {selector}"));
            }
        }
        Ok(Looking::when(faults.is_empty(), || faults.join("\n")))
    })
    .await?;
    cluster.finish().await
}

#[test]
fn dashboards_hang_together() -> Result<()> {
    let variable = Regex::new(r"\$(\w+)")?;
    let mut uids = BTreeSet::new();
    let mut panels = 0;
    for (name, dashboard) in dashboards()? {
        ensure!(uids.insert(text(&dashboard["uid"]).to_owned()), "{name}: another has its uid");
        let mut ids = BTreeSet::new();
        let names: Vec<&str> =
            list(&dashboard["templating"]["list"]).map(|one| text(&one["name"])).collect();
        for panel in list(&dashboard["panels"]) {
            let title = text(&panel["title"]);
            ensure!(ids.insert(panel["id"].as_u64()), "{name}: {title} has the id of another");
            for target in list(&panel["targets"]) {
                let uid = &target["datasource"]["uid"];
                ensure!(uid == PROMETHEUS || uid == JAEGER, "{name}: {title}: {uid}");
                ensure!(*uid == panel["datasource"]["uid"], "{name}: {title}");
                let asked = ["expr", "query", "tags"].map(|key| text(&target[key])).concat();
                for found in variable.captures_iter(&asked) {
                    let known = found[1].starts_with("__") || names.contains(&&found[1]);
                    ensure!(known, "{name}: {title}: no variable {}", &found[0]);
                }
                panels += 1;
            }
        }
    }
    ensure!(uids.len() == 7 && panels > 40, "{uids:?}, {panels} targets");
    let sources = fs::read_to_string(deploy("grafana/provisioning/datasources/postrider.yml"))?;
    let sources: Value = serde_norway::from_str(&sources)?;
    let sources: Vec<&str> = list(&sources["datasources"]).map(|one| text(&one["uid"])).collect();
    ensure!(sources == [PROMETHEUS, JAEGER], "{sources:?}");
    Ok(())
}

/// The panel that finds the trace of a delivery asks for an attribute that spans have.
#[test]
fn traces_are_looked_for_by_what_spans_say() -> Result<()> {
    let spans = deploy("../crates/telemetry/src/spans/data.rs");
    let spans = fs::read_to_string(spans)?;
    let all = dashboards()?;
    let Some((_, dashboard)) = all.iter().find(|(name, _)| name == "trace.json") else {
        bail!("no trace.json");
    };
    let targets = list(&dashboard["panels"]).flat_map(|panel| list(&panel["targets"]));
    let searched: Vec<&str> =
        targets.map(|one| text(&one["tags"])).filter(|tags| !tags.is_empty()).collect();
    let [tags] = searched[..] else { bail!("one search: {searched:?}") };
    let (name, _) = tags.split_once('=').context("name=value")?;
    ensure!(spans.contains(&format!("\"{name}\"")), "no span has {name}");
    Ok(())
}

/// How often the configuration that is shipped asks, and Grafana believes.
#[test]
fn prometheus_is_configured() -> Result<()> {
    crate::metrics::promtool(&["check", "config", "--syntax-only", "prometheus.yml"], "")?;
    let config = yaml("prometheus/prometheus.yml")?;
    let grafana = yaml("grafana/provisioning/datasources/postrider.yml")?;
    let interval = &config["global"]["scrape_interval"];
    ensure!(*interval == grafana["datasources"][0]["jsonData"]["timeInterval"], "{interval}");
    ensure!(config["scrape_configs"][0]["job_name"] == "postrider", "panels ask for that job");
    let compose = yaml("../docker-compose.yml")?;
    let named = list(&config["scrape_configs"]).flat_map(|job| list(&job["static_configs"]));
    let named: Vec<&str> = named.flat_map(|one| list(&one["targets"])).map(text).collect();
    ensure!(named.len() == 3, "RabbitMQ, its queues, Postgres: {named:?}");
    for target in named {
        let (service, _port) = target.split_once(':').context("SERVICE:PORT")?;
        ensure!(compose["services"][service].is_object(), "{service} is not in docker-compose.yml");
    }
    Ok(())
}
