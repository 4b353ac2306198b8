//! The Kubernetes manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde_json::Value;

use super::{
    BEYOND_GRACE, PEOPLE_CONNECTIONS, Secrets, Start, VERSION, document, documents, entries, image,
    path, read, text, texts,
};

const DIR: &str = "deploy/kubernetes";
/// Not applied with the others.
const APART: [&str; 2] = ["kustomization.yaml", "secret.example.yaml"];
/// Where the secret is mounted in each container.
const MOUNTED: &str = "/run/secrets/postrider";
/// Postgres takes 100 connections unless told otherwise, and keeps some for itself.
const CONNECTIONS: u64 = 95;

fn file(name: &str) -> Result<Value> {
    document(&format!("{DIR}/{name}"))
}

/// All objects that are applied.
fn objects() -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for name in texts(&file("kustomization.yaml")?["resources"]) {
        objects.extend(documents(&format!("{DIR}/{name}"))?);
    }
    Ok(objects)
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// What runs pods.
fn workloads(objects: &[Value]) -> Vec<&Value> {
    [of_kind(objects, "Deployment"), of_kind(objects, "Job")].concat()
}

fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]
}

fn container(workload: &Value) -> Result<&Value> {
    let containers = pod(workload)["containers"].as_array().context("containers")?;
    ensure!(containers.len() == 1, "{}: one container", name(workload));
    Ok(&containers[0])
}

/// Whether pods of this workload have all labels of a selector.
fn selects(labels: &Value, workload: &Value) -> bool {
    let own = &workload["spec"]["template"]["metadata"]["labels"];
    labels.is_object() && entries(labels).all(|(name, value)| own[name] == *value)
}

/// The HTTP paths that kubelets ask for.
pub(super) fn probed() -> Result<BTreeSet<String>> {
    let objects = objects()?;
    let mut paths = BTreeSet::new();
    for workload in of_kind(&objects, "Deployment") {
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            paths.insert(text(&container(workload)?[probe]["httpGet"]["path"])?.to_owned());
        }
    }
    Ok(paths)
}

/// The metrics that autoscaling asks for.
pub(super) fn metrics() -> Result<BTreeSet<String>> {
    let adapter = read(&format!("{DIR}/optional/prometheus-adapter.yaml"))?;
    let metric = Regex::new(r"\bpostrider_[a-z_]+")?;
    Ok(metric.find_iter(&adapter).map(|found| found.as_str().to_owned()).collect())
}

#[test]
fn every_manifest_is_applied() -> Result<()> {
    let applied = file("kustomization.yaml")?;
    let applied: BTreeSet<&str> = texts(&applied["resources"]).into_iter().collect();
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(path(DIR))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if path(&name).extension().is_some_and(|end| end == "yaml")
            && !APART.contains(&name.as_str())
        {
            there.insert(name);
        }
    }
    ensure!(there.iter().map(String::as_str).eq(applied), "{there:?}");
    for object in objects()? {
        let metadata = &object["metadata"];
        let is_namespace = object["kind"] == "Namespace";
        ensure!(is_namespace || metadata["namespace"] == "postrider", "{metadata}");
        ensure!(metadata["labels"]["app.kubernetes.io/name"] == "postrider", "{metadata}");
    }
    for entry in fs::read_dir(path(DIR).join("optional"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        documents(&format!("{DIR}/optional/{name}"))?;
    }
    Ok(())
}

/// The settings that every pod gets.
fn config() -> Result<BTreeMap<String, String>> {
    let made = &file("kustomization.yaml")?["configMapGenerator"][0];
    ensure!(made["name"] == "postrider" && texts(&made["envs"]) == ["config.env"], "{made}");
    let lines = read(&format!("{DIR}/config.env"))?;
    let lines = lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, value) = line.split_once('=').with_context(|| format!("{line}: NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    lines.map(pair).collect()
}

/// Everything of ours that the manifests start.
fn starts() -> Result<Vec<Start>> {
    let objects = objects()?;
    let env = config()?;
    let secret = file("secret.example.yaml")?;
    let filled = entries(&secret["stringData"]).find(|(_, value)| **value != "");
    ensure!(filled.is_none(), "the example holds a value: {filled:?}");
    let files = entries(&secret["stringData"]).map(|(key, _)| format!("{MOUNTED}/{key}"));
    let files: Vec<String> = files.collect();
    let start = |workload: &&Value| {
        let container = container(workload)?;
        ensure!(container["env"].is_null(), "settings come from the config map");
        let from = &container["envFrom"][0]["configMapRef"]["name"];
        ensure!(*from == "postrider", "{from} is no config map");
        let volume = &pod(workload)["volumes"][0];
        ensure!(volume["secret"]["secretName"] == secret["metadata"]["name"], "{volume}");
        let mount = &container["volumeMounts"][0];
        ensure!(mount["name"] == volume["name"] && mount["mountPath"] == MOUNTED, "{mount}");
        Ok(Start {
            name: name(workload).to_owned(),
            args: texts(&container["args"]).into_iter().map(str::to_owned).collect(),
            env: env.clone(),
            files: files.clone(),
        })
    };
    workloads(&objects).iter().map(start).collect()
}

#[tokio::test]
async fn commands_and_settings_exist() -> Result<()> {
    let secrets = Secrets::make()?;
    let starts = starts()?;
    for start in &starts {
        start.check(&secrets).await.with_context(|| start.name.clone())?;
        ensure!(start.name.starts_with(&format!("postrider-{}", start.args[0])), "{start:?}");
    }
    ensure!(starts.len() == 4, "migrate and three roles");
    Ok(())
}

#[test]
fn pods_have_no_rights() -> Result<()> {
    let objects = objects()?;
    let user = image::user()?;
    for workload in workloads(&objects) {
        let (name, pod, container) = (name(workload), pod(workload), container(workload)?);
        let security = &pod["securityContext"];
        ensure!(security["runAsNonRoot"] == true, "{name}");
        ensure!(security["runAsUser"] == user && security["fsGroup"] == user, "{name}: {security}");
        ensure!(security["seccompProfile"]["type"] == "RuntimeDefault", "{name}");
        let own = &container["securityContext"];
        ensure!(own["allowPrivilegeEscalation"] == false, "{name}");
        ensure!(own["readOnlyRootFilesystem"] == true, "{name}");
        ensure!(texts(&own["capabilities"]["drop"]) == ["ALL"], "{name}");
        ensure!(pod["automountServiceAccountToken"] == false, "{name}");
        ensure!(pod["enableServiceLinks"] == false, "{name} would be refused its settings");
        let accounts = of_kind(&objects, "ServiceAccount");
        let known = accounts.iter().any(|one| one["metadata"]["name"] == pod["serviceAccountName"]);
        ensure!(known, "{name}: {}", pod["serviceAccountName"]);
        let resources = &container["resources"];
        ensure!(resources["requests"]["cpu"].is_string(), "{name}");
        ensure!(resources["requests"]["memory"].is_string(), "{name}");
        ensure!(resources["limits"]["memory"].is_string(), "{name}");
        ensure!(container["image"] == format!("postrider:{VERSION}"), "{name}");
    }
    let image = &file("kustomization.yaml")?["images"][0];
    ensure!(image["name"] == "postrider" && image["newTag"] == VERSION, "{image}");
    Ok(())
}

#[test]
fn ports_are_those_that_the_image_listens_on() -> Result<()> {
    let env = image::environment()?;
    let port = |name: &str| env[name].rsplit(':').next().and_then(|port| port.parse::<u64>().ok());
    let (listen, admin) = (port("POSTRIDER_LISTEN"), port("POSTRIDER_ADMIN_LISTEN"));
    let objects = objects()?;
    for workload in of_kind(&objects, "Deployment") {
        let container = container(workload)?;
        let ports = container["ports"].as_array().into_iter().flatten();
        let ports: BTreeMap<&str, Option<u64>> = ports
            .filter_map(|port| Some((port["name"].as_str()?, port["containerPort"].as_u64())))
            .collect();
        let mut wanted = BTreeMap::from([("admin", admin)]);
        if name(workload) == "postrider-ingest" {
            wanted.insert("http", listen);
        }
        ensure!(ports == wanted, "{}: {ports:?}", name(workload));
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            ensure!(container[probe]["httpGet"]["port"] == "admin", "{probe}");
        }
        let notes = &workload["spec"]["template"]["metadata"]["annotations"];
        ensure!(
            notes["prometheus.io/port"].as_str().and_then(|port| port.parse().ok()) == admin,
            "{notes}"
        );
        ensure!(notes["prometheus.io/path"] == "/metrics", "{notes}");
    }
    let service = of_kind(&objects, "Service");
    let ports = &service.first().context("a service")?["spec"]["ports"][0];
    ensure!(ports["port"].as_u64() == listen && ports["targetPort"] == "http", "{ports}");
    Ok(())
}

#[test]
fn selectors_match_the_pods_that_they_are_for() -> Result<()> {
    let objects = objects()?;
    let deployments = of_kind(&objects, "Deployment");
    for deployment in &deployments {
        let labels = &deployment["spec"]["selector"]["matchLabels"];
        let matched: Vec<&str> =
            deployments.iter().filter(|one| selects(labels, one)).map(|one| name(one)).collect();
        ensure!(matched == [name(deployment)], "{matched:?}");
    }
    let mut budgets = Vec::new();
    for (kind, labels) in
        [("Service", "/spec/selector"), ("PodDisruptionBudget", "/spec/selector/matchLabels")]
    {
        for object in of_kind(&objects, kind) {
            let labels = object.pointer(labels).context("a selector")?;
            let matched = workloads(&objects).into_iter().filter(|one| selects(labels, one));
            let matched: Vec<&str> = matched.map(name).collect();
            ensure!(matched == [name(object)], "{kind} {}: {matched:?}", name(object));
            if kind == "PodDisruptionBudget" {
                ensure!(object["spec"]["maxUnavailable"] == 1, "some always stay");
                budgets.push(name(object));
            }
        }
    }
    let all = ["postrider-ingest", "postrider-worker", "postrider-monitor"];
    ensure!(budgets == all, "{budgets:?}");
    for policy in of_kind(&objects, "NetworkPolicy") {
        let labels = &policy["spec"]["podSelector"]["matchLabels"];
        let matched = workloads(&objects).into_iter().filter(|one| selects(labels, one)).count();
        ensure!(matched == if name(policy) == "postrider" { 4 } else { 1 }, "{}", name(policy));
    }
    Ok(())
}

#[test]
fn the_example_of_an_ingress_leads_to_the_intake() -> Result<()> {
    let ingress = file("optional/ingress.yaml")?;
    let service = &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
    let objects = objects()?;
    let services = of_kind(&objects, "Service");
    let found = services.iter().find(|one| one["metadata"]["name"] == service["name"]);
    let port = &found.context("its service")?["spec"]["ports"][0]["name"];
    ensure!(service["port"]["name"] == *port, "{service}");
    Ok(())
}

#[test]
fn pods_are_given_the_time_that_they_take() -> Result<()> {
    let objects = objects()?;
    let grace = super::seconds(&config()?["POSTRIDER_SHUTDOWN_GRACE"].clone().into())?;
    for deployment in of_kind(&objects, "Deployment") {
        let (name, container) = (name(deployment), container(deployment)?);
        let before = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64();
        ensure!(before.is_some() == (name == "postrider-ingest"), "{name}");
        let least = before.unwrap_or_default() + grace + BEYOND_GRACE;
        let given = pod(deployment)["terminationGracePeriodSeconds"].as_u64();
        ensure!(given.is_some_and(|given| given >= least), "{name} may take {least} s to stop");
        let startup = &container["startupProbe"];
        let number = |key: &str| startup[key].as_u64().unwrap_or_default();
        let waits = number("periodSeconds") * number("failureThreshold");
        // Half a minute each for the database and for the migration.
        ensure!(waits > 60, "{name} is killed while it still waits for its database");
        // The database is given two seconds to answer.
        ensure!(container["readinessProbe"]["timeoutSeconds"].as_u64() > Some(2), "{name}");
    }
    Ok(())
}

/// A Job can't be changed: with another image it has to be another.
#[test]
fn each_version_has_a_migration_of_its_own() -> Result<()> {
    let objects = objects()?;
    let jobs = of_kind(&objects, "Job");
    ensure!(jobs.len() == 1, "{jobs:?}");
    let wanted = format!("postrider-migrate-{}", env!("CARGO_PKG_VERSION").replace('.', "-"));
    ensure!(name(jobs[0]) == wanted, "{} for {wanted}", name(jobs[0]));
    ensure!(jobs[0]["spec"]["ttlSecondsAfterFinished"].is_u64(), "it stays for ever");
    Ok(())
}

#[test]
fn the_autoscaler_finds_its_metric_and_postgres_bears_it() -> Result<()> {
    let objects = objects()?;
    let scalers = of_kind(&objects, "HorizontalPodAutoscaler");
    let spec = &scalers.first().context("an autoscaler")?["spec"];
    ensure!(spec["scaleTargetRef"]["name"] == "postrider-worker", "{spec}");
    let metric = text(&spec["metrics"][0]["external"]["metric"]["name"])?;
    ensure!(metric == "postrider_oldest_pending_age_seconds", "{metric}");
    let adapter = file("optional/prometheus-adapter.yaml")?;
    ensure!(adapter["rules"]["external"][0]["name"]["as"] == metric, "{adapter}");
    let each: u64 = config()?["POSTRIDER_DB_CONNECTIONS"].parse()?;
    let each = each + PEOPLE_CONNECTIONS;
    let mut processes = 1; // migrate
    for deployment in of_kind(&objects, "Deployment") {
        let is_scaled = name(deployment) == "postrider-worker";
        let own = &deployment["spec"]["replicas"];
        // A number here would undo the autoscaler's each time that the manifests are applied.
        ensure!(own.is_null() == is_scaled, "{}", name(deployment));
        let replicas = if is_scaled { &spec["maxReplicas"] } else { own };
        let surge = &deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"];
        processes += replicas.as_u64().context("replicas")? + surge.as_u64().context("maxSurge")?;
    }
    ensure!(processes * each <= CONNECTIONS, "{processes} processes of {each} connections");
    Ok(())
}
