/** The `openssl` command as a second opinion, where it is installed. */
import { execFileSync } from "node:child_process";
import type { TestContext } from "vitest";

export const openssl = (args: readonly string[], input?: Uint8Array): Buffer =>
  execFileSync("openssl", args, { stdio: ["pipe", "pipe", "pipe"], ...(input && { input }) });

/** Skips the test, with the reason, where there is no OpenSSL 3. */
export function needsOpenssl({ skip }: Pick<TestContext, "skip">): void {
  if (!isInstalled()) skip("there is no `openssl` command of version 3");
}

function isInstalled(): boolean {
  try {
    return openssl(["version"]).toString().startsWith("OpenSSL 3");
  } catch {
    return false; // not installed: the test is skipped, and says so
  }
}
