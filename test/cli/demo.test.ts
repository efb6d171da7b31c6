/** How the demo judges and tells: an attempt that is not refused as told makes it fail. (test/e2e runs the whole of it.) */
import { describe, expect, it } from "vitest";
import type { Attempt } from "../../cli/demo/attempt.js";
import { DENIED_BY_KMS, refuse } from "../../cli/demo/attempt.js";
import { Evidence } from "../../cli/demo/evidence.js";
import { createReport } from "../../cli/demo/report.js";
import { ServiceError } from "../../shared/errors.js";
import type { AuditRecord } from "../../simulator/cloudtrail/records.js";
import { recordedIo } from "../support/io.js";

const TITLE = { id: "cheat", title: "A way to cheat" };
const DENIAL = { eventName: "Decrypt", errorCode: "AccessDeniedException" } as AuditRecord;

const rejecting = (code: "ERR_PCR_MISMATCH" | "ERR_STALE") => async () => {
  throw new ServiceError(code, "refused");
};
const baseline: Attempt = {
  what: "tries",
  by: "client",
  code: "ERR_PCR_MISMATCH",
  run: rejecting("ERR_PCR_MISMATCH"),
};

/** Makes one attempt, and returns the verdict and what was printed. */
async function judge(attempt: Attempt, { json = true, color = false } = {}) {
  const io = recordedIo({ color });
  const report = createReport(io, json);
  await refuse(report, new Evidence(20), TITLE, [attempt]);
  return { ok: report.finish(1234), out: io.out };
}

describe("an attempt", () => {
  it("that is refused with the code it should be is as told", async () => {
    const { ok, out } = await judge(baseline);
    expect(ok).toBe(true);
    const [refusal, result] = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(refusal).toMatchObject({ event: "refusal", id: "cheat", ok: true, attempts: [{ ok: true }] });
    expect(result).toEqual({ event: "result", ok: true, steps: 0, refusals: 1, unexpected: [], elapsedMs: 1234 });
  });

  it("that succeeds is not", async () => {
    const { ok, out } = await judge({ ...baseline, run: async () => "plaintext" });
    expect(ok).toBe(false);
    expect(out).toContain('"unexpected":["cheat"]');
    expect(out).not.toContain("plaintext");
  });

  it("that is refused with another code is not", async () => {
    expect((await judge({ ...baseline, run: rejecting("ERR_STALE") })).ok).toBe(false);
  });

  it("that fails for a reason of its own is not", async () => {
    const run = async () => {
      throw new TypeError("a mistake of the demo");
    };
    expect((await judge({ ...baseline, run })).ok).toBe(false);
  });

  it("that leaves no record with the party that is said to have refused it is not", async () => {
    expect((await judge({ ...baseline, by: "kms", record: DENIED_BY_KMS })).ok).toBe(false);
    const record = { in: "log", label: "enclave" } as const;
    expect((await judge({ ...baseline, by: "enclave", record })).ok).toBe(false);
  });
});

describe("a refusal without attempts", () => {
  it("is not as told", async () => {
    const report = createReport(recordedIo(), true);
    await refuse(report, new Evidence(), TITLE, []);
    expect(report.finish(0)).toBe(false);
  });
});

describe("evidence", () => {
  it("is what was recorded after the mark, whenever it comes", async () => {
    const evidence = new Evidence(5_000);
    evidence.addCall(DENIAL);
    const since = evidence.mark();
    const later = { ...DENIAL, eventID: "later" };
    const call = since.call(({ eventName }) => eventName === "Decrypt");
    evidence.addCall(later);
    expect(await call).toBe(later);
  });

  it("of a log is told by process, and lines without fields do no harm", async () => {
    const evidence = new Evidence(5_000);
    const since = evidence.mark();
    evidence.addLine("enclave", "(node:1) Warning: not JSON");
    evidence.addLine("parent", '{"code":"ERR_STALE","reason":"of the parent"}');
    evidence.addLine("enclave", '{"code":"ERR_STALE","reason":"of the enclave"}');
    expect(await since.line("enclave", ({ code }) => code === "ERR_STALE")).toMatchObject({ reason: "of the enclave" });
    expect(evidence.everything).toContain("not JSON");
  });
});

describe("the text report", () => {
  it("marks what is as told and what is not, and ends with the verdict", async () => {
    const good = await judge(baseline, { json: false });
    expect(good.out).toContain(" ✓  A way to cheat");
    expect(good.out).toMatch(/client +ERR_PCR_MISMATCH +tries/);
    expect(good.out).toContain("Everything went as told: one decryption, and 1 ways to cheat refused, in 1.2 s.");
    const bad = await judge({ ...baseline, run: async () => undefined }, { json: false });
    expect(bad.out).toContain(" ✗  A way to cheat");
    expect(bad.out).toContain("no refusal, expected ERR_PCR_MISMATCH");
    expect(bad.out).toContain("Not as told: cheat");
  });

  it("has colours where they are wanted, and only there", async () => {
    expect((await judge(baseline, { json: false, color: true })).out).toContain("\x1b[32m");
    expect((await judge(baseline, { json: false })).out).not.toContain("\x1b");
  });
});
