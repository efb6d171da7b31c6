/** The signature of an enclave image: from one that verifies, one change at a time; and random changes. */
import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../../shared/bytes.js";
import type { CborValue } from "../../../shared/cbor.js";
import { encodeCbor } from "../../../shared/cbor.js";
import { encodeTlv, encodeUtf8String } from "../../../shared/der-encode.js";
import { measureEif, parseEif } from "../../../shared/eif/eif.js";
import { verifyEifSignature } from "../../../shared/eif/signature.js";
import { imageSignatureOf } from "../../../shared/eif/signature-section.js";
import type { ErrorCode } from "../../../shared/errors.js";
import { ServiceError } from "../../../shared/errors.js";
import { buildEif, plainSections, SECTION, toPem } from "../../support/eif-builder.js";
import type { SignerChanges } from "../../support/eif-signer.js";
import { buildSignedEif, pcrInfo, signatureEntry } from "../../support/eif-signer.js";
import { mutated, randomBytes } from "../../support/mutate.js";

const NOW = new Date("2027-06-01T00:00:00Z");

async function verify(image: Uint8Array, now = NOW) {
  const eif = parseEif(image);
  return verifyEifSignature(eif, { pcr0: (await measureEif(eif)).pcr0, now });
}

const verifyChanged = async (changes: SignerChanges) => verify(await buildSignedEif(changes));
const flipAt =
  (at: number) =>
  (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte, i) => (i === (at + bytes.length) % bytes.length ? byte ^ 1 : byte));
const spkiOf = (type: "rsa" | "ed25519" | "secp256k1"): Uint8Array => {
  const { publicKey } =
    type === "rsa"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : type === "ed25519"
        ? generateKeyPairSync("ed25519")
        : generateKeyPairSync("ec", { namedCurve: "secp256k1" });
  return new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
};

describe("what is taken", () => {
  test.each([
    ["P-256", "ES256"],
    ["P-384", "ES384"],
    ["P-521", "ES512"],
  ] as const)("%s signs with %s", async (curve, algorithm) => {
    expect(await verifyChanged({ curve })).toMatchObject({ algorithm, certificateCurrent: true });
  });

  test("an unsigned image has no signature", async () => {
    expect(await verify(buildEif())).toBeUndefined();
  });

  test("COSE's tag 18, which AWS's reader takes as well", async () => {
    const tagged = await verifyChanged({ coseSign1: (bytes) => concatBytes(Uint8Array.of(0xd2), bytes) });
    expect(tagged?.algorithm).toBe("ES384");
  });

  test("a certificate with a version, unique identifiers and extensions, which have no effect", async () => {
    const beforeSerial = [encodeTlv(0xa0, Uint8Array.of(2, 1, 2))];
    const trailing = [encodeTlv(0x81, Uint8Array.of(0, 1)), encodeTlv(0x82, Uint8Array.of(0, 2)), encodeTlv(0xa3)];
    const taken = await verifyChanged({ beforeSerial, afterSubject: (spki) => [spki, ...trailing] });
    expect(taken?.algorithm).toBe("ES384");
  });

  test("a certificate's validity includes its two ends, to the second", async () => {
    const image = await buildSignedEif();
    const currentAt = async (time: string) => (await verify(image, new Date(time)))?.certificateCurrent;
    expect(await currentAt("2025-12-31T23:59:59Z")).toBe(false);
    expect(await currentAt("2026-01-01T00:00:00Z")).toBe(true);
    expect(await currentAt("2027-12-31T23:59:59Z")).toBe(true);
    expect(await currentAt("2028-01-01T00:00:00Z")).toBe(false);
  });
});

describe("the subject", () => {
  const subjectOf = async (...subject: NonNullable<SignerChanges["subject"]>) =>
    (await verifyChanged({ subject }))?.certificate.subject;

  test("names known attributes, and the others by their identifier", async () => {
    const [cn, o] = [encodeUtf8String("a signer"), encodeTlv(0x13, utf8("AWS"))];
    expect(await subjectOf(["2.5.4.10", o], ["2.5.4.3", cn], ["2.5.4.5", o])).toBe("O=AWS,CN=a signer,2.5.4.5=AWS");
    expect(await subjectOf()).toBe("");
  });

  test("a value cannot pose as a second attribute", async () => {
    expect(await subjectOf(["2.5.4.3", encodeUtf8String('x,O="AWS"')])).toBe('CN=x\\,O\\=\\"AWS\\"');
  });

  test("what is no UTF-8 text is hexadecimal", async () => {
    expect(await subjectOf(["2.5.4.3", encodeTlv(0x0c, Uint8Array.of(0xff))])).toBe("CN=#0c01ff");
    expect(await subjectOf(["2.5.4.3", encodeTlv(0x1e, Uint8Array.of(0, 0x41))])).toBe("CN=#1e020041");
  });
});

/** The payload with other fields. */
const payloadOf = (...fields: readonly (readonly [string, CborValue])[]) => encodeCbor(new Map(fields));
const header = (...bytes: readonly number[]) => Uint8Array.from(bytes);

const refusals: readonly (readonly [string, SignerChanges, ErrorCode])[] = [
  // the certificate
  ["a key of RSA", { spki: () => spkiOf("rsa") }, "ERR_EIF_MALFORMED"],
  ["a key of Ed25519", { spki: () => spkiOf("ed25519") }, "ERR_EIF_MALFORMED"],
  ["a key on secp256k1", { spki: () => spkiOf("secp256k1") }, "ERR_EIF_MALFORMED"],
  ["a key that is not on its curve", { spki: flipAt(-1) }, "ERR_EIF_MALFORMED"],
  ["a compressed key", { spki: (spki) => spki.map((b, i) => (i === spki.length - 97 ? 2 : b)) }, "ERR_EIF_MALFORMED"],
  ["a certificate without a key", { afterSubject: () => [] }, "ERR_DER_MALFORMED"],
  ["a certificate with more than X.509 has", { afterSubject: (key) => [key, encodeTlv(0xa4)] }, "ERR_DER_MALFORMED"],
  ["a byte order mark before the PEM", { pem: (pem) => utf8(`\ufeff${pem}`) }, "ERR_EIF_MALFORMED"],
  ["a no-break space in the PEM", { pem: (pem) => utf8(pem.replace("\n", "\u00a0")) }, "ERR_EIF_MALFORMED"],
  ["text before the PEM", { pem: (pem) => utf8(`Certificate:\n${pem}`) }, "ERR_EIF_MALFORMED"],
  [
    "a certificate of over 16 KiB",
    { pem: () => utf8(toPem("CERTIFICATE", new Uint8Array(16_385))) },
    "ERR_DER_MALFORMED",
  ],
  ["a certificate that is no DER", { pem: () => utf8(toPem("CERTIFICATE", new Uint8Array(9))) }, "ERR_DER_MALFORMED"],
  // the COSE_Sign1
  ["the algorithm of another curve", { protectedHeader: header(0xa1, 0x01, 0x26) }, "ERR_COSE_ALGORITHM"],
  ["ES384 from a P-256 key", { curve: "P-256", protectedHeader: header(0xa1, 1, 0x38, 0x22) }, "ERR_COSE_ALGORITHM"],
  ["PS384", { protectedHeader: header(0xa1, 0x01, 0x38, 0x25) }, "ERR_COSE_ALGORITHM"],
  ["no algorithm", { protectedHeader: header() }, "ERR_COSE_ALGORITHM"],
  ["a further header parameter", { protectedHeader: header(0xa2, 1, 0x38, 0x22, 4, 0x40) }, "ERR_COSE_MALFORMED"],
  ["an unprotected header", { unprotectedHeader: new Map([[4, header(1)]]) }, "ERR_COSE_MALFORMED"],
  ["a signature of 95 bytes", { rawSignature: (raw) => raw.subarray(1) }, "ERR_COSE_MALFORMED"],
  ["a signature in DER", { rawSignature: (raw) => concatBytes(header(0x30, 0x60), raw) }, "ERR_COSE_MALFORMED"],
  ["another tag", { coseSign1: (bytes) => concatBytes(header(0xd1), bytes) }, "ERR_CBOR_MALFORMED"],
  ["bytes after the COSE_Sign1", { coseSign1: (bytes) => concatBytes(bytes, header(0)) }, "ERR_CBOR_MALFORMED"],
  ["a signature with one bit changed", { rawSignature: flipAt(0) }, "ERR_COSE_SIGNATURE"],
  ["a signature of zeros", { rawSignature: (raw) => new Uint8Array(raw.length) }, "ERR_COSE_SIGNATURE"],
  // the payload
  ["the PCR0 of another image", { payload: (pcr0) => pcrInfo(0, flipAt(0)(pcr0)) }, "ERR_EIF_SIGNATURE"],
  ["a PCR0 of zeros", { payload: () => pcrInfo(0, new Uint8Array(48)) }, "ERR_EIF_SIGNATURE"],
  ["register 1", { payload: (pcr0) => pcrInfo(1, pcr0) }, "ERR_EIF_MALFORMED"],
  ["register false", { payload: (pcr0) => pcrInfo(false, pcr0) }, "ERR_EIF_MALFORMED"],
  ["47 bytes", { payload: (pcr0) => pcrInfo(0, pcr0.subarray(1)) }, "ERR_EIF_MALFORMED"],
  ["a value that is no byte", { payload: (pcr0) => pcrInfo(0, [256, ...pcr0.subarray(1)]) }, "ERR_EIF_MALFORMED"],
  ["bytes", { payload: (pcr0) => payloadOf(["register_index", 0], ["register_value", pcr0]) }, "ERR_EIF_MALFORMED"],
  [
    "a third field",
    { payload: (pcr0) => payloadOf(["register_index", 0], ["register_value", [...pcr0]], ["x", 0]) },
    "ERR_EIF_MALFORMED",
  ],
  ["an array", { payload: () => header(0x80) }, "ERR_EIF_MALFORMED"],
  ["a long payload", { payload: () => encodeCbor("x".repeat(300)) }, "ERR_CBOR_MALFORMED"],
  // the section
  ["two signatures", { section: (c, s) => [signatureEntry(c, s), signatureEntry(c, s)] }, "ERR_EIF_MALFORMED"],
  ["a third entry", { section: (c, s) => [new Map([...signatureEntry(c, s), ["x", 0]])] }, "ERR_EIF_MALFORMED"],
  ["a signature that is a text", { section: (c) => [signatureEntry(c, "x")] }, "ERR_EIF_MALFORMED"],
  ["a signature that is a byte string", { section: (c) => [signatureEntry(c, header(1))] }, "ERR_EIF_MALFORMED"],
];

describe("what is refused", () => {
  test.each(refusals)("%s", async (_, changes, code) => {
    expect(await verifyChanged({})).toBeDefined();
    await expect(verifyChanged(changes)).rejects.toThrowCode(code);
  });
});

describe("on random changes", () => {
  const CODES: readonly ErrorCode[] = [
    ...(["ERR_EIF_MALFORMED", "ERR_CBOR_MALFORMED", "ERR_DER_MALFORMED", "ERR_COSE_MALFORMED"] as const),
    ...(["ERR_COSE_ALGORITHM", "ERR_COSE_SIGNATURE"] as const),
  ];
  const imageWith = (data: Uint8Array) => buildEif({ sections: [...plainSections, { type: SECTION.signature, data }] });

  /** How often `input` is refused; anything but a refusal with one of the codes fails the test. */
  async function refusedOf(input: fc.Arbitrary<Uint8Array<ArrayBuffer>>, toSection: (bytes: Uint8Array) => Uint8Array) {
    let refused = 0;
    const property = fc.asyncProperty(input, async (bytes) => {
      try {
        await verify(imageWith(toSection(bytes)));
      } catch (error) {
        if (!(error instanceof ServiceError && CODES.includes(error.code))) throw error;
        refused += 1;
      }
    });
    await fc.assert(property, { seed: 4, numRuns: 1500 });
    return refused;
  }

  test("of the section, of the certificate or of the COSE_Sign1 it only refuses, with these codes", async () => {
    const eif = parseEif(await buildSignedEif());
    const section = eif.sections.at(-1)?.bytes ?? new Uint8Array();
    const { certificateDer, coseSign1 } = imageSignatureOf(eif) ?? { certificateDer: section, coseSign1: section };
    const pem = [...utf8(toPem("CERTIFICATE", certificateDer))];
    expect(await verify(imageWith(section))).toBeDefined();

    expect(
      await refusedOf(fc.oneof({ weight: 9, arbitrary: mutated([section]) }, randomBytes), (bytes) => bytes),
    ).toBeGreaterThan(1000);
    const withCertificate = (der: Uint8Array) =>
      encodeCbor([signatureEntry([...utf8(toPem("CERTIFICATE", der))], [...coseSign1])]);
    expect(await refusedOf(mutated([certificateDer]), withCertificate)).toBeGreaterThan(1000);
    const withCose = (bytes: Uint8Array) => encodeCbor([signatureEntry(pem, [...bytes])]);
    expect(await refusedOf(mutated([coseSign1]), withCose)).toBeGreaterThan(1000);
  });
});
