// Shows who is in a topic with the unmodified npm `Presence`: the package named as argument.
//
// Reads one JSON command a line on stdin, {id, do, ...}, and writes JSON lines on stdout: {id, ok}
// or {id, error} answers a command; {joined: key} and {left: key} are what `onJoin` and `onLeave`
// are called with for a key that is new or gone; {there: {key: metas}, refs} is the list after each
// `onSync`; {counted} is a large topic's.
import { createInterface } from "node:readline";
import { client, cut, transportOf } from "./transports.mjs";

const { Presence, Socket } = client;

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

let channel = null;

function join({ id, url, token, transport, topic, params }) {
  const socket = new Socket(url, { params: { token }, transport: transportOf(transport) });
  socket.connect();
  channel = socket.channel(topic, params);
  const presence = new Presence(channel);
  presence.onJoin((key, current) => current || say({ joined: key }));
  presence.onLeave((key, current) => current.metas.length || say({ left: key }));
  presence.onSync(() => {
    const people = presence.list((key, { metas }) => [key, metas]);
    const there = Object.fromEntries(people.map(([key, metas]) => [key, metas.length]));
    const refs = people.flatMap(([, metas]) => metas.map((meta) => meta.phx_ref));
    say({ there, refs: refs.sort() });
  });
  channel.on("presence_count", ({ count }) => say({ counted: count }));
  let joins = 0;
  channel
    .join()
    .receive("ok", (response) => (joins++ ? say({ rejoined: joins }) : say({ id, ok: response })))
    .receive("error", (response) => say({ id, error: response }));
}

const commands = {
  join,
  push: ({ id, event, payload }) =>
    channel
      .push(event, payload)
      .receive("ok", (response) => say({ id, ok: response }))
      .receive("error", (response) => say({ id, error: response })),
  leave: ({ id }) => channel.leave().receive("ok", () => say({ id, ok: null })),
  cut: ({ id }) => {
    cut();
    say({ id, ok: null });
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));
