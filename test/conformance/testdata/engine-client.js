// Drives the fixture "engineclient" with the official engine.io-client, and
// prints a line for each case: "ok NAME" or "FAIL NAME: WHY", then "done".
// Usage: node engine-client.js PORT
const assert = require("assert");
const { Socket } = require("engine.io-client");

const url = `http://127.0.0.1:${process.argv[2]}`;
const cases = [];
const test = (name, run) => cases.push({ name, run });

function open(t, opts = {}) {
  const s = new Socket(url, opts);
  s.binaryType = "arraybuffer";
  t.sockets.push(s);
  return s;
}

const event = (s, name) =>
  new Promise((resolve) => s.once(name, (...args) => resolve(args)));

// take waits for n messages after the greeting.
function take(s, n) {
  const got = [];
  return new Promise((resolve) =>
    s.on("message", (data) => data !== "hi" && got.push(data) === n && resolve(got)));
}

// refusal waits for an error and returns the answer's status and text, which
// the client forgets right after the event.
const refusal = (s) =>
  new Promise((resolve) => s.once("error", (e) => resolve([e.description, e.context.responseText])));

const bytes = (data) => Array.from(new Uint8Array(data));
const utf8 = "пойду спать всем спокойной ночи";
const emoji = "\uD800\uDC00-\uDB7F\uDFFF\uDB80\uDC00-\uDBFF\uDFFF\uE000-\uF8FF";

// Every way to have a session ready for messages.
const ways = {
  polling: async (t, opts) => {
    const s = open(t, { ...opts, transports: ["polling"] });
    await event(s, "open");
    return s;
  },
  websocket: async (t, opts) => {
    const s = open(t, { ...opts, transports: ["websocket"] });
    await event(s, "open");
    return s;
  },
  upgrade: async (t, opts) => {
    const s = open(t, opts);
    await event(s, "upgrade");
    return s;
  },
  "amid the upgrade": async (t, opts) => {
    const s = open(t, opts);
    await event(s, "open");
    return s;
  },
};

for (const [way, ready] of Object.entries(ways)) {
  for (const base64 of [false, true]) {
    const opts = { forceBase64: base64 };
    test(`${way}${base64 ? " base64" : ""}: text, binary and their order`, async (t) => {
      const s = await ready(t, opts);
      const answers = take(s, 7);
      s.send("give binary");
      s.send("give utf8");
      s.send("cash money €€€");
      s.send(new Uint8Array([9, 8, 7]));
      s.send(emoji);
      s.send(new Uint8Array(0));
      s.send("\u2028 \\n");
      const got = await answers;
      assert.deepStrictEqual(bytes(got[0]), [0, 1, 2, 3, 4]);
      assert.strictEqual(got[1], utf8);
      assert.strictEqual(got[2], "cash money €€€");
      assert.deepStrictEqual(bytes(got[3]), [9, 8, 7]);
      assert.strictEqual(got[4], emoji);
      assert.strictEqual(bytes(got[5]).length, 0);
      assert.strictEqual(got[6], "\u2028 \\n");
    });
  }

  test(`${way}: heartbeats keep the session, closing ends it`, async (t) => {
    const s = await ready(t, {});
    for (let i = 0; i < 3; i++) await event(s, "ping");
    assert.strictEqual(s.readyState, "open");
    const closed = event(s, "close");
    s.close();
    assert.strictEqual((await closed)[0], "forced close");
  });
}

test("a new session is greeted", async (t) => {
  const s = open(t);
  assert.strictEqual((await event(s, "message"))[0], "hi");
});

test("a close waits for the upgrade", async (t) => {
  const s = open(t);
  let upgraded = false;
  s.on("upgrade", () => (upgraded = true));
  await event(s, "upgrading");
  s.send("last words");
  s.close();
  await event(s, "close");
  assert(upgraded);
  assert.strictEqual(s.writeBuffer.length, 0);
});

test("payloads are merged as maxPayload says", async (t) => {
  const s = open(t, { transports: ["polling"] });
  await event(s, "open");
  const sent = ["a".repeat(99), "b".repeat(30), "c".repeat(30), "d".repeat(35), "€".repeat(33), "f".repeat(99)];
  const answers = take(s, sent.length);
  sent.forEach((m) => s.send(m));
  assert.deepStrictEqual(await answers, sent);
});

test("polling: a body above maxPayload is answered 413", async (t) => {
  const s = open(t, { transports: ["polling"] });
  await event(s, "open");
  const error = refusal(s);
  const closed = event(s, "close");
  s.send("a".repeat(101));
  assert.deepStrictEqual(await error, [413, ""]);
  assert.strictEqual((await closed)[0], "transport error");
});

test("websocket: a message above maxPayload closes with 1009", async (t) => {
  const s = open(t, { transports: ["websocket"] });
  await event(s, "open");
  s.send("a".repeat(101));
  const [reason, details] = await event(s, "close");
  assert.strictEqual(reason, "transport close");
  assert.strictEqual(details.context.code, 1009);
  assert.strictEqual(details.context.reason, "");
});

test("polling: an unknown session is refused with code 1", async (t) => {
  const s = open(t, { transports: ["polling"], query: { sid: "abc" } });
  assert.deepStrictEqual(await refusal(s), [400, '{"code":1,"message":"Session ID unknown"}']);
});

test("websocket: an unknown session is refused", async (t) => {
  const s = open(t, { transports: ["websocket"], query: { sid: "abc" } });
  assert.strictEqual((await event(s, "error"))[0].message, "websocket error");
});

for (const [first, second] of [["polling", "websocket"], ["websocket", "polling"]]) {
  test(`where ${first} is denied, ${second} is tried`, async (t) => {
    const s = open(t, {
      transports: [first, second],
      transportOptions: { [first]: { query: { deny: 1 } } },
      tryAllTransports: true,
    });
    await event(s, "open");
    assert.strictEqual(s.transport.name, second);
  });
}

test("cookies of the handshake come back", async (t) => {
  for (const [withCredentials, want] of [[true, "1=1; 2=2"], [false, undefined]]) {
    const s = open(t, { transports: ["polling"], withCredentials });
    const answers = take(s, 1);
    await event(s, "open");
    s.send("sendHeaders");
    assert.strictEqual(JSON.parse((await answers)[0]).cookie, want);
  }
});

(async () => {
  for (const { name, run } of cases) {
    const t = { sockets: [] };
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error("timed out")), 8000)));
    try {
      await Promise.race([run(t), late]);
      console.log(`ok ${name}`);
    } catch (e) {
      console.log(`FAIL ${name}: ${String(e.stack).replaceAll("\n", " | ")}`);
    }
    clearTimeout(timer);
    t.sockets.forEach((s) => s.close());
  }
  console.log("done");
  process.exit(0);
})();
