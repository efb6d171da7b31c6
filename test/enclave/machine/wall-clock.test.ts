/** Pitfall 12: that the machine's clock is not the NSM's time is told once, and again when it is right. */
import { expect, it } from "vitest";
import { watchWallClock } from "../../../enclave/machine/wall-clock.js";
import { memoryLog } from "../fakes.js";

it("tells when the clock goes off by more than AWS allows, and when it is right again", () => {
  const log = memoryLog();
  const state = {
    wallAheadMs: null as number | null,
    documentAgeSeconds: null,
    kmsAheadMs: null,
    monotonicAheadMs: null,
  };
  const look = watchWallClock({ state }, log);
  for (const wallAheadMs of [null, 300_000, 300_001, 900_000, -900_000, -300_000]) {
    state.wallAheadMs = wallAheadMs;
    look();
  }
  expect(log.entries.map(({ level, fields }) => [level, fields.wallAheadMs])).toEqual([
    ["warn", 300_001],
    ["info", -300_000],
  ]);
});
