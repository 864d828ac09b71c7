// Drives the unmodified npm `phoenix` client for the tests: the package named as argument, so that
// one driver does for all of its versions.
//
// Reads one JSON command a line on stdin, {id, do, ...}, and writes JSON lines on stdout:
// {id, ok} or {id, error} answers a command; {event, topic, payload} is a push that arrived;
// {socket: "open" | "closed"} and {topic, joined} tell of the connection. An ArrayBuffer is written
// as {bytes: <base64>}, both ways. Nothing here knows what the server should do: the Python tests
// decide.
import { createInterface } from "node:readline";
import { client, cut, transportOf } from "./transports.mjs";

const { Socket } = client;

const written = (_name, value) =>
  value instanceof ArrayBuffer ? { bytes: Buffer.from(value).toString("base64") } : value;
const say = (line) => process.stdout.write(JSON.stringify(line, written) + "\n");
const read = (payload) =>
  payload.bytes === undefined ? payload : Uint8Array.from(Buffer.from(payload.bytes, "base64")).buffer;

let socket = null;
const renewals = new Map(); // ref -> id
const channels = new Map(); // topic -> {channel, view, cursor}

// Where `tokens` are given, each connection takes the next of them, and the last one for good.
function connect({ url, token, tokens, subprotocol, transport, options }) {
  const next = () => (tokens.length > 1 ? tokens.shift() : tokens[0]);
  const params = tokens ? () => ({ token: next() }) : { token };
  const auth = subprotocol ? { authToken: token } : { params };
  socket = new Socket(url, { ...auth, transport: transportOf(transport), ...options });
  socket.onMessage(({ topic, event, payload, ref }) => {
    if (topic !== "phoenix") return;
    if (event !== "phx_reply") say({ event, topic, payload });
    else if (renewals.has(ref)) {
      const { status, response } = payload;
      say({ id: renewals.get(ref), [status]: response });
    }
  });
  socket.onOpen(() => say({ socket: "open" }));
  socket.onClose((event) => say({ socket: "closed", code: event.code }));
  socket.connect();
}

// Joins with these params, to which `after` is added once a payload had an `n`: the last one seen.
// Tells of every join and of every event.
function join({ id, topic, params }) {
  let after = null;
  const channel = socket.channel(topic, () => (after === null ? params : { ...params, after }));
  channels.set(topic, { channel });
  channel.onMessage = (event, payload) => {
    if (Number.isInteger(payload?.n)) after = payload.n;
    if (!event.startsWith("phx_") && !event.startsWith("chan_")) say({ event, topic, payload });
    return payload;
  };
  channel.onError(() => say({ topic, joined: false }));
  channel.onClose(() => say({ topic, left: true }));
  channel
    .join()
    .receive("ok", (response) => say({ topic, joined: true, response }))
    .receive("error", (response) => say({ topic, refused: true, response }));
  say({ id, ok: null });
}

// A viewer of a sale, written as an application would write it: a snapshot replaces the view, an
// event changes it, and every payload's cursor is remembered for the next join.
function watch({ id, topic, recover }) {
  const state = { view: {}, cursor: null, joins: 0, seen: [] };
  const params = () => (recover && state.cursor ? { cursor: state.cursor } : {});
  const channel = socket.channel(topic, params);
  state.channel = channel;
  channels.set(topic, state);
  channel.on("stock_changed", (payload) => {
    state.view[payload.listing] = payload.stock;
    state.cursor = payload.cursor;
    state.seen.push(payload.cursor);
    say({ event: "stock_changed", topic, payload });
  });
  channel.on("shout", (payload) => say({ event: "shout", topic, payload }));
  channel.onError(() => say({ topic, joined: false }));
  channel
    .join()
    .receive("ok", (response) => {
      if (response.snapshot) {
        state.view = {};
        for (const each of response.snapshot.listings) state.view[each.id] = each.stock;
      }
      if (response.snapshot || !state.cursor) state.cursor = response.cursor;
      state.joins += 1;
      if (state.joins === 1) say({ id, ok: response });
      say({ topic, joined: true, response });
    })
    .receive("error", (response) => say({ id, error: response }))
    .receive("timeout", () => say({ id, error: { code: "timeout" } }));
}

// A topic with history, written as an application would write it: the cursor of each message is in
// its ref, and the newest one seen goes into the next join. Tells of each with its ref.
function follow({ id, topic, event }) {
  const state = { cursor: null };
  const params = () => ({ cursors: true, ...(state.cursor && { cursor: state.cursor }) });
  const channel = socket.channel(topic, params);
  channels.set(topic, { channel });
  for (const name of [event, "reload"])
    channel.on(name, (payload, ref) => {
      state.cursor = ref;
      say({ event: name, topic, payload, ref });
    });
  channel.onError(() => say({ topic, joined: false }));
  channel.join().receive("ok", (response) => {
    if (!response.recovered) state.cursor = response.cursor;
    say({ topic, joined: true, response });
  });
  say({ id, ok: null });
}

function push({ id, topic, event, payload, status }) {
  channels
    .get(topic)
    .channel.push(event, read(payload))
    .receive(status ?? "ok", (response) => say({ id, ok: response }))
    .receive("error", (response) => say({ id, error: response }))
    .receive("timeout", () => say({ id, error: { code: "timeout" } }));
}

// A new token for the whole connection, on the socket's own topic.
function renew({ id, token }) {
  const ref = socket.makeRef();
  renewals.set(ref, id);
  socket.push({ topic: "phoenix", event: "access_token", payload: { access_token: token }, ref });
}

const commands = {
  connect: (command) => {
    connect(command);
    say({ id: command.id, ok: null });
  },
  join,
  follow,
  watch,
  push,
  renew,
  cast: ({ id, topic, event, payload }) => {
    channels.get(topic).channel.push(event, read(payload));
    say({ id, ok: null });
  },
  leave: ({ id, topic }) =>
    channels
      .get(topic)
      .channel.leave()
      .receive("ok", () => say({ id, ok: null })),
  view: ({ id, topic }) => {
    const { view, cursor, seen, joins } = channels.get(topic);
    say({ id, ok: { view, cursor, seen, joins } });
  },
  cut: ({ id }) => {
    cut();
    say({ id, ok: null });
  },
  disconnect: ({ id }) => socket.disconnect(() => say({ id, ok: null })),
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));
