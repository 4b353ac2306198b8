//! What a survey reads of a broker, held against the broker's own model.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use postrider_broker::{
    Broker, BrokerConfig, BrokerError, LineChoice, Pair, Scope, SideChoice, Survey,
};
use postrider_domain::owed::{Judged, Role};
use postrider_testkit::broker::ScriptedBroker;

const MAIN: &str = "main";

fn ago(hours: i64) -> Timestamp {
    let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    now - SignedDuration::from_hours(hours)
}

fn pair(consumer: &str, provider: &str) -> Pair {
    Pair { consumer: consumer.to_owned(), provider: provider.to_owned() }
}

fn client(broker: &ScriptedBroker) -> Broker {
    Broker::new(BrokerConfig::new(broker.url().parse().unwrap())).unwrap()
}

/// Everything that makes names and values hard: slashes, spaces, quotes, several of each.
async fn scene() -> ScriptedBroker {
    let broker = ScriptedBroker::start().await.unwrap();
    broker.model(|model| {
        model.main_branch("C/1 ü+", Some(MAIN), ago(100)).label("C/1 ü+", "web", ago(100));
        model.main_branch("P \"x\"", Some(MAIN), ago(100)).label("P \"x\"", "a b", ago(100));
        model.build_on("P \"x\"", "p/1", MAIN, ago(90)).build_on("P \"x\"", "p2", MAIN, ago(80));
        model.build_on("P \"x\"", "p0", "rel ease", ago(95));
        model.deploy("P \"x\"", "p/1", "prod", Some("blue"), ago(70));
        model.deploy("P \"x\"", "p0", "prod", Some("green"), ago(71));
        model.release("P \"x\"", "p/1", "mobile", ago(60));
        model.build_on("C/1 ü+", "c 1", MAIN, ago(50)).tag("C/1 ü+", "c 1", "t/1", ago(50));
        model.tag("C/1 ü+", "c 1", "ü", ago(50));
        model.build_url("C/1 ü+", "c 1", "https://ci.example/1?a=b", ago(50));
        model.publish("C/1 ü+", "c 1", "P \"x\"", "one", ago(50));
    });
    broker
}

#[tokio::test]
async fn events_have_the_values_of_the_brokers_own_webhooks() {
    let broker = scene().await;
    // A result of a version that counts for nothing gives the values of statuses and tags.
    broker.model(|model| {
        model.tag("P \"x\"", "px", "tried", ago(49));
        model.verify("P \"x\"", "px", "C/1 ü+", "c 1", false, ago(49));
        model.publish("C/1 ü+", "c 1", "P \"x\"", "one", ago(48));
    });
    let (client, pair) = (client(&broker), pair("C/1 ü+", "P \"x\""));
    let survey = Survey::new(&client, Scope::Few);
    let view = survey.view(&pair, &LineChoice::default(), &SideChoice::Broker).await.unwrap();
    let owes = Judged::of(&view.contracts, &view.counts).owes;
    let mut told: BTreeMap<String, Vec<(&str, String)>> = BTreeMap::new();
    for debt in &owes {
        let event = survey.event(&pair, debt, "default").await.unwrap().unwrap();
        let status = match event.verification_success {
            None => "pending",
            Some(true) => "success",
            Some(false) => "failure",
        };
        let values = vec![
            ("eventName", event.event_name.to_string()),
            ("consumerName", event.consumer.name),
            ("consumerVersionNumber", event.consumer.version_number),
            ("consumerVersionBranch", event.consumer.branch),
            ("consumerVersionTags", event.consumer.tags.join(", ")),
            ("consumerLabels", event.consumer.labels.join(", ")),
            ("providerName", event.provider.name),
            ("providerVersionNumber", event.provider.version_number.clone()),
            ("providerVersionBranch", event.provider.branch),
            ("providerVersionTags", event.provider.tags.join(", ")),
            ("providerVersionDescriptions", event.provider.version_descriptions.join(", ")),
            ("providerLabels", event.provider.labels.join(", ")),
            ("pactUrl", event.pact_url),
            ("verificationResultUrl", event.verification_result_url),
            ("githubVerificationStatus", status.to_owned()),
            ("buildUrl", event.build_url),
        ];
        told.insert(event.provider.version_number, values);
    }
    let triggered = broker.model(|model| {
        let all = model.triggers().iter().rev();
        let asking = all.filter(|one| one.event == "contract_requiring_verification_published");
        let base = broker.url();
        let last: BTreeMap<String, Vec<(&str, String)>> =
            asking.take(3).map(|one| (one.provider_version.clone(), one.variables(base))).collect();
        last
    });
    assert_eq!(told, triggered);
    assert_eq!(told.keys().collect::<Vec<_>>(), ["p/1", "p0", "p2"]);
    let descriptions = &told["p/1"][10].1;
    assert_eq!(descriptions, "deployed in prod, released in mobile");
}

#[tokio::test]
async fn lines_of_a_consumer() {
    let broker = scene().await;
    broker.model(|model| {
        model.deploy("C/1 ü+", "c 1", "prod", None, ago(40));
        model.build_on("C/1 ü+", "c 2", MAIN, ago(30));
        model.publish("C/1 ü+", "c 2", "P \"x\"", "two", ago(30));
        // A build that only verifies as a provider publishes nothing.
        model.build_on("C/1 ü+", "c 3", MAIN, ago(20));
        model.build_on("C/1 ü+", "f 1", "feat/x", ago(10));
        model.publish("C/1 ü+", "f 1", "P \"x\"", "three", ago(10));
    });
    let (client, pair) = (client(&broker), pair("C/1 ü+", "P \"x\""));
    let lines = async |choice: LineChoice| {
        let survey = Survey::new(&client, Scope::Many);
        let view = survey.view(&pair, &choice, &SideChoice::Broker).await.unwrap();
        let mut lines: Vec<(String, Vec<String>)> = view
            .contracts
            .into_iter()
            .map(|one| (one.consumer_version, one.lines.iter().map(Role::to_string).collect()))
            .collect();
        lines.sort();
        lines
    };
    let is = |version: &str, line: &str| (version.to_owned(), vec![line.to_owned()]);
    let usual = [is("c 1", "deployed:prod"), is("c 2", "main")];
    assert_eq!(lines(LineChoice::default()).await, usual);
    let branch = LineChoice { branch: Some("feat/x".to_owned()), ..LineChoice::default() };
    assert_eq!(lines(branch).await, [is("f 1", "branch:feat/x")]);
    let tag = LineChoice { tag: Some("t/1".to_owned()), ..LineChoice::default() };
    assert_eq!(lines(tag).await, [is("c 1", "tag:t/1")]);
    let environment = LineChoice { environment: Some("prod".to_owned()), ..LineChoice::default() };
    assert_eq!(lines(environment).await, [is("c 1", "deployed:prod")]);
    let branches = LineChoice { branches_since: Some(ago(35)), ..LineChoice::default() };
    let all = [is("c 1", "deployed:prod"), is("c 2", "main"), is("f 1", "branch:feat/x")];
    assert_eq!(lines(branches).await, all);
}

/// A hundred and thirty builds verified the content, production runs the first: a matrix without
/// versions is cut before it gets there.
#[tokio::test]
async fn nothing_is_cut() {
    let broker = ScriptedBroker::start().await.unwrap();
    broker.model(|model| {
        model.main_branch("C", Some(MAIN), ago(300)).main_branch("P", Some(MAIN), ago(300));
        model.build_on("C", "c1", MAIN, ago(290)).publish("C", "c1", "P", "one", ago(290));
        for build in 1..=130 {
            let (number, at) = (format!("p{build}"), ago(280 - build));
            model.build_on("P", &number, MAIN, at).verify("P", &number, "C", "c1", true, at);
        }
        model.deploy("P", "p1", "prod", None, ago(100));
    });
    let client = client(&broker);
    let survey = Survey::new(&client, Scope::Few);
    let pair = pair("C", "P");
    let view = survey.view(&pair, &LineChoice::default(), &SideChoice::Broker).await.unwrap();
    let judged = Judged::of(&view.contracts, &view.counts);
    assert_eq!(judged.owes, []);
    assert_eq!(view.counts.len(), 2, "{view:?}");

    // More contracts and versions than one question names.
    broker.model(|model| {
        for build in 1..=45 {
            let (number, at) = (format!("c{build}"), ago(50 - build));
            model.build("C", &number, at).publish("C", &number, "P", &number, at);
            model.release("P", &format!("p{build}"), "mobile", at);
        }
    });
    let versions: Vec<String> = (1..=45).map(|build| build.to_string()).collect();
    let consumers: Vec<String> = versions.iter().map(|number| format!("c{number}")).collect();
    let providers: Vec<String> = versions.iter().map(|number| format!("p{number}")).collect();
    let names = |list: &[String]| list.to_vec();
    let (consumers, providers) = (names(&consumers), names(&providers));
    let rows = client
        .results(
            &pair,
            &consumers.iter().map(String::as_str).collect::<Vec<_>>(),
            &providers.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .await
        .unwrap();
    let with_row = |version: &&String| rows.iter().any(|row| row.consumer_version == **version);
    assert_eq!(consumers.iter().filter(with_row).count(), 45);
}

#[tokio::test]
async fn what_is_gone_is_gone_and_trouble_is_trouble() {
    let broker = scene().await;
    let client = client(&broker);
    let view = async |consumer: &str, provider: &str| {
        let survey = Survey::new(&client, Scope::Few);
        survey.view(&pair(consumer, provider), &LineChoice::default(), &SideChoice::Broker).await
    };
    for (consumer, provider, unknown) in [("nobody", "P \"x\"", "nobody"), ("C/1 ü+", "x", "x")] {
        let error = view(consumer, provider).await.unwrap_err();
        let BrokerError::UnknownName { names, .. } = error else { panic!("{error}") };
        assert_eq!(names, [unknown]);
    }
    broker.answer_of("/environments", Some((404, "{}")));
    let without = view("C/1 ü+", "P \"x\"").await.unwrap();
    assert_eq!(without.counts.len(), 1, "a broker without environments: {without:?}");
    broker.answer_of("/environments", None);
    broker.answer_of("/matrix", Some((500, "")));
    let error = view("C/1 ü+", "P \"x\"").await.unwrap_err();
    assert!(matches!(error, BrokerError::Away { .. }), "{error}");
    broker.answer_of("/matrix", None);
    broker.ask_for("a token");
    let error = view("C/1 ü+", "P \"x\"").await.unwrap_err();
    assert!(matches!(error, BrokerError::Credential { .. }), "{error}");
}

/// Many pairs of the same applications cost one question each, and a few for all.
#[tokio::test]
async fn what_was_read_is_known() {
    let broker = ScriptedBroker::start().await.unwrap();
    broker.model(|model| {
        model.main_branch("P", Some(MAIN), ago(300)).build_on("P", "p1", MAIN, ago(299));
        model.deploy("P", "p1", "prod", None, ago(298));
        for number in 0..30 {
            let consumer = format!("c{number}");
            model.main_branch(&consumer, Some(MAIN), ago(300));
            model.build_on(&consumer, "1", MAIN, ago(100));
            model.publish(&consumer, "1", "P", "one", ago(100));
            model.verify("P", "p1", &consumer, "1", true, ago(99));
        }
    });
    let client = client(&broker);
    let survey = Survey::new(&client, Scope::Many);
    for number in 0..30 {
        let pair = pair(&format!("c{number}"), "P");
        survey.view(&pair, &LineChoice::default(), &SideChoice::Broker).await.unwrap();
    }
    // Of each consumer itself, its head, its results; of the provider two, of environments three.
    assert_eq!(broker.seen().len(), 30 * 3 + 2 + 3);
}
