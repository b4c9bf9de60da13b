// The chat page.
import { chatIcon, clock, Component, computed, effect, html, Icon, refreshStatus, shortClock, show, signal, status, view } from "./ui.js";
import { link } from "./link.js";
import { markdown, mentions } from "./markdown.js";
import {
  admin, again, current, direct, discard, enter, known, leave, lookAround, nick, older, order, outbox, refused, rooms, say, search, start, typed, watching,
} from "./rooms.js";

const icons = {
  menu: "M4 7h16M4 12h16M4 17h16",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zm-6 9a6 6 0 0 1 12 0m1-15.6a3.5 3.5 0 0 1 0 6.2M18 15a6 6 0 0 1 3 5",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zm5-2 4 4",
  send: "M5 12h13m-6-6 6 6-6 6",
  down: "M12 5v14m-6-6 6 6 6-6",
  close: "M6 6l12 12M18 6 6 18",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M5 11h14v9H5z",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zm0-14v5l3 2",
  check: "M5 12.5l4.5 4.5L19 7.5",
};

const panel = signal(null); // "rooms", "people" or "search", over the log on a narrow screen
const away = signal(document.hidden);

// tell shows why something was refused.
const tell = (e) => { refused.value = e.message; };

const hue = (name) => [...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 360, 7);
const initials = (name) => [...name.trim()].slice(0, 2).join("").toUpperCase();
const day = (time) => new Date(time).toDateString();
const Avatar = ({ name }) => html`<span class="avatar" style=${{ "--hue": hue(name) }} aria-hidden="true">${initials(name)}</span>`;

// What the log is made of

const State = ({ message }) => {
  if (message.error) return html`<p class="state bad small">Not sent: ${message.error} <button type="button" class="link" onClick=${() => again(message)}>Retry</button> <button type="button" class="link" onClick=${() => discard(message)}>Discard</button></p>`;
  if (!message.seq) return html`<span class="state soft small" title="Waits for the connection"><${Icon} path=${icons.clock} size="13" /> sending</span>`;
  return message.mine && html`<span class="state soft" title="Saved on the appliance"><${Icon} path=${icons.check} size="13" /><span class="quiet">saved</span></span>`;
};

class Line extends Component {
  shouldComponentUpdate(next) {
    return next.message !== this.props.message || next.first !== this.props.first || next.admin !== this.props.admin;
  }
  render({ message, first, room, admin }) {
    const { nick: who, text, time, seq, clock: set } = message;
    const timed = time && set !== false && html`<time class="soft small num" datetime=${new Date(time).toISOString()} title=${new Date(time).toLocaleString()}>${(first ? clock : shortClock)(time)}</time>`;
    return html`<div class="line ${first ? "first" : ""} ${seq ? "" : "unsent"} ${who !== nick.peek() && mentions(text, nick.peek()) ? "to-me" : ""}" data-seq=${seq}>
      <div class="side">${first ? html`<${Avatar} name=${who} />` : timed}</div>
      <div class="grow">
        ${first ? html`<div class="head"><b style=${{ "--hue": hue(who) }}>${who}</b> ${timed}</div>` : html`<span class="quiet">${who}: </span>`}
        <div class="text">${markdown(text)} <${State} message=${message} /></div>
      </div>
      ${admin && seq && html`<button type="button" class="plain danger small delete" onClick=${() => order("delete", { room: room.name, seq }).catch(tell)}>Delete</button>`}
    </div>`;
  }
}

function lines(room, unsent) {
  const drawn = [];
  let before, marked = false;
  for (const message of [...room.messages.value, ...unsent]) {
    if (!message.nick) {
      drawn.push(html`<p class="notice soft small" key=${message.key}>${message.text}</p>`);
      before = undefined;
      continue;
    }
    if (message.time && (!before?.time || day(before.time) !== day(message.time)) && day(message.time) !== day(before?.time ?? Date.now())) {
      drawn.push(html`<p class="rule day" key=${day(message.time)}><span>${new Date(message.time).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" })}</span></p>`);
      before = undefined;
    }
    if (!marked && message.seq > room.marker.value && message.nick !== nick.value) {
      marked = true;
      if (before || message.seq > 1) drawn.push(html`<p class="rule new" key="new"><span>New</span></p>`);
      before = undefined;
    }
    const first = before?.nick !== message.nick || message.time - before.time > 300000;
    drawn.push(html`<${Line} key=${message.id ?? message.seq} ...${{ message, first, room, admin: admin.value }} />`);
    before = message;
  }
  return drawn;
}

// Log keeps the eye where it is: at the end when it was there, else on the
// same line while others come above or below.
class Log extends Component {
  hold = (box) => { this.box = box; };
  getSnapshotBeforeUpdate() {
    const { scrollHeight, scrollTop } = this.box;
    return { scrollHeight, scrollTop, first: this.seq };
  }
  componentDidMount() { this.settle(); }
  componentDidUpdate(before, _, { scrollHeight, scrollTop, first }) {
    this.seq = this.props.room.first;
    if (before.room !== this.props.room || !this.placed) return this.settle();
    if (watching.peek()) return this.bottom();
    if (this.seq < first) this.box.scrollTop = scrollTop + this.box.scrollHeight - scrollHeight;
  }
  // settle opens a room at what is new in it.
  settle() {
    const { room } = this.props;
    this.seq = room.first;
    this.placed = room.loaded;
    const mark = this.box.querySelector(".new");
    if (mark && room.unread.peek() > 0) mark.scrollIntoView({ block: "start" });
    else this.bottom();
    this.look();
  }
  bottom() { this.box.scrollTop = this.box.scrollHeight; }
  look() {
    const { scrollHeight, scrollTop, clientHeight } = this.box;
    watching.value = scrollHeight - scrollTop - clientHeight < 40;
    if (watching.peek() && !document.hidden) this.props.room.see();
    if (scrollTop < 300 && this.placed) older(this.props.room).catch(() => {});
  }
  render({ room, unsent }) {
    const all = lines(room, unsent);
    return html`<div ref=${this.hold} class="log" role="log" aria-label="Messages in ${room.title}" tabindex="0" onScroll=${() => this.look()}>
      ${room.whole.value && html`<p class="notice soft small">${room.peer ? `Between you and ${room.title} alone.` : `This is where ${room.title} begins.`}</p>`}
      ${all.length === 0 && room.whole.value && html`<div class="empty"><${Icon} path=${chatIcon} size="36" /><p>Nothing has been said yet.<br />Say hello: it will be kept.</p></div>`}
      ${all}</div>`;
  }
}

const Below = view(() => {
  const room = current.value, n = room.unread.value;
  if (watching.value) return null;
  return html`<button type="button" class="below main" onClick=${() => { const log = document.querySelector(".log"); log.scrollTop = log.scrollHeight; }}>
    <${Icon} path=${icons.down} size="16" />${n ? `${n} new` : "To the end"}</button>`;
});

const Typing = view(() => {
  const who = current.value.typing.value.map((t) => t.nick);
  return html`<p class="typing soft small" aria-live="polite">${who.length > 2 ? "Several people are typing…" : who.length ? `${who.join(" and ")} ${who.length > 1 ? "are" : "is"} typing…` : ""}</p>`;
});

// What stands around it

class Composer extends Component {
  hold = (box) => { this.box = box; };
  shouldComponentUpdate(next) { return next.room !== this.props.room || next.locked !== this.props.locked; }
  componentDidMount() { this.focus(); }
  componentDidUpdate() { this.focus(); }
  focus() { if (matchMedia("(hover: hover)").matches) this.box.querySelector("textarea").focus(); }
  grow(box) {
    box.style.height = "auto";
    box.style.height = Math.min(box.scrollHeight + 2, 180) + "px";
  }
  send(event) {
    event.preventDefault();
    const box = this.box.querySelector("textarea"), text = box.value.trim();
    if (!text) return;
    watching.value = true;
    say(this.props.room, text);
    box.value = "";
    this.grow(box);
    box.focus();
  }
  render({ room, locked }) {
    const key = (e) => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) this.send(e); };
    return html`<form ref=${this.hold} class="composer" onSubmit=${(e) => this.send(e)}>
      <textarea rows="1" maxlength="8000" enterkeyhint="send" aria-label="Message to ${room.title}" placeholder=${locked ? "The room is locked" : `Message ${room.title}`} disabled=${locked}
        onKeyDown=${key} onInput=${(e) => { this.grow(e.target); typed(room, e.target.value !== ""); }}></textarea>
      <button class="main" aria-label="Send" disabled=${locked}><${Icon} path=${icons.send} /></button></form>`;
  }
}

const toggle = (name) => {
  panel.value = panel.value === name ? null : name;
  if (panel.value === "rooms") lookAround();
};

const Head = view(() => {
  const room = current.value;
  return html`<div class="head-row">
    <button type="button" class="plain narrow" aria-label="Rooms" aria-expanded=${panel.value === "rooms"} onClick=${() => toggle("rooms")}><${Icon} path=${icons.menu} /><${Elsewhere} /></button>
    <h1 class="cut grow">${room.peer ? "" : html`<span class="soft">#</span>`}${room.title} ${room.locked.value && html`<${Icon} path=${icons.lock} size="15" />`}</h1>
    ${admin.value && !room.peer && html`<button type="button" class="plain small" onClick=${() => order("lock", { room: room.name, posting: room.locked.value ? "all" : "admin" }).catch(tell)}>${room.locked.value ? "Unlock" : "Lock"}</button>`}
    <button type="button" class="plain" aria-label="Search" aria-expanded=${panel.value === "search"} onClick=${() => toggle("search")}><${Icon} path=${icons.search} /></button>
    <button type="button" class="plain" aria-label="People, ${room.members.value.length}" aria-expanded=${panel.value === "people"} onClick=${() => toggle("people")}><${Icon} path=${icons.people} /><span class="num">${room.members.value.length}</span></button>
  </div>`;
});

const unreadElsewhere = computed(() => rooms.value.reduce((n, r) => n + (r === current.value ? 0 : r.unread.value), 0));
const Elsewhere = view(() => unreadElsewhere.value > 0 && html`<span class="badge">${unreadElsewhere.value}</span>`);

const Room = view(({ room }) => {
  const n = room.unread.value, here = room === current.value;
  return html`<li class="row ${here ? "here" : ""}"><button type="button" class="plain grow room" aria-current=${here && "true"} onClick=${() => { panel.value = null; enter(room.name); }}>
      <span class="soft">${room.peer ? "@" : "#"}</span><span class="cut grow">${room.title}</span>
      ${n > 0 && html`<span class="badge ${room.mentioned.value ? "loud" : ""}">${n}<span class="quiet"> unread</span></span>`}</button>
    ${room.name !== "lobby" && html`<button type="button" class="plain close" aria-label="Leave ${room.title}" onClick=${() => leave(room)}><${Icon} path=${icons.close} size="14" /></button>`}</li>`;
});

const join = (event) => {
  event.preventDefault();
  const name = new FormData(event.target).get("room").trim().replace(/^#/, "");
  if (!name) return;
  event.target.reset();
  panel.value = null;
  enter(name);
};

const Rooms = view(() => {
  const open = new Set(rooms.value.map((r) => r.name));
  const others = known.value.filter((r) => !open.has(r.room));
  return html`<aside class="rooms ${panel.value === "rooms" ? "open" : ""}" aria-label="Rooms">
    <h2 class="soft small">Rooms</h2>
    <ul>${rooms.value.filter((r) => !r.peer).map((room) => html`<${Room} key=${room.name} room=${room} />`)}
      ${others.map(({ room, direct: peer }) => html`<li key=${room}><button type="button" class="plain room soft" onClick=${() => { panel.value = null; enter(room, peer); }}><span>${peer ? "@" : "#"}</span><span class="cut grow">${peer ?? room}</span><span class="small">open</span></button></li>`)}</ul>
    <form class="row" onSubmit=${join}><input name="room" aria-label="Room to open" placeholder="Open a room…" maxlength="64" autocomplete="off" /></form>
    ${rooms.value.some((r) => r.peer) && html`<h2 class="soft small">Direct</h2><ul>${rooms.value.filter((r) => r.peer).map((room) => html`<${Room} key=${room.name} room=${room} />`)}</ul>`}
    <button type="button" class="plain me" onClick=${() => { naming.value = true; }}><${Avatar} name=${nick.value} /><span class="cut">${nick.value}</span><span class="soft small">change</span></button>
  </aside>`;
});

const Person = ({ who, room }) => html`<li class="row">
  <${Avatar} name=${who} /><span class="cut grow">${who}${who === nick.value && html` <span class="soft small">you</span>`}</span>
  ${who !== nick.value && html`<button type="button" class="plain small" onClick=${() => { panel.value = null; direct(who).catch(tell); }}>Message</button>`}
  ${admin.value && who !== nick.value && html`<button type="button" class="plain danger small" onClick=${() => order("kick", { room: room.name, nick: who, minutes: 10 }).catch(tell)}>Kick</button>`}</li>`;

const People = view(() => {
  const room = current.value;
  return html`<aside class="people ${panel.value === "people" ? "open" : ""}" aria-label="People">
    <h2 class="soft small">Here now</h2>
    <ul>${[...room.members.value].sort((a, b) => a.localeCompare(b)).map((who) => html`<${Person} key=${who} who=${who} room=${room} />`)}</ul></aside>`;
});

const found = signal(null); // null, [messages] or an error

async function goTo({ room: name, seq }) {
  panel.value = null;
  await enter(name);
  const room = current.peek();
  await older(room, seq).catch(tell);
  setTimeout(() => {
    const line = document.querySelector(`[data-seq="${seq}"]`);
    line?.scrollIntoView({ block: "center" });
    line?.animate?.([{ background: "var(--tint)" }, {}], 2000);
  }, 50);
}

const Search = view(() => {
  if (panel.value !== "search") return null;
  const look = async (event) => {
    event.preventDefault();
    const text = new FormData(event.target).get("text").trim();
    found.value = text ? await search(text).catch((e) => e) : null;
  };
  const list = found.value;
  return html`<aside class="search open" aria-label="Search">
    <form class="row" role="search" onSubmit=${look}><input type="search" name="text" aria-label="Search the rooms you are in" placeholder="Search your rooms" ref=${(box) => box?.focus()} />
      <button type="button" class="plain" aria-label="Close the search" onClick=${() => toggle("search")}><${Icon} path=${icons.close} /></button></form>
    <div role="status" class="soft small">${list instanceof Error ? list.message : list && `${list.length || "No"} ${list.length === 1 ? "message" : "messages"} found`}</div>
    <ul>${Array.isArray(list) && list.map((m) => html`<li key=${m.room + m.seq}><button type="button" class="plain hit" onClick=${() => goTo(m)}>
      <span class="soft small">${m.nick} in ${m.room}${m.time && `, ${new Date(m.time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`}</span><span>${m.text}</span></button></li>`)}</ul></aside>`;
});

const naming = signal(!nick.peek());

const Name = view(() => html`<div class="page name"><form class="card" onSubmit=${(e) => {
  e.preventDefault();
  const name = new FormData(e.target).get("nick").trim();
  if (!name) return;
  nick.value = name;
  naming.value = false;
  start();
}}>
  <${Icon} path=${chatIcon} size="34" /><h1>What should others call you?</h1>
  <p class="soft">Anybody on this network may join. No account, and ${status.value?.name ?? "this device"} keeps what is said.</p>
  <label>Your name<input name="nick" maxlength="40" autocomplete="nickname" required value=${nick.value} ref=${(box) => box?.focus()} /></label>
  <button class="main">Join the chat</button></form></div>`);

const Chat = view(() => {
  if (naming.value) return html`<${Name} />`;
  const room = current.value;
  if (!room) return html`<div class="chat-grid"><${Rooms} /></div>`;
  const unsent = outbox.value.filter((m) => m.room === room.name).map((m) => ({ ...m, nick: nick.value }));
  return html`<div class="chat-grid">
    <${Rooms} />
    <section class="talk" aria-label=${room.title}>
      <${Head} />
      ${refused.value && html`<p class="note warning" role="alert">${refused.value} <button type="button" class="link" onClick=${() => { refused.value = null; }}>Close</button></p>`}
      <div class="log-box"><${Log} room=${room} unsent=${unsent} held=${room.messages.value} /><${Below} /></div>
      <${Typing} />
      <${Composer} room=${room} locked=${room.locked.value && !admin.value} />
    </section>
    <${People} /><${Search} />
    ${panel.value && html`<button type="button" class="veil" aria-label="Close" onClick=${() => { panel.value = null; }} />`}
  </div>`;
});

show(Chat);
refreshStatus().catch(() => {});

effect(() => {
  const n = rooms.value.reduce((sum, r) => sum + r.unread.value, 0);
  document.title = `${n ? `(${n}) ` : ""}${current.value?.title ?? "Chat"}${status.value ? ` · ${status.value.name}` : ""}`;
});

document.addEventListener("visibilitychange", () => {
  const room = current.peek();
  if (!document.hidden && room && watching.peek()) room.see();
});

addEventListener("keydown", (e) => {
  if (e.key === "Escape") panel.value = null;
  if (e.key === "k" && (e.ctrlKey || e.metaKey)) {
    e.preventDefault();
    toggle("search");
  }
  if (e.altKey && (e.key === "ArrowUp" || e.key === "ArrowDown")) {
    e.preventDefault();
    const all = rooms.value, step = e.key === "ArrowUp" ? -1 : 1;
    enter(all[(all.indexOf(current.value) + step + all.length) % all.length].name);
  }
});
