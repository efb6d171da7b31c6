/**
 * The messages of the Nitro Security Module device, /dev/nsm: seven requests, their answers and the error codes, in the
 * CBOR of AWS's own library (aws/aws-nitro-enclaves-nsm-api src/api/mod.rs, serialised by serde_cbor).
 *
 * Requests and answers without fields are a bare text string, the others a map of one entry, name → fields. Encoding is
 * byte-exact; decoding does not depend on the order of fields, takes an absent optional field for null, and ignores
 * answer fields that it does not know. Requests with unknown fields are refused.
 *
 * Called by the enclave (device client) and by the simulated device.
 */
import type { DecodedCbor } from "./cbor.js";
import { encodeCbor } from "./cbor.js";
import type { Fields } from "./nsm-variant.js";
import { assertUnit, decodeVariant, encodeVariant, fieldsOf, nsmRefusal } from "./nsm-variant.js";

/** The device takes no longer request, and gives no longer answer (Linux drivers/misc/nsm.c). */
export const NSM_MAX_REQUEST_BYTES = 0x1000;
export const NSM_MAX_RESPONSE_BYTES = 0x3000;

/** `ErrorCode` of nsm-api. */
export type NsmErrorCode =
  | "Success"
  | "InvalidArgument"
  | "InvalidIndex"
  | "InvalidResponse"
  | "ReadOnlyIndex"
  | "InvalidOperation"
  | "BufferTooSmall"
  | "InputTooLarge"
  | "InternalError";

export type NsmRequest =
  | { readonly kind: "DescribeNSM" }
  | { readonly kind: "GetRandom" }
  | { readonly kind: "DescribePCR"; readonly index: number }
  | { readonly kind: "ExtendPCR"; readonly index: number; readonly data: Uint8Array }
  | { readonly kind: "LockPCR"; readonly index: number }
  /** Locks the PCRs [0, range). */
  | { readonly kind: "LockPCRs"; readonly range: number }
  | {
      readonly kind: "Attestation";
      readonly userData: Uint8Array | null;
      readonly nonce: Uint8Array | null;
      readonly publicKey: Uint8Array | null;
    };

export type NsmResponse =
  | {
      readonly kind: "DescribeNSM";
      readonly versionMajor: number;
      readonly versionMinor: number;
      readonly versionPatch: number;
      readonly moduleId: string;
      readonly maxPcrs: number;
      readonly lockedPcrs: readonly number[];
      readonly digest: string;
    }
  | { readonly kind: "GetRandom"; readonly random: Uint8Array }
  | { readonly kind: "DescribePCR"; readonly lock: boolean; readonly data: Uint8Array }
  | { readonly kind: "ExtendPCR"; readonly data: Uint8Array }
  | { readonly kind: "LockPCR" }
  | { readonly kind: "LockPCRs" }
  | { readonly kind: "Attestation"; readonly document: Uint8Array }
  | { readonly kind: "Error"; readonly error: NsmErrorCode };

/** The raw device: CBOR in, CBOR out. What stands behind it also decides which trust anchor its documents are under. */
export interface Nsm {
  exchange(request: Uint8Array): Promise<Uint8Array>;
}

const MAX_PCR_INDEX = 0xffff; // u16: the device, not its codec, knows how many registers it has
/** nsm-api: GetRandom gives up to 256 bytes; SHA-512 would be the longest digest. */
const MAX_RANDOM_BYTES = 256;
const MAX_PCR_BYTES = 64;

/** Every code, as it is on the wire. A `Record`, so that one that is missing does not compile. */
const ERROR_CODES: Readonly<Record<NsmErrorCode, true>> = {
  Success: true,
  InvalidArgument: true,
  InvalidIndex: true,
  InvalidResponse: true,
  ReadOnlyIndex: true,
  InvalidOperation: true,
  BufferTooSmall: true,
  InputTooLarge: true,
  InternalError: true,
};

type Bytes = Uint8Array<ArrayBuffer>;

/** The bytes that the device takes for `request`. */
export function encodeNsmRequest(request: NsmRequest): Bytes {
  switch (request.kind) {
    case "DescribeNSM":
    case "GetRandom":
      return encodeCbor(request.kind);
    case "DescribePCR":
    case "LockPCR":
      return encodeVariant(request.kind, [["index", request.index]]);
    case "ExtendPCR":
      return encodeVariant(request.kind, [
        ["index", request.index],
        ["data", request.data],
      ]);
    case "LockPCRs":
      return encodeVariant(request.kind, [["range", request.range]]);
    case "Attestation":
      return encodeVariant(request.kind, [
        ["user_data", request.userData],
        ["nonce", request.nonce],
        ["public_key", request.publicKey],
      ]);
  }
}

/** The bytes with which the device answers. For the simulated one. */
export function encodeNsmResponse(response: NsmResponse): Bytes {
  switch (response.kind) {
    case "LockPCR":
    case "LockPCRs":
      return encodeCbor(response.kind);
    case "DescribeNSM":
      return encodeVariant(response.kind, [
        ["version_major", response.versionMajor],
        ["version_minor", response.versionMinor],
        ["version_patch", response.versionPatch],
        ["module_id", response.moduleId],
        ["max_pcrs", response.maxPcrs],
        ["locked_pcrs", response.lockedPcrs],
        ["digest", response.digest],
      ]);
    case "GetRandom":
      return encodeVariant(response.kind, [["random", response.random]]);
    case "DescribePCR":
      return encodeVariant(response.kind, [
        ["lock", response.lock],
        ["data", response.data],
      ]);
    case "ExtendPCR":
      return encodeVariant(response.kind, [["data", response.data]]);
    case "Attestation":
      return encodeVariant(response.kind, [["document", response.document]]);
    case "Error":
      return encodeCbor(new Map([[response.kind, response.error]]));
  }
}

/**
 * Parses a request as the device does.
 * @throws ServiceError ERR_NSM when it is too long or not one of the seven.
 */
export function decodeNsmRequest(bytes: Uint8Array): NsmRequest {
  const { kind, value } = decodeVariant(bytes, NSM_MAX_REQUEST_BYTES);
  switch (kind) {
    case "DescribeNSM":
    case "GetRandom":
      assertUnit(kind, value);
      return { kind };
    case "DescribePCR":
    case "LockPCR":
      return { kind, index: fieldsOf(kind, value, ["index"]).integer("index", MAX_PCR_INDEX) };
    case "ExtendPCR": {
      const fields = fieldsOf(kind, value, ["index", "data"]);
      return { kind, index: fields.integer("index", MAX_PCR_INDEX), data: fields.bytes("data", NSM_MAX_REQUEST_BYTES) };
    }
    case "LockPCRs":
      return { kind, range: fieldsOf(kind, value, ["range"]).integer("range", MAX_PCR_INDEX) };
    case "Attestation": {
      const fields = fieldsOf(kind, value, ["user_data", "nonce", "public_key"]);
      const optional = (name: string) => fields.optionalBytes(name, NSM_MAX_REQUEST_BYTES);
      return { kind, userData: optional("user_data"), nonce: optional("nonce"), publicKey: optional("public_key") };
    }
    default:
      throw nsmRefusal("request is none of the seven");
  }
}

/**
 * Parses an answer of the device. That it answers the request that was sent is for the caller to check, by `kind`.
 * @throws ServiceError ERR_NSM when it is too long or not one that nsm-api defines.
 */
export function decodeNsmResponse(bytes: Uint8Array): NsmResponse {
  const { kind, value } = decodeVariant(bytes, NSM_MAX_RESPONSE_BYTES);
  switch (kind) {
    case "LockPCR":
    case "LockPCRs":
      assertUnit(kind, value);
      return { kind };
    case "DescribeNSM":
      return describeNsmOf(fieldsOf(kind, value));
    case "GetRandom":
      return { kind, random: fieldsOf(kind, value).bytes("random", MAX_RANDOM_BYTES) };
    case "DescribePCR": {
      const fields = fieldsOf(kind, value);
      return { kind, lock: fields.boolean("lock"), data: fields.bytes("data", MAX_PCR_BYTES) };
    }
    case "ExtendPCR":
      return { kind, data: fieldsOf(kind, value).bytes("data", MAX_PCR_BYTES) };
    case "Attestation":
      return { kind, document: fieldsOf(kind, value).bytes("document", NSM_MAX_RESPONSE_BYTES) };
    case "Error":
      return { kind, error: errorCodeOf(value) };
    default:
      throw nsmRefusal("answer is none that the NSM gives");
  }
}

function describeNsmOf(fields: Fields): NsmResponse {
  return {
    kind: "DescribeNSM",
    versionMajor: fields.integer("version_major", 0xffff),
    versionMinor: fields.integer("version_minor", 0xffff),
    versionPatch: fields.integer("version_patch", 0xffff),
    moduleId: fields.text("module_id"),
    maxPcrs: fields.integer("max_pcrs", 0xffff),
    lockedPcrs: fields.integers("locked_pcrs", MAX_PCR_INDEX),
    digest: fields.text("digest"),
  };
}

function errorCodeOf(value: DecodedCbor | undefined): NsmErrorCode {
  if (!isErrorCode(value)) throw nsmRefusal("error code is none of the nine");
  return value;
}

const isErrorCode = (value: unknown): value is NsmErrorCode =>
  typeof value === "string" && Object.hasOwn(ERROR_CODES, value);
