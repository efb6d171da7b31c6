/** A connection over AF_VSOCK, as net.Socket is one over TCP: a Duplex with a peer, an inactivity timeout and half-close. */
import { constants } from "node:os";
import { Duplex } from "node:stream";
import type { Limits } from "./attempt.js";
import { Attempt } from "./attempt.js";
import type { Endpoint } from "./errors.js";
import { assertDuration, assertOptionalFunction, systemError } from "./errors.js";
import type { Handle } from "./native.js";
import { addon, EVENT } from "./native.js";
import { Sending } from "./sending.js";

export interface SocketOptions {
  /** Whether the writable side stays open when the peer has ended its own. Default false, as in node:net. */
  readonly allowHalfOpen?: boolean | undefined;
}

type Callback = (error?: Error | null) => void;

const HIGH_WATER_MARK = 65_536;
const TIMEOUT_MAX_MS = 0x7fff_ffff;
const UV_EOF = -4095;
const { ENOTCONN } = constants.errno;

export class VsockSocket extends Duplex {
  /** The peer's, which the kernel vouches for. Undefined where an accepted peer was gone before it could be asked for. */
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
  /** Whether the stream asked for bytes before it was connected. It does so once. */
  #readWanted = false;
  #sending: Sending | undefined;
  #finishing: Callback | undefined;
  #shutDown = false;
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

  /** "timeout" is emitted after so many milliseconds without traffic; the socket stays open. 0 ends this. A destroyed socket emits none. */
  setTimeout(milliseconds: number, listener?: () => void): this {
    assertDuration(milliseconds, "milliseconds");
    assertOptionalFunction(listener, "listener");
    if (this.destroyed) return this;
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
    if (this.#handle === undefined || this.#reading) {
      this.#readWanted = this.connecting;
      return;
    }
    this.#reading = true;
    const status = addon().binding.start(this.#handle);
    if (status < 0) this.#failed(status, "read");
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: Callback): void {
    this.#sending = new Sending([chunk], callback);
    this.#send();
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    this.#sending = new Sending(
      chunks.map(({ chunk }) => chunk),
      callback,
    );
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
    const handle = this.#handle;
    this.#handle = undefined;
    if (handle === undefined) callback(error);
    else {
      this.#closing = () => callback(error);
      addon().binding.close(handle);
    }
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
    if (this.#readWanted) this._read();
    else if (!this.isPaused()) this.read(0);
  }

  #on(event: number, value: number): void {
    this.#timer?.refresh();
    if (event === EVENT.closed) this.#closing?.();
    else if (this.destroyed) return;
    else if (event === EVENT.read) this.#onRead(value);
    else if (event === EVENT.written) this.#taken(value) && this.#send();
    else if (event === EVENT.shutdown) this.#onShutdown(value);
  }

  #onRead(length: number): void {
    if (length > 0) {
      this.bytesRead += length;
      if (!this.push(addon().takeRead(length))) this.#pauseReading();
    } else if (length === UV_EOF || length === -ENOTCONN) {
      // AF_VSOCK says ENOTCONN where the peer is gone and everything it sent is read. Whether it meant to go is not told.
      this.#pauseReading();
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
    while (this.#handle !== undefined && this.#sending?.bytes !== undefined) {
      const { bytes, offset } = this.#sending;
      const length = addon().binding.write(this.#handle, bytes, offset);
      const all = offset + length === bytes.length;
      if (!this.#taken(length) || !all) return;
    }
    if (this.#handle !== undefined) this.#sent();
  }

  /** The kernel took `length` bytes, or failed. */
  #taken(length: number): boolean {
    if (length < 0) this.#failed(length, "write");
    else {
      this.bytesWritten += length;
      this.#sending?.advance(length);
    }
    return length >= 0;
  }

  #sent(): void {
    const callback = this.#sending?.callback;
    this.#sending = undefined;
    this.#timer?.refresh();
    callback?.();
  }

  #finish(): void {
    if (this.#handle === undefined || this.#finishing === undefined || this.#shutDown) return;
    this.#shutDown = true;
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

const destroyedError = (): Error =>
  Object.assign(new Error("the socket was destroyed before this was written"), { code: "ERR_STREAM_DESTROYED" });
