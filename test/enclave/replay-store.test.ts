/** A memory of what has been seen: bounded, exact, and never early to forget. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ReplayStore } from "../../enclave/replay-store.js";
import { utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { TestClock } from "./fakes.js";

const LIFETIME_MS = 1_000;

function setUp(maxEntries = 100) {
  const clock = new TestClock();
  const store = new ReplayStore("a thing", clock, { lifetimeMs: LIFETIME_MS, maxEntries });
  return { clock, store };
}

describe("ReplayStore", () => {
  it("refuses what it has seen, be it text or bytes", () => {
    const { store } = setUp();
    store.remember("first");
    store.remember(Uint8Array.of(1, 2, 3));
    store.remember("second");
    expect(() => store.remember("first")).toThrowCode("ERR_REPLAYED");
    expect(() => store.remember(Uint8Array.of(1, 2, 3))).toThrowCode("ERR_REPLAYED");
    expect(() => store.remember(utf8("second"))).toThrowCode("ERR_REPLAYED");
    expect(store.size).toBe(3);
  });

  it("tells apart what differs in one bit, in length, or by an end", () => {
    const { store } = setUp();
    for (const id of ["", "a", "b", "aa", "a\u0000", "é", "e\u0301"]) store.remember(id);
    for (let bit = 0; bit < 8; bit++) store.remember(Uint8Array.of(0, 1 << bit));
  });

  it("remembers for its whole lifetime, to the millisecond, and not from the last time that it was asked", () => {
    const { clock, store } = setUp();
    store.remember("id");
    clock.advance(LIFETIME_MS);
    expect(() => store.remember("id")).toThrowCode("ERR_REPLAYED");
    clock.advance(1);
    store.remember("id");
    clock.advance(LIFETIME_MS);
    expect(() => store.remember("id")).toThrowCode("ERR_REPLAYED");
  });

  it("refuses what is new when it is full, and what it has seen as before", () => {
    const { clock, store } = setUp(3);
    for (const id of ["a", "b", "c"]) store.remember(id);
    clock.advance(LIFETIME_MS);
    expect(() => store.remember("d")).toThrowCode("ERR_BUSY");
    for (const id of ["a", "b", "c"]) expect(() => store.remember(id)).toThrowCode("ERR_REPLAYED");
    clock.advance(1);
    for (const id of ["d", "e", "f"]) store.remember(id);
    expect(() => store.remember("g")).toThrowCode("ERR_BUSY");
    expect(() => store.remember("d")).toThrowCode("ERR_REPLAYED");
  });

  it("makes room as the oldest expire, one by one", () => {
    const { clock, store } = setUp(3);
    for (const id of ["a", "b", "c"]) {
      store.remember(id);
      clock.advance(100);
    }
    clock.advance(LIFETIME_MS - 300);
    expect(() => store.remember("d")).toThrowCode("ERR_BUSY");
    clock.advance(1);
    store.remember("d");
    expect(() => store.remember("e")).toThrowCode("ERR_BUSY");
    expect(() => store.remember("b")).toThrowCode("ERR_REPLAYED");
  });

  it("does little at a time, and yet takes again what expired behind many others", () => {
    const { clock, store } = setUp(100);
    for (let i = 0; i < 100; i++) store.remember(`old ${i}`);
    clock.advance(LIFETIME_MS + 1);
    store.remember("new");
    expect(store.size).toBe(99);
    store.remember("old 99");
    expect(store.size).toBe(2);
    expect(() => store.remember("old 99")).toThrowCode("ERR_REPLAYED");
  });

  it("works with one place", () => {
    const { clock, store } = setUp(1);
    for (let i = 0; i < 5; i++) {
      store.remember("id");
      expect(() => store.remember("id")).toThrowCode("ERR_REPLAYED");
      expect(() => store.remember("other")).toThrowCode("ERR_BUSY");
      clock.advance(LIFETIME_MS + 1);
    }
  });

  it("keeps 100,000 in at most 56 bytes each", () => {
    const before = process.memoryUsage().arrayBuffers;
    const { store } = setUp(100_000);
    expect((process.memoryUsage().arrayBuffers - before) / 100_000).toBeLessThan(56);
    for (let i = 0; i < 100_000; i++) store.remember(`id ${i}`);
    expect(() => store.remember("one more")).toThrowCode("ERR_BUSY");
    for (let i = 0; i < 100_000; i += 997) expect(() => store.remember(`id ${i}`)).toThrowCode("ERR_REPLAYED");
  });

  /** What the store must say, by a list of everything and its time. */
  class Model {
    readonly #seenAtMs = new Map<string, number>();
    readonly #max: number;

    constructor(max: number) {
      this.#max = max;
    }

    remember(id: string, nowMs: number): string {
      for (const [seen, atMs] of this.#seenAtMs) if (nowMs - atMs > LIFETIME_MS) this.#seenAtMs.delete(seen);
      if (this.#seenAtMs.has(id)) return "ERR_REPLAYED";
      if (this.#seenAtMs.size === this.#max) return "ERR_BUSY";
      this.#seenAtMs.set(id, nowMs);
      return "taken";
    }
  }

  it("does what a list of everything with its time would do", () => {
    // With 16, 32 and 64 the table is as full as it gets; little waiting keeps it so, and entries leave from everywhere.
    const step = fc.record({ id: fc.nat(150), waitMs: fc.constantFrom(0, 0, 1, 20, 40, 40) });
    const rest = fc.record({ id: fc.nat(150), waitMs: fc.constant(1_001) });
    const steps = fc.array(fc.oneof({ weight: 100, arbitrary: step }, rest), { size: "max", maxLength: 400 });
    const run = fc.record({ max: fc.constantFrom(1, 2, 3, 5, 16, 32, 64), steps });
    fc.assert(
      fc.property(run, ({ max, steps: taken }) => {
        const { clock, store } = setUp(max);
        const model = new Model(max);
        for (const { id, waitMs } of taken) {
          clock.advance(waitMs);
          expect(outcomeOf(store, `id ${id}`)).toBe(model.remember(`id ${id}`, clock.monotonicMs()));
        }
      }),
      { seed: 20261123, numRuns: 100 },
    );
  });

  function outcomeOf(store: ReplayStore, id: string): string {
    try {
      store.remember(id);
      return "taken";
    } catch (error) {
      if (error instanceof ServiceError) return error.code;
      throw error;
    }
  }
});
