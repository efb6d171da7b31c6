/**
 * A key of the enclave's own for TLS, with the X.509 v3 certificate (RFC 5280 §4.1) that TLS needs to carry it: P-256,
 * ecdsa-with-SHA256, signed by itself. It says nothing about who holds the key. Attestation does: clients compare the
 * public key of their connection with the one in a document that the NSM signed, and ignore the names and dates here.
 * So the name is one that can belong to nobody (RFC 2606 §2, `.invalid`).
 */
import type { KeyObject } from "node:crypto";
import { generateKeyPair, randomBytes, sign } from "node:crypto";
import { promisify } from "node:util";
import { utf8 } from "../../shared/bytes.js";
import { contextConstructed } from "../../shared/der.js";
import {
  encodeBitString,
  encodeNamedBits,
  encodeObjectIdentifier,
  encodeOctetString,
  encodeSequence,
  encodeSetOfOne,
  encodeTime,
  encodeTlv,
  encodeTrue,
  encodeUnsignedInteger,
  encodeUtf8String,
} from "../../shared/der-encode.js";
import type { ServedCertificate } from "./served-certificate.js";
import { encodeCertificatePem } from "./served-certificate.js";

const COMMON_NAME = "nitro-decrypt enclave";
const DNS_NAME = "enclave.invalid";
const SERIAL_BYTES = 16;
/** Clients whose clock is behind ours must not take the certificate for one of the future. */
const BACKDATED_MS = 3_600_000;

const OID = {
  commonName: "2.5.4.3",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  extKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
} as const;

/** RFC 5280 §4.2.1.3: bit 0 of KeyUsage. */
const DIGITAL_SIGNATURE = 0;
/** RFC 5280 §4.2.1.6: `dNSName [2] IA5String`. */
const DNS_NAME_TAG = 0x82;

const newKeyPair = promisify(generateKeyPair);

/** What a certificate says besides its key. */
interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * Makes a key and its certificate, which is valid from an hour before `now` until `lifetimeMs` after it. `now` is taken as
 * it is: whether it can be trusted is the caller's to know.
 */
export async function generateCertificate(now: Date, lifetimeMs: number): Promise<ServedCertificate> {
  const { publicKey, privateKey } = await newKeyPair("ec", { namedCurve: "P-256" });
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  const validity = {
    notBefore: atSecond(now.getTime() - BACKDATED_MS),
    notAfter: atSecond(now.getTime() + lifetimeMs),
  };
  const der = signCertificate(encodeTbsCertificate(spki, validity), privateKey);
  return { certificateChainPem: encodeCertificatePem(der), privateKey, spki, ...validity };
}

/** X.509 has whole seconds only. */
const atSecond = (ms: number): Date => new Date(Math.floor(ms / 1_000) * 1_000);

/** ecdsa-with-SHA256, parameters absent (RFC 5758 §3.2). */
const algorithm = (): Uint8Array => encodeSequence(encodeObjectIdentifier(OID.ecdsaWithSha256));

function signCertificate(tbs: Uint8Array, privateKey: KeyObject): Uint8Array {
  const derSignature = sign("sha256", tbs, privateKey);
  return encodeSequence(tbs, algorithm(), encodeBitString(derSignature));
}

function encodeTbsCertificate(spki: Uint8Array, { notBefore, notAfter }: Validity): Uint8Array {
  const name = encodeName();
  return encodeSequence(
    encodeTlv(contextConstructed(0), encodeUnsignedInteger(Uint8Array.of(2))), // version 3
    encodeUnsignedInteger(newSerial()),
    algorithm(),
    name,
    encodeSequence(encodeTime(notBefore), encodeTime(notAfter)),
    name,
    spki,
    encodeTlv(contextConstructed(3), encodeExtensions()),
  );
}

/** RFC 5280 §4.1.2.2: positive; and always of the same length, which the first octet sees to. */
function newSerial(): Uint8Array {
  const serial = new Uint8Array(randomBytes(SERIAL_BYTES));
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

function encodeName(): Uint8Array {
  const commonName = encodeSequence(encodeObjectIdentifier(OID.commonName), encodeUtf8String(COMMON_NAME));
  return encodeSequence(encodeSetOfOne(commonName));
}

function encodeExtensions(): Uint8Array {
  const critical = encodeTrue();
  return encodeSequence(
    encodeExtension(OID.basicConstraints, critical, encodeSequence()), // CA is FALSE by default
    encodeExtension(OID.keyUsage, critical, encodeNamedBits(DIGITAL_SIGNATURE)),
    encodeExtension(OID.extKeyUsage, encodeSequence(encodeObjectIdentifier(OID.serverAuth))),
    encodeExtension(OID.subjectAltName, encodeSequence(encodeTlv(DNS_NAME_TAG, utf8(DNS_NAME)))),
  );
}

/** An extension; what stands last in `parts` is its value, and before it may stand that it is critical. */
function encodeExtension(oid: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const value = parts.at(-1) ?? new Uint8Array();
  return encodeSequence(encodeObjectIdentifier(oid), ...parts.slice(0, -1), encodeOctetString(value));
}
