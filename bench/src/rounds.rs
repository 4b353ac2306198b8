//! Contenders in turn, round by round, each round beginning with another one: a machine that is
//! slow for a while is slow for all of them.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::run;
use crate::sample::Sample;
use crate::scenario::Scenario;
use crate::services::Services;
use crate::target::Target;

/// All runs of a scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) scenario: &'static str,
    pub(crate) about: &'static str,
    /// In the order of the scenario; the first one is what the others are compared with.
    pub(crate) contenders: Vec<Contended>,
}

/// All runs of a contender, by round.
#[derive(Debug, Serialize)]
pub(crate) struct Contended {
    pub(crate) name: String,
    pub(crate) samples: Vec<Sample>,
}

/// Runs a scenario so many times. Tells on standard error how it goes.
pub(crate) async fn measure(
    scenario: &Scenario,
    rounds: u32,
    services: &mut Services,
    target: &Target,
) -> Result<Measured> {
    let mut samples: BTreeMap<usize, Vec<Sample>> = BTreeMap::new();
    for round in 0..rounds {
        for index in order(scenario.contenders.len(), round) {
            let Some(contender) = scenario.contenders.get(index) else { continue };
            let what = format!("{}, {}, round {}", scenario.name, contender.name, round + 1);
            let sample = run::once(contender, services, target).await.context(what.clone())?;
            tell(&format!(
                "{what}: {:.0}/s, {:.1} µs a delivery, others used {:.0} %",
                sample.per_second,
                sample.cpu_us_total,
                sample.others_share * 100.0
            ));
            samples.entry(index).or_default().push(sample);
        }
    }
    let contended = scenario.contenders.iter().enumerate().map(|(index, contender)| Contended {
        name: contender.name.clone(),
        samples: samples.remove(&index).unwrap_or_default(),
    });
    let contenders = contended.collect();
    Ok(Measured { scenario: scenario.name, about: scenario.about, contenders })
}

/// Who runs when in a round.
fn order(contenders: usize, round: u32) -> impl Iterator<Item = usize> {
    let shift = round as usize;
    (0..contenders).map(move |place| (place + shift) % contenders)
}

/// Progress, for who waits; a closed standard error is no reason to stop.
pub(crate) fn tell(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_one() {
        let orders: Vec<Vec<usize>> = (0..4).map(|round| order(3, round).collect()).collect();
        assert_eq!(orders, [vec![0, 1, 2], vec![1, 2, 0], vec![2, 0, 1], vec![0, 1, 2]]);
    }
}
