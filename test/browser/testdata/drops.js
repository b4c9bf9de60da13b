const { ask, assert, check, play, until } = require("./stage.js");
const { connected, enter, robot, saved, say, sees, texts } = require("./people.js");

const waiting = (page) => page.waitForSelector("body:not([data-link=connected])");
const count = async (page, prefix) => (await texts(page)).filter((t) => t.startsWith(prefix));
const numbers = (n, prefix) => Array.from({ length: n }, (_, i) => prefix + i).join();

play(async ({ person }) => {
  const ana = await person(), ben = await person();

  await check("both are here", async () => {
    await enter(ana, "Ana");
    await enter(ben, "Ben");
    await say(ana, "before");
    await sees(ben, "before");
  });

  await check("what is written while the network is gone waits, and arrives once", async () => {
    await ask("cut");
    await Promise.all([waiting(ana), waiting(ben)]);
    for (let i = 0; i < 5; i++) await say(ana, "offline " + i);
    assert((await ana.locator(".line.unsent").count()) === 5, "five messages should wait");
    await until("the pill counts down", async () => /Reconnecting in \d+ s|Connecting/.test(await ana.textContent("#link")));
    await ask("heal");
    await ana.click("#link button", { timeout: 2000 }).catch(() => {}); // it may be back by itself
    await Promise.all([connected(ana), connected(ben)]);
    await saved(ana);
    await sees(ben, "offline 4");
    for (const page of [ana, ben]) {
      const got = await count(page, "offline ");
      assert(got.join() === numbers(5, "offline "), "shown: " + got);
    }
  });

  await check("what others said meanwhile is caught up with", async () => {
    const script = await robot("Robot");
    await ana.context().setOffline(true);
    await waiting(ana);
    for (let i = 0; i < 80; i++) await script.tell("missed " + i);
    await ana.context().setOffline(false);
    await connected(ana);
    await sees(ana, "missed 79");
    const got = await count(ana, "missed ");
    assert(got.join() === numbers(80, "missed "), `${got.length} shown, from ${got[0]}`);
    script.socket.close();
  });

  for (const [how, prefix] of [["stop", "stopped "], ["kill", "killed "]]) {
    await check(`the server restarts in the middle (${how}): nothing lost, nothing twice`, async () => {
      for (let i = 0; i < 40; i++) {
        await say(i % 2 ? ana : ben, prefix + i);
        if (i === 15) await ask(how);
        if (i === 25) await ask("start");
      }
      await Promise.all([connected(ana), connected(ben)]);
      await Promise.all([saved(ana), saved(ben)]);
      const all = (await until("all are there", async () => {
        const got = await count(ana, prefix);
        return got.length >= 40 && got;
      })).slice();
      assert(new Set(all).size === 40 && all.length === 40, `${all.length} shown, ${new Set(all).size} different`);
      await until("both see the same, in the same order", async () => (await count(ben, prefix)).join() === all.join());
      const mine = all.filter((t) => +t.slice(prefix.length) % 2);
      assert(mine.join() === numbers(40, prefix).split(",").filter((_, i) => i % 2).join(), "Ana's are out of order: " + mine);
    });
  }

  await check("a reload shows what the server kept, and no more", async () => {
    const before = await texts(ana);
    await ana.reload();
    await connected(ana);
    await sees(ana, before.at(-1));
    const after = await texts(ana);
    assert(before.join("\n").endsWith(after.slice(-40).join("\n")), "the reload shows something else: " + after.slice(-3));
    assert(new Set(after).size === after.length, "something is there twice");
  });

  await check("the outbox survives a reload", async () => {
    const sockets = /\/socket\.io\//;
    await ana.routeWebSocket(sockets, (ws) => ws.close());
    await ana.route(sockets, (route) => route.abort());
    await ana.reload();
    await ana.waitForSelector(".composer");
    await say(ana, "written before the reload");
    assert((await ana.locator(".line.unsent").count()) === 1, "it should wait");
    const again = await ana.context().newPage(); // the same browser, with a way to the server
    await ana.close();
    await again.goto(ana.url());
    await connected(again);
    await saved(again);
    await sees(ben, "written before the reload");
    assert((await count(ben, "written before")).length === 1, "it arrived twice");
  });
});
