//! A credential rotated by the page, step by step.

use anyhow::{Context, Result, ensure};
use postrider_github_double::{Double, Options};

use super::browser::{Browser, Page};
use crate::harness::{Api, Looking, Mode, Plan, SOON, event, wait_until, webhook};

const OLD: &str = "the-old-token-of-the-robot";
const NEW: &str = "the-new-token-of-the-robot";
const STEPS: &str = "/ui/credentials/githubToken";

/// Asks for the new value to be tried, and waits for what a worker finds.
async fn tried(browser: &mut Browser) -> Result<Page> {
    let page = browser.post(&format!("{STEPS}/probe"), &[]).await?;
    ensure!((page.status, page.leads_to()) == (303, STEPS), "{page:?}");
    wait_until("a worker to try it", SOON, async || {
        let page = browser.view(STEPS).await?;
        let is_tried = page.text.contains("Tried <time");
        Ok(if is_tried { Looking::Found(page) } else { Looking::NotYet(page.text) })
    })
    .await
}

async fn keep(browser: &mut Browser, value: &str) -> Result<()> {
    let page = browser.post(&format!("{STEPS}/pending"), &[("value", value)]).await?;
    ensure!((page.status, page.leads_to()) == (303, STEPS), "{page:?}");
    let view = browser.view(STEPS).await?;
    view.holds("A new value is kept since")?;
    view.lacks(value)
}

async fn is_held(api: &Api) -> Result<()> {
    wait_until("the lane to be held", SOON, async || {
        let lane = api.lane("/githubToken").await?.context("the lane")?;
        Ok(Looking::when(lane["state"] == "held", || lane.to_string()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_token_is_followed_by_a_new_one() -> Result<()> {
    let double = Double::start(Options::default().with_tokens([OLD])).await?;
    let plan = Plan::new(Mode::Embedded).set("GITHUB_HOSTS", double.addr());
    let cluster = plan.set("LANE_RATE", "200/s").start().await?;
    let api = cluster.api()?;
    api.set_secret("githubToken", OLD).await?;
    api.create_webhook(&webhook(&double.base_url(), "acme/a", "a", "githubToken")).await?;
    api.publish(&event(1, "a")).await?;
    double.wait_for(1, SOON).await?;
    double.accept_tokens([NEW]);
    api.publish(&event(2, "a")).await?;
    is_held(&api).await?;

    let mut browser = Browser::at(&api)?;
    browser.view("/ui/credentials").await?.holds(STEPS)?;
    let view = browser.view(STEPS).await?;
    for text in ["pactflow-webhook-", "held", "1 waiting", "postrider secrets rotate"] {
        view.holds(text)?;
    }
    view.lacks("Switch</button>")?;
    // One that is refused is kept and tried, and not switched to by itself.
    keep(&mut browser, "a-token-that-is-wrong").await?;
    tried(&mut browser).await?.holds("it is refused")?;
    let page = browser.post(&format!("{STEPS}/switch"), &[]).await?;
    ensure!(page.status == 409, "{page:?}");
    page.holds("Nothing was switched")?;
    let page = browser.post(&format!("{STEPS}/forget"), &[]).await?;
    ensure!((page.status, page.leads_to()) == (303, STEPS), "{page:?}");
    browser.view(STEPS).await?.lacks("A new value is kept")?;

    keep(&mut browser, NEW).await?;
    // What another value was worth says nothing of this one.
    browser.view(STEPS).await?.lacks("it is refused")?;
    // What nobody tried is not switched to either.
    ensure!(browser.post(&format!("{STEPS}/switch"), &[]).await?.status == 409);
    let before = browser.view(STEPS).await?;
    let view = tried(&mut browser).await?;
    let form = [("force", "yes"), ("seen", before.hidden("seen")?)];
    let page = browser.post(&format!("{STEPS}/switch"), &form).await?;
    ensure!(page.status == 409, "not what was looked at: {page:?}");
    view.holds("it is taken and may write to every repository")?;
    view.holds("writable")?;
    let seen = view.hidden("seen")?;
    let form = [("reason", "the old one died"), ("seen", seen)];
    let page = browser.post(&format!("{STEPS}/switch"), &form).await?;
    ensure!(page.status == 303, "{page:?}");
    let switched = browser.view(page.leads_to()).await?;
    switched.holds("Switched: revision 2 is in use.")?;
    switched.lacks("A new value is kept")?;
    let page = browser.post(&format!("{STEPS}/switch"), &form).await?;
    ensure!(page.status == 409, "once is enough: {page:?}");
    page.holds("There is no new value")?;
    double.wait_for(2, SOON).await?;
    let audit = api.get("/api/v1/audit?object=githubToken").await?.ok()?;
    ensure!(audit.to_string().contains("the old one died"), "{audit}");

    what_is_no_new_value(&mut browser).await?;
    cluster.finish().await
}

async fn what_is_no_new_value(browser: &mut Browser) -> Result<()> {
    let same = browser.post(&format!("{STEPS}/pending"), &[("value", NEW)]).await?;
    same.holds("the value in use already")?;
    ensure!(browser.get("/ui/credentials/nobody").await?.status == 404);
    let page = browser.post(&format!("{STEPS}/pending"), &[("value", "a\u{7}b")]).await?;
    ensure!(page.status == 422, "{page:?}");
    page.lacks("a\u{7}b")?;
    Ok(())
}
