use postrider_domain::Outcome;
use postrider_store::KeptRequest;
use serde_json::json;

use super::*;

fn attempt(outcome: Outcome, status_code: Option<u16>) -> AttemptRow {
    AttemptRow {
        number: 1,
        started_at: "2026-11-22T00:24:26Z".parse().unwrap(),
        duration: Duration::from_millis(1_400),
        outcome,
        status_code,
        github_request_id: None,
        possible_duplicate: false,
        retry_after_capped: false,
        request: KeptRequest::Text(
            concat!(
                r#"{"method":"POST","url":"http://127.0.0.1:9480/401/exec","headers":{"#,
                r#""accept":"*/*","x-sig-token":"**********"},"body":{"n":"h1", "m": 1.50}}"#
            )
            .to_owned(),
        ),
        response: r#"{"status":401,"headers":{"content-type":"text/plain"},"body":"no, \"you\""}"#
            .to_owned(),
    }
}

fn lines(attempt: &AttemptRow, ending: Ending<'_>) -> Vec<String> {
    let uuid: WebhookUuid = "2LCteR1tS9v0HLxPmpkNaA".parse().unwrap();
    let context = json!({"base_url": "http://h", "event_name": "test"});
    let (webhook, request) = (Some(&uuid), &ShownRequest::kept(&attempt.request));
    let log = log_lines(&LoggedAttempt { attempt, request, webhook, context: &context, ending });
    assert!(log.ends_with('\n'), "{log}");
    log.lines().map(str::to_owned).collect()
}

#[test]
fn an_answered_attempt() {
    let expected = [
        r#"[2026-11-22T00:24:26Z] DEBUG: Webhook context {"base_url":"http://h","event_name":"test"}"#,
        "[2026-11-22T00:24:26Z] INFO: HTTP/1.1 POST http://127.0.0.1:9480/401/exec",
        "[2026-11-22T00:24:26Z] INFO: accept: */*",
        "[2026-11-22T00:24:26Z] INFO: x-sig-token: **********",
        r#"[2026-11-22T00:24:26Z] INFO: {"n":"h1", "m": 1.50}"#,
        "[2026-11-22T00:24:27Z] INFO: HTTP/1.1 401 Unauthorized",
        "[2026-11-22T00:24:27Z] INFO: content-type: text/plain",
        r#"[2026-11-22T00:24:27Z] INFO: no, "you""#,
        "[2026-11-22T00:24:27Z] INFO: Webhook execution failed",
    ];
    let attempt = attempt(Outcome::Credential, Some(401));
    assert_eq!(lines(&attempt, Ending::TestFailed), expected);
    assert_eq!(lines(&attempt, Ending::Tested).len(), expected.len() - 1);
}

#[test]
fn nothing_was_sent() {
    let attempt = AttemptRow {
        request: KeptRequest::Nothing,
        response: r#"{"error":"the secret token has no value"}"#.to_owned(),
        ..attempt(Outcome::SecretMissing, None)
    };
    let found = lines(&attempt, Ending::RetryWhenOpen("h/token"));
    assert_eq!(
        found[1..],
        [
            "[2026-11-22T00:24:27Z] ERROR: Error executing webhook 2LCteR1tS9v0HLxPmpkNaA \
             secret_missing - the secret token has no value",
            "[2026-11-22T00:24:27Z] INFO: Retrying webhook when lane h/token is open",
        ]
    );
}

#[test]
fn endings() {
    let attempt = attempt(Outcome::ServerError, Some(599));
    let last = |ending| lines(&attempt, ending).pop().unwrap();
    let end = "[2026-11-22T00:24:27Z] INFO: ";
    for (ending, expected) in [
        (Ending::Succeeded, "Successfully executed webhook"),
        (Ending::RetryIn(Duration::from_millis(9_600)), "Retrying webhook in 10 seconds"),
        (Ending::GivenUp { attempts: 7 }, "Webhook execution failed after 7 attempts"),
        (Ending::GivenUp { attempts: 1 }, "Webhook execution failed after 1 attempt"),
    ] {
        assert_eq!(last(ending), format!("{end}{expected}"));
    }
}

#[test]
fn what_was_cut_says_so() {
    let attempt = AttemptRow {
        response: r#"{"status":200,"headers":{},"body":"xx","body_bytes":9000}"#.to_owned(),
        ..attempt(Outcome::Accepted, Some(200))
    };
    let found = lines(&attempt, Ending::Succeeded);
    let cut = "[2026-11-22T00:24:27Z] DEBUG: The body is 9000 bytes long; its end is not kept";
    assert_eq!(found[found.len() - 2], cut);
    let attempt = AttemptRow {
        response: r#"{"status":204,"headers":{},"body":null,"body_bytes":2}"#.to_owned(),
        ..attempt
    };
    let found = lines(&attempt, Ending::Succeeded);
    let gone = "[2026-11-22T00:24:27Z] DEBUG: The body is 2 bytes long; it is not kept";
    assert_eq!(found[found.len() - 2], gone);
}

#[test]
fn a_target_can_t_turn_a_line_around() {
    let mut attempt = attempt(Outcome::Accepted, Some(200));
    attempt.response = json!({"status": 200, "headers": {}, "body": "a\u{202e}b"}).to_string();
    let log = lines(&attempt, Ending::Tested).join("\n");
    assert!(log.contains("a\\u{202e}b") && !log.contains('\u{202e}'), "{log}");
}
