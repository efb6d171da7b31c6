/** The enclave's own time: the NSM's, counted on by the monotonic clock; what the other clocks say is told and not used. */
import { describe, expect, it } from "vitest";
import { AttestedTime } from "../../enclave/attested-time.js";
import { utf8 } from "../../shared/bytes.js";
import type { DocumentMaker } from "../../simulator/nsm/document.js";
import { createDocumentMaker } from "../../simulator/nsm/document.js";
import { createNitroPki } from "../../simulator/pki/nitro-pki.js";
import { START, TestClock } from "./fakes.js";

const NSM_MS = START.getTime();
const DAY = 86_400_000;

/** A clock whose wall time the parent turns. */
class TurnedClock extends TestClock {
  turnedMs = 0;

  override now(): Date {
    return new Date(super.now().getTime() + this.turnedMs);
  }
}

const maker: DocumentMaker = await createDocumentMaker({ pki: await createNitroPki({ clock: () => START }) });
const documentOf = (timestampMs: number): Promise<Uint8Array> => maker.make({ timestampMs });

async function setUp() {
  const clock = new TurnedClock();
  const time = new AttestedTime(clock);
  time.observeDocument(await documentOf(NSM_MS));
  return { clock, time };
}

describe("AttestedTime", () => {
  it("is unknown before the first document", () => {
    const time = new AttestedTime(new TestClock());
    expect(() => time.nowMs()).toThrowCode("ERR_NSM");
    const unknown = { documentAgeSeconds: null, wallAheadMs: null, kmsAheadMs: null, monotonicAheadMs: null };
    expect(time.state).toEqual(unknown);
    time.observeKmsDate(START.toUTCString()); // nothing to hold it against
    expect(time.state).toEqual(unknown);
  });

  it("is the document's, and what the monotonic clock has counted since", async () => {
    const { clock, time } = await setUp();
    expect(time.nowMs()).toBe(NSM_MS);
    clock.advance(12_345);
    expect(time.nowMs()).toBe(NSM_MS + 12_345);
    expect(time.state).toMatchObject({ documentAgeSeconds: 12, wallAheadMs: 0 });
  });

  it("pitfall 12: is not moved by the wall clock, whose difference is told", async () => {
    const { clock, time } = await setUp();
    for (const turnedMs of [DAY, -DAY]) {
      clock.turnedMs = turnedMs;
      expect(time.nowMs()).toBe(NSM_MS);
      expect(time.state).toMatchObject({ wallAheadMs: turnedMs });
    }
  });

  it("is the newest document's, and tells how the monotonic clock went meanwhile", async () => {
    const { clock, time } = await setUp();
    expect(time.state.monotonicAheadMs).toBeNull();
    clock.advance(60_000);
    time.observeDocument(await documentOf(NSM_MS + 59_900)); // the monotonic clock was 100 ms too fast
    expect(time.nowMs()).toBe(NSM_MS + 59_900);
    expect(time.state).toMatchObject({ documentAgeSeconds: 0, monotonicAheadMs: 100 });
    clock.advance(10_000);
    time.observeDocument(await documentOf(NSM_MS + 70_100)); // and now too slow
    expect(time.nowMs()).toBe(NSM_MS + 70_100);
    expect(time.state.monotonicAheadMs).toBe(-200);
  });

  it("tells how far KMS is ahead, and is not moved by it", async () => {
    const { clock, time } = await setUp();
    clock.advance(2_000);
    time.observeKmsDate(new Date(NSM_MS + 5_000).toUTCString());
    expect(time.state.kmsAheadMs).toBe(3_000);
    expect(time.nowMs()).toBe(NSM_MS + 2_000);
    for (const noDate of [undefined, "", "yesterday"]) time.observeKmsDate(noDate);
    expect(time.state.kmsAheadMs).toBe(3_000);
    time.observeKmsDate(new Date(NSM_MS).toUTCString());
    expect(time.state.kmsAheadMs).toBe(-2_000);
  });

  it("takes no time from what is no document, and keeps the one that it has", async () => {
    const { clock, time } = await setUp();
    clock.advance(1_000);
    expect(() => time.observeDocument(utf8("no document"))).toThrowCode("ERR_CBOR_MALFORMED");
    expect(time.nowMs()).toBe(NSM_MS + 1_000);
    expect(time.state.monotonicAheadMs).toBeNull();
  });
});
