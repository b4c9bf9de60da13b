// The state of the connection, as the header shows it.
import { effect, html, show, signal, view } from "./ui.js";

// link is "connecting", "connected", "waiting" (for `wait` seconds) or
// "offline"; retry is what to do when somebody does not want to wait.
export const link = signal("connecting");
export const wait = signal(0);
export const retry = signal(null);

const words = { connecting: "Connecting…", connected: "Connected", offline: "Offline" };
const colours = { connecting: "warn", connected: "good", waiting: "warn", offline: "bad" };

// The pill counts down for the eye; the live region speaks only of changes.
const Pill = view(() => {
  const now = link.value;
  const text = now === "waiting" ? `Reconnecting in ${wait.value} s` : words[now];
  const inside = html`<i class="dot ${colours[now]}" /><span class="text num">${text}</span>`;
  return html`
    ${now === "waiting" || now === "offline"
      ? html`<button type="button" class="pill" title="${text}. Try now" onClick=${retry.value}>${inside}</button>`
      : html`<span class="pill" title=${text}>${inside}</span>`}
    <span class="quiet" role="status">${now === "waiting" ? "Connection lost, reconnecting" : text}</span>`;
});

show(Pill, "link");
effect(() => {
  document.body.dataset.link = link.value;
  if (link.value !== "connecting") document.body.classList.toggle("lost", link.value !== "connected");
});
