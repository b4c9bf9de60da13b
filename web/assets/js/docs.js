// The documentation: fills in this device's address, and shows each example
// in the language that the reader has chosen.
import { copy, effect, refreshStatus, stored } from "./ui.js";
import { link } from "./link.js";

const language = stored("docs", "curl");

// In the text stands server22.local:8080; whoever reads it has another address.
const { hostname, host, port } = location;
for (const code of document.querySelectorAll("pre code")) {
  code.textContent = code.textContent
    .replaceAll("server22.local:8080", host)
    .replaceAll('"server22.local", 8080', `"${hostname}", ${port || 80}`);
}

for (const pre of document.querySelectorAll("article pre")) {
  const frame = document.createElement("div"), button = document.createElement("button");
  frame.className = "snippet";
  frame.dataset.lang = pre.dataset.lang ?? "";
  button.type = "button";
  button.textContent = "Copy";
  button.onclick = async () => {
    await copy(pre.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  pre.tabIndex = 0;
  pre.replaceWith(frame);
  frame.append(pre, button);
}

for (const group of document.querySelectorAll(".langs")) {
  const names = [...group.children].map((frame) => frame.dataset.lang);
  const choice = document.createElement("div");
  choice.className = "choice row";
  choice.setAttribute("role", "group");
  choice.setAttribute("aria-label", "Language");
  const buttons = names.map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain small";
    button.textContent = name;
    button.onclick = () => { language.value = name; };
    return button;
  });
  choice.append(...buttons);
  group.prepend(choice);
  effect(() => {
    const shown = names.includes(language.value) ? language.value : names[0];
    buttons.forEach((b) => b.setAttribute("aria-pressed", b.textContent === shown));
    group.querySelectorAll(".snippet").forEach((s) => { s.hidden = s.dataset.lang !== shown; });
  });
}

// Where the reader is, in the contents.
const places = [...document.querySelectorAll(".contents a")];
const seen = new IntersectionObserver((entries) => {
  const top = entries.find((e) => e.isIntersecting);
  if (top) places.forEach((a) => a.setAttribute("aria-current", a.hash === "#" + top.target.id));
}, { rootMargin: "0px 0px -70% 0px" });
document.querySelectorAll("article h2").forEach((h) => seen.observe(h));

refreshStatus().then(() => { link.value = "connected"; }, () => { link.value = "offline"; });
