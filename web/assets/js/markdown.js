// A subset of Markdown as vnodes: never markup, so HTML stays text.
import { html } from "./ui.js";

const emoji = {
  smile: "😄", grin: "😁", joy: "😂", wink: "😉", blush: "😊", heart_eyes: "😍", thinking: "🤔", neutral: "😐", cry: "😢", sob: "😭",
  angry: "😠", scream: "😱", sunglasses: "😎", tada: "🎉", rocket: "🚀", fire: "🔥", heart: "❤️", star: "⭐", sparkles: "✨", zap: "⚡",
  "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", clap: "👏", wave: "👋", pray: "🙏", muscle: "💪", ok_hand: "👌", eyes: "👀",
  check: "✅", x: "❌", warning: "⚠️", question: "❓", bulb: "💡", bug: "🐛", coffee: "☕", pizza: "🍕", cake: "🎂", robot: "🤖",
  sun: "☀️", rain: "🌧️", snow: "❄️", thermometer: "🌡️", cat: "🐱", dog: "🐶", bell: "🔔", clock: "🕒", wrench: "🔧", satellite: "📡",
};

const inline = new RegExp([
  /`([^`\n]+)`/, // 1 code
  /\*\*(\S(?:[^\n]*?\S)?)\*\*/, // 2 bold
  /(?<![\w*])\*(\S(?:[^*\n]*\S)?)\*(?![\w*])/, // 3 italic
  /(?<!\w)_(\S(?:[^_\n]*\S)?)_(?!\w)/, // 4 italic
  /~~(\S(?:[^~\n]*\S)?)~~/, // 5 struck
  /\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)/, // 6, 7 link
  /(https?:\/\/[^\s<>"]*[^\s<>".,;:!?)'*_])/, // 8 bare link
  /:([a-z0-9_+-]+):/, // 9 emoji
  /(?<!\w)@([\p{L}\p{N}_-]+)/u, // 10 mention
].map((part) => part.source).join("|"), "gu");

const link = (url, text) => html`<a href=${url} target="_blank" rel="noopener noreferrer nofollow">${text}</a>`;

function spans(text) {
  const parts = [];
  let end = 0;
  for (const m of text.matchAll(inline)) {
    if (m.index > end) parts.push(text.slice(end, m.index));
    end = m.index + m[0].length;
    if (m[1]) parts.push(html`<code>${m[1]}</code>`);
    else if (m[2]) parts.push(html`<strong>${spans(m[2])}</strong>`);
    else if (m[3] || m[4]) parts.push(html`<em>${spans(m[3] || m[4])}</em>`);
    else if (m[5]) parts.push(html`<s>${spans(m[5])}</s>`);
    else if (m[6]) parts.push(link(m[7], m[6]));
    else if (m[8]) parts.push(link(m[8], m[8]));
    else if (m[9]) parts.push(Object.hasOwn(emoji, m[9]) ? emoji[m[9]] : m[0]);
    else parts.push(html`<span class="mention">${m[0]}</span>`);
  }
  if (end < text.length) parts.push(text.slice(end));
  return parts;
}

// markdown gives the vnodes of a message.
export function markdown(text) {
  return text.split(/```(?:\w*\n)?([^]*?)```/).map((part, i) => {
    if (i % 2) return html`<pre><code>${part.replace(/\n$/, "")}</code></pre>`;
    return part.trim() && html`<span>${spans(part.trim())}</span>`;
  });
}

// mentions says whether the text speaks to somebody of that name.
export function mentions(text, nick) {
  const name = nick.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"); // with the flag u nothing else may be escaped
  return nick !== "" && new RegExp(`(?<![\\p{L}\\p{N}_])@?${name}(?![\\p{L}\\p{N}_])`, "iu").test(text);
}
