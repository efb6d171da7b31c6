/** How far a long piece of work has come: one line on stderr that is written over, at most a few times in a second. */
import type { Io } from "./command.js";

const INTERVAL_MS = 200;
/** What is left of a longer line. */
const CLEAR = "\u001b[K";
const MEBIBYTE = 1024 * 1024;

export class Progress {
  readonly #io: Io;
  readonly #shown: boolean;
  readonly #beganAtMs = performance.now();
  #bytes = 0;
  #toldAtMs = 0;

  constructor(io: Io, shown: boolean) {
    this.#io = io;
    this.#shown = shown;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const nowMs = performance.now();
    if (!this.#shown || nowMs - this.#toldAtMs < INTERVAL_MS) return;
    this.#toldAtMs = nowMs;
    this.#io.stderr(`\r${this.#line()}${CLEAR}`);
  }

  /** Tells the whole, and ends the line. */
  end(): void {
    if (this.#shown) this.#io.stderr(`\r${this.#line()}${CLEAR}\n`);
  }

  #line(): string {
    const seconds = (performance.now() - this.#beganAtMs) / 1000;
    const mebibytes = this.#bytes / MEBIBYTE;
    return `decrypted ${mebibytes.toFixed(1)} MiB, ${(mebibytes / Math.max(seconds, 0.001)).toFixed(1)} MiB/s`;
  }
}
