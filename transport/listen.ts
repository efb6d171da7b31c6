/**
 * Listening at an address (shared/address.ts), with a server of node:net or node:http. On vsock the connections come from
 * the native addon and are handed to the server as its own "connection" events, which is how the documentation of both
 * modules has servers take streams of any kind.
 */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import type { Server } from "node:net";
import type { Address } from "../shared/address.js";
import { formatAddress } from "../shared/address.js";
import { ServiceError } from "../shared/errors.js";
import type { VsockServer } from "../vsock/index.js";
import { createServer, VsockSocket } from "../vsock/index.js";
import { connectTo, openable } from "./connect.js";

type Unix = Extract<Address, { kind: "unix" }>;
type Vsock = Extract<Address, { kind: "vsock" }>;

export interface ListenOptions {
  /**
   * Whether a connection of this CID is taken, which has `open` others; else it is closed before a byte is read. Unix
   * sockets have no CID: their file's mode says who may connect. Nothing rests on it: a process at the right CID need not
   * be the right process.
   */
  readonly allowPeer: (cid: number, open: number) => boolean;
}

/** What listens. */
export interface Listening {
  /** Takes no more connections, and closes the server; resolves when the last one has ended, however often it is called. */
  close(): Promise<void>;
}

/** Connections that the kernel holds until they are accepted; beyond it a client's connect fails and is tried again. */
const BACKLOG = 1_024;
/** How long a socket file's owner has to accept, before `listenAt` takes the address for one in use. */
const PROBE_DEADLINE_MS = 1_000;

/**
 * Makes `server` listen at `address`. Its limits on connections hold as elsewhere; its later errors (accept) are the
 * caller's to listen to, on the server. A Unix socket's file belongs to its owner alone (mode 0600) and goes away when the
 * server closes; a file that an ended process left behind is replaced, one on which somebody answers, or which is no
 * socket, is left alone.
 * @throws ServiceError ERR_ADDRESS.
 */
export async function listenAt(server: Server, address: string | Address, options: ListenOptions): Promise<Listening> {
  const target = openable(address);
  return target.kind === "unix" ? listenOnUnix(server, target) : listenOnVsock(server, target, options);
}

/** The CID that a connection comes from; undefined for one that is not over vsock. */
export const peerCidOf = (connection: unknown): number | undefined =>
  connection instanceof VsockSocket ? connection.remoteCid : undefined;

async function listenOnVsock(server: Server, address: Vsock, { allowPeer }: ListenOptions): Promise<Listening> {
  const acceptor = createServer({ allowHalfOpen: true, pauseOnConnect: false });
  if (server.maxConnections) acceptor.maxConnections = server.maxConnections;
  const open = new OpenByPeer();
  acceptor.on("connection", (socket: VsockSocket) => {
    const { remoteCid: cid } = socket;
    if (cid === undefined || !allowPeer(cid, open.of(cid))) {
      socket.destroy();
      return;
    }
    open.add(cid, 1);
    socket.once("close", () => open.add(cid, -1));
    server.emit("connection", socket);
  });
  try {
    await listenOnce(acceptor, (): void => void acceptor.listen({ ...address, backlog: BACKLOG }));
  } catch (cause) {
    throw cannotListen(address, cause);
  }
  acceptor.on("error", (error) => void server.emit("error", error));
  server.emit("listening"); // node:http begins to look for requests that take too long
  return closingOnce(() => {
    const ended = new Promise<void>((resolve) => acceptor.close(() => resolve()));
    server.close(ignoreNotListening); // of its own it has nothing to close but idle connections and timers
    return ended;
  });
}

/** How many connections each CID has open; of one that has none, nothing is kept. */
class OpenByPeer {
  readonly #counts = new Map<number, number>();

  of(cid: number): number {
    return this.#counts.get(cid) ?? 0;
  }

  add(cid: number, change: 1 | -1): void {
    const count = this.of(cid) + change;
    if (count > 0) this.#counts.set(cid, count);
    else this.#counts.delete(cid);
  }
}

/** Who closes again waits for the same end: the servers themselves would say at once that they do not run. */
function closingOnce(close: () => Promise<void>): Listening {
  let ended: Promise<void> | undefined;
  return {
    close: () => {
      ended ??= close();
      return ended;
    },
  };
}

const ignoreNotListening = (): undefined => undefined;

async function listenOnUnix(server: Server, address: Unix): Promise<Listening> {
  const { path } = address;
  const listen = (): Promise<void> => listenOnce(server, () => listenOnPath(server, path));
  try {
    await listen();
  } catch (error) {
    if (!hasCode(error, "EADDRINUSE")) throw cannotListen(address, error);
    await removeStaleSocket(path);
    await listen().catch((second: unknown) => {
      throw cannotListen(address, second);
    });
  }
  return closingOnce(() => new Promise((resolve) => server.close(() => resolve())));
}

function listenOnPath(server: Server, path: string): void {
  server.listen({ path });
  // The file is made before `listen` returns. Whoever lacks write permission cannot connect, so with the usual umask
  // nobody else could at any time; this also holds with an open one.
  if (server.listening) chmodSync(path, 0o600);
}

function listenOnce(server: Server | VsockServer, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onListening = (): void => {
      server.off("error", onError);
      resolve();
    };
    const onError = (error: Error): void => {
      server.off("listening", onListening);
      reject(error);
    };
    server.once("listening", onListening).once("error", onError);
    listen();
  });
}

async function removeStaleSocket(path: string): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file === undefined) return; // its owner closed in the meantime
  if (!file.isSocket()) throw new ServiceError("ERR_ADDRESS", `expected a socket or nothing at ${path}`);
  if (await answers(path)) throw new ServiceError("ERR_ADDRESS", `another process listens at unix:${path}`);
  unlinkSync(path);
}

/** Whether a process holds the socket at `path`; a full backlog or missing permission counts as one. */
async function answers(path: string): Promise<boolean> {
  try {
    const probe = await connectTo({ kind: "unix", path }, { deadlineMs: PROBE_DEADLINE_MS });
    probe.destroy();
    return true;
  } catch (error) {
    const cause = error instanceof ServiceError ? error.cause : undefined;
    return !hasCode(cause, "ECONNREFUSED") && !hasCode(cause, "ENOENT");
  }
}

const cannotListen = (address: Address, cause: unknown): ServiceError =>
  new ServiceError("ERR_ADDRESS", `cannot listen at ${formatAddress(address)}`, { cause });

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
