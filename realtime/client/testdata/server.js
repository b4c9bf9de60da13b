// A Socket.IO server for the tests of the Go client, with the same events as
// goServer in server_test.go. Options come as JSON in the first argument:
// {port, msgpack, recovery, file, server: {...}}. It prints its port. What it
// is to store is kept in the file, if there is one, before it is acknowledged.
const { createServer } = require("http");
const { Server } = require("socket.io");

const options = JSON.parse(process.argv[2] || "{}");
const http = createServer();
const io = new Server(http, {
  ...options.server,
  ...(options.msgpack && { parser: require("socket.io-msgpack-parser") }),
  ...(options.recovery && { connectionStateRecovery: {} }),
});

const fs = require("fs");
const stored = new Map();
if (options.file && fs.existsSync(options.file)) {
  for (const id of fs.readFileSync(options.file, "utf8").split("\n").slice(0, -1)) stored.set(id, stored.size);
}
let calls = 0;

function behave(socket) {
  socket.on("echo", (...args) => socket.emit("echo", ...args));
  socket.on("ask", (...args) => args.pop()(...args));
  socket.on("never", () => {});
  socket.on("auth", (ack) => ack(socket.handshake.auth));
  socket.on("recovered", (ack) => ack(socket.recovered));
  socket.on("id", (ack) => ack(socket.id));
  socket.on("kick", () => socket.disconnect());
  socket.on("drop", () => socket.conn.close());
  socket.on("break", () => socket.conn.transport.onError("broken"));
  socket.on("garbage", () => socket.conn.write("9nonsense"));
  socket.on("count", (n) => {
    for (let i = 0; i < n; i++) socket.emit("tick", i);
  });
  socket.on("quiz", (n) => {
    socket.timeout(5000).emit("question", n, (err, answer) => socket.emit("graded", err ? "error" : answer));
  });
  socket.on("join", (room, ack) => { socket.join(room); ack(); });
  socket.on("say", (room, text) => io.of(socket.nsp.name).to(room).emit("said", text));
  // Acknowledges every third time only, and knows what it has by its id.
  socket.on("store", (id, ...args) => {
    const ack = args.pop();
    if (!stored.has(id)) {
      stored.set(id, stored.size);
      if (options.file) fs.appendFileSync(options.file, id + "\n");
    }
    if (typeof ack === "function" && calls++ % 3 === 2) ack(stored.get(id));
  });
  socket.on("stored", (ack) => ack([...stored.keys()]));
}

io.on("connection", behave);
io.of("/chat").on("connection", behave);
io.of("/refuse").use((socket, next) => {
  if (socket.handshake.auth.token === "let me in") return next();
  next(Object.assign(new Error("not you"), { data: { code: 42 } }));
}).on("connection", behave);

http.listen(options.port || 0, "127.0.0.1", () => console.log(http.address().port));
