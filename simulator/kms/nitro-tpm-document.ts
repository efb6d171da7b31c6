/**
 * The attestation document of an instance's NitroTPM (EC2 User Guide, "Validate a NitroTPM Attestation Document"): the root,
 * chain and framing of an enclave's document, with 24 registers under `nitrotpm_pcrs`. KMS takes it in Recipient too. It is
 * read here, and not in shared/, so that nothing in an enclave or a client can take an instance for an enclave.
 */

import type { TrustAnchor } from "../../shared/attestation/trust-anchor.js";
import type { CborMap } from "../../shared/cbor.js";
import { decodeCbor, isCborBytes } from "../../shared/cbor.js";
import { UnverifiedPath, VerifiedPath } from "../../shared/cert-path.js";
import type { CertificateCache } from "../../shared/certificate-cache.js";
import { decodeCoseSign1, verifyCoseSign1 } from "../../shared/cose.js";
import { ServiceError } from "../../shared/errors.js";
import { allInOrder } from "../../shared/settle.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a genuine document says. */
export interface VerifiedNitroTpm {
  readonly kind: "nitro-tpm";
  /** `i-<17 hex>-tpm<16 hex>`. */
  readonly moduleId: string;
  readonly timestampMs: number;
  /** SHA-384 registers by index. */
  readonly pcrs: ReadonlyMap<number, Bytes>;
  readonly publicKey: Bytes | null;
  readonly rootToLeaf: readonly { readonly notBefore: Date; readonly notAfter: Date }[];
}

export interface NitroTpmOptions {
  readonly trustAnchor: TrustAnchor;
  readonly now: Date;
  readonly cache: CertificateCache;
}

const MAX_PAYLOAD_BYTES = 16_384;
const MAX_FIELD_BYTES = 1024;
const MAX_CA_BUNDLE = 8;
const PCR_COUNT = 24;
const PCR_BYTES = 48;

const malformed = (message: string): ServiceError => new ServiceError("ERR_ATTESTATION_MALFORMED", message);

/** The payload of a document that is one of NitroTPM; undefined for any other. @throws ServiceError as `decodeCoseSign1` */
export function nitroTpmPayload(document: Uint8Array): CborMap | undefined {
  const payload = decodeCbor(decodeCoseSign1(document).payload, { maxBytes: MAX_PAYLOAD_BYTES, indefiniteMaps: true });
  return payload instanceof Map && payload.has("nitrotpm_pcrs") ? payload : undefined;
}

/**
 * Verifies a document whose payload is `payload`. @throws ServiceError ERR_ATTESTATION_MALFORMED, ERR_DER_MALFORMED,
 * ERR_CERT_MALFORMED, ERR_TRUST_ANCHOR, ERR_CERT_TIME, ERR_CERT_PATH, ERR_COSE_SIGNATURE
 */
export async function verifyNitroTpm(
  document: Uint8Array,
  payload: CborMap,
  { trustAnchor, now, cache }: NitroTpmOptions,
): Promise<VerifiedNitroTpm> {
  const claims = parseClaims(payload);
  const path = UnverifiedPath.parse(certificatesOf(payload));
  const signed = path.unverifiedKeyOf(path.leaf).then((key) => verifyCoseSign1(decodeCoseSign1(document), key));
  await allInOrder([VerifiedPath.verify(path, { trustAnchor, now, cache }), signed]);
  if (!path.leaf.subjectCommonName.startsWith(`${claims.moduleId}.`)) {
    throw malformed("module_id is not the one that the certificate names");
  }
  return { kind: "nitro-tpm", ...claims, rootToLeaf: path.rootToLeaf };
}

function parseClaims(payload: CborMap): Pick<VerifiedNitroTpm, "moduleId" | "timestampMs" | "pcrs" | "publicKey"> {
  const [moduleId, timestampMs] = [payload.get("module_id"), payload.get("timestamp")];
  if (typeof moduleId !== "string" || !/^i-[0-9a-f]{17}-tpm[0-9a-f]{16}$/.test(moduleId)) {
    throw malformed("module_id is not of the form i-<17 hex>-tpm<16 hex>");
  }
  if (typeof timestampMs !== "number" || timestampMs <= 0) throw malformed("timestamp is not a positive number");
  if (payload.get("digest") !== "SHA384") throw malformed("digest is not SHA384");
  for (const name of ["user_data", "nonce"]) optionalBytes(payload, name);
  return { moduleId, timestampMs, pcrs: parsePcrs(payload), publicKey: optionalBytes(payload, "public_key") };
}

function parsePcrs(payload: CborMap): ReadonlyMap<number, Bytes> {
  const entries = payload.get("nitrotpm_pcrs");
  if (!(entries instanceof Map) || entries.size === 0) throw malformed("nitrotpm_pcrs is not a map with entries");
  const pcrs = new Map<number, Bytes>();
  for (const [index, value] of entries) {
    if (
      typeof index !== "number" ||
      index < 0 ||
      index >= PCR_COUNT ||
      !isCborBytes(value) ||
      value.length !== PCR_BYTES
    ) {
      throw malformed(`nitrotpm_pcrs has something else than ${PCR_BYTES} bytes at 0 to ${PCR_COUNT - 1}`);
    }
    pcrs.set(index, value);
  }
  return pcrs;
}

function certificatesOf(payload: CborMap): readonly Bytes[] {
  const bundle = payload.get("cabundle");
  if (!Array.isArray(bundle) || bundle.length < 1 || bundle.length > MAX_CA_BUNDLE)
    throw malformed("cabundle is no bundle");
  const certificates = [...bundle, payload.get("certificate")];
  if (!certificates.every(isCborBytes)) throw malformed("a certificate is not a byte string");
  return certificates;
}

function optionalBytes(payload: CborMap, name: string): Bytes | null {
  const value = payload.get(name) ?? null;
  if (value === null) return null;
  if (!isCborBytes(value) || value.length > MAX_FIELD_BYTES) {
    throw malformed(`${name} is neither null nor a byte string of at most ${MAX_FIELD_BYTES} bytes`);
  }
  return value;
}
