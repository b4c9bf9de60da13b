// What a user of socket.io-client expects of a server, one check a line:
// node behaviour.js URL TRANSPORTS PARSER
const assert = require("node:assert");
const { io, Manager } = require("socket.io-client");
const [url, transports, parserName] = process.argv.slice(2);

const options = { forceNew: true, reconnectionDelay: 10 };
if (transports !== "upgrade") options.transports = transports.split(",");
if (parserName === "msgpack") options.parser = require("socket.io-msgpack-parser");

const connect = (nsp = "/", more = {}) => io(url + nsp, { ...options, ...more });
const next = (socket, event) => new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const withSocket = (nsp, fn) => async () => {
  const socket = connect(nsp);
  try {
    await next(socket, "connect");
    await fn(socket);
  } finally {
    socket.disconnect();
  }
};

const checks = {
  "the id is the server's, and not the session's": withSocket("/", async (s) => {
    assert.equal(await s.emitWithAck("id"), s.id);
    assert.equal(s.id.length, 20);
    assert.notEqual(s.id, s.io.engine.id);
  }),
  "sent before connect arrives": async () => {
    const s = connect();
    assert.equal(await s.emitWithAck("echo", "early"), "early");
    s.disconnect();
  },
  "all kinds of values come back": withSocket("/", async (s) => {
    const values = [null, true, false, 0, -1, 1.5, 1e-7, 2 ** 53, "", "text", "てすと Ä €", "\u2028\u0000\"\\", [], {}, [1, [2, [3]]], { a: { b: null } }];
    assert.deepEqual(await s.emitWithAck("echo", values), values);
  }),
  "bytes come back wherever they stand": withSocket("/", async (s) => {
    const value = { name: "file", parts: [Buffer.from("one"), { deep: Buffer.from("two") }], size: 6 };
    const back = await s.emitWithAck("echo", value);
    assert.equal(Buffer.from(back.parts[0]).toString(), "one");
    assert.equal(Buffer.from(back.parts[1].deep).toString(), "two");
    assert.equal(back.size, 6);
    const big = Buffer.alloc(300000, 7);
    assert.ok(big.equals(Buffer.from(await s.emitWithAck("echo", big))));
    assert.equal(Buffer.from(await s.emitWithAck("echo", Buffer.alloc(0))).length, 0);
  }),
  "several arguments, several answers": async () => {
    const s = connect();
    const answers = await new Promise((resolve) => s.emit("swap", "a", { b: 1 }, (...args) => resolve(args)));
    assert.deepEqual(answers, [{ b: 1 }, "a"]);
    s.disconnect();
  },
  "a handler without result acknowledges": withSocket("/", async (s) => {
    assert.equal(await s.timeout(1000).emitWithAck("join", "somewhere"), undefined);
    await s.emitWithAck("leave", "somewhere");
  }),
  "refusals and wrong arguments are acknowledged": withSocket("/", async (s) => {
    assert.deepEqual(await s.emitWithAck("refuse"), { error: { message: "not you", data: { code: 7 } } });
    const wrong = await s.emitWithAck("join", 5);
    assert.match(wrong.error.message, /argument 1/);
    const inner = await s.emitWithAck("fail");
    assert.deepEqual(inner, { error: { message: "internal error" } });
  }),
  "events are handled in order, one at a time": withSocket("/", async (s) => {
    const done = [];
    for (let i = 0; i < 200; i++) s.emit("slow", i, (n) => done.push(n));
    assert.deepEqual(await s.emitWithAck("slow", 200), 200);
    assert.deepEqual(done, Array.from({ length: 200 }, (_, i) => i));
  }),
  "the server asks within a handler": withSocket("/", async (s) => {
    s.on("question", (n, ack) => ack(n * 2));
    assert.equal(await s.timeout(3000).emitWithAck("ask me", 21), 42);
  }),
  "rooms: everyone else, everyone, and not those excepted": async () => {
    const [a, b, c] = [connect(), connect(), connect()];
    const got = { a: [], b: [], c: [] };
    a.on("said", (x) => got.a.push(x)); b.on("said", (x) => got.b.push(x)); c.on("said", (x) => got.c.push(x));
    await Promise.all([a, b, c].map((s) => next(s, "connect")));
    const room = "room" + Math.random();
    await Promise.all([a.emitWithAck("join", room), b.emitWithAck("join", room), b.emitWithAck("join", room + "2"), c.emitWithAck("join", room + "2")]);
    await a.emitWithAck("say", room, 1); // to the others
    await a.emitWithAck("say all", [room, room + "2"], 2); // to all, once each
    await a.emitWithAck("say except", room, room + "2", 3); // to those in the first only
    await b.emitWithAck("leave", room);
    await c.emitWithAck("say", room, 4);
    await Promise.all([a, b, c].map((s) => s.emitWithAck("echo", 0)));
    assert.deepEqual(got, { a: [2, 3, 4], b: [1, 2], c: [2] });
    [a, b, c].forEach((s) => s.disconnect());
  },
  "a room receives bytes": async () => {
    const [a, b] = [connect(), connect()];
    await Promise.all([next(a, "connect"), next(b, "connect")]);
    const room = "room" + Math.random();
    await b.emitWithAck("join", room);
    const said = next(b, "said");
    a.emit("say", room, { file: Buffer.from("bytes") });
    assert.equal(Buffer.from((await said)[0].file).toString(), "bytes");
    a.disconnect(); b.disconnect();
  },
  "everybody is asked": async () => {
    const room = "room" + Math.random();
    const sockets = [connect(), connect(), connect()];
    await Promise.all(sockets.map(async (s, i) => {
      s.on("poll", (ack) => i < 2 && ack(i)); // the third never answers
      await next(s, "connect");
      await s.emitWithAck("join", room);
    }));
    const result = await sockets[0].emitWithAck("poll all", room, 300);
    assert.deepEqual(result.answers.sort(), [0, 1]);
    assert.equal(result.missing, 1);
    sockets.forEach((s) => s.disconnect());
  },
  "namespaces share a connection": async () => {
    const manager = new Manager(url, options);
    const [a, b] = [manager.socket("/"), manager.socket("/other")];
    await Promise.all([next(a, "connect"), next(b, "connect")]);
    assert.notEqual(a.id, b.id);
    assert.equal(await b.emitWithAck("where"), "/other");
    b.disconnect();
    assert.equal(await a.emitWithAck("echo", 1), 1);
    b.connect();
    await next(b, "connect");
    assert.equal(await b.emitWithAck("where"), "/other");
    manager._close();
  },
  "dynamic namespaces": withSocket("/room-5", async (s) => assert.equal(await s.emitWithAck("where"), "/room-5")),
  "unknown namespaces are refused": async () => {
    const s = connect("/nowhere");
    const [err] = await next(s, "connect_error");
    assert.equal(err.message, "Invalid namespace");
    s.disconnect();
  },
  "middlewares see the token and refuse": async () => {
    const s = connect("/guarded", { auth: { token: "wrong" } });
    const [err] = await next(s, "connect_error");
    assert.equal(err.message, "unauthorized");
    assert.deepEqual(err.data, { hint: "token" });
    assert.equal(s.active, false);
    s.auth = { token: "secret" };
    s.connect();
    await next(s, "connect");
    assert.equal(await s.emitWithAck("who"), "secret");
    s.disconnect();
  },
  "the handshake is as Node shows it": async () => {
    const s = connect("/", { query: { "&a": "&=?a" }, auth: { t: 1 } });
    const h = await s.emitWithAck("handshake");
    assert.equal(h.query["&a"], "&=?a");
    assert.deepEqual(h.auth, { t: 1 });
    assert.equal(h.address, "127.0.0.1");
    assert.equal(typeof h.headers.host, "string");
    assert.ok(Math.abs(h.issued - Date.now()) < 10000);
    assert.ok(!isNaN(Date.parse(h.time)));
    assert.equal(h.xdomain, false);
    assert.equal(h.secure, false);
    assert.match(h.url, /^\/socket\.io\//);
    s.disconnect();
  },
  "the server disconnects a socket": withSocket("/", async (s) => {
    const gone = next(s, "disconnect");
    s.emit("kick me");
    assert.equal((await gone)[0], "io server disconnect");
    assert.equal(s.active, false);
  }),
  "the server disconnects everything": async () => {
    const s = connect("/", { reconnection: false });
    await next(s, "connect");
    const gone = next(s, "disconnect");
    s.emit("kick all");
    assert.ok(["io server disconnect", "transport close"].includes((await gone)[0]));
    s.disconnect();
  },
  "OnDisconnect has the reason and the rooms": async () => {
    const [watcher, s] = [connect(), connect()];
    await Promise.all([next(watcher, "connect"), next(s, "connect")]);
    await watcher.emitWithAck("join", "watchers");
    await s.emitWithAck("join", "left room");
    const id = s.id;
    const told = new Promise((resolve) => watcher.on("gone", (who, why, rooms) => who === id && resolve([why, rooms])));
    s.disconnect();
    const [why, rooms] = await told;
    assert.equal(why, "client namespace disconnect");
    assert.ok(rooms.includes("left room") && rooms.includes(id));
    watcher.disconnect();
  },
  "a panic ends that socket only": async () => {
    const [a, b] = [connect(), connect()];
    await Promise.all([next(a, "connect"), next(b, "connect")]);
    const gone = next(a, "disconnect");
    a.emit("panic");
    await gone;
    assert.equal(await b.emitWithAck("echo", 1), 1);
    a.disconnect(); b.disconnect();
  },
  "catch-alls see what comes and goes": withSocket("/observed", async (s) => {
    assert.equal(await s.emitWithAck("anything", 1, 2), "seen anything 2");
    const out = next(s, "stamped");
    s.emit("send");
    assert.deepEqual(await out, ["x", "stamp"]);
    assert.deepEqual(await s.emitWithAck("forbidden"), { error: { message: "forbidden" } });
  }),
  "volatile events arrive when nothing is in the way": withSocket("/", async (s) => {
    const got = next(s, "maybe");
    const timer = setInterval(() => s.emit("volatile"), 30);
    await got;
    clearInterval(timer);
  }),
  "a lost connection comes back": withSocket("/", async (s) => {
    const id = s.id;
    const back = next(s, "connect");
    s.io.engine.close();
    await back;
    assert.notEqual(s.id, id);
    assert.ok(!s.recovered);
  }),
  "recovery: id, rooms, data and what was missed": async () => {
    const [s, other] = [connect("/recovering"), connect("/recovering")];
    await Promise.all([next(s, "connect"), next(other, "connect")]);
    const room = "room" + Math.random();
    const got = [];
    s.on("said", (n) => got.push(n));
    await s.emitWithAck("join", room);
    await s.emitWithAck("remember", "kept");
    await other.emitWithAck("say", room, 1);
    while (got.length < 1) await sleep(5);
    const id = s.id;
    const back = next(s, "connect");
    s.io._reconnectionDelay = s.io._reconnectionDelayMax = 300;
    s.io.backoff.setMin(300); s.io.backoff.setJitter(0);
    s.io.engine.close();
    for (let n = 2; n <= 5; n++) await other.emitWithAck("say", room, n);
    await back;
    assert.equal(s.recovered, true);
    assert.equal(s.id, id);
    await other.emitWithAck("say", room, 6);
    while (got.length < 6) await sleep(5);
    assert.deepEqual(got, [1, 2, 3, 4, 5, 6]);
    assert.equal(await s.emitWithAck("recall"), "kept");
    s.disconnect(); other.disconnect();
  },
  "recovery without any event received": async () => {
    const s = connect("/recovering");
    await next(s, "connect");
    const id = s.id;
    const back = next(s, "connect");
    s.io.engine.close();
    await back;
    assert.equal(s.id, id);
    assert.equal(s.recovered, true);
    s.disconnect();
  },
  "retries keep order": async () => {
    const s = connect("/", { retries: 2, ackTimeout: 500 });
    const answers = [];
    await Promise.all([1, 2, 3].map((n) => new Promise((resolve) => s.emit("echo", n, (err, v) => { answers.push(v); resolve(); }))));
    assert.deepEqual(answers, [1, 2, 3]);
    s.disconnect();
  },
};

require("./checks.js")(checks);
