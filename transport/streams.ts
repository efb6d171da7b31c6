/**
 * Streams between parent and enclave, opened by address (shared/address.ts): `unix:/path` for local runs. A
 * `vsock://CID:PORT` address is refused: the native addon that opens one is not part of this version.
 *
 * A stream says nothing about who is at its other end: any process may take a free port or path. What may be trusted is
 * decided above, by TLS under pinned roots and by attestation.
 */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import type { Server } from "node:net";
import { createConnection } from "node:net";
import type { Duplex } from "node:stream";
import type { Address } from "../shared/address.js";
import { formatAddress, parseAddress } from "../shared/address.js";
import type { ErrorCode } from "../shared/errors.js";
import { ServiceError } from "../shared/errors.js";

export interface ConnectOptions {
  /** Time within which the connection must stand. */
  readonly deadlineMs: number;
  /** Gives the attempt up; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** The code under which a peer that cannot be reached is reported; ERR_ADDRESS unless given. */
  readonly failureCode?: ErrorCode | undefined;
}

/** How long a socket file's owner has to accept, before `listenAt` takes the address for one in use. */
const PROBE_DEADLINE_MS = 1_000;

/**
 * Checks, without opening anything, that `address` is one and of a kind that this version can open.
 * @throws ServiceError ERR_ADDRESS
 */
export function assertOpenable(address: string | Address): void {
  unixAddress(address);
}

/**
 * Begins a connection to `address` and returns at once, as node:net does: the stream emits "connect" or "error". For
 * node:http, which wants its sockets so; everybody else takes `connectTo`. Without `allowHalfOpen` the stream closes
 * by itself when the other side has ended.
 * @throws ServiceError ERR_ADDRESS (not an address, or a kind that this version cannot open).
 */
export function openTo(address: string | Address, options: { readonly allowHalfOpen: boolean }): Duplex {
  const { path } = unixAddress(address);
  return createConnection({ path, allowHalfOpen: options.allowHalfOpen });
}

/**
 * Opens a byte stream to `address`. The stream allows half-close: it must be ended by whoever uses it.
 * It does not tell who answered.
 * @throws ServiceError ERR_ADDRESS (not an address, or a kind that this version cannot open), ERR_TIMEOUT (deadline),
 *   `failureCode` with the system's error as its cause (nobody listens, no permission).
 */
export async function connectTo(address: string | Address, options: ConnectOptions): Promise<Duplex> {
  options.signal?.throwIfAborted();
  const socket = openTo(address, { allowHalfOpen: true });
  const failureCode = options.failureCode ?? "ERR_ADDRESS";
  const name = typeof address === "string" ? address : formatAddress(address);
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      settle();
      socket.on("error", ignoreAfterFailure);
      socket.destroy();
      reject(error);
    };
    const onError = (cause: Error): void =>
      fail(new ServiceError(failureCode, `expected a listener at ${name}`, { cause }));
    const onAbort = (): void => fail(options.signal?.reason);
    const onConnect = (): void => {
      settle();
      resolve(socket);
    };
    const timer = setTimeout(
      () => fail(new ServiceError("ERR_TIMEOUT", `no connection to ${name} within ${options.deadlineMs} ms`)),
      options.deadlineMs,
    );
    const settle = (): void => {
      clearTimeout(timer);
      socket.off("error", onError).off("connect", onConnect);
      options.signal?.removeEventListener("abort", onAbort);
    };
    socket.once("error", onError).once("connect", onConnect);
    options.signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** A socket that lost its attempt may still report an error; the attempt's own error has been told already. */
const ignoreAfterFailure = (): undefined => undefined;

/**
 * Makes `server` (of node:net or node:http) listen at `address`; the socket's file belongs to its owner alone (mode 0600)
 * and goes away when the server closes. A file that an ended process left behind is replaced; one on which somebody
 * answers, or which is no socket, is left alone. The server's later errors (accept) are the caller's to listen to.
 * @throws ServiceError ERR_ADDRESS.
 */
export async function listenAt(server: Server, address: string | Address): Promise<void> {
  const { path } = unixAddress(address);
  try {
    await listenOnce(server, path);
  } catch (error) {
    if (!hasCode(error, "EADDRINUSE")) throw cannotListen(path, error);
    await removeStaleSocket(path);
    await listenOnce(server, path).catch((second: unknown) => {
      throw cannotListen(path, second);
    });
  }
}

function listenOnce(server: Server, path: string): Promise<void> {
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
    server.listen({ path });
    // The file is made before `listen` returns. Whoever lacks write permission cannot connect, so with the usual umask
    // nobody else could at any time; this also holds with an open one.
    if (server.listening) chmodSync(path, 0o600);
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

function unixAddress(address: string | Address): Extract<Address, { kind: "unix" }> {
  const parsed = typeof address === "string" ? parseAddress(address) : address;
  if (parsed.kind === "unix") return parsed;
  throw new ServiceError(
    "ERR_ADDRESS",
    "vsock addresses need the native vsock addon, which is not part of this version: use unix:/path addresses",
  );
}

const cannotListen = (path: string, cause: unknown): ServiceError =>
  new ServiceError("ERR_ADDRESS", `cannot listen at unix:${path}`, { cause });

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
