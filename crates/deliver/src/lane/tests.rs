use postrider_domain::LaneId;

use super::*;

fn view(state: LaneState, limits: LaneLimits) -> LaneView {
    LaneView {
        id: LaneId(1),
        name: "target/token".to_owned(),
        limits,
        state,
        hold_gen: 1,
        secret_rev: 1,
        paused_for: None,
        due: false,
        open: true,
        leased: false,
        probe_due: false,
    }
}

fn open() -> LaneView {
    view(LaneState::Open, LaneLimits::OTHER)
}

fn see_now(lane: &mut Lane, view: &LaneView) -> Option<Duration> {
    lane.see(view, Mark::now())
}

#[test]
fn a_survey_from_before_the_commit_does_not_open_a_blocked_lane() {
    let mut lane = Lane::unseen();
    let early = Mark::now();
    lane.block();
    assert!(!lane.is_open());
    assert_eq!(see_now(&mut lane, &open()), None);
    assert!(!lane.is_open(), "the record is not committed yet");
    lane.block_committed();
    lane.see(&open(), early);
    assert!(!lane.is_open(), "this survey may not have seen the commit");
    see_now(&mut lane, &open());
    assert!(lane.is_open());
}

#[test]
fn attempts_of_before_a_hold_stay_stopped_after_it() {
    let mut lane = Lane::unseen();
    let before = lane.way();
    see_now(&mut lane, &view(LaneState::Held(HoldCause::Manual), LaneLimits::OTHER));
    assert!(before.gate.is_closed());
    see_now(&mut lane, &open());
    assert!(before.gate.is_closed(), "they are released, not sent");
    assert!(!lane.way().gate.is_closed());
}

#[test]
fn a_lost_lease_stops_what_waits_and_starts_empty() {
    let mut lane = Lane::unseen();
    lane.pacer = Some(Arc::new(Pacer::empty(&LaneLimits::GITHUB)));
    let before = lane.way();
    lane.forget_lease();
    assert!(before.gate.is_closed() && lane.is_open());
    assert!(lane.way().pacer.is_none());
}

#[test]
fn a_pause_is_told_and_ends() {
    let mut lane = Lane::unseen();
    let paused = LaneView { paused_for: Some(Duration::from_mins(1)), ..open() };
    assert_eq!(see_now(&mut lane, &paused), Some(Duration::from_mins(1)));
    assert!(!lane.is_open());
    see_now(&mut lane, &open());
    assert!(lane.is_open());
}

#[test]
fn only_a_busy_lane_claims_ahead_and_in_batches() {
    let mut lane = Lane::unseen();
    let places = lane.limits.concurrency as usize;
    assert_eq!(lane.room(), places);
    lane.in_flight = places - 1;
    assert!(lane.is_worth(lane.room(), 500), "a slow lane takes what it gets");
    lane.in_flight = places + AHEAD_MAX;
    lane.finished(AHEAD_MAX);
    assert_eq!(lane.room(), AHEAD_MAX, "all that finished may be claimed again");
    assert!(!lane.is_worth(REFILL_MIN - 1, 500), "a busy lane waits for a batch");
    assert!(lane.is_worth(REFILL_MIN, 500));
    assert!(lane.is_worth(3, 3), "unless that is everything");
    assert!(!lane.is_worth(0, 0));
}

#[test]
fn a_limited_lane_never_claims_ahead() {
    let mut lane = Lane::unseen();
    see_now(&mut lane, &view(LaneState::Open, LaneLimits::GITHUB));
    lane.finished(AHEAD_MAX);
    assert_eq!((lane.room(), lane.paced_room()), (1, 1));
    assert!(lane.is_worth(1, 500));
}

#[test]
fn a_full_lane_that_finishes_nothing_is_stuck() {
    let mut lane = Lane::unseen();
    assert!(!lane.is_stuck(256));
    lane.in_flight = lane.limits.concurrency as usize;
    assert!(!lane.is_stuck(256), "full, but just now");
    lane.last_finished = Instant::now().checked_sub(2 * STUCK_AFTER).unwrap();
    assert!(lane.is_stuck(256));
    lane.block();
    lane.in_flight = 0;
    assert!(lane.is_stuck(256), "closed: copies are left to the store");
}
