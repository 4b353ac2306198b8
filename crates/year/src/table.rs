//! The tables of a summary, in Markdown.

use crate::plan::FaultKind;
use crate::report::{OfControl, OfFault, OfKind, Summary};

/// The tables.
pub fn tables(summary: &Summary) -> String {
    [faults(summary), alarms(summary), controls(summary)].join("\n")
}

fn faults(summary: &Summary) -> String {
    let mut text = "| fault | bound | delay: min | median | max | found | left out |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    for (kind, of) in &summary.faults {
        let OfFault { bound: (least, most), delay, found: (found, all), left_out } = of;
        let bound = if least == most {
            told(*most)
        } else {
            format!("{} … {}", told(*least), told(*most))
        };
        let delay = delay.map_or_else(
            || "– | – | –".to_owned(),
            |(min, median, max)| format!("{} | {} | {}", told(min), told(median), told(max)),
        );
        line(
            &mut text,
            &format!("{} | {bound} | {delay} | {found} of {all} | {left_out}", name(*kind)),
        );
    }
    text
}

fn alarms(summary: &Summary) -> String {
    let mut text = "| incident | found a fault | about what one did | true, of nobody's planting \
                    | false | of these of busy pairs |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for (kind, of) in &summary.alarms {
        let OfKind { found, consequences, true_unplanted, false_alarms, false_of_busy } = of;
        line(
            &mut text,
            &format!(
                "`{kind}` | {found} | {consequences} | {true_unplanted} | {false_alarms} | {false_of_busy}"
            ),
        );
    }
    let (all, seldom) = summary.dispatches;
    let (rate, rate_of_seldom) = summary.false_rate;
    let told = format!(
        "\nFalse alarms for 100,000 dispatches: {rate:.3} of {all}; without pairs that publish all \
         the time {rate_of_seldom:.3} of {seldom}.\n"
    );
    text + &told
}

fn controls(summary: &Summary) -> String {
    let mut text = "| rule that must fail | how it fails |\n|---|---|\n".to_owned();
    let median = summary.median_rate;
    line(
        &mut text,
        &format!("3 × the median, alone | {median:.0} false alarms for 100,000 dispatches"),
    );
    for (rule, OfControl { found, of }, what) in [
        (
            "any newest result clears the pair",
            summary.newest_result,
            "lost dispatches for what is deployed",
        ),
        ("the age of the newest contract", summary.newest_contract, "dead pairs"),
        ("a streak that expires after 24 h", summary.streak_expires, "targets that were gone"),
    ] {
        line(&mut text, &format!("{rule} | finds {found} of {of} {what}"));
    }
    text
}

/// A row.
fn line(text: &mut String, cells: &str) {
    text.push_str("| ");
    text.push_str(cells);
    text.push_str(" |\n");
}

/// Seconds, minutes from two on, hours from two on.
fn told(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{}.{} min", seconds / 60, seconds % 60 / 6),
        _ => format!("{}.{} h", seconds / 3_600, seconds % 3_600 / 360),
    }
}

fn name(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::DeadCredential => "dead credential",
        FaultKind::DeadPair => "one dead pair",
        FaultKind::DeadProvider => "a provider none of whose runs gives a result",
        FaultKind::LostDispatch => "lost dispatch",
        FaultKind::LostForDeployed => "lost dispatch for the deployed version, main verified",
        FaultKind::RelayOff => "relay switched off",
        FaultKind::BrokerAway => "broker away for a day",
        FaultKind::TargetGone => "target gone: the streak",
        FaultKind::FinalFailure => "target gone: the first final failure",
    }
}
