import { execFileSync, spawn } from "node:child_process";
import { closeSync, constants, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import { consoleLog, openConsole } from "../../../enclave/program/console-log.js";
import { testFolder } from "../../support/folder.js";
import { projectRoot } from "../../support/project.js";
import { START, TestClock } from "../fakes.js";

function open() {
  const lines: string[] = [];
  const console = { writableLength: 0, write: (text: string) => void lines.push(text) };
  return { console, lines, log: consoleLog(console, new TestClock()) };
}

describe("consoleLog", () => {
  it("writes a JSON object a line", () => {
    const { log, lines } = open();
    log.warn({ code: "ERR_NSM", reason: "no\nanswer" }, "failed");
    const written = {
      time: START.toISOString(),
      level: "warn",
      message: "failed",
      code: "ERR_NSM",
      reason: "no\nanswer",
    };
    expect(lines).toEqual([`${JSON.stringify(written)}\n`]);
  });

  it("drops lines while the console takes none, and says how many", () => {
    const { console, log, lines } = open();
    console.writableLength = 300 * 1024;
    log.info({}, "one");
    log.error({}, "two");
    expect(lines).toEqual([]);
    console.writableLength = 0;
    log.info({}, "three");
    log.info({}, "four");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { message: "three", dropped: 2 },
      { message: "four" },
    ]);
    expect(lines[1]).not.toContain("dropped");
  });
});

/** Writes more than any console takes, in `turns` turns of the event loop, and says in the file when it has had them. */
const FLOOD = `
  import { writeFileSync } from "node:fs";
  import { consoleLog, openConsole } from "${projectRoot}/dist/enclave/program/console-log.js";
  const log = consoleLog(openConsole(1, process.stdout), { now: () => new Date() });
  let turns = 0;
  setInterval(() => {
    for (let count = 0; count < 10; count++) log.info({ reason: "x".repeat(2_000) }, "flood");
    if (++turns === 50) writeFileSync(process.argv[1], "went on");
  }, 1);`;

/** Both ends of a pipe, with the descriptor of one that reads. */
function pipe() {
  const path = join(testFolder(), "fifo");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  const console = openConsole(writer, new PassThrough());
  onTestFinished(() => {
    console.destroy();
    closeSync(writer);
  });
  return { reader, console };
}

describe("openConsole", () => {
  it.skipIf(!existsSync("/usr/bin/script"))(
    "does not stop the program when nobody reads its terminal",
    async () => {
      const told = join(testFolder(), "told");
      const command = `exec "${process.execPath}" --input-type=module -e '${FLOOD}' "${told}"`;
      const child = spawn("/usr/bin/script", ["-qc", command, "/dev/null"], { stdio: ["ignore", "pipe", "inherit"] });
      onTestFinished(() => void child.kill("SIGKILL"));
      await expect.poll(() => existsSync(told) && readFileSync(told, "utf8"), { timeout: 30_000 }).toBe("went on");
    },
    40_000,
  );

  it("keeps what the console does not take yet, in order", async () => {
    const { reader, console } = pipe();
    const sent = Buffer.from(Array.from({ length: 50_000 }, (_, index) => `${index}\n`).join(""));
    const written = new Promise<void>((resolve) => void console.write(sent, () => resolve()));
    expect(console.writableLength).toBe(sent.length);
    const parts: Buffer[] = [];
    const drain = (): number => {
      const part = Buffer.alloc(65_536);
      try {
        parts.push(part.subarray(0, readSync(reader, part)));
      } catch {} // EAGAIN: nothing there
      return Buffer.concat(parts).length;
    };
    await expect.poll(drain).toBe(sent.length);
    await written;
    expect(Buffer.concat(parts).equals(sent)).toBe(true);
    closeSync(reader);
  });

  it("drops what a broken console refuses, and goes on", async () => {
    const { reader, console } = pipe();
    closeSync(reader);
    const errors: Error[] = [];
    console.on("error", (error) => errors.push(error));
    await new Promise((resolve) => void console.write("lost\n", resolve));
    await new Promise((resolve) => void console.write("lost\n", resolve));
    expect([errors, console.destroyed]).toEqual([[], false]);
  });

  it("takes what is no terminal and no pipe as it is, and its errors end nothing", async () => {
    const fallback = new PassThrough();
    const file = openSync(join(testFolder(), "log"), "w");
    expect(openConsole(file, fallback)).toBe(fallback);
    closeSync(file);
    expect(openConsole(2 ** 31 - 1, fallback)).toBe(fallback);
    fallback.destroy(new Error("broken"));
    await new Promise((resolve) => void fallback.once("close", resolve));
  });
});
