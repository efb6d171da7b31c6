/** Which kind of key CreateKey is asked for, and which kinds there are not (API_CreateKey; KMS Developer Guide, "Key spec reference"). */
import type { AwsError } from "../../errors.js";
import { unsupported, validationError } from "../../errors.js";
import type { KeyOrigin } from "../key.js";
import type { KeySpec, KeyUsage } from "../key-specs.js";
import { mayHaveUsage } from "../key-specs.js";

export interface KeyKind {
  readonly spec: KeySpec;
  readonly usage: KeyUsage;
  readonly origin: KeyOrigin;
  readonly multiRegion: boolean;
}

/** The members of a request that say it. */
export interface KeyKindInput {
  readonly KeySpec?: KeySpec | undefined;
  readonly CustomerMasterKeySpec?: KeySpec | undefined;
  readonly KeyUsage?: KeyUsage | undefined;
  readonly Origin?: string | undefined;
  readonly CustomKeyStoreId?: string | undefined;
  readonly XksKeyId?: string | undefined;
  readonly MultiRegion?: boolean | undefined;
}

/** @throws AwsError ValidationException, UnsupportedOperationException */
export function keyKindOf(input: KeyKindInput): KeyKind {
  if (input.KeySpec !== undefined && input.CustomerMasterKeySpec !== undefined) {
    throw validationError(
      "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
    );
  }
  const spec = input.KeySpec ?? input.CustomerMasterKeySpec ?? "SYMMETRIC_DEFAULT";
  if (input.KeyUsage === undefined && spec !== "SYMMETRIC_DEFAULT") {
    throw validationError("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
  }
  const origin = originOf(input);
  const usage = input.KeyUsage ?? "ENCRYPT_DECRYPT";
  if (!mayHaveUsage(spec, usage)) throw unfit(spec, usage);
  return { spec, usage, origin, multiRegion: input.MultiRegion === true };
}

function originOf({ Origin = "AWS_KMS", CustomKeyStoreId, XksKeyId }: KeyKindInput): KeyOrigin {
  const isOffered = Origin === "AWS_KMS" || Origin === "EXTERNAL";
  if (isOffered && CustomKeyStoreId === undefined && XksKeyId === undefined) return Origin;
  throw unsupported(`Keys of origin ${Origin} and custom key stores are not supported by this simulated KMS.`);
}

function unfit(spec: KeySpec, usage: KeyUsage): AwsError {
  return validationError(
    spec === "SYMMETRIC_DEFAULT"
      ? `The operation failed because the KeyUsage value of the CMK is ${usage}. To perform this operation, the KeyUsage value must be ENCRYPT_DECRYPT.`
      : `KeyUsage ${usage} is not compatible with KeySpec ${spec}`,
  );
}
