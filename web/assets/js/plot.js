// Plots: small ones as SVG, big ones by uPlot, which loads when first wanted.
import { Component, clock, effect, html, signal } from "./ui.js";
import { number, numbers, topics } from "./topics.js";

const redraw = 100; // milliseconds between two drawings, at least

let library;

// The one address that this page turns into a script.
function load() {
  const script = document.createElement("script"), address = new URL("../vendor/uplot.js", import.meta.url).href;
  script.src = window.trustedTypes ? trustedTypes.createPolicy("plot", { createScriptURL: () => address }).createScriptURL("") : address;
  document.head.append(script);
  return new Promise((loaded, failed) => {
    script.onload = () => loaded(window.uPlot);
    script.onerror = () => failed(new Error("the plotting library did not load"));
  });
}

// Spark draws the last numbers of a topic, where it has any: the first field of
// an object that has some.
export function Spark({ topic, width = 64, height = 18 }) {
  const [first] = topic.last ? numbers(topic.last.data) : [];
  if (!first) return null;
  const ys = topic.values.slice(-40).map((v) => number(v.data, first[0])).filter((y) => y !== undefined);
  if (ys.length < 2) return null;
  const low = Math.min(...ys), high = Math.max(...ys);
  const points = ys.map((y, i) => `${((i * width) / (ys.length - 1)).toFixed(1)},${(height - 2 - ((y - low) / (high - low || 1)) * (height - 4)).toFixed(1)}`);
  return html`<svg class="spark" width=${width} height=${height} viewBox="0 0 ${width} ${height}" aria-hidden="true"><polyline points=${points.join(" ")} /></svg>`;
}

// points are a series' times in seconds and its values. Several in one
// millisecond stay apart: a plot has one value at a time.
const points = ({ topic, path }) => {
  const held = topics.get(topic)?.values.filter((v) => number(v.data, path) !== undefined) ?? [];
  let last = 0;
  return [held.map((v) => (last = Math.max(v.time / 1000, last + 1e-6))), held.map((v) => number(v.data, path))];
};

// under is what the pointer is at: the time and a value for each series.
export const under = signal(null);

// ticks names the times of an axis as its reader's language does, midnight by its day.
const ticks = (plot, times, axis, space, step) => times.map((t) => {
  const at = new Date(t * 1000);
  if (at.getTime() === new Date(at).setHours(0, 0, 0, 0)) return at.toLocaleDateString([], { day: "numeric", month: "short" });
  return step < 60 ? at.toLocaleTimeString([], { timeStyle: "medium" }) : clock(at);
});

export const label = ({ topic, path }) => (path ? `${topic} ${path}` : topic);
export const colour = (i) => `oklch(${matchMedia("(prefers-color-scheme: dark)").matches ? "78% .13" : "55% .14"} ${(175 + i * 67) % 360})`;

// Plot draws series ({topic, path}) over time, and moves with them.
export class Plot extends Component {
  hold = (box) => { this.box = box; };

  async componentDidMount() {
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", this.build);
    this.size = new ResizeObserver(() => this.plot?.setSize(this.room()));
    this.size.observe(this.box);
    try {
      this.library = await (library ??= load());
      this.build();
    } catch (e) {
      this.setState({ problem: e.message });
    }
  }
  componentDidUpdate(before) {
    if (before.series.map(label).join() !== this.props.series.map(label).join()) this.build();
  }
  componentWillUnmount() {
    this.gone = true;
    this.stop?.();
    this.size.disconnect();
    this.dark.removeEventListener("change", this.build);
    this.plot?.destroy();
  }
  room() { return { width: this.box.clientWidth, height: 240 }; }
  data() { return this.library.join(this.props.series.map(points)); }

  build = () => {
    if (this.gone || !this.library) return;
    this.stop?.();
    this.plot?.destroy();
    const { color, borderTopColor } = getComputedStyle(this.box);
    const axis = { stroke: color, grid: { stroke: borderTopColor, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    this.plot = new this.library({
      ...this.room(),
      series: [{}, ...this.props.series.map((s, i) => ({ label: label(s), stroke: colour(i), width: 2, spanGaps: true, points: { show: false } }))],
      axes: [{ ...axis, size: 32, space: 90, values: ticks }, { ...axis, size: 56 }],
      cursor: { y: false },
      legend: { show: false },
      hooks: { setCursor: [({ cursor: { idx }, data }) => { under.value = idx == null ? null : data.map((column) => column[idx]); }] },
    }, this.data(), this.box);
    let timer;
    this.stop = effect(() => {
      this.props.series.forEach((s) => topics.get(s.topic)?.seen.value);
      timer ??= setTimeout(() => {
        timer = undefined;
        if (!this.gone && !this.plot.select.width) this.plot.setData(this.data(), !this.zoomed());
      }, redraw);
    });
  };
  // zoomed says whether somebody looks at a part: then new values stay outside.
  zoomed() {
    const { min, max } = this.plot.scales.x, xs = this.plot.data[0];
    return xs.length > 1 && (min > xs[0] || max < xs.at(-1));
  }
  render({ series }, { problem }) {
    return html`<div class="plot" role="img" aria-label="Plot of ${series.map(label).join(", ")}" ref=${this.hold}>${problem && html`<p class="bad">${problem}</p>`}</div>`;
  }
}

// csv writes series as a table: one column of time, one for each series.
export function csv(series) {
  const times = new Map();
  series.map(points).forEach(([ts, ys], i) => ts.forEach((t, k) => {
    if (!times.has(t)) times.set(t, Array(series.length).fill(""));
    times.get(t)[i] = ys[k];
  }));
  const cell = (text) => `"${text.replaceAll('"', '""')}"`;
  const rows = [...times].sort(([a], [b]) => a - b).map(([t, ys]) => [new Date(t * 1000).toISOString(), ...ys].join());
  return [["time", ...series.map((s) => cell(label(s)))].join(), ...rows].join("\n") + "\n";
}
