/**
 * A call beside its floor. Short runs of the two stand side by side, in turning order, and each pair has its ratio: whatever
 * else the machine does meets both halves of a pair.
 */
import { median } from "./table.js";

export interface Pairs {
  /** That count. A tenth as many go before them, for the compiler. */
  readonly pairs: number;
  /** Calls in a row that are timed together: a millisecond or two, less than a time slice of the machine. */
  readonly runLength: number;
}

/** Microseconds of one call of either, and the median of the pairs' ratios: 1 where the call costs no more than its floor. */
export function compare(floor: () => void, call: () => void, { pairs, runLength }: Pairs) {
  const floors: number[] = [];
  const times: number[] = [];
  for (let pair = -pairs / 10; pair < pairs; pair++) {
    const [first, second] = pair % 2 === 0 ? [floor, call] : [call, floor];
    const [firstTime, secondTime] = [microseconds(first, runLength), microseconds(second, runLength)];
    if (pair < 0) continue;
    floors.push(first === floor ? firstTime : secondTime);
    times.push(first === floor ? secondTime : firstTime);
  }
  const ratio = median(times.map((time, pair) => (floors[pair] ?? Number.NaN) / time));
  return { floor: median(floors), median: median(times), ratio };
}

function microseconds(call: () => void, runLength: number): number {
  const startedAt = performance.now();
  for (let i = 0; i < runLength; i++) call();
  return ((performance.now() - startedAt) * 1_000) / runLength;
}
