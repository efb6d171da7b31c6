/** How far a long piece of work has come: one line on stderr that is written over, at most a few times in a second. */
import type { Io } from "./command.js";

const INTERVAL_MS = 200;
/** What is left of a longer line. */
const CLEAR = "\u001b[K";
const MEBIBYTE = 1024 * 1024;

/** The line itself; whoever works says what is on it. */
export class ProgressLine {
  readonly #io: Io;
  readonly #shown: boolean;
  readonly #beganAtMs = performance.now();
  #toldAtMs = 0;

  constructor(io: Io, shown: boolean) {
    this.#io = io;
    this.#shown = shown;
  }

  /** Since the work began. */
  get seconds(): number {
    return Math.max((performance.now() - this.#beganAtMs) / 1000, 0.001);
  }

  tell(line: () => string): void {
    const nowMs = performance.now();
    if (!this.#shown || nowMs - this.#toldAtMs < INTERVAL_MS) return;
    this.#toldAtMs = nowMs;
    this.#io.stderr(`\r${line()}${CLEAR}`);
  }

  /** Tells the whole, and ends the line. */
  end(line: () => string): void {
    if (this.#shown) this.#io.stderr(`\r${line()}${CLEAR}\n`);
  }
}

/** Of a decryption. */
export class Progress {
  readonly #line: ProgressLine;
  #bytes = 0;

  constructor(io: Io, shown: boolean) {
    this.#line = new ProgressLine(io, shown);
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#line.tell(this.#text);
  }

  end(): void {
    this.#line.end(this.#text);
  }

  readonly #text = (): string => {
    const mebibytes = this.#bytes / MEBIBYTE;
    return `decrypted ${mebibytes.toFixed(1)} MiB, ${(mebibytes / this.#line.seconds).toFixed(1)} MiB/s`;
  };
}
