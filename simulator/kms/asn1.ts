/**
 * The DER that KMS writes, made with node-forge: a few constructors over Uint8Arrays. It writes only; the simulator never
 * parses with node-forge.
 */
import forge from "node-forge";
import { copyBytes } from "../../shared/bytes.js";

const { asn1 } = forge;
const { Class, Type } = asn1;

/** A value that is not encoded yet. */
export type Asn1 = forge.asn1.Asn1;

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

export const sequence = (...parts: readonly Asn1[]): Asn1 =>
  asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, [...parts]);
export const setOf = (...parts: readonly Asn1[]): Asn1 => asn1.create(Class.UNIVERSAL, Type.SET, true, [...parts]);
export const objectId = (dotted: string): Asn1 =>
  asn1.create(Class.UNIVERSAL, Type.OID, false, asn1.oidToDer(dotted).getBytes());
export const integer = (value: number): Asn1 =>
  asn1.create(Class.UNIVERSAL, Type.INTEGER, false, asn1.integerToDer(value).getBytes());
export const nothing = (): Asn1 => asn1.create(Class.UNIVERSAL, Type.NULL, false, "");
export const octetString = (bytes: Uint8Array): Asn1 =>
  asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, binary(bytes));
/** A BIT STRING of whole bytes. */
export const bitString = (bytes: Uint8Array): Asn1 =>
  asn1.create(Class.UNIVERSAL, Type.BITSTRING, false, `\0${binary(bytes)}`);
/** `[tag] IMPLICIT OCTET STRING`. */
export const contextOctets = (tag: number, bytes: Uint8Array): Asn1 =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, false, binary(bytes));
/** `[tag] EXPLICIT`. */
export const contextExplicit = (tag: number, part: Asn1): Asn1 =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, true, [part]);

/** The DER of a value. */
export const encodeDer = (value: Asn1): Uint8Array<ArrayBuffer> =>
  copyBytes(Buffer.from(asn1.toDer(value).getBytes(), "latin1"));

/** Object identifiers of RFC 5652, RFC 8017 and NIST. */
export const OID = {
  data: "1.2.840.113549.1.7.1",
  envelopedData: "1.2.840.113549.1.7.3",
  encryptedData: "1.2.840.113549.1.7.6",
  rsaesOaep: "1.2.840.113549.1.1.7",
  mgf1: "1.2.840.113549.1.1.8",
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
  aes256Cbc: "2.16.840.1.101.3.4.1.42",
  aes256Gcm: "2.16.840.1.101.3.4.1.46",
} as const;
