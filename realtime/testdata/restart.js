// A client that is there before and after a restart of the server:
// node restart.js URL
const { io } = require("socket.io-client");
const s = io(process.argv[2] + "/", { reconnectionDelay: 20, reconnectionDelayMax: 50 });
s.on("connect", () => {
  console.log("connect " + s.id + " " + !!s.recovered);
  if (!s.recovered) s.emit("join", "room", () => console.log("joined"));
});
s.on("disconnect", (why) => console.log("disconnect " + why));
s.on("said", (v) => console.log("said " + v));
process.stdin.on("data", () => { s.disconnect(); process.exit(0); });
