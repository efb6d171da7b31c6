/** The recipient: keys made ahead, rotated by age and use; documents reused, coalesced, and never past their leaf's end. */
import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { RecipientKeyPair, RecipientLimits } from "../../../enclave/kms/recipient.js";
import { generateRecipientKey, RecipientKeys } from "../../../enclave/kms/recipient.js";
import { NsmClient } from "../../../enclave/nsm.js";
import { parseAttestationDocument } from "../../../shared/attestation/document.js";
import { toHex, utf8 } from "../../../shared/bytes.js";
import { createDocumentMaker } from "../../../simulator/nsm/document.js";
import { createNitroPki } from "../../../simulator/pki/nitro-pki.js";
import { sealTo, settle, TestClock, testKeys } from "../fakes.js";
import { createPlatform } from "../platform.js";

const LIMITS: RecipientLimits = { maxAgeSeconds: 3_600, maxUses: 1_000, documentMaxAgeSeconds: 60 };
const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

/** Key pairs are slow to make: the tests take theirs from here, in order. */
const PAIRS = Array.from({ length: 4 }, () => generateKeyPairSync("rsa", { modulusLength: 2048 }));

async function setUp(limits: Partial<RecipientLimits> = {}) {
  const clock = new TestClock();
  const { nsm: device } = await createPlatform(clock);
  let made = 0;
  const generateKey = async (): Promise<RecipientKeyPair> => {
    const pair = PAIRS[made++ % PAIRS.length];
    if (pair === undefined) throw new TypeError("unreachable: the index is within the list");
    return pair;
  };
  const nsm = new NsmClient(device, clock);
  const recipient = new RecipientKeys({ keys: testKeys(), nsm, clock, limits: { ...LIMITS, ...limits }, generateKey });
  return { clock, device, recipient, made: () => made };
}

const keyOf = (document: Uint8Array): string => toHex(parseAttestationDocument(document).publicKey ?? new Uint8Array());

describe("documents", () => {
  it("50 leases at the same time cost one NSM call", async () => {
    const { device, recipient } = await setUp();
    const leases = await Promise.all(Array.from({ length: 50 }, () => recipient.lease()));
    expect(device.count("Attestation")).toBe(1);
    expect(new Set(leases.map((lease) => lease.attestationDocument)).size).toBe(1);
  });

  it("a document names the key that opens what is sealed to it", async () => {
    const { recipient } = await setUp();
    const lease = await recipient.lease();
    const pair = PAIRS.find(
      ({ publicKey }) =>
        keyOf(lease.attestationDocument) === publicKey.export({ type: "spki", format: "der" }).toString("hex"),
    );
    expect(pair).toBeDefined();
    if (pair) expect(lease.open(sealTo(pair.privateKey, utf8("secret")))).toEqual(utf8("secret"));
  });

  it("is reused within its age and no longer", async () => {
    const { clock, device, recipient } = await setUp();
    const first = await recipient.lease();
    clock.advance(60 * SECOND - 1);
    expect((await recipient.lease()).attestationDocument).toBe(first.attestationDocument);
    clock.advance(1);
    expect((await recipient.lease()).attestationDocument).not.toBe(first.attestationDocument);
    expect(device.count("Attestation")).toBe(2);
  });

  it("with an age of zero every lease that does not wait with others has its own", async () => {
    const { device, recipient } = await setUp({ documentMaxAgeSeconds: 0 });
    await recipient.lease();
    await recipient.lease();
    expect(device.count("Attestation")).toBe(2);
  });

  it("a failed NSM call is told to those who waited, and the next lease tries again", async () => {
    const { clock, device, recipient } = await setUp();
    await recipient.prepare();
    clock.advance(60 * SECOND); // the document that it made is too old by now
    const real = device.exchange.bind(device);
    device.exchange = () => Promise.reject(new Error("EIO"));
    const both = await Promise.allSettled([recipient.lease(), recipient.lease()]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await expect(recipient.lease()).rejects.toThrowCode("ERR_NSM");
    device.exchange = real;
    clock.advance(1);
    await expect(recipient.lease()).resolves.toBeDefined();
  });
});

describe("the leaf's end", () => {
  /** A recipient over an NSM whose leaf was issued `ageMs` ago, of its three hours. */
  async function withLeafOfAge(ageMs: number, changes: { key?: Uint8Array } = {}) {
    const clock = new TestClock();
    let nsmNow = new Date(clock.now().getTime() - ageMs);
    const pki = await createNitroPki({ clock: () => nsmNow });
    const maker = await createDocumentMaker({ pki });
    let calls = 0;
    const nsm = {
      attest: ({ publicKey }: { publicKey: Uint8Array | null }) => {
        calls += 1;
        nsmNow = clock.now();
        return maker.make({ publicKey: changes.key ?? publicKey });
      },
    };
    const generateKey = async () => PAIRS[0] ?? generateRecipientKey();
    const limits = { ...LIMITS, maxAgeSeconds: 86_400, documentMaxAgeSeconds: 240 };
    const recipient = new RecipientKeys({ keys: testKeys(), nsm, clock, limits, generateKey });
    return { clock, recipient, calls: () => calls };
  }

  it("pitfall 11: a document is not reused in the last minute of its leaf", async () => {
    const { clock, recipient, calls } = await withLeafOfAge(3 * HOUR - 120 * SECOND);
    await recipient.lease();
    clock.advance(59 * SECOND);
    await recipient.lease();
    expect(calls()).toBe(1);
    clock.advance(2 * SECOND);
    await recipient.lease();
    expect(calls()).toBe(2);
  });

  it("pitfall 11: a document within the last minute serves those who wait for it alone", async () => {
    const { recipient, calls } = await withLeafOfAge(3 * HOUR - 30 * SECOND);
    await Promise.all([recipient.lease(), recipient.lease()]);
    expect(calls()).toBe(1);
    await recipient.lease();
    expect(calls()).toBe(2);
  });

  it("pitfall 11: a document whose leaf has ended is refused", async () => {
    const { recipient } = await withLeafOfAge(3 * HOUR + SECOND);
    await expect(recipient.lease()).rejects.toThrowCode("ERR_NSM");
  });

  it("pitfall 12: setting the wall clock back does not make a document live longer", async () => {
    const { clock, recipient, calls } = await withLeafOfAge(0);
    await recipient.lease();
    const { now } = clock;
    clock.now = () => new Date(now.call(clock).getTime() - 86_400 * SECOND);
    clock.advance(241 * SECOND);
    await recipient.lease();
    expect(calls()).toBe(2);
  });

  it("pitfall 13: a document that names another key than the recipient's is refused", async () => {
    const other = PAIRS[1]?.publicKey.export({ type: "spki", format: "der" });
    const { recipient } = await withLeafOfAge(0, { key: new Uint8Array(other ?? []) });
    await expect(recipient.lease()).rejects.toThrowCode("ERR_NSM");
  });
});

describe("keys", () => {
  it("rotate by age", async () => {
    const { clock, recipient } = await setUp();
    const first = await recipient.lease();
    clock.advance(HOUR - 1);
    expect(keyOf((await recipient.lease()).attestationDocument)).toBe(keyOf(first.attestationDocument));
    clock.advance(1);
    expect(keyOf((await recipient.lease()).attestationDocument)).not.toBe(keyOf(first.attestationDocument));
  });

  it("rotate by use, also when all uses are asked for at once", async () => {
    const { device, recipient, made } = await setUp({ maxUses: 10 });
    const leases = await Promise.all(Array.from({ length: 25 }, () => recipient.lease()));
    const uses = new Map<string, number>();
    for (const { attestationDocument } of leases) {
      const key = keyOf(attestationDocument);
      uses.set(key, (uses.get(key) ?? 0) + 1);
    }
    expect([...uses.values()]).toEqual([10, 10, 5]);
    expect(device.count("Attestation")).toBe(3);
    expect(made()).toBe(4); // three in use, one spare
  });

  it("a lease taken before a rotation still opens", async () => {
    const { clock, recipient } = await setUp();
    const before = await recipient.lease();
    clock.advance(HOUR);
    const after = await recipient.lease();
    const first = PAIRS[0];
    if (first === undefined) throw new TypeError("unreachable: there are four pairs");
    expect(before.open(sealTo(first.privateKey, utf8("secret")))).toEqual(utf8("secret"));
    expect(() => after.open(sealTo(first.privateKey, utf8("secret")))).toThrowCode("ERR_DECRYPTION_FAILED");
  });

  it("the next key is made ahead", async () => {
    const { recipient, made } = await setUp();
    expect(recipient.state).toEqual({ keyAgeSeconds: undefined, keyUses: 0, spareKeys: 0 });
    await recipient.prepare();
    await settle();
    expect(made()).toBe(2);
    expect(recipient.state).toEqual({ keyAgeSeconds: 0, keyUses: 0, spareKeys: 1 });
  });

  it("a key that could not be made is told to whoever needs it, and made anew for the next", async () => {
    const clock = new TestClock();
    const { nsm: device } = await createPlatform(clock);
    let attempts = 0;
    const generateKey = async (): Promise<RecipientKeyPair> => {
      attempts += 1;
      if (attempts === 1 || attempts === 3) throw new Error("no entropy");
      return PAIRS[attempts % PAIRS.length] ?? generateRecipientKey();
    };
    const limits = { ...LIMITS, maxUses: 1 };
    const recipient = new RecipientKeys({
      keys: testKeys(),
      nsm: new NsmClient(device, clock),
      clock,
      limits,
      generateKey,
    });
    await expect(recipient.lease()).rejects.toThrow("no entropy");
    await expect(recipient.lease()).resolves.toBeDefined();
    await expect(recipient.lease()).rejects.toThrow("no entropy"); // the spare made in the background
    await expect(recipient.lease()).resolves.toBeDefined();
  });

  it("generateRecipientKey makes RSA-2048 with exponent 65537", async () => {
    const { privateKey } = await generateRecipientKey();
    expect(privateKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 2048, publicExponent: 65537n });
  });
});
