/** Measuring the configuration into PCR16. */
import { describe, expect, it } from "vitest";
import { measureConfiguration } from "../../enclave/boot.js";
import { NsmClient } from "../../enclave/nsm.js";
import { parseAttestationDocument } from "../../shared/attestation/document.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../shared/bytes.js";
import type { Nsm } from "../../shared/nsm.js";
import { decodeNsmRequest, encodeNsmResponse } from "../../shared/nsm.js";
import { TestClock } from "./fakes.js";
import { createPlatform } from "./platform.js";

const CONFIGURATION = utf8('{"version":1}');

async function setUp() {
  const clock = new TestClock();
  const { nsm: device } = await createPlatform(clock);
  return { clock, device, nsm: new NsmClient(device, clock) };
}

describe("measureConfiguration", () => {
  it("extends PCR16 with SHA-384 of the exact bytes and locks it", async () => {
    const { device, nsm } = await setUp();
    const measured = await measureConfiguration(nsm, CONFIGURATION);
    expect(measured).toBe(toHex(await pcr16OfConfiguration(CONFIGURATION)));
    expect(await nsm.describePcr(16)).toMatchObject({ lock: true });
    await expect(nsm.extendPcr(16, CONFIGURATION)).rejects.toThrowCode("ERR_NSM");
    expect(device.requests.slice(0, 3).map(({ kind }) => kind)).toEqual(["DescribePCR", "ExtendPCR", "LockPCR"]);
  });

  it("shows in every document from then on", async () => {
    const { nsm } = await setUp();
    const measured = await measureConfiguration(nsm, CONFIGURATION);
    const document = await nsm.attest({ nonce: null, userData: null, publicKey: null }, "caller");
    expect(toHex(parseAttestationDocument(document).pcrs.get(16) ?? new Uint8Array())).toBe(measured);
  });

  it("one changed byte gives another PCR16", async () => {
    const first = await measureConfiguration((await setUp()).nsm, CONFIGURATION);
    const second = await measureConfiguration((await setUp()).nsm, utf8('{"version":1} '));
    expect(first).not.toBe(second);
  });

  it("refuses to start when PCR16 was extended before", async () => {
    const { device, nsm } = await setUp();
    await nsm.extendPcr(16, utf8("something else"));
    await expect(measureConfiguration(nsm, CONFIGURATION)).rejects.toThrowCode("ERR_NSM");
    expect(device.count("ExtendPCR")).toBe(1); // that one: nothing is measured on top of it
    expect(device.count("LockPCR")).toBe(0);
  });

  it("refuses to start when PCR16 was locked before", async () => {
    const { nsm } = await setUp();
    await nsm.lockPcr(16);
    await expect(measureConfiguration(nsm, CONFIGURATION)).rejects.toThrowCode("ERR_NSM");
  });

  it("refuses to start when the device does not keep the lock", async () => {
    const { clock, device } = await setUp();
    const forgetful: Nsm = {
      exchange: async (request) =>
        decodeNsmRequest(request).kind === "LockPCR"
          ? encodeNsmResponse({ kind: "LockPCR" })
          : device.exchange(request),
    };
    await expect(measureConfiguration(new NsmClient(forgetful, clock), CONFIGURATION)).rejects.toThrowCode("ERR_NSM");
  });

  it("refuses to start when the device extends with something else", async () => {
    const { clock, device } = await setUp();
    const nsm = new NsmClient(device, clock);
    const wrong = Object.assign(Object.create(nsm), {
      describePcr: (index: number) => nsm.describePcr(index),
      extendPcr: (index: number) => nsm.extendPcr(index, utf8("else")),
      lockPcr: (index: number) => nsm.lockPcr(index),
    });
    await expect(measureConfiguration(wrong, CONFIGURATION)).rejects.toThrowCode("ERR_NSM");
  });
});
