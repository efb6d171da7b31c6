/** Values that are kept for a while: bounds, ages, and that what leaves is disposed of in time. */
import { describe, expect, it } from "vitest";
import { ExpiringCache } from "../../enclave/expiring-cache.js";
import { TestClock } from "./fakes.js";

function setUp(capacity = 2) {
  const clock = new TestClock();
  const left: string[] = [];
  const cache = new ExpiringCache<string>({
    capacity,
    maxAgeMs: 60_000,
    clock,
    dispose: (value) => void left.push(value),
  });
  return { clock, cache, left };
}

describe("ExpiringCache", () => {
  it("lets the least recently used leave when there is no room", () => {
    const { cache, left } = setUp();
    cache.set("a", "1");
    cache.set("b", "2");
    expect(cache.get("a")).toBe("1");
    cache.set("c", "3");
    expect(left).toEqual(["2"]);
    expect([cache.get("a"), cache.get("b"), cache.get("c"), cache.size]).toEqual(["1", undefined, "3", 2]);
  });

  it("disposes of a value when its age has come, asked for or not, and no earlier", () => {
    const { clock, cache, left } = setUp();
    cache.set("a", "1");
    clock.advance(59_999);
    expect([cache.get("a"), left]).toEqual(["1", []]);
    clock.advance(1);
    expect([left, cache.size, clock.waiting]).toEqual([["1"], 0, 0]);
  });

  it("disposes of each at its own time, however many were put in between", () => {
    const { clock, cache, left } = setUp();
    cache.set("a", "1");
    clock.advance(30_000);
    cache.set("b", "2");
    clock.advance(30_000);
    expect(left).toEqual(["1"]);
    clock.advance(30_000);
    expect([left, clock.waiting]).toEqual([["1", "2"], 0]);
  });

  it("disposes of a value that is to leave sooner than those before it", () => {
    const { clock, cache, left } = setUp();
    cache.set("a", "1");
    cache.set("b", "2", 5_000);
    clock.advance(5_000);
    expect(left).toEqual(["2"]);
    clock.advance(55_000);
    expect(left).toEqual(["2", "1"]);
  });

  it("looks at most once a second, and returns nothing past its age before it looks", () => {
    const { clock, cache, left } = setUp(10);
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

  it("disposes of what another takes the place of, once", () => {
    const { clock, cache, left } = setUp();
    cache.set("a", "1");
    clock.advance(30_000);
    cache.set("a", "2");
    clock.advance(30_000);
    expect([cache.get("a"), left]).toEqual(["2", ["1"]]);
    clock.advance(30_000);
    expect(left).toEqual(["1", "2"]);
  });

  it("lets go of everything on demand, and waits for nothing then", () => {
    const { clock, cache, left } = setUp();
    cache.set("a", "1");
    cache.set("b", "2");
    cache.clear();
    expect([left, cache.size, clock.waiting]).toEqual([["1", "2"], 0, 0]);
    cache.set("c", "3");
    clock.advance(60_000);
    expect(left).toEqual(["1", "2", "3"]);
  });
});
