// say.js URL ROOM COUNT: says COUNT messages in a room, many at once, and
// prints "ack ID SEQ" for each that was acknowledged, then "done".
const { io } = require("socket.io-client");
const [url, room, count] = process.argv.slice(2);
const socket = io(url + "chat", { transports: ["websocket"], reconnection: false });
socket.on("connect_error", (e) => { console.log("error", e.message); process.exit(1); });
socket.on("disconnect", () => process.exit(0));
socket.on("connect", async () => {
  const joined = await socket.emitWithAck("join", { room, nick: "script" });
  if (joined.error) { console.log("error", JSON.stringify(joined.error)); process.exit(1); }
  console.log("joined");
  let left = +count;
  for (let i = 0; i < +count; i++) {
    const id = "device-" + i;
    socket.emit("message", { room, text: "message " + i, id }, (ack) => {
      if (ack.error) console.log("refused", id, JSON.stringify(ack.error));
      else console.log("ack", id, ack.seq);
      if (--left === 0) { console.log("done"); socket.close(); }
    });
    if (i % 10 === 9) await new Promise((r) => setTimeout(r, 5));
  }
});
