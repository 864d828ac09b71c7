// Heeds a drain with the unmodified npm client and the very lines that docs/protocol.md gives for it;
// the package named as argument.
//
// Reads one JSON command a line on stdin, {id, do: "connect", url, token, topic}, and writes JSON lines
// on stdout: {id, ok} answers; {socket: "open" | "closed", code, reason}, {joined}, {told} and {timer}
// tell what happens: the last is the delay of each timer that is set.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

globalThis.self ??= globalThis; // where clients before 1.7 look for a browser's WebSocket
const { Socket } = createRequire(import.meta.url)(process.argv[2] ?? "phoenix");

const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
const [, lines] = page.match(/```js\n(const usual[^]*?)```/);
const make = new Function("Socket", "url", "token", `${lines}; return socket;`);

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const later = globalThis.setTimeout;
globalThis.setTimeout = (run, delay, ...rest) => {
  say({ timer: delay });
  return later(run, delay, ...rest);
};

function connect({ id, url, token, topic }) {
  const socket = make(Socket, url, token);
  socket.onMessage(({ event, payload }) => event === "drain" && say({ told: payload.reconnect_after_ms }));
  socket.onOpen(() => say({ socket: "open" }));
  socket.onClose(({ code, reason }) => say({ socket: "closed", code, reason }));
  socket.connect();
  socket
    .channel(topic, {})
    .join()
    .receive("ok", () => say({ joined: topic }));
  say({ id, ok: null });
}

createInterface({ input: process.stdin }).on("line", (line) => connect(JSON.parse(line)));
