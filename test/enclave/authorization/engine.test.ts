/** What becomes of an engine that traps, in processes of their own. The programs are run as they were built. */
import { describe, expect, it } from "vitest";
import { projectRoot, runCommand } from "../../support/project.js";

describe("Cedar's engine, which may trap", () => {
  const trap = (where: string) =>
    runCommand(process.execPath, ["dist/test/enclave/authorization/trap.js", where], projectRoot).stdout.split("\n");

  it.each(["policies", "schema"])("refuses %s that are nested too deeply to be read", (where) => {
    const expectation = "expected it to be nested less deeply, Cedar's engine has no room for it";
    expect(trap(where)[0]).toBe(`ERR_CONFIGURATION authorization.${where}: ${expectation}`);
  });

  it("decides nothing any more once it has failed", () => {
    const [first, second] = trap("store");
    expect(first).toMatch(/^(Runtime|Range)Error$/); // whichever stack ends first
    expect(second).toBe("ERR_INTERNAL expected Cedar's engine to work, it has failed before");
  });
});
