/** Work that is done a few at a time, so that it leaves room for other work, in the order in which it came. */
import { throttled } from "../errors.js";

export interface TurnsOptions {
  readonly atOnce: number;
  /** How many may wait. */
  readonly waiting: number;
}

export class Turns {
  readonly #options: TurnsOptions;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Does the work when its turn comes. @throws AwsError ThrottlingException if too many wait already */
  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    await this.#turn();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next(); // which has this turn now
    }
  }

  async #turn(): Promise<void> {
    if (this.#running < this.#options.atOnce) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= this.#options.waiting) throw throttled();
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
