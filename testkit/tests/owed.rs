//! The rule of what is owed, held against the stand-in broker's own.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test by a panic")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use postrider_domain::owed::{
    Contract, Deployable, Due, Head, Needed, Past, Placed, Role, Side, Standing, Step,
    VersionResult, deployable,
};
use postrider_testkit::broker::{Facts, Model};
use proptest::prelude::*;

const MAIN: &str = "main";

/// Something that happens; numbers are names.
#[derive(Debug, Clone)]
enum Act {
    Main(bool),
    Build(u8, bool),
    Tag(u8, bool),
    Deploy(u8, u8, u8),
    Undeploy(u8, u8),
    Release(u8, u8),
    EndSupport(u8, u8),
    /// Consumer version, and which of its contents.
    Publish(u8, u8),
    /// Provider version, consumer version, outcome.
    Verify(u8, u8, bool),
}

fn act() -> impl Strategy<Value = Act> {
    let version = 0..5_u8;
    let place = 0..2_u8;
    prop_oneof![
        1 => any::<bool>().prop_map(Act::Main),
        4 => (version.clone(), any::<bool>()).prop_map(|(v, on)| Act::Build(v, on)),
        2 => (version.clone(), any::<bool>()).prop_map(|(v, main)| Act::Tag(v, main)),
        3 => (version.clone(), place.clone(), place.clone())
            .prop_map(|(v, e, i)| Act::Deploy(v, e, i)),
        1 => (place.clone(), place.clone()).prop_map(|(e, i)| Act::Undeploy(e, i)),
        2 => (version.clone(), place.clone()).prop_map(|(v, e)| Act::Release(v, e)),
        1 => (version.clone(), place).prop_map(|(v, e)| Act::EndSupport(v, e)),
        5 => (version.clone(), 0..3_u8).prop_map(|(v, c)| Act::Publish(v, c)),
        4 => (version.clone(), version, any::<bool>())
            .prop_map(|(v, c, success)| Act::Verify(v, c, success)),
    ]
}

fn at(minute: usize) -> Timestamp {
    let minutes = SignedDuration::from_mins(i64::try_from(minute).unwrap());
    "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap() + minutes
}

fn play(acts: &[Act]) -> Model {
    let mut model = Model::default();
    let number = |version: &u8| format!("p{version}");
    let environment = |environment: &u8| format!("e{environment}");
    for (minute, act) in acts.iter().enumerate() {
        let now = at(minute);
        match act {
            Act::Main(is_set) => model.main_branch("P", is_set.then_some(MAIN), now),
            Act::Build(version, true) => model.build_on("P", &number(version), MAIN, now),
            Act::Build(version, false) => model.build_on("P", &number(version), "feat/x", now),
            Act::Tag(version, true) => model.tag("P", &number(version), MAIN, now),
            Act::Tag(version, false) => model.tag("P", &number(version), "e0", now),
            Act::Deploy(version, to, instance) => {
                let instance = (*instance > 0).then_some("blue");
                model.deploy("P", &number(version), &environment(to), instance, now)
            }
            Act::Undeploy(from, instance) => {
                model.undeploy("P", &environment(from), (*instance > 0).then_some("blue"))
            }
            Act::Release(version, to) => {
                model.release("P", &number(version), &environment(to), now)
            }
            Act::EndSupport(version, of) => {
                model.end_support("P", &number(version), &environment(of))
            }
            Act::Publish(version, content) => {
                model.publish("C", &format!("c{version}"), "P", &content.to_string(), now)
            }
            Act::Verify(version, of, success) => {
                model.verify("P", &number(version), "C", &format!("c{of}"), *success, now)
            }
        };
    }
    model
}

fn standing(facts: &Facts) -> Standing {
    let placed = |list: &[(String, String, Timestamp)]| {
        list.iter()
            .map(|(environment, version, since)| Placed {
                since: *since,
                environment: environment.clone(),
                version: version.clone(),
            })
            .collect()
    };
    Standing {
        main: facts.main.as_ref().map(|(name, version, since)| Head {
            version: version.clone(),
            name: name.clone(),
            since: *since,
        }),
        deployed: placed(&facts.deployed),
        released: placed(&facts.released),
    }
}

fn contract(version: &str, facts: &Facts) -> Contract {
    let results = facts.results.iter().map(|(version, success, at)| VersionResult {
        provider_version: version.clone(),
        success: *success,
        at: *at,
    });
    Contract {
        consumer_version: version.to_owned(),
        lines: vec![Role::Main],
        published_at: facts.published_at,
        placed_since: None,
        results: results.collect(),
    }
}

proptest! {
    /// Versions and words, in the broker's order.
    #[test]
    fn owes_what_the_broker_requires(acts in prop::collection::vec(act(), 1..60)) {
        let model = play(&acts);
        for (consumer, version, provider) in model.contracts() {
            let facts = model.facts(&consumer, &version, &provider).unwrap();
            let sha = model.sha_of(&consumer, &version, &provider).unwrap();
            let required: Vec<_> = model
                .required(&consumer, &provider, &sha)
                .into_iter()
                .map(|required| (required.version, required.descriptions))
                .collect();
            let counts = standing(&facts).counts(&Side::Broker);
            let contract = contract(&version, &facts);
            let owes: Vec<_> = contract
                .owes(&counts)
                .into_iter()
                .map(|debt| {
                    let roles = debt.provider.roles();
                    let words = roles.iter().map(Role::description).collect::<Vec<_>>();
                    (debt.provider.version, words)
                })
                .collect();
            prop_assert_eq!(owes, required);
            let failed = contract.failed(&counts);
            let has_failed = |failed: &str| {
                let last = facts.results.iter().rev().find(|(version, ..)| version == failed);
                last.is_some_and(|(_, success, _)| !success)
            };
            prop_assert!(failed.iter().all(|one| has_failed(&one.provider.version)));
            let failing = counts.iter().filter(|one| has_failed(&one.version)).count();
            prop_assert_eq!(failed.len(), failing);
        }
    }

    #[test]
    fn deployable_is_what_can_i_deploy_says(acts in prop::collection::vec(act(), 1..60)) {
        let model = play(&acts);
        for (consumer, version, provider) in model.contracts() {
            let facts = model.facts(&consumer, &version, &provider).unwrap();
            let contract = contract(&version, &facts);
            for environment in ["e0", "e1"] {
                let side = Side::Environment(environment.to_owned());
                let counts = standing(&facts).counts(&side);
                let needed =
                    Needed { provider: &provider, contract: &contract, counts: &counts };
                let says = deployable(&[needed]) == Deployable::Yes;
                prop_assert_eq!(says, model.can_i_deploy(&consumer, &version, environment));
            }
        }
    }

    /// What the broker triggers at a publication is what is due by it, as long as nothing was
    /// verified or moved since.
    #[test]
    fn what_is_due_by_publication_was_triggered(acts in prop::collection::vec(act(), 1..40)) {
        let mut model = play(&acts);
        let last = at(acts.len());
        model.publish("C", "new", "P", "new content", last);
        let facts = model.facts("C", "new", "P").unwrap();
        let owes = contract("new", &facts).owes(&standing(&facts).counts(&Side::Broker));
        prop_assert!(owes.iter().all(|debt| debt.due == Due::Published && debt.since == last));
        let triggered: Vec<String> = model
            .triggers()
            .iter()
            .filter(|trigger| {
                trigger.consumer_version == "new"
                    && trigger.event == "contract_requiring_verification_published"
            })
            .map(|trigger| trigger.provider_version.clone())
            .collect();
        let owing: Vec<String> = owes.into_iter().map(|debt| debt.provider.version).collect();
        prop_assert_eq!(owing, triggered);
    }

    /// Told step by step, as who knows all results would see it.
    #[test]
    fn since_is_the_beginning_of_the_unbroken_debt(
        steps in prop::collection::vec((0..3_u8, 0..6_u8, 0..6_u8), 1..40)
    ) {
        let (mut contracts, mut versions) = (Vec::new(), Vec::new());
        let mut results: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut newest = Vec::new();
        for (minute, (kind, a, b)) in steps.iter().enumerate() {
            let now = at(minute);
            match kind {
                0 => contracts.push(Step { version: format!("c{minute}"), at: now }),
                1 => versions.push(Step { version: format!("p{minute}"), at: now }),
                _ => {
                    let back = |list: &[Step], n: u8| {
                        list.iter().rev().nth(usize::from(n)).map(|step| step.version.clone())
                    };
                    if let (Some(contract), Some(version)) =
                        (back(&contracts, *a), back(&versions, *b))
                    {
                        results.entry(contract).or_default().insert(version);
                    }
                }
            }
            newest.push((now, contracts.last().cloned(), versions.last().cloned()));
        }
        let mut since = None;
        for (now, contract, version) in newest {
            let is_owing = contract.zip(version).is_some_and(|(contract, version)| {
                !results.get(&contract.version).is_some_and(|of| of.contains(&version.version))
            });
            since = if is_owing { since.or(Some(now)) } else { None };
        }
        let past = Past { contracts, roles: vec![versions], results, has_older: false };
        prop_assert_eq!(past.owing().map(|owing| owing.since), since);
    }
}
