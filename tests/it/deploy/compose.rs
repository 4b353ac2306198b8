//! The compose files.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    BEYOND_GRACE, DB_CONNECTIONS, PEOPLE_CONNECTIONS, Secrets, Start, VERSION, document, entries,
    image, path, read, seconds, text, texts,
};
use crate::harness::{run, setting};

/// Where a secret is mounted unless the service says otherwise.
const MOUNTED: &str = "/run/secrets/";
/// Workers that one machine's Postgres has to bear.
const WORKERS: u64 = 16;

pub(super) const DISTRIBUTED: &str = "docker-compose.yml";
pub(super) const EMBEDDED: &str = "deploy/embedded-compose.yml";

fn services(compose: &Value) -> impl Iterator<Item = (&str, &Value)> {
    entries(&compose["services"])
}

fn is_ours(service: &Value) -> bool {
    service["image"].as_str().is_some_and(|image| image.contains("postrider"))
}

/// Source and place in the container of each secret of a service.
fn secrets(service: &Value) -> Result<Vec<(&str, String)>> {
    let all = service["secrets"].as_array().into_iter().flatten();
    all.map(|secret| match secret.as_str() {
        Some(name) => Ok((name, format!("{MOUNTED}{name}"))),
        None => Ok((text(&secret["source"])?, text(&secret["target"])?.to_owned())),
    })
    .collect()
}

/// Everything of ours that a compose file starts.
pub(super) fn starts(name: &str) -> Result<BTreeMap<String, Start>> {
    let compose = document(name)?;
    let ours = services(&compose).filter(|(_, service)| is_ours(service));
    ours.map(|(name, service)| {
        let env = entries(&service["environment"])
            .map(|(name, value)| Ok((name.to_owned(), text(value)?.to_owned())));
        let start = Start {
            name: name.to_owned(),
            args: texts(&service["command"]).into_iter().map(str::to_owned).collect(),
            env: env.collect::<Result<_>>().context("values are texts")?,
            files: secrets(service)?.into_iter().map(|(_, place)| place).collect(),
        };
        Ok((name.to_owned(), start))
    })
    .collect()
}

#[tokio::test]
async fn commands_and_settings_exist() -> Result<()> {
    let made = Secrets::make()?;
    for name in [DISTRIBUTED, EMBEDDED] {
        let starts = starts(name)?;
        for start in starts.values() {
            start.check(&made).await.with_context(|| format!("{name}: {}", start.name))?;
        }
    }
    let names: Vec<String> = starts(DISTRIBUTED)?.into_keys().collect();
    ensure!(names == ["cli", "ingest", "migrate", "monitor", "worker"], "{names:?}");
    Ok(())
}

#[test]
fn what_they_name_is_there() -> Result<()> {
    let made = Secrets::make()?;
    for name in [DISTRIBUTED, EMBEDDED] {
        let compose = document(name)?;
        let dir = path(name).parent().context("a directory")?.to_owned();
        for (kind, file) in entries(&compose["secrets"]) {
            let file = text(&file["file"])?;
            let file = dir.join(file);
            ensure!(file.parent().is_some_and(|dir| dir.ends_with("deploy/secrets")), "{kind}");
            let file = made.dir().join(file.file_name().context("a name")?);
            ensure!(file.is_file(), "{name}: deploy/make-secrets.sh makes no {}", file.display());
        }
        for (service, definition) in services(&compose) {
            for (secret, _) in secrets(definition)? {
                ensure!(compose["secrets"].get(secret).is_some(), "{service}: secret {secret}");
            }
            for network in texts(&definition["networks"]) {
                ensure!(compose["networks"].get(network).is_some(), "{service}: {network}");
            }
            for volume in texts(&definition["volumes"]) {
                let (source, _) = volume.split_once(':').context("SOURCE:TARGET")?;
                let there = if source.starts_with('.') {
                    dir.join(source).exists()
                } else {
                    compose["volumes"].get(source).is_some()
                };
                ensure!(there, "{service}: volume {source}");
            }
            if is_ours(definition) {
                let dockerfile = text(&definition["build"]["dockerfile"])?;
                let context = dir.join(text(&definition["build"]["context"])?);
                ensure!(context.join(dockerfile).is_file(), "{service}: {dockerfile}");
                let image = text(&definition["image"])?;
                ensure!(image == format!("${{IMAGE:-postrider:{VERSION}}}"), "{service}: {image}");
            }
        }
    }
    Ok(())
}

#[test]
fn services_wait_for_what_can_become_true() -> Result<()> {
    let compose = document(DISTRIBUTED)?;
    let mut conditions = 0;
    for (name, service) in services(&compose) {
        for (target, wanted) in entries(&service["depends_on"]) {
            let target = &compose["services"][target];
            ensure!(target.is_object(), "{name} waits for what is not there");
            let checked = target["healthcheck"]["test"].is_array()
                || (is_ours(target) && target["healthcheck"].is_null());
            let ends = texts(&target["command"]) == ["migrate"];
            match text(&wanted["condition"])? {
                "service_healthy" => ensure!(checked, "{name} waits for an unknown health"),
                "service_completed_successfully" => ensure!(ends, "{name} waits for an end"),
                "service_started" => {}
                other => anyhow::bail!("{name}: {other}"),
            }
            conditions += 1;
        }
        let ends = matches!(name, "migrate" | "cli");
        let unchecked = service["healthcheck"]["disable"] == true;
        ensure!(unchecked == ends, "{name}: all that stay are asked for their health");
        let restarted = text(&service["restart"])? == "unless-stopped";
        ensure!(restarted != ends, "{name}: all that stay are started again");
    }
    ensure!(conditions == 7, "{conditions} conditions");
    Ok(())
}

#[test]
fn only_the_intake_is_published_and_only_to_this_machine() -> Result<()> {
    let listen = image::environment()?["POSTRIDER_LISTEN"].clone();
    let port = listen.rsplit(':').next().context("a port")?;
    for (name, intake) in [(DISTRIBUTED, "ingest"), (EMBEDDED, "postrider")] {
        let compose = document(name)?;
        for (service, definition) in services(&compose) {
            let ports = texts(&definition["ports"]);
            if service == "grafana" {
                ensure!(ports == ["${PUBLISH_GRAFANA:-127.0.0.1:3000}:3000"], "{ports:?}");
            } else if service == intake {
                ensure!(ports == [format!("${{PUBLISH:-127.0.0.1:{port}}}:{port}")], "{ports:?}");
            } else {
                // With a name or a port of its own a service can't be scaled.
                ensure!(ports.is_empty(), "{service}: {ports:?}");
            }
            ensure!(definition["container_name"].is_null(), "{service} has a name of its own");
        }
    }
    let compose = document(DISTRIBUTED)?;
    for network in ["inside", "metrics"] {
        ensure!(compose["networks"][network]["internal"] == true, "{network} has no way out");
    }
    for (service, of) in [("postgres", vec!["inside"]), ("rabbitmq", vec!["inside", "metrics"])] {
        let networks = texts(&compose["services"][service]["networks"]);
        ensure!(networks == of, "{service} is reached by ours alone: {networks:?}");
    }
    Ok(())
}

#[test]
fn stops_are_waited_for_and_nothing_is_allowed_that_is_not_needed() -> Result<()> {
    for name in [DISTRIBUTED, EMBEDDED] {
        let compose = document(name)?;
        for (service, definition) in services(&compose) {
            let limit = &definition["deploy"]["resources"]["limits"]["memory"];
            ensure!(limit.is_string(), "{service} may use all memory");
            let grace = seconds(&definition["stop_grace_period"]);
            if !is_ours(definition) {
                ensure!(grace? >= 30, "{service} is given time to stop");
                continue;
            }
            if let Some(own) = definition["environment"].get("POSTRIDER_SHUTDOWN_GRACE") {
                let least = seconds(own)? + BEYOND_GRACE;
                ensure!(grace? >= least, "{service} may take {least} s to stop");
            }
            ensure!(definition["read_only"] == true, "{service} writes into its image");
            ensure!(texts(&definition["cap_drop"]) == ["ALL"], "{service}");
            let options = texts(&definition["security_opt"]);
            ensure!(options == ["no-new-privileges:true"], "{service}: {options:?}");
        }
    }
    Ok(())
}

/// What is copied from the example is read by all of ours, and names settings that there are.
#[tokio::test]
async fn more_settings_come_from_a_file() -> Result<()> {
    for name in [DISTRIBUTED, EMBEDDED] {
        let compose = document(name)?;
        let dir = path(name).parent().context("a directory")?.to_owned();
        for (service, definition) in services(&compose).filter(|(_, service)| is_ours(service)) {
            let file = &definition["env_file"][0];
            ensure!(file["required"] == false, "{service}: {file}");
            let example = dir.join(format!("{}.example", text(&file["path"])?));
            ensure!(example.is_file(), "{service}: {}", example.display());
        }
    }
    let ignored =
        super::read_lines(".gitignore")?.iter().any(|line| line == "/deploy/postrider.env");
    ensure!(ignored, "it may hold secrets");
    let lines = super::read_lines("deploy/postrider.env.example")?;
    let given = lines.iter().filter_map(|line| line.strip_prefix('#')?.split_once('='));
    let given = given.filter(|(name, _)| !name.starts_with(' '));
    let given: Vec<_> =
        given.map(|(name, value)| setting(name.trim_start_matches("POSTRIDER_"), value)).collect();
    ensure!(given.len() > 8, "{given:?}");
    let checked = run(&["config", "check"], &given, "").await?;
    ensure!(checked.status.success(), "{checked:?}");
    Ok(())
}

/// Who looks from outside the containers sees what Prometheus and Grafana are given.
#[test]
fn what_observes_is_started_on_demand_only() -> Result<()> {
    let compose = document(DISTRIBUTED)?;
    for (service, of) in [
        ("prometheus", vec!["outside", "metrics"]),
        ("postgres-exporter", vec!["inside", "metrics"]),
        ("grafana", vec!["outside"]),
        ("jaeger", vec!["outside"]),
    ] {
        let definition = &compose["services"][service];
        ensure!(texts(&definition["profiles"]) == ["observe"], "{service}");
        let networks = texts(&definition["networks"]);
        ensure!(networks == of, "{service}: {networks:?}");
    }
    let config = document("deploy/prometheus/prometheus.yml")?;
    let asked = &config["scrape_configs"][0]["dns_sd_configs"][0];
    let roles = texts(&asked["names"]);
    ensure!(roles == ["ingest", "worker", "monitor"], "{roles:?}");
    let admin = image::environment()?["POSTRIDER_ADMIN_LISTEN"].clone();
    let port = admin.rsplit(':').next().and_then(|port| port.parse().ok());
    ensure!(asked["port"].as_u64() == port, "{asked}");
    Ok(())
}

#[test]
fn postgres_and_rabbitmq_have_room() -> Result<()> {
    let compose = document(DISTRIBUTED)?;
    let postgres = texts(&compose["services"]["postgres"]["command"]);
    let most = postgres.iter().find_map(|word| word.strip_prefix("max_connections="));
    let others = 3;
    let wanted = (WORKERS + others) * (DB_CONNECTIONS + PEOPLE_CONNECTIONS);
    ensure!(most.context("max_connections")?.parse::<u64>()? >= wanted, "{wanted} connections");
    let limit = text(&compose["services"]["rabbitmq"]["deploy"]["resources"]["limits"]["memory"])?;
    ensure!(limit == "1G", "{limit}: change the watermark too");
    let config = read("deploy/rabbitmq.conf")?;
    ensure!(config.contains("\nvm_memory_high_watermark.absolute = 600MiB\n"), "{config}");
    Ok(())
}
