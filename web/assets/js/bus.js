// The data bus page: what is said on which topic, right now and before.
import { busIcon, Copy, effect, html, Icon, refreshStatus, show, signal, Snippet, span, status, stored, view } from "./ui.js";
import { ask } from "./live.js";
import { link } from "./link.js";
import { publishing, watching } from "./lines.js";
import { colour, csv, label, Plot, Spark, under } from "./plot.js";
import { filter, flow, fold, folded, history, number, numbers, paused, print, resume, root, rounded, rows, shape, socket, topics, waiting } from "./topics.js";

const chosen = signal(null); // the topic that is looked at
const pins = signal([]); // series that stay on the plot: {topic, path}
const shown = signal(new Map()); // series that were switched on or off; else the first few are on
const sent = stored("published", []); // {topic, text, retain, persist}, newest first
const draft = signal({ topic: "", text: "", retain: false, persist: false });
const language = stored("language", "curl");
const notice = signal(null); // {text, bad}

const rate = (n) => (n >= 10 ? Math.round(n) : n.toFixed(1)) + "/s";
const time = (t) => new Date(t).toLocaleTimeString();
const value = (text) => { try { return JSON.parse(text); } catch { return text; } };

// A refusal is told; nothing fails in silence.
async function attempt(work, done) {
  try {
    const answer = await work();
    notice.value = { text: done(answer) };
  } catch (e) {
    notice.value = { bad: true, text: `${e.message}${e.hint ? `. ${e.hint}` : ""}` };
  }
}

function choose(topic) {
  chosen.value = topic;
  notice.value = null;
  if (!topic) return;
  draft.value = { ...draft.peek(), topic: topic.name };
  if (socket.connected) history(topic).catch(() => {});
}

// The tree

const Row = view(({ node }) => {
  const { topic } = node, closed = folded.value.has(node.path) && !filter.value;
  const seen = topic?.seen.value, here = topic && chosen.value === topic;
  const open = () => (topic ? choose(topic) : fold(node.path));
  return html`<div role="treeitem" class="node ${here ? "here" : ""} ${topic?.stale.value ? "stale" : ""}" tabindex=${here || (!chosen.value && node === rows.value[0]) ? 0 : -1} data-path=${node.path}
    aria-level=${node.depth} aria-selected=${!!here} aria-expanded=${node.children.size ? !closed : undefined} style=${{ "--depth": node.depth - 1 }} onClick=${open}>
    <span class="fold" onClick=${(e) => { if (node.children.size) { e.stopPropagation(); fold(node.path); } }}>${node.children.size > 0 && (closed ? "▸" : "▾")}</span>
    <span class="level cut">${node.level || html`<i>empty</i>`}</span>
    ${topic
      ? html`<span class="value mono cut grow ${seen > 1 ? `flash${seen % 2}` : ""}">${seen > 0 && print(topic.last.data)}</span>
        ${topic.retained && html`<span class="tag" title="Retained: new subscribers get it at once">R<span class="quiet">etained</span></span>`}
        <${Spark} topic=${topic} /><span class="rate soft num">${topic.stale.value ? html`<span class="warn">stale</span>` : topic.rate.value > .05 && rate(topic.rate.value)}</span>`
      : html`<span class="soft small grow">${closed && `${node.children.size} below`}</span>`}
  </div>`;
});

function steer(event) {
  const all = rows.value, at = all.findIndex((n) => n.path === event.target.dataset.path), node = all[at];
  if (!node) return;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) event.currentTarget.querySelectorAll("[role=treeitem]")[to]?.focus();
  else if (event.key === "ArrowRight") fold(node.path, false);
  else if (event.key === "ArrowLeft") fold(node.path, true);
  else if (event.key === "Enter" || event.key === " ") event.target.click();
  else return;
  event.preventDefault();
}

const Tree = view(() => {
  const all = rows.value;
  if (topics.size === 0) return html`<div class="empty"><${Icon} path=${busIcon} size="36" /><p>No values yet.</p><${Snippet} text=${`curl -d 21.5 ${location.origin}/api/v1/topics/lab/temp`} /></div>`;
  if (all.length === 0) return html`<div class="empty"><p>No topic matches “${filter.value}”.</p></div>`;
  return html`<div class="tree" role="tree" aria-label="Topics" onKeyDown=${steer}>${all.map((node) => html`<${Row} key=${node.path} node=${node} />`)}</div>`;
});

const Tools = view(() => html`<div class="tools row">
  <input type="search" class="grow" aria-label="Filter topics" placeholder="Filter: text, or lab/+/temp" value=${filter.value} onInput=${(e) => { filter.value = e.target.value; }} />
  <button type="button" aria-pressed=${paused.value} onClick=${() => (paused.value ? resume() : (paused.value = true))}><${Icon} path=${paused.value ? "M7 5l12 7-12 7z" : "M8 5v14M16 5v14"} size="15" />${paused.value ? html`Resume <span class="num">(${waiting.value} waiting)</span>` : "Pause"}</button>
</div>`);

const Summary = view(() => {
  shape.value;
  return html`<p class="summary soft small num">${topics.size} ${topics.size === 1 ? "topic" : "topics"} · ${flow.value > 0 ? rate(flow.value) : "quiet"}</p>`;
});

// What is known of a topic

const key = (s) => `${s.topic}\n${s.path}`;

const Pointed = view(() => under.value && time(under.value[0] * 1000));

// A series' name and colour, its value under the pointer or now, and a switch.
const Legend = view(({ s, name, at, flip }) => html`<label class="row" style=${{ "accent-color": colour(at) }}><input type="checkbox" checked=${at >= 0} onChange=${flip} />
  ${name} <b class="num">${at >= 0 && rounded(under.value ? under.value[at + 1] : number(topics.get(s.topic).last.data, s.path))}</b></label>`);

const Series = view(({ topic }) => {
  topic.seen.value;
  const own = numbers(topic.last.data).map(([path]) => ({ topic: topic.name, path }));
  const pinned = pins.value.filter((p) => p.topic !== topic.name);
  const all = [...own, ...pinned], drawn = all.filter((s, i) => shown.value.get(key(s)) ?? i < 3);
  if (all.length === 0) return null;
  const flip = (s) => { shown.value = new Map(shown.peek()).set(key(s), !drawn.includes(s)); };
  const isPinned = pins.value.some((p) => p.topic === topic.name);
  const pin = () => { pins.value = isPinned ? pins.value.filter((p) => p.topic !== topic.name) : [...pins.value, ...drawn.filter((s) => s.topic === topic.name)]; };
  const save = () => {
    const a = document.createElement("a");
    a.href = URL.createObjectURL(new Blob([csv(drawn)], { type: "text/csv" }));
    a.download = `${topic.name.replaceAll("/", "-")}.csv`;
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 1000);
  };
  return html`<section aria-label="Plot">
    ${drawn.length > 0 && topic.values.length > 1 && html`<${Plot} series=${drawn} />`}
    <div class="row small legend"><span class="soft num"><${Pointed} /></span>
      ${all.map((s) => html`<${Legend} key=${key(s)} s=${s} name=${s.topic === topic.name && s.path ? s.path : label(s)} at=${drawn.indexOf(s)} flip=${() => flip(s)} />`)}
      <span class="row actions"><button type="button" class="plain small" aria-pressed=${isPinned} onClick=${pin}>${isPinned ? "Unpin" : "Pin to compare"}</button>
        <button type="button" class="plain small" onClick=${save}>CSV</button></span></div></section>`;
});

const History = view(({ topic }) => {
  topic.seen.value;
  const newest = topic.values.slice(-50).reverse();
  return html`<details class="history"><summary>History (${topic.values.length})</summary>
    <div class="scroll" tabindex="0" role="region" aria-label="History"><table><thead><tr><th>Time</th><th>Seq</th><th>Value</th></tr></thead>
    <tbody>${newest.map((v) => html`<tr key=${v.seq}><td class="num soft">${time(v.time)}</td><td class="num soft">${v.seq}</td><td class="mono">${print(v.data, 0, { exact: true })}</td></tr>`)}</tbody></table></div></details>`;
});

const Lines = view(({ lines }) => html`<div class="lines">
  <select aria-label="Language" onChange=${(e) => { language.value = e.target.value; }}>${Object.keys(lines).map((name) => html`<option selected=${name === language.value}>${name}</option>`)}</select>
  <${Snippet} text=${lines[language.value]} /></div>`);

// The form that follows keeps its place while values arrive above it.
const Now = view(({ topic }) => {
  topic.seen.value;
  const { data, time: at, seq } = topic.last, text = print(data, 2);
  const clear = () => attempt(() => ask(socket, "clear", { topic: topic.name }), () => {
    topic.retained = false;
    topic.seen.value++;
    return "The retained value is gone.";
  });
  return html`<div class="now card">
    <pre tabindex="0" class=${text.length < 24 ? "big" : ""} aria-label="Value">${text}</pre>
    <div class="row soft small num"><span>seq ${seq}</span><span>${time(at)}</span><span>${topic.seen.value} seen</span>${topic.rate.value > .05 && html`<span>${rate(topic.rate.value)}</span>`}${topic.stale.value && html`<span class="warn">silent for ${span((Date.now() - topic.at) / 1000)}</span>`}
      <span class="grow" />${topic.retained && html`<button type="button" class="plain small" onClick=${clear}>Clear retained</button>`}<${Copy} text=${print(data, 2, { exact: true })} /></div></div>`;
});

const Detail = view(() => {
  const topic = chosen.value;
  if (!topic) return html`<div class="empty"><p>Choose a topic to see its value, its history and its plot.</p></div>`;
  return html`<div class="row title"><button type="button" class="plain narrow" aria-label="Back to the topics" onClick=${() => choose(null)}>←</button>
      <h1 class="grow">${topic.name}</h1></div>
    ${topic.seen.value > 0 && html`<${Now} topic=${topic} /><${Series} topic=${topic} /><${History} topic=${topic} />`}
    <details><summary>The line that watches it</summary><${Lines} lines=${watching(topic.name)} /></details>`;
});

// Publishing

function publish(event) {
  event?.preventDefault();
  const { topic, text, retain, persist } = draft.peek();
  attempt(() => ask(socket, "publish", { topic, data: value(text), ...(retain && { retain }), ...(persist && { persist }) }), ({ seq }) => {
    sent.value = [draft.peek(), ...sent.peek().filter((d) => d.topic !== topic || d.text !== text)].slice(0, 20);
    if (retain && topics.get(topic)) topics.get(topic).retained = true;
    return `Published${seq ? ` as ${seq}` : ""}.`;
  });
}

const kind = (data) => (data === null ? "null" : Array.isArray(data) ? "an array" : { number: "a number", string: "text", boolean: "a boolean", object: "an object" }[typeof data]);

const Publish = view(() => {
  const now = draft.value, set = (change) => { draft.value = { ...draft.peek(), ...change }; };
  return html`<section class="card publish" aria-labelledby="publish"><h2 id="publish">Publish</h2>
    <form onSubmit=${publish}>
      <label>Topic<input required class="mono" value=${now.topic} placeholder="lab/lamp" autocapitalize="off" autocomplete="off" spellcheck="false" onInput=${(e) => set({ topic: e.target.value })} /></label>
      <label>Value ${now.text && html`<span class="soft">${kind(value(now.text))}</span>`}<textarea rows="2" class="mono" value=${now.text} placeholder='21.5 or {"on": true} or text' spellcheck="false"
        onInput=${(e) => set({ text: e.target.value })} onKeyDown=${(e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) publish(e); }}></textarea></label>
      <div class="row"><label class="row"><input type="checkbox" checked=${now.retain} onChange=${(e) => set({ retain: e.target.checked })} />Retain</label>
        <label class="row"><input type="checkbox" checked=${now.persist} onChange=${(e) => set({ persist: e.target.checked })} />Durable</label><span class="grow" />
        <button class="main" disabled=${link.value !== "connected"}>Publish</button></div>
      <p class="small ${notice.value?.bad ? "bad" : "soft"}" role="status">${notice.value?.text}</p></form>
    ${now.topic && html`<details><summary>The line that does the same</summary><${Lines} lines=${publishing(now.topic, value(now.text), now.retain, now.persist)} /></details>`}
    ${sent.value.length > 0 && html`<details><summary>Last published (${sent.value.length})</summary><ul class="sent">${sent.value.map((d) => html`<li class="row" key=${d.topic + d.text}>
      <button type="button" class="plain grow" onClick=${() => set(d)}><span class="mono cut">${d.topic}</span><span class="mono cut soft">${d.text}</span></button>
      <button type="button" class="plain small" onClick=${() => { set(d); publish(); }}>Again</button></li>`)}</ul></details>`}
  </section>`;
});

show(view(() => html`<div class="bus-grid ${chosen.value ? "chosen" : ""}">
  <section class="topics" aria-label="Topics"><${Tools} /><${Summary} /><div class="tree-box"><${Tree} /></div></section>
  <section class="detail" aria-label="Topic"><${Detail} /><${Publish} /></section></div>`));
refreshStatus().catch(() => {});

effect(() => { document.title = `${chosen.value?.name ?? "Data bus"}${status.value ? ` · ${status.value.name}` : ""}`; });
