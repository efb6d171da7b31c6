/** The user's certificate: what is served, and what of a parent's offers is taken. Each refusal is one change from what is accepted. */
import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { CertificateOffer, ProvidedTlsConfiguration } from "../../../enclave/channels/provided-certificate.js";
import { ProvidedCertificates, parseOffer } from "../../../enclave/channels/provided-certificate.js";
import { parseTlsCertificate } from "../../../enclave/channels/tls-certificate.js";
import {
  encodeBitString,
  encodeObjectIdentifier,
  encodeOctetString,
  encodeSequence,
  encodeTlv,
  encodeUnsignedInteger,
} from "../../../shared/der-encode.js";
import { ServiceError } from "../../../shared/errors.js";
import { decodePem } from "../../../shared/pem.js";
import { CRLDistributionPointsExtension, Extension, KeyUsageFlags } from "../../../simulator/pki/x509.js";
import { mutated } from "../../support/mutate.js";
import { KEY_ARN, START } from "../fakes.js";
import type { CertificateChanges, Issued, WebPki } from "./web-pki.js";
import {
  at,
  createWebPki,
  DAY,
  ENCRYPTION_CONTEXT,
  ec,
  FakeKeyStore,
  HOUR,
  issue,
  issueCa,
  issueServer,
  providedBy,
  reissue,
  rsa,
  SERVER_NAMES,
} from "./web-pki.js";

let pki: WebPki;
let server: Issued;
beforeAll(async () => {
  pki = await createWebPki();
  server = await issueServer(pki.intermediate);
});

function setUp(change: (configuration: ProvidedTlsConfiguration) => ProvidedTlsConfiguration = (same) => same) {
  const keyStore = new FakeKeyStore();
  const configuration = change(providedBy(pki, server, keyStore));
  const create = () => new ProvidedCertificates(configuration, keyStore.open);
  return { keyStore, configuration, create };
}

interface Opening {
  readonly chain?: readonly string[];
  readonly issuers?: readonly string[];
  /** Whose private key KMS gives. */
  readonly key?: Issued;
  readonly now?: Date;
}

/** Opens the configured certificate, with other certificates in the configuration. */
async function openWith({ chain, issuers, key = server, now = START }: Opening) {
  const { configuration } = setUp((same) => ({
    ...same,
    chain: [...(chain ?? same.chain)],
    issuers: [...(issuers ?? same.issuers)],
  }));
  return new ProvidedCertificates(configuration, async () => new Uint8Array(key.pkcs8)).open(now);
}

/** A server certificate with one change, opened with its own key. */
async function openServer(changes: CertificateChanges) {
  const changed = await issueServer(pki.intermediate, changes);
  return openWith({ chain: [changed.pem, pki.intermediate.pem], key: changed });
}

const spkiOf = ({ pem }: Issued): Uint8Array =>
  new Uint8Array(new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" }));

describe("the configured certificate", () => {
  it("is served with the private key that KMS opened under the configured key and context", async () => {
    const { keyStore, configuration, create } = setUp();
    const served = await create().open(START);
    expect(served.certificateChainPem).toBe(configuration.chain.join(""));
    expect(served.spki).toEqual(spkiOf(server));
    expect([served.notBefore, served.notAfter]).toEqual([at(-DAY), at(30 * DAY)]);
    expect(keyStore.calls).toEqual([
      { ciphertext: configuration.privateKey.ciphertext, keyId: KEY_ARN, encryptionContext: ENCRYPTION_CONTEXT },
    ]);
  });

  it("leaves nothing of the private key in the bytes that KMS gave", async () => {
    const { keyStore, create } = setUp();
    await create().open(START);
    expect(keyStore.handedOut).toHaveLength(1);
    expect(keyStore.handedOut[0]?.length).toBeGreaterThan(0);
    expect(keyStore.handedOut[0]?.every((byte) => byte === 0)).toBe(true);
  });

  it("may have its issuer as the last of its chain, or directly above it", async () => {
    await expect(openWith({ chain: [server.pem, pki.intermediate.pem, pki.root.pem] })).resolves.toBeDefined();
    await expect(openWith({ issuers: [pki.intermediate.pem] })).resolves.toBeDefined();
    await expect(openWith({ chain: [server.pem], issuers: [pki.intermediate.pem] })).resolves.toBeDefined();
  });

  it.each<[string, CertificateChanges]>([
    ["an EC key on P-384", { algorithm: ec("P-384") }],
    ["an RSA key of 2048 bits", { algorithm: rsa(2048) }],
    ["no keyUsage", { keyUsage: "absent" }],
    [
      "an extension that is unknown and not critical",
      { extensions: [new CRLDistributionPointsExtension(["http://x/"])] },
    ],
    ["an IP address for a name", { dns: [], ip: ["192.0.2.1", "2001:db8::1"] }],
    ["a signature with SHA-512", { signatureHash: "SHA-512" }],
    ["any purpose", { extKeyUsage: ["2.5.29.37.0"] }],
  ])("may have %s", async (_, changes) => {
    await expect(openServer(changes)).resolves.toBeDefined();
  });

  it.each<[string, CertificateChanges]>([
    ["an RSA key of 1024 bits", { algorithm: rsa(1024) }],
    ["an EC key on P-521", { algorithm: ec("P-521") }],
    ["a CA's flag", { ca: true }],
    ["a key that may not sign handshakes", { keyUsage: KeyUsageFlags.keyEncipherment }],
    ["a purpose that is not TLS servers", { extKeyUsage: ["1.3.6.1.5.5.7.3.2"] }],
    ["no name", { dns: [] }],
    ["a name with a space", { dns: ["enclave .example.com"] }],
    ["more than a hundred names", { dns: Array.from({ length: 101 }, (_, i) => `n${i}.example.com`) }],
    ["an unknown critical extension", { extensions: [new Extension("1.2.3.4", true, Uint8Array.of(5, 0))] }],
    ["name constraints, even uncritical", { extensions: [new Extension("2.5.29.30", false, Uint8Array.of(48, 0))] }],
    [
      "an extension twice",
      { extensions: [1, 2].map((octet) => new Extension("1.2.3.4", false, Uint8Array.of(4, 1, octet))) },
    ],
    ["a signature with SHA-1", { signatureHash: "SHA-1" }],
  ])("is refused with %s", async (_, changes) => {
    await expect(openServer(changes)).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("is refused with the signature of another than its issuer", async () => {
    await expect(openServer({ signingKey: pki.root.keys.privateKey })).rejects.toThrowCode("ERR_CERTIFICATE");
    const { privateKey } = await crypto.subtle.generateKey(rsa(2048), true, ["sign", "verify"]);
    await expect(openServer({ signingKey: privateKey })).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("is refused when it names another issuer than the one that signed it", async () => {
    const changed = await issueServer({ ...pki.intermediate, subject: "another" });
    await expect(openWith({ chain: [changed.pem, pki.intermediate.pem], key: changed })).rejects.toThrowCode(
      "ERR_CERTIFICATE",
    );
  });

  /** The SubjectPublicKeyInfo of RSA, with its parameters (RFC 8017 §A.1: NULL) and a modulus of so many bits. */
  const rsaSpki = (parameters: readonly Uint8Array[], bits: number): Uint8Array => {
    const modulus = new Uint8Array(bits / 8).fill(0xff);
    const key = encodeSequence(encodeUnsignedInteger(modulus), encodeUnsignedInteger(Uint8Array.of(1, 0, 1)));
    return encodeSequence(
      encodeSequence(encodeObjectIdentifier("1.2.840.113549.1.1.1"), ...parameters),
      encodeBitString(key),
    );
  };
  const NULL = Uint8Array.of(5, 0);

  it.each<[string, number, Uint8Array]>([
    ["another version", 0, encodeTlv(0xa0, encodeUnsignedInteger(Uint8Array.of(1)))],
    ["an RSA key of 16384 bits", 6, rsaSpki([NULL], 16_384)],
    ["an RSA key in another encoding than the usual one", 6, rsaSpki([], 2_048)],
  ])("is refused as %s", (_, field, value) => {
    const change = (at: number, to: Uint8Array) =>
      parseTlsCertificate(
        reissue(server, pki.intermediate, (fields) => fields.map((old, index) => (index === at ? to : old))).pem,
      );
    expect(() => change(6, rsaSpki([NULL], 2_048))).not.toThrow(); // the baseline: nobody signs with it here
    expect(() => change(field, value)).toThrowCode("ERR_CERTIFICATE");
  });

  it("is taken to the last millisecond of its dates, and refused beyond", async () => {
    const changed = await issueServer(pki.intermediate, { notBefore: at(0), notAfter: at(HOUR) });
    const open = (now: Date) => openWith({ chain: [changed.pem, pki.intermediate.pem], key: changed, now });
    await expect(open(at(0))).resolves.toBeDefined();
    await expect(open(at(HOUR))).resolves.toMatchObject({ notAfter: at(HOUR) });
    await expect(open(at(-1))).rejects.toThrowCode("ERR_CERTIFICATE");
    await expect(open(at(HOUR + 1))).rejects.toThrowCode("ERR_CERTIFICATE");
    await expect(open(new Date(Number.NaN))).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("waits for a renewal when its dates have passed: it is no reason not to start", async () => {
    const { create } = setUp();
    const certificates = create();
    await expect(certificates.open(at(31 * DAY))).rejects.toThrowCode("ERR_CERTIFICATE");
  });
});

describe("the path of the configured certificate", () => {
  /** The baseline with another intermediate, made by `make`. */
  async function withIntermediate(make: () => Promise<Issued>) {
    const intermediate = await make();
    const own = await issueServer(intermediate);
    return openWith({ chain: [own.pem, intermediate.pem], key: own });
  }

  it("holds with another intermediate of the same kind", async () => {
    await expect(withIntermediate(() => issueCa("another", pki.root))).resolves.toBeDefined();
  });

  it.each<[string, () => Promise<Issued>]>([
    ["is no CA", () => issue("another", pki.root, { ca: false, keyUsage: KeyUsageFlags.keyCertSign })],
    ["may not sign certificates", () => issueCa("another", pki.root, { keyUsage: KeyUsageFlags.digitalSignature })],
    ["may issue to mail users only", () => issueCa("another", pki.root, { extKeyUsage: ["1.3.6.1.5.5.7.3.4"] })],
    ["has a key of 1024 bits", () => issueCa("another", pki.root, { algorithm: rsa(1024) })],
    ["is signed with SHA-1", () => issueCa("another", pki.root, { signatureHash: "SHA-1" })],
    ["has ended", () => issueCa("another", pki.root, { notAfter: at(-1) })],
    ["has not begun", () => issueCa("another", pki.root, { notBefore: at(HOUR) })],
    ["is of another root", async () => issueCa("another", await issueCa("other root"))],
    ["is of another root of the same name", async () => issueCa("another", await issueCa(pki.root.subject))],
    ["has no issuer but itself", () => issueCa("another")],
  ])("is refused when the intermediate %s", async (_, make) => {
    await expect(withIntermediate(make)).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("is refused when it is longer than a CA allows", async () => {
    const below = async (upper: Issued) => {
      const lower = await issueCa("lower", upper);
      const own = await issueServer(lower);
      return openWith({ chain: [own.pem, lower.pem, upper.pem], key: own });
    };
    await expect(below(await issueCa("upper", pki.root, { pathLength: 1 }))).resolves.toBeDefined();
    await expect(below(await issueCa("upper", pki.root, { pathLength: 0 }))).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("ends when the first of its certificates does", async () => {
    const soon = await withIntermediate(() => issueCa("another", pki.root, { notAfter: at(HOUR) }));
    expect(soon.notAfter).toEqual(at(HOUR));
  });

  it.each<[string, () => readonly string[]]>([
    ["no certificate", () => []],
    ["more than eight", () => [server.pem, ...Array.from({ length: 8 }, () => pki.intermediate.pem)]],
    ["the intermediate left out", () => [server.pem]],
    ["the order turned round", () => [pki.intermediate.pem, server.pem]],
    ["two certificates in one text", () => [server.pem + pki.intermediate.pem]],
    ["text before the certificate", () => [`server\n${server.pem}`, pki.intermediate.pem]],
    ["a certificate that is longer than any", () => [server.pem + "\n".repeat(12 * 1024), pki.intermediate.pem]],
    ["something else in PEM", () => [server.pem.replaceAll("CERTIFICATE", "PUBLIC KEY"), pki.intermediate.pem]],
    ["a certificate too many", () => [server.pem, pki.intermediate.pem, server.pem]],
  ])("is refused with %s", async (_, chain) => {
    await expect(openWith({ chain: chain() })).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("is refused under another issuer", async () => {
    await expect(openWith({ issuers: [(await issueCa("other")).pem] })).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("is refused when the pinned issuer itself has ended", async () => {
    const root = await issueCa("short root", undefined, { notAfter: at(HOUR) });
    const own = await issueServer(root);
    await expect(openWith({ chain: [own.pem], issuers: [root.pem], key: own })).resolves.toBeDefined();
    await expect(openWith({ chain: [own.pem], issuers: [root.pem], key: own, now: at(2 * HOUR) })).rejects.toThrowCode(
      "ERR_CERTIFICATE",
    );
  });
});

describe("the private key", () => {
  it.each<[string, () => Uint8Array]>([
    ["another certificate's", () => pki.root.pkcs8],
    ["no PKCS #8 at all", () => Uint8Array.of(1, 2, 3)],
    ["nothing", () => new Uint8Array()],
  ])("is refused when it is %s, always in the same words and without a cause", async (_, pkcs8) => {
    const { configuration } = setUp();
    const opened = new Uint8Array(pkcs8());
    const certificates = new ProvidedCertificates(configuration, async () => opened);
    const refusal = await certificates.open(START).catch((error: unknown) => error);
    expect(refusal).toThrowCode("ERR_CERTIFICATE");
    expect(refusal).toMatchObject({ message: "expected the private key of the certificate, as PKCS #8 DER" });
    expect(refusal).not.toHaveProperty("cause");
    expect(opened.every((byte) => byte === 0)).toBe(true);
  });

  it("that KMS does not open is refused with KMS's code", async () => {
    const { keyStore, create } = setUp();
    keyStore.failWith = new ServiceError("ERR_KMS_DENIED", "denied");
    await expect(create().open(START)).rejects.toThrowCode("ERR_KMS_DENIED");
  });

  it.each([
    ["is no base64", "*"],
    ["is empty", ""],
    ["is larger than KMS takes", "AAAA".repeat(2_049)],
  ])("is refused when its ciphertext %s", (_, ciphertext) => {
    const { create } = setUp((same) => ({ ...same, privateKey: { ...same.privateKey, ciphertext } }));
    expect(create).toThrowCode("ERR_CERTIFICATE");
  });
});

describe("a renewal that the parent offers", () => {
  async function inUse() {
    const { keyStore, create } = setUp();
    const certificates = create();
    const current = await certificates.open(START);
    const offerOf = (issued: Issued, changes: Partial<CertificateOffer> = {}): CertificateOffer => ({
      chain: [issued.pem, pki.intermediate.pem],
      privateKeyCiphertext: keyStore.seal(issued.pkcs8),
      ...changes,
    });
    return { keyStore, certificates, current, offerOf };
  }

  it("is taken, with its own key under the configured KMS key and context", async () => {
    const { keyStore, certificates, current, offerOf } = await inUse();
    const renewed = await issueServer(pki.intermediate, { notBefore: at(HOUR), notAfter: at(60 * DAY) });
    const offer = offerOf(renewed);
    const served = await certificates.acceptRenewal(current, offer, at(2 * HOUR));
    expect(served.certificateChainPem).toBe(offer.chain.join(""));
    expect(served.spki).toEqual(spkiOf(renewed));
    expect(keyStore.calls.at(-1)).toEqual({
      ciphertext: offer.privateKeyCiphertext,
      keyId: KEY_ARN,
      encryptionContext: ENCRYPTION_CONTEXT,
    });
  });

  it("is taken when the names are the same in another order and case, and of another kind of key", async () => {
    const { certificates, current, offerOf } = await inUse();
    const renewed = await issueServer(pki.intermediate, {
      dns: SERVER_NAMES.map((name) => name.toUpperCase()).reverse(),
      algorithm: rsa(2048),
    });
    await expect(certificates.acceptRenewal(current, offerOf(renewed), START)).resolves.not.toBe(current);
  });

  it("may begin when the one in use does, and come through another intermediate of the pinned issuer", async () => {
    const { certificates, current, offerOf } = await inUse();
    const another = await issueCa("another", pki.root);
    const renewed = await issueServer(another);
    const offer = offerOf(renewed, { chain: [renewed.pem, another.pem] });
    await expect(certificates.acceptRenewal(current, offer, START)).resolves.not.toBe(current);
  });

  it("that is the one in use changes nothing, and asks KMS nothing", async () => {
    const { keyStore, certificates, current, offerOf } = await inUse();
    expect(await certificates.acceptRenewal(current, offerOf(server), START)).toBe(current);
    expect(keyStore.calls).toHaveLength(1);
  });

  it("is taken in place of a configured certificate that has ended", async () => {
    const root = await issueCa("long root", undefined, { notAfter: at(900 * DAY) });
    const late = await issueServer(root, { notAfter: at(90 * DAY) });
    const old = await issueServer(root);
    const keyStore = new FakeKeyStore();
    const long = new ProvidedCertificates(
      { ...providedBy(pki, old, keyStore), chain: [old.pem], issuers: [root.pem] },
      keyStore.open,
    );
    const now = at(60 * DAY);
    await expect(long.open(now)).rejects.toThrowCode("ERR_CERTIFICATE");
    const offer = { chain: [late.pem], privateKeyCiphertext: keyStore.seal(late.pkcs8) };
    await expect(long.acceptRenewal(undefined, offer, now)).resolves.toMatchObject({ notAfter: at(90 * DAY) });
  });

  it.each<[string, CertificateChanges]>([
    ["one name less", { dns: [SERVER_NAMES[0]] }],
    ["one name more", { dns: [...SERVER_NAMES, "evil.example.com"] }],
    ["another name", { dns: [SERVER_NAMES[0], "evil.example.com"] }],
    ["a wildcard in a name's place", { dns: [SERVER_NAMES[0], "*.example.com"] }],
    ["an IP address besides", { ip: ["192.0.2.1"] }],
    ["a beginning before that of the one in use", { notBefore: at(-DAY - 1_000) }],
    ["an end in the past", { notAfter: at(-1_000) }],
    ["a beginning in the future", { notBefore: at(HOUR) }],
    ["a CA's flag", { ca: true }],
    ["a weak key", { algorithm: rsa(1024) }],
  ])("pitfall 27: is refused with %s, before KMS is asked", async (_, changes) => {
    const { keyStore, certificates, current, offerOf } = await inUse();
    const offer = offerOf(await issueServer(pki.intermediate, changes));
    await expect(certificates.acceptRenewal(current, offer, START)).rejects.toThrowCode("ERR_CERTIFICATE");
    expect(keyStore.calls).toHaveLength(1);
  });

  it("pitfall 27: is refused when it began before a renewal in use, though after the configured one", async () => {
    const { certificates, current, offerOf } = await inUse();
    const newest = await issueServer(pki.intermediate, { notBefore: at(-HOUR) });
    const between = await issueServer(pki.intermediate, { notBefore: at(-2 * HOUR) });
    const renewed = await certificates.acceptRenewal(current, offerOf(newest), START);
    await expect(certificates.acceptRenewal(current, offerOf(between), START)).resolves.toBeDefined();
    await expect(certificates.acceptRenewal(renewed, offerOf(between), START)).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("pitfall 27: is refused when it began before the configured one, also while none is in use", async () => {
    const { certificates, offerOf } = await inUse();
    const older = await issueServer(pki.intermediate, { notBefore: at(-DAY - 1_000) });
    await expect(certificates.acceptRenewal(undefined, offerOf(older), START)).rejects.toThrowCode("ERR_CERTIFICATE");
    await expect(certificates.acceptRenewal(undefined, offerOf(server), START)).resolves.toBeDefined();
  });

  it("is refused under another issuer", async () => {
    const { certificates, current, offerOf } = await inUse();
    const other = await createWebPki();
    const renewed = await issueServer(other.intermediate);
    const chain = [renewed.pem, other.intermediate.pem];
    for (const offered of [chain, [...chain, other.root.pem]]) {
      const offer = offerOf(renewed, { chain: offered });
      await expect(certificates.acceptRenewal(current, offer, START)).rejects.toThrowCode("ERR_CERTIFICATE");
    }
  });

  it("is refused with the private key of the one in use", async () => {
    const { certificates, current, offerOf, keyStore } = await inUse();
    const renewed = await issueServer(pki.intermediate);
    const offer = offerOf(renewed, { privateKeyCiphertext: keyStore.seal(server.pkcs8) });
    await expect(certificates.acceptRenewal(current, offer, START)).rejects.toThrowCode("ERR_CERTIFICATE");
  });

  it("is refused with KMS's code when KMS does not open its key", async () => {
    const { certificates, current, offerOf, keyStore } = await inUse();
    keyStore.failWith = new ServiceError("ERR_KMS_REFUSED", "invalid ciphertext");
    const offer = offerOf(await issueServer(pki.intermediate));
    await expect(certificates.acceptRenewal(current, offer, START)).rejects.toThrowCode("ERR_KMS_REFUSED");
  });
});

describe("an offer's JSON", () => {
  const valid = { chain: ["pem"], privateKeyCiphertext: "AAAA" };

  it("is read", () => {
    expect(parseOffer(JSON.stringify(valid))).toEqual(valid);
  });

  it.each<[string, string]>([
    ["is not JSON", "{"],
    ["has one field more", JSON.stringify({ ...valid, keyId: "alias/evil" })],
    ["has no chain", JSON.stringify({ privateKeyCiphertext: "AAAA" })],
    ["has an empty chain", JSON.stringify({ ...valid, chain: [] })],
    ["has more than eight certificates", JSON.stringify({ ...valid, chain: Array(9).fill("pem") })],
    ["has no private key", JSON.stringify({ chain: ["pem"] })],
    [
      "has a private key that is larger than any",
      JSON.stringify({ ...valid, privateKeyCiphertext: "A".repeat(12_289) }),
    ],
    ["is larger than any", JSON.stringify(valid) + " ".repeat(128 * 1024)],
  ])("is refused when it %s", (_, text) => {
    expect(() => parseOffer(text)).toThrowCode("ERR_CERTIFICATE");
  });
});

describe("hostile certificates", () => {
  const pemOf = (der: Uint8Array): string =>
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`;
  const derOf = (pem: string): Uint8Array<ArrayBuffer> => decodePem(pem, "CERTIFICATE") ?? new Uint8Array();

  it("are refused as ERR_CERTIFICATE, whatever was changed in a good one", () => {
    const samples = [server, pki.intermediate, pki.root].map(({ pem }) => derOf(pem));
    let refused = 0;
    fc.assert(
      fc.property(mutated(samples), (der) => {
        try {
          parseTlsCertificate(pemOf(der));
        } catch (error) {
          expect(error).toThrowCode("ERR_CERTIFICATE");
          refused += 1;
        }
      }),
      { numRuns: 3_000, seed: 20261123 },
    );
    expect(refused).toBeGreaterThan(500);
  });

  it.each<[string, (der: Uint8Array) => Uint8Array]>([
    ["a byte after it", (der) => Buffer.concat([der, Uint8Array.of(0)])],
    ["a byte less", (der) => der.subarray(0, -1)],
    ["something around it", (der) => encodeSequence(der)],
    ["another type", (der) => encodeOctetString(der)],
    ["a tag of no use here", (der) => encodeTlv(0xa0, der)],
  ])("are refused with %s", (_, change) => {
    expect(() => parseTlsCertificate(pemOf(derOf(server.pem)))).not.toThrow();
    expect(() => parseTlsCertificate(pemOf(change(derOf(server.pem))))).toThrowCode("ERR_CERTIFICATE");
  });
});
