// The transports of the npm client under test, each of which a test can cut as a network would be.
//
// `client` is the package named as argument. Node has WebSocket and fetch; the client before 1.8
// polls with XMLHttpRequest alone, so for that one there is as much of it as it uses.
import { createRequire } from "node:module";

const name = process.argv[2] ?? "phoenix";
globalThis.self = globalThis; // where the client looks for what a browser has
export const client = createRequire(import.meta.url)(name);

// Keeps a handle on the one in use.
let live = null;
class Cuttable extends WebSocket {
  constructor(...args) {
    super(...args);
    live = this;
  }
}

// Requests under way: what ends each as a network does that vanishes.
const underWay = new Set();
const { fetch } = globalThis;
globalThis.fetch = (...args) =>
  new Promise((resolve, reject) => {
    underWay.add(reject);
    fetch(...args)
      .then(resolve, reject)
      .finally(() => underWay.delete(reject));
  });

class Request {
  headers = {};
  aborting = new AbortController();
  open(method, url) {
    Object.assign(this, { method, url });
  }
  setRequestHeader(key, value) {
    this.headers[key] = value;
  }
  send(body) {
    const { method, headers } = this;
    const { signal } = this.aborting;
    globalThis
      .fetch(this.url, { method, headers, body: body ?? undefined, signal })
      .then((response) => response.text())
      .then((text) => {
        Object.assign(this, { readyState: 4, responseText: text });
        this.onreadystatechange();
      })
      .catch(() => signal.aborted || this.onerror());
  }
  abort() {
    this.aborting.abort();
  }
}
if (/1\.[67]$/.test(name)) globalThis.XMLHttpRequest = Request;

export const transportOf = (which) => (which === "longpoll" ? client.LongPoll : Cuttable);

// The client is told of nothing but an abnormal closure, or of requests that failed.
export function cut() {
  if (live?.readyState === WebSocket.OPEN) live.close(3001, "cut by the test");
  for (const reject of underWay) reject(new TypeError("cut by the test"));
}
