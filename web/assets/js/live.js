// The connection: one socket a page, back by itself, and honest about it.
import { io } from "../vendor/socket.io.mjs";
import { link, retry, wait } from "./link.js";

const longestWait = 10; // seconds

// open connects to a namespace. It keeps trying, at once when the browser says
// that the network or the page is back.
export function open(namespace, auth) {
  const socket = io(namespace, { auth, reconnection: false, transports: ["websocket", "polling"], tryAllTransports: true });
  let delay = 1, timer;

  const attempt = () => {
    clearInterval(timer);
    if (socket.connected) return;
    link.value = "connecting";
    socket.connect();
  };
  const later = () => {
    clearInterval(timer);
    link.value = navigator.onLine ? "waiting" : "offline";
    wait.value = delay;
    delay = Math.min(delay * 2, longestWait);
    timer = setInterval(() => { if (--wait.value <= 0) attempt(); }, 1000);
  };
  socket.on("connect", () => {
    clearInterval(timer);
    delay = 1;
    link.value = "connected";
  });
  socket.on("connect_error", later);
  socket.on("disconnect", later);
  retry.value = attempt;
  addEventListener("online", attempt);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && link.value !== "connecting") attempt(); });
  return socket;
}

// ask emits and waits for the ack. A refusal throws an error with a code; a
// lost or silent connection throws one without.
export async function ask(socket, event, value, patience = 10000) {
  const answer = await socket.timeout(patience).emitWithAck(event, value);
  if (answer?.error) throw Object.assign(new Error(answer.error.message), answer.error);
  return answer ?? {};
}
