//! Tests of the metrics.

use super::*;

fn lane(name: &str, state: LaneGauge) -> LaneSample {
    let cause = (state == LaneGauge::Held).then_some("manual");
    LaneSample { lane: name.to_owned(), state, cause, backlog: 3 }
}

/// Every metric has a value.
fn filled() -> Metrics {
    let metrics = Metrics::new("1.2.3", "unknown").unwrap();
    metrics.expect_events();
    metrics.expect_outcomes(["accepted"]);
    metrics.intake_answered(IntakeRoute::Relay, "401");
    metrics.events_received(5);
    metrics.events_duplicate(2);
    metrics.relay_broken_body(true);
    metrics.http_limited("local", "api");
    metrics.attempted("api.github.com/a", "accepted");
    metrics.finished("delivered", 2);
    metrics.alert_tried("slack", "sent");
    metrics.set_queue_up(QueueLink::Publisher, true);
    let pool = PoolSample { pool: "hot", used: 2, idle: 1 };
    metrics.set_database(vec![pool], Duration::from_millis(20));
    metrics.set_claims_in_flight(6);
    metrics.set_monitor(MonitorSample { active: true, quiet_day: false });
    metrics.attempt_took(Duration::from_millis(3));
    metrics.delivered_after(Duration::from_secs(2));
    metrics.set_oldest_pending_age(Duration::from_millis(1500));
    metrics.set_queue_depths(vec![("q.0".to_owned(), 7)]);
    metrics.set_lanes(vec![lane("api.github.com/a", LaneGauge::Paused)]);
    metrics.set_webhooks(vec![WebhookSample {
        webhook: "d2181b32-8b03-4daf-8cc0-d9168b2f6fac".to_owned(),
        description: "billing".to_owned(),
        lane: "api.github.com/a".to_owned(),
        consecutive_failures: 4,
        last_success: Some(1_790_000_000),
    }]);
    metrics.set_incidents(vec![("credential".to_owned(), 1)]);
    metrics.set_github_ratelimit_remaining("api.github.com/a", 4999);
    metrics.set_credential_expiries(vec![("a".to_owned(), 1_790_000_000)]);
    metrics.set_verification_ages(vec![VerificationSample {
        consumer: "checkout".to_owned(),
        provider: "billing".to_owned(),
        age: Duration::from_millis(2500),
        max_age: Duration::from_hours(24),
    }]);
    metrics.spans_dropped(SpanLoss::QueueFull, 3);
    metrics
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no line {line:?} in\n{text}");
}

#[test]
fn every_number_is_shown() {
    let text = filled().render().unwrap();
    for line in [
        "postrider_events_received_total 5",
        "postrider_events_duplicate_total 2",
        r#"postrider_relay_broken_bodies_total{accepted="true"} 1"#,
        r#"postrider_relay_broken_bodies_total{accepted="false"} 0"#,
        r#"postrider_http_limited_total{route="api",token="local"} 1"#,
        r#"postrider_deliveries_total{outcome="accepted"} 1"#,
        r#"postrider_delivery_attempt_duration_seconds_bucket{le="0.005"} 1"#,
        "postrider_delivery_attempt_duration_seconds_sum 0.003",
        "postrider_delivery_end_to_end_seconds_count 1",
        "postrider_oldest_pending_age_seconds 1.5",
        r#"postrider_queue_depth{queue="q.0"} 7"#,
        r#"postrider_lane_state{cause="",lane="api.github.com/a",state="paused"} 1"#,
        r#"postrider_lane_state{cause="",lane="api.github.com/a",state="open"} 0"#,
        r#"postrider_attempts_total{lane="api.github.com/a",outcome="accepted"} 1"#,
        r#"postrider_deliveries_finished_total{status="delivered"} 2"#,
        r#"postrider_deliveries_finished_total{status="failed"} 0"#,
        r#"postrider_intake_requests_total{route="relay",status="401"} 1"#,
        r#"postrider_alerts_total{channel="slack",result="sent"} 1"#,
        r#"postrider_queue_up{link="publisher"} 1"#,
        r#"postrider_database_connections{pool="hot",state="used"} 2"#,
        "postrider_database_oldest_step_seconds 0.02",
        "postrider_claims_in_flight 6",
        "postrider_monitor_active 1",
        "postrider_quiet_day 0",
        r#"postrider_verification_max_age_seconds{consumer="checkout",provider="billing"} 86400"#,
        r#"postrider_lane_backlog{lane="api.github.com/a"} 3"#,
        r#"postrider_github_ratelimit_remaining{lane="api.github.com/a"} 4999"#,
        r#"postrider_consecutive_failures{webhook="d2181b32-8b03-4daf-8cc0-d9168b2f6fac"} 4"#,
        r#"postrider_incidents_open{kind="credential"} 1"#,
        r#"postrider_verification_age_seconds{consumer="checkout",provider="billing"} 2.5"#,
        r#"postrider_credential_expiry_timestamp_seconds{credential="a"} 1790000000"#,
        r#"postrider_spans_dropped_total{reason="queue_full"} 3"#,
        r#"postrider_build_info{revision="unknown",version="1.2.3"} 1"#,
    ] {
        assert_line(&text, line);
    }
    assert!(text.contains("postrider_last_success_timestamp_seconds{webhook="), "{text}");
}

#[test]
fn every_metric_has_help_and_type_and_the_prefix() {
    let text = filled().render().unwrap();
    let described = |kind: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind));
        lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect::<Vec<_>>()
    };
    let help = described("# HELP ");
    assert_eq!(help, described("# TYPE "));
    let (own, of_process): (Vec<_>, Vec<_>) =
        help.iter().partition(|name| name.starts_with("postrider_"));
    assert_eq!(own.len(), 31, "{own:?}");
    assert_eq!(of_process.len(), 6, "{of_process:?}");
    assert!(of_process.iter().all(|name| name.starts_with("process_")), "{of_process:?}");
}

#[test]
fn what_vanished_is_no_longer_shown() {
    let metrics = filled();
    metrics.set_lanes(vec![lane("other", LaneGauge::Held)]);
    metrics.set_webhooks(Vec::new());
    metrics.set_queue_depths(Vec::new());
    metrics.set_incidents(Vec::new());
    metrics.set_credential_expiries(Vec::new());
    metrics.set_verification_ages(Vec::new());
    let text = metrics.render().unwrap();
    assert_line(&text, r#"postrider_lane_state{cause="manual",lane="other",state="held"} 1"#);
    let gone = [
        "lane_state{cause=\"\",lane=\"api.github.com/a\"",
        "d2181b32",
        "q.0",
        "credential",
        "billing",
    ];
    for gone in gone {
        assert!(!text.contains(gone), "{gone} in\n{text}");
    }
    assert_line(&text, "postrider_events_received_total 5");
}

#[test]
fn a_clone_counts_with_the_original() {
    let metrics = Metrics::new("1", "unknown").unwrap();
    metrics.expect_events();
    metrics.clone().events_received(1);
    metrics.events_received(1);
    assert_line(&metrics.render().unwrap(), "postrider_events_received_total 2");
}

#[test]
fn what_nobody_here_knows_is_not_shown() {
    let metrics = Metrics::new("1", "unknown").unwrap();
    let text = metrics.render().unwrap();
    let unknown =
        ["oldest_pending_age", "spans_dropped", "events_", "deliver", "intake", "monitor"];
    assert!(unknown.iter().all(|name| !text.contains(name)), "{text}");
    metrics.set_oldest_pending_age(Duration::ZERO);
    metrics.expect_spans();
    metrics.expect_outcomes(["accepted", "lost"]);
    let text = metrics.render().unwrap();
    assert_line(&text, "postrider_oldest_pending_age_seconds 0");
    assert_line(&text, r#"postrider_spans_dropped_total{reason="not_exported"} 0"#);
    assert_line(&text, r#"postrider_deliveries_total{outcome="lost"} 0"#);
}

#[test]
fn what_the_process_uses_is_read_from_linux() {
    let text = filled().render().unwrap();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    assert!(
        value("process_resident_memory_bytes ").is_some_and(|bytes| bytes > 100_000.0),
        "{text}"
    );
    assert!(value("process_open_fds ").is_some_and(|open| open >= 3.0), "{text}");
    assert!(value("process_threads ").is_some_and(|threads| threads >= 1.0), "{text}");
    assert!(value("process_start_time_seconds ").is_some_and(|at| at > 1.5e9), "{text}");
    assert!(value("process_cpu_seconds_total ").is_some(), "{text}");
}
