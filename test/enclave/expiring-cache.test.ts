/** Values that are kept for a while: how long, how many, and that whatever leaves is told to leave. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ExpiringCache } from "../../enclave/expiring-cache.js";
import { TestClock } from "./fakes.js";

function setUp(changes: { readonly capacity?: number; readonly maxAgeMs?: number } = {}) {
  const clock = new TestClock();
  const left: string[] = [];
  const dispose = (value: string): void => void left.push(value);
  return {
    clock,
    left,
    cache: new ExpiringCache<string>({ capacity: 2, maxAgeMs: 10_000, clock, dispose, ...changes }),
  };
}

describe("ages", () => {
  it("pitfall 12: a value is there until it is too old by the monotonic clock, and then leaves", () => {
    const { clock, cache, left } = setUp();
    cache.set("a", "first");
    clock.advance(9_999);
    expect(cache.get("a")).toBe("first");
    clock.advance(1);
    expect([cache.get("a"), cache.size, left]).toEqual([undefined, 0, ["first"]]);
  });

  it("being used makes no value younger", () => {
    const { clock, cache } = setUp();
    cache.set("a", "first");
    for (let second = 0; second < 10; second++) {
      expect(cache.get("a")).toBe("first");
      clock.advance(1_000);
    }
    expect(cache.get("a")).toBeUndefined();
  });

  it("a value may have less time than the others, and none has more", () => {
    const { clock, cache } = setUp();
    cache.set("short", "short", 1_000);
    cache.set("long", "long", 60_000);
    clock.advance(1_000);
    expect([cache.get("short"), cache.get("long")]).toEqual([undefined, "long"]);
    clock.advance(9_000);
    expect(cache.get("long")).toBeUndefined();
  });

  it("what nobody asks for any more leaves by itself, and then no timer waits", () => {
    const { clock, cache, left } = setUp();
    cache.set("a", "first");
    clock.advance(5_000);
    cache.set("b", "second");
    clock.advance(20_000);
    expect([cache.size, left, clock.waiting]).toEqual([0, ["first", "second"], 0]);
  });

  it("one of no age at all keeps nothing", () => {
    const { cache } = setUp({ maxAgeMs: 0 });
    cache.set("a", "first");
    expect(cache.get("a")).toBeUndefined();
  });
});

describe("places", () => {
  it("the one that was not used for longest leaves first", () => {
    const { cache, left } = setUp();
    cache.set("a", "first");
    cache.set("b", "second");
    cache.get("a");
    cache.set("c", "third");
    expect(left).toEqual(["second"]);
    expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual(["first", undefined, "third"]);
  });

  it("a value takes the place of what was there, which leaves", () => {
    const { cache, left } = setUp();
    cache.set("a", "first");
    cache.set("b", "second");
    cache.set("a", "third");
    expect([cache.size, left, cache.get("a"), cache.get("b")]).toEqual([2, ["first"], "third", "second"]);
  });

  it("a value that is set again stays and does not leave, however full it is; it is the youngest then", () => {
    const { clock, cache, left } = setUp();
    cache.set("a", "first");
    cache.set("b", "second");
    clock.advance(9_000);
    cache.set("a", "first");
    expect([cache.size, left]).toEqual([2, []]);
    clock.advance(1_000);
    expect([cache.get("a"), cache.get("b")]).toEqual(["first", undefined]);
    cache.set("c", "third");
    expect(left).toEqual(["second"]);
  });

  it("clear lets go of everything, each once, and of the timer", () => {
    const { clock, cache, left } = setUp();
    cache.set("a", "first");
    cache.set("b", "second");
    cache.clear();
    cache.clear();
    cache.delete("a");
    expect([cache.size, left.sort(), clock.waiting, cache.get("a")]).toEqual([0, ["first", "second"], 0, undefined]);
  });

  it("whatever is done, there are never more than so many, and each value leaves once", () => {
    const step = fc.tuple(fc.constantFrom("set", "get", "delete", "advance"), fc.nat({ max: 5 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, cache, left } = setUp({ capacity: 3 });
        steps.forEach(([kind, key], index) => {
          if (kind === "set") cache.set(`${key}`, `${key}.${index}`);
          else if (kind === "advance") clock.advance(key * 3_000);
          else if (kind === "delete") cache.delete(`${key}`);
          else expect(left).not.toContain(cache.get(`${key}`));
          expect(cache.size).toBeLessThanOrEqual(3);
        });
        cache.clear();
        expect(left).toHaveLength(steps.filter(([kind]) => kind === "set").length);
        expect(new Set(left).size).toBe(left.length);
      }),
    );
  });
});

describe("a value that leaves", () => {
  it("is told so when its age has come, asked for or not, and no earlier", () => {
    const { clock, cache, left } = setUp({ maxAgeMs: 60_000 });
    cache.set("a", "1");
    clock.advance(59_999);
    expect([cache.get("a"), left]).toEqual(["1", []]);
    clock.advance(1);
    expect([left, cache.size, clock.waiting]).toEqual([["1"], 0, 0]);
  });

  it("is told so at its own time, however many were put in between", () => {
    const { clock, cache, left } = setUp({ maxAgeMs: 60_000 });
    cache.set("a", "1");
    clock.advance(30_000);
    cache.set("b", "2");
    clock.advance(30_000);
    expect(left).toEqual(["1"]);
    clock.advance(30_000);
    expect([left, clock.waiting]).toEqual([["1", "2"], 0]);
  });

  it("is told so before those that have more time", () => {
    const { clock, cache, left } = setUp({ maxAgeMs: 60_000 });
    cache.set("a", "1");
    cache.set("b", "2", 5_000);
    clock.advance(5_000);
    expect(left).toEqual(["2"]);
    clock.advance(55_000);
    expect(left).toEqual(["2", "1"]);
  });

  it("is looked for once a second at most, and is not found past its age before that", () => {
    const { clock, cache, left } = setUp({ capacity: 10, maxAgeMs: 60_000 });
    for (let i = 0; i < 10; i++) {
      cache.set(`${i}`, `${i}`);
      clock.advance(100);
    }
    clock.advance(59_000); // the first is 60 s old, and looked at
    expect(left).toEqual(["0"]);
    clock.advance(500);
    expect(cache.get("3")).toBeUndefined();
    clock.advance(500);
    expect(left).toHaveLength(10);
  });

  it("leaves on demand, and then nothing waits", () => {
    const { clock, cache, left } = setUp({ maxAgeMs: 60_000 });
    cache.set("a", "1");
    cache.set("b", "2");
    cache.clear();
    expect([left, cache.size, clock.waiting]).toEqual([["1", "2"], 0, 0]);
    cache.set("c", "3");
    clock.advance(60_000);
    expect(left).toEqual(["1", "2", "3"]);
  });
});
