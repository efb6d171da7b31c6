/** A few at a time: what waits has its turn in order, what fails gives its turn on, and nobody waits without a bound. */
import { pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { throttled } from "../../../simulator/errors.js";
import { newKeyObjects } from "../../../simulator/kms/key-pairs.js";
import { Turns } from "../../../simulator/kms/turns.js";

/** Work that is done when the test says so. */
function work(turns: Turns, started: string[], name: string) {
  const release: { end?: () => void; fail?: () => void } = {};
  const result = new Promise<string>((resolve, reject) => {
    release.end = () => resolve(name);
    release.fail = () => reject(new Error(name));
  });
  const done = turns.take(() => {
    started.push(name);
    return result;
  });
  return { done, end: () => release.end?.(), fail: () => release.fail?.() };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("turns", () => {
  it("are taken two at a time, in order, and passed on when work ends or fails", async () => {
    const started: string[] = [];
    const turns = new Turns({ atOnce: 2, waiting: 3 });
    const [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map((name) => work(turns, started, name));
    await settled();
    expect(started).toEqual(["a", "b"]);
    b?.fail();
    await expect(b?.done).rejects.toThrow("b");
    await settled();
    expect(started).toEqual(["a", "b", "c"]);
    for (const one of [a, c, d, e]) one?.end();
    expect(await Promise.all([a?.done, c?.done, d?.done, e?.done])).toEqual(["a", "c", "d", "e"]);
    expect(started).toEqual(["a", "b", "c", "d", "e"]);
    const again = work(turns, started, "again");
    again.end();
    expect(await again.done).toBe("again");
  });

  it("are refused when too many wait, and given again when one has had its turn", async () => {
    const started: string[] = [];
    const turns = new Turns({ atOnce: 1, waiting: 1 });
    const [running, waiting] = [work(turns, started, "running"), work(turns, started, "waiting")];
    const refusal = await work(turns, started, "refused").done.catch((error: unknown) => error);
    expect(refusal).toEqual(throttled());
    running.end();
    await running.done;
    const late = work(turns, started, "late");
    for (const one of [waiting, late]) one.end();
    await Promise.all([waiting.done, late.done]);
    expect(started).toEqual(["running", "waiting", "late"]);
  });
});

describe("RSA keys", () => {
  it("leave threads to other work, however many are made", async () => {
    let made = 0;
    const keys = Array.from({ length: 6 }, () => newKeyObjects("RSA_3072").then(() => (made += 1)));
    await promisify(pbkdf2)("other", "work", 1, 32, "sha256"); // on libuv's threads as well
    expect(made).toBe(0);
    await Promise.all(keys);
  });
});
