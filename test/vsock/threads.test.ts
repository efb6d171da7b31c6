/** The addon in several threads, and at the end of a thread and of the process. */
import { expect, it } from "vitest";
import { projectRoot, runCommand } from "../support/project.js";
import { describeNative, program } from "../support/vsock.js";

const run = (name: string, ...args: string[]) => {
  const { stdout, stderr, status, signal } = runCommand(process.execPath, [program(name), ...args], projectRoot);
  return { stdout, stderr, status, signal };
};

describeNative("threads and processes", () => {
  it("threads talk to each other, and may end with everything open", () => {
    expect(run("threads.mjs")).toEqual({ stdout: "done\n", stderr: "", status: 0, signal: null });
  });

  it("what is not referenced lets the process end", () => {
    expect(run("life.mjs", "unref")).toEqual({ stdout: "idle\n", stderr: "", status: 0, signal: null });
  });

  it("what a listener throws is an uncaught exception", () => {
    expect(run("life.mjs", "throw")).toMatchObject({ stdout: "thrown in a callback\n", status: 3 });
  });
});
