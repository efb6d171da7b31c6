/** The process's clock where setTimeout has a trap. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../enclave/clock.js";

describe("systemClock", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("waits where a delay is beyond what setTimeout takes (it would fire at once: a parent's far expiration made a loop)", () => {
    let ran = 0;
    const cancel = systemClock.after(2 ** 40, () => {
      ran += 1;
    });
    vi.advanceTimersByTime(24 * 86_400_000);
    expect(ran).toBe(0);
    cancel();
  });
});
