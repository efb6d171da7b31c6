import { describe, expect, it } from "vitest";
import { consoleLog } from "../../../enclave/program/console-log.js";
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
