/** The generated certificate, as three readers that are not ours see it: @peculiar/x509, node:crypto and OpenSSL. */
import "reflect-metadata";
import { X509Certificate as NodeCertificate } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from "@peculiar/x509";
import { beforeAll, describe, expect, it } from "vitest";
import { generateCertificate } from "../../../enclave/channels/self-signed-certificate.js";
import type { ServedCertificate } from "../../../enclave/channels/served-certificate.js";
import { needsOpenssl, openssl } from "../../support/openssl.js";
import { START } from "../fakes.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let served: ServedCertificate;
beforeAll(async () => {
  served = await generateCertificate(new Date(START.getTime() + 999), 7 * DAY);
});

describe("a generated certificate", () => {
  it("is read by @peculiar/x509 with every field as meant", async () => {
    const certificate = new X509Certificate(served.certificateChainPem);
    expect(certificate.subject).toBe("CN=nitro-decrypt enclave");
    expect(certificate.issuer).toBe(certificate.subject);
    expect(certificate.signatureAlgorithm).toMatchObject({ name: "ECDSA", hash: { name: "SHA-256" } });
    expect(certificate.publicKey.algorithm).toMatchObject({ name: "ECDSA", namedCurve: "P-256" });
    expect(certificate.extensions).toHaveLength(4);
    expect(certificate.getExtension(BasicConstraintsExtension)).toMatchObject({ ca: false, critical: true });
    expect(certificate.getExtension(KeyUsagesExtension)).toMatchObject({
      usages: KeyUsageFlags.digitalSignature,
      critical: true,
    });
    expect(certificate.getExtension(ExtendedKeyUsageExtension)?.usages).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(certificate.getExtension(SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
      { type: "dns", value: "enclave.invalid" },
    ]);
    expect(await certificate.verify({ date: START })).toBe(true);
  });

  it("is valid from an hour before the given time to the given while after it, in whole seconds", () => {
    const certificate = new X509Certificate(served.certificateChainPem);
    expect(certificate.notBefore).toEqual(new Date(START.getTime() - HOUR));
    expect(certificate.notAfter).toEqual(new Date(START.getTime() + 7 * DAY));
    expect([served.notBefore, served.notAfter]).toEqual([certificate.notBefore, certificate.notAfter]);
  });

  it("belongs to its private key, and its public key is the one told, says node:crypto", () => {
    const certificate = new NodeCertificate(served.certificateChainPem);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.checkIssued(certificate)).toBe(false); // for that it would need keyCertSign
    expect(certificate.checkPrivateKey(served.privateKey)).toBe(true);
    expect(certificate.checkHost("enclave.invalid")).toBe("enclave.invalid");
    expect(certificate.publicKey.export({ type: "spki", format: "der" }).equals(served.spki)).toBe(true);
  });

  it("is read by OpenSSL with every field as meant, and written again octet by octet", (context) => {
    needsOpenssl(context);
    const text = openssl(["x509", "-noout", "-text"], Buffer.from(served.certificateChainPem)).toString();
    expect(text).toMatch(/Version: 3 \(0x2\)/);
    expect(text).toMatch(/X509v3 Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/ASN1 OID: prime256v1/);
    const reencoded = openssl(["x509"], Buffer.from(served.certificateChainPem)).toString();
    expect(reencoded).toBe(served.certificateChainPem);
  });

  it("has a key and a positive serial number of 16 bytes of its own each time", async () => {
    const others = await Promise.all(Array.from({ length: 20 }, () => generateCertificate(START, DAY)));
    const serials = others.map(({ certificateChainPem }) => new NodeCertificate(certificateChainPem).serialNumber);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
    expect(new Set(serials).size).toBe(20);
    expect(new Set(others.map(({ spki }) => Buffer.from(spki).toString("hex"))).size).toBe(20);
  });
});
