/**
 * What each of the five certificates of a Nitro attestation document says: subjects, validity periods, serial numbers and
 * extensions in the order of real documents (measured on documents from 2021 to 2026; AWS publishes no certificate profile).
 *
 * One thing differs on purpose: the root's subject says that it is simulated. Everything below it looks like AWS's, and is
 * worthless without that root.
 */
import { concatBytes, toHex } from "../../shared/bytes.js";
import type { CertificateSpec, DistinguishedName, ExtensionSpec } from "./certificate.js";
import type { Extension } from "./x509.js";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  CRLDistributionPointsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
} from "./x509.js";

/** Who holds a certificate, from the root to the end entity. */
export type CertificateRole = "root" | "regional" | "zonal" | "instance" | "leaf";

/** Stands in the subject of every simulated root; images and packages that ship are searched for it. */
export const SIMULATED_ROOT_MARKER = "SIMULATED-ROOT-DO-NOT-TRUST";

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

/** How long certificates of each role live. */
export const LIFETIME_MS = {
  regional: 20 * DAY + HOUR,
  zonal: 5 * DAY + 20 * HOUR,
  instance: DAY,
  leaf: 3 * HOUR + 3 * SECOND,
} as const;

/** The two private CAs date their certificates an hour back; the hypervisor dates leaves back by three seconds. */
const BACKDATED_MS = { regional: HOUR, zonal: HOUR, instance: 0, leaf: 3 * SECOND } as const;

const { digitalSignature, nonRepudiation, keyCertSign, cRLSign } = KeyUsageFlags;

/** What a certificate's description is made from. */
export interface SubjectContext {
  readonly region: string;
  readonly issuer: DistinguishedName;
  readonly issuerKeyIdentifier: Uint8Array;
  readonly keyIdentifier: Uint8Array;
  readonly issuedAt: Date;
}

const AMAZON: DistinguishedName = [
  ["C", "US"],
  ["O", "Amazon"],
  ["OU", "AWS"],
];
const SEATTLE: DistinguishedName = [
  ["C", "US"],
  ["ST", "Washington"],
  ["L", "Seattle"],
  ["O", "Amazon"],
  ["OU", "AWS"],
];

const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));

/** Self-signed, with the dates of AWS's root: a simulated clock may stand anywhere in those thirty years. */
export function rootSpec(keyIdentifier: Uint8Array): CertificateSpec {
  const name: DistinguishedName = [
    ["C", "US"],
    ["O", SIMULATED_ROOT_MARKER],
    ["OU", "nitro-decrypt simulator"],
    ["CN", "aws.nitro-enclaves"],
  ];
  return {
    serial: randomBytes(16),
    subject: name,
    issuer: name,
    notBefore: new Date("2019-10-28T13:28:05Z"),
    notAfter: new Date("2049-10-28T14:28:05Z"),
    extensions: [
      basicConstraints(true),
      subjectKeyIdentifier(keyIdentifier),
      keyUsage(digitalSignature | keyCertSign | cRLSign, true),
    ],
  };
}

/** The CA of a Region: path length 2. */
export function regionalSpec(context: SubjectContext): CertificateSpec {
  return {
    serial: randomBytes(16),
    subject: [...AMAZON, ["CN", `${toHex(randomBytes(8))}.${context.region}.aws.nitro-enclaves`]],
    issuer: context.issuer,
    ...validity("regional", context.issuedAt),
    extensions: privateCaExtensions(
      context,
      2,
      "http://aws-nitro-enclaves-crl.s3.amazonaws.com/crl/ab4960cc-7d63-42bd-9e9f-59338cb67f84.crl",
    ),
  };
}

/** The CA of an Availability Zone: path length 1, and another order of names than all the rest. */
export function zonalSpec(context: SubjectContext): CertificateSpec {
  const { region } = context;
  const crl = `http://crl-${region}-aws-nitro-enclaves.s3.${region}.amazonaws.com/crl/${crypto.randomUUID()}.crl`;
  return {
    serial: randomBytes(16),
    subject: [
      ["CN", `${toHex(randomBytes(8))}.zonal.${region}.aws.nitro-enclaves`],
      ["OU", "AWS"],
      ["O", "Amazon"],
      ["C", "US"],
      ["ST", "WA"],
      ["L", "Seattle"],
    ],
    issuer: context.issuer,
    ...validity("zonal", context.issuedAt),
    extensions: privateCaExtensions(context, 1, crl),
  };
}

/** The CA of one parent instance: path length 0, and the only CA that may sign nothing but certificates. */
export function instanceSpec(context: SubjectContext, instanceId: string): CertificateSpec {
  return {
    serial: randomBytes(20),
    subject: [...SEATTLE, ["CN", `${instanceId}.${context.region}.aws.nitro-enclaves`]],
    issuer: context.issuer,
    ...validity("instance", context.issuedAt),
    extensions: [
      basicConstraints(true, 0),
      keyUsage(keyCertSign, true),
      subjectKeyIdentifier(context.keyIdentifier),
      authorityKeyIdentifier(context.issuerKeyIdentifier),
    ],
  };
}

/** The end entity: one enclave, or the NitroTPM of the instance. */
export function leafSpec(context: SubjectContext, moduleId: string): CertificateSpec {
  return {
    serial: leafSerial(moduleId, context.issuedAt),
    subject: [...SEATTLE, ["CN", `${moduleId}.${context.region}.aws`]],
    issuer: context.issuer,
    ...validity("leaf", context.issuedAt),
    extensions: [basicConstraints(false), keyUsage(digitalSignature | nonRepudiation, false)],
  };
}

/** Of an enclave its id and the second of issue, 16 bytes; of a NitroTPM, whose id is zero, the second alone, 4 bytes. */
function leafSerial(moduleId: string, issuedAt: Date): Uint8Array {
  const [, kind, id] = /^i-[0-9a-f]{17}-(enc|tpm)([0-9a-f]{16})$/.exec(moduleId) ?? [];
  if (id === undefined) throw new TypeError("a module id has the form i-<17 hex>-enc<16 hex>, or -tpm<16 hex>");
  const serial = new DataView(new ArrayBuffer(16));
  serial.setBigUint64(0, BigInt(`0x${id}`));
  serial.setBigUint64(8, BigInt(Math.floor(issuedAt.getTime() / SECOND)));
  return new Uint8Array(serial.buffer, kind === "enc" ? 0 : 12);
}

function validity(role: keyof typeof LIFETIME_MS, issuedAt: Date): { notBefore: Date; notAfter: Date } {
  const notBefore = Math.floor(issuedAt.getTime() / SECOND) * SECOND - BACKDATED_MS[role];
  return { notBefore: new Date(notBefore), notAfter: new Date(notBefore + LIFETIME_MS[role]) };
}

function privateCaExtensions(context: SubjectContext, pathLength: number, crl: string): readonly ExtensionSpec[] {
  return [
    basicConstraints(true, pathLength),
    authorityKeyIdentifier(context.issuerKeyIdentifier),
    subjectKeyIdentifier(context.keyIdentifier),
    keyUsage(digitalSignature | keyCertSign | cRLSign, true),
    plain(new CRLDistributionPointsExtension([crl])),
  ];
}

const plain = (extension: Extension): ExtensionSpec => ({
  oid: extension.type,
  critical: extension.critical,
  value: concatBytes(new Uint8Array(extension.value)),
});
const basicConstraints = (ca: boolean, pathLength?: number): ExtensionSpec =>
  plain(new BasicConstraintsExtension(ca, pathLength, true));
const keyUsage = (flags: number, critical: boolean): ExtensionSpec => plain(new KeyUsagesExtension(flags, critical));
const subjectKeyIdentifier = (id: Uint8Array): ExtensionSpec => plain(new SubjectKeyIdentifierExtension(toHex(id)));
const authorityKeyIdentifier = (id: Uint8Array): ExtensionSpec => plain(new AuthorityKeyIdentifierExtension(toHex(id)));
