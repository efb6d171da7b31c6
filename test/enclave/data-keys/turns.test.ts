/** Turns: one at a time for the same thing. */
import { describe, expect, it } from "vitest";
import { Turns } from "../../../enclave/data-keys/turns.js";
import { settle } from "../fakes.js";

/** Runs that a test ends. */
function held() {
  const running: { readonly name: string; readonly end: () => void; readonly fail: (error: Error) => void }[] = [];
  const run = (name: string) => () =>
    new Promise<string>((resolve, reject) => void running.push({ name, end: () => resolve(name), fail: reject }));
  return { running, run, names: () => running.map(({ name }) => name) };
}

describe("turns", () => {
  it("run one after the other for one thing, and beside each other for different things", async () => {
    const turns = new Turns();
    const { running, run, names } = held();
    const outcomes = Promise.all([turns.run("a", run("1")), turns.run("a", run("2")), turns.run("b", run("3"))]);
    await settle();
    expect(names()).toEqual(["1", "3"]);
    running[0]?.end();
    await settle();
    expect(names()).toEqual(["1", "3", "2"]);
    for (const { end } of running) end();
    expect(await outcomes).toEqual(["1", "2", "3"]);
  });

  it("are never two, however many wait", async () => {
    const turns = new Turns();
    let [atOnce, most] = [0, 0];
    const run = async () => {
      most = Math.max(most, ++atOnce);
      await settle();
      atOnce -= 1;
    };
    await Promise.all(Array.from({ length: 50 }, () => turns.run("a", run)));
    expect([most, atOnce]).toEqual([1, 0]);
  });

  it("pitfall 15: are waited for in line: nobody is woken for each of those before him", async () => {
    const turns = new Turns();
    const { signal } = new AbortController();
    let waits = 0;
    const addEventListener: typeof signal.addEventListener = (...args: unknown[]) => {
      waits += 1;
      Reflect.apply(AbortSignal.prototype.addEventListener, signal, args);
    };
    Object.defineProperty(signal, "addEventListener", { value: addEventListener });
    await Promise.all(Array.from({ length: 100 }, () => turns.run("a", settle, signal)));
    expect(waits).toBe(99);
  });

  it("a failure is told to the one that failed, and the next one tries for itself", async () => {
    const turns = new Turns();
    const { running, run } = held();
    const [first, second] = [turns.run("a", run("1")), turns.run("a", run("2"))];
    await settle();
    running[0]?.fail(new Error("no"));
    await expect(first).rejects.toThrow("no");
    await settle();
    running[1]?.end();
    expect(await second).toBe("2");
  });

  it("waiting ends with the caller's signal, who then never runs; those behind are not kept by it", async () => {
    const turns = new Turns();
    const { running, run, names } = held();
    const leaving = new AbortController();
    const first = turns.run("a", run("1"));
    const second = turns.run("a", run("2"), leaving.signal);
    const third = turns.run("a", run("3"));
    leaving.abort(new Error("gone"));
    await expect(second).rejects.toThrowCode("ERR_TIMEOUT");
    running[0]?.end();
    await settle();
    running[1]?.end();
    expect([await first, await third, names()]).toEqual(["1", "3", ["1", "3"]]);
  });

  it("who has left before does not wait", async () => {
    const turns = new Turns();
    const { running, run } = held();
    const first = turns.run("a", run("1"));
    await expect(turns.run("a", run("2"), AbortSignal.abort())).rejects.toThrowCode("ERR_TIMEOUT");
    running[0]?.end();
    await first;
  });

  it("a failure that nobody waits for is not left unhandled", async () => {
    const turns = new Turns();
    const { running, run } = held();
    const first = turns.run("a", run("1")).catch(() => "handled");
    await settle();
    running[0]?.fail(new Error("no"));
    expect(await first).toBe("handled"); // vitest fails on rejections that nobody handles
    await settle();
  });
});
