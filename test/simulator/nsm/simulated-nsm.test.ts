/** The device's behaviour, bytes in and bytes out: aws-nitro-enclaves-nsm-api's requests, nsm-check's expectations. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { verifyAttestation } from "../../../shared/attestation/verify.js";
import { concatBytes, fromHex, isAllZero, toHex, utf8 } from "../../../shared/bytes.js";
import type { CborValue } from "../../../shared/cbor.js";
import { decodeCbor, encodeCbor } from "../../../shared/cbor.js";
import type { NsmRequest, NsmResponse } from "../../../shared/nsm.js";
import {
  decodeNsmResponse,
  encodeNsmRequest,
  NSM_MAX_REQUEST_BYTES,
  NSM_MAX_RESPONSE_BYTES,
} from "../../../shared/nsm.js";
import type { EnclaveImage } from "../../../simulator/image.js";
import type { BootOptions, SimulatedNsm } from "../../../simulator/nsm/simulated-nsm.js";
import { bootSimulatedNsm } from "../../../simulator/nsm/simulated-nsm.js";
import type { NitroPki } from "../../../simulator/pki/nitro-pki.js";
import type { SetClock } from "../fixtures.js";
import { clockAt, HOUR, INSTANCE_ID, NOW, SECOND, testPki } from "../fixtures.js";

const IMAGE: EnclaveImage = { kernel: utf8("kernel"), cmdline: utf8("quiet"), ramdisks: [utf8("init"), utf8("app")] };

let pki: NitroPki;
let clock: SetClock;
let nsm: SimulatedNsm;

beforeEach(async () => {
  clock = clockAt();
  pki = await testPki({ clock });
  nsm = await boot();
});

const boot = (options: Partial<BootOptions> = {}): Promise<SimulatedNsm> =>
  bootSimulatedNsm({ pki, image: IMAGE, instanceId: INSTANCE_ID, ...options });

const exchangeHex = async (request: string): Promise<string> =>
  toHex(await nsm.exchange(fromHex(request) ?? new Uint8Array()));
const raw = async (request: CborValue): Promise<CborValue> =>
  decodeCbor(await nsm.exchange(encodeCbor(request)), { maxBytes: NSM_MAX_RESPONSE_BYTES });
const map = (entries: Record<string, CborValue>): CborValue => new Map(Object.entries(entries));
const errorHex = (code: string): string => toHex(encodeCbor(map({ Error: code })));

async function ask<K extends NsmRequest["kind"]>(
  request: Extract<NsmRequest, { kind: K }>,
  device = nsm,
): Promise<NsmResponse> {
  return decodeNsmResponse(await device.exchange(encodeNsmRequest(request)));
}
async function attest(fields: Partial<Extract<NsmRequest, { kind: "Attestation" }>> = {}, device = nsm) {
  const request = { kind: "Attestation", userData: null, nonce: null, publicKey: null, ...fields } as const;
  const response = await ask(request, device);
  if (response.kind !== "Attestation") throw new Error(`expected a document, got ${JSON.stringify(response)}`);
  return response.document;
}
const describePcr = async (index: number): Promise<{ lock: boolean; data: string }> => {
  const response = await ask({ kind: "DescribePCR", index });
  if (response.kind !== "DescribePCR") throw new Error(`expected a PCR, got ${JSON.stringify(response)}`);
  return { lock: response.lock, data: toHex(response.data) };
};
const ZERO = "00".repeat(48);

describe("DescribeNSM", () => {
  test("tells version 1.0.0, 32 registers of SHA-384, and 0 to 15 locked at boot", async () => {
    expect(await ask({ kind: "DescribeNSM" })).toEqual({
      kind: "DescribeNSM",
      versionMajor: 1,
      versionMinor: 0,
      versionPatch: 0,
      moduleId: nsm.moduleId,
      maxPcrs: 32,
      lockedPcrs: Array.from({ length: 16 }, (_, index) => index),
      digest: "SHA384",
    });
  });

  test("is asked by a bare text, and answered with the device's keys in their order", async () => {
    const response = toHex(await nsm.exchange(fromHex("6b44657363726962654e534d") ?? new Uint8Array()));
    const moduleId = toHex(encodeCbor(nsm.moduleId));
    expect(response).toBe(
      [
        `a1${toHex(encodeCbor("DescribeNSM"))}a7`,
        `${toHex(encodeCbor("version_major"))}01`,
        `${toHex(encodeCbor("version_minor"))}00`,
        `${toHex(encodeCbor("version_patch"))}00`,
        `${toHex(encodeCbor("module_id"))}${moduleId}`,
        `${toHex(encodeCbor("max_pcrs"))}1820`,
        `${toHex(encodeCbor("locked_pcrs"))}90000102030405060708090a0b0c0d0e0f`,
        `${toHex(encodeCbor("digest"))}66534841333834`,
      ].join(""),
    );
  });

  test("names the enclave by its instance and the millisecond of its creation", () => {
    const created = NOW.getTime().toString(16).padStart(12, "0");
    expect(nsm.moduleId).toMatch(new RegExp(`^${INSTANCE_ID}-enc${created}[0-9a-f]{4}$`));
  });
});

describe("DescribePCR", () => {
  test("index 0 is asked in the bytes of the device", async () => {
    const { data } = await describePcr(0);
    const answer = `a16b4465736372696265504352a2646c6f636bf564646174615830${data}`;
    expect(await exchangeHex("a16b4465736372696265504352a165696e64657800")).toBe(answer);
  });

  test("tells the image's, the role's and the instance's registers, and zeros elsewhere", async () => {
    const states = await Promise.all(Array.from({ length: 32 }, (_, index) => describePcr(index)));
    expect(states.flatMap(({ data }, index) => (data === ZERO ? [] : [index]))).toEqual([0, 1, 2, 4]);
    expect(states.flatMap(({ lock }, index) => (lock ? [index] : []))).toEqual(Array.from({ length: 16 }, (_, i) => i));
  });

  test.each([32, 255, 65535])("index %i is InvalidIndex", async (index) => {
    expect(await ask({ kind: "DescribePCR", index })).toEqual({ kind: "Error", error: "InvalidIndex" });
  });
});

describe("ExtendPCR", () => {
  test("is SHA-384 of the old value and the data, which may be of any length", async () => {
    const once = createHash("sha384")
      .update(Buffer.alloc(48))
      .update(Uint8Array.of(1, 2, 3))
      .digest();
    const answer = `a169457874656e64504352a164646174615830${toHex(once)}`;
    expect(await exchangeHex("a169457874656e64504352a265696e64657810646461746143010203")).toBe(answer);
    const twice = createHash("sha384").update(once).update(Buffer.alloc(3000, 7)).digest();
    const response = await ask({ kind: "ExtendPCR", index: 16, data: new Uint8Array(3000).fill(7) });
    expect(response.kind === "ExtendPCR" && toHex(response.data)).toBe(toHex(twice));
    expect(await describePcr(16)).toEqual({ lock: false, data: toHex(twice) });
  });

  test("of a locked register is ReadOnlyIndex and changes nothing", async () => {
    const before = await describePcr(0);
    expect(await exchangeHex("a169457874656e64504352a265696e64657800646461746143010203")).toBe(
      errorHex("ReadOnlyIndex"),
    );
    expect(await describePcr(0)).toEqual(before);
  });

  test("of index 32 is InvalidIndex", async () => {
    const response = await ask({ kind: "ExtendPCR", index: 32, data: new Uint8Array(1) });
    expect(response).toEqual({ kind: "Error", error: "InvalidIndex" });
  });
});

describe("LockPCR", () => {
  test("locks once, and is answered by a bare text", async () => {
    expect(await exchangeHex("a1674c6f636b504352a165696e64657810")).toBe("674c6f636b504352");
    expect((await describePcr(16)).lock).toBe(true);
    expect(await exchangeHex("a1674c6f636b504352a165696e64657810")).toBe(errorHex("ReadOnlyIndex"));
    const extended = await ask({ kind: "ExtendPCR", index: 16, data: new Uint8Array(1) });
    expect(extended).toEqual({ kind: "Error", error: "ReadOnlyIndex" });
  });

  test("of a register locked from boot is ReadOnlyIndex, of index 32 InvalidIndex", async () => {
    expect(await ask({ kind: "LockPCR", index: 0 })).toEqual({ kind: "Error", error: "ReadOnlyIndex" });
    expect(await ask({ kind: "LockPCR", index: 32 })).toEqual({ kind: "Error", error: "InvalidIndex" });
  });
});

describe("LockPCRs", () => {
  const lockedPcrs = async () => {
    const response = await ask({ kind: "DescribeNSM" });
    return response.kind === "DescribeNSM" ? response.lockedPcrs.length : undefined;
  };

  test("locks the registers below the range, and is answered by a bare text", async () => {
    expect(await exchangeHex("a1684c6f636b50435273a16572616e676514")).toBe("684c6f636b50435273");
    expect(await lockedPcrs()).toBe(20);
    expect((await describePcr(20)).lock).toBe(false);
  });

  test("succeeds over registers that are locked already", async () => {
    for (const range of [16, 32, 32, 0]) expect(await ask({ kind: "LockPCRs", range })).toEqual({ kind: "LockPCRs" });
    expect(await lockedPcrs()).toBe(32);
  });

  test("of range 33 is InvalidIndex and locks nothing", async () => {
    expect(await exchangeHex("a1684c6f636b50435273a16572616e67651821")).toBe(errorHex("InvalidIndex"));
    expect(await lockedPcrs()).toBe(16);
  });
});

describe("GetRandom", () => {
  test("gives 256 bytes, others each time", async () => {
    const draw = async () => {
      const response = await raw("GetRandom");
      const inner = response instanceof Map ? response.get("GetRandom") : undefined;
      return inner instanceof Map ? inner.get("random") : undefined;
    };
    const [one, other] = [await draw(), await draw()];
    expect(one).toBeInstanceOf(Uint8Array);
    expect(one).toHaveLength(256);
    expect(one).not.toEqual(other);
  });
});

describe("Attestation", () => {
  const verified = async (document: Uint8Array) =>
    verifyAttestation(document, { trustAnchor: pki.trustAnchor, now: clock() });

  test("is asked in the bytes of the device, where a missing field is null", async () => {
    const nulls = await exchangeHex(
      "a16b4174746573746174696f6ea369757365725f64617461f6656e6f6e6365f66a7075626c69635f6b6579f6",
    );
    const missing = await exchangeHex("a16b4174746573746174696f6ea0");
    const prefix = "a16b4174746573746174696f6ea168646f63756d656e7459";
    expect([nulls.slice(0, prefix.length), missing.slice(0, prefix.length)]).toEqual([prefix, prefix]);
  });

  test("gives a document that verifies, with the caller's fields and the time", async () => {
    const fields = { userData: utf8("user data"), nonce: utf8("a nonce of some bytes"), publicKey: utf8("a key") };
    clock.advance(1234);
    const attestation = await verified(await attest(fields));
    expect(attestation).toMatchObject({ moduleId: nsm.moduleId, ...fields, debug: false });
    expect(attestation.timestampMs).toBe(NOW.getTime() + 1234);
  });

  test("lists exactly the locked registers", async () => {
    expect([...(await verified(await attest())).pcrs.keys()]).toEqual(Array.from({ length: 16 }, (_, index) => index));
    await ask({ kind: "ExtendPCR", index: 16, data: utf8("configuration") });
    expect((await verified(await attest())).pcrs.has(16)).toBe(false);
    await ask({ kind: "LockPCR", index: 16 });
    const { pcrs } = await verified(await attest());
    expect(toHex(pcrs.get(16) ?? new Uint8Array())).toBe((await describePcr(16)).data);
  });

  test("nsm-check: takes 1024 bytes in each field", async () => {
    const field = new Uint8Array(1024).fill(1);
    const document = await attest({ userData: field, nonce: field, publicKey: field });
    expect(document.length).toBeLessThan(NSM_MAX_RESPONSE_BYTES);
    expect(await verified(document)).toMatchObject({ userData: field, nonce: field, publicKey: field });
  });

  test.each(["userData", "nonce", "publicKey"] as const)("%s of 1025 bytes is InputTooLarge", async (name) => {
    const fields = { userData: null, nonce: null, publicKey: null, [name]: new Uint8Array(1025) };
    expect(await ask({ kind: "Attestation", ...fields })).toEqual({ kind: "Error", error: "InputTooLarge" });
  });

  test("pitfall 6: of a debug-mode enclave has no image measurements", async () => {
    const debug = await boot({ debug: true });
    const attestation = await verified(await attest({}, debug));
    expect(attestation.debug).toBe(true);
    const set = [...attestation.pcrs].flatMap(([index, value]) => (isAllZero(value) ? [] : [index]));
    expect(set).toEqual([4]);
  });

  test("pitfall 11: keeps a leaf while it lasts, and never signs near its end", async () => {
    const leafEnds = async () => (await verified(await attest())).leafNotAfter.getTime();
    const first = await leafEnds();
    expect(first).toBe(Math.floor(NOW.getTime() / SECOND) * SECOND + 3 * HOUR);
    clock.advance(2 * HOUR);
    expect(await leafEnds()).toBe(first);
    clock.advance(HOUR / 2);
    expect(await leafEnds()).toBe(first + 2.5 * HOUR);
  });

  test("keeps being possible for weeks", async () => {
    for (let day = 0; day < 30; day++) {
      clock.advance(25 * HOUR);
      await expect(attest().then(verified)).resolves.toBeDefined();
    }
  });

  test("is of the form until mid-2025 when asked for", async () => {
    const old = await boot({ documentForm: "definite" });
    const document = await attest({}, old);
    expect(toHex(document)).toContain("a9696d6f64756c655f6964");
    await expect(verified(document)).resolves.toBeDefined();
    expect(toHex(await attest())).toContain("bf696d6f64756c655f6964");
  });
});

describe("requests that are none", () => {
  test("a request over 0x1000 bytes is InputTooLarge", async () => {
    expect(toHex(await nsm.exchange(new Uint8Array(NSM_MAX_REQUEST_BYTES + 1)))).toBe(errorHex("InputTooLarge"));
    expect(toHex(await nsm.exchange(new Uint8Array(NSM_MAX_REQUEST_BYTES)))).toBe(errorHex("InvalidOperation"));
  });

  test.each<[string, CborValue]>([
    ["an unknown text", "DescribeEverything"],
    ["an unknown variant", map({ Reboot: map({}) })],
    ["a variant that is no map", map({ DescribePCR: 0 })],
    ["two variants", map({ DescribePCR: map({ index: 0 }), LockPCR: map({ index: 16 }) })],
    ["an index that is missing", map({ DescribePCR: map({}) })],
    ["an index that is a text", map({ DescribePCR: map({ index: "0" }) })],
    ["an index that is negative", map({ DescribePCR: map({ index: -1 }) })],
    ["data that are a text", map({ ExtendPCR: map({ index: 16, data: "abc" }) })],
    ["data that are missing", map({ ExtendPCR: map({ index: 16 }) })],
    ["a number", 7],
    ["null", null],
  ])("%s is InvalidOperation", async (_, request) => {
    expect(await raw(request)).toEqual(map({ Error: "InvalidOperation" }));
  });

  test("pitfall 20: whatever the bytes are, the answer is a response", async () => {
    const valid: readonly NsmRequest[] = [
      { kind: "DescribeNSM" },
      { kind: "ExtendPCR", index: 31, data: new Uint8Array(8) },
      { kind: "LockPCRs", range: 20 },
      { kind: "DescribePCR", index: 3 },
      { kind: "Attestation", userData: new Uint8Array(4), nonce: null, publicKey: null },
    ];
    const mutated = fc
      .tuple(fc.constantFrom(...valid), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 4 }))
      .map(([request, position, byte, tail]) => {
        const bytes = concatBytes(encodeNsmRequest(request), tail);
        bytes[position % bytes.length] = byte;
        return bytes;
      });
    const hostile = fc.oneof(fc.uint8Array({ maxLength: 64 }), mutated);
    await fc.assert(
      fc.asyncProperty(hostile, async (bytes) => {
        const response = await nsm.exchange(bytes);
        expect(response.length).toBeLessThanOrEqual(NSM_MAX_RESPONSE_BYTES);
        decodeNsmResponse(response);
      }),
      { numRuns: 3000, seed: 20261123 },
    );
  });
});

describe("order", () => {
  test("pitfall 26: requests are served one after the other, in the order they came", async () => {
    const extend = encodeNsmRequest({ kind: "ExtendPCR", index: 17, data: utf8("x") });
    const attestation = encodeNsmRequest({ kind: "Attestation", userData: null, nonce: null, publicKey: null });
    const finished: number[] = [];
    const requests = [attestation, extend, attestation, extend];
    await Promise.all(requests.map((request, index) => nsm.exchange(request).then(() => finished.push(index))));
    expect(finished).toEqual([0, 1, 2, 3]);
  });

  test("a request is taken as it was when it was made", async () => {
    const request = encodeNsmRequest({ kind: "DescribeNSM" });
    const answer = nsm.exchange(request);
    request.fill(0xff);
    expect(decodeNsmResponse(await answer).kind).toBe("DescribeNSM");
  });
});
