/** Certificates of the Web's kind for a test: CAs, intermediates and servers, each with one or the other thing changed. */

import { KeyObject, sign } from "node:crypto";
import type { ProvidedTlsConfiguration } from "../../../enclave/channels/provided-certificate.js";
import { encodeCertificatePem } from "../../../enclave/channels/served-certificate.js";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import { encodeBitString, encodeSequence } from "../../../shared/der-encode.js";
import { decodePem } from "../../../shared/pem.js";
import { splitConstructed } from "../../../simulator/pki/der.js";
import type { Extension } from "../../../simulator/pki/x509.js";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "../../../simulator/pki/x509.js";
import { KEY_ARN, START } from "../fakes.js";

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const at = (ms: number): Date => new Date(START.getTime() + ms);

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** An algorithm for keys, with the hash of the signatures they make. */
export type KeyAlgorithm = (EcKeyGenParams & { hash: string }) | (RsaHashedKeyGenParams & { hash: string });

export interface CertificateChanges {
  readonly algorithm?: KeyAlgorithm;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly ca?: boolean;
  readonly pathLength?: number;
  /** KeyUsageFlags. */
  readonly keyUsage?: number | "absent";
  readonly extKeyUsage?: readonly string[];
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
  readonly extensions?: readonly Extension[];
  /** The hash of the signature on it; that of its issuer's algorithm unless given. */
  readonly signatureHash?: string;
  readonly signingKey?: CryptoKey;
  readonly keys?: CryptoKeyPair;
}

/** A certificate with its key, and the one that issued it. */
export interface Issued {
  readonly pem: string;
  readonly keys: CryptoKeyPair;
  readonly pkcs8: Uint8Array;
  readonly subject: string;
}

export const rsa = (modulusLength: number): KeyAlgorithm => ({
  name: "RSASSA-PKCS1-v1_5",
  modulusLength,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: "SHA-256",
});
export const ec = (namedCurve: string): KeyAlgorithm => ({ ...EC, namedCurve });

const newKeys = (algorithm: KeyAlgorithm): Promise<CryptoKeyPair> =>
  crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);

/** A certificate of `subject` under `issuer`, or under itself. */
export async function issue(subject: string, issuer: Issued | undefined, changes: CertificateChanges): Promise<Issued> {
  const { algorithm = EC, notBefore = at(-DAY), notAfter = at(30 * DAY), signatureHash } = changes;
  const keys = changes.keys ?? (await newKeys(algorithm));
  const signingKey = changes.signingKey ?? (issuer?.keys ?? keys).privateKey;
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${subject}`,
    issuer: `CN=${issuer?.subject ?? subject}`,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: { ...signingKey.algorithm, hash: signatureHash ?? "SHA-256" },
    notBefore,
    notAfter,
    extensions: extensionsOf(changes),
  });
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  return { pem: `${certificate.toString("pem")}\n`, keys, pkcs8, subject };
}

/** `issued` with its fields changed (version, serial, signature, issuer, validity, subject, key, extensions), signed anew. */
export function reissue(issued: Issued, issuer: Issued, edit: (fields: Uint8Array[]) => readonly Uint8Array[]): Issued {
  const der = decodePem(issued.pem, "CERTIFICATE") ?? new Uint8Array();
  const [original = new Uint8Array(), algorithm = new Uint8Array()] = splitConstructed(der);
  const tbs = encodeSequence(...edit(splitConstructed(original)));
  const signature = sign("sha256", tbs, KeyObject.from(issuer.keys.privateKey));
  const pem = encodeCertificatePem(encodeSequence(tbs, algorithm, encodeBitString(signature)));
  return { ...issued, pem };
}

function extensionsOf({
  ca = false,
  pathLength,
  keyUsage = "absent",
  extKeyUsage,
  dns,
  ip,
  extensions = [],
}: CertificateChanges) {
  const names = [
    ...(dns ?? []).map((value) => ({ type: "dns", value }) as const),
    ...(ip ?? []).map((value) => ({ type: "ip", value }) as const),
  ];
  return [
    new BasicConstraintsExtension(ca, pathLength, true),
    ...(keyUsage === "absent" ? [] : [new KeyUsagesExtension(keyUsage, true)]),
    ...(extKeyUsage === undefined ? [] : [new ExtendedKeyUsageExtension([...extKeyUsage])]),
    ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]),
    ...extensions,
  ];
}

/** A CA; a root where it has no issuer. */
export const issueCa = (subject: string, issuer?: Issued, changes: CertificateChanges = {}): Promise<Issued> =>
  issue(subject, issuer, { ca: true, keyUsage: KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, ...changes });

export const SERVER_NAMES = ["enclave.example.com", "api.example.com"] as const;

/** A TLS server. */
export const issueServer = (issuer: Issued, changes: CertificateChanges = {}): Promise<Issued> =>
  issue("server", issuer, {
    keyUsage: KeyUsageFlags.digitalSignature,
    extKeyUsage: [SERVER_AUTH],
    dns: SERVER_NAMES,
    ...changes,
  });

export interface WebPki {
  readonly root: Issued;
  readonly intermediate: Issued;
}

export async function createWebPki(): Promise<WebPki> {
  const root = await issueCa(`root ${crypto.randomUUID()}`);
  return { root, intermediate: await issueCa("intermediate", root, { pathLength: 0 }) };
}

export const ENCRYPTION_CONTEXT = { purpose: "tls" };

/** What stands for a private key in KMS: opened by `FakeKeyStore`, and by nobody else. */
export class FakeKeyStore {
  readonly calls: { ciphertext: string; keyId: string; encryptionContext: object }[] = [];
  /** The bytes handed out, to see that they are wiped. */
  readonly handedOut: Uint8Array[] = [];
  failWith: unknown;
  /** What every call waits for. */
  held: Promise<void> = Promise.resolve();
  readonly #keys = new Map<string, Uint8Array>();

  /** The ciphertext of a private key, in base64. */
  seal(pkcs8: Uint8Array): string {
    const ciphertext = toBase64(utf8(`ciphertext ${crypto.randomUUID()}`));
    this.#keys.set(ciphertext, pkcs8);
    return ciphertext;
  }

  readonly open = async (bytes: Uint8Array, keyId: string, encryptionContext: object): Promise<Uint8Array> => {
    const ciphertext = toBase64(bytes);
    this.calls.push({ ciphertext, keyId, encryptionContext });
    await this.held;
    if (this.failWith !== undefined) throw this.failWith;
    const opened = new Uint8Array(this.#keys.get(ciphertext) ?? []);
    this.handedOut.push(opened);
    return opened;
  };
}

/** A configuration that provides `server`, under `pki`. */
export function providedBy(pki: WebPki, server: Issued, keyStore: FakeKeyStore): ProvidedTlsConfiguration {
  return {
    certificate: "provided",
    chain: [server.pem, pki.intermediate.pem],
    privateKey: { ciphertext: keyStore.seal(server.pkcs8), keyId: KEY_ARN, encryptionContext: ENCRYPTION_CONTEXT },
    issuers: [pki.root.pem],
    renewalCheckSeconds: 3_600,
  };
}
