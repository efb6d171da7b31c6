/** A connection over AF_VSOCK, as net.Socket is one over TCP: a Duplex with a peer, an inactivity timeout and half-close. */
import { constants } from "node:os";
import { addAbortSignal, Duplex } from "node:stream";
import type { Limits } from "./attempt.js";
import { Attempt } from "./attempt.js";
import type { Endpoint } from "./errors.js";
import { assertDuration, assertInteger, assertObject, assertOptionalFunction, systemError } from "./errors.js";
import type { Handle } from "./native.js";
import { addon, EVENT } from "./native.js";

export interface SocketOptions {
  /** Whether the writable side stays open when the peer has ended its own. Default false, as in node:net. */
  readonly allowHalfOpen?: boolean | undefined;
}

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

type Callback = (error?: Error | null) => void;

/** What is being written: pieces in their order, and how far it has come. */
interface Sending {
  readonly pieces: readonly Uint8Array[];
  index: number;
  offset: number;
  readonly callback: Callback;
}

const HIGH_WATER_MARK = 65_536;
const JOINED_MAX_BYTES = 32_768;
const CID_MAX = 0xffff_ffff;
const DEFAULT_TIMEOUT_MS = 2_000;
const TIMEOUT_MAX_MS = 0x7fff_ffff;
const DEFAULT_RETRIES = 6;
const RETRIES_MAX = 30;
const UV_EOF = -4095;
const { ENOTCONN } = constants.errno;

export class VsockSocket extends Duplex {
  remoteCid: number | undefined;
  remotePort: number | undefined;
  localPort: number | undefined;
  connecting = false;
  bytesRead = 0;
  /** Bytes that the kernel has taken. */
  bytesWritten = 0;
  /** Milliseconds of inactivity after which "timeout" is emitted; 0 for never. */
  timeout = 0;
  #attempt: Attempt | undefined;
  #handle: Handle | undefined;
  #referenced = true;
  #reading = false;
  #sending: Sending | undefined;
  #finishing: Callback | undefined;
  #closing: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** A socket without a connection yet. `connect` and servers make the useful ones. */
  constructor(options: SocketOptions = {}) {
    super({
      allowHalfOpen: options.allowHalfOpen ?? false,
      readableHighWaterMark: HIGH_WATER_MARK,
      writableHighWaterMark: HIGH_WATER_MARK,
    });
  }

  /** @internal For `connect`: emits "connect" or "error" later. */
  open(target: Endpoint, limits: Limits): void {
    this.connecting = true;
    this.remoteCid = target.cid;
    this.remotePort = target.port;
    try {
      this.#attempt = new Attempt(target, limits, (error, handle) => this.#opened(error, handle));
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error("cannot connect", { cause: error }));
    }
  }

  /** @internal For servers: takes a stream's handle over. It is not read from until somebody wants to. */
  attach(handle: Handle): void {
    const { binding } = addon();
    this.#handle = handle;
    const peer = binding.address(handle, true);
    if (typeof peer !== "number") [this.remoteCid, this.remotePort] = peer;
    const own = binding.address(handle, false);
    if (typeof own !== "number") this.localPort = own[1];
    if (!this.#referenced) binding.unref(handle);
    binding.watch(handle, (event, value) => this.#on(event, value));
  }

  /** "timeout" is emitted after so many milliseconds without traffic; the socket stays open. 0 ends this. */
  setTimeout(milliseconds: number, listener?: () => void): this {
    assertDuration(milliseconds, "milliseconds");
    assertOptionalFunction(listener, "listener");
    clearTimeout(this.#timer);
    this.timeout = milliseconds;
    const bounded = Math.min(milliseconds, TIMEOUT_MAX_MS);
    this.#timer = bounded === 0 ? undefined : setTimeout(() => this.emit("timeout"), bounded).unref();
    if (listener !== undefined) bounded === 0 ? this.off("timeout", listener) : this.once("timeout", listener);
    return this;
  }

  ref(): this {
    return this.#keepAlive(true);
  }

  /** An open socket then does not keep the process alive. */
  unref(): this {
    return this.#keepAlive(false);
  }

  /** AF_VSOCK delays nothing: for callers that expect a net.Socket. */
  setNoDelay(_noDelay?: boolean): this {
    return this;
  }

  /** AF_VSOCK tells of a peer that is gone: for callers that expect a net.Socket. */
  setKeepAlive(_enable?: boolean, _initialDelayMs?: number): this {
    return this;
  }

  /** Destroys the socket once everything is sent. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  override _read(): void {
    if (this.#handle === undefined || this.#reading) return; // an opened socket begins to read by itself
    this.#reading = true;
    const status = addon().binding.start(this.#handle);
    if (status < 0) this.#failed(status, "read");
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: Callback): void {
    this.#sending = { pieces: [chunk], index: 0, offset: 0, callback };
    this.#send();
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    this.#sending = { pieces: join(chunks.map(({ chunk }) => chunk)), index: 0, offset: 0, callback };
    this.#send();
  }

  override _final(callback: Callback): void {
    this.#finishing = callback;
    this.#finish();
  }

  override _destroy(error: Error | null, callback: Callback): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.connecting = false;
    this.#attempt?.cancel();
    this.#attempt = undefined;
    this.#sending?.callback(error ?? destroyedError());
    this.#sending = undefined;
    if (this.#handle === undefined) return callback(error);
    this.#closing = () => callback(error);
    addon().binding.close(this.#handle);
    this.#handle = undefined;
  }

  #opened(error: Error | undefined, handle: Handle | undefined): void {
    this.#attempt = undefined;
    if (handle === undefined) {
      this.destroy(error);
      return;
    }
    this.connecting = false;
    this.attach(handle);
    this.emit("connect");
    this.emit("ready");
    if (this.destroyed) return;
    this.#send();
    this.#finish();
    if (this.readable && !this.isPaused()) this.read(0);
  }

  #on(event: number, value: number): void {
    this.#timer?.refresh();
    if (event === EVENT.closed) this.#closing?.();
    else if (this.destroyed) return;
    else if (event === EVENT.read) this.#onRead(value);
    else if (event === EVENT.written) this.#onWritten(value);
    else if (event === EVENT.shutdown) this.#onShutdown(value);
  }

  #onRead(length: number): void {
    if (length > 0) {
      this.bytesRead += length;
      if (!this.push(addon().takeRead(length))) this.#pauseReading();
    } else if (length === UV_EOF || length === -ENOTCONN) {
      this.#pauseReading(); // AF_VSOCK says ENOTCONN where others end: the peer is gone, and everything it sent is read
      this.push(null);
      this.read(0);
    } else this.#failed(length, "read");
  }

  #pauseReading(): void {
    this.#reading = false;
    if (this.#handle !== undefined) addon().binding.stop(this.#handle);
  }

  /** Sends as much as the kernel takes now; "written" tells when to go on. */
  #send(): void {
    while (this.#handle !== undefined && this.#sending !== undefined) {
      const { pieces, index, offset } = this.#sending;
      const piece = pieces[index];
      if (piece === undefined) return this.#sent();
      const length = addon().binding.write(this.#handle, piece, offset);
      if (length < 0) return this.#failed(length, "write");
      this.#advance(this.#sending, piece, length);
      if (offset + length < piece.length) return;
    }
  }

  #onWritten(length: number): void {
    if (length < 0 || this.#sending === undefined) return this.#failed(length, "write");
    this.#advance(this.#sending, this.#sending.pieces[this.#sending.index], length);
    this.#send();
  }

  #advance(sending: Sending, piece: Uint8Array | undefined, length: number): void {
    this.bytesWritten += length;
    sending.offset += length;
    if (sending.offset < (piece?.length ?? 0)) return;
    sending.index += 1;
    sending.offset = 0;
  }

  #sent(): void {
    const callback = this.#sending?.callback;
    this.#sending = undefined;
    this.#timer?.refresh();
    callback?.();
  }

  #finish(): void {
    if (this.#handle === undefined || this.#finishing === undefined) return;
    const status = addon().binding.shutdown(this.#handle);
    if (status < 0) this.#onShutdown(status);
  }

  /** A peer that is gone already needs not be told. */
  #onShutdown(status: number): void {
    const callback = this.#finishing;
    this.#finishing = undefined;
    callback?.(status < 0 && status !== -ENOTCONN ? systemError(status, "shutdown", this.#remote()) : null);
  }

  #failed(errno: number, syscall: string): void {
    this.destroy(systemError(errno, syscall, this.#remote()));
  }

  #remote(): Endpoint | undefined {
    const { remoteCid: cid, remotePort: port } = this;
    return cid === undefined || port === undefined ? undefined : { cid, port };
  }

  #keepAlive(referenced: boolean): this {
    this.#referenced = referenced;
    this.#attempt?.keepAlive(referenced);
    if (this.#handle === undefined) return this;
    const { binding } = addon();
    referenced ? binding.ref(this.#handle) : binding.unref(this.#handle);
    return this;
  }
}

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
  assertInteger(cid, "cid", 0, CID_MAX);
  assertInteger(port, "port", 0, CID_MAX);
  assertInteger(timeoutMs, "timeoutMs", 1, TIMEOUT_MAX_MS);
  assertInteger(retries, "retries", 0, RETRIES_MAX);
  assertOptionalFunction(listener, "listener");
  const socket = new VsockSocket(options);
  if (listener !== undefined) socket.once("connect", listener);
  if (signal !== undefined) addAbortSignal(signal, socket);
  if (!socket.destroyed) socket.open({ cid, port }, { timeoutMs, retries });
  return socket;
}

/** Neighbours that fit in one write together, as one: a header and its body need not be two. */
function join(chunks: readonly Buffer[]): Buffer[] {
  const joined: Buffer[] = [];
  let group: Buffer[] = [];
  let length = 0;
  for (const chunk of chunks) {
    if (length > 0 && length + chunk.length > JOINED_MAX_BYTES) {
      joined.push(concat(group));
      group = [];
      length = 0;
    }
    group.push(chunk);
    length += chunk.length;
  }
  return [...joined, concat(group)];
}

const concat = (group: Buffer[]): Buffer => (group.length === 1 && group[0] ? group[0] : Buffer.concat(group));

const destroyedError = (): Error =>
  Object.assign(new Error("the socket was destroyed before this was written"), { code: "ERR_STREAM_DESTROYED" });
