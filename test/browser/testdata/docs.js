const { execFile, spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const WebSocket = require("ws");
const { accessible, assert, check, fits, phone, play, until, url } = require("./stage.js");

const here = new URL(url);

// run gives what a program prints, and ends it after a while: examples that
// watch have no end of their own.
function run(program, args, wait = 10000) {
  return new Promise((resolve) => execFile(program, args, { timeout: wait, env: process.env }, (error, stdout, stderr) => resolve({ error, stdout, stderr })));
}

// watches runs a program that has no end of its own until it has printed a
// value that is published meanwhile.
async function watches(program, args, topic, expected) {
  const child = spawn(program, args);
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => { printed += data; });
  try {
    await until(`${program} prints ${expected}`, async () => {
      await fetch(`${url}/api/v1/topics/${topic}`, { method: "POST", body: "7" });
      await new Promise((later) => setTimeout(later, 200));
      return printed.includes(expected);
    });
  } catch (e) {
    throw new Error(`${e.message}; it printed ${printed}`);
  } finally {
    child.kill();
  }
}

play(async ({ person }) => {
  const page = await person();
  await page.goto(url + "/docs/");
  await page.waitForSelector(".choice");

  // example finds what stands in a section in one language.
  const example = (section, language) => page.evaluate(([section, language]) => {
    let at = document.getElementById(section);
    while (!at.matches(".langs, .snippet")) at = at.nextElementSibling;
    return (language ? at.querySelector(`.snippet[data-lang="${language}"] code`) : at.querySelector("code")).textContent;
  }, [section, language]);

  await check("every example has this device's address", async () => {
    const all = await page.$$eval("pre code", (codes) => codes.map((c) => c.textContent));
    assert(all.length > 20, "found " + all.length);
    assert(!all.some((text) => text.includes("server22.local:8080")), "one has another address");
    assert((await example("publish", "ESP32, Socket.IO")).includes(`"${here.hostname}", ${here.port}`), "the ESP32's example has not");
  });

  await check("a language is chosen once for all", async () => {
    await page.click("#publish ~ .langs button:text-is('Python')");
    const shown = await page.$$eval(".langs .snippet:not([hidden])", (all) => all.map((s) => s.dataset.lang));
    assert(shown.every((l) => l === "Python"), shown.join());
  });

  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "docs-"));
  const file = (name, text) => { fs.writeFileSync(path.join(folder, name), text); return path.join(folder, name); };
  const node = (text) => {
    fs.mkdirSync(path.join(folder, "node_modules"), { recursive: true });
    const link = path.join(folder, "node_modules", "socket.io-client");
    if (!fs.existsSync(link)) fs.symlinkSync(path.dirname(require.resolve("socket.io-client/package.json")), link);
    return file("example.mjs", text);
  };

  await check("curl: what stands there works", async () => {
    const first = (await example("publish", "curl")).split("\n").filter((l) => l.startsWith("curl"));
    const answers = [];
    for (const line of first) answers.push(await run("sh", ["-c", line.replace("curl ", "curl -sSf ")]));
    assert(answers.every((a) => !a.error), answers.map((a) => a.stderr).join());
    assert(JSON.parse(answers[2].stdout).on === true, "the retained value is " + answers[2].stdout);
  });

  await check("curl: the chat", async () => {
    const [post, get] = (await example("speak", "curl")).split("\n");
    const said = await run("sh", ["-c", post.replace("curl ", "curl -sSf ")]);
    assert(!said.error, said.stderr + said.stdout);
    const read = await run("sh", ["-c", get.replace("curl ", "curl -sSf ")]);
    assert(JSON.parse(read.stdout).messages.at(-1).text === "hello", read.stdout);
  });

  await check("curl: the stream", async () => {
    const line = (await example("watch", "curl")).split("\n").find((l) => l.startsWith("curl -N") && l.includes("stream=json"));
    await watches("sh", ["-c", line.replace("curl ", "exec curl -sS ")], "lab/streamed", '"topic":"lab/streamed","data":7');
  });

  await check("Node: publish, watch, chat", async () => {
    const published = await run("node", [node(await example("publish", "Node"))]);
    assert(/published as \d+/.test(published.stdout), published.stderr + published.stdout);
    await watches("node", [node(await example("watch", "Node"))], "lab/node", "lab/node 7");
    const chat = await run("node", [node(await example("speak", "Node"))], 6000);
    assert(chat.stdout.includes("here:"), chat.stderr + chat.stdout);
  });

  await check("Python: publish, watch, chat", async () => {
    const published = await run("/usr/bin/python3", [file("publish.py", await example("publish", "Python"))], 20000);
    assert(published.stdout.includes("seq"), published.stderr.split("\n").slice(-3).join(" ") + published.stdout);
    await watches("/usr/bin/python3", [file("watch.py", await example("watch", "Python"))], "lab/python", "lab/python 7");
    const chat = await run("/usr/bin/python3", [file("chat.py", await example("speak", "Python"))], 20000);
    assert(chat.stdout.includes("seq"), chat.stderr.split("\n").slice(-3).join(" ") + chat.stdout);
  });

  await check("Go: publish, watch", async () => {
    const build = async (name) => {
      const program = path.join(folder, name);
      // In the module's folder, so that the imports are those of this tree.
      const built = await run("go", ["build", "-C", path.join(__dirname, "..", "..", ".."), "-o", program, file("example.go", await example(name, "Go"))], 80000);
      assert(!built.error, built.stderr);
      return program;
    };
    const published = await run(await build("publish"), []);
    assert(published.stderr.includes("seq:"), published.stderr + published.stdout);
    await watches(await build("watch"), [], "lab/go", "lab/go 7");
  });

  // The sketches are for machines that we do not have: what their libraries
  // send is said byte for byte, with what stands in the sketch.
  const frames = async (path, hello, sketch, pattern) => {
    const literal = sketch.match(pattern)[1];
    const text = literal.replaceAll(/" \+ String\([^"]*\) \+ "/g, "36.5").replaceAll('\\"', '"');
    JSON.parse(text.slice(text.search(/[[{]/)));
    const heard = [];
    const ws = new WebSocket(`ws://${here.host}${path}`);
    ws.onmessage = ({ data }) => heard.push(data);
    await new Promise((open, failed) => { ws.onopen = open; ws.onerror = failed; });
    if (hello) {
      await until("the server's hello", () => heard.some((m) => m[0] === "0"));
      ws.send(hello);
      await until("the server's welcome", () => heard.some((m) => m.startsWith("40")));
    }
    ws.send((hello ? "42" : "") + text);
    await until("the value is there", async () => (await (await fetch(url + "/api/v1/topics/lab/temp")).text()) === "36.5");
    ws.close();
  };

  await check("ESP32, Socket.IO: the frames of its library", async () => {
    await fetch(url + "/api/v1/topics/lab/temp", { method: "DELETE" });
    await frames("/socket.io/?EIO=4&transport=websocket", "40/", await example("publish", "ESP32, Socket.IO"), /sendEVENT\("(.*)"\);/);
  });

  await check("ESP32, WebSocket: the frame", async () => {
    await fetch(url + "/api/v1/topics/lab/temp", { method: "DELETE" });
    await frames("/ws", "", await example("publish", "ESP32, WebSocket"), /message = "(.*)";/);
  });

  await check("Browser: the plain WebSocket", async () => {
    const script = (await example("watch", "Browser")).match(/<script>([^]*)<\/script>/)[1];
    const seen = [];
    const visitor = await person();
    visitor.on("console", (m) => seen.push(m.text()));
    await visitor.goto(url + "/docs/");
    await visitor.evaluate(script);
    await until("the value arrives", async () => {
      await fetch(url + "/api/v1/topics/lab/ws", { method: "POST", body: "3" });
      return seen.some((text) => text === "lab/ws 3");
    });
  });

  await check("the licences are there", async () => {
    const text = await (await fetch(url + (await page.getAttribute("#licences + p a", "href")))).text();
    assert(["preact", "htm", "uplot", "socket.io-client"].every((name) => text.includes(name)), text.slice(0, 100));
  });

  await check("axe finds nothing serious", () => accessible(page));
  await check("a phone in the dark", async () => {
    const small = await person(phone);
    await small.goto(url + "/docs/");
    await small.waitForSelector(".choice");
    await fits(small);
    await accessible(small);
  });
  fs.rmSync(folder, { recursive: true });
});
