/** Where the project lies, and how tests run its commands. */
import type { SpawnSyncReturns } from "node:child_process";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The folder of package.json. */
export const projectRoot = fileURLToPath(new URL("../..", import.meta.url));

/** Runs a command to its end, with a deadline, and returns what it printed. */
export function runCommand(command: string, args: readonly string[], cwd: string): SpawnSyncReturns<string> {
  return spawnSync(command, args, { cwd, encoding: "utf8", timeout: 120_000, maxBuffer: 64 * 1024 * 1024 });
}
