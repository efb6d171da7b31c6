import { once } from "node:events";
import type { Duplex } from "node:stream";
import { duplexPair } from "node:stream";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { joinStreams } from "../../parent/pipe.js";
import { collect } from "../support/streams.js";

const limits = { idleMs: 1_000, totalMs: 10_000 };

/** Two joined streams, and the ends that their peers hold. */
function joined(options = limits) {
  const [nearPeer, near] = duplexPair();
  const [farPeer, far] = duplexPair();
  for (const peer of [nearPeer, farPeer]) peer.on("error", () => peer.destroy());
  return { near, far, nearPeer, farPeer, done: joinStreams(near, far, options) };
}

function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
}

async function pass(from: Duplex, to: Duplex, text: string): Promise<void> {
  from.write(text);
  expect(String((await once(to, "data"))[0])).toBe(text);
}

describe("joinStreams", () => {
  test("ends when both directions have ended, with both streams destroyed", async () => {
    const { near, far, nearPeer, farPeer, done } = joined();
    nearPeer.end("forth");
    expect((await collect(farPeer)).toString()).toBe("forth");
    expect(far.destroyed).toBe(false);
    farPeer.end("back");
    expect((await collect(nearPeer)).toString()).toBe("back");
    await done;
    expect([near.destroyed, far.destroyed]).toEqual([true, true]);
  });

  test("breaks with the error of either stream, with both destroyed", async () => {
    for (const side of ["near", "far"] as const) {
      const streams = joined();
      streams[side].destroy(new Error(`${side} broke`));
      await expect(streams.done).rejects.toThrow(`${side} broke`);
      expect([streams.near.destroyed, streams.far.destroyed]).toEqual([true, true]);
    }
  });

  test("pitfall 15: a byte in either direction begins the idle time anew", async () => {
    fakeTimers();
    const { nearPeer, farPeer, done } = joined();
    const outcome = expect(done).rejects.toThrowCode("ERR_TIMEOUT");
    vi.advanceTimersByTime(900);
    await pass(nearPeer, farPeer, "forth");
    vi.advanceTimersByTime(900);
    await pass(farPeer, nearPeer, "back");
    vi.advanceTimersByTime(900);
    await pass(nearPeer, farPeer, "still open");
    vi.advanceTimersByTime(1_000);
    await outcome;
  });

  test("pitfall 15: bytes do not put the total deadline off", async () => {
    fakeTimers();
    const { nearPeer, farPeer, done } = joined({ idleMs: 1_000, totalMs: 2_500 });
    const outcome = expect(done).rejects.toThrowCode("ERR_TIMEOUT");
    for (let i = 0; i < 2; i++) {
      vi.advanceTimersByTime(900);
      await pass(nearPeer, farPeer, "busy");
    }
    vi.advanceTimersByTime(700);
    await outcome;
  });

  test("tells of every byte, by direction", async () => {
    const seen: [string, number][] = [];
    const [nearPeer, near] = duplexPair();
    const [farPeer, far] = duplexPair();
    const done = joinStreams(near, far, { ...limits, onBytes: (...chunk) => seen.push(chunk) });
    nearPeer.end("12345");
    farPeer.end("123");
    await Promise.all([collect(nearPeer), collect(farPeer), done]);
    expect(seen.sort()).toEqual([
      ["back", 3],
      ["forth", 5],
    ]);
  });
});
