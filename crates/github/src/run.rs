//! The run that a workflow dispatch started.

use postrider_domain::TargetKind;
use serde_json::Value;
use url::Url;

/// Longest address of a run that is kept, in bytes.
const LONGEST_URL: usize = 1_024;

/// A run of a workflow, as GitHub's answer names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id, unlike that of any other run.
    pub id: u64,
    /// Its page, or its place in the API where the answer names no page; http or https, at most
    /// 1,024 bytes of ASCII.
    pub url: String,
}

/// The run that the answer to a workflow dispatch names: GitHub does so with 200 on request
/// (`return_run_details`), and always from API version 2026-03-10 on. `None` for every other
/// answer.
pub fn started_run(kind: TargetKind, status: u16, body: &[u8]) -> Option<Run> {
    if (kind, status) != (TargetKind::WorkflowDispatch, 200) {
        return None;
    }
    let answer: Value = serde_json::from_slice(body).ok()?;
    let id = answer.get("workflow_run_id")?.as_u64()?;
    let url = ["html_url", "run_url"].iter().find_map(|name| address(answer.get(name)?));
    Some(Run { id, url: url? })
}

/// An address that people may be led to.
fn address(value: &Value) -> Option<String> {
    let url = Url::parse(value.as_str()?).ok()?;
    let has_info = !url.username().is_empty() || url.password().is_some();
    let is_web = matches!(url.scheme(), "http" | "https") && !has_info;
    (is_web && url.as_str().len() <= LONGEST_URL).then(|| url.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run_of(status: u16, body: &Value) -> Option<Run> {
        started_run(TargetKind::WorkflowDispatch, status, body.to_string().as_bytes())
    }

    #[test]
    fn the_run_is_what_a_200_to_a_workflow_dispatch_names() {
        let page = "https://github.com/o/r/actions/runs/7";
        let place = "https://api.github.com/repos/o/r/actions/runs/7";
        let both = json!({"workflow_run_id": 7, "run_url": place, "html_url": page});
        assert_eq!(run_of(200, &both), Some(Run { id: 7, url: page.to_owned() }));
        let one = json!({"workflow_run_id": 7, "run_url": place});
        assert_eq!(run_of(200, &one), Some(Run { id: 7, url: place.to_owned() }));
        assert_eq!(run_of(204, &both), None);
        let body = both.to_string();
        for kind in [TargetKind::RepositoryDispatch, TargetKind::Other] {
            assert_eq!(started_run(kind, 200, body.as_bytes()), None);
        }
    }

    #[test]
    fn what_is_no_run_is_none() {
        let long = format!("https://github.com/{}", "a".repeat(LONGEST_URL));
        for body in [
            json!({"workflow_run_id": "7", "html_url": "https://github.com/"}),
            json!({"workflow_run_id": -7, "html_url": "https://github.com/"}),
            json!({"workflow_run_id": 7}),
            json!({"workflow_run_id": 7, "html_url": "javascript:alert(1)"}),
            json!({"workflow_run_id": 7, "html_url": "https://a:b@github.com/"}),
            json!({"workflow_run_id": 7, "html_url": long}),
            json!([7]),
        ] {
            assert_eq!(run_of(200, &body), None, "{body}");
        }
        assert_eq!(started_run(TargetKind::WorkflowDispatch, 200, b"{"), None);
    }

    #[test]
    fn an_address_is_kept_as_ascii() {
        let body = json!({"workflow_run_id": 7, "html_url": "https://github.com/\u{202e}x y"});
        assert_eq!(run_of(200, &body).unwrap().url, "https://github.com/%E2%80%AEx%20y");
    }
}
