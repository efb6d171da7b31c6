/** Branch keys in memory are overwritten when they leave, whatever the reason. */
import { describe, expect, it } from "vitest";
import { createBranchKeyCache } from "../../../../enclave/data-keys/branch/branch-key-cache.js";
import { isAllZero } from "../../../../shared/bytes.js";
import { TestClock } from "../../fakes.js";
import { VERSION } from "./records.js";

function setUp() {
  const clock = new TestClock();
  const cache = createBranchKeyCache({ clock, capacity: 2, maxAgeSeconds: 60 });
  const put = (name: string): Uint8Array => {
    const key = new Uint8Array(32).fill(7);
    cache.set(name, { version: VERSION, key });
    return key;
  };
  return { clock, cache, put };
}

describe("createBranchKeyCache", () => {
  it("overwrites the least recently used key when there is no room, and no other", () => {
    const { cache, put } = setUp();
    const [first, second] = [put("a"), put("b")];
    expect(cache.get("a")?.key).toBe(first);
    const third = put("c");
    expect([first, second, third].map(isAllZero)).toEqual([false, true, false]);
  });

  it("overwrites a key when its age has come, though nobody asks", () => {
    const { clock, put } = setUp();
    const key = put("a");
    clock.advance(59_999);
    expect(isAllZero(key)).toBe(false);
    clock.advance(1);
    expect(isAllZero(key)).toBe(true);
  });

  it("overwrites the key that another takes the place of", () => {
    const { put } = setUp();
    expect([put("a"), put("a")].map(isAllZero)).toEqual([true, false]);
  });

  it("overwrites all keys on demand", () => {
    const { cache, put } = setUp();
    const keys = [put("a"), put("b")];
    cache.clear();
    expect(keys.every(isAllZero)).toBe(true);
  });
});
