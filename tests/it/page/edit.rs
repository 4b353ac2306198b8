//! A webhook written by the page: planned first, refused with its reasons, never over what somebody
//! else changed meanwhile.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::browser::{Browser, Page};
use super::scene::TAKES;
use crate::harness::{Api, Cluster, Mode, Plan, ScriptedTarget};

const PLAN: &str = "/ui/webhooks/plan";
const APPLY: &str = "/ui/webhooks/apply";

struct Desk {
    cluster: Cluster,
    api: Api,
    browser: Browser,
    target: ScriptedTarget,
}

impl Desk {
    async fn start() -> Result<Self> {
        let target = ScriptedTarget::start(&[("/hook/good", TAKES)]).await?;
        let cluster = Plan::new(Mode::Embedded).start().await?;
        let api = cluster.api()?;
        let browser = Browser::at(&api)?;
        Ok(Self { cluster, api, browser, target })
    }

    /// A webhook as somebody would type it.
    fn typed(&self, description: &str) -> String {
        format!(
            "description: {description}\r\nprovider: {{name: billing}}\r\nevents:\r\n- name: \
             contract_published\r\nrequest:\r\n  method: POST\r\n  url: {}/hook/good\r\n  headers:\
             \r\n    Authorization: Bearer ${{user.hookToken}}\r\n  body: {{a: 1}}\r\n",
            self.target.url()
        )
    }

    async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Page> {
        self.browser.post(path, fields).await
    }

    async fn webhook(&self, uuid: &str) -> Result<Value> {
        self.api.get(&format!("/webhooks/{uuid}")).await?.ok()
    }
}

/// What the field holds, as a browser would send it again.
fn text_of(page: &Page) -> Result<String> {
    let rest = page.text.split("<textarea").nth(1).context("a field")?;
    let rest = rest.split_once(">\n").context("its beginning")?.1;
    let text = rest.split("</textarea>").next().context("its end")?;
    let characters =
        [("&#34;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&#38;", "&")];
    Ok(characters.iter().fold(text.to_owned(), |text, (shown, meant)| text.replace(shown, meant)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_planned_created_and_replaced() -> Result<()> {
    let mut desk = Desk::start().await?;
    desk.browser.view("/ui/webhooks").await?.holds("/ui/webhooks/new")?;
    desk.browser.view("/ui/webhooks/new").await?.holds("contract_requiring_verification")?;
    let typed = desk.typed("By hand");
    let page = desk.send(PLAN, &[("document", &typed)]).await?;
    ensure!(page.status == 200, "{page:?}");
    page.holds("It would be created in the lane")?;
    page.holds("the secret hookToken has no value")?;
    let there = desk.api.get("/webhooks").await?.ok()?;
    ensure!(there["_links"]["pb:webhooks"] == json!([]), "a plan wrote something: {there}");

    let seen = page.hidden("seen")?.to_owned();
    let page = desk.send(APPLY, &[("document", &typed), ("seen", &seen)]).await?;
    ensure!(page.status == 303, "{page:?}");
    let place = page.leads_to().to_owned();
    let uuid = place.rsplit('/').next().context("its uuid")?.to_owned();
    let view = desk.browser.view(&place).await?;
    view.holds("By hand")?;
    view.holds("the secret hookToken has no value")?;

    let edit = desk.browser.view(&format!("{place}/edit")).await?;
    let text = text_of(&edit)?;
    for hidden in ["uuid", "createdAt", "_links", "hookToken"] {
        ensure!(!text.contains(hidden), "{hidden} is in {text}");
    }
    let same = [("uuid", uuid.as_str()), ("document", text.as_str())];
    desk.send(PLAN, &same).await?.holds("Nothing would change")?;
    let changed = text.replace("By hand", "By mouse").replace("enabled: true", "enabled: false");
    let fields = [("uuid", uuid.as_str()), ("document", changed.as_str())];
    let page = desk.send(PLAN, &fields).await?;
    for part in ["<code>description</code>", "By hand", "By mouse", "<code>enabled</code>", "false"]
    {
        page.holds(part)?;
    }
    page.lacks("request.headers.authorization")?;
    let seen = page.hidden("seen")?.to_owned();
    let page = desk.send(APPLY, &[fields[0], fields[1], ("seen", &seen)]).await?;
    ensure!((page.status, page.leads_to()) == (303, place.as_str()), "{page:?}");
    let stored = desk.webhook(&uuid).await?;
    ensure!(stored["description"] == "By mouse" && stored["enabled"] == false, "{stored}");
    let check = json!({"uuid": uuid, "request": stored["request"], "events": stored["events"]});
    let check = desk.api.with_json("POST", "/api/v1/webhooks/check", &check).await?.ok()?;
    ensure!(check["secrets"] == json!(["hookToken"]), "what was starred stayed: {check}");
    desk.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_changed_is_not_written_over() -> Result<()> {
    let mut desk = Desk::start().await?;
    let typed = desk.typed("First").replace("\r\n", "\n");
    let mut document: Value = serde_norway::from_str(&typed)?;
    let uuid = desk.api.create_webhook(&document).await?;
    let mine = typed.replace("First", "Mine");
    let fields = [("uuid", uuid.as_str()), ("document", mine.as_str())];
    let seen = desk.send(PLAN, &fields).await?.hidden("seen")?.to_owned();
    document["description"] = "Theirs".into();
    desk.api.with_json("PUT", &format!("/webhooks/{uuid}"), &document).await?.ok()?;
    let page = desk.send(APPLY, &[fields[0], fields[1], ("seen", &seen)]).await?;
    ensure!(page.status == 409, "{page:?}");
    page.holds("Somebody has changed this webhook")?;
    page.holds("Theirs")?;
    ensure!(desk.webhook(&uuid).await?["description"] == "Theirs");
    // A plan that is made over what somebody else has changed since says so.
    let old = [fields[0], fields[1], ("seen", seen.as_str())];
    desk.send(PLAN, &old).await?.holds("since you began")?;
    // Whoever has seen that may go on.
    let seen = page.hidden("seen")?.to_owned();
    let page = desk.send(APPLY, &[fields[0], fields[1], ("seen", &seen)]).await?;
    ensure!(page.status == 303, "{page:?}");
    ensure!(desk.webhook(&uuid).await?["description"] == "Mine");
    // A plan is about what is there: not about nothing, and not about what is gone.
    let page = desk.send(APPLY, &fields).await?;
    ensure!(page.status == 409, "{page:?}");
    let deletion = desk.api.call("DELETE", &format!("/webhooks/{uuid}"))?;
    ensure!(desk.api.send(deletion).await?.status == 204);
    ensure!(desk.send(PLAN, &fields).await?.status == 404);
    desk.cluster.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_webhook_is_said_to_be_none() -> Result<()> {
    let mut desk = Desk::start().await?;
    let typed = desk.typed("d");
    let other = format!("uuid: 0123456789abcdef0123\n{typed}");
    let two = format!("{typed}---\n{typed}");
    for (text, told) in [
        ("a: [1", "this is neither JSON nor YAML"),
        ("# nothing", "there is no webhook in this"),
        ("just words", "this is no webhook"),
        (two.as_str(), "this holds several webhooks"),
    ] {
        for path in [PLAN, APPLY] {
            let page = desk.send(path, &[("document", text)]).await?;
            ensure!(page.status == 422, "{path} {text}: {page:?}");
            page.holds(told)?;
        }
    }
    let uuid = desk.api.create_webhook(&serde_norway::from_str(&typed)?).await?;
    let page = desk.send(PLAN, &[("uuid", &uuid), ("document", &other)]).await?;
    page.holds("this has the uuid of another webhook")?;
    let page = desk.send(PLAN, &[("document", &other)]).await?;
    page.holds("a new webhook gets a uuid of its own")?;
    let copied = typed.replace("Bearer ${user.hookToken}", "'**********'");
    let page = desk.send(PLAN, &[("document", &copied)]).await?;
    page.holds("/request/headers/Authorization is starred")?;
    page.lacks("Create it")?;
    let many = format!("a: &a {}\nb: [{}]\n", "x".repeat(50_000), "*a, ".repeat(5_000));
    let page = desk.send(PLAN, &[("document", &many)]).await?;
    page.holds("this repeats too much by aliases")?;
    // What the server would refuse is told with the member it is about, and can't be written.
    let bad = typed.replace("POST", "BREW");
    let page = desk.send(PLAN, &[("document", &bad)]).await?;
    page.holds("It would be refused")?;
    page.holds("/request/method")?;
    page.lacks("Create it")?;
    let fresh = desk.send(PLAN, &[("document", &typed)]).await?.hidden("seen")?.to_owned();
    let page = desk.send(APPLY, &[("document", &bad), ("seen", &fresh)]).await?;
    ensure!(page.status == 422, "{page:?}");
    page.holds("Nothing was written")?;
    // Values are text, whatever they look like.
    let odd = typed.replace("description: d", "description: <b>\u{202e}</b>");
    let page = desk.send(PLAN, &[("document", &odd)]).await?;
    for raw in ["<b>", "\u{202e}"] {
        page.lacks(raw)?;
    }
    desk.cluster.finish().await
}
