// The administrator's page: claiming, logging in, and what may be changed.
import { api, bytes, Component, computed, effect, html, refreshStatus, show, signal, span, status, view } from "./ui.js";
import { capital, Conditions } from "./conditions.js";
import { link, retry, wait } from "./link.js";

const every = 3000; // milliseconds between two looks at what is shown

const problem = signal(null);
const done = signal(null);
const place = signal(location.hash.slice(1) || "device");
const data = signal({}); // what the sections have read, by name

// attempt does something for the reader and says how it went.
async function attempt(work, said) {
  problem.value = done.value = null;
  try {
    const answer = await work();
    done.value = said;
    return answer;
  } catch (e) {
    problem.value = e;
  }
}

const Outcome = view(() => html`<div class="outcome" role="status">
  ${problem.value && html`<p class="note error"><strong>${capital(problem.value.message)}.</strong>${problem.value.hint && html` <span class="soft">${capital(problem.value.hint)}.</span>`}</p>`}
  ${done.value && html`<p class="note">${done.value}</p>`}</div>`);

// form runs a submitted form's fields through what is to be done with them.
const form = (work, said) => async (event) => {
  event.preventDefault();
  const target = event.target, fields = Object.fromEntries(new FormData(target));
  await attempt(() => work(fields), said instanceof Function ? said(fields) : said);
  if (!problem.peek()) target.reset();
  refresh();
};

// The way in

const Claim = () => html`<form class="card" onSubmit=${form(({ code, password }) => api("admin/claim", "POST", { code, password }), "This device is yours now.")}>
  <h1>Claim this device</h1>
  <p class="soft">Nobody administrates it yet. Its screen shows a code, and so does <code>appliance admin claim</code> on the device itself.</p>
  <label>Code<input name="code" class="mono" required autocomplete="off" autocapitalize="characters" spellcheck="false" placeholder="ABCD-2345" /></label>
  <label>New password<input name="password" type="password" required minlength="8" autocomplete="new-password" /></label>
  <${Outcome} /><button class="main">Claim</button></form>`;

const Login = () => html`<form class="card" onSubmit=${form(({ password }) => api("admin/login", "POST", { password }))}>
  <h1>Administration</h1>
  <label>Password<input name="password" type="password" required autocomplete="current-password" ref=${(box) => box?.focus()} /></label>
  <${Outcome} /><button class="main">Log in</button>
  <p class="small soft">Forgotten? <code>appliance admin password</code> on the device sets a new one.</p></form>`;

// What may be seen and done

const set = (changes) => api("admin/settings", "PATCH", changes);
const write = (value) => (Array.isArray(value) ? value.join(", ") : String(value ?? ""));

// Whoever came by the old name goes on by the new one.
const renamed = ({ name }) => {
  const next = `${location.protocol}//${name}.local${location.port && ":" + location.port}/admin/`;
  return html`The new name is being announced: <a href=${next}>${next}</a>`;
};

const Device = view(() => {
  const it = status.value;
  return html`<h2>Name</h2>
    <form class="row" onSubmit=${form(({ name }) => set({ name }), renamed)}>
      <input class="name-box" name="name" aria-label="Name" required maxlength="63" defaultValue=${it.wanted} placeholder=${it.wanted} pattern="[A-Za-z0-9]([A-Za-z0-9\\-]*[A-Za-z0-9])?" />
      <span class="soft">.local</span><button>Rename</button></form>
    ${it.name !== it.wanted && html`<p class="note warning"><b>${it.wanted}</b> is taken by another device; this one is <b>${it.name}</b>.</p>`}
    <h2>Condition</h2>
    ${it.conditions?.length ? html`<${Conditions} list=${it.conditions} />` : html`<p class="row soft"><i class="dot good" /> Nothing is wrong.</p>`}
    <dl class="facts"><div><dt>Version</dt><dd>${it.version}</dd></div><div><dt>Up for</dt><dd>${span(it.uptime)}</dd></div>
      ${it.clients !== undefined && html`<div><dt>Realtime clients</dt><dd>${it.clients}</dd></div>`}
      ${it.store && html`<div><dt>Kept on disk</dt><dd>${bytes(it.store.used)} of ${bytes(it.store.max)}<progress max=${it.store.max} value=${it.store.used} aria-label="Disk" /></dd></div>`}</dl>
    <h2>Password</h2>
    <form class="row end" onSubmit=${form((fields) => api("admin/password", "POST", fields), "The password is changed; other sessions have ended.")}>
      <label class="grow">Old<input name="old" type="password" required autocomplete="current-password" /></label>
      <label class="grow">New<input name="password" type="password" required minlength="8" autocomplete="new-password" /></label><button>Change</button></form>
    <p><button type="button" class="plain" onClick=${() => attempt(() => api("admin/logout", "POST")).then(refresh)}>Log out</button></p>`;
});

// Upkeep: the program itself, and what is kept

// File is a form with one file; what it would do is asked once more if that
// cannot be undone.
class File extends Component {
  render({ label, verb, ask, work, accept }, { chosen, sure, busy }) {
    const change = (e) => this.setState({ chosen: e.target.files[0], sure: false });
    const submit = async (event) => {
      event.preventDefault();
      if (ask && !sure) return this.setState({ sure: true });
      const target = event.target;
      this.setState({ busy: true });
      await work(chosen);
      target.reset();
      this.setState({ busy: false, chosen: undefined, sure: false });
      refresh();
    };
    return html`<form class="row" onSubmit=${submit}><input type="file" class="file" aria-label=${label} accept=${accept} required disabled=${busy} onChange=${change} />
      <button class=${sure ? "main" : ""} disabled=${!chosen || busy}>${busy ? "Sending…" : sure ? `Yes, ${verb.toLowerCase()}` : verb}</button>
      ${sure && !busy && html`<span class="warn small" role="alert">${ask}</span>`}</form>`;
  }
}

const byOther = {
  packages: html`The package manager updates this system: <code>apt install ./appliance_VERSION_ARCH.deb</code>`,
  hand: html`This system is not a card of ours: replace the program, and restart it.`,
};

const Update = view(() => {
  const it = data.value.upkeep;
  if (!it) return html`<p class="empty">Reading…</p>`;
  const { last } = it;
  return html`<p class="soft">Version <b>${it.version}</b> runs.${it.way === "bundle" && " A bundle (a file that ends in .update) is checked against the keys of this device; if the new version does not serve within a minute, this one comes back."}</p>
    ${last && html`<p class="note ${last.error ? "warning" : ""}">${last.error ? html`<strong>${last.version} ${last.rolled_back ? "was taken back" : "was not taken"}.</strong> ${last.error}` : html`<strong>${last.version} is in force</strong>`} <span class="soft small">${new Date(last.time).toLocaleString()}</span></p>`}
    ${it.way !== "bundle" ? html`<p class="soft">${byOther[it.way]}</p>`
      : it.state !== "idle" ? html`<p class="note" role="status">A new version is on trial. This page finds its way back by itself.</p>`
        : html`<${File} label="Bundle" verb="Install" accept=".update" work=${(file) => attempt(() => api("admin/update", "PUT", file), "The bundle is good, and goes on trial.")} />`}`;
});

const Upkeep = () => html`<h2>Update</h2><${Update} />
  <h2>Backup</h2><p class="soft">Chat, retained values and settings in one file, taken while everything runs.</p>
  <p><a class="button" href="/api/v1/admin/backup" download>Download a backup</a></p>
  <h2>Restore</h2><p class="soft">Everything is as it was when the backup was made, on this device or another.</p>
  <${File} label="Backup" verb="Restore" ask="What was said since that backup will be gone." work=${(file) => attempt(() => api("admin/backup", "PUT", file), "Everything is as in the backup.")} />
  <h2>Report</h2><p class="soft">What helps to help: status, findings, configuration and the last events, without secrets, as text.</p>
  <p><a class="button" href="/api/v1/admin/report" download>Download a report</a></p>`;

const Table = ({ heads, rows, empty, label }) => (rows.length
  ? html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table><thead><tr>${heads.map((h) => html`<th scope="col">${h}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`
  : html`<p class="empty">${empty}</p>`);

const Sockets = view(() => {
  const list = data.value.sockets?.sockets ?? [];
  const close = (sid) => attempt(() => api(`admin/sockets/${encodeURIComponent(sid)}`, "DELETE"), "Closed.").then(refresh);
  return html`<h2>Connections <span class="soft num">${list.length}</span></h2>
    <${Table} label="Connections" empty="Nobody is connected." heads=${["From", "Who", "Where", "Over", "For", ""]} rows=${list.map((s) => html`<tr key=${s.sid}>
      <th scope="row" class="mono">${s.address}</th><td>${s.nick}</td><td>${s.namespaces?.join(" ")} <span class="soft">${s.rooms?.map((room) => (room.startsWith("direct:") ? "direct" : "#" + room)).join(", ")}</span></td><td class="soft">${s.transport}</td>
      <td class="num soft">${span((Date.now() - s.since) / 1000)}</td><td><button type="button" class="plain danger small" onClick=${() => close(s.sid)}>Close</button></td></tr>`)} />`;
});

const Rooms = view(() => html`<h2>Rooms</h2><${Table} label="Rooms" empty="No room yet." heads=${["Room", "Here now", "Messages kept", ""]}
  rows=${(data.value.rooms?.rooms ?? []).map((r) => html`<tr key=${r.room}><th scope="row"><a href="/chat/#${encodeURIComponent(r.room)}">${r.room}</a></th>
    <td class="num" data-of="here">${r.members}</td><td class="num" data-of="messages">${r.messages}</td><td class="soft">${r.locked && "locked"}</td></tr>`)} />
  <p class="small soft">Delete messages, send somebody out or lock a room in the chat itself.</p>`);

const Lines = ({ title, list }) => html`<div class="card grow"><h3>${title}</h3>${list?.length ? html`<ul class="plain-list mono small">${list.map((line) => html`<li>${line}</li>`)}</ul>` : html`<p class="soft small">nothing</p>`}</div>`;

const Network = view(() => {
  const net = data.value.network;
  if (!net) return html`<h2>Network</h2><p class="empty">Reading…</p>`;
  const change = ({ mode, addresses, gateway, dns }) => {
    const list = (text) => (text ?? "").split(/[\s,]+/).filter(Boolean);
    return api("admin/network", "POST", { mode, ...(mode === "static" && { addresses: list(addresses), gateway, dns: list(dns) }) });
  };
  const answer = (word, said) => () => attempt(() => api(`admin/network/${word}`, "POST"), said).then(refresh);
  return html`<h2>Network <span class="soft">${net.interface}</span></h2>
    ${net.pending > 0 && html`<div class="note warning" role="alert"><p><strong>Are you still there?</strong> The change is taken back in ${net.pending} s unless you keep it.</p>
      <p class="row"><button type="button" class="main" onClick=${answer("confirm", "Kept.")}>Keep it</button><button type="button" onClick=${answer("revert", "Taken back.")}>Take it back</button></p></div>`}
    <div class="row columns"><${Lines} title="Wanted" list=${net.desired} /><${Lines} title="Observed" list=${net.observed} /></div>
    ${net.changes?.length > 0 && html`<${Lines} title="To be changed" list=${net.changes} />`}
    <form class="stack" onSubmit=${form(change, "Applied. Keep it within the time shown, or it is taken back.")} onChange=${(e) => { if (e.target.name === "mode") mode.value = e.target.value; }}>
      <label>Addresses come from<select name="mode" value=${mode.value ?? net.mode}><option value="observe">somebody else; only look</option><option value="dhcp">DHCP</option><option value="static">here, fixed</option></select></label>
      ${(mode.value ?? net.mode) === "static" && html`<label>Addresses<input name="addresses" class="mono" required placeholder="192.168.1.22/24" /></label>
        <label>Gateway<input name="gateway" class="mono" placeholder="192.168.1.1" /></label><label>DNS<input name="dns" class="mono" placeholder="192.168.1.1" /></label>`}
      <button class="main">Apply for a trial</button></form>`;
});

const mode = signal(null);

class Setting extends Component {
  render({ key_: key, value, source, doc, oneof, secret, live }, { open }) {
    const save = (event) => { form((fields) => set({ [key]: fields.value }), live ? `${key} is changed.` : `${key} is changed; it takes effect after a restart.`)(event); this.setState({ open: false }); };
    return html`<tr><td><span class="mono">${key}</span>${!live && html` <span class="tag" title="Takes effect after a restart">restart</span>`}<div class="small soft">${doc}</div></td>
      <td>${open
        ? html`<form class="row" onSubmit=${save}>${oneof?.length ? html`<select name="value" aria-label=${key} value=${write(value)}>${oneof.map((o) => html`<option>${o}</option>`)}</select>` : html`<input name="value" aria-label=${key} class="mono" defaultValue=${write(value)} ref=${(box) => box?.focus()} />`}
            <button class="main">Save</button><button type="button" class="plain" onClick=${() => this.setState({ open: false })}>Cancel</button></form>`
        : html`<span class="mono">${secret ? "•••" : write(value) || html`<span class="soft">empty</span>`}</span>`}</td>
      <td class="soft small">${source}</td>
      <td>${!open && !secret && html`<button type="button" class="plain small" onClick=${() => this.setState({ open: true })}>Change</button>`}
        ${source?.includes("settings.toml") && html`<button type="button" class="plain small" onClick=${() => attempt(() => set({ [key]: null }), `${key} is as before.`).then(refresh)}>Take back</button>`}</td></tr>`;
  }
}

// Waiting says what a restart would change, and restarts.
const Waiting = view(() => {
  const it = status.value.conditions?.find((c) => c.id === "restart");
  const restart = () => attempt(() => api("admin/restart", "POST"), "It restarts, and is back in a moment. Log in again then.").then(refresh);
  return it && html`<div class="note row"><span class="grow"><strong>${capital(it.text)}.</strong></span><button type="button" class="main" onClick=${restart}>Restart now</button></div>`;
});

const Settings = view(() => html`<h2>Settings</h2><p class="soft small">Changes are kept on the device, above its configuration files. Those marked <span class="tag">restart</span> take effect after a restart, all others at once.</p>
  <${Waiting} />
  <${Table} label="Settings" empty="Reading…" heads=${["Setting", "Value", "From", ""]} rows=${(data.value.settings?.settings ?? []).map((s) => html`<${Setting} key=${s.key} key_=${s.key} ...${{ ...s, key: undefined }} />`)} />`);

const events = signal([]);

const Events = view(() => html`<h2>Event log</h2>
  <div class="events" role="log" aria-label="Events" tabindex="0">${events.value.map((e) => html`<p key=${e.id} class=${{ ERROR: "bad", WARN: "warn" }[e.level?.toUpperCase()] ?? ""}>
    <time class="soft num small">${new Date(e.time).toLocaleTimeString()}</time> <span>${e.text}</span> <span class="mono soft">${Object.entries(e.attrs ?? {}).map(([k, v]) => `${k}=${v}`).join(" ")}</span></p>`)}</div>`);

const sections = { device: ["Device", Device], upkeep: ["Upkeep", Upkeep], sockets: ["Connections", Sockets], rooms: ["Rooms", Rooms], network: ["Network", Network], settings: ["Settings", Settings], events: ["Event log", Events] };

// inSight moves a row of links that is wider than the screen.
const inSight = (link) => {
  const row = link?.parentElement;
  if (row) row.scrollLeft = link.offsetLeft - (row.clientWidth - link.offsetWidth) / 2;
};

const Admin = view(() => {
  const it = status.value;
  if (!it) return html`<div class="page soft">Asking the appliance…</div>`;
  if (!it.admin) return html`<div class="page gate"><${it.claim === "unclaimed" ? Claim : Login} /></div>`;
  const [, Section] = sections[place.value] ?? sections.device;
  return html`<div class="desk"><div class="places" role="navigation" aria-label="Administration">${Object.entries(sections).map(([name, [title]]) => html`<a href="#${name}" aria-current=${name === place.value ? "page" : undefined} ref=${name === place.value ? inSight : undefined}>${title}</a>`)}</div>
    <section class="stack" aria-label=${sections[place.value]?.[0]}><${Outcome} /><${Section} /></section></div>`;
});

// Reading again, and only what is shown

async function readSection() {
  const name = place.peek();
  if (name === "events") {
    const { events: news } = await api(`admin/events?after=${events.peek()[0]?.id ?? 0}`);
    if (news.length) events.value = [...news.reverse(), ...events.peek()].slice(0, 1000);
  } else if (name !== "device" && !(name === "settings" && data.peek().settings && document.activeElement?.form)) {
    const answer = await api(`admin/${name === "upkeep" ? "update" : name}`);
    data.value = { ...data.peek(), [name]: answer };
  }
}

let timer;

async function refresh() {
  clearTimeout(timer);
  try {
    await refreshStatus();
    link.value = "connected";
    if (status.peek().admin) {
      // A Raspberry Pi has no clock; the administrator's browser has.
      if (status.peek().clock === false) await api("admin/clock", "POST", { time: Date.now() });
      await readSection();
    }
  } catch (e) {
    if (e.code) problem.value = e;
    else link.value = navigator.onLine ? "waiting" : "offline";
  }
  wait.value = every / 1000;
  timer = setTimeout(() => document.hidden || refresh(), every);
}

retry.value = refresh;
addEventListener("hashchange", () => {
  place.value = location.hash.slice(1) || "device";
  problem.value = done.value = null;
  refresh();
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());
show(Admin);
refresh();
effect(() => { document.title = `${sections[place.value]?.[0] ?? "Admin"}${status.value ? ` · ${status.value.name}` : ""}`; });
