// Walks the page in Chromium: node walk.mjs NODE_MODULES '{"base": …, "tokens": {…}, …}'.
// Says what is wrong and ends with 1; says nothing when all is well, and on stderr how far it is.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, told] = process.argv.slice(2);
const scene = JSON.parse(told);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// Longest time for one step: a slow machine that does other work too.
const STEP_MS = 20_000;
// Longest time for one page to be judged by all rules, which no driver bounds.
const JUDGED_MS = 60_000;
const began = Date.now();
const LOOKS = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};
// All of it once, and again what may differ.
const only = (...values) => ({ runOnly: { type: "rule", values } });
const RULES = {
  light: {},
  dark: only("color-contrast"),
  phone: only("scrollable-region-focusable", "target-size", "meta-viewport"),
};
const pair = (provider) => new URLSearchParams({ consumer: scene.consumer, provider }).toString();
const VIEWS = [
  "/ui",
  "/ui/find",
  `/ui/find?${pair("bad")}`,
  "/ui/find?consumer=half",
  "/ui/deliveries",
  "/ui/deliveries?status=failed&provider=bad",
  `/ui/deliveries/${scene.failed}`,
  `/ui/deliveries/${scene.held}`,
  "/ui/deliveries/plan?act=replay&provider=bad",
  "/ui/lanes",
  "/ui/pairs",
  "/ui/webhooks",
  "/ui/webhooks/new",
  `/ui/webhooks/${scene.parked}`,
  `/ui/webhooks/${scene.parked}/edit`,
  "/ui/credentials",
  `/ui/credentials/${scene.credential}`,
  "/ui/brokers",
  "/ui/system",
  "/ui/sign-in",
];

const faults = [];
function ensure(holds, what) {
  if (!holds) throw new Error(what);
}

// Where somebody finds the walk who had to end it.
function tell(what) {
  console.error(`${((Date.now() - began) / 1000).toFixed(1)} s: ${what}`);
}

async function within(milliseconds, what, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

// A browser of its own, whose console is listened to. Nothing but the page is asked for anything.
async function open(browser, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(STEP_MS);
  const page = await context.newPage();
  const fault = (what) => faults.push(`${page.url()}: ${what}`);
  page.on("console", (said) => {
    if (["error", "warning"].includes(said.type())) fault(`console: ${said.text()}`);
  });
  page.on("pageerror", (error) => fault(error));
  page.on("request", (request) => {
    if (![scene.base, new URL(scene.dispatch).origin].some((own) => request.url().startsWith(own))) fault(`asks for ${request.url()}`);
  });
  return page;
}

const visit = (page, path) => page.goto(new URL(path, scene.base).href);
const main = (page) => page.locator("main");

async function signIn(page, token, path) {
  await visit(page, path);
  // The field gets the focus by itself: this is typed, not clicked.
  await page.locator("[name=token]:focus").waitFor();
  await page.keyboard.type(token);
  await page.keyboard.press("Enter");
  await page.waitForURL(scene.base + path);
}

async function look(browser, name) {
  const page = await open(browser, LOOKS[name]);
  await signIn(page, scene.tokens.operate, "/ui");
  // What a pair owes is looked at in a process of its own, which asks a broker.
  for (const path of [...VIEWS, scene.dispatch]) {
    await visit(page, path);
    tell(`${name} ${path}`);
    const judging = page.evaluate(`${axe}; (async () => {
      for (const folded of document.querySelectorAll("details")) folded.open = true;
      const found = await axe.run(document, ${JSON.stringify(RULES[name])});
      return found.violations.map(({ id, impact, nodes }) =>
        [impact, id, nodes.map((node) => node.target + " " + node.html).join("; ")].join(" "));
    })()`);
    const found = await within(JUDGED_MS, `${name} ${path} judged`, judging);
    faults.push(...found.map((text) => `${name} ${path}: ${text}`));
    const [needs, has] = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]");
    if (needs > has) faults.push(`${name} ${path}: ${needs} pixels wide, of ${has}`);
  }
  await page.context().close();
}

// What the documents show: of what they show, and only where a folder for them is given.
async function pictures(browser, folder) {
  const page = await open(browser, { ...LOOKS.light, viewport: { width: 1100, height: 760 } });
  const owing = new URL(scene.dispatch);
  const of = (path) => new URL(path, owing.origin).href;
  for (const [name, place] of [
    ["where-is-it", of("/ui/find?consumer=web&provider=billing")],
    ["dispatch-again", owing.href],
  ]) {
    await page.goto(place);
    await page.screenshot({ path: `${folder}/${name}.png` });
  }
  await page.context().close();
}

// Who may only read is offered nothing else.
async function readers(browser) {
  const page = await open(browser);
  await signIn(page, scene.tokens.read, "/ui/lanes");
  const paths = VIEWS.filter((path) => !/plan|sign-in/.test(path));
  for (const path of paths) {
    await visit(page, path);
    const offered = await page.locator("main form[method=post], [name=act], main a[href*='/plan']").count();
    ensure(offered === 0, `${path} offers a reader ${offered} actions`);
  }
  await page.context().close();
}

// A link from elsewhere opens its view: first by way of signing in, then at once.
async function links(browser) {
  const page = await open(browser);
  const path = "/ui/deliveries?status=failed&provider=bad";
  await signIn(page, scene.tokens.operate, path);
  await page.goto("about:blank");
  await page.setContent(`<a href="${scene.base}${path.replace("&", "&amp;")}">an alert</a>`);
  await page.getByText("an alert").click();
  await page.waitForURL(scene.base + path);
  ensure((await main(page).innerText()).includes("1 delivery"), "a link leads to its view");
  await page.context().close();
}

// From a pair's names to the hop that broke, and the delivery sent once more.
async function findAndReplay(page, provider, delivery) {
  await visit(page, "/ui/find");
  await page.getByLabel("Consumer").fill(scene.consumer);
  await page.getByLabel("Provider").fill(provider);
  await page.getByRole("button", { name: "Look" }).first().click();
  if (provider === "bad") {
    const broken = await page.locator("li.bad").innerText();
    ensure(broken.includes("sent") && broken.includes("422"), `the broken hop: ${broken}`);
  }
  await page.getByRole("link", { name: "Deliveries of the pair" }).click();
  await page.locator(`input[value="${delivery}"]`).check();
  await page.getByRole("button", { name: "Send once more" }).click();
  await page.getByText("1 delivery would be sent once more").waitFor();
  await page.getByRole("button", { name: "Send them once more" }).click();
  await page.getByText("1 delivery is sent once more").waitFor();
}

// Held and released with the keyboard alone.
async function holdAndRelease(page, reason) {
  await visit(page, `/ui/lanes?${new URLSearchParams({ name: scene.lane })}`);
  await page.locator("summary").focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.type(reason);
  await page.keyboard.press("Enter");
  await page.getByText(reason).waitFor();
  await page.getByRole("button", { name: "Release", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.locator(".tag", { hasText: /^open$/ }).waitFor();
}

async function acknowledge(page) {
  await visit(page, "/ui");
  const incident = main(page).locator(".card", { hasText: scene.parked }).first();
  await incident.getByRole("button", { name: "I have seen it" }).click();
  await main(page).getByText("Somebody has seen it").first().waitFor();
}

// The skip link, and a view that follows what happens while something is typed in it.
async function scripted(page) {
  await visit(page, "/ui/lanes");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  ensure((await page.evaluate("document.activeElement.id")) === "view", "the skip link skips");
  await page.locator("summary").click();
  const reason = page.getByLabel("Reason");
  await reason.fill("half a sentence");
  await fetch(`${scene.base}/api/v1/deliveries/discard`, {
    method: "POST",
    headers: { authorization: `Bearer ${scene.tokens.operate}`, "content-type": "application/json" },
    body: JSON.stringify({ ids: [scene.held] }),
  });
  await page.getByRole("link", { name: "0 waiting" }).waitFor();
  ensure((await reason.inputValue()) === "half a sentence", "what was typed stays");
  ensure(await reason.evaluate((field) => field === document.activeElement), "the focus stays");
}

// A webhook's new description, planned first.
async function edit(page, description) {
  await visit(page, `/ui/webhooks/${scene.parked}`);
  await page.getByRole("link", { name: "Edit" }).click();
  const field = page.getByLabel("The webhook, as YAML or JSON");
  await field.fill((await field.inputValue()).replace(/^description: .*$/m, `description: ${description}`));
  await page.getByRole("button", { name: "Show what would change" }).click();
  const row = await main(page).getByRole("row", { name: "description" }).innerText();
  ensure(row.includes(description), `the plan says: ${row}`);
  await page.getByRole("button", { name: "Replace it" }).click();
  await page.getByRole("heading", { name: description }).waitFor();
}

// A new value, kept, tried and put in the old one's place.
async function rotate(page, value) {
  await visit(page, "/ui/credentials");
  await page.getByRole("link", { name: "Rotate" }).click();
  await page.getByLabel("New value").fill(value);
  await page.getByRole("button", { name: "Keep it" }).click();
  await page.getByRole("button", { name: "Try it" }).click();
  const tried = page.getByText("there was nothing to try");
  for (let looks = 0; looks < 40 && !(await tried.isVisible()); looks++) {
    await page.waitForTimeout(250);
    await page.reload();
  }
  await page.getByRole("button", { name: "Switch" }).click();
  await page.getByText("Switched: revision").waitFor();
  ensure(!(await page.content()).includes(value), "a value is not shown");
}

async function withoutScripts(browser) {
  const page = await open(browser, { javaScriptEnabled: false });
  await signIn(page, scene.tokens.operate, "/ui/deliveries");
  await page.getByLabel("Status").selectOption("failed");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("link", { name: "Drop the filter status failed" }).waitFor();
  await findAndReplay(page, "good", scene.delivered);
  await holdAndRelease(page, "held without scripts");
  await edit(page, "Edited without scripts");
  await rotate(page, "a-token-without-scripts");
  await page.context().close();
}

const program = execFileSync("sh", ["-c", "command -v chromium || command -v google-chrome || true"]);
ensure(program.length > 0, "this test needs chromium (a package of Debian): run it with tests/run");
const browser = await chromium.launch({
  executablePath: program.toString().trim(),
  // Root has no sandbox; no name is looked up, and no proxy asked; the shared memory of a container
  // may be too small for a page.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});
try {
  await Promise.all([...Object.keys(LOOKS).map((name) => look(browser, name)), readers(browser), links(browser)]);
  tell("all views are looked at");
  const page = await open(browser);
  await signIn(page, scene.tokens.operate, "/ui");
  await findAndReplay(page, "bad", scene.failed);
  await acknowledge(page);
  tell("found, replayed, acknowledged");
  await scripted(page);
  await holdAndRelease(page, "held by keyboard");
  await edit(page, "Edited");
  await rotate(page, "a-token-with-scripts");
  tell("held, edited, rotated");
  await withoutScripts(browser);
  tell("and without scripts");
  if (scene.pictures !== null) await pictures(browser, scene.pictures);
} catch (error) {
  faults.push(error.stack ?? String(error));
}
await within(STEP_MS, "the browser ends", browser.close()).catch((error) => faults.push(String(error)));
if (faults.length > 0) console.log(faults.join("\n"));
// Whatever of the browser is left does not keep this going.
process.exit(faults.length > 0 ? 1 : 0);
