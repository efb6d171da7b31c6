/** What a process of the guest wrote, or is yet to write. */
import { expect, it } from "vitest";
import { Lines } from "./guest/lines.js";

const never = new AbortController().signal;

it("finds a line that was written, one that comes, and none from before the start", async () => {
  const lines = new Lines("test");
  lines.push("one: a");
  expect(await lines.find("one", 0, never)).toBe("one: a");
  const later = lines.find("one", lines.length, never);
  lines.push("two");
  lines.push("one: b");
  expect(await later).toBe("one: b");
});

it("waits no longer than its signal", async () => {
  const over = new AbortController();
  const waiting = new Lines("test").find("one", 0, over.signal);
  over.abort(new Error("over"));
  await expect(waiting).rejects.toThrow("over");
});
