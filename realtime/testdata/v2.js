// What a user of socket.io-client 2 expects: node v2.js URL TRANSPORTS
const assert = require("node:assert");
const io = require("socket.io-client-v2");
const [url, transports] = process.argv.slice(2);
const options = { forceNew: true, reconnectionDelay: 10 };
if (transports !== "upgrade") options.transports = [transports];
const connect = (nsp = "/", more = {}) => io(url + nsp, { ...options, ...more });
const next = (socket, event) => new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
const ask = (socket, ...args) => new Promise((resolve) => socket.emit(...args, resolve));

const checks = {
  "connects to / by itself, with the session's id": async () => {
    const s = connect();
    await next(s, "connect");
    assert.equal(await ask(s, "id"), s.id);
    s.close();
  },
  "namespaces, with ids and queries of their own": async () => {
    const s = connect("/other?token=abc");
    await next(s, "connect");
    assert.equal(await ask(s, "where"), "/other");
    assert.equal(await ask(s, "id"), s.id);
    assert.equal((await ask(s, "handshake")).query.token, "abc");
    s.close();
  },
  "values and bytes": async () => {
    const s = connect();
    const value = { text: "てすと", list: [1, null, true] };
    assert.deepEqual(await ask(s, "echo", value), value);
    const back = await ask(s, "echo", { file: Buffer.from("bytes"), list: [Buffer.from([1, 2, 200])] });
    assert.equal(Buffer.from(back.file).toString(), "bytes");
    assert.deepEqual([...Buffer.from(back.list[0])], [1, 2, 200]);
    s.close();
  },
  "a room is shared with clients of today": async () => {
    const s = connect();
    const today = require("socket.io-client").io(url, { forceNew: true });
    await Promise.all([next(s, "connect"), next(today, "connect")]);
    const room = "ages" + Math.random();
    await ask(s, "join", room); await today.emitWithAck("join", room);
    const [a, b] = [next(s, "said"), next(today, "said")];
    today.emit("say", room, { old: Buffer.from("x") });
    assert.equal(Buffer.from((await a)[0].old).toString(), "x");
    s.emit("say", room, "new");
    assert.equal((await b)[0], "new");
    s.close(); today.close();
  },
  "the server asks": async () => {
    const s = connect();
    s.on("question", (n, ack) => ack(n + 1));
    assert.equal(await ask(s, "ask me", 1), 2);
    s.close();
  },
  "an unknown namespace is an error": async () => {
    const s = connect("/nowhere");
    assert.equal((await next(s, "error"))[0], "Invalid namespace");
    s.close();
  },
  "a middleware refuses with its data": async () => {
    const s = connect("/guarded");
    assert.deepEqual((await next(s, "error"))[0], { hint: "token" });
    s.close();
  },
  "disconnects": async () => {
    const s = connect();
    await next(s, "connect");
    const gone = next(s, "disconnect");
    s.emit("kick me");
    assert.equal((await gone)[0], "io server disconnect");
    s.close();
  },
};

require("./checks.js")(checks);
