/** Each override changes what it names, and nothing else: the result is signed again and the chain stays consistent. */
import { X509Certificate as NodeCertificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { concatBytes, toHex } from "../../../shared/bytes.js";
import { encodeTlv } from "../../../shared/der-encode.js";
import type { CertificateOverrides } from "../../../simulator/pki/certificate.js";
import { generateKeyPair } from "../../../simulator/pki/certificate.js";
import { splitConstructed } from "../../../simulator/pki/der.js";
import type { CertificateRole } from "../../../simulator/pki/profile.js";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate,
} from "../../../simulator/pki/x509.js";
import { chainOf, testPki } from "../fixtures.js";

const ROLES: readonly CertificateRole[] = ["root", "regional", "zonal", "instance", "leaf"];

async function overridden(role: CertificateRole, overrides: CertificateOverrides) {
  const chain = await chainOf(await testPki({ overrides: { [role]: overrides } }));
  const index = ROLES.indexOf(role);
  const der = chain[index] ?? new Uint8Array();
  const issuer = chain[Math.max(0, index - 1)] ?? new Uint8Array();
  return {
    chain,
    der,
    certificate: new X509Certificate(new Uint8Array(der)),
    issuer: new X509Certificate(new Uint8Array(issuer)),
  };
}

/** Whether the signature on each certificate is that of the one before. */
const signatures = (chain: readonly Uint8Array[]): readonly boolean[] =>
  chain
    .map((der) => new NodeCertificate(der))
    .map((certificate, index, all) => certificate.verify((all[index - 1] ?? certificate).publicKey));
const ALL_GOOD = [true, true, true, true, true];

describe.each(ROLES)("of the %s certificate", (role) => {
  test("the subject, which the next certificate then names as its issuer", async () => {
    const { chain, certificate } = await overridden(role, { subject: [["CN", "somebody else"]] });
    expect(certificate.subject).toBe("CN=somebody else");
    const next = chain[ROLES.indexOf(role) + 1];
    if (next !== undefined) expect(new NodeCertificate(next).issuer).toBe("CN=somebody else");
    expect(signatures(chain)).toEqual(ALL_GOOD);
  });

  test("the issuer", async () => {
    const { chain, certificate, issuer } = await overridden(role, { issuer: [["CN", "somebody else"]] });
    expect(certificate.issuer).toBe("CN=somebody else");
    expect(issuer.subject).not.toBe("CN=somebody else");
    expect(signatures(chain)).toEqual(ALL_GOOD);
  });

  test("the dates", async () => {
    const dates = { notBefore: new Date("2020-01-01T00:00:00Z"), notAfter: new Date("2020-01-02T00:00:00Z") };
    const { chain, certificate } = await overridden(role, dates);
    expect([certificate.notBefore, certificate.notAfter]).toEqual([dates.notBefore, dates.notAfter]);
    expect(signatures(chain)).toEqual(ALL_GOOD);
  });

  test("basicConstraints: left out, not critical, not a CA, another path length", async () => {
    const read = async (basicConstraints: NonNullable<CertificateOverrides["basicConstraints"]>) => {
      const { certificate, chain } = await overridden(role, { basicConstraints });
      expect(signatures(chain)).toEqual(ALL_GOOD);
      return certificate.getExtension(BasicConstraintsExtension);
    };
    expect(await read("absent")).toBeNull();
    expect(await read({ critical: false })).toMatchObject({ critical: false, ca: role !== "leaf" });
    expect(await read({ ca: role === "leaf" })).toMatchObject({ critical: true, ca: role === "leaf" });
    expect(await read({ pathLength: 7 })).toMatchObject({ pathLength: 7 });
    expect((await read({ pathLength: "absent" }))?.pathLength).toBeUndefined();
  });

  test("keyUsage: left out, other bits, other criticality", async () => {
    const read = async (keyUsage: NonNullable<CertificateOverrides["keyUsage"]>) =>
      (await overridden(role, { keyUsage })).certificate.getExtension(KeyUsagesExtension);
    expect(await read("absent")).toBeNull();
    expect((await read({ flags: KeyUsageFlags.keyAgreement }))?.usages).toBe(KeyUsageFlags.keyAgreement);
    expect((await read({ critical: role === "leaf" }))?.critical).toBe(role === "leaf");
  });

  test("further extensions, also twice the same", async () => {
    const unknown = { oid: "1.2.3.4", critical: true, value: Uint8Array.of(5, 0) };
    const { chain, certificate } = await overridden(role, { extraExtensions: [unknown, unknown] });
    expect(certificate.extensions.filter(({ type, critical }) => type === "1.2.3.4" && critical)).toHaveLength(2);
    expect(signatures(chain)).toEqual(ALL_GOOD);
  });

  test("any extension", async () => {
    const { certificate } = await overridden(role, { editExtensions: () => [] });
    expect(certificate.extensions).toHaveLength(0);
  });

  test("the curve of its key", async () => {
    const { chain, certificate } = await overridden(role, { curve: "P-256" });
    expect(certificate.publicKey.algorithm).toMatchObject({ namedCurve: "P-256" });
    expect(signatures(chain)).toEqual(ALL_GOOD);
  });

  test("the hash of its signature", async () => {
    const { chain, certificate } = await overridden(role, { hash: "SHA-256" });
    expect(certificate.signatureAlgorithm).toMatchObject({ hash: { name: "SHA-256" } });
    expect(signatures(chain)).toEqual(ALL_GOOD);
  });

  test("the key that signs it", async () => {
    const expected = ROLES.map((other) => other !== role);
    expect(signatures((await overridden(role, { signingKey: "unrelated" })).chain)).toEqual(expected);
    const { privateKey } = await generateKeyPair();
    expect(signatures((await overridden(role, { signingKey: privateKey })).chain)).toEqual(expected);
  });

  test("its serial number", async () => {
    const { certificate } = await overridden(role, { serial: Uint8Array.of(1, 2, 3) });
    expect(certificate.serialNumber).toBe("010203");
  });

  test("a field of the TBSCertificate, before it is signed", async () => {
    const version2 = encodeTlv(0xa0, encodeTlv(0x02, Uint8Array.of(1)));
    const { chain, der } = await overridden(role, { editTbsFields: ([, ...rest]) => [version2, ...rest] });
    const [tbs] = splitConstructed(der);
    expect(toHex(splitConstructed(tbs ?? der)[0] ?? der)).toBe(toHex(version2));
    expect(signatures(chain)).toEqual(ALL_GOOD);
  });

  test("the TBSCertificate's bytes, before they are signed", async () => {
    const { der, chain } = await overridden(role, { editTbs: (tbs) => replaceText(tbs, "aws", "AWS") });
    expect(new TextDecoder("latin1").decode(der)).toContain("AWS");
    expect(signatures(chain)[ROLES.indexOf(role)]).toBe(true);
  });

  test("the finished certificate", async () => {
    const { der } = await overridden(role, { editCertificate: (whole) => concatBytes(whole, Uint8Array.of(0)) });
    expect(der.at(-1)).toBe(0);
    expect(der.length).toBe((der[2] ?? 0) * 256 + (der[3] ?? 0) + 5);
  });
});

/** Same-length replacement of the last occurrence, so that no length has to change. */
function replaceText(bytes: Uint8Array, from: string, to: string): Uint8Array {
  const text = new TextDecoder("latin1").decode(bytes);
  const index = text.lastIndexOf(from);
  const changed = new Uint8Array(bytes);
  changed.set(new TextEncoder().encode(to), index);
  return changed;
}

test("the order of the bundle", async () => {
  const plain = await chainOf(await testPki({ editCaBundle: (bundle) => [...bundle].reverse() }));
  expect(new NodeCertificate(plain[3] ?? "").subject).toContain("SIMULATED-ROOT-DO-NOT-TRUST");
});
