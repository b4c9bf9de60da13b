// The topics of the bus as a live tree. What arrives is taken in once a frame,
// however much it is; while paused it waits and is counted.
import { batch, computed, signal } from "./ui.js";
import { ask, open } from "./live.js";

const kept = 1000; // values per topic, for history and plots
const mostWaiting = 20000; // messages while paused, the newest count
const rateOver = 5; // seconds

export const socket = open("/bus");
export const shape = signal(0); // grows when the tree gets a node
export const paused = signal(false);
export const waiting = signal(0); // messages that arrived while paused
export const flow = signal(0); // messages a second, all topics
export const root = { children: new Map(), path: "" };
export const topics = new Map();
let queue = [], arrived = 0;

class Topic {
  seen = signal(0); // messages so far: drives what is drawn
  rate = signal(0);
  stale = signal(false);
  values = []; // {time, seq, data}, oldest first
  retained = false;
  since = Date.now();
  fresh = 0;

  constructor(name) { this.name = name; }

  take({ data, seq, time, retain, old }) {
    if (retain) this.retained = true;
    if (seq <= this.last?.seq && !(time > this.last.time)) return; // seen before a drop
    this.values.push({ time: time ?? Date.now(), seq, data });
    if (this.values.length > kept * 1.2) this.values.splice(0, this.values.length - kept);
    if (!old) this.fresh++;
    this.gap = this.at ? Math.max(Date.now() - this.at, (this.gap ?? 0) * .8) : undefined;
    this.at = Date.now();
    this.seen.value++;
  }
  get last() { return this.values.at(-1); }
}

function place(name) {
  const known = topics.get(name);
  if (known) return known;
  let node = root;
  for (const level of name.split("/")) {
    const path = node === root ? level : `${node.path}/${level}`;
    if (!node.children.has(level)) node.children.set(level, { level, path, children: new Map(), depth: (node.depth ?? 0) + 1 });
    node = node.children.get(level);
  }
  node.topic = new Topic(name);
  topics.set(name, node.topic);
  shape.value++;
  return node.topic;
}

function drain() {
  if (paused.peek()) return void (waiting.value = queue.length);
  const news = queue;
  queue = [];
  batch(() => {
    waiting.value = 0;
    for (const message of news) place(message.topic).take(message);
  });
}

let asked = false;

function receive(message) {
  if (!message.old) arrived++;
  queue.push(message);
  if (queue.length > mostWaiting) queue.shift();
  if (asked) return;
  asked = true;
  // A hidden page gets no frames, and should not fall behind.
  const then = () => { asked = false; drain(); };
  document.hidden ? setTimeout(then, 500) : requestAnimationFrame(then);
}

export function resume() {
  paused.value = false;
  drain();
}

// What was missed comes before the answer: since the last message, or of the
// last minutes, as much as the server gives at once.
let catchingUp = false, newest;

socket.on("message", (message) => {
  newest = message.seq;
  receive({ ...message, old: catchingUp });
});
socket.on("connect", async () => {
  catchingUp = true;
  try {
    const { retained } = await ask(socket, "subscribe", { topics: ["#"], since: newest ?? "15m" });
    retained.forEach((m) => receive({ ...m, retain: true, old: true }));
    const all = await ask(socket, "topics", {});
    all.topics.forEach(({ topic }) => place(topic));
  } catch {} // the next connection does it again
  catchingUp = false;
});

setInterval(() => batch(() => {
  flow.value = flow.peek() * .4 + arrived * .6;
  if (flow.peek() < .05) flow.value = 0;
  arrived = 0;
  for (const topic of topics.values()) {
    topic.rate.value += (topic.fresh - topic.rate.peek()) / rateOver;
    topic.fresh = 0;
    // Whoever spoke regularly and stopped is stale.
    topic.stale.value = topic.seen.peek() > 2 && Date.now() - topic.at > Math.max(topic.gap * 3, 10000);
  }
}), 1000);

// matches applies an MQTT filter, or looks for plain text.
function matches(filter, name) {
  if (!/[+#]/.test(filter)) return name.toLowerCase().includes(filter.toLowerCase());
  const want = filter.split("/"), have = name.split("/");
  return want.every((w, i) => w === "#" || (i < have.length && (w === "+" || w === have[i]))) && (want.at(-1) === "#" || want.length === have.length);
}

export const filter = signal("");
export const folded = signal(new Set());

export function fold(path, closed = !folded.peek().has(path)) {
  const next = new Set(folded.peek());
  closed ? next.add(path) : next.delete(path);
  folded.value = next;
}

// rows is the tree as it is drawn, from top to bottom.
export const rows = computed(() => {
  shape.value;
  const shown = [], text = filter.value.trim();
  const walk = (node) => {
    const begin = shown.push(node) - 1;
    if (!folded.value.has(node.path) || text) [...node.children.values()].sort((a, b) => a.level.localeCompare(b.level, undefined, { numeric: true })).forEach(walk);
    if (text && shown.length === begin + 1 && !(node.topic && matches(text, node.path))) shown.pop();
  };
  walk(root);
  return shown.filter((node) => node !== root);
});

export async function history(topic) {
  const { messages } = await ask(socket, "history", { topic: topic.name, limit: kept });
  const held = new Set(topic.values.map((v) => v.seq));
  const older = messages.filter((m) => !held.has(m.seq)).map(({ time, seq, data }) => ({ time, seq, data }));
  if (older.length === 0) return;
  topic.values = [...older, ...topic.values].sort((a, b) => a.seq - b.seq);
  topic.seen.value++;
}

// numbers lists what can be plotted in a value: [path, number] pairs.
export function numbers(data, path = "") {
  if (typeof data === "number") return [[path, data]];
  if (typeof data === "boolean") return [[path, +data]];
  if (data === null || typeof data !== "object" || ArrayBuffer.isView(data) || data instanceof ArrayBuffer) return [];
  return Object.entries(data).slice(0, 40).flatMap(([key, value]) => numbers(value, path ? `${path}.${key}` : key));
}

// number reads one of them.
export function number(data, path) {
  for (const key of path ? path.split(".") : []) data = data?.[key];
  return typeof data === "number" ? data : typeof data === "boolean" ? +data : undefined;
}

// rounded is a number as people read it.
export const rounded = (v) => (typeof v !== "number" || Number.isInteger(v) ? v : +v.toPrecision(Math.abs(v) < 1e5 ? 6 : 9));

// print writes a value for people: JSON, numbers rounded unless exact, a string
// bare, bytes as hex.
export function print(data, indent, { exact } = {}) {
  if (typeof data === "string") return data;
  if (data instanceof ArrayBuffer) {
    const some = [...new Uint8Array(data, 0, Math.min(data.byteLength, 64))].map((b) => b.toString(16).padStart(2, "0")).join(" ");
    return `${data.byteLength} bytes: ${some}${data.byteLength > 64 ? " …" : ""}`;
  }
  return JSON.stringify(data, (_, v) => (exact ? v : rounded(v)), indent);
}
