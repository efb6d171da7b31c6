/**
 * The attestation document of a Nitro enclave (AWS attestation_process.md §2.2 and §3.2.2): from bytes to fields.
 *
 * Taken: what genuine documents of 2021 to 2026 look like, which is more than the AWS text allows (docs/interop-notes.md):
 * null for an unset field, user_data and nonce of 0 to 1024 bytes, an empty public_key, a payload map of indefinite
 * length, names that we do not know. Refused: documents of NitroTPM, which share the root and the form but attest an
 * instance, and everything that could be read in two ways.
 *
 * Nothing here is verified: the result says so in its type's name, and verify.ts is what takes it further.
 */
import type { CborMap } from "../cbor.js";
import { decodeCbor, isCborBytes } from "../cbor.js";
import type { CoseSign1 } from "../cose.js";
import { decodeCoseSign1 } from "../cose.js";
import { ServiceError } from "../errors.js";
import { MAX_CERTIFICATE_BYTES } from "../x509.js";
import { PCR_BYTES, PCR_COUNT } from "./pcr.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** A document whose form is right and whose claims nobody has checked. */
export interface UnverifiedAttestation {
  /** The message that carried it. */
  readonly cose: CoseSign1;
  /** `i-<17 hex>-enc<16 hex>`: parent instance and enclave. */
  readonly moduleId: string;
  /** The parent instance's id, as `moduleId` has it. */
  readonly instanceId: string;
  readonly digest: "SHA384";
  /** When the NSM made the document, milliseconds since 1970. */
  readonly timestampMs: number;
  /** Locked registers by index, 48 bytes each. PCR0 and PCR4 are always among them. */
  readonly pcrs: ReadonlyMap<number, Bytes>;
  /** The end-entity certificate, DER. */
  readonly certificate: Bytes;
  /** Root first, issuer of `certificate` last. */
  readonly caBundle: readonly Bytes[];
  /** What the enclave asked the NSM to include; null where it did not. */
  readonly publicKey: Bytes | null;
  readonly userData: Bytes | null;
  readonly nonce: Bytes | null;
}

const MAX_PAYLOAD_BYTES = 16384;
/** AWS attestation_process.md §2.2. Real devices keep to it, the smaller bounds of §3.2.2.2 they do not. */
const MAX_FIELD_BYTES = 1024;
/** Genuine bundles have four; the AWS text names no bound. */
const MAX_CA_BUNDLE = 8;
/** What a Date can hold (ECMA-262 §21.4.1.1). */
const MAX_TIME_MS = 8.64e15;

const malformed = (message: string): ServiceError => new ServiceError("ERR_ATTESTATION_MALFORMED", message);

/**
 * Parses a document. On return its form is right; its content is as trustworthy as whoever sent it.
 * @throws ServiceError ERR_CBOR_MALFORMED, ERR_COSE_MALFORMED, ERR_COSE_ALGORITHM, ERR_NOT_ENCLAVE,
 *   ERR_ATTESTATION_MALFORMED.
 */
export function parseAttestationDocument(bytes: Uint8Array): UnverifiedAttestation {
  const cose = decodeCoseSign1(bytes);
  // AV-04 no name twice: the CBOR walk refuses duplicates. Since mid-2025 the map has indefinite length.
  const payload = decodeCbor(cose.payload, { maxBytes: MAX_PAYLOAD_BYTES, indefiniteMaps: true });
  if (!(payload instanceof Map)) throw malformed("payload is not a map");
  assertNotNitroTpm(payload);
  return { cose, ...parseIdentity(payload), ...parseMeasurements(payload), ...parseKeysAndClaims(payload) };
}

/** NitroTPM documents (AMI attestation) have the same root, chain and framing. */
function assertNotNitroTpm(payload: CborMap): void {
  const moduleId = payload.get("module_id");
  if (payload.has("nitrotpm_pcrs") || (typeof moduleId === "string" && /^i-[0-9a-f]+-tpm/.test(moduleId))) {
    throw new ServiceError("ERR_NOT_ENCLAVE", "expected a document of an enclave, got one of NitroTPM");
  }
}

// AV-04 required names and their types; names that are not asked for are signed but have no effect
function parseIdentity(payload: CborMap): Pick<UnverifiedAttestation, "moduleId" | "instanceId" | "timestampMs"> {
  const moduleId = payload.get("module_id");
  const match = typeof moduleId === "string" ? /^(i-[0-9a-f]{17})-enc[0-9a-f]{16}$/.exec(moduleId) : null;
  const instanceId = match?.[1];
  if (match === null || instanceId === undefined)
    throw malformed("module_id is not of the form i-<17 hex>-enc<16 hex>");
  const timestampMs = payload.get("timestamp");
  if (typeof timestampMs !== "number" || timestampMs <= 0 || timestampMs > MAX_TIME_MS) {
    throw malformed("timestamp is not a positive number of milliseconds");
  }
  return { moduleId: match[0], instanceId, timestampMs };
}

function parseMeasurements(payload: CborMap): Pick<UnverifiedAttestation, "digest" | "pcrs"> {
  // AV-05 the digest decides what PCR values mean
  if (payload.get("digest") !== "SHA384") throw malformed("digest is not SHA384");
  const entries = payload.get("pcrs");
  if (!(entries instanceof Map)) throw malformed("pcrs is not a map");
  const pcrs = new Map<number, Bytes>();
  for (const [index, value] of entries) {
    // AV-06 index 0..31 and 48 bytes
    if (typeof index !== "number" || index < 0 || index >= PCR_COUNT) throw malformed("pcrs has an index beyond 0..31");
    if (!isCborBytes(value) || value.length !== PCR_BYTES) {
      throw malformed(`PCR${index} is not a byte string of ${PCR_BYTES} bytes`);
    }
    pcrs.set(index, value);
  }
  // AV-06 without these two, debug mode and the instance could not be told; every device locks 0..15 at boot
  for (const index of [0, 4]) if (!pcrs.has(index)) throw malformed(`PCR${index} is missing`);
  return { digest: "SHA384", pcrs };
}

function parseKeysAndClaims(
  payload: CborMap,
): Pick<UnverifiedAttestation, "certificate" | "caBundle" | "publicKey" | "userData" | "nonce"> {
  const caBundle = payload.get("cabundle");
  if (!Array.isArray(caBundle) || caBundle.length < 1 || caBundle.length > MAX_CA_BUNDLE) {
    throw malformed(`cabundle is not an array of 1 to ${MAX_CA_BUNDLE} certificates`);
  }
  return {
    certificate: parseCertificateBytes(payload.get("certificate"), "certificate"),
    caBundle: caBundle.map((certificate) => parseCertificateBytes(certificate, "cabundle entry")),
    publicKey: parseOptionalBytes(payload, "public_key"),
    userData: parseOptionalBytes(payload, "user_data"),
    nonce: parseOptionalBytes(payload, "nonce"),
  };
}

function parseCertificateBytes(value: unknown, name: string): Bytes {
  if (!isCborBytes(value) || value.length < 1 || value.length > MAX_CERTIFICATE_BYTES) {
    throw malformed(`${name} is not a byte string of 1 to ${MAX_CERTIFICATE_BYTES} bytes`);
  }
  return value;
}

/** Unset is null on the wire; an absent name means the same. */
function parseOptionalBytes(payload: CborMap, name: "public_key" | "user_data" | "nonce"): Bytes | null {
  const value = payload.get(name) ?? null;
  if (value === null) return null;
  if (!isCborBytes(value) || value.length > MAX_FIELD_BYTES) {
    throw malformed(`${name} is neither null nor a byte string of at most ${MAX_FIELD_BYTES} bytes`);
  }
  return value;
}
