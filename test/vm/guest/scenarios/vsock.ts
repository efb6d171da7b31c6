/**
 * AF_VSOCK itself, between sockets of this guest. Peers of another CID there are none on loopback: that the parent turns such
 * connections away is tested without a kernel, and for the hardware checklist.
 */
import { equal, match, ok } from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { connectTo } from "../../../../transport/connect.js";
import type { VsockSocket } from "../../../../vsock/index.js";
import { VMADDR_CID_LOCAL as CID, connect, createServer, VMADDR_PORT_ANY } from "../../../../vsock/index.js";
import type { Check } from "../checks.js";
import { failureOf } from "../stage.js";

const execute = promisify(execFile);

const CLOSED_PORT = 4_999;
const CLIENTS = 50;
const ECHOED_BYTES = 16 * 1024 * 1024;

export const vsockChecks: readonly Check[] = [
  {
    name: "what the addon's own tests check on a real AF_VSOCK",
    deadlineMs: 60_000,
    async run() {
      const folder = fileURLToPath(new URL("../vsock", import.meta.url));
      const program = fileURLToPath(new URL("./real-vsock.mjs", import.meta.url));
      const { stdout } = await execute(process.execPath, [program, folder]).catch((error: { stdout: string }) => error);
      const failed = stdout.split("\n").filter((line) => line.startsWith("FAILED"));
      equal(failed.join("; "), "");
      match(stdout, /^ok /);
    },
  },
  {
    name: "a port on which nobody listens is ECONNRESET, and ERR_ADDRESS by address",
    async run() {
      const { code, error } = await failureOf(opened(connect({ cid: CID, port: CLOSED_PORT, retries: 0 })));
      equal(code, "ECONNRESET");
      equal(String(error), `Error: connect ECONNRESET vsock://${CID}:${CLOSED_PORT}`);
      const refused = await failureOf(connectTo(`vsock://${CID}:${CLOSED_PORT}`, { deadlineMs: 10_000 }));
      equal(refused.code, "ERR_ADDRESS");
    },
  },
  {
    name: "a CID that there is not is ENODEV",
    run: async () => equal((await failureOf(opened(connect({ cid: 77, port: CLOSED_PORT })))).code, "ENODEV"),
  },
  {
    name: `${CLIENTS} clients of a listener with a backlog of 1 all connect, because what was reset is tried again`,
    run: () =>
      withServer(
        { backlog: 1 },
        (socket) => void socket.resume(),
        async (port) => {
          const connectAll = async (retries?: number) => {
            const sockets = Array.from({ length: CLIENTS }, () =>
              connect({ cid: CID, port, retries, timeoutMs: 10_000 }),
            );
            const outcomes = await Promise.allSettled(sockets.map(opened));
            for (const socket of sockets) socket.destroy();
            return outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason.code] : []));
          };
          const once = await connectAll(0);
          ok(once.length > 0 && once.every((code) => code === "ECONNRESET"), `without another try: ${once}`);
          equal((await connectAll()).length, 0);
        },
      ),
  },
  {
    name: "half-close by the client: what comes after its end arrives",
    run: () =>
      withServer(
        {},
        async (socket) => socket.end(`got ${await received(socket)}`),
        async (port) => {
          const socket = connect({ cid: CID, port, allowHalfOpen: true });
          socket.end("all");
          equal(await received(socket), "got all");
        },
      ),
  },
  {
    name: "half-close by the server: what the client sends after that arrives",
    async run() {
      let last: Promise<string> | undefined;
      const serve = (socket: VsockSocket): void => {
        last = received(socket);
        socket.end("done");
      };
      await withServer({}, serve, async (port) => {
        const socket = connect({ cid: CID, port, allowHalfOpen: true });
        equal(await received(socket), "done");
        socket.end("still here");
        equal(await last, "still here");
      });
    },
  },
  {
    name: "16 MiB come back from an echo as they were sent",
    deadlineMs: 30_000,
    run: () =>
      withServer(
        {},
        (socket) => void socket.pipe(socket),
        async (port) => {
          const sent = randomBytes(ECHOED_BYTES);
          const socket = connect({ cid: CID, port, allowHalfOpen: true });
          const received = createHash("sha256");
          await Promise.all([pipeline(Readable.from([sent]), socket, { end: true }), pipeline(socket, received)]);
          equal(received.read().toString("hex"), createHash("sha256").update(sent).digest("hex"));
          equal(socket.bytesRead, ECHOED_BYTES);
        },
      ),
  },
];

async function opened(socket: VsockSocket): Promise<void> {
  await once(socket, "connect");
}

/** All that comes until the peer's end, as text. Not by iteration, which destroys a stream when it ends. */
async function received(socket: VsockSocket): Promise<string> {
  const parts: Buffer[] = [];
  socket.on("data", (part) => parts.push(part));
  await once(socket, "end");
  return String(Buffer.concat(parts));
}

/** Runs `use` with the port of a server, which is closed in the end. */
async function withServer(
  options: { readonly backlog?: number },
  serve: (socket: VsockSocket) => unknown,
  use: (port: number) => Promise<void>,
): Promise<void> {
  const server = createServer({ allowHalfOpen: true }, serve);
  server.listen({ cid: CID, port: VMADDR_PORT_ANY, ...options });
  await once(server, "listening");
  await use(server.address()?.port ?? 0);
  server.close();
}
