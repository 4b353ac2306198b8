//! What is measured: scenarios, each with contenders that run in turn. The first one is what the
//! others are compared with.

use std::path::Path;
use std::time::Duration;

use crate::args::Run;
use crate::load::Webhooks;
use crate::subject::Subject;
use crate::target::Answers;

/// How events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drive {
    /// As fast as they are accepted, 100 in a call, 16 calls at once.
    Burst { events: u32 },
    /// Single events by so many callers, each waiting for its answer.
    Callers { events: u32, callers: usize },
    /// Single events at a fixed rate.
    Open { rate: u32, seconds: u32 },
    /// Everything is accepted while no worker runs and gets older than the sweep; then one starts.
    Stale { events: u32, sweep: Duration },
    /// A lane with so much waiting is released while single events of another come at a rate.
    Released { waiting: u32, rate: u32, seconds: u32 },
}

/// What runs, under which conditions.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) subject: Subject,
    pub(crate) drive: Drive,
    pub(crate) webhooks: Webhooks,
    pub(crate) workers: u32,
    /// Deliveries that wait in two held lanes beside.
    pub(crate) held: u32,
    /// A database in which something has gathered.
    pub(crate) database: Option<String>,
    pub(crate) answers: Answers,
    /// Settings beyond the usual ones, without `POSTRIDER_`.
    pub(crate) settings: Vec<(&'static str, String)>,
}

/// Contenders that run in turn.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) contenders: Vec<Contender>,
}

/// Which programs there are.
#[derive(Debug, Clone, Copy)]
struct Programs<'a> {
    new: &'a Path,
    old: Option<&'a Path>,
    scale: u32,
}

const EVENTS: u32 = 40_000;
const LONG: u32 = 150_000;

/// Name, what it is about, and how its contenders are made.
type Made = (&'static str, &'static str, fn(Programs<'_>) -> Vec<Contender>);

const ALL: [Made; 16] = [
    ("burst-40k", "a burst of 40,000 events, 100 in a call", |p| p.beside_bare(p.burst(EVENTS))),
    ("burst-150k", "a burst of 150,000 events", |p| p.beside_bare(p.burst(LONG))),
    ("embedded-40k", "the same burst, one process with SQLite", |p| {
        [bare(p.burst(EVENTS)), p.embedded(p.burst(EVENTS))].concat()
    }),
    ("embedded-150k", "the long burst, one process with SQLite", |p| {
        [bare(p.burst(LONG)), p.embedded(p.burst(LONG))].concat()
    }),
    ("callers-50", "50 callers with one event a call, each waits for its answer", |p| {
        p.beside_bare(Drive::Callers { events: p.scaled(20_000), callers: 50 })
    }),
    ("fan-out-100", "each event for 100 webhooks; figures a delivery", |p| {
        let drive = p.burst(EVENTS);
        let fan_out = |mut contender: Contender| {
            contender.webhooks = Webhooks::FanOut(100);
            contender.drive = p.burst(EVENTS / 100);
            contender
        };
        bare(drive).into_iter().chain(p.distributed(drive).into_iter().map(fan_out)).collect()
    }),
    ("lanes", "the burst over one lane and over 1,000", |p| {
        let lanes = |lanes| {
            move |c: Contender| {
                c.called(&format!(", {lanes} lanes"), |c| {
                    c.webhooks = Webhooks::Lanes(lanes);
                })
            }
        };
        p.variants(p.burst(EVENTS), &[&lanes(1), &lanes(1_000)])
    }),
    ("failures", "each tenth delivery fails once with 503 and is made again a second later", |p| {
        let fails = |fail_every| {
            move |c: Contender| {
                let name = if fail_every == 0 { ", none fails" } else { ", 10 % fail" };
                c.called(name, |c| {
                    c.answers.fail_every = fail_every;
                    c.settings.push(("WEBHOOK_RETRY_SCHEDULE", "1 1 1 1 1 1".to_owned()));
                })
            }
        };
        p.variants(p.burst(EVENTS), &[&fails(0), &fails(10)])
    }),
    ("slow-target", "a target that takes 200 ms, default settings", |p| {
        let slow = |c: Contender| {
            c.called(", 200 ms", |c| {
                c.answers.delay = Duration::from_millis(200);
            })
        };
        p.variants(p.burst(20_000), &[&slow])
    }),
    ("workers", "the burst with one, two and four workers", |p| {
        let workers = |workers| {
            move |c: Contender| c.called(&format!(", {workers} workers"), |c| c.workers = workers)
        };
        p.variants(p.burst(EVENTS), &[&workers(1), &workers(2), &workers(4)])
    }),
    ("stale", "40,000 events wait longer than the sweep before a worker starts", |p| {
        let sweep = Duration::from_secs(5);
        let settings = |mut c: Contender| {
            c.settings.push(("SWEEP_AFTER", "5s".to_owned()));
            c.workers = 0;
            c
        };
        let drive = Drive::Stale { events: p.scaled(EVENTS), sweep };
        p.distributed(drive).into_iter().map(settings).collect()
    }),
    ("waiting-1m", "the burst while a million deliveries wait in two held lanes", |p| {
        let held = |held| {
            move |c: Contender| {
                let name = if held == 0 { ", none waits" } else { ", 1M wait" };
                c.called(name, |c| c.held = held)
            }
        };
        p.variants(p.burst(EVENTS), &[&held(0), &held(p.scaled(1_000_000))])
    }),
    ("released", "100,000 deliveries are released while single events come at 100/s", |p| {
        p.distributed(Drive::Released { waiting: p.scaled(100_000), rate: 100, seconds: 40 })
    }),
    ("latency-100", "single events at 100/s, from due to arrival at the target", |p| {
        p.latency(100)
    }),
    ("latency-500", "the same at 500/s", |p| p.latency(500)),
    ("latency-1000", "the same at 1,000/s", |p| p.latency(1_000)),
];

/// Names and what they are about.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().map(|(name, about, _)| (*name, *about))
}

/// The scenarios that a command line asks for.
///
/// # Errors
/// A name is unknown.
pub(crate) fn chosen(run: &Run) -> anyhow::Result<Vec<Scenario>> {
    let programs = Programs { new: &run.program, old: run.old.as_deref(), scale: run.scale };
    if let Some(wrong) = run.scenarios.iter().find(|name| !ALL.iter().any(|(n, ..)| n == name)) {
        anyhow::bail!("{wrong} is no scenario; see `bench list`");
    }
    let is_chosen = |name: &&'static str| {
        run.scenarios.is_empty() || run.scenarios.iter().any(|chosen| chosen == name)
    };
    let mut scenarios = if run.quick {
        programs.quick()
    } else {
        ALL.iter().filter(|(name, ..)| is_chosen(name)).map(|made| programs.make(made)).collect()
    };
    for scenario in &mut scenarios {
        let wanted =
            |contender: &Contender| run.only.iter().any(|only| contender.name.contains(only));
        if !run.only.is_empty() {
            scenario.contenders.retain(wanted);
        }
    }
    scenarios.retain(|scenario| !scenario.contenders.is_empty());
    anyhow::ensure!(!scenarios.is_empty(), "nothing is left to run");
    Ok(scenarios)
}

/// The same burst over each of these databases, told by their names.
pub(crate) fn over(program: &Path, events: u32, databases: &[&str]) -> Scenario {
    let subject = Subject::Postrider { program: program.to_owned(), distributed: true };
    let contenders = databases.iter().map(|name| {
        let contender = contender(name, subject.clone(), Drive::Burst { events });
        contender.called("", |contender| contender.database = Some((*name).to_owned()))
    });
    let about = "a burst of events, 100 in a call, over what has gathered";
    Scenario { name: "growth", about, contenders: contenders.collect() }
}

/// The yardstick alone.
pub(crate) fn bare_alone(events: u32) -> Scenario {
    let contenders = bare(Drive::Burst { events });
    Scenario { name: "bare", about: "the bare pipeline alone", contenders }
}

impl Contender {
    /// The same under another condition.
    fn called(mut self, name: &str, change: impl FnOnce(&mut Self)) -> Self {
        self.name.push_str(name);
        change(&mut self);
        self
    }
}

impl Programs<'_> {
    fn make(self, (name, about, contenders): &Made) -> Scenario {
        Scenario { name, about, contenders: contenders(self) }
    }

    /// Below three minutes together.
    fn quick(self) -> Vec<Scenario> {
        let burst = self.burst(10_000);
        let latency = Drive::Open { rate: 100, seconds: 5 };
        let callers = Drive::Callers { events: self.scaled(4_000), callers: 50 };
        vec![
            Scenario {
                name: "burst-10k",
                about: "a burst of 10,000 events, 100 in a call",
                contenders: [self.beside_bare(burst), self.embedded(burst)].concat(),
            },
            Scenario {
                name: "callers-50",
                about: "4,000 events by 50 callers, each waits for its answer",
                contenders: self.beside_bare(callers),
            },
            Scenario {
                name: "latency-100",
                about: "single events at 100/s for 5 s",
                contenders: [self.beside_bare(latency), self.embedded(latency)].concat(),
            },
        ]
    }

    fn scaled(self, events: u32) -> u32 {
        (events / self.scale).max(1)
    }

    fn burst(self, events: u32) -> Drive {
        Drive::Burst { events: self.scaled(events) }
    }

    fn latency(self, rate: u32) -> Vec<Contender> {
        let drive = Drive::Open { rate, seconds: (20 / self.scale).max(2) };
        [self.beside_bare(drive), self.embedded(drive)].concat()
    }

    fn beside_bare(self, drive: Drive) -> Vec<Contender> {
        [bare(drive), self.distributed(drive)].concat()
    }

    fn distributed(self, drive: Drive) -> Vec<Contender> {
        self.postriders(drive, true, "postrider", "old")
    }

    fn embedded(self, drive: Drive) -> Vec<Contender> {
        self.postriders(drive, false, "embedded", "old embedded")
    }

    fn postriders(self, drive: Drive, distributed: bool, new: &str, old: &str) -> Vec<Contender> {
        let programs = [(new, Some(self.new)), (old, self.old)];
        let there = programs.into_iter().filter_map(|(name, program)| Some((name, program?)));
        there
            .map(|(name, program)| {
                let subject = Subject::Postrider { program: program.to_owned(), distributed };
                contender(name, subject, drive)
            })
            .collect()
    }

    /// The new program under each condition, then the old one.
    fn variants(self, drive: Drive, vary: &[&dyn Fn(Contender) -> Contender]) -> Vec<Contender> {
        let all = self.distributed(drive).into_iter();
        all.flat_map(|one| vary.iter().map(move |vary| vary(one.clone()))).collect()
    }
}

/// The yardstick.
fn bare(drive: Drive) -> Vec<Contender> {
    let http = match drive {
        Drive::Burst { .. } | Drive::Stale { .. } | Drive::Released { .. } => false,
        Drive::Callers { .. } | Drive::Open { .. } => true,
    };
    vec![contender("bare", Subject::Bare { http }, drive)]
}

fn contender(name: &str, subject: Subject, drive: Drive) -> Contender {
    let is_embedded = matches!(subject, Subject::Postrider { distributed: false, .. });
    Contender {
        name: name.to_owned(),
        subject,
        drive,
        webhooks: Webhooks::One,
        workers: u32::from(!is_embedded),
        held: 0,
        database: None,
        answers: Answers::default(),
        settings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn run(arguments: &[&str]) -> anyhow::Result<Vec<Scenario>> {
        match Cli::parse_from([&["bench", "run"], arguments].concat()).command {
            Command::Run(run) => chosen(&run),
            Command::Bare(_)
            | Command::List
            | Command::Scale(_)
            | Command::Growth(_)
            | Command::BareRole(_) => {
                unreachable!()
            }
        }
    }

    #[test]
    fn every_scenario_has_something_to_compare_with() {
        let all = run(&["--old", "old"]).unwrap();
        assert_eq!(all.len(), ALL.len());
        for scenario in &all {
            assert!(scenario.contenders.len() >= 2, "{}", scenario.name);
            let mut names: Vec<&str> =
                scenario.contenders.iter().map(|c| c.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), scenario.contenders.len(), "{names:?}");
        }
    }

    #[test]
    fn a_command_line_chooses() {
        let chosen = run(&["latency-100", "--scale", "10", "--only", "bare"]).unwrap();
        assert_eq!(chosen.len(), 1);
        assert_eq!(chosen[0].contenders.len(), 1);
        assert_eq!(chosen[0].contenders[0].drive, Drive::Open { rate: 100, seconds: 2 });
        assert!(run(&["nonsense"]).is_err());
        assert!(run(&["--only", "nonsense"]).is_err());
        assert!(run(&["--quick"]).unwrap().len() < ALL.len());
    }
}
