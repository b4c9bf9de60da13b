// The stage for the other scripts: a browser, pages that note whatever goes
// wrong in them, and the way to speak with the Go side.
const { chromium } = require("playwright-core");
const fs = require("node:fs");
const readline = require("node:readline");

// wire is where the device is; pages may know it by a name, as url.
const [wire, executablePath, name, ...args] = process.argv.slice(2);
const url = name ? "http://" + name : wire;
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
if (name) flags.push(`--host-resolver-rules=MAP ${name} ${new URL(wire).host}`);
const patience = 30000; // milliseconds

const answers = [];
readline.createInterface({ input: process.stdin }).on("line", (line) => answers.shift()?.(line));

// ask lets the Go side act ("cut", "heal", "kill", "start", …).
function ask(action) {
  console.log("do " + action);
  return new Promise((resolve) => answers.push(resolve));
}

const one = (text) => String(text).replaceAll(/\x1b\[\d+m/g, "").split("\n").slice(0, 6).join(" | ");

let failures = 0;

// check runs one step of the play, which goes on after a failure, but not
// after three.
async function check(name, work) {
  try {
    await work();
    console.log("ok " + name);
  } catch (e) {
    console.log(`fail ${name}: ${one(e.stack ?? e)}`);
    if (++failures === 3) throw new Error("given up after three failures");
  }
}

function assert(truth, what) {
  if (!truth) throw new Error(what);
}

// until waits for something to become true.
async function until(what, test, wait = patience) {
  for (const end = Date.now() + wait; ;) {
    const got = await test();
    if (got) return got;
    if (Date.now() > end) throw new Error("not within " + wait + " ms: " + what);
    await new Promise((later) => setTimeout(later, 50));
  }
}

const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, colorScheme: "dark" };
const desk = { viewport: { width: 1280, height: 800 } };

// noise is what a browser says when the line is cut on purpose.
const noise = /ERR_|WebSocket connection to|Failed to load resource: net::/;

async function play(acts) {
  const browser = await chromium.launch({ executablePath, args: flags });
  const troubles = [];
  const person = async (options = desk) => {
    const context = await browser.newContext(options);
    await context.addInitScript(() => document.addEventListener("securitypolicyviolation", (e) => console.error("policy violated:", e.violatedDirective, e.blockedURI)));
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    page.on("pageerror", (e) => troubles.push(e.stack));
    page.on("console", (m) => {
      if (["error", "warning"].includes(m.type()) && !noise.test(m.text())) troubles.push(`${m.text()} (${page.url()})`);
    });
    return page;
  };
  try {
    await acts({ person, browser, troubles });
    await check("no error, no warning, no violation of the policy", () => assert(troubles.length === 0, troubles.join("\n")));
  } catch (e) {
    console.log("fail the play: " + one(e.stack));
  } finally {
    await browser.close();
    console.log("done");
    process.exit(0);
  }
}

const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// accessible fails on what axe-core calls serious or critical.
async function accessible(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const bad = violations.filter((v) => ["serious", "critical"].includes(v.impact));
  assert(bad.length === 0, bad.map((v) => `${v.id}: ${v.nodes.map((n) => n.target + " " + (n.any[0]?.message ?? n.all[0]?.message ?? "")).join("; ")}`).join(" / "));
}

// fits fails on a page that is wider than its screen (innerWidth of a phone grows
// with what does not fit).
async function fits(page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - Math.min(innerWidth, screen.width));
  assert(wide <= 0, `the page is ${wide} px too wide`);
}

module.exports = { accessible, args, ask, assert, check, desk, fits, phone, play, until, url, wire };
