//! Answers of GitHub and of others: always classified, and nobody waits longer than a day. Input:
//! the status, headers each on a line, an empty line, the body.

#![no_main]

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use postrider_domain::{Target, TargetKind, classify};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fuzz_target!(|text: &[u8]| {
    let mut lines = text.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| str::from_utf8(line).ok()?.trim().parse().ok());
    let status: u16 = status.filter(|status| (200..600).contains(status)).unwrap_or(403);
    let mut headers = HeaderMap::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(at);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            headers.append(name, value);
        }
    }
    let body = lines.collect::<Vec<_>>().join(&b'\n');
    let now = Timestamp::from_second(1_790_000_000).expect("a time");
    for kind in [TargetKind::RepositoryDispatch, TargetKind::WorkflowDispatch, TargetKind::Other] {
        for is_github_host in [true, false] {
            let target =
                Target { kind, is_github_host, is_below_repos: true, has_credential: true };
            let answer = postrider_github::answer(target, status, &headers, &body, now);
            let classified = classify(kind, &answer, &[200, 201, 202, 204]);
            assert!(classified.wait.is_none_or(|wait| wait <= DAY), "{classified:?}");
            postrider_github::started_run(kind, status, &body);
        }
    }
    postrider_github::token_facts(&headers);
    postrider_github::read_probe(status, &headers, &body, now);
    postrider_github::read_user(status, &body);
    postrider_github::read_run(status, &body);
    postrider_github::read_workflows(status, &body);
    postrider_github::read_runs(status, &body, "01a229a2-0367-7670-8bef-e815d122df2c", 1);
});
