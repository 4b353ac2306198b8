//! Which versions of a provider count.

use jiff::Timestamp;

use super::role::Role;

/// The version that was put on a branch last, or the newest one that has a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The version.
    pub version: String,
    /// The branch's or the tag's name.
    pub name: String,
    /// Since when it is known: its creation.
    pub since: Timestamp,
}

/// A version in an environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    /// When it came there.
    pub since: Timestamp,
    /// The environment's name.
    pub environment: String,
    /// The version.
    pub version: String,
}

/// Where the versions of one pacticipant stand at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Head of the main branch; `None` without a main branch, or without a version of it.
    pub main: Option<Head>,
    /// What is deployed now, one entry for each application instance.
    pub deployed: Vec<Placed>,
    /// What is released and still supported.
    pub released: Vec<Placed>,
}

/// Whose versions of the provider are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// All that the broker itself counts.
    Broker,
    /// What is deployed, or released and supported, in this environment (`can-i-deploy
    /// --to-environment`).
    Environment(String),
    /// The newest version with this tag; `None` when no version has it (`can-i-deploy --to`).
    Tag(String, Option<Head>),
}

/// A provider version that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The version.
    pub version: String,
    /// The main branch's name, if it counts as its head.
    pub main_branch: Option<String>,
    /// Why it counts and since when, in the broker's order: main, deployed, released.
    pub because: Vec<(Role, Timestamp)>,
}

impl Counted {
    /// Why it counts, without times.
    pub fn roles(&self) -> Vec<Role> {
        self.because.iter().map(|(role, _)| role.clone()).collect()
    }

    /// Since when it counts for whatever reason.
    pub fn since(&self) -> Option<Timestamp> {
        self.because.iter().map(|(_, since)| *since).min()
    }

    /// Whether it counts for being deployed or released, too.
    pub fn is_blocking(&self) -> bool {
        self.because.iter().any(|(role, _)| role.is_blocking())
    }

    /// Whether it is the main branch's head and nothing else.
    pub fn is_main_alone(&self) -> bool {
        self.because.iter().all(|(role, _)| *role == Role::Main)
    }
}

impl Standing {
    /// The versions that count, each once, in the order in which the broker tells of them.
    pub fn counts(&self, side: &Side) -> Vec<Counted> {
        let mut counted = Vec::new();
        match side {
            Side::Broker => {
                if let Some(head) = &self.main {
                    add_head(&mut counted, head, Role::Main);
                }
                add_placed(&mut counted, &self.deployed, Role::Deployed, |_| true);
                add_placed(&mut counted, &self.released, Role::Released, |_| true);
            }
            Side::Environment(environment) => {
                let here = |placed: &Placed| placed.environment == *environment;
                add_placed(&mut counted, &self.deployed, Role::Deployed, here);
                add_placed(&mut counted, &self.released, Role::Released, here);
            }
            Side::Tag(tag, head) => {
                if let Some(head) = head {
                    add_head(&mut counted, head, Role::Tag(tag.clone()));
                }
            }
        }
        counted
    }
}

fn add_head(counted: &mut Vec<Counted>, head: &Head, role: Role) {
    let main_branch = (role == Role::Main).then(|| head.name.clone());
    counted.push(Counted {
        version: head.version.clone(),
        main_branch,
        because: vec![(role, head.since)],
    });
}

fn add_placed(
    counted: &mut Vec<Counted>,
    placed: &[Placed],
    role: impl Fn(String) -> Role,
    wanted: impl Fn(&Placed) -> bool,
) {
    let mut placed: Vec<&Placed> = placed.iter().filter(|placed| wanted(placed)).collect();
    placed.sort();
    for place in placed {
        let role = role(place.environment.clone());
        match counted.iter_mut().find(|known| known.version == place.version) {
            // A second instance of the same version in the same environment.
            Some(known) if known.because.iter().any(|(other, _)| *other == role) => {}
            Some(known) => known.because.push((role, place.since)),
            None => counted.push(Counted {
                version: place.version.clone(),
                main_branch: None,
                because: vec![(role, place.since)],
            }),
        }
    }
}
