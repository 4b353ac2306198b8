//! The page, by a browser that runs no scripts: signing in, roles, every view, and everything that
//! can be done.

mod browser;
mod dispatch;
mod edit;
mod rotation;
mod scene;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

pub(crate) use dispatch::Owing;
pub(crate) use scene::{ANN, BOB, ODD, Scene, TOKENS};

use crate::harness::{
    Looking, Mode, Plan, SOON, Scripted, ScriptedTarget, event, hook_webhook, wait_until,
};
use browser::{Browser, Page};
use scene::TAKES;

const CI: &str = "00112233445566778899";

async fn sign_in(browser: &mut Browser, token: &str, next: &str) -> Result<Page> {
    browser.post("/ui/sign-in", &[("token", token), ("next", next)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_signs_in_and_comes_back_to_what_was_wanted() -> Result<()> {
    let mut cluster = Plan::new(Mode::Embedded).set("API_TOKENS", TOKENS).start().await?;
    let mut browser = Browser::at(&cluster.api()?)?;
    let wanted = "/ui/deliveries?status=failed&consumer=a%26b";
    let page = browser.get(wanted).await?;
    let asked = "/ui/sign-in?next=%2Fui%2Fdeliveries%3Fstatus%3Dfailed%26consumer%3Da%2526b";
    ensure!((page.status, page.leads_to()) == (303, asked), "{page:?}");
    ensure!(page.header("www-authenticate").is_empty(), "{page:?}");
    let told = browser.fragment("/ui/lanes").await?;
    let home = "/ui/sign-in?next=%2Fui";
    ensure!((told.status, told.header("hx-redirect")) == (401, home), "{told:?}");
    let form = browser.view(asked).await?;
    ensure!(form.hidden("next")? == wanted.replace('&', "&amp;"), "{}", form.text);
    for (token, words) in [("wrong-token-of-nobody", "No token is this one"), (CI, "only send")] {
        let page = sign_in(&mut browser, token, wanted).await?;
        ensure!(page.status == 403 && browser.cookie().is_none(), "{page:?}");
        page.holds(words)?;
        page.lacks(token)?;
    }
    let page = sign_in(&mut browser, ANN, wanted).await?;
    ensure!((page.status, page.leads_to()) == (303, wanted), "{page:?}");
    let set = page.header("set-cookie");
    let parts = ["postrider=v1.", "; HttpOnly; SameSite=Lax; Path=/; Max-Age=28800"];
    ensure!(parts.iter().all(|part| set.contains(part)) && !set.contains("Secure"), "{set}");
    ensure!(!set.contains(ANN), "{set}");
    browser.view(wanted).await?.holds("ann")?;
    let (kind, beginning) = browser.listen("/ui/stream?topics=lanes").await?;
    ensure!(kind == "text/event-stream" && beginning.starts_with("retry: 3000"), "{beginning}");
    // The cookie counts below /ui and nowhere else, and outlives the process.
    for path in ["/api/v1/lanes", "/webhooks"] {
        ensure!(browser.get(path).await?.status == 401, "{path}");
    }
    cluster.process("serve")?.terminate(SOON).await?;
    cluster.restart("serve").await?;
    let kept = browser.cookie().context("a cookie")?.to_owned();
    let mut again = Browser::with_cookie(&cluster.api()?, &kept)?;
    again.view("/ui").await?;
    for elsewhere in ["https://evil.example/ui", "//evil.example", "/webhooks"] {
        let page = sign_in(&mut again, ANN, elsewhere).await?;
        ensure!((page.status, page.leads_to()) == (303, "/ui"), "{elsewhere}: {page:?}");
    }
    let page = again.post("/ui/sign-out", &[]).await?;
    ensure!((page.status, page.leads_to()) == (303, "/ui/sign-in"), "{page:?}");
    ensure!(again.cookie().is_none() && again.get("/ui").await?.status == 303);
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_change_nothing_and_strangers_make_nobody_change_anything() -> Result<()> {
    let target = ScriptedTarget::start(&[("/hook/good", TAKES)]).await?;
    let cluster = Plan::new(Mode::Embedded).set("API_TOKENS", TOKENS).start().await?;
    let api = cluster.api()?.with_token(ANN);
    api.create_webhook(&hook_webhook(target.url(), "good", "billing")).await?;
    let lane = api.lane("/none").await?.context("a lane")?;
    let lane = lane["name"].as_str().context("its name")?.to_owned();
    let fields = [("lane", lane.as_str())];

    let mut bob = Browser::at(&api)?;
    sign_in(&mut bob, BOB, "/ui").await?;
    let view = bob.view("/ui/lanes").await?;
    view.holds(&lane)?;
    view.lacks("/ui/lanes/hold")?;
    let page = bob.post("/ui/lanes/hold", &fields).await?;
    ensure!(page.status == 403, "{page:?}");
    page.holds("has not the role operate")?;

    let mut ann = Browser::at(&api)?;
    sign_in(&mut ann, ANN, "/ui").await?;
    ann.view("/ui/lanes").await?.holds("/ui/lanes/hold")?;
    let own = ann.origin.take();
    for origin in [None, Some("https://evil.example"), Some("null")] {
        ann.origin = origin.map(str::to_owned);
        let page = ann.post("/ui/lanes/hold", &fields).await?;
        ensure!(page.status == 403, "{origin:?}: {page:?}");
    }
    ensure!(api.lane("/none").await?.context("a lane")?["state"] == "open");

    ann.origin = own;
    let wish = [fields[0], ("reason", "GitHub moves"), ("hours", "4")];
    let page = ann.post("/ui/lanes/hold", &wish).await?;
    ensure!(page.status == 303, "{page:?}");
    let view = ann.view(page.leads_to()).await?;
    for text in ["held", "manual", "GitHub moves", "in 3 h 59 min"] {
        view.holds(text)?;
    }
    let fragment = ann.fragment(page.leads_to()).await?;
    fragment.holds("GitHub moves")?;
    fragment.lacks("<nav")?;
    let held = api.lane("/none").await?.context("a lane")?;
    ensure!(held["state"] == "held" && held["until"].is_string(), "{held}");
    ensure!(ann.post("/ui/lanes/release", &fields).await?.status == 303);
    ensure!(api.lane("/none").await?.context("a lane")?["state"] == "open");
    // Whoever signed in did it.
    let audit = api.get("/api/v1/audit?kind=lane").await?.ok()?;
    let who: Vec<&Value> =
        audit["entries"].as_array().context("entries")?.iter().map(|entry| &entry["who"]).collect();
    ensure!(who == [&json!("ann"), &json!("ann")], "{audit}");
    bob.view("/ui/system?who=ann").await?.holds("ann")?;
    cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_shows_what_there_is() -> Result<()> {
    let scene = Scene::start(None).await?;
    scene.incident("webhook_held").await?;
    let mut browser = Browser::at(&scene.api)?;
    let failed = scene.until("bad", "failed").await?;
    let [good, bad, dead] = scene.uuids.as_slice() else { anyhow::bail!("three webhooks") };
    let delivery = format!("/ui/deliveries/{failed}");
    let webhook = format!("/ui/webhooks/{dead}");
    let shown_name = "web[U+202E]&lt;i&gt;";
    let pair = Serializer::new(String::new())
        .extend_pairs([("consumer", ODD), ("provider", "bad")])
        .finish();
    let where_is_it = format!("/ui/find?{pair}");
    let views: [(&str, &[&str]); 14] = [
        ("/ui", &["webhook_held", "postrider webhooks test", dead, "I have seen it"]),
        ("/ui/find", &["Where is it?", "URL of a pact"]),
        (&where_is_it, &["published", "matched", "sent", "deployable", shown_name]),
        ("/ui/deliveries", &[shown_name, "delivered", "failed", "held", &failed, "3 deliveries"]),
        ("/ui/deliveries?status=failed&provider=bad", &["status: failed", &failed]),
        ("/ui/deliveries?consumer=nobody", &["0 deliveries"]),
        (
            &delivery,
            &[shown_name, "Attempt 1", "invalid", "422", "&lt;b&gt;no&lt;/b&gt;", "curl -X"],
        ),
        ("/ui/lanes", &["/none", "unlimited", dead, "Release the webhook"]),
        ("/ui/pairs?provider=good", &[shown_name, "check verification"]),
        ("/ui/webhooks", &["Call hook good", good, bad, dead, "enabled"]),
        (&webhook, &["Call hook dead", "held by itself", "/hook/dead", "delivery_id", "not taken"]),
        ("/ui/credentials", &["There is none yet"]),
        ("/ui/brokers", &["No broker is asked"]),
        ("/ui/system", &["webhook created", "local"]),
    ];
    for (path, texts) in views {
        let page = browser.view(path).await?;
        for text in texts {
            page.holds(text).with_context(|| path.to_owned())?;
        }
        for odd in ["\u{202e}", "<i>", "<b>", "href=\"javascript"] {
            page.lacks(odd).with_context(|| path.to_owned())?;
        }
    }
    what_is_not_there(&mut browser).await?;
    for (text, place) in [
        (failed.as_str(), delivery.as_str()),
        (
            "https://b.example/pacts/provider/P/consumer/C/version/1",
            "/ui/find?consumer=C&provider=P&version=1",
        ),
    ] {
        let page = browser.get(&by_text(text)).await?;
        ensure!((page.status, page.leads_to()) == (303, place), "{text}: {page:?}");
    }
    assets(&mut browser).await?;
    the_first_page(&mut browser).await?;
    scene.cluster.finish().await
}

/// What is not there, or can't be asked, is a page too.
async fn what_is_not_there(browser: &mut Browser) -> Result<()> {
    for (path, status) in [
        ("/ui/deliveries/00000000-0000-0000-0000-000000000000", 404),
        ("/ui/webhooks/0000000000000000", 404),
        ("/ui/nothing", 404),
        ("/ui/deliveries?since=yesterday", 400),
        ("/ui/deliveries/plan?act=replay", 400),
    ] {
        let page = browser.get(path).await?;
        ensure!(page.status == status, "{path}: {page:?}");
        page.holds("<h1>")?;
        ensure!(!page.header("content-security-policy").is_empty(), "{path}");
    }
    Ok(())
}

/// What a view needs is there, and is kept for ever.
async fn assets(browser: &mut Browser) -> Result<()> {
    let view = browser.view("/ui").await?;
    let names = view.text.split(['"', '\'']).filter(|part| part.starts_with("/ui/assets/"));
    let mut found = 0;
    for path in names {
        let asset = browser.get(path).await?;
        ensure!(asset.status == 200 && !asset.text.is_empty(), "{path}: {}", asset.status);
        ensure!(asset.header("cache-control").ends_with("immutable"), "{path}");
        ensure!(asset.header("x-content-type-options") == "nosniff", "{path}");
        found += 1;
    }
    ensure!(found >= 3, "{found} assets");
    Ok(())
}

/// People who open the address get the page, clients the index.
async fn the_first_page(browser: &mut Browser) -> Result<()> {
    let mut open = async |accept: &str| browser.accepting("/", accept).await;
    let page = open("text/html,application/xhtml+xml,*/*;q=0.8").await?;
    ensure!((page.status, page.leads_to()) == (303, "/ui"), "{page:?}");
    ensure!(page.header("vary") == "Accept" && page.text.is_empty(), "{page:?}");
    for accept in ["*/*", "application/hal+json", "application/json"] {
        let index = open(accept).await?;
        ensure!(index.status == 200, "{accept}: {index:?}");
        index.holds("pb:webhooks")?;
    }
    ensure!(open("image/png").await?.status == 406);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_is_planned_first_and_done_once() -> Result<()> {
    let scene = Scene::start(None).await?;
    let mut browser = Browser::at(&scene.api)?;
    let sent_once = scene.until("good", "delivered").await?;
    let plan = format!("/ui/deliveries/plan?act=replay&ids={sent_once}");
    let page = browser.view(&plan).await?;
    page.holds("1 delivery would be sent once more")?;
    ensure!(scene.target.asked("/hook/good").len() == 1, "a plan did something");
    let id = page.hidden("id")?.to_owned();
    let form = [("act", "replay"), ("ids", sent_once.as_str()), ("id", id.as_str())];
    // A form that is sent twice does it once.
    for _ in 0..2 {
        let page = browser.post("/ui/deliveries/act", &form).await?;
        ensure!(page.status == 200, "{page:?}");
        page.holds("1 delivery is sent once more")?;
    }
    wait_until("the replay", SOON, async || {
        let attempts = scene.api.delivery(&sent_once).await?["attempts"].clone();
        let made = attempts.as_array().map_or(0, Vec::len);
        Ok(Looking::when(made == 2, || format!("{made} attempts")))
    })
    .await?;
    ensure!(scene.target.asked("/hook/good").len() == 2);
    let view = browser.view(&format!("/ui/deliveries/{sent_once}")).await?;
    view.holds("Attempt 2")?;

    let held = scene.until("dead", "held").await?;
    let page = browser.view("/ui/deliveries/plan?act=discard&provider=dead").await?;
    page.holds("1 delivery would be discarded")?;
    let id = page.hidden("id")?.to_owned();
    let form = [("act", "discard"), ("provider", "dead"), ("id", id.as_str())];
    browser.post("/ui/deliveries/act", &form).await?.holds("1 delivery is discarded")?;
    ensure!(scene.api.delivery(&held).await?["status"] == "discarded");
    acts_on_webhooks(&scene, &mut browser).await?;
    scene.cluster.finish().await
}

async fn acts_on_webhooks(scene: &Scene, browser: &mut Browser) -> Result<()> {
    let [good, _, dead] = scene.uuids.as_slice() else { anyhow::bail!("three webhooks") };
    let page = browser.post(&format!("/ui/webhooks/{good}/execute"), &[]).await?;
    ensure!(page.status == 200, "{page:?}");
    page.holds("The target took it (200)")?;

    let incident = scene.incident("webhook_held").await?;
    let page = browser.post(&format!("/ui/incidents/{incident}/ack"), &[]).await?;
    ensure!((page.status, page.leads_to()) == (303, "/ui"), "{page:?}");
    let seen = scene.api.get(&format!("/api/v1/incidents/{incident}")).await?.ok()?;
    ensure!(!seen["acknowledged_at"].is_null(), "{seen}");
    browser.view("/ui").await?.holds("Somebody has seen it")?;

    let page = browser.post(&format!("/ui/webhooks/{dead}/release"), &[]).await?;
    ensure!((page.status, page.leads_to()) == (303, format!("/ui/webhooks/{dead}").as_str()));
    browser.view(page.leads_to()).await?.lacks("held by itself")?;
    wait_until("all to be quiet", SOON, async || {
        let page = browser.view("/ui").await?;
        Ok(Looking::when(page.text.contains("All is quiet"), || page.text.clone()))
    })
    .await
}

fn by_text(text: &str) -> String {
    let query = Serializer::new(String::new()).append_pair("q", text).finish();
    format!("/ui/find?{query}")
}

/// GitHub's own budget, as its newest answer told it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_tells_what_github_has_left() -> Result<()> {
    const ANSWERS: &[Scripted] = &[Scripted {
        status: 204,
        headers: &[
            ("x-github-request-id", "C0DE:1"),
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "4870"),
            ("x-ratelimit-reset", "4102444800"),
        ],
        body: "",
    }];
    let target = ScriptedTarget::start(&[("/hook/github", ANSWERS)]).await?;
    let cluster = Plan::new(Mode::Embedded).set("GITHUB_HOSTS", "127.0.0.1").start().await?;
    let api = cluster.api()?;
    api.create_webhook(&hook_webhook(target.url(), "github", "billing")).await?;
    let mut browser = Browser::at(&api)?;
    browser.view("/ui/lanes").await?.lacks("remaining")?;
    api.publish(&event(1, "billing")).await?;
    wait_until("what is left to be told", SOON, async || {
        let page = browser.view("/ui/lanes").await?;
        let is_told = page.text.contains("GitHub: remaining 4870 of 5000, resets in ");
        Ok(Looking::when(is_told, || page.text.clone()))
    })
    .await?;
    cluster.finish().await
}
