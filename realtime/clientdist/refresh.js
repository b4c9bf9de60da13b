// Refreshes the files of this folder from the npm package socket.io that is
// installed in test/node: node refresh.js
const fs = require("fs");
const path = require("path");
const zlib = require("zlib");
const crypto = require("crypto");

const pkg = path.join(__dirname, "../../test/node/node_modules/socket.io");
const dist = path.join(pkg, "client-dist");
const sums = [];
for (const name of fs.readdirSync(dist).sort()) {
  const raw = fs.readFileSync(path.join(dist, name));
  sums.push(crypto.createHash("sha256").update(raw).digest("hex") + "  " + name);
  fs.writeFileSync(path.join(__dirname, name + ".gz"), zlib.gzipSync(raw, { level: 9 }));
  fs.writeFileSync(path.join(__dirname, name + ".br"), zlib.brotliCompressSync(raw, {
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: raw.length },
  }));
}
fs.writeFileSync(path.join(__dirname, "SHA256SUMS"), sums.join("\n") + "\n");
fs.writeFileSync(path.join(__dirname, "VERSION"), require(path.join(pkg, "package.json")).version + "\n");
fs.copyFileSync(path.join(pkg, "LICENSE"), path.join(__dirname, "LICENSE"));
