/** The NSM client: one request at a time, who goes first, and what deadlines do. PITFALLS 26. */
import { describe, expect, it } from "vitest";
import { NsmClient } from "../../enclave/nsm.js";
import { utf8 } from "../../shared/bytes.js";
import { HeldNsm, settle, TestClock } from "./fakes.js";

const FIELDS = { nonce: utf8("a nonce of enough bytes"), userData: null, publicKey: null };
const RANDOM = { kind: "GetRandom", random: new Uint8Array(32).fill(5) } as const;
const DOCUMENT = { kind: "Attestation", document: utf8("document") } as const;

function setUp(limits = { deadlineMs: 1_000, maxWaiting: 64 }) {
  const device = new HeldNsm();
  const clock = new TestClock();
  return { device, clock, nsm: new NsmClient(device, clock, { limits }) };
}

/** Says what becomes of a promise without waiting for it. */
function watch<T>(promise: Promise<T>): { outcome: string } {
  const watched = { outcome: "waiting" };
  promise.then(
    () => Object.assign(watched, { outcome: "ok" }),
    (error: { code?: string }) => Object.assign(watched, { outcome: error.code ?? "unknown" }),
  );
  return watched;
}

describe("NsmClient", () => {
  it("pitfall 26: a burst of 100 attestations delays GetRandom by one request, the one in service", async () => {
    const { device, nsm } = setUp({ deadlineMs: 1_000, maxWaiting: 200 });
    const burst = Array.from({ length: 100 }, () => watch(nsm.attest(FIELDS, "caller")));
    const random = watch(nsm.random());
    await device.answer(DOCUMENT);
    expect(device.kinds).toEqual(["Attestation", "GetRandom"]);
    await device.answer(RANDOM);
    expect(random.outcome).toBe("ok");
    expect(burst.filter(({ outcome }) => outcome === "ok")).toHaveLength(1);
  });

  it("pitfall 26: more attestations than may wait are refused, and still GetRandom is served next", async () => {
    const { device, nsm } = setUp({ deadlineMs: 1_000, maxWaiting: 4 });
    const burst = Array.from({ length: 100 }, () => watch(nsm.attest(FIELDS, "caller")));
    await settle();
    expect(burst.filter(({ outcome }) => outcome === "ERR_BUSY")).toHaveLength(100 - 5); // one in service, four waiting
    const random = nsm.random();
    await device.answer(DOCUMENT);
    await device.answer(RANDOM);
    await expect(random).resolves.toEqual(RANDOM.random);
  });

  it("pitfall 26: the enclave's own attestation goes before that of callers", async () => {
    const { device, nsm } = setUp();
    watch(nsm.attest(FIELDS, "caller"));
    watch(nsm.attest(FIELDS, "caller"));
    watch(nsm.attest({ ...FIELDS, publicKey: utf8("key") }, "kms"));
    await device.answer(DOCUMENT);
    expect(device.requests[1]).toMatchObject({ kind: "Attestation", publicKey: utf8("key") });
  });

  it("the device has one request at a time", async () => {
    const { device, nsm } = setUp();
    const first = nsm.random();
    const second = nsm.describePcr(16);
    await settle();
    expect(device.kinds).toEqual(["GetRandom"]);
    await device.answer(RANDOM);
    expect(device.kinds).toEqual(["GetRandom", "DescribePCR"]);
    await device.answer({ kind: "DescribePCR", lock: true, data: new Uint8Array(48) });
    await expect(first).resolves.toEqual(RANDOM.random);
    await expect(second).resolves.toMatchObject({ lock: true });
  });

  it("an answer that comes after its deadline is given to nobody else", async () => {
    const { device, clock, nsm } = setUp();
    const late = watch(nsm.random());
    clock.advance(1_000);
    await settle();
    expect(late.outcome).toBe("ERR_TIMEOUT");
    expect(nsm.state).toBe("failed");
    const next = nsm.random();
    await settle();
    expect(device.kinds).toEqual(["GetRandom"]); // the device still has the first request
    await device.answer({ kind: "GetRandom", random: new Uint8Array(32).fill(1) });
    await device.answer({ kind: "GetRandom", random: new Uint8Array(32).fill(2) });
    await expect(next).resolves.toEqual(new Uint8Array(32).fill(2));
    expect(nsm.state).toBe("ok");
  });

  it("a request whose deadline passes while it waits is never sent", async () => {
    const { device, clock, nsm } = setUp();
    watch(nsm.random());
    const waiting = watch(nsm.attest(FIELDS, "caller"));
    clock.advance(1_000);
    await settle();
    expect(waiting.outcome).toBe("ERR_TIMEOUT");
    await device.answer(RANDOM);
    expect(device.kinds).toEqual(["GetRandom"]);
  });

  it("an error of the device is ERR_NSM, and the next request is served", async () => {
    const { device, nsm } = setUp();
    const refused = nsm.extendPcr(3, utf8("data"));
    const failed = nsm.random();
    const wrong = nsm.random();
    const fine = nsm.random();
    const outcomes = [watch(refused), watch(failed), watch(wrong), watch(fine)];
    await device.answer({ kind: "Error", error: "ReadOnlyIndex" });
    await device.fail(new Error("EIO"));
    await device.answer(DOCUMENT);
    await device.answer(RANDOM);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(["ERR_NSM", "ERR_NSM", "ERR_NSM", "ok"]);
  });

  it("tells of each document as it comes from the device, and of nothing else", async () => {
    const device = new HeldNsm();
    const seen: Uint8Array[] = [];
    const nsm = new NsmClient(device, new TestClock(), { onDocument: (document) => void seen.push(document) });
    const random = nsm.random();
    await device.answer(RANDOM);
    await random;
    const attested = nsm.attest(FIELDS, "kms");
    expect(seen).toEqual([]);
    await device.answer(DOCUMENT);
    await attested;
    expect(seen).toEqual([DOCUMENT.document]);
  });

  it("leaves no timer behind", async () => {
    const { device, clock, nsm } = setUp();
    const random = nsm.random();
    await device.answer(RANDOM);
    await random;
    expect(clock.waiting).toBe(0);
  });
});
