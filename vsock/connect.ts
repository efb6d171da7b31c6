/** Connecting to a listener: the options, and what they must be. */
import { addAbortSignal } from "node:stream";
import type { Endpoint } from "./errors.js";
import { assertInteger, assertObject, assertOptionalFunction } from "./errors.js";
import type { SocketOptions } from "./socket.js";
import { VsockSocket } from "./socket.js";

export interface ConnectOptions extends SocketOptions, Endpoint {
  /** Milliseconds within which the connection must stand, retries and all; ETIMEDOUT when it does not. Default 2000. */
  readonly timeoutMs?: number | undefined;
  /**
   * How often an attempt is repeated that was reset. A listener whose backlog is full resets; so does a port on which nobody
   * listens, and the two cannot be told apart. The pauses double from 10 ms and are jittered. Default 6: about half a second.
   */
  readonly retries?: number | undefined;
  /** Destroys the socket, connected or not, with an AbortError. */
  readonly signal?: AbortSignal | undefined;
}

const NUMBER_MAX = 0xffff_ffff;
const TIMEOUT_MAX_MS = 0x7fff_ffff;
const DEFAULT_TIMEOUT_MS = 2_000;
const DEFAULT_RETRIES = 6;
const RETRIES_MAX = 30;

/**
 * Connects to `port` of `cid` and returns at once: the socket emits "connect" or "error", and what is written before that is
 * sent later. It says nothing about who answers, except the CID. The error's code is ECONNRESET (nobody listens), ENODEV
 * (no such CID), ETIMEDOUT (the deadline, or the kernel's), ERR_VSOCK_ADDON (the addon is missing), another of the system's,
 * or ABORT_ERR.
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE
 */
export function connect(options: ConnectOptions, listener?: () => void): VsockSocket {
  assertObject(options, "options");
  const { cid, port, timeoutMs = DEFAULT_TIMEOUT_MS, retries = DEFAULT_RETRIES, signal } = options;
  assertInteger(cid, "cid", 0, NUMBER_MAX);
  assertInteger(port, "port", 0, NUMBER_MAX);
  assertInteger(timeoutMs, "timeoutMs", 1, TIMEOUT_MAX_MS);
  assertInteger(retries, "retries", 0, RETRIES_MAX);
  assertOptionalFunction(listener, "listener");
  const socket = new VsockSocket(options);
  if (listener !== undefined) socket.once("connect", listener);
  if (signal !== undefined) addAbortSignal(signal, socket);
  if (!socket.destroyed) socket.open({ cid, port }, { timeoutMs, retries });
  return socket;
}
