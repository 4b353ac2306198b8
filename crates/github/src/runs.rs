//! The runs that a dispatch started, by GitHub's Actions API.
//!
//! Nothing in a run names the dispatch that started it, but for the run's own name: a workflow whose
//! `run-name` holds the delivery's id is known by it (GitHub docs: list workflow runs; the answer has
//! no client payload).

use jiff::{SignedDuration, Timestamp};
use postrider_domain::TargetKind;
use postrider_domain::doctor::{NoRun, RunFinding};
use serde::Deserialize;
use url::Url;

use crate::message::Message;

/// Runs of a page: each is told of in some 12 KB, and of an answer 64 KiB are read.
const RUNS: u64 = 4;
/// Pages that are looked at.
pub const RUN_PAGES: u64 = 5;
/// Workflows that are looked at, of less than 1 KB each.
const WORKFLOWS: &str = "50";
/// A run begins within this time after its dispatch, by GitHub's clock; and not before it, by ours.
const WINDOW: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(1), SignedDuration::from_mins(15));

/// What a list of runs says of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsReading {
    /// What is known of its run.
    Found(RunFinding),
    /// No run on this page names the delivery; there are so many in all, and more pages or not.
    Others {
        /// Runs in all.
        count: u64,
        /// There are more pages.
        has_more: bool,
    },
    /// The answer is no list: why.
    Unreadable(String),
}

/// Where the runs are listed that dispatches of this request's repository started about then, newest
/// first; pages count from 1. `None` where the request is no dispatch of GitHub's.
pub fn runs_url(request: &Url, dispatched_at: Timestamp, page: u64) -> Option<Url> {
    let event = match TargetKind::of(request) {
        TargetKind::RepositoryDispatch => "repository_dispatch",
        TargetKind::WorkflowDispatch => "workflow_dispatch",
        TargetKind::Other => return None,
    };
    let second = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
    let from = second(dispatched_at.checked_sub(WINDOW.0).ok()?);
    let to = second(dispatched_at.checked_add(WINDOW.1).ok()?);
    let mut url = actions_url(request, "runs")?;
    url.query_pairs_mut()
        .append_pair("event", event)
        .append_pair("created", &format!("{from}..{to}"))
        .append_pair("exclude_pull_requests", "true")
        .append_pair("per_page", &RUNS.to_string())
        .append_pair("page", &page.to_string());
    Some(url)
}

/// Where one run is told of.
pub fn run_url(request: &Url, id: u64) -> Option<Url> {
    actions_url(request, &format!("runs/{id}"))
}

/// Where the repository's workflows are listed.
pub fn workflows_url(request: &Url) -> Option<Url> {
    let mut url = actions_url(request, "workflows")?;
    url.query_pairs_mut().append_pair("per_page", WORKFLOWS);
    Some(url)
}

fn actions_url(request: &Url, below: &str) -> Option<Url> {
    let segments: Vec<&str> = request.path_segments()?.collect();
    let (root, path) = match segments.as_slice() {
        ["api", "v3", path @ ..] => ("/api/v3", path),
        path => ("", path),
    };
    let ["repos", owner, repo, ..] = path else { return None };
    let mut url = request.clone();
    url.set_path(&format!("{root}/repos/{owner}/{repo}/actions/{below}"));
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

#[derive(Deserialize)]
struct WireRuns {
    total_count: u64,
    workflow_runs: Vec<WireRun>,
}

#[derive(Deserialize)]
struct WireRun {
    #[serde(default)]
    display_title: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    conclusion: Option<String>,
    #[serde(default)]
    html_url: String,
}

#[derive(Deserialize)]
struct WireWorkflows {
    workflows: Vec<WireWorkflow>,
}

#[derive(Deserialize)]
struct WireWorkflow {
    state: String,
}

impl WireRun {
    fn is_named(&self, delivery: &str) -> bool {
        let names = [&self.display_title, &self.name];
        names.into_iter().flatten().any(|name| name.contains(delivery))
    }

    fn finding(self) -> RunFinding {
        let url = self.html_url;
        match (self.status.as_deref(), self.conclusion) {
            (Some("completed"), Some(conclusion)) if conclusion == "success" => {
                RunFinding::Succeeded { url }
            }
            (Some("completed"), conclusion) => {
                let conclusion = conclusion.unwrap_or_else(|| "no conclusion".to_owned());
                RunFinding::Failed { url, conclusion }
            }
            (_, _) => RunFinding::Running { url },
        }
    }
}

/// Reads a page of a list of runs for the one that names the delivery.
pub fn read_runs(status: u16, body: &[u8], delivery: &str, page: u64) -> RunsReading {
    let runs: WireRuns = match read(status, body) {
        Ok(runs) => runs,
        Err(why) => return RunsReading::Unreadable(why),
    };
    let mut listed = runs.workflow_runs.into_iter();
    match listed.find(|run| run.is_named(delivery)) {
        Some(run) => RunsReading::Found(run.finding()),
        None => RunsReading::Others {
            count: runs.total_count,
            has_more: runs.total_count > page.saturating_mul(RUNS),
        },
    }
}

/// Reads the answer that tells of one run.
pub fn read_run(status: u16, body: &[u8]) -> RunsReading {
    match read::<WireRun>(status, body) {
        Ok(run) => RunsReading::Found(run.finding()),
        Err(why) => RunsReading::Unreadable(why),
    }
}

/// Why no run started, by the repository's workflows; what can't be read says nothing.
pub fn read_workflows(status: u16, body: &[u8]) -> NoRun {
    let Ok(WireWorkflows { workflows }) = read(status, body) else { return NoRun::NotListening };
    let is_active = |workflow: &WireWorkflow| workflow.state == "active";
    match (workflows.is_empty(), workflows.iter().any(is_active)) {
        (true, _) => NoRun::NoWorkflow,
        (false, false) => NoRun::Disabled,
        (false, true) => NoRun::NotListening,
    }
}

fn read<T: for<'d> Deserialize<'d>>(status: u16, body: &[u8]) -> Result<T, String> {
    if status != 200 {
        let hint = match status {
            401 => "; the credential is refused",
            403 | 404 => "; the credential may lack the permission to read Actions",
            _ => "",
        };
        let said = Message::original(body).map(|said| format!(" ({said})")).unwrap_or_default();
        return Err(format!("GitHub answered {status}{said}{hint}"));
    }
    serde_json::from_slice(body).map_err(|_| "GitHub's answer is no list of runs".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "01936f2e-7b1c-7cc0-9d5e-0a3f5b6c7d8e";

    fn read_of(runs: &Value, count: u64) -> RunsReading {
        let body = json!({"total_count": count, "workflow_runs": runs}).to_string();
        read_runs(200, body.as_bytes(), ID, 1)
    }

    fn run(title: &str, status: &str, conclusion: Option<&str>) -> Value {
        let url = "https://github.com/o/r/actions/runs/1";
        json!({"display_title": title, "status": status, "conclusion": conclusion, "html_url": url})
    }

    #[test]
    fn places() {
        let at: Timestamp = "2026-11-21T12:00:00.9Z".parse().unwrap();
        let url = |text: &str| runs_url(&text.parse().unwrap(), at, 2).map(|url| url.to_string());
        let query = "created=2026-11-21T11%3A59%3A00Z..2026-11-21T12%3A15%3A00Z\
                     &exclude_pull_requests=true&per_page=4&page=2";
        assert_eq!(
            url("https://api.github.com/repos/o/r/dispatches?x=1").unwrap(),
            format!(
                "https://api.github.com/repos/o/r/actions/runs?event=repository_dispatch&{query}"
            )
        );
        let workflow = "https://ghe.example/api/v3/repos/o/r/actions/workflows/w.yml/dispatches";
        let runs = "https://ghe.example/api/v3/repos/o/r/actions/runs";
        assert_eq!(url(workflow).unwrap(), format!("{runs}?event=workflow_dispatch&{query}"));
        assert_eq!(run_url(&workflow.parse().unwrap(), 7).unwrap().as_str(), format!("{runs}/7"));
        assert_eq!(url("https://hooks.example/repos/o/r"), None);
    }

    #[test]
    fn a_run_is_known_by_its_name_alone() {
        let url = "https://github.com/o/r/actions/runs/1".to_owned();
        let named = format!("verify {ID}");
        let other = run("verify another", "completed", Some("failure"));
        let found = |status: &str, conclusion: Option<&str>| {
            read_of(&json!([other, run(&named, status, conclusion)]), 2)
        };
        let is = RunsReading::Found;
        assert_eq!(found("queued", None), is(RunFinding::Running { url: url.clone() }));
        let good = found("completed", Some("success"));
        assert_eq!(good, is(RunFinding::Succeeded { url: url.clone() }));
        let conclusion = "timed_out".to_owned();
        let bad = found("completed", Some("timed_out"));
        assert_eq!(bad, is(RunFinding::Failed { url, conclusion }));
        let others = |count, has_more| RunsReading::Others { count, has_more };
        assert_eq!(read_of(&json!([other]), 1), others(1, false));
        assert_eq!(read_of(&json!([other]), 5), others(5, true));
        assert_eq!(read_of(&json!([]), 0), others(0, false));
    }

    #[test]
    fn what_is_no_list_is_said() {
        let forbidden = json!({"message": "Resource not accessible by personal access token"});
        let RunsReading::Unreadable(why) = read_runs(403, forbidden.to_string().as_bytes(), ID, 1)
        else {
            panic!("a 403 is no list")
        };
        assert!(why.contains("403") && why.contains("permission to read Actions"), "{why}");
        assert!(matches!(read_runs(200, b"<html>", ID, 1), RunsReading::Unreadable(_)));
    }

    #[test]
    fn workflows_tell_why_nothing_ran() {
        let of = |states: &[&str]| {
            let workflows: Vec<Value> =
                states.iter().map(|state| json!({"state": state})).collect();
            read_workflows(200, json!({"workflows": workflows}).to_string().as_bytes())
        };
        assert_eq!(of(&[]), NoRun::NoWorkflow);
        assert_eq!(of(&["disabled_inactivity", "disabled_manually"]), NoRun::Disabled);
        assert_eq!(of(&["disabled_manually", "active"]), NoRun::NotListening);
        assert_eq!(read_workflows(404, b"{}"), NoRun::NotListening);
    }
}
