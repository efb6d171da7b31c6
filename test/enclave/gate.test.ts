/** Bounded concurrency with a bounded queue. */
import { describe, expect, it } from "vitest";
import { Gate } from "../../enclave/gate.js";
import { settle } from "./fakes.js";

/** A gate and tasks that end when the test says so. */
function setUp(maxConcurrent: number, maxQueued: number) {
  const gate = new Gate("tasks", { maxConcurrent, maxQueued });
  const running: (() => void)[] = [];
  const run = (signal?: AbortSignal) =>
    gate.run(
      () =>
        new Promise<void>((resolve) => {
          running.push(resolve);
        }),
      signal,
    );
  return { gate, running, run };
}

describe("Gate", () => {
  it("runs so many at a time, and the others in order", async () => {
    const { gate, running, run } = setUp(2, 2);
    const all = [run(), run(), run(), run()];
    await settle();
    expect(running).toHaveLength(2);
    running[0]?.();
    await settle();
    expect(running).toHaveLength(3);
    expect(gate.running).toBe(2);
    running[1]?.();
    running[2]?.();
    await settle();
    running[3]?.();
    await Promise.all(all);
    expect(gate.running).toBe(0);
  });

  it("refuses who finds the queue full", async () => {
    const { running, run } = setUp(1, 1);
    const all = [run(), run()];
    await expect(run()).rejects.toThrowCode("ERR_BUSY");
    await settle();
    running[0]?.();
    await settle();
    running[1]?.();
    await Promise.all(all);
  });

  it("gives its place back when what runs fails", async () => {
    const { gate } = setUp(1, 0);
    await expect(gate.run(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await expect(gate.run(async () => "yes")).resolves.toBe("yes");
  });

  it("lets who waits go, without a place", async () => {
    const { gate, running, run } = setUp(1, 1);
    const first = run();
    const controller = new AbortController();
    const second = run(controller.signal);
    controller.abort(new Error("gone"));
    await expect(second).rejects.toThrow("gone");
    running[0]?.();
    await first;
    expect(gate.running).toBe(0);
    expect(running).toHaveLength(1);
    await expect(run(AbortSignal.abort(new Error("before")))).rejects.toThrow("before");
  });
});
