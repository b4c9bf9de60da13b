const { accessible, ask, assert, check, fits, phone, play, until, url, wire } = require("./stage.js");

play(async ({ person }) => {
  const page = await person();
  await page.goto(url + "/");

  await check("the page says who it is", async () => {
    const status = await (await fetch(wire + "/api/v1/status")).json();
    await page.waitForSelector(`h1:text-is("${status.name}")`);
    assert((await page.textContent("#name")) === status.name, "the header has another name");
    for (const { mac } of status.interfaces.filter((i) => i.mac)) assert((await page.textContent("main")).includes(mac), `${mac} is not shown`);
  });

  await check("the QR code is a picture of an address", async () => {
    const image = page.locator(".scan img");
    if ((await image.count()) === 0) return; // a device without any address has none
    await until("the picture is there", () => image.evaluate((i) => i.complete && i.naturalWidth > 0));
    const link = await page.getAttribute(".scan a", "href");
    assert(/^http:\/\/(\d+\.|\[)/.test(link), `the link beside it is ${link}`);
  });

  await check("the line to copy has this address", async () => {
    assert((await page.textContent(".snippet code")).includes(url + "/api/v1/topics/"), "it has not");
    await page.click(".snippet button");
    await page.waitForSelector(".snippet button:has-text('Copied')");
  });

  await check("the ways in work", async () => {
    for (const [path, title] of [["/chat/", "Chat"], ["/bus/", "Data bus"], ["/docs/", "Docs"], ["/admin/", "Admin"]]) {
      await page.goto(url + "/");
      await page.click(`nav a[href="${path}"]`);
      await page.waitForSelector(`nav a[href="${path}"][aria-current=page]`);
      assert((await page.title()) !== "", title);
    }
  });

  await check("it says when the device is gone, and when it is back", async () => {
    await page.goto(url + "/");
    await page.waitForSelector("#link .dot.good");
    await ask("cut");
    await page.waitForSelector("#link .dot:not(.good)");
    await ask("heal");
    await page.click("#link button");
    await page.waitForSelector("#link .dot.good");
  });

  await check("axe finds nothing serious", () => accessible(page));

  await check("a phone in the dark", async () => {
    const small = await person(phone);
    await small.goto(url + "/");
    await small.waitForSelector(".ways");
    await fits(small);
    await accessible(small);
    assert(!(await small.isVisible("#link .text")), "a connection needs no words");
    await ask("cut");
    await small.waitForSelector("#link button .text", { state: "visible" });
    await fits(small);
    await accessible(small);
    await ask("heal");
    await small.click("#link button");
    await small.waitForSelector("#link .text", { state: "hidden" });
  });
});
