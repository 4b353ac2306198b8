use super::*;

fn months(seeds: std::ops::Range<u64>) -> Vec<Report> {
    seeds.map(|seed| run(Plan::month(seed))).collect()
}

#[test]
fn every_fault_is_found_within_its_bound_and_nothing_else_is_told() {
    let reports = months(0..3);
    for report in &reports {
        let seed = report.plan.seed;
        let wrong: Vec<_> = report.faults.iter().filter(|fault| fault.is_wrong()).collect();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:?}");
        let false_alarms: Vec<_> = report.alarms.iter().filter(|alarm| alarm.is_false()).collect();
        assert!(false_alarms.is_empty(), "seed {seed}: {false_alarms:?}");
    }
    let summary = summary(&reports);
    assert!(summary.dispatches.1 > 20_000, "{:?}", summary.dispatches);
    for (kind, of) in &summary.faults {
        assert!(of.found.1 > 0, "{kind:?} was never met");
    }
}

#[test]
fn rules_that_are_wrong_fail() {
    let summary = summary(&months(1..3));
    assert!(summary.median_rate > 100.0, "{}", summary.median_rate);
    for (rule, control) in [
        ("any newest result", summary.newest_result),
        ("the newest contract", summary.newest_contract),
        ("a streak that expires", summary.streak_expires),
    ] {
        assert!(control.found < control.of, "{rule}: {control:?}");
    }
}

/// Verdicts change only where the simulation looks.
#[test]
fn jumping_changes_nothing() {
    let plan = Plan { days: 4, pairs: 24, ..Plan::month(7) };
    let jumping = run(plan);
    let steady = run(Plan { at_every_round: true, ..plan });
    assert!(!jumping.alarms.is_empty());
    assert_eq!(jumping.alarms, steady.alarms);
}

#[test]
fn a_seed_decides_everything() {
    let plan = Plan { days: 10, ..Plan::month(3) };
    let (first, second) = (run(plan), run(plan));
    assert_eq!(first.alarms, second.alarms);
    assert_eq!(first.dispatches, second.dispatches);
}
