// Clients made of the official packages, led frame by frame:
// node peers.js TRANSPORTS PARSER
// A line in is [id, "open" | "say" | "end", text], a line out [id, "heard" |
// "closed", text]. Texts are frames of the default parser.
const { Socket } = require("engine.io-client");
const json = require("socket.io-parser");
const [transports, parserName] = process.argv.slice(2);
const parser = parserName === "msgpack" ? require("socket.io-msgpack-parser") : json;
const peers = new Map();
const print = (...line) => console.log(JSON.stringify(line));

// translate gives packets to out in the form of another encoder.
function translate(from, to, out) {
  const decoder = new from.Decoder();
  decoder.on("decoded", (packet) => out(new to.Encoder().encode(packet)));
  return (frame) => decoder.add(frame);
}

function open(id, url) {
  const socket = new Socket(url, { path: "/socket.io/", transports: transports.split(",") });
  const hear = (frame) => print(id, "heard", typeof frame === "string" ? "4" + frame : Buffer.from(frame).toString());
  const send = (frame) => socket.send(frame);
  const [heard, said] = parser === json ? [hear, send]
    : [translate(parser, json, (frames) => frames.forEach(hear)), translate(json, parser, (frames) => frames.forEach(send))];
  socket.on("open", () => print(id, "heard", "open"));
  socket.on("message", heard);
  socket.on("error", () => {});
  socket.on("close", (reason) => print(id, "closed", "closed: " + reason));
  peers.set(id, { said, socket });
}

require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const [id, verb, text] = JSON.parse(line);
  if (verb === "open") return open(id, text);
  const { said, socket } = peers.get(id);
  if (verb === "end") return socket.close();
  try {
    said(text.slice(1));
  } catch {
    socket.send(text.slice(1)); // no packet: as it is
  }
});
