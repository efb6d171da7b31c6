/**
 * One at a time for the same thing: whoever misses a key first asks KMS for it, and those who miss it meanwhile wait, and
 * find it kept. What fails is not shared: the next one tries for itself, unless the refusal is remembered (refusals.ts).
 */
import { ServiceError } from "../../shared/errors.js";
import { abortable } from "../../shared/settle.js";

export class Turns {
  readonly #running = new Map<string, Promise<unknown>>();

  /** Runs `run` when nothing else runs for `key`. @throws what `run` throws; ServiceError ERR_TIMEOUT when the signal fires first. */
  async run<T>(key: string, run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let other = this.#running.get(key); other !== undefined; other = this.#running.get(key)) {
      await abortable(other, signal).catch(givenUp);
    }
    const mine = run();
    const done = mine.then(ended, ended); // whoever waits learns that it is over, and nothing else
    this.#running.set(key, done);
    try {
      return await mine;
    } finally {
      this.#running.delete(key);
    }
  }
}

const ended = (): undefined => undefined;

/** Others never reject, so it was the signal. */
const givenUp = (reason: unknown): never => {
  throw new ServiceError("ERR_TIMEOUT", "nobody waits for the data key any more", { cause: reason });
};
