/** AV-01 to AV-10 through `verifyAttestation`: from a document that verifies, one change, signed again, the exact code. */
import { beforeAll, describe, expect, it } from "vitest";
import type { TrustAnchor } from "../../../shared/attestation/trust-anchor.js";
import type { VerifyOptions } from "../../../shared/attestation/verify.js";
import { VerifiedAttestation, verifyAttestation } from "../../../shared/attestation/verify.js";
import { concatBytes, utf8 } from "../../../shared/bytes.js";
import { CertificateCache } from "../../../shared/certificate-cache.js";
import type { ErrorCode } from "../../../shared/errors.js";
import type { DocumentOverrides } from "../../../simulator/nsm/document.js";
import { examplePcrs } from "../../../simulator/nsm/document.js";
import type { NitroPkiOptions, PkiOverrides } from "../../../simulator/pki/nitro-pki.js";
import type { Platform } from "../../support/attestation.js";
import { createPlatform, INSTANCE_ID, NOW, present } from "../../support/attestation.js";

const HOUR = 3600 * 1000;
const OTHER_INSTANCE_ID = "i-0fedcba9876543210";

let platform: Platform;

beforeAll(async () => {
  platform = await createPlatform();
});

/** Verifies what `make` made, at NOW under the platform's anchor unless told otherwise. */
async function verifyMade(overrides: DocumentOverrides = {}, options: Partial<VerifyOptions> = {}) {
  const document = await platform.make({}, overrides);
  return verifyAttestation(document, { trustAnchor: platform.trustAnchor, now: NOW, ...options });
}

describe("verifyAttestation", () => {
  it("returns what the document and its certificates say", async () => {
    const fields = { userData: utf8("user data"), nonce: utf8("nonce"), publicKey: utf8("public key") };
    const verified = await platform.verify(fields);
    expect(verified).toBeInstanceOf(VerifiedAttestation);
    expect({ ...verified }).toEqual({
      moduleId: platform.maker.moduleId,
      instanceId: INSTANCE_ID,
      region: "us-east-1",
      digest: "SHA384",
      timestampMs: NOW.getTime(),
      pcrs: await examplePcrs(INSTANCE_ID),
      ...fields,
      rootToLeaf: verified.rootToLeaf,
      leafNotAfter: platform.maker.leaf.notAfter,
      verifiedAt: NOW,
      debug: false,
    });
    expect(verified.rootToLeaf.map(({ subject }) => subject.replace(/^[0-9a-f]{15,16}\./, ""))).toEqual([
      "aws.nitro-enclaves",
      "us-east-1.aws.nitro-enclaves",
      "zonal.us-east-1.aws.nitro-enclaves",
      `${INSTANCE_ID}.us-east-1.aws.nitro-enclaves`,
      `${platform.maker.moduleId}.us-east-1.aws`,
    ]);
  });

  it("takes a document of the form before mid-2025, and one under tag 18", async () => {
    expect((await verifyMade({ form: "definite" })).debug).toBe(false);
    expect((await verifyMade({ tag: 18 })).debug).toBe(false);
  });

  it.each(["ap-southeast-2", "us-gov-west-1", "eusc-de-east-1"])("names the Region %s", async (region) => {
    expect((await (await createPlatform({ region })).verify()).region).toBe(region);
  });

  it("says of a document with PCR0 zero that the enclave is in debug mode, whatever else is set", async () => {
    const pcrs = (await examplePcrs(INSTANCE_ID)).set(0, new Uint8Array(48));
    expect((await platform.verify({ pcrs })).debug).toBe(true);
  });

  it("works on a copy: changing document and date while it runs changes nothing", async () => {
    const document = await platform.make();
    const now = new Date(NOW);
    const pending = verifyAttestation(document, { trustAnchor: platform.trustAnchor, now });
    document.fill(0);
    now.setTime(0);
    expect((await pending).verifiedAt).toEqual(NOW);
  });
});

describe("verifyAttestation refuses", () => {
  const refuses = (title: string, code: ErrorCode, overrides: DocumentOverrides) =>
    it(title, async () => {
      await expect(verifyMade()).resolves.toBeInstanceOf(VerifiedAttestation);
      await expect(verifyMade(overrides)).rejects.toThrowCode(code);
    });

  refuses("AV-01 a byte after the document", "ERR_CBOR_MALFORMED", {
    editDocument: (document) => concatBytes(document, Uint8Array.of(0)),
  });
  refuses("AV-01 another tag", "ERR_CBOR_MALFORMED", { tag: 17 });
  refuses("AV-02 an unprotected header that is not empty", "ERR_COSE_MALFORMED", {
    unprotectedHeader: Uint8Array.of(0xa1, 0x04, 0x41, 0x00),
  });
  refuses("AV-02 another algorithm in the protected header, signed as ES384", "ERR_COSE_ALGORITHM", {
    protectedHeader: Uint8Array.of(0xa1, 0x01, 0x38, 0x23),
  });
  refuses("AV-03 a signature in DER", "ERR_COSE_MALFORMED", {
    editSignature: (signature) => concatBytes(Uint8Array.of(0x30, 0x66), signature, new Uint8Array(8)),
  });
  refuses("AV-04 a document without certificate", "ERR_ATTESTATION_MALFORMED", { payload: { certificate: undefined } });
  refuses("AV-05 another digest", "ERR_ATTESTATION_MALFORMED", { payload: { digest: "SHA256" } });
  refuses("AV-06 a short PCR", "ERR_ATTESTATION_MALFORMED", { payload: { pcrs: new Map([[0, new Uint8Array(47)]]) } });
  refuses("a NitroTPM document", "ERR_NOT_ENCLAVE", { payload: { nitrotpm_pcrs: new Map(), pcrs: undefined } });
  refuses("AV-08 a certificate that is not DER", "ERR_DER_MALFORMED", {
    payload: { certificate: utf8("certificate") },
  });
  refuses("AV-10 a signature of one changed bit", "ERR_COSE_SIGNATURE", {
    editSignature: (signature) => signature.map((byte, index) => (index === 50 ? byte ^ 1 : byte)),
  });
  refuses("AV-10 a payload that was changed after it was signed", "ERR_COSE_SIGNATURE", {
    editDocument: (document) => document.map((byte, index) => (index === document.length - 110 ? byte ^ 0x10 : byte)),
    payload: { user_data: new Uint8Array(64) },
  });

  it("AV-10 a document that another leaf of the same enclave has signed", async () => {
    const { privateKey } = await platform.pki.issueInstance(INSTANCE_ID).issueLeaf(platform.maker.moduleId);
    await expect(verifyMade({ signingKey: privateKey })).rejects.toThrowCode("ERR_COSE_SIGNATURE");
  });

  it("AV-04 a module_id of another enclave than the certificate's", async () => {
    const moduleId = `${INSTANCE_ID}-enc0000000000000000`;
    await expect(verifyMade({ payload: { module_id: moduleId } })).rejects.toThrowCode("ERR_ATTESTATION_MALFORMED");
  });

  it.each([
    ["without a Region", (id: string) => `${id}.aws`],
    ["of another partition", (id: string) => `${id}.us-east-1.example`],
    ["that goes on", (id: string) => `${id}.us-east-1.aws.example`],
    ["of an instance", () => `${INSTANCE_ID}.us-east-1.aws`],
  ])("AV-04 a leaf whose name is one %s", async (_, nameOf) => {
    const { moduleId } = platform.maker;
    const subject = [["CN", nameOf(moduleId)]] as const;
    const wrong = await createPlatform({ overrides: { leaf: { subject } } });
    const document = await wrong.make({ moduleId }, {});
    const options = { trustAnchor: wrong.trustAnchor, now: NOW };
    await expect(verifyAttestation(document, options)).rejects.toThrowCode("ERR_ATTESTATION_MALFORMED");
  });

  it("AV-12 a PCR4 that is not that of the instance in module_id", async () => {
    const pcrs = await examplePcrs(OTHER_INSTANCE_ID);
    await expect(platform.verify({ pcrs })).rejects.toThrowCode("ERR_PCR_MISMATCH");
  });

  it("AV-12 a PCR4 of zeros, in debug mode too", async () => {
    const pcrs = (await examplePcrs(INSTANCE_ID)).set(4, new Uint8Array(48));
    await expect(platform.verify({ pcrs })).rejects.toThrowCode("ERR_PCR_MISMATCH");
    await expect(platform.verify({ pcrs: pcrs.set(0, new Uint8Array(48)) })).rejects.toThrowCode("ERR_PCR_MISMATCH");
  });
});

describe("verifyAttestation refuses a path with one change", () => {
  /** A platform with one change; the same without it verifies, as `verifyAttestation` above shows for every test. */
  const refuses = (
    title: string,
    code: ErrorCode,
    options: Partial<NitroPkiOptions>,
    verifying?: Partial<VerifyOptions>,
  ) =>
    it(title, async () => {
      const wrong = await createPlatform(options);
      const verifyOptions = { trustAnchor: wrong.trustAnchor, now: NOW, ...verifying };
      await expect(verifyAttestation(await wrong.make(), verifyOptions)).rejects.toThrowCode(code);
    });
  const overriding = (overrides: PkiOverrides): Partial<NitroPkiOptions> => ({ overrides });

  refuses(
    "AV-07 pitfall 22: under the root of AWS, a simulated document",
    "ERR_TRUST_ANCHOR",
    {},
    {
      trustAnchor: { name: "AWS", sha256: "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b" },
    },
  );
  refuses("AV-07 a bundle without its root", "ERR_TRUST_ANCHOR", { editCaBundle: (bundle) => bundle.slice(1) });
  refuses("AV-08 an intermediate on another curve", "ERR_CERT_MALFORMED", overriding({ zonal: { curve: "P-256" } }));
  refuses("AV-08 a leaf signed with another hash", "ERR_CERT_MALFORMED", overriding({ leaf: { hash: "SHA-256" } }));
  refuses("AV-09 pitfall 19: a bundle in the wrong order", "ERR_CERT_PATH", {
    editCaBundle: ([root, regional, zonal, instance]) =>
      [root, zonal, regional, instance].map((certificate) => present(certificate)),
  });
  refuses("AV-09 a bundle with a gap", "ERR_CERT_PATH", {
    editCaBundle: (bundle) => bundle.filter((_, index) => index !== 2),
  });
  refuses(
    "AV-09 an intermediate without keyCertSign",
    "ERR_CERT_PATH",
    overriding({ instance: { keyUsage: { flags: 1 } } }),
  );
  refuses(
    "AV-09 an intermediate that is no CA",
    "ERR_CERT_PATH",
    overriding({ zonal: { basicConstraints: { ca: false } } }),
  );
  refuses(
    "AV-09 an intermediate that somebody else signed",
    "ERR_CERT_PATH",
    overriding({ zonal: { signingKey: "unrelated" } }),
  );
  refuses("AV-09 a leaf that somebody else signed", "ERR_CERT_PATH", overriding({ leaf: { signingKey: "unrelated" } }));
  refuses(
    "AV-09 pitfall 11: a document after its leaf's end",
    "ERR_CERT_TIME",
    {},
    {
      now: new Date(NOW.getTime() + 3 * HOUR + 1000),
    },
  );
  refuses("AV-09 a document before its leaf's beginning", "ERR_CERT_TIME", {}, { now: new Date(NOW.getTime() - HOUR) });
});

describe("the order of refusals", () => {
  it("is form, rules of the path, its signatures, the signature of the document, module_id, PCR4", async () => {
    const faults: { code: ErrorCode; overrides: DocumentOverrides }[] = [
      { code: "ERR_ATTESTATION_MALFORMED", overrides: { payload: { digest: "SHA256" } } },
      { code: "ERR_CERT_TIME", overrides: {} },
      { code: "ERR_CERT_PATH", overrides: {} },
      { code: "ERR_COSE_SIGNATURE", overrides: { editSignature: (signature) => signature.map((byte) => byte ^ 1) } },
      {
        code: "ERR_ATTESTATION_MALFORMED",
        overrides: { payload: { module_id: `${INSTANCE_ID}-enc0000000000000000` } },
      },
      {
        code: "ERR_PCR_MISMATCH",
        overrides: {
          payload: {
            pcrs: new Map([...(await examplePcrs(OTHER_INSTANCE_ID))].map(([i, v]) => [i, new Uint8Array(v)])),
          },
        },
      },
    ];
    const unsigned = await createPlatform({ overrides: { leaf: { signingKey: "unrelated" } } });
    for (const [first, { code }] of faults.entries()) {
      const remaining = faults.slice(first);
      const made = remaining.some((fault) => fault.code === "ERR_CERT_PATH") ? unsigned : platform;
      const expired = remaining.some((fault) => fault.code === "ERR_CERT_TIME");
      const payload = Object.assign({}, ...remaining.map(({ overrides }) => overrides.payload ?? {}));
      const editSignature = remaining.find(({ overrides }) => overrides.editSignature)?.overrides.editSignature;
      const document = await made.make({}, { payload, ...(editSignature && { editSignature }) });
      const now = new Date(NOW.getTime() + (expired ? 4 * HOUR : 0));
      const options = { trustAnchor: made.trustAnchor, now };
      await expect(verifyAttestation(document, options), code).rejects.toThrowCode(code);
    }
  });

  it("does not depend on the cache", async () => {
    const cache = new CertificateCache();
    await expect(verifyMade({}, { cache })).resolves.toBeInstanceOf(VerifiedAttestation);
    expect(cache.size).toBe(3);
    const editSignature = (signature: Uint8Array) => signature.map((byte) => byte ^ 1);
    await expect(verifyMade({ editSignature }, { cache })).rejects.toThrowCode("ERR_COSE_SIGNATURE");
    const now = new Date(NOW.getTime() + 4 * HOUR);
    await expect(verifyMade({}, { cache, now })).rejects.toThrowCode("ERR_CERT_TIME");
  });
});

describe("what verification requires of its caller", () => {
  const options = (): VerifyOptions => ({ trustAnchor: platform.trustAnchor, now: NOW });
  const anchor = (sha256: unknown): TrustAnchor => ({ name: "anchor", sha256: sha256 as string });

  it.each<[string, () => unknown]>([
    ["no options", () => undefined],
    ["no anchor", () => ({ now: NOW })],
    ["an anchor that is null", () => ({ ...options(), trustAnchor: null })],
    ["an anchor without hash", () => ({ ...options(), trustAnchor: anchor(undefined) })],
    ["an anchor with an empty hash", () => ({ ...options(), trustAnchor: anchor("") })],
    ["an anchor in upper case", () => ({ ...options(), trustAnchor: anchor("A".repeat(64)) })],
    ["no date", () => ({ trustAnchor: platform.trustAnchor })],
    ["a date that is a number", () => ({ ...options(), now: NOW.getTime() })],
    ["an invalid date", () => ({ ...options(), now: new Date(Number.NaN) })],
    ["a cache that is a Map", () => ({ ...options(), cache: new Map() })],
  ])("pitfall 6 of interfaces: %s is a TypeError", async (_, wrong) => {
    const document = await platform.make();
    await expect(verifyAttestation(document, options())).resolves.toBeInstanceOf(VerifiedAttestation);
    await expect(verifyAttestation(document, wrong() as VerifyOptions)).rejects.toThrow(TypeError);
  });

  it("a document that is no byte string is a TypeError", async () => {
    await expect(verifyAttestation("document" as unknown as Uint8Array, options())).rejects.toThrow(TypeError);
  });

  it("nobody else can make a VerifiedAttestation, nor change one", async () => {
    const verified = await platform.verify();
    const Constructor = VerifiedAttestation as unknown as new (...values: unknown[]) => unknown;
    expect(() => new Constructor(Symbol("verify.ts"), {}, {}, NOW)).toThrow(TypeError);
    expect(() => VerifiedAttestation.assert({ ...verified } as VerifiedAttestation)).toThrow(TypeError);
    expect(() => VerifiedAttestation.assert(Object.create(VerifiedAttestation.prototype))).toThrow(TypeError);
    expect(() => VerifiedAttestation.assert(null as unknown as VerifiedAttestation)).toThrow(TypeError);
    expect(VerifiedAttestation.assert(verified)).toBeUndefined();
    expect(() => Object.assign(verified, { debug: true })).toThrow(TypeError);
  });
});
