/**
 * One at a time for the same thing: whoever misses a key first asks KMS for it, and those who miss it meanwhile wait in line, and
 * find it kept. What fails is not shared: the next one tries for itself, unless the refusal is remembered (refusals.ts).
 */
import { ServiceError } from "../../shared/errors.js";
import { abortable } from "../../shared/settle.js";

export class Turns {
  /** The ends of lines: each settles when the last in line is over, and so are all before it. They never reject. */
  readonly #ends = new Map<string, Promise<unknown>>();

  /** Runs `run` when nothing else runs for `key`. @throws what `run` throws; ServiceError ERR_TIMEOUT when the signal fires first. */
  async run<T>(key: string, run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#ends.get(key);
    const turn = before === undefined ? run() : abortable(before, signal).catch(givenUp).then(run);
    const leave = (): void => {
      if (this.#ends.get(key) === end) this.#ends.delete(key);
    };
    const end: Promise<unknown> = Promise.all([before, turn.then(ended, ended)]).then(leave);
    this.#ends.set(key, end);
    const outcome = await turn;
    leave(); // at once: whoever asks after it finds nobody in line
    return outcome;
  }
}

const ended = (): undefined => undefined;

/** Those before never reject, so it was the signal. */
const givenUp = (reason: unknown): never => {
  throw new ServiceError("ERR_TIMEOUT", "nobody waits for the data key any more", { cause: reason });
};
