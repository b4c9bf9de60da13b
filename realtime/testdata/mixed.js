// Clients of all parsers and transports in one room: node mixed.js URL
const assert = require("node:assert");
const { io } = require("socket.io-client");
const msgpack = require("socket.io-msgpack-parser");
const url = process.argv[2];
const next = (socket, event) => new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
const kinds = [];
for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]])
  for (const parser of [undefined, msgpack]) kinds.push({ forceNew: true, transports, ...(parser && { parser }) });

const values = [
  null, true, -1, 1.5, 2 ** 40, "text \u2028 てすと", [], {}, [1, [2]], { a: { b: null } },
  { file: Buffer.from("bytes"), more: [Buffer.alloc(0), { x: Buffer.from([0, 255]) }] },
];
// plain replaces bytes of any kind by what can be compared.
const plain = (v) =>
  v instanceof ArrayBuffer || ArrayBuffer.isView(v) ? "bytes " + Buffer.from(v).toString("hex")
    : Array.isArray(v) ? v.map(plain)
    : v && typeof v === "object" ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]))
    : v;

const checks = {};
for (const [i, kind] of kinds.entries()) {
  checks[`from ${kind.transports} ${kind.parser ? "msgpack" : "json"} to all`] = async () => {
    const all = kinds.map((k) => io(url, k));
    await Promise.all(all.map((s) => next(s, "connect")));
    const room = "mixed" + Math.random();
    await Promise.all(all.map((s) => s.emitWithAck("join", room)));
    for (const value of values) {
      const said = all.filter((_, k) => k !== i).map((s) => next(s, "said"));
      all[i].emit("say", room, value);
      for (const args of await Promise.all(said)) assert.deepEqual(plain(args), [plain(value)]);
    }
    all.forEach((s) => s.disconnect());
  };
}

require("./checks.js")(checks);
