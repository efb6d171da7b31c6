/** The certificate profile: held against two other readers on good certificates, and one change away from them. */
import { X509Certificate as NodeCertificate } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { concatBytes, equalBytes, fromHex, toHex } from "../../shared/bytes.js";
import { encodeBitString, encodeSequence, encodeTlv } from "../../shared/der-encode.js";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";
import type { Certificate } from "../../shared/x509.js";
import { MAX_CERTIFICATE_BYTES, parseCertificate } from "../../shared/x509.js";
import type { CertificateOverrides, ExtensionSpec } from "../../simulator/pki/certificate.js";
import { splitConstructed } from "../../simulator/pki/der.js";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate as PeculiarCertificate,
} from "../../simulator/pki/x509.js";
import { chainOf, testPki } from "../simulator/fixtures.js";
import { present } from "../support/attestation.js";
import { mutated } from "../support/mutate.js";
import { missingRecords, recordedChain, recordedDocuments } from "../support/recorded.js";

const hex = (text: string): Uint8Array<ArrayBuffer> => present(fromHex(text.replaceAll(" ", "")));

/** The zonal certificate has everything: it is the baseline of the changes below. */
const ZONAL = 2;
let simulated: readonly Uint8Array[];
let baseline: Uint8Array;

beforeAll(async () => {
  simulated = await chainOf(await testPki());
  baseline = present(simulated[ZONAL]);
});

/** The baseline's certificate, made anew with one change. */
async function zonalWith(overrides: CertificateOverrides): Promise<Uint8Array> {
  return present((await chainOf(await testPki({ overrides: { zonal: overrides } })))[ZONAL]);
}

function agreesWithOthers(der: Uint8Array): void {
  const ours = parseCertificate(der);
  const node = new NodeCertificate(der);
  const peculiar = new PeculiarCertificate(new Uint8Array(der));
  expect(ours.notBefore).toEqual(new Date(node.validFrom));
  expect(ours.notAfter).toEqual(new Date(node.validTo));
  expect(ours.notBefore).toEqual(peculiar.notBefore);
  expect(ours.notAfter).toEqual(peculiar.notAfter);
  expect(toHex(ours.serial)).toBe(node.serialNumber.toLowerCase());
  expect(toHex(ours.subject)).toBe(toHex(new Uint8Array(peculiar.subjectName.toArrayBuffer())));
  expect(toHex(ours.issuer)).toBe(toHex(new Uint8Array(peculiar.issuerName.toArrayBuffer())));
  expect(peculiar.subjectName.getField("CN")).toEqual([ours.subjectCommonName]);
  expect(toHex(ours.spki)).toBe(node.publicKey.export({ format: "der", type: "spki" }).toString("hex"));
  expect(toHex(ours.spki).endsWith(toHex(ours.publicKeyPoint))).toBe(true);
  agreesOnExtensions(ours, node, peculiar);
}

function agreesOnExtensions(ours: Certificate, node: NodeCertificate, peculiar: PeculiarCertificate): void {
  expect(ours.basicConstraints?.ca).toBe(node.ca);
  const constraints = present(peculiar.getExtension(BasicConstraintsExtension) ?? undefined);
  const { ca, critical, pathLength } = constraints;
  expect(ours.basicConstraints).toEqual({ critical, ca, pathLength });
  const usage = present(peculiar.getExtension(KeyUsagesExtension) ?? undefined);
  expect(ours.keyUsage).toEqual({
    critical: usage.critical,
    digitalSignature: (usage.usages & KeyUsageFlags.digitalSignature) !== 0,
    keyCertSign: (usage.usages & KeyUsageFlags.keyCertSign) !== 0,
  });
}

/** The slices that signature checks rest on: node verifies the certificate, WebCrypto our slices of it. */
async function agreesOnSignature(der: Uint8Array, issuerDer: Uint8Array): Promise<void> {
  const [ours, issuer] = [parseCertificate(der), parseCertificate(issuerDer)];
  expect(new NodeCertificate(der).verify(new NodeCertificate(issuerDer).publicKey)).toBe(true);
  const algorithm = { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" };
  const key = await crypto.subtle.importKey("spki", issuer.spki, algorithm, false, ["verify"]);
  expect(await crypto.subtle.verify(algorithm, key, ours.rawSignature, ours.tbsBytes)).toBe(true);
}

async function agreesOnChain(rootToLeaf: readonly Uint8Array[]): Promise<void> {
  expect(rootToLeaf).toHaveLength(5);
  for (const [i, der] of rootToLeaf.entries()) {
    agreesWithOthers(der);
    await agreesOnSignature(der, rootToLeaf[i - 1] ?? der);
  }
}

describe("parseCertificate", () => {
  it("agrees with @peculiar/x509 and node:crypto on a simulated chain", async () => {
    await agreesOnChain(simulated);
  });

  const genuine = recordedDocuments().filter(({ expected }) => expected === "accept");
  it("agrees with them on the recorded chains of AWS", async ({ skip }) => {
    if (missingRecords !== undefined) skip(missingRecords);
    expect(genuine).toHaveLength(10);
    for (const document of genuine) await agreesOnChain(recordedChain(document));
  });

  it("keeps its own copy", () => {
    const bytes = new Uint8Array(baseline);
    const certificate = parseCertificate(bytes);
    bytes.fill(0);
    expect(equalBytes(certificate.der, baseline)).toBe(true);
  });

  it("takes serial numbers of 160 bits, as AWS's instance certificates have them", async () => {
    const serial = new Uint8Array(20).fill(0xff);
    expect(toHex(parseCertificate(await zonalWith({ serial })).serial)).toBe(toHex(serial));
  });

  it("takes extensions that it does not know, where they are not critical", async () => {
    const unknown: ExtensionSpec = { oid: "1.2.3.4", critical: false, value: hex("ffff") };
    expect(parseCertificate(await zonalWith({ extraExtensions: [unknown] })).subjectCommonName).toContain("zonal");
  });

  it("has no basicConstraints or keyUsage where the certificate has none", async () => {
    expect(parseCertificate(await zonalWith({ basicConstraints: "absent" })).basicConstraints).toBeUndefined();
    expect(parseCertificate(await zonalWith({ keyUsage: "absent" })).keyUsage).toBeUndefined();
  });
});

type Field = "version" | "serial" | "algorithm" | "issuer" | "validity" | "subject" | "spki" | "extensions";
const FIELDS: readonly Field[] = [
  "version",
  "serial",
  "algorithm",
  "issuer",
  "validity",
  "subject",
  "spki",
  "extensions",
];

/** Replaces one field of the TBSCertificate; `undefined` leaves it out. */
const field = (name: Field, change: (old: Uint8Array) => Uint8Array | undefined): CertificateOverrides => ({
  editTbsFields: (fields) =>
    fields.flatMap((old, i) => (FIELDS[i] === name ? [change(old)].filter((now) => now !== undefined) : [old])),
});
const followedBy = (name: Field, added: Uint8Array) => field(name, (old) => concatBytes(old, added));
const extensions = (change: (list: readonly Uint8Array[]) => readonly Uint8Array[]) =>
  field("extensions", (old) =>
    encodeTlv(0xa3, encodeSequence(...change(splitConstructed(present(splitConstructed(old)[0]))))),
  );
const edited = (edit: (parts: readonly Uint8Array[]) => Uint8Array): CertificateOverrides => ({
  editCertificate: (der) => edit(splitConstructed(der)),
});
/** The certificate with another signature value: certificates are parsed before signatures are looked at. */
const signedAs = (r: Uint8Array, s: Uint8Array) =>
  edited(([tbs, algorithm]) =>
    encodeSequence(present(tbs), present(algorithm), encodeBitString(encodeSequence(encodeTlv(2, r), encodeTlv(2, s)))),
  );

const ORDER = hex("00ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973");
const ONE = hex("01");
const SHA512_ALGORITHM = hex("300a06082a8648ce3d040304");
const name = (...rdns: readonly string[]) => encodeSequence(...rdns.map((rdn) => hex(rdn)));
const CN_A = "310a 3008 0603550403 0c0141";

describe("parseCertificate refuses", () => {
  const refuses = (title: string, code: ErrorCode, overrides: CertificateOverrides | (() => CertificateOverrides)) =>
    it(title, async () => {
      expect(() => parseCertificate(baseline)).not.toThrow();
      const changed = await zonalWith(typeof overrides === "function" ? overrides() : overrides);
      expect(() => parseCertificate(changed)).toThrowCode(code);
    });

  refuses(
    "AV-08 version 1",
    "ERR_CERT_MALFORMED",
    field("version", () => undefined),
  );
  refuses(
    "AV-08 version 2",
    "ERR_CERT_MALFORMED",
    field("version", () => hex("a003020101")),
  );
  refuses(
    "AV-08 version 4",
    "ERR_CERT_MALFORMED",
    field("version", () => hex("a003020103")),
  );
  refuses(
    "AV-08 a serial number of zero",
    "ERR_CERT_MALFORMED",
    field("serial", () => hex("020100")),
  );
  refuses(
    "AV-08 a negative serial number",
    "ERR_DER_MALFORMED",
    field("serial", () => hex("0201ff")),
  );
  refuses(
    "AV-08 a padded serial number",
    "ERR_DER_MALFORMED",
    field("serial", () => hex("02020001")),
  );
  refuses(
    "AV-08 a serial number of 161 bits",
    "ERR_CERT_MALFORMED",
    field("serial", () => encodeTlv(2, ONE, new Uint8Array(20))),
  );
  refuses("AV-08 ecdsa-with-SHA256", "ERR_CERT_MALFORMED", { hash: "SHA-256" });
  refuses("AV-08 ecdsa-with-SHA512", "ERR_CERT_MALFORMED", { hash: "SHA-512" });
  refuses(
    "AV-08 another algorithm inside than outside",
    "ERR_CERT_MALFORMED",
    field("algorithm", () => SHA512_ALGORITHM),
  );
  refuses(
    "AV-08 another algorithm outside than inside",
    "ERR_CERT_MALFORMED",
    edited(([tbs, , signature]) => encodeSequence(present(tbs), SHA512_ALGORITHM, present(signature))),
  );
  refuses(
    "AV-08 an algorithm with NULL parameters, inside and outside",
    "ERR_CERT_MALFORMED",
    (() => {
      const withNull = hex("300c06082a8648ce3d0403030500");
      return {
        ...field("algorithm", () => withNull),
        ...edited(([tbs, , signature]) => encodeSequence(present(tbs), withNull, present(signature))),
      };
    })(),
  );
  refuses("AV-08 a key on P-256", "ERR_CERT_MALFORMED", { curve: "P-256" });
  refuses("AV-08 a key on P-521", "ERR_CERT_MALFORMED", { curve: "P-521" });
  refuses(
    "AV-08 a compressed point",
    "ERR_CERT_MALFORMED",
    field("spki", (old) => {
      const [algorithm, point] = splitConstructed(old);
      return encodeSequence(
        present(algorithm),
        encodeBitString(concatBytes(hex("02"), present(point).subarray(4, 52))),
      );
    }),
  );
  refuses(
    "AV-08 a point in hybrid form",
    "ERR_CERT_MALFORMED",
    field("spki", (old) => old.map((octet, i) => (i === old.length - 97 ? 0x06 : octet))),
  );
  refuses(
    "AV-08 a key of another algorithm on the same curve",
    "ERR_CERT_MALFORMED",
    field("spki", (old) => {
      const ecdh = hex("300e 06052b8104010c 06052b81040022");
      return encodeSequence(ecdh, present(splitConstructed(old)[1]));
    }),
  );
  refuses(
    "AV-08 curve parameters in place of the curve's name",
    "ERR_CERT_MALFORMED",
    field("spki", (old) => encodeSequence(hex("300b 06072a8648ce3d0201 3000"), present(splitConstructed(old)[1]))),
  );
  refuses("AV-08 a unique identifier of the issuer", "ERR_CERT_MALFORMED", followedBy("spki", hex("81020000")));
  refuses("AV-08 a unique identifier of the subject", "ERR_CERT_MALFORMED", followedBy("spki", hex("82020000")));
  refuses(
    "AV-08 no extensions",
    "ERR_CERT_MALFORMED",
    field("extensions", () => undefined),
  );
  refuses(
    "AV-08 an empty list of extensions",
    "ERR_CERT_MALFORMED",
    extensions(() => []),
  );
  refuses("AV-08 something after the extensions", "ERR_DER_MALFORMED", followedBy("extensions", hex("0500")));
  refuses(
    "AV-08 a name without common name",
    "ERR_CERT_MALFORMED",
    field("subject", () => name("310a 3008 0603550406 13015a")),
  );
  refuses(
    "AV-08 a name with two common names",
    "ERR_CERT_MALFORMED",
    field("subject", () => name(CN_A, CN_A)),
  );
  refuses(
    "AV-08 an issuer without common name",
    "ERR_CERT_MALFORMED",
    field("issuer", () => name()),
  );
  refuses(
    "AV-08 two attributes in one RDN",
    "ERR_DER_MALFORMED",
    field("subject", () => name("3114 3008 0603550403 0c0141 3008 0603550406 13015a")),
  );
  refuses(
    "AV-08 a name in a TeletexString",
    "ERR_DER_MALFORMED",
    field("subject", () => name("310a 3008 0603550403 140141")),
  );
  refuses(
    "AV-08 a date that does not exist",
    "ERR_DER_MALFORMED",
    field("validity", (old) =>
      encodeSequence(encodeTlv(0x17, new TextEncoder().encode("230229000000Z")), present(splitConstructed(old)[1])),
    ),
  );

  const unknown = (critical: boolean): ExtensionSpec => ({ oid: "1.2.3.4", critical, value: hex("0500") });
  refuses("AV-09 a critical extension that is unknown", "ERR_CERT_MALFORMED", { extraExtensions: [unknown(true)] });
  refuses("AV-09 critical name constraints, which are not processed", "ERR_CERT_MALFORMED", {
    extraExtensions: [{ oid: "2.5.29.30", critical: true, value: hex("3000") }],
  });
  refuses("AV-09 a critical key identifier", "ERR_CERT_MALFORMED", {
    editExtensions: (list) => list.map((one) => (one.oid === "2.5.29.14" ? { ...one, critical: true } : one)),
  });
  refuses("AV-08 a known extension twice", "ERR_CERT_MALFORMED", {
    editExtensions: (list) => [...list, ...list.filter(({ oid }) => oid === "2.5.29.15")],
  });
  refuses("AV-08 an unknown extension twice", "ERR_CERT_MALFORMED", {
    extraExtensions: [unknown(false), unknown(false)],
  });
  refuses(
    "AV-08 an extension whose critical FALSE is written out",
    "ERR_DER_MALFORMED",
    extensions((list) => [...list, hex("300c 06032a0304 010100 04020500")]),
  );
  refuses(
    "AV-08 an extension with something after its value",
    "ERR_DER_MALFORMED",
    extensions((list) => [...list, hex("300b 06032a0304 04020500 0500")]),
  );
  const withValue = (oid: string, value: string): CertificateOverrides => ({
    editExtensions: (list) => list.map((one) => (one.oid === oid ? { ...one, value: hex(value) } : one)),
  });
  refuses(
    "AV-08 basicConstraints whose cA FALSE is written out",
    "ERR_DER_MALFORMED",
    withValue("2.5.29.19", "3003010100"),
  );
  refuses(
    "AV-08 basicConstraints with a negative pathLen",
    "ERR_DER_MALFORMED",
    withValue("2.5.29.19", "30060101ff0201ff"),
  );
  refuses(
    "AV-08 basicConstraints with more than that",
    "ERR_DER_MALFORMED",
    withValue("2.5.29.19", "30090101ff020100020100"),
  );
  refuses("AV-08 keyUsage with trailing zero bits", "ERR_DER_MALFORMED", withValue("2.5.29.15", "03020006"));
  refuses("AV-08 keyUsage followed by something", "ERR_DER_MALFORMED", withValue("2.5.29.15", "030201860500"));
  refuses("AV-08 an extension value that is not DER", "ERR_DER_MALFORMED", withValue("2.5.29.15", "ff"));

  refuses("AV-08 a signature with r of zero", "ERR_CERT_MALFORMED", signedAs(hex("00"), ONE));
  refuses("AV-08 a signature with s of zero", "ERR_CERT_MALFORMED", signedAs(ONE, hex("00")));
  refuses("AV-08 a signature with r of the curve's order", "ERR_CERT_MALFORMED", signedAs(ORDER, ONE));
  refuses("AV-08 a signature with s of the curve's order", "ERR_CERT_MALFORMED", signedAs(ONE, ORDER));
  refuses(
    "AV-08 a signature with r of 49 octets",
    "ERR_CERT_MALFORMED",
    signedAs(concatBytes(ONE, new Uint8Array(48)), ONE),
  );
  refuses("AV-08 a signature with a negative r", "ERR_DER_MALFORMED", signedAs(hex("ff"), ONE));
  refuses("AV-08 a signature with a padded s", "ERR_DER_MALFORMED", signedAs(ONE, hex("0001")));
  refuses(
    "AV-08 a signature with a third number",
    "ERR_DER_MALFORMED",
    edited(([tbs, algorithm]) =>
      encodeSequence(present(tbs), present(algorithm), encodeBitString(hex("3009020101020101020101"))),
    ),
  );
  refuses("AV-08 a byte after the certificate", "ERR_DER_MALFORMED", {
    editCertificate: (der) => concatBytes(der, hex("00")),
  });
  refuses(
    "AV-08 a fourth part of the certificate",
    "ERR_DER_MALFORMED",
    edited((parts) => encodeSequence(...parts, hex("0500"))),
  );

  it("AV-08 a certificate over 1024 bytes", async () => {
    const padding = (length: number): CertificateOverrides => ({
      extraExtensions: [{ oid: "1.2.3.4", critical: false, value: new Uint8Array(length) }],
    });
    const large = await zonalWith(padding(1));
    expect(() => parseCertificate(large)).not.toThrow();
    const tooLarge = await zonalWith(padding(MAX_CERTIFICATE_BYTES - large.length + 8));
    expect(tooLarge.length).toBeGreaterThan(MAX_CERTIFICATE_BYTES);
    expect(() => parseCertificate(tooLarge)).toThrowCode("ERR_DER_MALFORMED");
  });

  it("takes a signature with the largest and smallest numbers that there are", async () => {
    const largest = new Uint8Array(ORDER);
    largest[48] = 0x72;
    const { rawSignature } = parseCertificate(await zonalWith(signedAs(largest, ONE)));
    expect(toHex(rawSignature)).toBe(`${toHex(largest.subarray(1))}${"00".repeat(47)}01`);
  });
});

describe("hostile certificates", () => {
  it("AV-08 pitfall 18: every strict prefix is refused as malformed DER", () => {
    for (let length = 0; length < baseline.length; length++) {
      expect(() => parseCertificate(baseline.subarray(0, length)), `${length} bytes`).toThrowCode("ERR_DER_MALFORMED");
    }
  });

  it("pitfall 20: throws nothing but the two codes on mutated certificates, and what it takes, node:crypto takes", () => {
    let taken = 0;
    fc.assert(
      fc.property(mutated(simulated), (bytes) => {
        try {
          parseCertificate(bytes);
        } catch (error) {
          const code = error instanceof ServiceError ? error.code : error;
          if (code !== "ERR_DER_MALFORMED" && code !== "ERR_CERT_MALFORMED") throw error;
          return;
        }
        taken += 1;
        expect(new NodeCertificate(bytes).serialNumber).not.toBe("");
      }),
      { numRuns: 10_000, seed: 2 },
    );
    expect(taken).toBeGreaterThan(0);
  });
});
