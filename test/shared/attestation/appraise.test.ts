/** AV-11 to AV-16: from a policy and a document that agree, one change, the exact code. */
import { generateKeyPairSync } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { AppraisedAttestation, appraise } from "../../../shared/attestation/appraise.js";
import type { AppraisalPolicy } from "../../../shared/attestation/policy.js";
import type { VerifiedAttestation } from "../../../shared/attestation/verify.js";
import { verifyAttestation } from "../../../shared/attestation/verify.js";
import { toHex, utf8 } from "../../../shared/bytes.js";
import type { ErrorCode } from "../../../shared/errors.js";
import type { DocumentFields } from "../../../simulator/nsm/document.js";
import { examplePcrs } from "../../../simulator/nsm/document.js";
import type { Platform } from "../../support/attestation.js";
import { createPlatform, INSTANCE_ID, NOW, present } from "../../support/attestation.js";

const ZEROS = "00".repeat(48);
const OTHER = "ff".repeat(48);
const NONCE = utf8("a nonce of ours, sent just now");
const USER_DATA = utf8("user data");
const BECAUSE = "the test does not look at it";

const rsaSpki = (modulusLength: number, publicExponent = 65537): Uint8Array<ArrayBuffer> =>
  new Uint8Array(
    generateKeyPairSync("rsa", { modulusLength, publicExponent }).publicKey.export({ type: "spki", format: "der" }),
  );

let platform: Platform;
let pcrs: Map<number, Uint8Array>;
let publicKey: Uint8Array<ArrayBuffer>;
let verified: VerifiedAttestation;
let baseline: AppraisalPolicy;

beforeAll(async () => {
  platform = await createPlatform();
  pcrs = await examplePcrs(INSTANCE_ID);
  publicKey = rsaSpki(2048);
  verified = await verifiedWith({});
  baseline = {
    pcrs: [{ 0: reference(0), 1: reference(1), 2: reference(2) }],
    nonce: { kind: "equals", value: NONCE },
    freshness: { kind: "within", seconds: 300, skewSeconds: 5 },
    debug: "reject",
    userData: { kind: "equals", value: USER_DATA },
    publicKey: { kind: "rsa-2048" },
  };
});

const reference = (index: number): string => toHex(present(pcrs.get(index)));
const verifiedWith = (fields: Partial<DocumentFields>): Promise<VerifiedAttestation> =>
  platform.verify({ nonce: NONCE, userData: USER_DATA, publicKey, ...fields });

/** The baseline passes; the change alone is refused. */
async function expectRefusal(
  code: ErrorCode,
  change: { fields?: Partial<DocumentFields>; policy?: Partial<AppraisalPolicy> },
): Promise<void> {
  expect(appraise(verified, baseline).matchedAlternative).toBe(0);
  const changed = change.fields ? await verifiedWith(change.fields) : verified;
  expect(() => appraise(changed, { ...baseline, ...change.policy })).toThrowCode(code);
}

describe("appraise", () => {
  it("returns the attestation that satisfies the policy", () => {
    const appraised = appraise(verified, baseline);
    expect(appraised).toBeInstanceOf(AppraisedAttestation);
    expect(appraised.attestation).toBe(verified);
    expect(AppraisedAttestation.assert(appraised)).toBeUndefined();
  });

  it("takes reference values in either case", () => {
    const policy: AppraisalPolicy = { ...baseline, pcrs: [{ 0: reference(0).toUpperCase() }] };
    expect(appraise(verified, policy).matchedAlternative).toBe(0);
  });

  it("takes the first alternative that matches as a whole", () => {
    const pcrs: AppraisalPolicy["pcrs"] = [{ 0: OTHER }, { 0: reference(0) }, { 1: reference(1) }];
    expect(appraise(verified, { ...baseline, pcrs }).matchedAlternative).toBe(1);
  });

  it("leaves alone what the policy calls unused", async () => {
    const unused = { kind: "unused", because: BECAUSE } as const;
    const policy: AppraisalPolicy = {
      ...baseline,
      nonce: unused,
      freshness: unused,
      userData: unused,
      publicKey: unused,
    };
    const other = await verifiedWith({ nonce: null, userData: null, publicKey: null, timestampMs: 1 });
    expect(appraise(other, policy).attestation).toBe(other);
  });
});

describe("AV-11 debug mode", () => {
  it("AV-11 pitfall 6: refuses an enclave whose PCR0 is zero, though PCR4 is not", async () => {
    const debug = new Map(pcrs).set(0, new Uint8Array(48));
    await expectRefusal("ERR_DEBUG_ENCLAVE", { fields: { pcrs: debug } });
  });

  it("AV-11 refuses a debug enclave also when the policy names other registers only", async () => {
    const debug = new Map(pcrs).set(0, new Uint8Array(48));
    await expectRefusal("ERR_DEBUG_ENCLAVE", { fields: { pcrs: debug }, policy: { pcrs: [{ 4: reference(4) }] } });
  });

  it("is accepted where the policy says dangerouslyAllow and names its zeros", async () => {
    const debug = await verifiedWith({ pcrs: new Map(pcrs).set(0, new Uint8Array(48)) });
    const policy: AppraisalPolicy = { ...baseline, debug: "dangerouslyAllow", pcrs: [{ 0: ZEROS }] };
    expect(appraise(debug, policy).attestation.debug).toBe(true);
    expect(() => appraise(debug, { ...policy, pcrs: [{ 0: reference(0) }] })).toThrowCode("ERR_PCR_MISMATCH");
  });

  it("pitfall 6: a reference of zeros for PCR0 is a mistake unless the policy allows debug mode", () => {
    expect(() => appraise(verified, { ...baseline, pcrs: [{ 0: ZEROS }] })).toThrow(TypeError);
    const alternatives: AppraisalPolicy["pcrs"] = [{ 0: reference(0) }, { 0: ZEROS, 1: reference(1) }];
    expect(() => appraise(verified, { ...baseline, pcrs: alternatives })).toThrow(TypeError);
  });
});

describe("AV-12 reference PCRs", () => {
  it.each([0, 1, 2])("AV-12 refuses another PCR%i", async (index) => {
    await expectRefusal("ERR_PCR_MISMATCH", { fields: { pcrs: new Map(pcrs).set(index, new Uint8Array(48).fill(9)) } });
  });

  it("AV-12 pitfall 7: refuses another PCR1 although PCR0 agrees", async () => {
    await expectRefusal("ERR_PCR_MISMATCH", { policy: { pcrs: [{ 0: reference(0), 1: OTHER }] } });
  });

  it("AV-12 refuses a register that the document does not have", async () => {
    await expectRefusal("ERR_PCR_MISMATCH", { policy: { pcrs: [{ 0: reference(0), 16: ZEROS }] } });
  });

  it("AV-12 refuses a mixture of two alternatives", async () => {
    const mixture: AppraisalPolicy["pcrs"] = [
      { 0: reference(0), 1: OTHER },
      { 0: OTHER, 1: reference(1) },
    ];
    await expectRefusal("ERR_PCR_MISMATCH", { policy: { pcrs: mixture } });
  });

  it("names the differing registers and no values", async () => {
    const refuse = () => appraise(verified, { ...baseline, pcrs: [{ 0: reference(0), 1: OTHER, 2: OTHER }] });
    expect(refuse).toThrow(/^differing from the reference values: PCR1, PCR2$/);
  });
});

describe("AV-13 nonce", () => {
  it("AV-13 pitfall 9: refuses a document without nonce", async () => {
    await expectRefusal("ERR_NONCE_MISMATCH", { fields: { nonce: null } });
  });

  it("AV-13 refuses another nonce, a part of it, and more than it", async () => {
    const longer = new Uint8Array([...NONCE, 0]);
    for (const nonce of [utf8("another nonce of another time."), NONCE.subarray(1), longer, new Uint8Array()]) {
      await expectRefusal("ERR_NONCE_MISMATCH", { fields: { nonce } });
    }
  });
});

describe("AV-14 freshness", () => {
  const at = (seconds: number) => ({ fields: { timestampMs: NOW.getTime() + seconds * 1000 } });

  it("AV-14 refuses a document older than the policy allows", async () => {
    await expectRefusal("ERR_STALE", at(-300.001));
    expect(appraise(await verifiedWith(at(-300).fields), baseline)).toBeInstanceOf(AppraisedAttestation);
  });

  it("AV-14 pitfall 21: refuses a document from the future, beyond the skew", async () => {
    await expectRefusal("ERR_STALE", at(5.001));
    expect(appraise(await verifiedWith(at(5).fields), baseline)).toBeInstanceOf(AppraisedAttestation);
  });

  it("AV-14 allows no skew where the policy says zero", async () => {
    const freshness = { kind: "within", seconds: 0, skewSeconds: 0 } as const;
    expect(appraise(verified, { ...baseline, freshness })).toBeInstanceOf(AppraisedAttestation);
    await expectRefusal("ERR_STALE", { ...at(0.001), policy: { freshness } });
    await expectRefusal("ERR_STALE", { ...at(-0.001), policy: { freshness } });
  });

  it("AV-14 measures age at the time of verification", async () => {
    const document = await platform.make({ nonce: NONCE, userData: USER_DATA, publicKey });
    const now = new Date(NOW.getTime() + 301_000);
    const later = await verifyAttestation(document, { trustAnchor: platform.trustAnchor, now });
    expect(() => appraise(later, baseline)).toThrowCode("ERR_STALE");
  });
});

describe("AV-15 user_data", () => {
  it("AV-15 refuses other user_data, none, and an empty one", async () => {
    for (const userData of [utf8("other data"), null, new Uint8Array()]) {
      await expectRefusal("ERR_USER_DATA_MISMATCH", { fields: { userData } });
    }
  });

  it("AV-15 refuses user_data where the policy demands that there is none", async () => {
    const policy = { userData: { kind: "absent" } } as const;
    const without = await verifiedWith({ userData: null });
    expect(appraise(without, { ...baseline, ...policy }).attestation).toBe(without);
    await expectRefusal("ERR_USER_DATA_MISMATCH", { policy });
    await expectRefusal("ERR_USER_DATA_MISMATCH", { policy, fields: { userData: new Uint8Array() } });
  });
});

describe("AV-16 public_key", () => {
  it("AV-16 refuses another public_key than the one demanded, and none", async () => {
    const policy = { publicKey: { kind: "equals", value: publicKey } } as const;
    expect(appraise(verified, { ...baseline, ...policy }).attestation).toBe(verified);
    await expectRefusal("ERR_PUBLIC_KEY", { policy, fields: { publicKey: rsaSpki(2048) } });
    await expectRefusal("ERR_PUBLIC_KEY", { policy, fields: { publicKey: null } });
  });

  it("AV-16 refuses a public_key where the policy demands that there is none", async () => {
    const policy = { publicKey: { kind: "absent" } } as const;
    const without = await verifiedWith({ publicKey: null });
    expect(appraise(without, { ...baseline, ...policy }).attestation).toBe(without);
    await expectRefusal("ERR_PUBLIC_KEY", { policy });
  });

  it.each<[string, () => Uint8Array | null]>([
    ["none", () => null],
    ["an empty one", () => new Uint8Array()],
    ["text", () => utf8("dummy")],
    ["one of 1024 bits", () => rsaSpki(1024)],
    ["one of 3072 bits", () => rsaSpki(3072)],
    ["one of exponent 3", () => rsaSpki(2048, 3)],
    ["one followed by a byte", () => new Uint8Array([...publicKey, 0])],
    ["PEM", () => utf8(`-----BEGIN PUBLIC KEY-----\n${Buffer.from(publicKey).toString("base64")}\n`)],
  ])("AV-16 rsa-2048 refuses %s", async (_, make) => {
    await expectRefusal("ERR_PUBLIC_KEY", { fields: { publicKey: make() } });
  });
});

describe("a policy has no way to check less", () => {
  const unknownPolicy = (policy: unknown): AppraisalPolicy => policy as AppraisalPolicy;
  const bytes = new Uint8Array(1);

  it.each(["pcrs", "nonce", "freshness", "debug", "userData", "publicKey"])(
    "by leaving out %s, by undefined, by null, or by inheriting it",
    (name) => {
      const entries = Object.entries(baseline).filter(([key]) => key !== name);
      const without = Object.fromEntries(entries);
      const inherited = Object.assign(Object.create(baseline), without);
      for (const policy of [without, { ...baseline, [name]: undefined }, { ...baseline, [name]: null }, inherited]) {
        expect(() => appraise(verified, unknownPolicy(policy))).toThrow(TypeError);
      }
      expect(appraise(verified, baseline)).toBeInstanceOf(AppraisedAttestation);
    },
  );

  it.each<[string, unknown]>([
    ["no policy", undefined],
    ["a text", "policy"],
    ["an array", []],
  ])("by %s in its place", (_, policy) => {
    expect(() => appraise(verified, unknownPolicy(policy))).toThrow(TypeError);
  });

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ["pitfall 32: no alternative of PCRs", { pcrs: [] }],
    ["pitfall 32: an alternative without PCRs", { pcrs: [{}] }],
    ["pitfall 32: one good alternative and an empty one", { pcrs: [{ 0: "aa".repeat(48) }, {}] }],
    ["pitfall 24: reference values in a hole of the array", { pcrs: Array(1) }],
    ["reference values without their array", { pcrs: { 0: "aa".repeat(48) } }],
    ["reference values that are inherited", { pcrs: [Object.create({ 0: "aa".repeat(48) })] }],
    ["reference values in a Map", { pcrs: [new Map([[0, "aa".repeat(48)]])] }],
    ["a reference value that is a prefix", { pcrs: [{ 0: "aa" }] }],
    ["a reference value that is empty", { pcrs: [{ 0: "" }] }],
    ["a reference value that is undefined", { pcrs: [{ 0: undefined }] }],
    ["a reference value that is no hexadecimal", { pcrs: [{ 0: "zz".repeat(48) }] }],
    ["a reference value that is bytes", { pcrs: [{ 0: new Uint8Array(48).fill(1) }] }],
    ["a PCR that does not exist", { pcrs: [{ 32: "aa".repeat(48) }] }],
    ["a PCR by name", { pcrs: [{ pcr0: "aa".repeat(48) }] }],
    ["a PCR with a leading zero", { pcrs: [{ "00": "aa".repeat(48) }] }],
    ["a PCR by symbol", { pcrs: [{ 0: "aa".repeat(48), [Symbol("1")]: "aa".repeat(48) }] }],
    ["a dimension that does not exist", { nonces: { kind: "unused", because: BECAUSE } }],
    ["an empty nonce", { nonce: { kind: "equals", value: new Uint8Array() } }],
    ["a nonce that is text", { nonce: { kind: "equals", value: "nonce" } }],
    ["a nonce without value", { nonce: { kind: "equals" } }],
    ["a nonce that is absent", { nonce: { kind: "absent" } }],
    ["a kind that does not exist", { nonce: { kind: "ignored", because: BECAUSE } }],
    ["no kind", { nonce: { value: bytes } }],
    ["unused without a reason", { nonce: { kind: "unused" } }],
    ["unused with an empty reason", { nonce: { kind: "unused", because: " " } }],
    ["unused with a value besides", { nonce: { kind: "unused", because: BECAUSE, value: bytes } }],
    ["freshness without skew", { freshness: { kind: "within", seconds: 300 } }],
    ["freshness without seconds", { freshness: { kind: "within", skewSeconds: 5 } }],
    ["freshness of NaN", { freshness: { kind: "within", seconds: Number.NaN, skewSeconds: 5 } }],
    ["freshness without end", { freshness: { kind: "within", seconds: Number.POSITIVE_INFINITY, skewSeconds: 5 } }],
    ["freshness as text", { freshness: { kind: "within", seconds: "300", skewSeconds: 5 } }],
    ["skew of NaN", { freshness: { kind: "within", seconds: 300, skewSeconds: Number.NaN } }],
    ["negative skew", { freshness: { kind: "within", seconds: 300, skewSeconds: -1 } }],
    ["freshness as a number", { freshness: 300 }],
    ["debug as a boolean", { debug: true }],
    ["debug as another word", { debug: "allow" }],
    ["user_data by a kind of public_key", { userData: { kind: "rsa-2048" } }],
    ["user_data that is text", { userData: { kind: "equals", value: "user data" } }],
    ["absent with a value besides", { userData: { kind: "absent", value: bytes } }],
    ["another size of key", { publicKey: { kind: "rsa-4096" } }],
    ["rsa-2048 with a value besides", { publicKey: { kind: "rsa-2048", value: bytes } }],
  ])("by %s", (_, change) => {
    expect(appraise(verified, baseline)).toBeInstanceOf(AppraisedAttestation);
    expect(() => appraise(verified, unknownPolicy({ ...baseline, ...change }))).toThrow(TypeError);
  });

  it("by an attestation that was not verified", () => {
    for (const forged of [{ ...verified }, Object.create(verified), null, undefined]) {
      expect(() => appraise(forged as VerifiedAttestation, baseline)).toThrow(TypeError);
    }
  });

  it("by making an AppraisedAttestation of one's own", () => {
    const Constructor = AppraisedAttestation as unknown as new (...values: unknown[]) => unknown;
    expect(() => new Constructor(Symbol("appraise.ts"), verified, 0)).toThrow(TypeError);
    const copy = { ...appraise(verified, baseline) } as AppraisedAttestation;
    expect(() => AppraisedAttestation.assert(copy)).toThrow(TypeError);
  });
});
