// Pages of others in the folder www, as they are.
const fs = require("node:fs");
const path = require("node:path");
const { ask, assert, check, play, until, url } = require("./stage.js");

play(async ({ person, troubles }) => {
  const folder = path.join(await ask("state"), "www");
  fs.cpSync(path.join(__dirname, "www"), folder, { recursive: true });
  fs.copyFileSync(require.resolve("jquery/dist/jquery.min.js"), path.join(folder, "example", "jquery.min.js"));

  const open = async (page) => {
    const visitor = await person();
    await visitor.goto(`${url}/${page}/`);
    return visitor;
  };
  const lines = (page, list) => page.$$eval(list + " li", (all) => all.map((li) => li.textContent));
  const shows = (page, list, ...want) => until(`the end of ${list} is ${want.join(", ")}`, async () => (await lines(page, list)).slice(-want.length).join() === want.join());

  await check("the chat example", async () => {
    const ann = await open("example"), bob = await open("example");
    for (const [page, name] of [[ann, "ann"], [bob, "bob"]]) {
      await page.fill(".username", name);
      await page.press(".username", "Enter");
      await page.waitForSelector("li:text-is('Welcome')");
    }
    await shows(bob, ".messages", "Welcome", "there are 2 participants");
    await shows(ann, ".messages", "bob joined", "there are 2 participants");
    await ann.locator(".message").pressSequentially("hello bob");
    await shows(bob, ".messages", "ann is typing");
    await ann.press(".message", "Enter");
    await shows(bob, ".messages", "there are 2 participants", "ann: hello bob");
    await ann.context().close();
    await shows(bob, ".messages", "ann left", "there's 1 participant");
    await bob.context().close();
  });

  await check("the tutorial, over a disconnect and a kill", async () => {
    const one = await open("tutorial"), two = await open("tutorial");
    const say = async (text) => {
      await one.fill("#input", text);
      await one.press("#input", "Enter");
    };
    await say("first");
    await shows(two, "#messages", "first");
    await two.click("#toggle");
    await say("second");
    await say("third");
    await shows(one, "#messages", "first", "second", "third");
    await two.click("#toggle");
    await shows(two, "#messages", "first", "second", "third");
    await ask("kill");
    await say("while it was away");
    await ask("start");
    for (const page of [one, two]) await shows(page, "#messages", "first", "second", "third", "while it was away");
    troubles.length = 0; // what the browsers asked meanwhile
  });

  await check("what is not there is a page, and nothing is listed", async () => {
    const lost = await person();
    const answer = await lost.goto(url + "/example/nothing");
    assert(answer.status() === 404, "it is " + answer.status());
    await lost.waitForSelector("h1:text-is('There is nothing here.')");
    assert((await lost.goto(url + "/tutorial/..%2f..%2flock")).status() === 404, "a way out of the folder");
    fs.rmSync(path.join(folder, "example", "index.html"));
    assert((await lost.goto(url + "/example/")).status() === 404, "a folder is listed");
    troubles.length = 0;
  });
});
