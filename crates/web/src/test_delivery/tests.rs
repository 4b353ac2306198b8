use super::*;

const PATIENCE: Patience =
    Patience { wait: Duration::from_secs(30), outcome: Duration::from_secs(20) };

#[test]
fn a_look_leads_to_the_next_step() {
    let secs = Duration::from_secs;
    for (status, in_vain, waited, expected) in [
        (StoredStatus::Waiting, false, secs(29), Next::Look),
        (StoredStatus::Waiting, false, secs(30), Next::Withdraw),
        (StoredStatus::Waiting, true, secs(0), Next::Withdraw),
        // What is being sent can't be taken back.
        (StoredStatus::Sending, true, secs(49), Next::Look),
        (StoredStatus::Sending, false, secs(50), Next::NoWord),
        (StoredStatus::Delivered, true, secs(90), Next::Ended),
        (StoredStatus::Failed, false, secs(0), Next::Ended),
        (StoredStatus::Discarded, false, secs(0), Next::Ended),
    ] {
        assert_eq!(next(status, in_vain, waited, PATIENCE), expected, "{status:?} {waited:?}");
    }
}

#[test]
fn the_lane_says_what_is_in_the_way() {
    let at = |text: &str| Some(text.parse().unwrap());
    let open = LaneStop {
        lane: "h/t".to_owned(),
        state: LaneState::Open,
        held_since: None,
        paused_until: None,
        leaderless: false,
    };
    assert_eq!(obstacle(&open), None);
    let paused = LaneStop { paused_until: at("2026-11-22T09:00:00.5Z"), ..open.clone() };
    assert!(obstacle(&paused).unwrap().contains("until 2026-11-22T09:00:00Z"), "{paused:?}");
    let leaderless = LaneStop { leaderless: true, ..open.clone() };
    assert!(obstacle(&leaderless).unwrap().contains("no worker leads"));
    for (cause, word) in [
        (HoldCause::Credential, "refused the credential"),
        (HoldCause::SecretMissing, "has no value"),
        (HoldCause::Manual, "lanes release h/t"),
    ] {
        let held_since = at("2026-11-22T09:00:00Z");
        let held = LaneStop { state: LaneState::Held(cause), held_since, ..paused.clone() };
        let told = obstacle(&held).unwrap();
        assert!(told.contains(word) && told.contains("since 2026-11-22T09:00:00Z"), "{told}");
    }
}
