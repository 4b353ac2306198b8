//! Limits and lanes are two things: what shares a rate, and what shares a fate.

use postrider_domain::{Extensions, HoldCause, LaneId, LaneState, Webhook};
use postrider_store::{ClaimTerms, Poll, Refusal, Store, StoredWebhook};
use postrider_testkit::acts::*;
use postrider_testkit::cases::limits::two_credentials;
use serde_json::json;

use crate::harness::World;

/// L4, L6, L8 are the lane's.
pub(crate) async fn credentials_that_share_a_limit_are_held_each_for_itself(world: World) {
    let store = world.store();
    let (a, b) = two_credentials(store).await;
    let (of_a, of_b) = (accept(store, &a, 2).await, accept(store, &b, 2).await);
    let lease = lead(store, a.lane_id).await;
    let claim = some_as(store, lease, 1).await.remove(0);
    assert_eq!(claim.id, of_a[0]);
    let report = record(store, &[rejected(&claim, Refusal::AtGithub)]).await;
    assert_eq!(report.held, [a.lane_id]);
    assert_eq!(lane(store, a.lane_id).await.state, LaneState::Held(HoldCause::Credential));
    assert_eq!(lane(store, b.lane_id).await.state, LaneState::Open);
    assert_eq!(ids(&claimed(claim_as(store, lease, MINUTE).await)), of_b, "the other goes on");
    let lanes = store.lanes().await.unwrap();
    let shown = |name: &str| lanes.iter().find(|lane| lane.name == name).unwrap();
    assert_eq!((shown("h/a").limit.as_str(), shown("h/b").limit.as_str()), ("shared", "shared"));
    assert_eq!((shown("h/a").backlog, shown("h/b").backlog), (2, 0));
    let (_, opened) = store.set_secret("a", &"new".into()).await.unwrap();
    assert_eq!(opened, ["h/a"]);
    assert_eq!(ids(&claimed(claim_as(store, lease, MINUTE).await)), of_a[..2]);
}

/// How long a claim lasts is its webhook's own time-out and the margin.
pub(crate) async fn a_claim_lasts_as_long_as_its_webhook_says(world: World) {
    let store = world.store();
    let quick = put(store, "quick", &unlimited("a")).await;
    let plain = put(store, "plain", &unlimited("a")).await;
    let own = own_time_out(store, &json!({"timeout": "2s"})).await;
    world.raw(&format!("update webhooks set timeout_ms = 40 where id = {}", quick.id.0)).await;
    let accepted = [accept(store, &quick, 1).await[0], accept(store, &plain, 1).await[0]];
    let terms = ClaimTerms { worker: worker(), timeout: MINUTE, margin: ms(60) };
    let claims = store.claim_fresh(&accepted, terms).await.unwrap();
    let of = |claim: &postrider_store::Claim| (claim.id, claim.timeout, claim.length);
    assert_eq!(of(&claims[0]), (accepted[0], ms(40), ms(100)));
    assert_eq!(of(&claims[1]), (accepted[1], MINUTE, MINUTE + ms(60)));
    wait_until(store, "the short claim ends", async || {
        let expired = store.expire_claims(10).await.unwrap();
        (expired.given_back == accepted[..1]).then_some(())
    })
    .await;
    let again = store.claim_due(&[share(quick.lane_id, 9)], false, terms).await.unwrap();
    assert_eq!(again.iter().map(of).collect::<Vec<_>>(), [(accepted[0], ms(40), ms(100))]);

    let accepted = accept(store, &own, 1).await;
    let claims = store.claim_fresh(&accepted, terms).await.unwrap();
    assert_eq!(of(&claims[0]), (accepted[0], ms(2_000), ms(2_060)));
    let own = own_time_out(store, &json!({})).await;
    let accepted = accept(store, &own, 1).await;
    let claims = store.claim_fresh(&accepted, terms).await.unwrap();
    assert_eq!(of(&claims[0]), (accepted[0], MINUTE, MINUTE + ms(60)));
}

/// The webhook of one name with these rules of its own.
async fn own_time_out(store: &Store, rules: &serde_json::Value) -> StoredWebhook {
    let extensions = Extensions::read(rules).unwrap();
    let webhook = Webhook { extensions, ..webhook("own") };
    put_write(store, &write(webhook, &unlimited("a"), &[])).await
}

/// POISON_ROW: one suspect at a time, also over many lanes.
pub(crate) async fn one_suspect_of_many_lanes(world: World) {
    let store = world.store();
    let mut shares = Vec::new();
    for name in ["a", "b"] {
        let webhook = put(store, name, &unlimited(name)).await;
        accept(store, &webhook, 2).await;
        shares.push(share(webhook.lane_id, 9));
    }
    world.raw("update deliveries set lost_claims = 3").await;
    assert!(store.claim_due(&shares, false, terms(MINUTE)).await.unwrap().is_empty());
    for left in (0..4).rev() {
        let claims = store.claim_due(&shares, true, terms(MINUTE)).await.unwrap();
        assert_eq!(claims.len(), 1, "{left} are left");
    }
    assert!(store.claim_due(&shares, true, terms(MINUTE)).await.unwrap().is_empty());
}

/// A row that can't be read is claimed and left to expire; those beside it go.
pub(crate) async fn an_unreadable_row_takes_no_other_with_it(world: World) {
    let store = world.store();
    let one = put(store, "one", &unlimited("a")).await;
    let accepted = accept(store, &one, 6).await;
    let spoil = |id| format!("update deliveries set refusals = -1 where {}", world.is_id(id));
    world.raw(&spoil(accepted[0])).await;
    world.raw(&spoil(accepted[3])).await;
    let fresh = store.claim_fresh(&accepted[..3], terms(ms(50))).await.unwrap();
    assert_eq!(ids(&fresh), accepted[1..3]);
    assert_eq!(ids(&due_for(store, one.lane_id, ms(50)).await), accepted[4..]);
    assert!(due(store, one.lane_id).await.is_empty(), "they stand in nobody's way");
}

/// Pages by row number, each lane once; a limit is looked at for all of its lanes.
pub(crate) async fn lanes_come_in_pages(world: World) {
    let store = world.store();
    let first = put(store, "first", &limited("first")).await;
    world.many_lanes(1_002, limit_of(store, first.lane_id).await).await;
    let (mut after, mut seen, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = store.poll(Poll::Page(after)).await.unwrap();
        seen.extend(page.lanes.iter().map(|lane| lane.id));
        pages += 1;
        match page.next {
            Some(last) => after = Some(last),
            None => break,
        }
    }
    assert_eq!((pages, seen.len()), (2, 1_003));
    assert!(seen.is_sorted());
    let those = [seen[7], seen[1_001], LaneId(i64::MAX)];
    let page = store.poll(Poll::Those(&those)).await.unwrap();
    let found: Vec<_> = page.lanes.iter().map(|lane| lane.id).collect();
    assert_eq!((found.as_slice(), page.next), (&those[..2], None));
}
