const { accessible, ask, assert, check, play, until, url } = require("./stage.js");

// This device has an interface eth0 of its own, in a namespace.
play(async ({ person }) => {
  const page = await person();
  const observed = () => page.textContent(".columns .card:nth-child(2)");

  await check("the administrator sees what is wanted and what is", async () => {
    await page.goto(url + "/admin/#network");
    await page.fill("[name=code]", await ask("code"));
    await page.fill("[name=password]", "correct horse battery");
    await page.click("button.main");
    await page.waitForSelector("h2:has-text('eth0')");
    await until("its address", async () => (await observed()).includes("192.168.1.22/24"));
  });

  const apply = async (address) => {
    await page.selectOption("[name=mode]", "static");
    await page.fill("[name=addresses]", address);
    await page.click("button:text-is('Apply for a trial')");
    await page.waitForSelector("[role=alert]:has-text('taken back in')");
    await until("the address is there", async () => (await observed()).includes(address));
  };

  await check("a change that is kept stays", async () => {
    await apply("192.168.1.51/24");
    await page.click("button:text-is('Keep it')");
    await page.waitForSelector(".outcome:has-text('Kept')");
    await page.waitForSelector("[role=alert]", { state: "detached" });
    await page.reload();
    await page.waitForSelector(".columns");
    assert((await observed()).includes("192.168.1.51/24"), await observed());
    assert((await page.textContent(".columns .card:first-child")).includes("192.168.1.51/24"), "it is not wanted");
  });

  await check("a change is taken back when asked", async () => {
    await apply("192.168.1.50/24");
    await accessible(page);
    await page.click("button:text-is('Take it back')");
    await page.waitForSelector("[role=alert]", { state: "detached" });
    await until("the address is the one before", async () => {
      const now = await observed();
      return !now.includes("192.168.1.50/24") && now.includes("192.168.1.51/24");
    });
  });
});
