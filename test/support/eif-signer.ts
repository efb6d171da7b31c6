/** Signs enclave images for tests, right or wrong. Certificates are as small as they can be, and their own signature is not one. */
import type { KeyObject } from "node:crypto";
import { generateKeyPairSync, sign } from "node:crypto";
import { concatBytes, utf8 } from "../../shared/bytes.js";
import type { CborValue } from "../../shared/cbor.js";
import { encodeCbor } from "../../shared/cbor.js";
import {
  encodeBitString,
  encodeObjectIdentifier,
  encodeSequence,
  encodeSetOfOne,
  encodeTlv,
  encodeUnsignedInteger,
  encodeUtf8String,
} from "../../shared/der-encode.js";
import { measureImage } from "../../shared/eif/eif.js";
import { buildEif, parts, plainSections, SECTION, toPem } from "./eif-builder.js";

/** OpenSSL's name of the curve, the algorithm's protected header and hash. */
const CURVES = {
  "P-256": { header: [0xa1, 0x01, 0x26], hash: "sha256" },
  "P-384": { header: [0xa1, 0x01, 0x38, 0x22], hash: "sha384" },
  "P-521": { header: [0xa1, 0x01, 0x38, 0x23], hash: "sha512" },
} as const;

/** What to do otherwise than AWS's tools. Each part is one change. */
export interface SignerChanges {
  readonly curve?: keyof typeof CURVES;
  /** DER of the SubjectPublicKeyInfo in the certificate. */
  readonly spki?: (spki: Uint8Array) => Uint8Array;
  /** Names, in RDNs of one attribute: object identifier and encoded value. */
  readonly subject?: readonly (readonly [string, Uint8Array])[];
  /** Fields between subject and the end of TBSCertificate, the key included. */
  readonly afterSubject?: (spki: Uint8Array) => readonly Uint8Array[];
  readonly beforeSerial?: readonly Uint8Array[];
  readonly pem?: (pem: string) => Uint8Array;
  readonly protectedHeader?: Uint8Array;
  readonly unprotectedHeader?: CborValue;
  readonly payload?: (pcr0: Uint8Array) => Uint8Array;
  readonly rawSignature?: (signature: Uint8Array) => Uint8Array;
  readonly coseSign1?: (coseSign1: Uint8Array) => Uint8Array;
  readonly section?: (certificate: readonly number[], signature: readonly number[]) => CborValue;
}

/** An image with the parts of eif-builder.ts, signed. */
export async function buildSignedEif(changes: SignerChanges = {}): Promise<Uint8Array<ArrayBuffer>> {
  const { kernel, cmdline, base, application } = parts;
  const { pcr0 } = await measureImage({ kernel, cmdline, ramdisks: [base, application] });
  const data = signatureOver(pcr0, changes);
  return buildEif({ sections: [...plainSections, { type: SECTION.signature, data }] });
}

/** {register_index, register_value} as AWS's crate writes it. */
export const pcrInfo = (index: CborValue, value: Iterable<number>): Uint8Array =>
  encodeCbor(
    new Map<string, CborValue>([
      ["register_index", index],
      ["register_value", [...value]],
    ]),
  );

function signatureOver(pcr0: Uint8Array, changes: SignerChanges): Uint8Array {
  const namedCurve = changes.curve ?? "P-384";
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve });
  const pem = toPem("CERTIFICATE", certificateOf(publicKey, changes));
  const coseSign1 = coseOver(changes.payload?.(pcr0) ?? pcrInfo(0, pcr0), privateKey, namedCurve, changes);
  const certificate = [...(changes.pem?.(pem) ?? utf8(pem))];
  const signature = [...(changes.coseSign1?.(coseSign1) ?? coseSign1)];
  return encodeCbor(changes.section?.(certificate, signature) ?? [signatureEntry(certificate, signature)]);
}

/** {signing_certificate, signature}. */
export const signatureEntry = (certificate: CborValue, signature: CborValue): Map<string, CborValue> =>
  new Map([
    ["signing_certificate", certificate],
    ["signature", signature],
  ]);

function coseOver(payload: Uint8Array, key: KeyObject, curve: keyof typeof CURVES, changes: SignerChanges): Uint8Array {
  const { header, hash } = CURVES[curve];
  const protectedHeader = changes.protectedHeader ?? Uint8Array.from(header);
  const signed = encodeCbor(["Signature1", protectedHeader, new Uint8Array(), payload]);
  const raw = new Uint8Array(sign(hash, signed, { key, dsaEncoding: "ieee-p1363" }));
  return encodeCbor([
    protectedHeader,
    changes.unprotectedHeader ?? new Map(),
    payload,
    changes.rawSignature?.(raw) ?? raw,
  ]);
}

const time = (text: string) => encodeTlv(0x17, utf8(text));
const ALGORITHM = encodeSequence(encodeObjectIdentifier("1.2.840.10045.4.3.3"));

function certificateOf(key: KeyObject, changes: SignerChanges): Uint8Array {
  const own = new Uint8Array(key.export({ type: "spki", format: "der" }));
  const spki = changes.spki?.(own) ?? own;
  const subject = changes.subject ?? [["2.5.4.3", encodeUtf8String("test signer")]];
  const rdns = subject.map(([type, value]) => encodeSetOfOne(encodeSequence(encodeObjectIdentifier(type), value)));
  const tbs = encodeSequence(
    ...(changes.beforeSerial ?? []),
    encodeUnsignedInteger(Uint8Array.of(1)),
    ALGORITHM,
    encodeSequence(),
    encodeSequence(time("260101000000Z"), time("271231235959Z")),
    encodeSequence(...rdns),
    ...(changes.afterSubject?.(spki) ?? [spki]),
  );
  return encodeSequence(tbs, ALGORITHM, encodeBitString(concatBytes(Uint8Array.of(0x30, 0))));
}
