/**
 * Streams between parent and enclave, opened by address (shared/address.ts): `vsock://CID:PORT`, which takes the native
 * addon of vsock/, and `unix:/path` for local runs.
 *
 * A stream says nothing about who is at its other end: any process may take a free port or path. What may be trusted is
 * decided above, by TLS under pinned roots and by attestation.
 */
import { createConnection } from "node:net";
import type { Duplex } from "node:stream";
import type { Address } from "../shared/address.js";
import { formatAddress, parseAddress } from "../shared/address.js";
import type { ErrorCode } from "../shared/errors.js";
import { ServiceError } from "../shared/errors.js";
import { assertAvailable, connect as connectVsock } from "../vsock/index.js";

export interface ConnectOptions {
  /** Time within which the connection must stand. */
  readonly deadlineMs: number;
  /** Gives the attempt up; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** The code under which a peer that cannot be reached is reported; ERR_ADDRESS unless given. */
  readonly failureCode?: ErrorCode | undefined;
}

export interface OpenOptions {
  readonly allowHalfOpen: boolean;
  /** Time within which a vsock connection must stand; 10 s unless given. A Unix socket stands at once or not at all. */
  readonly timeoutMs?: number;
}

const CONNECT_MS = 10_000;

/**
 * Checks, without opening anything, that `address` is one and of a kind that can be opened here.
 * @throws ServiceError ERR_ADDRESS: not an address, or a vsock one and the native addon has not been built.
 */
export function assertOpenable(address: string | Address): void {
  openable(address);
}

/**
 * Begins a connection to `address` and returns at once, as node:net does: the stream emits "connect" or "error". For
 * node:http, which wants its sockets so; everybody else takes `connectTo`. Without `allowHalfOpen` the stream closes
 * by itself when the other side has ended.
 * @throws ServiceError ERR_ADDRESS as `assertOpenable`.
 */
export function openTo(address: string | Address, options: OpenOptions): Duplex {
  const target = openable(address);
  const { allowHalfOpen, timeoutMs = CONNECT_MS } = options;
  if (target.kind === "unix") return createConnection({ path: target.path, allowHalfOpen });
  return connectVsock({ cid: target.cid, port: target.port, allowHalfOpen, timeoutMs: timerMs(timeoutMs) });
}

const TIMER_MAX_MS = 0x7fff_ffff;

/** As timers can have it: whole milliseconds, and not so many that a timer would fire at once. */
const timerMs = (milliseconds: number): number => Math.min(Math.max(Math.ceil(milliseconds), 1), TIMER_MAX_MS);

/**
 * Opens a byte stream to `address`. The stream allows half-close: it must be ended by whoever uses it.
 * It does not tell who answered.
 * @throws ServiceError ERR_ADDRESS (as `assertOpenable`), ERR_TIMEOUT (deadline),
 *   `failureCode` with the system's error as its cause (nobody listens, no permission).
 */
export async function connectTo(address: string | Address, options: ConnectOptions): Promise<Duplex> {
  options.signal?.throwIfAborted();
  const socket = openTo(address, { allowHalfOpen: true, timeoutMs: options.deadlineMs });
  const failureCode = options.failureCode ?? "ERR_ADDRESS";
  const name = typeof address === "string" ? address : formatAddress(address);
  const overdue = (cause?: Error): ServiceError =>
    new ServiceError("ERR_TIMEOUT", `no connection to ${name} within ${options.deadlineMs} ms`, { cause });
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      settle();
      socket.on("error", ignoreAfterFailure);
      socket.destroy();
      reject(error);
    };
    const onError = (cause: Error): void =>
      fail(
        isTimeout(cause) ? overdue(cause) : new ServiceError(failureCode, `expected a listener at ${name}`, { cause }),
      );
    const onAbort = (): void => fail(options.signal?.reason);
    const onConnect = (): void => {
      settle();
      resolve(socket);
    };
    const timer = setTimeout(() => fail(overdue()), timerMs(options.deadlineMs));
    const settle = (): void => {
      clearTimeout(timer);
      socket.off("error", onError).off("connect", onConnect);
      options.signal?.removeEventListener("abort", onAbort);
    };
    socket.once("error", onError).once("connect", onConnect);
    options.signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Whether the deadline has passed: a vsock connection is told it too, and may notice it first. */
const isTimeout = (error: Error): boolean => "code" in error && error.code === "ETIMEDOUT";

/** A socket that lost its attempt may still report an error; the attempt's own error has been told already. */
const ignoreAfterFailure = (): undefined => undefined;

/** The address, of a kind that can be opened here. @throws ServiceError ERR_ADDRESS. */
export function openable(address: string | Address): Address {
  const parsed = typeof address === "string" ? parseAddress(address) : address;
  if (parsed.kind === "vsock") {
    try {
      assertAvailable();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : "the native addon cannot be loaded";
      throw new ServiceError("ERR_ADDRESS", `${formatAddress(parsed)} cannot be opened: ${why}`, { cause });
    }
  }
  return parsed;
}
