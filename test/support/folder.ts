/** A folder of its own for one test, for Unix sockets; short, because a socket's path must be. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Makes the folder and returns it; it is removed when the test is over. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nd-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
