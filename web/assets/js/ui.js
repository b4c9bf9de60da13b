// What every page is made of: vnodes that follow signals, and small parts.
import { Component, h, render as draw } from "../vendor/preact.mjs";
import { batch, computed, effect, signal, untracked } from "../vendor/signals-core.mjs";
import htm from "../vendor/htm.mjs";

export { Component, batch, computed, effect, signal, untracked };
export const html = htm.bind(h);

// view makes a component of a function; it draws again when a signal that the
// function has read changes.
export function view(body) {
  return class extends Component {
    render(props) {
      this.stop?.();
      let vnode, drawn = false;
      this.stop = effect(() => {
        if (drawn) return void this.setState({});
        vnode = body(props);
        drawn = true;
      });
      return vnode;
    }
    componentWillUnmount() { this.stop?.(); }
  };
}

// show puts a component where the page has the element with this id.
export function show(component, id = "main") {
  const place = document.getElementById(id);
  place.replaceChildren();
  draw(h(component), place);
}

// stored is a signal that survives a reload, where the browser lets it.
export function stored(key, initial) {
  key = "appliance." + key;
  let value = initial;
  try { value = JSON.parse(localStorage.getItem(key)) ?? initial; } catch {}
  const kept = signal(value);
  effect(() => {
    try { localStorage.setItem(key, JSON.stringify(kept.value)); } catch {}
  });
  return kept;
}

// token is random and works over plain http, where crypto.randomUUID does not.
export function token() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
}

export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const box = document.createElement("textarea"); // plain http has no clipboard
  box.value = text;
  document.body.append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
}

export class Copy extends Component {
  render({ text, label = "Copy" }, { done }) {
    const click = async () => {
      await copy(text);
      this.setState({ done: true });
      setTimeout(() => this.setState({ done: false }), 1500);
    };
    return html`<button type="button" onClick=${click}>${done ? "Copied" : label}<span class="quiet" role="status">${done && "Copied"}</span></button>`;
  }
}

export const Snippet = ({ text }) => html`<div class="snippet"><pre tabindex="0"><code>${text}</code></pre><${Copy} text=${text} /></div>`;

// Icon draws a path in a square of 24.
export const Icon = ({ path, size = 18 }) => html`<svg viewBox="0 0 24 24" width=${size} height=${size} fill="none" stroke="currentColor"
  stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${path} /></svg>`;

export const chatIcon = "M4 5h16v11H9l-5 4z";
export const busIcon = "M3 12h4l3-7 4 14 3-7h4";

// api speaks JSON with the appliance, and sends files as they are; a refusal
// becomes an Error with its hint.
export async function api(path, method = "GET", body) {
  const json = body !== undefined && !(body instanceof Blob);
  const answer = await fetch("/api/v1/" + path, {
    method,
    headers: json ? { "Content-Type": "application/json" } : {},
    body: json ? JSON.stringify(body) : body,
  });
  const text = await answer.text();
  let value;
  try { value = text ? JSON.parse(text) : {}; } catch { value = text; }
  if (answer.ok) return value;
  throw Object.assign(new Error(value.detail || value.title || answer.statusText), { code: answer.status, hint: value.hint });
}

// status is what the appliance says about itself.
export const status = signal(null);

export async function refreshStatus() {
  status.value = await api("status");
}

effect(() => {
  if (status.value) document.getElementById("name").textContent = status.value.name;
});

export const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

// shortClock leaves out the half of the day: it stands below a time that has it.
export const shortClock = (time) => clock(time).replace(/\s?[AP]M$/i, "");

export function span(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function bytes(n) {
  const step = Math.min(4, Math.floor(Math.log2(Math.max(n, 1)) / 10));
  return `${+(n / 1024 ** step).toFixed(step ? 1 : 0)} ${["B", "KiB", "MiB", "GiB", "TiB"][step]}`;
}
