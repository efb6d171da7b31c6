/** A binary heap, against sorting. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MinHeap } from "../../enclave/min-heap.js";

describe("MinHeap", () => {
  it("has nothing at first, and nothing again once all is taken", () => {
    const heap = new MinHeap<string>();
    expect(heap.least).toBe(Number.POSITIVE_INFINITY);
    expect(heap.pop()).toBeUndefined();
    heap.push(1, "one");
    expect(heap.least).toBe(1);
    expect(heap.pop()).toBe("one");
    expect(heap.pop()).toBeUndefined();
    expect(heap.size).toBe(0);
  });

  it("gives out the least first, whatever is put in between", () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 })), { maxLength: 200 }), (steps) => {
        const heap = new MinHeap<number>();
        const model: number[] = [];
        for (const step of steps) {
          if (step === null) expect(heap.pop()).toBe(model.shift());
          else {
            heap.push(step, step);
            model.push(step);
            model.sort((a, b) => a - b);
          }
          expect(heap.size).toBe(model.length);
          expect(heap.least).toBe(model[0] ?? Number.POSITIVE_INFINITY);
        }
      }),
      { seed: 20261123, numRuns: 500 },
    );
  });
});
