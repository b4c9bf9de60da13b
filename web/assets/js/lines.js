// The line that does the same elsewhere: for a shell, Node.

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const path = (topic) => topic.split("/").map(encodeURIComponent).join("/");

// payload is the text that means the value: JSON, or the bare string where
// that is not JSON of something else.
function payload(data) {
  if (typeof data !== "string") return JSON.stringify(data);
  try { JSON.parse(data); } catch { return data; }
  return JSON.stringify(data);
}

export function publishing(topic, data, retain, persist) {
  const options = { topic, data, ...(retain && { retain }), ...(persist && { persist }) };
  return {
    curl: `curl ${retain ? "-X PUT " : ""}-d ${shell(payload(data))} ${shell(`${location.origin}/api/v1/topics/${path(topic)}${persist ? "?persist=true" : ""}`)}`,
    appliance: `appliance pub ${retain ? "--retain " : ""}${persist ? "--persist " : ""}${shell(topic)} ${shell(payload(data))}`,
    Node: `import { io } from "socket.io-client";\nconst bus = io("${location.origin}/bus");\nawait bus.emitWithAck("publish", ${JSON.stringify(options)});\nbus.close();`,
  };
}

export function watching(topic) {
  return {
    curl: `curl -N ${shell(`${location.origin}/api/v1/topics/${path(topic)}?stream=json`)}`,
    appliance: `appliance sub ${shell(topic)}`,
    Node: `import { io } from "socket.io-client";\nconst bus = io("${location.origin}/bus");\nbus.on("connect", () => bus.emit("subscribe", { topics: [${JSON.stringify(topic)}] }));\nbus.on("message", ({ data }) => console.log(data));`,
  };
}
