use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::parse_days;

const NOW: &str = "2026-11-25T12:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Hours before [`NOW`], a Wednesday at noon.
fn ago(hours: i64) -> Timestamp {
    time(NOW) - SignedDuration::from_hours(hours)
}

fn pair() -> PairKey {
    key("default", "checkout", "Orders")
}

fn key(broker: &str, consumer: &str, provider: &str) -> PairKey {
    PairKey { broker: broker.into(), consumer: consumer.into(), provider: provider.into() }
}

fn rules() -> FreshnessRules {
    FreshnessRules { max_age: None, quiet: QuietDays::none(), pairs: Vec::new(), is_watched: false }
}

fn state(rules: &FreshnessRules, facts: &PairFacts, reach: BrokerReach) -> FreshnessState {
    judge(rules, &pair(), facts, reach, time(NOW)).state
}

#[derive(Debug, Clone, Copy)]
enum Told {
    /// `contract_published`
    Published(i64),
    /// `contract_requiring_verification_published`
    Wants(i64),
    /// `contract_content_changed`
    Changed(i64),
    Verified(i64),
    Failed(i64),
}

use Told::{Changed, Failed, Published, Verified as Good, Wants};

fn facts(story: &[Told]) -> PairFacts {
    let mut facts = PairFacts::default();
    for told in story {
        let (event, hours) = match *told {
            Published(hours) => (EventName::ContractPublished, hours),
            Wants(hours) => (EventName::ContractRequiringVerificationPublished, hours),
            Changed(hours) => (EventName::ContractContentChanged, hours),
            Good(hours) => (EventName::ProviderVerificationSucceeded, hours),
            Failed(hours) => (EventName::ProviderVerificationFailed, hours),
        };
        facts.told(event, ago(hours), None);
    }
    facts
}

#[test]
fn states() {
    use FreshnessState::{Fresh, Owing, Stale, Unknown};
    for (story, expected, owed) in [
        (&[][..], Unknown, None),
        // Never verified: the first publication of any kind counts.
        (&[Published(1)], Owing, Some(1)),
        (&[Published(30), Wants(1)], Stale, Some(30)),
        // Verified, and it stays so.
        (&[Wants(30), Good(29)], Fresh, None),
        (&[Wants(30), Good(2)], Fresh, None),
        (&[Wants(30), Failed(2)], Fresh, None),
        (&[Good(2)], Fresh, None),
        (&[Good(2500)], Fresh, None),
        // Exactly at the threshold is not late.
        (&[Good(100), Wants(24)], Owing, Some(24)),
        // A publication after it that wants one.
        (&[Good(100), Wants(25)], Stale, Some(25)),
        (&[Good(100), Changed(23)], Owing, Some(23)),
        (&[Good(100), Wants(50), Wants(1)], Stale, Some(50)),
        (&[Wants(50), Good(40), Wants(30), Good(20), Wants(3)], Owing, Some(3)),
        // One that does not want any leaves the pair fresh.
        (&[Good(100), Published(1)], Fresh, None),
        (&[Good(10), Published(1)], Fresh, None),
    ] {
        let facts = facts(story);
        assert_eq!(state(&rules(), &facts, BrokerReach::NotAsked), expected, "{story:?}");
        assert_eq!(facts.owed_since(), owed.map(ago), "{story:?}");
    }
}

fn debt(since: i64) -> SaidDebt {
    SaidDebt {
        consumer_version: "c1".to_owned(),
        lines: vec!["main".to_owned()],
        provider_version: "p1".to_owned(),
        branch: Some("main".to_owned()),
        because: vec!["main".to_owned()],
        due: Due::Published,
        blocking: false,
        since: ago(since),
        is_begin_seen: false,
    }
}

/// First asked 200 hours ago, and just now.
fn says(owes: &[i64]) -> BrokerSays {
    BrokerSays {
        first_asked_at: ago(200),
        told_at: ago(0),
        published_at: Some(ago(300)),
        is_guarded: true,
        owes: owes.iter().map(|since| debt(*since)).collect(),
        failed: Vec::new(),
        holds_back: Vec::new(),
        trouble: None,
    }
}

#[test]
fn what_the_broker_cannot_tell_of_is_owed_since_nobody_knows_when() {
    let since = |says| {
        let facts = PairFacts { says: Some(says), ..PairFacts::default() };
        facts.asked_since()
    };
    let owed = || {
        let mut owed = says(&[1, 2]);
        owed.owes[1].consumer_version = "c2".to_owned();
        owed
    };
    assert_eq!(since(owed()), [ago(1), ago(2)]);
    let mut later = owed();
    later.owes[0].due = Due::Later;
    assert_eq!(since(later), [ago(2)]);
    // Two versions of the provider owe what one publication asked them for, one of them longer.
    assert_eq!(since(says(&[1, 2])), [ago(1)]);
    let troubled = BrokerSays::troubled(Some(owed()), "500".into(), ago(0));
    assert!(since(troubled).is_empty());
}

#[test]
fn what_was_late_when_the_broker_was_met_is_no_news() {
    let day = Duration::from_hours(24);
    // It was first asked 200 hours ago.
    for (owes, expected) in
        [(&[225][..], true), (&[224], false), (&[300, 10], true), (&[30], false), (&[], false)]
    {
        assert_eq!(says(owes).was_late_when_met(day, &QuietDays::none()), expected, "{owes:?}");
    }
}

#[test]
fn the_brokers_word_counts_where_it_is_asked() {
    use FreshnessState::{Failed, Fresh, Owing, Silent, Stale, Unguarded, Unknown};
    let failure = SaidFailure {
        consumer_version: "c1".to_owned(),
        lines: Vec::new(),
        provider_version: "p1".to_owned(),
        because: Vec::new(),
        failed_at: ago(1),
    };
    let failed = |owes: &[i64]| BrokerSays { failed: vec![failure.clone()], ..says(owes) };
    let unguarded = BrokerSays { is_guarded: false, ..says(&[]) };
    let troubled = BrokerSays { trouble: Some("500".to_owned()), ..says(&[30]) };
    let published = |hours| BrokerSays { published_at: Some(ago(hours)), ..says(&[]) };
    // Events say that nothing was ever verified: they don't know.
    let events = facts(&[Wants(100)]);
    for (says, expected, age) in [
        (says(&[]), Fresh, None),
        (says(&[24, 1]), Owing, Some(24)),
        (says(&[25, 1]), Stale, Some(25)),
        (failed(&[25]), Failed, Some(25)),
        (unguarded, Unguarded, None),
        (troubled, Unknown, Some(30)),
        (failed(&[25]).gone(), Unknown, None),
        // Published at the broker after it was asked first; events told of one 100 hours ago.
        (published(50), Silent, None),
        (published(101), Fresh, None),
        (published(1), Fresh, None),
    ] {
        let facts = PairFacts { says: Some(says.clone()), ..events.clone() };
        let verdict = judge(&rules(), &pair(), &facts, BrokerReach::Answers, time(NOW));
        let age = age.map(Duration::from_hours);
        assert_eq!((verdict.state, verdict.age), (expected, age), "{says:?}");
    }
    let told = |says: BrokerSays, reach| {
        state(&rules(), &PairFacts { says: Some(says), ..events.clone() }, reach)
    };
    // Away: as when it answered last. Asked no more: events are all there is.
    let away = |hours| BrokerReach::Away { answered_at: Some(ago(hours)) };
    assert_eq!(told(says(&[30]), away(5)), Stale);
    assert_eq!(told(says(&[30]), away(20)), Owing);
    assert_eq!(told(says(&[30]), BrokerReach::Away { answered_at: None }), Unknown);
    assert_eq!(told(says(&[]), BrokerReach::NotAsked), Stale);
}

#[test]
fn a_look_keeps_what_the_one_before_knew() {
    let before = BrokerSays { first_asked_at: ago(400), told_at: ago(10), ..says(&[90]) };
    // The line has been owing since before that look: it is the same debt.
    let kept = says(&[20]).after(&before);
    assert_eq!((kept.owed_since(), kept.first_asked_at), (Some(ago(90)), ago(400)));
    // A debt that came after it is another one, and so is one of another line.
    assert_eq!(says(&[5]).after(&before).owed_since(), Some(ago(5)));
    let mut other = says(&[20]);
    other.owes[0].lines = vec!["deployed:prod".to_owned()];
    assert_eq!(other.after(&before).owed_since(), Some(ago(20)));
    // A result came right before what is owed now: the debt that was seen before is over.
    let mut over = says(&[20]);
    over.owes[0].is_begin_seen = true;
    assert_eq!(over.after(&before).owed_since(), Some(ago(20)));
    let troubled = BrokerSays::troubled(Some(before), "500".to_owned(), ago(0));
    assert_eq!((troubled.owed_since(), troubled.told_at), (Some(ago(90)), ago(10)));
    let kept = says(&[20]).after(&troubled);
    assert_eq!((kept.owed_since(), kept.trouble), (Some(ago(90)), None));
}

#[test]
fn ages_leave_quiet_days_out() {
    let quiet = QuietDays::new(parse_days("sat sun").unwrap(), jiff::tz::TimeZone::UTC);
    let rules = FreshnessRules { quiet, ..rules() };
    let mut facts = PairFacts::default();
    facts.published(time("2026-11-20T17:00:00Z"), true);
    let judged = |now| judge(&rules, &pair(), &facts, BrokerReach::Answers, time(now));
    let monday = judged("2026-11-23T09:00:00Z");
    assert_eq!(monday.age, Some(Duration::from_hours(16)));
    assert_eq!(monday.state, FreshnessState::Owing);
    assert_eq!(judged("2026-11-23T17:00:01Z").state, FreshnessState::Stale);
    let before = judged("2026-11-20T12:00:00Z");
    assert_eq!((before.state, before.age), (FreshnessState::Owing, Some(Duration::ZERO)));
}

#[test]
fn a_broker_that_is_away_makes_nothing_late() {
    use FreshnessState::{Fresh, Owing, Stale, Unknown};
    let away = |hours: i64| BrokerReach::Away { answered_at: Some(ago(hours)) };
    let never = BrokerReach::Away { answered_at: None };
    let stale = facts(&[Good(100), Wants(30)]);
    for (reach, expected) in [
        (BrokerReach::Answers, Stale),
        (BrokerReach::NotAsked, Stale),
        // It was late already when the broker answered, 30 - 5 hours after the publication.
        (away(5), Stale),
        (away(20), Unknown),
        // Before it was published.
        (away(40), Unknown),
        (never, Unknown),
    ] {
        assert_eq!(state(&rules(), &stale, reach), expected, "{reach:?}");
    }
    assert_eq!(state(&rules(), &facts(&[Good(100), Wants(10)]), away(1)), Owing);
    assert_eq!(state(&rules(), &facts(&[Good(2)]), never), Fresh);
    assert_eq!(state(&rules(), &facts(&[]), never), Unknown);
}

#[test]
fn rules_of_pairs_win() {
    let rule = |broker: Option<&str>, hours, critical| PairRule {
        broker: broker.map(str::to_owned),
        consumer: "checkout".to_owned(),
        provider: "Orders".to_owned(),
        max_age: Some(Duration::from_hours(hours)),
        critical,
    };
    let rules =
        FreshnessRules { pairs: vec![rule(Some("b"), 1, true), rule(None, 48, false)], ..rules() };
    let facts = facts(&[Wants(30)]);
    let judged = |key: &PairKey| judge(&rules, key, &facts, BrokerReach::NotAsked, time(NOW));
    assert_eq!(judged(&key("b", "checkout", "Orders")).state, FreshnessState::Stale);
    assert!(judged(&key("b", "checkout", "Orders")).critical);
    assert_eq!(judged(&key("a", "checkout", "Orders")).state, FreshnessState::Owing);
    assert_eq!(judged(&key("a", "checkout", "Orders")).max_age, Duration::from_hours(48));
    assert_eq!(judged(&key("a", "checkout", "orders")).max_age, Duration::from_hours(24));
}

#[test]
fn the_newest_result_is_kept() {
    let mut facts = facts(&[Good(5), Failed(3), Good(4)]);
    assert_eq!(facts.last_verification, Some(Verified { at: ago(3), success: Some(false) }));
    facts.told(EventName::ProviderVerificationPublished, ago(3), Some(true));
    assert_eq!(facts.last_verification.unwrap().success, Some(false));
    facts.verified(ago(2), None);
    assert_eq!(facts.last_verification.unwrap().success, None);
    facts.verified(ago(2), Some(true));
    assert_eq!(facts.last_verification.unwrap().success, Some(true));
}

#[test]
fn instants_are_as_precise_as_rows_keep_them() {
    let mut facts = PairFacts::default();
    let exact = time("2026-11-20T12:00:00.123456789Z");
    facts.published(exact, true);
    facts.dispatched(exact);
    let kept = Some(time("2026-11-20T12:00:00.123456Z"));
    assert_eq!((facts.owed_since(), facts.last_dispatch), (kept, kept));
    facts.verified(exact, None);
    assert_eq!(facts.owed_since(), None);
}

#[test]
fn of_many_publications_the_oldest_and_the_newest_are_kept() {
    let mut facts = facts(&[Good(200)]);
    for hours in 1..=100 {
        facts.published(ago(hours), true);
    }
    assert_eq!(facts.owing.len(), OWING_MOST);
    assert_eq!(facts.owed_since(), Some(ago(100)));
    assert_eq!(facts.owing.last(), Some(&ago(1)));
    facts.verified(ago(50), None);
    assert_eq!(facts.owed_since(), Some(ago(1)));
}

#[test]
fn names_survive_as_one_text() {
    for names in [
        ["default", "checkout", "Orders"],
        ["a/b", "100%", "c%2Fd"],
        ["", "Ünïcode 🦀", "quote\" and\nline"],
    ] {
        let [broker, consumer, provider] = names;
        let key = key(broker, consumer, provider);
        assert_eq!(key.to_string().parse(), Ok(key.clone()), "{key}");
        assert_eq!(key.to_string().matches('/').count(), 2);
        assert!(!key.to_string().contains('\n'));
    }
    for wrong in ["", "a/b", "a/b/c/d", "a/b/%", "a/b/%zz", "a/b/%ff", "a/b/%é"] {
        assert_eq!(wrong.parse::<PairKey>(), Err(InvalidPairKey), "{wrong}");
    }
}

fn told() -> impl Strategy<Value = Told> {
    (0_i64..200, 0..5).prop_map(|(hours, kind)| match kind {
        0 => Published(hours),
        1 => Wants(hours),
        2 => Changed(hours),
        3 => Good(hours),
        _ => Failed(hours),
    })
}

proptest! {
    #[test]
    fn order_and_repeats_change_nothing(
        (story, shuffled) in proptest::collection::vec(told(), 0..14)
            .prop_flat_map(|story| (Just(story.clone()), Just(story).prop_shuffle())),
    ) {
        let repeated: Vec<Told> = shuffled.iter().chain(&shuffled).copied().collect();
        prop_assert_eq!(facts(&story), facts(&repeated));
    }

    #[test]
    fn what_is_known_in_two_places_adds_up(
        story in proptest::collection::vec(told(), 0..14),
        split in 0_usize..14,
    ) {
        let (one, other) = story.split_at(split.min(story.len()));
        let mut both = facts(one);
        both.absorb(&facts(other));
        prop_assert_eq!(both, facts(&story));
    }

    #[test]
    fn keys_round_trip(broker in ".{0,12}", consumer in ".{0,12}", provider in ".{0,12}") {
        let key = key(&broker, &consumer, &provider);
        prop_assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn being_late_does_not_pass_by_itself(
        story in proptest::collection::vec(told(), 0..8),
        later in 0_i64..1000,
    ) {
        let facts = facts(&story);
        let at = |now| judge(&rules(), &pair(), &facts, BrokerReach::Answers, now).state;
        let first = at(time(NOW));
        if first == FreshnessState::Stale {
            prop_assert_eq!(first, at(time(NOW) + SignedDuration::from_hours(later)));
        }
    }
}
