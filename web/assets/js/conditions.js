// What is wrong, as the home page and the administrator's show it.
import { html } from "./ui.js";

// Conditions are what is wrong, with what helps, and the code that can be read
// out over the phone.
export const Conditions = ({ list }) => list?.map((c) => html`<p class="note ${c.severity}" role=${c.severity === "error" ? "alert" : "status"} key=${c.id}>
  <span class="tag num">${c.code}</span> <strong>${capital(c.text)}.</strong> ${c.hint && html`<span class="soft">${hint(c.hint)}</span>`}
  ${c.id === "name-conflict" && html` <a href="/admin/">Choose another name</a>`}${c.id === "restart" && html` <a href="/admin/#settings">Restart it</a>`}</p>`);

// capital makes a sentence of what a program said.
export const capital = (text) => text[0].toUpperCase() + text.slice(1);

// hint shows commands as such: what is in quotes, or the whole.
function hint(text) {
  if (/^(appliance|systemctl|sudo) /.test(text)) return html`<code>${text}</code>`;
  return text.split(/'([^']+)'/).map((part, i) => (i % 2 ? html`<code>${part}</code>` : part));
}
