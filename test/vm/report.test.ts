import { describe, expect, it } from "vitest";
import { Report } from "./host/report.js";
import { formatResult } from "./results.js";

const PASSED = formatResult({ name: "boots", ms: 12 });
const END = formatResult({ end: true });

function reportOn(lines: readonly string[], failure?: string) {
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  const report = new Report({ say, progress: say, isVerbose: false });
  for (const line of lines) report.line(line);
  return { exitCode: report.finish(failure), said };
}

describe("the report on a virtual machine", () => {
  it("passes when every check did and the last line came", () => {
    const { exitCode, said } = reportOn(["kernel", formatResult({ step: "runs" }), PASSED, END]);
    expect(said).toEqual(["runs", "ok - boots (12 ms)", "1 passed, 0 failed"]);
    expect(exitCode).toBe(0);
  });

  it.each([
    ["a check failed", [PASSED, formatResult({ name: "echoes", ms: 1, failure: "no" }), END], "1 passed, 1 failed"],
    ["the last line did not come, as after a panic", [PASSED], "1 passed, 1 failed"],
    ["nothing was checked", [END], "0 passed, 0 failed"],
    ["another line cut one in two", [PASSED.slice(0, 20), "panic", END], "0 passed, 0 failed"],
  ])("fails when %s", (_, lines, last) => {
    const { exitCode, said } = reportOn(lines);
    expect(said.at(-1)).toBe(last);
    expect(exitCode).toBe(1);
  });

  it("fails when the machine was late, whatever its checks said", () => {
    const { exitCode, said } = reportOn([PASSED, END], "late");
    expect(said.at(-1)).toBe("1 passed, 1 failed");
    expect(exitCode).toBe(1);
  });

  it("finds a result behind the start of another line", () => {
    expect(reportOn([`unfinished${PASSED}`, END]).exitCode).toBe(0);
  });
});
