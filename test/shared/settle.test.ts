/** One refusal, whatever finishes first. */
import { describe, expect, it } from "vitest";
import { allInOrder } from "../../shared/settle.js";

describe("allInOrder", () => {
  it("returns the values in their order", async () => {
    const [one, two, three] = await allInOrder([Promise.resolve(1), "two", Promise.resolve(null)]);
    expect([one, two, three]).toEqual([1, "two", null]);
  });

  it("rejects with the first reason in the order given, not in the order of time", async () => {
    const late = () => Promise.resolve().then(() => Promise.reject(new Error("first in order")));
    const early = () => Promise.reject(new Error("first in time"));
    await expect(allInOrder([late(), early()])).rejects.toThrow("first in order");
    await expect(Promise.all([late(), early()])).rejects.toThrow("first in time");
  });

  it("waits for all, also when one has failed", async () => {
    let finished = false;
    const slow = new Promise<void>((resolve) => {
      setImmediate(() => {
        finished = true;
        resolve();
      });
    });
    await expect(allInOrder([Promise.reject(new Error("at once")), slow])).rejects.toThrow("at once");
    expect(finished).toBe(true);
  });
});
