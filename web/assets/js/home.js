// The home page: what this device is, and the ways in.
import { busIcon, bytes, chatIcon, Copy, effect, html, Icon, refreshStatus, show, signal, Snippet, span, status, view } from "./ui.js";
import { Conditions } from "./conditions.js";
import { link, retry, wait } from "./link.js";

const plain = (address) => address.split("/")[0];
const routable = (address) => !address.startsWith("fe80");

const Scan = ({ url }) => html`<figure class="card scan">
  <img src="/api/v1/qr.svg" width="168" height="168" alt="QR code of ${url}" />
  <figcaption><strong>On a phone?</strong> <span class="soft">If the name does not open, scan this.</span><br /><a class="mono" href=${url}>${url}</a></figcaption>
</figure>`;

const Interface = ({ name, mac, up, addresses = [], source }) => html`<tr key=${name}>
  <th scope="row"><i class="dot ${up ? "good" : ""}" /> ${name}<span class="quiet">${up ? ", up" : ", down"}</span></th>
  <td>${addresses.filter(routable).map((a) => html`<div><span class="mono">${plain(a)}</span></div>`)}
    ${addresses.length === 0 && html`<span class="soft">no address</span>`}</td>
  <td class="soft">${source}</td>
  <td class="mono soft">${mac}</td></tr>`;

const Reserve = ({ it }) => {
  const first = it.interfaces?.find((i) => i.mac && i.addresses?.some(routable));
  if (!first) return null;
  return html`<details><summary>Always get the same address</summary>
    <p>In your router's DHCP settings, reserve <code>${plain(first.addresses.find(routable))}</code> for the MAC address <code>${first.mac}</code> <${Copy} text=${first.mac} /></p></details>`;
};

const Device = ({ it }) => html`<section class="card" aria-labelledby="device">
  <h2 id="device">This device</h2>
  <div class="scroll"><table><thead class="quiet"><tr><th>Interface</th><th>Addresses</th><th>From</th><th>MAC</th></tr></thead>
  <tbody>${it.interfaces?.map((i) => html`<${Interface} ...${i} />`)}</tbody></table></div>
  <${Reserve} it=${it} />
  <p class="small soft facts">
    <span>Version ${it.version}</span><span>up ${span(it.uptime)}</span>
    ${it.clients > 0 && html`<span>${it.clients} connected</span>`}
    ${it.store && html`<span>${bytes(it.store.used)} of ${bytes(it.store.max)} kept</span>`}
    ${it.clock === false && html`<span class="warn">the clock was never set</span>`}
  </p></section>`;

const Ways = () => html`<div class="ways">
  <a class="card way" href="/chat/"><${Icon} path=${chatIcon} size="26" /><h2>Chat</h2><p class="soft">Pick a name and talk. Everything said is kept here, on this device.</p></a>
  <a class="card way" href="/bus/"><${Icon} path=${busIcon} size="26" /><h2>Data bus</h2><p class="soft">Watch sensors and programs talk, plot them, and answer.</p></a>
</div>`;

const Home = view(() => {
  const it = status.value;
  if (!it) return html`<div class="page"><h1>Hello.</h1><p class="soft" role="status">${failed.value ?? "Asking the appliance about itself…"}</p></div>`;
  const byAddress = it.urls?.find((u) => /\/\/[\d[]/.test(u));
  return html`<div class="page home-grid">
    <${Conditions} list=${it.conditions} />
    <section class="hero">
      <div class="grow"><h1>${it.name}</h1>
        <p class="lead soft">A place on your network where people, sensors and programs meet. No cloud, no account.</p>
        <${Ways} /></div>
      ${byAddress && html`<${Scan} url=${byAddress} />`}
    </section>
    <section><h2>Send a value from anywhere</h2>
      <${Snippet} text=${`curl -d 21.5 ${location.origin}/api/v1/topics/lab/temp`} />
      <p class="small soft">Then watch it on the <a href="/bus/">bus</a>. <a href="/docs/">The docs</a> have the same for browsers, Node, Python, ESP32 and Go.</p></section>
    <${Device} it=${it} />
    ${it.claim === "unclaimed" && html`<p class="note">Nobody looks after this device yet. <a href="/admin/">Claim it</a> with the code that its screen or <code>appliance admin claim</code> shows.</p>`}
  </div>`;
});

const failed = signal(null);
let timer;

async function refresh() {
  clearTimeout(timer);
  try {
    await refreshStatus();
    link.value = "connected";
  } catch (e) {
    failed.value = `No answer yet: ${e.message}`;
    link.value = navigator.onLine ? "waiting" : "offline";
  }
  wait.value = 5;
  timer = setTimeout(() => document.hidden || refresh(), 5000);
}

retry.value = refresh;
document.addEventListener("visibilitychange", () => document.hidden || refresh());
show(Home);
refresh();
effect(() => { if (status.value) document.title = status.value.name; });
