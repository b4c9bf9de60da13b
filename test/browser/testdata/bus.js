const { io } = require("socket.io-client");
const { accessible, ask, assert, check, fits, phone, play, until, url, wire } = require("./stage.js");

const node = (topic) => `[data-path="${topic}"]`;
const shows = (page, topic, value) => page.waitForSelector(`${node(topic)} .value:text-is(${JSON.stringify(String(value))})`);

play(async ({ person }) => {
  const page = await person();
  const bus = io(wire + "/bus", { forceNew: true });
  const heard = [];
  bus.on("message", (m) => heard.push(m));
  bus.on("disconnect", (why, more) => console.log("the script lost its connection:", why, more?.description ?? ""));
  await new Promise((connected) => bus.once("connect", connected));
  await bus.emitWithAck("subscribe", { topics: ["#"] });
  const publish = (topic, data, more) => bus.emitWithAck("publish", { topic, data, ...more });
  await page.goto(url + "/bus/");

  await check("an empty bus says how to fill it, and the line works", async () => {
    const line = await page.textContent(".empty .snippet code");
    assert(line === `curl -d 21.5 ${url}/api/v1/topics/lab/temp`, line);
    const small = await person(phone);
    await small.goto(url + "/bus/");
    await small.waitForSelector(".empty .snippet code");
    await fits(small);
    await small.context().close();
    await page.waitForSelector("body[data-link=connected]");
    const answer = await fetch(wire + "/api/v1/topics/lab/temp", { method: "POST", body: "21.5" });
    assert(answer.ok, "POST: " + answer.status);
    await shows(page, "lab/temp", 21.5);
  });

  await check("values of every kind", async () => {
    await publish("kinds/object", { a: 1 });
    await publish("kinds/text", "<img src=x onerror=alert(1)>");
    await publish("kinds/bytes", Buffer.from([1, 2, 255]));
    await publish("kinds/null", null);
    await shows(page, "kinds/object", '{"a":1}');
    await shows(page, "kinds/text", "<img src=x onerror=alert(1)>");
    await shows(page, "kinds/bytes", "3 bytes: 01 02 ff");
    await shows(page, "kinds/null", "null");
    assert((await page.locator("main img").count()) === 0, "a value made an element");
  });

  await check("a plot moves", async () => {
    for (let i = 0; i < 12; i++) await publish("lab/temp", 20 + Math.sin(i));
    await page.waitForSelector(`${node("lab/temp")} .spark`);
    await page.click(node("lab/temp"));
    await page.waitForSelector(".plot canvas");
    const picture = () => page.evaluate(() => document.querySelector(".plot canvas").toDataURL());
    const before = await picture();
    await publish("lab/temp", 30);
    await until("the plot is another", async () => (await picture()) !== before);
    await page.waitForSelector(".now .big:text-is('30')");
  });

  await check("numbers are rounded for the eye, and kept", async () => {
    await publish("lab/exact", 22.99622855368586);
    await shows(page, "lab/exact", 22.9962);
    await page.click(node("lab/exact"));
    await page.click(".history summary");
    await page.waitForSelector(".history td:text-is('22.99622855368586')");
    await page.click(node("lab/temp"));
  });

  await check("fields of an object are plotted, each with its switch", async () => {
    for (let i = 0; i < 4; i++) await publish("lab/climate", { temperature: 20 + i, wind: { speed: i } });
    await page.click(node("lab/climate"));
    await page.waitForSelector(".legend label:has-text('temperature') b:text-is('23')");
    await page.waitForSelector(".legend label:has-text('wind.speed') input:checked");
    await page.uncheck(".legend label:has-text('wind.speed') input");
    await page.waitForSelector(".legend label:has-text('wind.speed') input:not(:checked)");
  });

  await check("CSV", async () => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("button:text-is('CSV')")]);
    const text = require("node:fs").readFileSync(await download.path(), "utf8");
    assert(/^time,"lab\/climate temperature"\n\d{4}-\d\d-\d\dT[\d:.]+Z,20\n/.test(text), text.slice(0, 120));
  });

  await check("history from before the page was there", async () => {
    for (let i = 0; i < 20; i++) await publish("before/hand", i);
    const late = await person();
    await late.goto(url + "/bus/");
    await shows(late, "before/hand", 19);
    await late.click(node("before/hand"));
    await late.waitForSelector(".history summary:text-is('History (20)')");
    await late.waitForSelector(".plot canvas");
  });

  await check("publishing, and the line that does the same", async () => {
    await page.fill(".publish input.mono", "lab/lamp");
    await page.fill(".publish textarea", '{"on": true}');
    await page.check(".publish label:has-text('Retain') input");
    await page.click(".publish button.main");
    await page.waitForSelector(".publish [role=status]:has-text('Published as')");
    await until("the script heard it", () => heard.some((m) => m.topic === "lab/lamp" && m.data.on === true));
    await page.waitForSelector(`${node("lab/lamp")} .tag`);
    await page.click("summary:has-text('The line that does the same')");
    assert((await page.textContent(".publish .snippet code")) === `curl -X PUT -d '{"on":true}' '${url}/api/v1/topics/lab/lamp'`, await page.textContent(".publish .snippet code"));
    await page.click("summary:has-text('Last published')");
    await page.waitForSelector(".sent li:has-text('lab/lamp')");
  });

  await check("a refusal is told", async () => {
    await page.fill(".publish input.mono", "lab/+");
    await page.click(".publish button.main");
    await page.waitForSelector(".publish [role=status].bad:has-text('')");
    assert((await page.textContent(".publish [role=status]")).trim() !== "", "it says nothing");
  });

  await check("a retained value is cleared", async () => {
    await page.click(node("lab/lamp"));
    await page.click("button:has-text('Clear retained')");
    await page.waitForSelector(`${node("lab/lamp")} .tag`, { state: "detached" });
    const answer = await bus.emitWithAck("subscribe", { topics: ["lab/lamp"] });
    assert(answer.retained.length === 0, "it is still there: " + JSON.stringify(answer));
  });

  await check("pause keeps the picture, counts and catches up", async () => {
    await page.click("button:has-text('Pause')");
    for (let i = 0; i < 7; i++) await publish("lab/temp", 40 + i);
    await page.waitForSelector("button:has-text('(7 waiting)')");
    assert((await page.textContent(`${node("lab/temp")} .value`)) === "30", "the picture moved");
    await page.click("button:has-text('Resume')");
    await shows(page, "lab/temp", 46);
  });

  await check("filters", async () => {
    await page.fill(".tools input", "lab/+");
    await until("only lab", async () => (await page.$$eval(".node[data-path]", (all) => all.map((n) => n.dataset.path))).join() === "lab,lab/climate,lab/exact,lab/lamp,lab/temp");
    await page.fill(".tools input", "climate");
    await until("only climate", async () => (await page.$$eval(".node[data-path]", (all) => all.map((n) => n.dataset.path))).join() === "lab,lab/climate");
    await page.fill(".tools input", "");
  });

  await check("the tree by keyboard", async () => {
    await page.focus(node("kinds"));
    await page.keyboard.press("ArrowLeft");
    await page.waitForSelector(node("kinds/text"), { state: "detached" });
    await page.keyboard.press("ArrowRight");
    await page.waitForSelector(node("kinds/text"));
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForSelector("h1:text-is('kinds/bytes')");
  });

  await check("a fast bus does not slow the page", async () => {
    const began = Date.now();
    for (let i = 0; i < 2000; i++) bus.emit("publish", { topic: `fast/${i % 20}`, data: i });
    await shows(page, "fast/19", 1999);
    const frame = await page.evaluate(() => new Promise((drawn) => { const t = performance.now(); requestAnimationFrame(() => requestAnimationFrame(() => drawn(performance.now() - t))); }));
    assert(frame < 500, `two frames take ${frame} ms`);
    assert(Date.now() - began < 10000, "2,000 values take longer than 10 s");
  });

  await check("back after a restart, with new values", async () => {
    await ask("stop");
    await page.waitForSelector("body:not([data-link=connected])");
    await ask("start");
    await page.waitForSelector("body[data-link=connected]");
    await until("the script is back", () => bus.connected);
    await publish("lab/temp", 99);
    await shows(page, "lab/temp", 99);
  });

  await check("axe finds nothing serious", async () => {
    await page.click(node("lab/climate"));
    await page.waitForSelector(".plot canvas");
    await accessible(page);
  });

  await check("a phone in the dark", async () => {
    const small = await person(phone);
    await small.goto(url + "/bus/");
    await publish("lab/temp", 21);
    await publish("lab/temp", 22);
    await shows(small, "lab/temp", 22);
    await fits(small);
    await small.click(node("lab/temp"));
    await small.waitForSelector(".plot canvas");
    await fits(small);
    await accessible(small);
    await small.click("button[aria-label^=Back]");
    await small.waitForSelector(node("lab/temp"), { state: "visible" });
  });
  bus.close();
});
