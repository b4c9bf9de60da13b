// The rooms and what was said in them: joining, catching up after a drop,
// sending what waits in the outbox. Nothing is lost, nothing is there twice:
// messages are known by their seq, unsent ones by their id.
import { batch, computed, effect, signal, status, stored, token } from "./ui.js";
import { ask, open } from "./live.js";
import { mentions } from "./markdown.js";

const pageSize = 50, typingPause = 2000, typingEnd = 5000; // messages; milliseconds

export const nick = stored("nick", "");
export const outbox = stored("outbox", []); // {id, room, text, error?}, oldest first
export const rooms = signal([]);
export const known = signal([]); // every room that the server tells of
export const current = signal(null);
export const refused = signal(null); // why the name or the room was not taken
export const watching = signal(true); // the end of the current room is in sight
const device = stored("device", token());
const read = stored("read", {}); // the last seq that was seen, by room
const joined = stored("rooms", [{ name: "lobby" }]);

class Room {
  messages = signal([]); // oldest first; notices have no seq
  members = signal([]);
  typing = signal([]);
  locked = signal(false);
  whole = signal(false); // nothing older is on the server
  marker = signal(0); // what is above it was seen
  mentioned = signal(false);
  loaded = false;

  constructor(name, peer) {
    Object.assign(this, { name, peer, title: peer ?? name });
    this.unread = computed(() => {
      const seen = read.value[name] ?? 0;
      return this.loaded ? this.messages.value.filter((m) => m.seq > seen && m.nick !== nick.value).length : 0;
    });
  }

  get last() { return this.messages.peek().findLast((m) => m.seq)?.seq ?? 0; }
  get first() { return this.messages.peek().find((m) => m.seq)?.seq ?? Infinity; }

  // add puts messages where their seq wants them, once.
  add(news) {
    const held = new Set(this.messages.peek().map((m) => m.seq));
    news = news.filter((m) => !held.has(m.seq));
    if (news.length === 0) return;
    const ids = new Set(news.map((m) => m.id));
    if (outbox.peek().some((m) => ids.has(m.id))) outbox.value = outbox.peek().filter((m) => !ids.has(m.id));
    const all = [...this.messages.peek(), ...news];
    if (news[0].seq <= this.last) all.sort((a, b) => (a.seq ?? a.after) - (b.seq ?? b.after));
    this.messages.value = all;
  }

  notice(text) {
    this.messages.value = [...this.messages.peek().filter((m) => m.text !== text || m.seq), { after: this.last + .5, text, key: token() }];
  }

  see() {
    if (this.last > (read.peek()[this.name] ?? 0)) read.value = { ...read.peek(), [this.name]: this.last };
    this.mentioned.value = false;
  }
}

const find = (name) => rooms.peek().find((r) => r.name === name);
const socket = open("/chat", { device: device.value });

// enter opens a room, joining it if need be.
export async function enter(name, peer) {
  let room = find(name);
  if (!room) {
    room = new Room(name, peer);
    rooms.value = [...rooms.peek(), room];
    if (socket.connected && nick.peek()) await join(room);
    if (!rooms.peek().includes(room)) return;
  }
  room.marker.value = read.peek()[name] ?? 0;
  current.value = room;
}

export function leave(room) {
  rooms.value = rooms.peek().filter((r) => r !== room);
  if (current.peek() === room) current.value = rooms.peek()[0] ?? null;
  if (socket.connected) ask(socket, "leave", { room: room.name }).catch(() => {});
}

// join enters on the server and catches up with what was missed.
async function join(room) {
  const since = room.since ??= room.loaded ? room.last : undefined; // kept until the gap is closed
  try {
    const answer = await ask(socket, "join", { room: room.name, nick: nick.peek(), since });
    const other = room.history !== undefined && room.history !== answer.history; // a backup came back
    room.history = answer.history;
    if (other || since > answer.last) {
      room.messages.value = [];
      room.loaded = false;
      room.since = undefined;
      return join(room);
    }
    batch(() => {
      room.members.value = [...new Set(answer.members)];
      room.locked.value = !!answer.locked;
      room.loaded = true;
      room.add(answer.messages);
      if (since === undefined) room.whole.value = !(answer.more ?? answer.messages[0]?.seq > 1);
      if (read.peek()[room.name] === undefined) room.see();
    });
    await fill(room, since ?? read.peek()[room.name], answer.messages);
    room.since = undefined;
    refused.value = null;
  } catch (e) {
    if (e.code === undefined) return;
    refused.value = e.message;
    if (room.name !== "lobby") leave(room);
  }
}

// fill closes the gap between what was held and what an answer began with.
async function fill(room, since, messages) {
  let first = messages[0]?.seq;
  for (let pages = 0; since !== undefined && first > since + 1 && pages < 20; pages++) {
    const older = (await ask(socket, "history", { room: room.name, before: first, limit: 200 })).messages;
    if (older.length === 0) return;
    room.add(older.filter((m) => m.seq > since));
    first = older[0].seq;
  }
}

// older loads a page before what is held, down to a seq if one is given.
export async function older(room, seq = room.first - 1) {
  if (room.busy || room.whole.peek() || !socket.connected) return;
  room.busy = true;
  try {
    while (room.first > seq && !room.whole.peek()) {
      const { messages } = await ask(socket, "history", { room: room.name, before: room.first, limit: pageSize });
      batch(() => {
        room.add(messages);
        room.whole.value = messages.length === 0 || messages[0].seq === 1;
      });
    }
  } finally {
    room.busy = false;
  }
}

export async function search(text, room) {
  return (await ask(socket, "search", { text, room: room?.name, limit: 50 })).messages.reverse();
}

export async function direct(to) {
  const { room } = await ask(socket, "direct", { to });
  return enter(room, to);
}

// order is what only the administrator may: delete, kick, lock.
export const order = (event, value) => ask(socket, event, value);

// say puts a message in the outbox, from where it leaves as soon as it can.
export function say(room, text) {
  outbox.value = [...outbox.peek(), { id: token(), room: room.name, text }];
  room.marker.value = Infinity;
  typed(room, false);
  flush();
}

export function again(message) {
  outbox.value = outbox.peek().map((m) => (m.id === message.id ? { ...m, error: undefined } : m));
  flush();
}

export function discard(message) {
  outbox.value = outbox.peek().filter((m) => m.id !== message.id);
}

let flushing = false, ready = false; // ready: the rooms are joined

async function flush() {
  if (flushing) return;
  flushing = true;
  for (let next; ready && socket.connected && (next = outbox.peek().find((m) => !m.error));) {
    if (!(await send(next))) break;
  }
  flushing = false;
}

// send says whether the next message may follow.
async function send({ id, room, text }) {
  try {
    const { seq, time } = await ask(socket, "message", { room, text, id });
    batch(() => {
      find(room)?.add([{ seq, time, nick: nick.peek(), text, id, mine: true }]);
      discard({ id });
      if (watching.peek()) find(room)?.see();
    });
    return true;
  } catch (e) {
    if (e.code === 429) { // too often: it stays first in the queue
      setTimeout(flush, 1500);
      return false;
    }
    if (e.code === undefined) { // silence: a new connection tells
      if (socket.connected) socket.io.engine.close();
      return false;
    }
    outbox.value = outbox.peek().map((m) => (m.id === id ? { ...m, error: e.message } : m));
    return true;
  }
}

let lastTyped = 0;

export function typed(room, typing) {
  if (typing === (Date.now() - lastTyped < typingPause)) return;
  lastTyped = typing ? Date.now() : 0;
  if (socket.connected) socket.volatile.emit("typing", { room: room.name, typing });
}

function setTyping(room, who, typing) {
  if (!room) return;
  const others = room.typing.peek().filter((t) => t.nick !== who || clearTimeout(t.timer));
  if (typing) others.push({ nick: who, timer: setTimeout(() => setTyping(room, who, false), typingEnd) });
  room.typing.value = others;
}

// start joins every room under the name, after a connect or a change of name.
export async function start() {
  if (!socket.connected || !nick.peek()) return;
  await Promise.all(rooms.peek().map(join));
  ready = true;
  lookAround();
  flush();
}

// lookAround learns which rooms others have opened.
export function lookAround() {
  if (socket.connected) ask(socket, "rooms", {}).then((answer) => { known.value = answer.rooms; }, () => {});
}

setInterval(() => document.hidden || lookAround(), 15000);

socket.on("connect", start);
socket.on("disconnect", () => { ready = false; });

socket.on("message", (m) => {
  const room = find(m.room);
  if (!room) return;
  batch(() => {
    const before = room.unread.peek();
    room.add([m]);
    setTyping(room, m.nick, false);
    if (room === current.peek() && watching.peek() && !document.hidden) return room.see();
    if (before === 0) room.marker.value = read.peek()[room.name] ?? 0;
    if (room.peer || mentions(m.text, nick.peek())) room.mentioned.value = true;
  });
});

socket.on("typing", ({ room, nick, typing }) => setTyping(find(room), nick, typing));

socket.on("presence", ({ room: name, nick: who, joined }) => {
  const room = find(name);
  if (!room || who === nick.peek() || room.members.peek().includes(who) === joined) return;
  room.members.value = joined ? [...room.members.peek(), who] : room.members.peek().filter((m) => m !== who);
  room.notice(`${who} ${joined ? "joined" : "left"}`);
  if (!joined) setTyping(room, who, false);
});

socket.on("invited", async ({ room, from }) => {
  if (find(room)) return;
  const shown = new Room(room, from);
  rooms.value = [...rooms.peek(), shown];
  await join(shown);
  shown.mentioned.value = true;
});

socket.on("deleted", ({ room, seq }) => forget(room, seq));
socket.on("locked", ({ room, posting }) => { if (find(room)) find(room).locked.value = posting !== "all"; });
socket.on("kicked", ({ room, nick: who, minutes }) => {
  const left = find(room);
  if (!left) return;
  if (who !== nick.peek()) return left.notice(`${who} was sent out for ${minutes} min`);
  refused.value = `You were sent out of ${left.title} for ${minutes} minutes.`;
  if (room !== "lobby") leave(left);
});

export function forget(name, seq) {
  const room = find(name);
  if (room) room.messages.value = room.messages.peek().filter((m) => m.seq !== seq);
}

// What to open when the page loads, and what to remember for the next time.
rooms.value = joined.peek().map(({ name, peer }) => new Room(name, peer));
function addressed() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; } // somebody typed it
}

enter(addressed() || rooms.peek()[0]?.name || "lobby");
effect(() => { joined.value = rooms.value.map(({ name, peer }) => ({ name, peer })); });
effect(() => { if (current.value) history.replaceState(null, "", "#" + encodeURIComponent(current.value.name)); });
addEventListener("hashchange", () => enter(addressed() || "lobby"));

export const admin = computed(() => !!status.value?.admin);
