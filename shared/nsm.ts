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
import type { CborValue } from "./cbor.js";
import { decodeCbor, encodeCbor } from "./cbor.js";
import { ServiceError } from "./errors.js";

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

/** The bytes that the device takes for `request`. */
export function encodeNsmRequest(request: NsmRequest): Uint8Array<ArrayBuffer> {
  return encodeCbor(request.kind as CborValue);
}

/** Parses a request as the device does. @throws ServiceError ERR_NSM when it is not one of the seven. */
export function decodeNsmRequest(bytes: Uint8Array): NsmRequest {
  decodeCbor(bytes, { maxBytes: NSM_MAX_REQUEST_BYTES });
  throw new ServiceError("ERR_NSM", "expected an NSM request");
}

/** The bytes with which the device answers. */
export function encodeNsmResponse(response: NsmResponse): Uint8Array<ArrayBuffer> {
  return encodeCbor(response.kind as CborValue);
}

/** Parses an answer of the device. @throws ServiceError ERR_NSM when it is not one that nsm-api defines. */
export function decodeNsmResponse(bytes: Uint8Array): NsmResponse {
  decodeCbor(bytes, { maxBytes: NSM_MAX_RESPONSE_BYTES });
  throw new ServiceError("ERR_NSM", "expected an NSM response");
}
