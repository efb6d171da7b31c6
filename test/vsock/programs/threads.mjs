/**
 * Threads that end in every state: idle, with open sockets, listening, connecting, in the middle of a write, with a request to
 * the NSM under way; some by themselves, some terminated. Prints "done" when the process is none the worse.
 */
import { once } from "node:events";
import { openSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { connect, createServer, nsmRequest, VMADDR_PORT_ANY } from "../../../dist/vsock/index.js";
import { loadAddon } from "../../../dist/vsock/native.js";

loadAddon(process.env.VSOCK_TEST_ADDON);

async function listen() {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy()).pipe(socket);
  }).listen({ cid: 1, port: VMADDR_PORT_ANY });
  await once(server, "listening");
  return server;
}

async function echo(endpoint, text) {
  const socket = connect({ ...endpoint, allowHalfOpen: true });
  socket.end(text);
  let back = "";
  for await (const part of socket) back += part;
  if (back !== text) throw new Error("the echo differs");
}

const ROLES = {
  /** Echoes until it is terminated. */
  server: async () => parentPort.postMessage((await listen()).address()),
  /** Ends by itself, with nothing open. */
  client: async (endpoint) => {
    await echo(endpoint, "a thread".repeat(100_000));
    parentPort.postMessage("echoed");
  },
  /** Ends with everything open. */
  messy: async (endpoint) => {
    await listen();
    const writing = connect(endpoint).on("error", () => undefined);
    await once(writing, "connect");
    writing.pause().write(Buffer.alloc(8_000_000));
    connect(endpoint).on("error", () => undefined);
    for (let count = 0; count < 20; count += 1)
      nsmRequest(openSync("/dev/null"), Buffer.alloc(9)).catch(() => undefined);
    parentPort.postMessage("open");
    if (endpoint.exit) process.exit(0);
  },
};

async function start(role, endpoint) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { role, endpoint } });
  const [message] = await once(worker, "message");
  return { worker, message };
}

if (!isMainThread) await ROLES[workerData.role](workerData.endpoint);
else {
  const { worker: server, message: endpoint } = await start("server");
  const clients = await Promise.all([start("client", endpoint), start("client", endpoint)]);
  await Promise.all(clients.map(({ worker }) => worker.threadId < 0 || once(worker, "exit")));
  for (let round = 0; round < 10; round += 1) {
    const { worker } = await start("messy", { ...endpoint, exit: round % 2 === 0 });
    await worker.terminate();
  }
  await echo(endpoint, "the server still runs");
  await server.terminate();
  const failed = await once(connect({ ...endpoint, retries: 0 }), "error");
  process.stdout.write(failed[0].code === "ECONNREFUSED" ? "done\n" : String(failed[0]));
}
