const { accessible, assert, check, desk, fits, phone, play, until, url } = require("./stage.js");
const { enter, robot, saved, say, sees, texts } = require("./people.js");

play(async ({ person }) => {
  const ana = await person(), ben = await person(), eva = await person();

  await check("two people and a script talk in the lobby", async () => {
    await enter(ana, "Ana");
    await enter(ben, "Ben");
    const script = await robot("Robot");
    await say(ana, "hello from Ana");
    await sees(ben, "hello from Ana");
    await say(ben, "hello from Ben");
    await sees(ana, "hello from Ben");
    const { seq } = await script.tell("hello from a script");
    assert(seq > 0, "the script got no seq");
    await Promise.all([sees(ana, "hello from a script"), sees(ben, "hello from a script")]);
    assert(script.heard.map((m) => m.text).join() === "hello from Ana,hello from Ben", "the script heard " + script.heard.map((m) => m.text));
    await saved(ana);
    assert((await ana.locator(".line .state svg").count()) > 0, "Ana is not told that her message is saved");
    script.socket.close();
    await ana.waitForSelector(".notice:has-text('Robot left')");
  });

  await check("who is here", async () => {
    const here = await ana.$$eval(".people li .grow", (all) => all.map((p) => p.firstChild.textContent));
    assert(here.join() === "Ana,Ben", "Ana sees " + here);
  });

  await check("markup stays text", async () => {
    const evil = `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`;
    await say(ana, evil);
    await sees(ben, evil);
    assert((await ben.locator(".log img, .log script").count()) === 0, "the message made elements");
    assert((await ben.title()) !== "broken", "the message ran");
    await say(ana, "[link](javascript:alert(1)) **<b>x</b>**");
    await until("it is there", async () => (await texts(ben)).some((t) => t.includes("<b>x</b>")));
    assert((await ben.locator(".log a[href^=javascript]").count()) === 0, "a link runs a script");
  });

  await check("Markdown, links and emoji", async () => {
    await say(ana, "**bold** _thin_ ~~gone~~ `code` https://example.com/a?b=c, [name](https://example.com) :rocket: 12:30:45");
    const last = ben.locator(".line").last();
    await until("it is there", async () => (await last.textContent()).includes("bold"));
    for (const part of ["strong:text-is('bold')", "em:text-is('thin')", "s:text-is('gone')", "code:text-is('code')", "a[href='https://example.com/a?b=c']", "a[href='https://example.com']:text-is('name')"]) {
      assert((await last.locator(part).count()) === 1, "missing " + part);
    }
    assert((await last.textContent()).includes("🚀 12:30:45"), "emoji: " + (await last.textContent()));
  });

  await check("somebody is typing", async () => {
    await ben.locator(".composer textarea").pressSequentially("hm");
    await ana.waitForSelector(".typing:has-text('Ben is typing')");
    await ben.fill(".composer textarea", "");
    await ana.waitForFunction(() => document.querySelector(".typing").textContent === "", null, { timeout: 8000 });
  });

  await check("a mention is seen, and an unread message counted", async () => {
    await ana.fill("[name=room]", "garden");
    await ana.press("[name=room]", "Enter");
    await ana.waitForSelector("h1:has-text('garden')");
    await say(ben, "@Ana where are you?");
    await ana.waitForSelector(".rooms .badge.loud:has-text('1')");
    await until("the title counts", async () => (await ana.title()).startsWith("(1)"));
    await ana.click(".rooms button:has-text('lobby')");
    await ana.waitForSelector(".line.to-me:has-text('where are you?')");
    await ana.waitForSelector(".rule.new");
    await until("the title no longer counts", async () => !(await ana.title()).startsWith("("));
  });

  await check("a name may have spaces and signs", async () => {
    const name = "Dr. C++ (née O'Neill) [x] a-b/c|d";
    await enter(eva, name, "names");
    const script = await robot("Caller", "names");
    await script.tell(`hello ${name}!`);
    await eva.waitForSelector(".line.to-me:has-text('hello Dr. C++')");
    await script.tell("hello C++");
    await eva.waitForSelector(".line:not(.to-me):has-text('hello C++')");
    script.socket.close();
    await eva.evaluate(() => localStorage.clear());
    await eva.reload();
  });

  await check("older messages come by themselves, and the eye keeps its place", async () => {
    const script = await robot("Teller", "story");
    for (let i = 1; i <= 130; i++) await script.tell("line " + i);
    await enter(eva, "Eva", "story");
    await sees(eva, "line 130");
    assert(!(await texts(eva)).includes("line 20"), "everything was loaded at once");
    for (let i = 0; i < 6; i++) {
      await eva.evaluate(() => { document.querySelector(".log").scrollTop = 0; });
      await eva.waitForTimeout(150);
    }
    await sees(eva, "line 1");
    const all = await texts(eva);
    assert(all.length === 130 && all.every((t, i) => t === "line " + (i + 1)), `${all.length} lines, from ${all[0]} to ${all.at(-1)}`);
    await eva.evaluate(() => { document.querySelector(".log").scrollTop = 500; });
    await script.tell("line 131");
    await eva.waitForSelector(".below:has-text('1 new')");
    assert(Math.abs((await eva.evaluate(() => document.querySelector(".log").scrollTop)) - 500) < 2, "the log jumped");
    await eva.click(".below");
    await eva.waitForSelector(".below", { state: "detached" });
    script.socket.close();
  });

  await check("a direct message is for two", async () => {
    await ana.click(".people li:has-text('Ben') button:has-text('Message')");
    await ana.waitForSelector("h1:text-is('Ben')");
    await say(ana, "between us");
    await saved(ana);
    await ben.click(".rooms button.room:has-text('Ana')");
    await sees(ben, "between us");
  });

  await check("search finds what was said, and goes there", async () => {
    await eva.keyboard.press("Control+k");
    await eva.fill(".search input", "17");
    await eva.press(".search input", "Enter");
    await eva.click(".search .hit:has-text('line 17')");
    await eva.waitForSelector(".line:has-text('line 17') >> visible=true");
    await until("the line is in sight", () => eva.evaluate(() => {
      const line = [...document.querySelectorAll(".line")].find((l) => l.textContent.includes("line 17"));
      const { top, bottom } = line.getBoundingClientRect();
      return top > 0 && bottom < innerHeight;
    }));
  });

  await check("by keyboard alone", async () => {
    const carl = await person({ ...desk, colorScheme: "dark" });
    await carl.goto(url + "/chat/");
    await carl.waitForSelector("[name=nick]:focus");
    await carl.keyboard.type("Carl");
    await carl.keyboard.press("Enter");
    await carl.waitForSelector(".composer textarea:focus");
    await carl.keyboard.type("typed");
    await carl.keyboard.press("Enter");
    await sees(carl, "typed");
    assert((await carl.getAttribute(".log", "role")) === "log", "the log has no role");
    await accessible(carl);
  });

  await check("axe finds nothing serious", () => accessible(ana));

  await check("a phone in the dark", async () => {
    const small = await person(phone);
    await enter(small, "Dora");
    await fits(small);
    await say(small, "a-very-long-word-".repeat(20));
    await fits(small);
    await small.click("button[aria-label=Rooms]");
    await small.waitForSelector(".rooms.open");
    await accessible(small);
    await small.click(".veil", { position: { x: 340, y: 300 } });
    await small.click("button[aria-label^=People]");
    await small.waitForSelector(".people.open li:has-text('Ana')");
    await fits(small);
  });
});
