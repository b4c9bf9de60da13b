const { accessible, ask, assert, check, fits, phone, play, until, url } = require("./stage.js");

const password = "correct horse battery";

play(async ({ person, troubles }) => {
  const page = await person();
  const section = (name) => page.click(`.places a[href="#${name}"]`);

  await check("an unclaimed device is claimed with its code", async () => {
    await page.goto(url + "/admin/");
    await page.fill("[name=code]", "AAAA-AAAA");
    await page.fill("[name=password]", password);
    await page.click("button.main");
    await page.waitForSelector(".note.error");
    assert((await fetch(url + "/api/v1/admin/settings")).status === 403, "settings are open to strangers");
    await page.fill("[name=code]", await ask("code"));
    await page.fill("[name=password]", password);
    await page.click("button.main");
    await page.waitForSelector(".desk");
    troubles.length = 0; // the browser notes the refused code
  });

  await check("nobody else may claim it, and a wrong password is refused", async () => {
    const stranger = await person();
    await stranger.goto(url + "/admin/");
    await stranger.fill("[name=password]", "not this one");
    await stranger.click("button.main");
    await stranger.waitForSelector(".note.error");
    troubles.length = 0;
    await stranger.context().close();
  });

  await check("the name", async () => {
    await page.fill("[name=name]", "workshop");
    await page.click("button:text-is('Rename')");
    await until("status says the name", async () => (await (await fetch(url + "/api/v1/status")).json()).wanted === "workshop");
    await page.waitForSelector("#name:text-is('workshop')");
  });

  await check("settings say where they are from, and are changed and taken back", async () => {
    await section("settings");
    const row = page.locator("tr", { has: page.locator("td:first-child .mono:text-is('log.level')") });
    await row.locator("button:text-is('Change')").click();
    await row.locator("[name=value]").evaluate((box) => { box.value = "debug"; });
    await row.locator("button:text-is('Save')").click();
    await row.locator("td:nth-child(2) .mono:text-is('debug')").waitFor();
    await row.locator("button:text-is('Take back')").click();
    await row.locator("td:nth-child(2) .mono:text-is('info')").waitFor();
  });

  await check("a wrong setting is refused with a reason", async () => {
    const row = page.locator("tr", { has: page.locator("td:first-child .mono:text-is('name')") });
    await row.locator("button:text-is('Change')").click();
    await row.locator("[name=value]").fill("not a name!");
    await row.locator("button:text-is('Save')").click();
    await page.waitForSelector(".note.error");
    troubles.length = 0;
  });

  await check("the event log", async () => {
    await section("events");
    await page.waitForSelector(".events p");
  });

  await check("connections and rooms", async () => {
    const visitor = await person();
    await visitor.goto(url + "/chat/");
    await visitor.fill("[name=nick]", "Vera");
    await visitor.click("button.main");
    await visitor.waitForSelector("body[data-link=connected] .composer");
    await section("sockets");
    await page.waitForSelector("td:text-is('Vera')");
    await section("rooms");
    await page.waitForSelector("th a:text-is('lobby')");
    await section("sockets");
    await page.click("tr:has-text('Vera') button:text-is('Close')");
    await visitor.waitForSelector("body:not([data-link=connected])", { timeout: 5000 });
    await visitor.context().close();
  });

  await check("the network is shown", async () => {
    await section("network");
    await page.waitForSelector("h3:text-is('Observed')");
  });

  const say = async (text) => {
    const answer = await fetch(url + "/api/v1/rooms/lobby/messages?nick=script", { method: "POST", body: text });
    assert(answer.ok, "saying: " + answer.status);
  };
  const download = async (name) => {
    const [file] = await Promise.all([page.waitForEvent("download"), page.click(`a:has-text('${name}')`)]);
    return file.path();
  };

  await check("a backup is one file, and comes back; an open chat follows", async () => {
    await section("upkeep");
    await say("before the backup");
    const backup = await download("Download a backup");
    await say("after the backup");
    const visitor = await person();
    await visitor.goto(url + "/chat/");
    await visitor.fill("[name=nick]", "Ria");
    await visitor.click("button.main");
    await visitor.waitForSelector(".line:has-text('after the backup')");
    const form = page.locator("form", { has: page.locator("[aria-label=Backup]") });
    await form.locator("input").setInputFiles(backup);
    await form.locator("button").click();
    await form.locator(":text('will be gone')").waitFor();
    await form.locator("button").click();
    await page.waitForSelector(".outcome:has-text('as in the backup')");
    await visitor.waitForSelector(".line:has-text('after the backup')", { state: "detached" });
    await visitor.waitForSelector(".line:has-text('before the backup')");
    await visitor.context().close();
  });

  await check("another file is no backup", async () => {
    const form = page.locator("form", { has: page.locator("[aria-label=Backup]") });
    await form.locator("input").setInputFiles({ name: "holiday.jpg", mimeType: "image/jpeg", buffer: Buffer.from("no backup") });
    await form.locator("button").click();
    await form.locator("button").click();
    await page.waitForSelector(".note.error:has-text('no whole backup')");
    troubles.length = 0; // the browser notes the refusal
  });

  await check("a report is text, without the password's hash", async () => {
    const text = require("node:fs").readFileSync(await download("Download a report"), "utf8");
    assert(text.includes("== doctor") && !text.includes("$argon2"), text.slice(0, 200));
  });

  await check("the program says who updates it", () => page.waitForSelector("p:has-text('not a card of ours')"));

  await check("a setting waits for a restart, and the button restarts", async () => {
    await section("settings");
    const row = page.locator("tr", { has: page.locator("td:first-child .mono:text-is('bus.history_per_topic')") });
    await row.locator("button:text-is('Change')").click();
    await row.locator("[name=value]").fill("500");
    await row.locator("button:text-is('Save')").click();
    const uptime = async () => (await (await fetch(url + "/api/v1/status")).json()).uptime;
    await page.waitForSelector(".note:has-text('bus.history_per_topic') button");
    await page.click("button:text-is('Restart now')");
    await page.waitForSelector("input[type=password]"); // sessions are of one life
    await until("it is another life", async () => (await uptime().catch(() => Infinity)) < 30);
    await page.fill("[name=password]", password);
    await page.click("button.main");
    await page.waitForSelector(".desk");
    const { conditions } = await (await fetch(url + "/api/v1/status")).json();
    assert(!conditions.some((c) => c.id === "restart"), "it still waits for a restart");
    troubles.length = 0; // what was asked while it was away
  });

  await check("the administrator deletes, and sends out", async () => {
    const visitor = await person();
    await visitor.goto(url + "/chat/");
    await visitor.fill("[name=nick]", "Rude");
    await visitor.click("button.main");
    await visitor.fill(".composer textarea", "something rude");
    await visitor.press(".composer textarea", "Enter");
    const chair = await page.context().newPage();
    await chair.goto(url + "/chat/");
    await chair.fill("[name=nick]", "Chair");
    await chair.click("button.main");
    await chair.hover(".line:has-text('something rude')");
    await chair.click(".line:has-text('something rude') button:text-is('Delete')");
    await visitor.waitForSelector(".line:has-text('something rude')", { state: "detached" });
    await chair.hover(".people li:has-text('Rude')");
    await chair.click(".people li:has-text('Rude') button:text-is('Kick')");
    await visitor.waitForSelector(".note.warning:has-text('sent out')");
    await chair.close();
    await visitor.context().close();
  });

  await check("axe finds nothing serious", async () => {
    for (const name of ["device", "upkeep", "settings", "events"]) {
      await section(name);
      await page.waitForTimeout(300);
      await accessible(page);
    }
  });

  await check("a phone in the dark", async () => {
    const small = await person(phone);
    await small.goto(url + "/admin/");
    await small.fill("[name=password]", password);
    await small.click("button.main");
    await small.waitForSelector(".desk");
    for (const name of ["device", "upkeep", "sockets", "settings", "network"]) {
      await small.click(`.places a[href="#${name}"]`);
      await small.waitForTimeout(300);
      await fits(small);
    }
    await accessible(small);
  });

  await check("logging out", async () => {
    await section("device");
    await page.click("button:text-is('Log out')");
    await page.waitForSelector("[name=password]");
  });
});
