// Drives the fixture "client" as socket.io-client's own tests do:
// node socket.io-client.js URL
const assert = require("node:assert");
const { io, Manager } = require("socket.io-client");
const url = process.argv[2];
const next = (socket, event) => new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const fresh = (nsp = "", more = {}) => io(url + nsp, { forceNew: true, ...more });
const answers = async (event, reply, ...args) => {
  const s = fresh();
  const got = next(s, reply);
  s.emit(event, ...args);
  const result = await got;
  s.disconnect();
  return result;
};

const checks = {
  "hi": async () => { await answers("hi", "hi"); },
  "acks both ways": async () => {
    const s = fresh();
    s.emit("ack");
    s.on("ack", (fn) => fn(5, { test: true }));
    await next(s, "got it");
    s.disconnect();
  },
  "dates": async () => {
    const s = fresh();
    assert.ok(!isNaN(Date.parse(await s.emitWithAck("getAckDate", { test: true }))));
    s.disconnect();
    assert.equal(typeof (await answers("getDate", "takeDate"))[0], "string");
    assert.equal(typeof (await answers("getDateObj", "takeDateObj"))[0].date, "string");
  },
  "false": async () => assert.strictEqual((await answers("false", "false"))[0], false),
  "multibyte texts in order": async () => {
    const s = fresh();
    const got = [];
    s.on("takeUtf8", (text) => got.push(text));
    s.emit("getUtf8");
    await s.emitWithAck("echo", 1);
    assert.deepEqual(got, ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]);
    s.disconnect();
  },
  "binary": async () => {
    assert.equal((await answers("doge", "doge"))[0].toString(), "asdfasdf");
    assert.equal((await answers("getbin", "takebin"))[0].toString(), "asdfasdf");
    await answers("buffa", "buffack", new Uint8Array([1, 2, 3]).buffer);
    await answers("blob", "back", Buffer.from("x"));
    const mixed = { hello: "lol", message: Buffer.from("howdy"), goodbye: "gotcha" };
    await answers("jsonbuff", "jsonbuff-ack", mixed);
    await answers("jsonblob", "jsonblob-ack", mixed);
    const s = fresh();
    s.emit("abuff1", Buffer.from("x"));
    s.emit("abuff2", "please arrive second");
    await next(s, "abuff2-ack");
    s.emit("blob1", Buffer.from("x"));
    s.emit("blob2", "second");
    s.emit("blob3", Buffer.from("x"));
    await next(s, "blob3-ack");
    s.disconnect();
  },
  "namespaces, ids and handshakes": async () => {
    const foo = fresh("/foo");
    assert.equal(await foo.emitWithAck("getId"), foo.id);
    foo.disconnect();
    const abc = fresh("/abc?b=c&d=e", { query: { "&a": "&=?a" }, auth: { e: "f" } });
    const [handshake] = await next(abc, "handshake");
    assert.equal(handshake.query["&a"] ?? handshake.query.b, handshake.query["&a"] ? "&=?a" : "c");
    assert.equal(handshake.auth.e, "f");
    assert.equal(handshake.query.e, undefined);
    abc.disconnect();
    const s = fresh("/?c=d");
    assert.equal((await s.emitWithAck("getHandshake")).query.c, "d");
    s.disconnect();
  },
  "refusals": async () => {
    const no = fresh("/no");
    assert.equal((await next(no, "connect_error"))[0].message, "Auth failed (custom namespace)");
    no.disconnect();
    const main = fresh("/?fail=true");
    assert.equal((await next(main, "connect_error"))[0].message, "Auth failed (main namespace)");
    main.disconnect();
    const invalid = fresh("/invalid");
    assert.equal((await next(invalid, "connect_error"))[0].message, "Invalid namespace");
    invalid.disconnect();
  },
  "unknown events are not acknowledged": async () => {
    const s = fresh();
    await assert.rejects(s.timeout(50).emitWithAck("unknown"));
    assert.equal(await s.timeout(500).emitWithAck("echo", 42), 42);
    s.disconnect();
  },
  "retries in the packets that are expected": async () => {
    for (const [event, args, expected] of [
      ["echo", [1, 2, 3], ["0", '20["echo",1]', '21["echo",2]', '22["echo",3]', "1"]],
      ["ack", [], ["0", '20["ack"]', '21["ack"]', '22["ack"]', '23["ack"]', "1"]],
    ]) {
      const s = fresh("", { retries: args.length ? 1 : 3, ackTimeout: args.length ? 500 : 50 });
      const sent = [];
      s.io.engine.on("packetCreate", ({ data }) => sent.push(data));
      let count = 0;
      s.on("ack", () => count++);
      if (args.length) await Promise.all(args.map((n) => new Promise((resolve) => s.emit(event, n, resolve))));
      else await new Promise((resolve) => s.emit(event, resolve));
      s.disconnect();
      assert.deepEqual(sent, expected);
      if (!args.length) assert.equal(count, 4);
    }
  },
  "recovers": async () => {
    const s = fresh("", { reconnectionDelay: 10 });
    s.emit("hi");
    await next(s, "hi");
    const id = s.id;
    s.io.engine.close();
    await next(s, "connect");
    assert.equal(s.id, id);
    assert.equal(s.recovered, true);
    s.disconnect();
  },
  "namespaces come and go on one connection": async () => {
    const manager = new Manager(url, { autoConnect: true });
    const [a, b] = [manager.socket("/foo"), manager.socket("/asd")];
    await Promise.all([next(a, "connect"), next(b, "connect")]);
    a.disconnect();
    await sleep(50);
    assert.ok(b.connected);
    a.connect();
    await next(a, "connect");
    manager._close();
  },
  "disconnect and connect in one turn": async () => {
    const s = fresh("", { transports: ["websocket"] });
    await next(s, "connect");
    s.disconnect().connect();
    await next(s, "connect");
    s.disconnect();
  },
};

require("../../../realtime/testdata/checks.js")(checks);
