/** Draws that are the same for the same seed, and the skewed ones that stand for how often things are used. */

/** Numbers from 0 up to 1. */
export type Draw = () => number;

/** The generator "mulberry32": 32 bits of state, good enough to choose what is asked for, and for nothing secret. */
export function seededDraw(seed: number): Draw {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Indices below `count` by Zipf's law with the exponent 1: the one of rank r is drawn 1/r as often as the first. */
export function zipfian(count: number, draw: Draw): () => number {
  const cumulative = new Float64Array(count);
  let total = 0;
  for (let rank = 0; rank < count; rank++) {
    total += 1 / (rank + 1);
    cumulative[rank] = total;
  }
  return () => firstAbove(cumulative, draw() * total);
}

/** The place of the first value above `limit`; the last place where there is none. */
function firstAbove(ascending: Float64Array, limit: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? Number.POSITIVE_INFINITY) > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}
