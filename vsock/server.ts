/** A listener on AF_VSOCK, as net.Server is one on TCP. */
import { EventEmitter } from "node:events";
import { constants } from "node:os";
import type { Endpoint } from "./errors.js";
import { assertInteger, assertObject, assertOptionalFunction, systemError } from "./errors.js";
import type { Handle } from "./native.js";
import { addon, EVENT } from "./native.js";
import { VsockSocket } from "./socket.js";

export interface ServerOptions {
  /** For the sockets: whether they stay writable when the peer has ended. Default false. */
  readonly allowHalfOpen?: boolean | undefined;
  /** Whether sockets are handed out paused, so that another may read them from the start. Default false. */
  readonly pauseOnConnect?: boolean | undefined;
}

export interface ListenOptions extends Endpoint {
  /** Connections that may wait to be accepted; beyond them AF_VSOCK resets. Default 1024. */
  readonly backlog?: number | undefined;
}

const NUMBER_MAX = 0xffff_ffff;
const DEFAULT_BACKLOG = 1_024;
const BACKLOG_MAX = 0x7fff_ffff;
/** Connections accepted in a row, before others have their turn on the event loop. */
const ACCEPTED_AT_ONCE = 64;
/** How long nothing is accepted after an accept has failed. The connections wait in the backlog. */
const PAUSE_MS = 100;
const { EAGAIN } = constants.errno;

/** Emits "listening", "connection" (VsockSocket), "error", "drop" (over `maxConnections`) and "close". */
export class VsockServer extends EventEmitter {
  /** Connections beyond this many are closed at once. */
  maxConnections: number | undefined;
  readonly #options: ServerOptions;
  #handle: Handle | undefined;
  #pause: NodeJS.Timeout | undefined;
  #referenced = true;
  #connections = 0;

  constructor(options: ServerOptions = {}, listener?: (socket: VsockSocket) => void) {
    super();
    assertObject(options, "options");
    assertOptionalFunction(listener, "listener");
    this.#options = options;
    if (listener !== undefined) this.on("connection", listener);
  }

  get listening(): boolean {
    return this.#handle !== undefined;
  }

  /**
   * Listens at `port` of `cid` (VMADDR_CID_ANY, VMADDR_PORT_ANY for any) and emits "listening", or "error": EADDRINUSE,
   * EADDRNOTAVAIL (not a CID of this machine), EACCES (a port below 1024), ERR_VSOCK_ADDON.
   * An "error" that comes later is an accept that failed (EMFILE): the server goes on.
   * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE, Error ERR_SERVER_ALREADY_LISTEN
   */
  listen(options: ListenOptions, listener?: () => void): this {
    assertObject(options, "options");
    const { cid, port, backlog = DEFAULT_BACKLOG } = options;
    assertInteger(cid, "cid", 0, NUMBER_MAX);
    assertInteger(port, "port", 0, NUMBER_MAX);
    assertInteger(backlog, "backlog", 1, BACKLOG_MAX);
    assertOptionalFunction(listener, "listener");
    if (this.#handle !== undefined) throw codedError("the server listens already", "ERR_SERVER_ALREADY_LISTEN");
    if (listener !== undefined) this.once("listening", listener);
    try {
      this.#open({ cid, port }, backlog);
      process.nextTick(() => this.listening && this.emit("listening"));
    } catch (error) {
      process.nextTick(() => this.emit("error", error));
    }
    return this;
  }

  /** Where the server listens, with the port that was chosen for it; null when it does not. */
  address(): Endpoint | null {
    if (this.#handle === undefined) return null;
    const address = addon().binding.address(this.#handle, false);
    if (typeof address === "number") throw systemError(address, "getsockname");
    return { cid: address[0], port: address[1] };
  }

  /**
   * Accepts no more; "close" is emitted once the last connection has ended. `listener` is called then, with
   * ERR_SERVER_NOT_RUNNING when the server did not listen.
   */
  close(listener?: (error?: Error) => void): this {
    assertOptionalFunction(listener, "listener");
    if (this.#handle === undefined) {
      process.nextTick(() => listener?.(codedError("the server does not listen", "ERR_SERVER_NOT_RUNNING")));
      return this;
    }
    if (listener !== undefined) this.once("close", () => listener());
    clearTimeout(this.#pause);
    addon().binding.close(this.#handle);
    this.#handle = undefined;
    this.#closeIfDrained();
    return this;
  }

  getConnections(listener: (error: Error | null, count: number) => void): this {
    process.nextTick(listener, null, this.#connections);
    return this;
  }

  ref(): this {
    return this.#keepAlive(true);
  }

  /** A listening server then does not keep the process alive. */
  unref(): this {
    return this.#keepAlive(false);
  }

  #open(endpoint: Endpoint, backlog: number): void {
    const { binding } = addon();
    const handle = binding.listen(endpoint.cid, endpoint.port, backlog);
    if (typeof handle === "number") throw systemError(handle, "listen", endpoint);
    this.#handle = handle;
    binding.watch(handle, (event, status) => {
      if (event === EVENT.acceptable && handle === this.#handle) this.#accept(status);
    });
    this.#keepAlive(this.#referenced);
    const status = binding.start(handle);
    if (status < 0) this.#acceptFailed(status);
  }

  #accept(status: number): void {
    let failure = status;
    for (let count = 0; failure === 0 && count < ACCEPTED_AT_ONCE && this.#handle !== undefined; count += 1) {
      const accepted = addon().binding.accept(this.#handle);
      if (typeof accepted === "number") failure = accepted;
      else this.#welcome(accepted);
    }
    if (failure < 0 && failure !== -EAGAIN) this.#acceptFailed(failure);
  }

  /** Reports the failure, and gives the process time to close descriptors instead of failing over and over. */
  #acceptFailed(errno: number): void {
    if (this.#handle === undefined) return;
    const { binding } = addon();
    binding.stop(this.#handle);
    this.#pause = setTimeout(() => this.#handle !== undefined && binding.start(this.#handle), PAUSE_MS);
    if (!this.#referenced) this.#pause.unref();
    this.emit("error", systemError(errno, "accept"));
  }

  #welcome(handle: Handle): void {
    const socket = new VsockSocket(this.#options);
    socket.attach(handle);
    if (this.maxConnections !== undefined && this.#connections >= this.maxConnections) {
      socket.destroy();
      this.emit("drop", { remoteCid: socket.remoteCid, remotePort: socket.remotePort });
      return;
    }
    this.#connections += 1;
    socket.once("close", () => {
      this.#connections -= 1;
      this.#closeIfDrained();
    });
    if (this.#options.pauseOnConnect === true) socket.pause();
    else socket.read(0);
    this.emit("connection", socket);
  }

  #closeIfDrained(): void {
    if (this.#handle !== undefined || this.#connections > 0) return;
    process.nextTick(() => this.emit("close"));
  }

  #keepAlive(referenced: boolean): this {
    this.#referenced = referenced;
    referenced ? this.#pause?.ref() : this.#pause?.unref();
    if (this.#handle === undefined) return this;
    const { binding } = addon();
    referenced ? binding.ref(this.#handle) : binding.unref(this.#handle);
    return this;
  }
}

/** A server that does not listen yet; `listener` is called with every connection. */
export function createServer(options: ServerOptions = {}, listener?: (socket: VsockSocket) => void): VsockServer {
  return new VsockServer(options, listener);
}

const codedError = (message: string, code: string): Error => Object.assign(new Error(message), { code });
