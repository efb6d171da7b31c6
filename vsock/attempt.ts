/** Reaching a listener: one attempt after the other, until one stands or the deadline has passed. */
import { constants } from "node:os";
import type { Endpoint } from "./errors.js";
import { systemError } from "./errors.js";
import type { Handle } from "./native.js";
import { addon, EVENT } from "./native.js";

export interface Limits {
  /** Milliseconds within which the connection must stand, all attempts together. */
  readonly timeoutMs: number;
  /** How often an attempt may be repeated. */
  readonly retries: number;
}

/** What an attempt leads to: the handle of a stream, or an error. Told once, and not after `cancel`. */
type Done = (error: Error | undefined, handle: Handle | undefined) => void;

const { ECONNRESET, EAGAIN, ETIMEDOUT } = constants.errno;
/** What a listener whose backlog is full answers: AF_VSOCK the first, which a closed port answers too, AF_UNIX the second. */
const RETRIED: readonly number[] = [-ECONNRESET, -EAGAIN];
/** The first pause is at most this, each one after it twice the one before. */
const FIRST_PAUSE_MS = 10;

export class Attempt {
  readonly #target: Endpoint;
  readonly #limits: Limits;
  readonly #done: Done;
  /** The descriptor keeps the process alive, so this need not. */
  readonly #deadline: NodeJS.Timeout;
  #handle: Handle | undefined;
  #pause: NodeJS.Timeout | undefined;
  #failures = 0;
  #referenced = true;
  #over = false;

  /** `done` is called later, never before this returns. @throws Error ERR_VSOCK_ADDON */
  constructor(target: Endpoint, limits: Limits, done: Done) {
    addon();
    this.#target = target;
    this.#limits = limits;
    this.#done = done;
    this.#deadline = setTimeout(() => this.#fail(-ETIMEDOUT), limits.timeoutMs).unref();
    this.#begin();
  }

  /** Whether this keeps the process alive. */
  keepAlive(referenced: boolean): void {
    this.#referenced = referenced;
    const { binding } = addon();
    if (this.#handle !== undefined) referenced ? binding.ref(this.#handle) : binding.unref(this.#handle);
    referenced ? this.#pause?.ref() : this.#pause?.unref();
  }

  /** Gives up; nothing more is told. */
  cancel(): void {
    this.#over = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#pause);
    if (this.#handle !== undefined) addon().binding.close(this.#handle);
    this.#handle = undefined;
  }

  #begin(): void {
    const { binding } = addon();
    const handle = binding.connect(this.#target.cid, this.#target.port, this.#limits.timeoutMs);
    if (typeof handle === "number") {
      process.nextTick(() => this.#failed(handle));
      return;
    }
    this.#handle = handle;
    if (!this.#referenced) binding.unref(handle);
    binding.watch(handle, (event, status) => {
      if (event === EVENT.connect && handle === this.#handle) this.#ended(handle, status);
    });
  }

  #ended(handle: Handle, status: number): void {
    this.#handle = undefined;
    if (status < 0) {
      addon().binding.close(handle);
      this.#failed(status);
      return;
    }
    this.cancel();
    this.#done(undefined, handle);
  }

  #failed(errno: number): void {
    if (this.#over) return;
    if (!RETRIED.includes(errno) || this.#failures >= this.#limits.retries) {
      this.#fail(errno);
      return;
    }
    const most = FIRST_PAUSE_MS * 2 ** this.#failures;
    this.#failures += 1;
    this.#pause = setTimeout(() => this.#begin(), most * (0.5 + Math.random() / 2));
    if (!this.#referenced) this.#pause.unref();
  }

  #fail(errno: number): void {
    this.cancel();
    this.#done(systemError(errno, "connect", this.#target), undefined);
  }
}
