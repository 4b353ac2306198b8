//! The cases: a state of the broker, and what is said of it.

use jiff::{SignedDuration, Timestamp};
use postrider_testkit::broker::Model;

pub(super) fn ago(hours: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(hours)
}

/// A state of the broker, and what `check verification` says of it.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Beside `start`.
    pub(super) set_up: fn(&mut Model),
    pub(super) args: &'static [&'static str],
    pub(super) exit: i32,
    pub(super) state: &'static str,
    /// `version because due`, `!` after it when it blocks.
    pub(super) owes: &'static [&'static str],
    pub(super) failed: &'static [&'static str],
    pub(super) holds_back: &'static [&'static str],
}

const CASE: Case = Case {
    name: "",
    set_up: |_| {},
    args: &[],
    exit: 0,
    state: "fresh",
    owes: &[],
    failed: &[],
    holds_back: &[],
};

/// C's contract of main is three days old, and P's main head verified it then.
pub(super) fn start(model: &mut Model) {
    model.main_branch("C", Some("main"), ago(900)).main_branch("P", Some("main"), ago(900));
    model.build_on("P", "p1", "main", ago(100));
    publish(model, "c1", "one", 72);
    model.verify("P", "p1", "C", "c1", true, ago(71));
}

/// Published on C's main.
pub(super) fn publish(model: &mut Model, version: &str, content: &str, hours: i64) {
    model.build_on("C", version, "main", ago(hours));
    model.publish("C", version, "P", content, ago(hours));
}

pub(super) const MAIN_HEADS: [Case; 11] = [
    Case { name: "verified once, and nothing changed for three days", ..CASE },
    Case {
        name: "the head is deleted: the one before is it again",
        set_up: |model| {
            model.build_on("P", "p2", "main", ago(60)).delete_version("P", "p2");
        },
        ..CASE
    },
    Case {
        name: "every version of the main branch is deleted",
        set_up: |model| {
            model.delete_version("P", "p1");
        },
        exit: 1,
        state: "unguarded",
        ..CASE
    },
    Case {
        name: "the newest contract is unverified, an older one was verified just now",
        set_up: |model| {
            publish(model, "c2", "two", 30);
            model.verify("P", "p1", "C", "c1", true, ago(0));
        },
        exit: 1,
        state: "stale",
        owes: &["p1 main published"],
        ..CASE
    },
    Case {
        name: "only a feature branch of the provider verified",
        set_up: |model| {
            publish(model, "c2", "two", 30);
            model.build_on("P", "f1", "feat/x", ago(29)).verify(
                "P",
                "f1",
                "C",
                "c2",
                true,
                ago(29),
            );
        },
        exit: 1,
        state: "stale",
        owes: &["p1 main published"],
        ..CASE
    },
    Case {
        name: "a new build after the contract was verified: nobody is told, and nothing is late",
        set_up: |model| {
            model.build_on("P", "p2", "main", ago(2));
        },
        state: "owing",
        owes: &["p2 main later"],
        ..CASE
    },
    Case {
        name: "the head moves between publication and look",
        set_up: |model| {
            publish(model, "c2", "two", 30);
            model.build_on("P", "p2", "main", ago(29));
        },
        exit: 1,
        state: "stale",
        owes: &["p2 main later"],
        ..CASE
    },
    Case {
        name: "no version was put on the main branch, some are tagged with its name",
        set_up: |model| {
            model.main_branch("P", Some("trunk"), ago(90));
            model.tag("P", "p1", "trunk", ago(90)).build("P", "p3", ago(88));
            model.tag("P", "p3", "trunk", ago(88));
            publish(model, "c2", "two", 30);
        },
        exit: 1,
        state: "stale",
        owes: &["p3 main published"],
        ..CASE
    },
    Case {
        name: "another branch becomes the main one",
        set_up: |model| {
            model.build_on("P", "r1", "release", ago(90));
            model.main_branch("P", Some("release"), ago(1));
        },
        state: "owing",
        owes: &["r1 main later"],
        ..CASE
    },
    Case {
        name: "published again while it is owed",
        set_up: |model| {
            publish(model, "c2", "two", 30);
            model.publish("C", "c2", "P", "two", ago(1));
        },
        exit: 1,
        state: "stale",
        owes: &["p1 main published"],
        ..CASE
    },
    Case {
        name: "a new version with a content that was verified before",
        set_up: |model| publish(model, "c2", "one", 30),
        ..CASE
    },
];

pub(super) const ENVIRONMENTS: [Case; 9] = [
    Case {
        name: "main verified, the version in production did not: its dispatch was lost",
        set_up: |model| {
            model.build("P", "p0", ago(200)).deploy("P", "p0", "prod", None, ago(190));
        },
        exit: 1,
        state: "stale",
        owes: &["p0 deployed:prod published!"],
        ..CASE
    },
    Case {
        name: "deployed and released after the contract",
        set_up: |model| {
            model.build("P", "p0", ago(200)).deploy("P", "p0", "prod", None, ago(2));
            model.build("P", "q0", ago(200)).release("P", "q0", "mobile", ago(3));
        },
        state: "owing",
        owes: &["p0 deployed:prod later!", "q0 released:mobile later!"],
        ..CASE
    },
    Case {
        name: "two instances, one with a result",
        set_up: |model| {
            model.deploy("P", "p1", "prod", Some("blue"), ago(80));
            model.build("P", "p0", ago(200)).deploy("P", "p0", "prod", Some("green"), ago(80));
        },
        exit: 1,
        state: "stale",
        owes: &["p0 deployed:prod published!"],
        ..CASE
    },
    Case {
        name: "one version in two environments, and main",
        set_up: |model| {
            model.deploy("P", "p1", "prod", None, ago(80)).deploy("P", "p1", "test", None, ago(79));
            model.release("P", "p1", "mobile", ago(78));
            publish(model, "c2", "two", 30);
        },
        exit: 1,
        state: "stale",
        owes: &["p1 main+deployed:prod+deployed:test+released:mobile published!"],
        ..CASE
    },
    Case {
        name: "what is undeployed and no longer supported does not count",
        set_up: |model| {
            model.build("P", "p0", ago(200)).deploy("P", "p0", "prod", None, ago(190));
            model.release("P", "p0", "mobile", ago(190));
            model.undeploy("P", "prod", None).end_support("P", "p0", "mobile");
        },
        ..CASE
    },
    Case {
        name: "a tag that is called like no environment",
        set_up: |model| {
            model.build("P", "p0", ago(200)).tag("P", "p0", "production", ago(190));
        },
        ..CASE
    },
    Case {
        name: "a provider without a main branch counts where it is deployed",
        set_up: |model| {
            model.main_branch("P", None, ago(90)).build("P", "p0", ago(200));
            model.deploy("P", "p0", "prod", None, ago(190));
        },
        exit: 1,
        state: "stale",
        owes: &["p0 deployed:prod published!"],
        ..CASE
    },
    Case {
        name: "nothing of the provider counts",
        set_up: |model| {
            model.main_branch("P", None, ago(90));
        },
        exit: 1,
        state: "unguarded",
        ..CASE
    },
    Case {
        name: "a deployed content that the provider's new head has no result for",
        set_up: |model| {
            model.deploy("C", "c1", "prod", None, ago(50));
            model.build_on("P", "p2", "main", ago(40));
            publish(model, "c2", "two", 30);
            model.verify("P", "p2", "C", "c2", true, ago(29));
        },
        holds_back: &["c1 p2"],
        ..CASE
    },
];

pub(super) const RESULTS_AND_LINES: [Case; 11] = [
    Case {
        name: "a failure is a result, and never owed",
        set_up: |model| {
            publish(model, "c2", "two", 30);
            model.verify("P", "p1", "C", "c2", false, ago(29));
        },
        exit: 1,
        state: "failed",
        failed: &["p1 main"],
        ..CASE
    },
    Case {
        name: "a failure that a success followed",
        set_up: |model| {
            publish(model, "c2", "two", 30);
            model.verify("P", "p1", "C", "c2", false, ago(29));
            model.verify("P", "p1", "C", "c2", true, ago(28));
        },
        ..CASE
    },
    Case {
        name: "a result that was asked for with another consumer version",
        set_up: |model| {
            publish(model, "c2", "two", 30);
            model.build_on("C", "f1", "feat/x", ago(28)).publish("C", "f1", "P", "two", ago(28));
            model.verify("P", "p1", "C", "f1", true, ago(27));
        },
        ..CASE
    },
    Case {
        name: "a feature branch of the consumer makes no pair stale",
        set_up: |model| {
            model.build_on("C", "f1", "feat/x", ago(40)).publish("C", "f1", "P", "f", ago(40));
        },
        ..CASE
    },
    Case {
        name: "but is looked at where it is asked for",
        set_up: |model| {
            model.build_on("C", "f1", "feat/x", ago(40)).publish("C", "f1", "P", "f", ago(40));
        },
        args: &["--branch", "feat/x"],
        exit: 1,
        state: "stale",
        owes: &["p1 main published"],
        ..CASE
    },
    Case {
        name: "a consumer without a main branch: its newest version",
        set_up: |model| {
            model.main_branch("C", None, ago(80)).build("C", "c2", ago(30));
            model.publish("C", "c2", "P", "two", ago(30));
        },
        exit: 1,
        state: "stale",
        owes: &["p1 main published"],
        ..CASE
    },
    Case {
        name: "a consumer that has no contract with the provider any more",
        set_up: |model| {
            publish(model, "c2", "two", 60);
            model.build_on("C", "c3", "main", ago(30)).publish("C", "c3", "Q", "q", ago(30));
        },
        ..CASE
    },
    Case {
        name: "what is deployed of the consumer is looked at, too",
        set_up: |model| {
            model.build("P", "p0", ago(200)).deploy("P", "p0", "prod", None, ago(190));
            model.deploy("C", "c1", "prod", None, ago(60));
            publish(model, "c2", "two", 50);
            model.verify("P", "p0", "C", "c2", true, ago(49));
            model.verify("P", "p1", "C", "c2", true, ago(49));
        },
        exit: 1,
        state: "stale",
        owes: &["p0 deployed:prod published!"],
        ..CASE
    },
    Case {
        name: "one environment of the provider",
        set_up: |model| {
            model.build("P", "p0", ago(200)).deploy("P", "p0", "prod", None, ago(190));
            model.deploy("P", "p1", "test", None, ago(90));
        },
        args: &["--to-environment", "test"],
        ..CASE
    },
    Case {
        name: "an environment without a version of the provider",
        set_up: |model| {
            model.environment("prod");
        },
        args: &["--to-environment", "prod"],
        exit: 1,
        state: "unguarded",
        ..CASE
    },
    Case {
        name: "the provider's newest version with a tag",
        set_up: |model| {
            model.build("P", "p0", ago(200)).tag("P", "p0", "live", ago(200));
        },
        args: &["--to-tag", "live"],
        exit: 1,
        state: "stale",
        owes: &["p0 tag:live published!"],
        ..CASE
    },
];
