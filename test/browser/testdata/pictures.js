// Takes the pictures of the README, from the real thing.
const path = require("node:path");
const { io } = require("socket.io-client");
const { args, check, desk, phone, play, url, wire } = require("./stage.js");
const { enter, robot, say, sees } = require("./people.js");

play(async ({ person }) => {
  const folder = args[0];
  const take = (page, name) => page.screenshot({ path: path.join(folder, name + ".png") });
  const wide = { ...desk, viewport: { width: 1200, height: 760 } };

  await check("home", async () => {
    const page = await person({ ...wide, viewport: { width: 1200, height: 900 } });
    await page.goto(url + "/");
    await page.waitForSelector(".ways");
    await page.waitForTimeout(300);
    await take(page, "home");
  });

  await check("chat", async () => {
    const ana = await person(wide), ben = await person({ ...phone, deviceScaleFactor: 2 });
    await enter(ana, "Ana");
    await enter(ben, "Ben");
    await enter(await person(), "Chloé");
    await ben.touchscreen.tap(200, 200);
    const sensor = await robot("greenhouse");
    await say(ben, "Morning! Is the greenhouse online yet? :wave:");
    await sees(ana, "Morning! Is the greenhouse online yet? 👋");
    await say(ana, "Since last night. It publishes `greenhouse/temperature` every second, see the **bus**.");
    await sees(ben, "Since last night. It publishes greenhouse/temperature every second, see the bus.");
    await say(ben, "```\ncurl -d '{\"open\": 40}' server22.local/api/v1/topics/greenhouse/vent\n```");
    await sensor.tell("Vent at 40 %. Temperature 24.1 °C and falling.");
    await sees(ben, "Vent at 40 %. Temperature 24.1 °C and falling.");
    await say(ben, "Thanks @Ana, that was quick :rocket:");
    await sees(ana, "Thanks @Ana, that was quick 🚀");
    await say(ana, "Nothing left the building :sunglasses:");
    await sees(ben, "Nothing left the building 😎");
    await ben.locator(".composer textarea").pressSequentially("Lunch?");
    await ana.waitForSelector(".typing:has-text('Ben')");
    await ana.mouse.move(700, 30);
    await take(ana, "chat");
    await take(ben, "chat-phone");
    sensor.socket.close();
  });

  await check("bus", async () => {
    const bus = io(wire + "/bus", { forceNew: true });
    const publish = (topic, data, more) => bus.emitWithAck("publish", { topic, data, ...more });
    const page = await person({ ...wide, viewport: { width: 1200, height: 800 }, colorScheme: "dark" });
    await page.goto(url + "/bus/");
    await page.waitForSelector("body[data-link=connected]");
    for (let i = 0; i < 90; i++) {
      await publish("greenhouse/climate", { temperature: +(23 + Math.sin(i / 9) * 2).toFixed(1), humidity: +(21 + Math.cos(i / 13) * 3).toFixed(1) });
      await publish("greenhouse/soil/bed1", +(31 + Math.sin(i / 20) * 4).toFixed(1));
      await publish("greenhouse/soil/bed2", +(27 + Math.cos(i / 15) * 2).toFixed(1));
      if (i % 3 === 0) await publish("roof/wind", { speed: +(4 + Math.random() * 2).toFixed(1), from: "NW" });
      if (i % 10 === 0) await publish("greenhouse/vent", { open: i }, { retain: true });
      if (i === 0) await publish("door/workshop", "closed", { retain: true });
      await page.waitForTimeout(60);
    }
    await page.click('[data-path="greenhouse/climate"]');
    await page.waitForSelector(".plot canvas");
    await publish("greenhouse/climate", { temperature: 24.1, humidity: 22.4 });
    await page.waitForTimeout(400);
    await page.hover(".u-over", { position: { x: 260, y: 60 } });
    await page.waitForTimeout(200);
    await take(page, "bus");
    bus.close();
  });

  await check("docs", async () => {
    const page = await person(wide);
    await page.goto(url + "/docs/#publish");
    await page.waitForSelector(".choice");
    await page.click("#publish ~ .langs button:text-is('Python')");
    await page.evaluate(() => document.getElementById("publish").scrollIntoView());
    await page.waitForTimeout(400);
    await take(page, "docs");
  });
});
