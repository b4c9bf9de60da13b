// Drives the fixture "engineio" with the engine.io-client of Socket.IO 2,
// which speaks version 3, and prints a line for each case.
// Usage: node engine-client-v3.js PORT
const assert = require("assert");
const path = require("path");
const v2 = path.dirname(require.resolve("socket.io-client-v2/package.json"));
const Socket = require(require.resolve("engine.io-client", { paths: [v2] }));

const url = `http://127.0.0.1:${process.argv[2]}`;
const event = (s, name) => new Promise((resolve) => s.once(name, resolve));
const texts = ["plain", "cash money €€€", "\uD83D\uDE00 пойду", "3:4x", "\u2028"];

async function echoes(opts, wait) {
  const s = new Socket(url, opts);
  s.binaryType = "arraybuffer";
  const lost = new Promise((_, reject) => s.once("close", (why) => reject(new Error(`closed: ${why}`))));
  lost.catch(() => {}); // after the end nobody minds
  await Promise.race([event(s, wait), lost]);
  const got = [];
  const all = new Promise((resolve) =>
    s.on("message", (m) => got.push(m) === texts.length + 1 && resolve()));
  texts.forEach((m) => s.send(m));
  s.send(new Uint8Array([0, 255, 1]));
  await Promise.race([all, lost]);
  assert.deepStrictEqual(got.slice(0, -1), texts);
  assert.deepStrictEqual(Array.from(new Uint8Array(got.at(-1))), [0, 255, 1]);
  await Promise.race([event(s, "pong"), lost]); // the client pings
  assert.strictEqual(s.readyState, "open");
  s.close();
}

const cases = {
  polling: () => echoes({ transports: ["polling"] }, "open"),
  "polling base64": () => echoes({ transports: ["polling"], forceBase64: true }, "open"),
  websocket: () => echoes({ transports: ["websocket"] }, "open"),
  "websocket base64": () => echoes({ transports: ["websocket"], forceBase64: true }, "open"),
  upgrade: () => echoes({}, "upgrade"),
  "amid the upgrade": () => echoes({}, "open"),
};

(async () => {
  for (const [name, run] of Object.entries(cases)) {
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("timed out")), 8000)));
    try {
      await Promise.race([run(), late]);
      console.log(`ok ${name}`);
    } catch (e) {
      console.log(`FAIL ${name}: ${String(e.stack).replaceAll("\n", " | ")}`);
    }
    clearTimeout(timer);
  }
  console.log("done");
  process.exit(0);
})();
