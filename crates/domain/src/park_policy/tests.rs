use super::*;
use crate::WebhookId;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn probes_in_vain_come_less_and_less_often() {
    let waits = [0, 1, 2, 3, 4, 5, 60].map(|in_vain| probe_wait(MINUTE, in_vain).as_secs() / 60);
    assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15]);
    let hour = Duration::from_hours(1);
    assert_eq!(probe_wait(hour, 7), hour, "never more often than settings ask for");
}

fn refused(secrets_rev: i64, probe_after: Duration) -> LaneEvidence {
    LaneEvidence {
        webhook: WebhookId(1),
        transition: Transition::CredentialRejected {
            refusal: Refusal::Elsewhere,
            secret_rev: 1,
            secrets_rev,
            probe_after,
        },
        outcome: Some(Outcome::Credential),
        rejections: 0,
    }
}

#[test]
fn the_longest_time_that_a_target_asked_for_is_waited() {
    let mut webhook = ParkPolicy { is_in_use: true, secrets_rev: 3, ..ParkPolicy::default() };
    for minutes in [1, 5, 2] {
        assert_eq!(webhook.add(&refused(3, MINUTE * minutes)), Some(Refusal::Elsewhere));
    }
    assert_eq!(webhook.probe_after, Some(MINUTE * 5));
    assert_eq!(webhook.add(&refused(2, MINUTE * 9)), None, "said of other secrets");
    assert_eq!(webhook.probe_after, Some(MINUTE * 5));
}

#[test]
fn a_success_is_an_acceptance() {
    for outcome in Outcome::ALL {
        let mut webhook = ParkPolicy::default();
        let evidence = LaneEvidence {
            transition: Transition::Failed { uncertain: false },
            outcome: Some(outcome),
            ..refused(1, MINUTE)
        };
        webhook.add(&evidence);
        assert_eq!(webhook.succeeds, outcome == Outcome::Accepted, "{outcome}");
    }
}
