// An Engine.IO server for the tests of the Go client: it sends back what it
// gets. Options come as JSON in the first argument. It prints its port.
const { createServer } = require("http");
const { Server } = require("engine.io");

const options = JSON.parse(process.argv[2] || "{}");
const http = createServer();
const engine = new Server(options);
engine.on("connection", (socket) => {
  socket.on("message", (data) => {
    if (data === "close") return socket.close();
    if (data === "transport") return socket.send(socket.transport.name);
    if (data === "burst") {
      for (let i = 0; i < 100; i++) socket.send("burst " + i);
      return;
    }
    socket.send(data);
  });
  socket.on("heartbeat", () => options.heartbeats && console.log("heartbeat"));
  socket.on("close", (reason) => console.log("closed", reason));
});
http.on("request", (req, res) => engine.handleRequest(req, res));
http.on("upgrade", (req, socket, head) => engine.handleUpgrade(req, socket, head));
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
