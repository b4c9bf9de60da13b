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
    await page.waitForSelector("td a:text-is('lobby')");
    await section("sockets");
    await page.click("tr:has-text('Vera') button:text-is('Close')");
    await visitor.waitForSelector("body:not([data-link=connected])", { timeout: 5000 });
    await visitor.context().close();
  });

  await check("the network is shown", async () => {
    await section("network");
    await page.waitForSelector("h3:text-is('Observed')");
  });

  await check("a backup is one file", async () => {
    await section("device");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("a:has-text('Download a backup')")]);
    assert(require("node:fs").statSync(await download.path()).size > 1000, "the backup is empty");
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
    for (const name of ["device", "settings", "events"]) {
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
    for (const name of ["device", "settings", "network"]) {
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
