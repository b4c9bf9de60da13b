// What people do in a chat.
const { io } = require("socket.io-client");
const { until, url, wire } = require("./stage.js");

async function enter(page, name, room = "") {
  await page.goto(url + "/chat/" + (room && "#" + room));
  await page.fill("[name=nick]", name);
  await page.click("button:has-text('Join the chat')");
  await page.waitForSelector(".composer textarea:not([disabled])");
  await connected(page);
  await page.waitForSelector(`.people :text("${name}")`, { state: "attached" });
}

async function say(page, text) {
  await page.fill(".composer textarea", text);
  await page.press(".composer textarea", "Enter");
}

const connected = (page) => page.waitForSelector("body[data-link=connected]");

// texts is what the log shows, from the oldest to the newest.
const texts = (page) => page.$$eval(".line .text", (all) => all.map((t) => t.firstElementChild?.textContent ?? ""));

const sees = (page, text) => until(`the page shows ${JSON.stringify(text)}`, async () => (await texts(page)).includes(text));

// saved waits until nothing of one's own is on its way.
const saved = (page) => page.waitForFunction(() => document.querySelectorAll(".line.unsent").length === 0);

// robot is a script in the chat: a client without a browser.
async function robot(nick, room = "lobby") {
  const socket = io(wire + "/chat", { forceNew: true });
  const heard = [];
  socket.on("message", (m) => heard.push(m));
  await new Promise((resolve, reject) => { socket.once("connect", resolve); socket.once("connect_error", reject); });
  await socket.emitWithAck("join", { room, nick });
  const tell = (text, id = nick + Math.random()) => socket.emitWithAck("message", { room, text, id });
  return { socket, heard, tell };
}

module.exports = { connected, enter, robot, saved, say, sees, texts };
